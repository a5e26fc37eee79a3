//! A naive model of orders and windows: it computes every figure from all facts each time.
//!
//! It has one account and one symbol, keeps everything, and uses plain loops. The fold uses running
//! sums, linked lists and amendments, and must give the same figures.

use proptest::prelude::*;
use trading_exporter::domain::execution::counters::{Outcome, Total};
use trading_exporter::domain::settings::{Settings, WindowSettings};
use trading_exporter::domain::units::Decimal;

use crate::flow::Fold;

/// A fact about one of a few orders, with small integers.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Submitted { quantity: i64, expected: Option<i64> },
    Accepted,
    Filled { fill: u8, quantity: i64, price: i64, fee: Option<i64>, last: bool },
    FilledRest { price: i64 },
    Ended(Outcome),
    Replaced { quantity: i64 },
    Busted { fill: u8 },
    Corrected { fill: u8, quantity: i64, price: i64, fee: Option<i64> },
}

/// A fact with its order and its event time in seconds after the start.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) order: u8,
    pub(crate) at: i64,
    pub(crate) fact: Fact,
}

impl Step {
    /// The step as a line on the wire. Each step has its own event id, so none is a duplicate.
    pub(crate) fn line(&self, event_id: usize) -> String {
        let (kind, fields) = match &self.fact {
            Fact::Submitted { quantity, expected } => {
                let expected = expected.map_or("null".to_owned(), |p| p.to_string());
                let fields = format!(r#""quantity":{quantity},"expected_price":{expected}"#);
                ("order_submitted", fields)
            }
            Fact::Accepted => ("order_accepted", String::new()),
            Fact::Filled { fill, quantity, price, fee, last } => {
                let last = if *last { r#","final":true"# } else { "" };
                ("order_filled", fill_fields(*fill, (*quantity, *price), *fee) + last)
            }
            Fact::FilledRest { price } => ("order_filled", format!(r#""price":{price}"#)),
            Fact::Ended(Outcome::Rejected) => ("order_rejected", String::new()),
            Fact::Ended(Outcome::Expired) => ("order_expired", String::new()),
            Fact::Ended(Outcome::Denied) => ("order_denied", String::new()),
            Fact::Ended(Outcome::Cancelled | Outcome::Filled) => ("order_cancelled", String::new()),
            Fact::Replaced { quantity } => ("order_replaced", format!(r#""quantity":{quantity}"#)),
            Fact::Busted { fill } => ("fill_busted", format!(r#""fill_id":"F{fill}""#)),
            Fact::Corrected { fill, quantity, price, fee } => {
                ("fill_corrected", fill_fields(*fill, (*quantity, *price), *fee))
            }
        };
        let comma = if fields.is_empty() { "" } else { "," };
        let (order, time) = (self.order, 1_795_357_800 + self.at);
        format!(
            r#"{{"type":"{kind}","order_id":"O{order}","symbol":"X","side":"buy","time":{time},"event_id":"E{event_id}"{comma}{fields}}}"#
        ) + "\n"
    }
}

fn fill_fields(fill: u8, (quantity, price): (i64, i64), fee: Option<i64>) -> String {
    let fee = fee.map(|fee| format!(r#","fee":{fee}"#)).unwrap_or_default();
    format!(r#""fill_id":"F{fill}","quantity":{quantity},"price":{price}{fee}"#)
}

/// Sums of money and quantity over executions.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sums {
    quantity: i64,
    notional: i64,
    fees: i64,
    rebates: i64,
    cost: i64,
    improvement: i64,
}

/// The figures of one order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Naive {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) quantity: Option<i64>,
    pub(crate) filled: i64,
    notional: i64,
    expected: Option<i64>,
    reached: bool,
    has_fills: bool,
    submitted_at: Option<i64>,
    last_fill_at: Option<i64>,
    sums: Sums,
}

impl Naive {
    /// Whether the order belongs into a window.
    pub(crate) fn is_in_window(&self) -> bool {
        let waits = self.has_fills && self.quantity.is_none();
        let ended = self.outcome.is_some_and(|outcome| outcome != Outcome::Denied);
        self.reached && !waits && ended
    }
}

/// Computes the figures of one order from its facts, as the fold accepts them: one submission, and of
/// several reports of a fill the first one, with the first fee reported.
pub(crate) fn judge(facts: &[Step]) -> Naive {
    let mut naive = Naive::default();
    let mut fills: Vec<(i64, Option<i64>, i64)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut replaces: Vec<(i64, i64)> = Vec::new();
    let mut ends: Vec<Outcome> = Vec::new();
    for step in facts {
        match &step.fact {
            Fact::Submitted { quantity, expected } => {
                naive.quantity = Some(*quantity);
                naive.expected = *expected;
                naive.submitted_at = Some(step.at);
                naive.reached = true;
            }
            Fact::Accepted => naive.reached = true,
            Fact::Filled { fill, quantity, price, .. } => {
                if seen.insert(*fill) {
                    let amended = amended(facts, *fill).unwrap_or((*quantity, *price));
                    fills.push((step.at, Some(amended.0), amended.1));
                    naive.sums.add_fee(standing_fee(facts, *fill));
                }
            }
            Fact::FilledRest { price } => fills.push((step.at, None, *price)),
            Fact::Ended(outcome) => {
                ends.push(*outcome);
                naive.reached |= *outcome == Outcome::Rejected;
            }
            Fact::Replaced { quantity } => replaces.push((step.at, *quantity)),
            Fact::Busted { .. } | Fact::Corrected { .. } => {}
        }
    }
    naive.reached |= !fills.is_empty();
    naive.has_fills = !fills.is_empty();
    if let Some((at, quantity)) = replaces.iter().max() {
        let by_then = fills.iter().filter(|f| f.0 <= *at).filter_map(|f| f.1).sum();
        naive.quantity = Some(*quantity.max(&by_then));
    }
    if let Some(quantity) = naive.quantity {
        let explicit: i64 = fills.iter().filter_map(|f| f.1).sum();
        let mut rest = (quantity - explicit).max(0);
        fills.sort_by_key(|f| f.0);
        for fill in fills.iter_mut().filter(|f| f.1.is_none()) {
            fill.1 = Some(std::mem::take(&mut rest));
        }
    }
    for (at, quantity, price) in fills {
        let quantity = quantity.unwrap_or(0);
        naive.filled += quantity;
        naive.notional += quantity * price;
        naive.sums.add(quantity, price, naive.expected);
        if quantity > 0 {
            naive.last_fill_at = naive.last_fill_at.max(Some(at));
        }
    }
    let replaced_at = replaces.iter().max().map(|(at, _)| *at);
    let is_last = seen.iter().any(|fill| {
        let at = last_at(facts, *fill);
        amended(facts, *fill).is_none_or(|(quantity, _)| quantity > 0)
            && at.is_some_and(|at| replaced_at.is_none_or(|replaced_at| at >= replaced_at))
    });
    naive.outcome = if is_last || naive.quantity.is_some_and(|q| naive.filled >= q) {
        Some(Outcome::Filled)
    } else {
        Outcome::ALL.into_iter().find(|o| ends.contains(o))
    };
    naive
}

impl Sums {
    fn add(&mut self, quantity: i64, price: i64, expected: Option<i64>) {
        self.quantity += quantity;
        self.notional += quantity * price.abs();
        let worse = expected.map_or(0, |expected| (price - expected) * quantity);
        self.cost += worse.max(0);
        self.improvement -= worse.min(0);
    }

    fn add_fee(&mut self, fee: i64) {
        self.fees += fee.max(0);
        self.rebates -= fee.min(0);
    }

    fn add_all(&mut self, other: &Self) {
        self.quantity += other.quantity;
        self.notional += other.notional;
        self.fees += other.fees;
        self.rebates += other.rebates;
        self.cost += other.cost;
        self.improvement += other.improvement;
    }
}

/// The time of a fill, from its first report, if any report marks it as the last one.
fn last_at(facts: &[Step], fill: u8) -> Option<i64> {
    let mut reports = facts.iter().filter_map(|step| {
        let Fact::Filled { fill: id, last, .. } = step.fact else { return None };
        (id == fill).then_some((step.at, last))
    });
    let (at, last) = reports.next()?;
    (last || reports.any(|(_, last)| last)).then_some(at)
}

/// The fee of a fill after busts and corrections.
fn standing_fee(facts: &[Step], fill: u8) -> i64 {
    if facts.iter().any(|s| matches!(s.fact, Fact::Busted { fill: id } if id == fill)) {
        return 0;
    }
    let corrected = facts.iter().filter_map(|step| {
        let Fact::Corrected { fill: id, fee, .. } = step.fact else { return None };
        Some((step.at, fee.filter(|_| id == fill)?))
    });
    let reported = facts.iter().find_map(|step| {
        let Fact::Filled { fill: id, fee, .. } = step.fact else { return None };
        fee.filter(|_| id == fill)
    });
    let latest = corrected.max_by_key(|(at, _)| *at).map(|(_, fee)| fee);
    latest.or(reported).unwrap_or(0)
}

/// Quantity and price of a fill after busts and corrections. `None` if it was not corrected.
fn amended(facts: &[Step], fill: u8) -> Option<(i64, i64)> {
    let mut latest: Option<(i64, (i64, i64))> = None;
    for step in facts {
        match &step.fact {
            Fact::Busted { fill: id } if *id == fill => return Some((0, 0)),
            Fact::Corrected { fill: id, quantity, price, .. }
                if *id == fill && latest.is_none_or(|(at, _)| at <= step.at) =>
            {
                latest = Some((step.at, (*quantity, *price)));
            }
            Fact::Submitted { .. }
            | Fact::Accepted
            | Fact::Filled { .. }
            | Fact::FilledRest { .. }
            | Fact::Ended(_)
            | Fact::Replaced { .. }
            | Fact::Busted { .. }
            | Fact::Corrected { .. } => {}
        }
    }
    latest.map(|(_, amended)| amended)
}

pub(crate) fn any_fact(fills: u8) -> impl Strategy<Value = Fact> {
    let quantity = || prop::sample::select(vec![10i64, 20, 50, 100]);
    let price = || prop::sample::select(vec![-50i64, 99, 100, 101, 120]);
    let fee = || prop::option::of(-2i64..4);
    prop_oneof![
        4 => (quantity(), prop::option::of(price()))
            .prop_map(|(quantity, expected)| Fact::Submitted { quantity, expected }),
        2 => Just(Fact::Accepted),
        6 => (0..fills, quantity(), price(), fee(), prop::bool::weighted(0.1)).prop_map(
            |(fill, quantity, price, fee, last)| Fact::Filled { fill, quantity, price, fee, last }
        ),
        1 => price().prop_map(|price| Fact::FilledRest { price }),
        3 => prop::sample::select(vec![
                Outcome::Rejected, Outcome::Cancelled, Outcome::Expired, Outcome::Denied,
            ]).prop_map(Fact::Ended),
        1 => quantity().prop_map(|quantity| Fact::Replaced { quantity }),
        1 => (0..fills).prop_map(|fill| Fact::Busted { fill }),
        1 => (0..fills, quantity(), price(), fee()).prop_map(|(fill, quantity, price, fee)| {
            Fact::Corrected { fill, quantity, price, fee }
        }),
    ]
}

pub(crate) fn any_step(orders: u8) -> impl Strategy<Value = Step> {
    (0..orders, 0i64..20, any_fact(3)).prop_map(|(order, at, fact)| Step { order, at, fact })
}

/// The key of facts that can be reported only once.
fn key(step: &Step) -> Option<(u8, u8, u8)> {
    match &step.fact {
        Fact::Submitted { .. } => Some((step.order, 0, 0)),
        Fact::Filled { fill, .. } => Some((step.order, 1, *fill)),
        Fact::Corrected { fill, .. } => Some((step.order, 2, *fill)),
        Fact::FilledRest { .. } => Some((step.order, 3, 0)),
        Fact::Accepted | Fact::Ended(_) | Fact::Replaced { .. } | Fact::Busted { .. } => None,
    }
}

/// Keeps the facts that do not conflict with an earlier one: one submission for each order, one report
/// and one correction for each fill.
pub(crate) fn consistent(steps: Vec<Step>) -> Vec<Step> {
    let mut seen = std::collections::BTreeSet::new();
    steps.into_iter().filter(|step| key(step).is_none_or(|key| seen.insert(key))).collect()
}

/// As above, but keeps a second report of a fill, made to agree with the first. It may add the fee.
pub(crate) fn repeating(steps: Vec<Step>) -> Vec<Step> {
    let mut reported = std::collections::BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    let kept = steps.into_iter().filter_map(|mut step| {
        let order = step.order;
        if let Fact::Filled { fill, quantity, price, .. } = &mut step.fact {
            (*quantity, *price) = *reported.entry((order, *fill)).or_insert((*quantity, *price));
            return Some(step);
        }
        key(&step).is_none_or(|key| seen.insert(key)).then_some(step)
    });
    kept.collect()
}

/// The window by its definition: order numbers in the order of their ends.
struct Window {
    entered: Vec<u8>,
    evicted: Vec<u8>,
    max: usize,
}

impl Window {
    fn follow(&mut self, order: u8, naive: &Naive) {
        let belongs = naive.is_in_window();
        let inside = self.entered.contains(&order);
        if belongs && !inside && !self.evicted.contains(&order) {
            self.entered.push(order);
            if self.entered.len() > self.max {
                self.evicted.push(self.entered.remove(0));
            }
        } else if !belongs {
            self.entered.retain(|o| *o != order);
            self.evicted.retain(|o| *o != order);
        }
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
        (a, b) => a.is_none() && b.is_none(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(crate) fn check(fold: &Fold, orders: &[Naive]) {
    let figures = fold.monitor.account("default").expect("an account").execution.whole().figures();
    let count = |outcome| orders.iter().filter(|o| o.outcome == Some(outcome)).count();
    assert_eq!(figures.samples, orders.len());
    assert_eq!(figures.filled, count(Outcome::Filled));
    assert_eq!(figures.rejected, count(Outcome::Rejected));
    assert_eq!(figures.cancelled, count(Outcome::Cancelled));
    assert_eq!(figures.expired, count(Outcome::Expired));
    assert_eq!(figures.touched, orders.iter().filter(|o| o.filled > 0).count());
    let known: Vec<&Naive> = orders.iter().filter(|o| o.quantity.is_some()).collect();
    let whole: i64 = known.iter().filter_map(|o| o.quantity).sum();
    let part: i64 = known.iter().map(|o| o.filled.min(o.quantity.unwrap_or(0))).sum();
    let ratio = (whole > 0).then(|| part as f64 / whole as f64);
    assert!(
        near(figures.quantity_fill_ratio, ratio),
        "{:?} {ratio:?}",
        figures.quantity_fill_ratio
    );
    let measured: Vec<(f64, f64)> = orders
        .iter()
        .filter(|o| o.filled > 0)
        .filter_map(|o| {
            let reference = o.expected? as f64;
            let price = o.notional as f64 / o.filled as f64;
            Some(((price - reference) / reference.abs() * 1e4, (o.notional as f64).abs()))
        })
        .collect();
    let slippage = figures.slippage[0];
    assert_eq!(slippage.samples, measured.len());
    let n = measured.len() as f64;
    let mean = (n > 0.0).then(|| measured.iter().map(|m| m.0).sum::<f64>() / n);
    assert!(near(slippage.mean_bps, mean), "{slippage:?} {mean:?}");
    let weight: f64 = measured.iter().map(|m| m.1).sum();
    let weighted = (weight > 0.0).then(|| measured.iter().map(|m| m.0 * m.1).sum::<f64>() / weight);
    assert!(near(slippage.weighted_bps, weighted), "{slippage:?} {weighted:?}");
    let times: Vec<f64> = orders
        .iter()
        .filter(|o| o.outcome == Some(Outcome::Filled))
        .filter_map(|o| Some((o.last_fill_at? - o.submitted_at?) as f64))
        .filter(|seconds| *seconds >= 0.0)
        .collect();
    assert_eq!(figures.fill_time.samples, times.len());
    let mean = (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64);
    assert!(near(figures.fill_time.seconds, mean), "{:?} {mean:?}", figures.fill_time);
}

/// Totals are the sums of all facts, and no total was ever larger.
pub(crate) fn check_totals(fold: &Fold, orders: &[Naive], before: &[Total]) -> Vec<Total> {
    let account = fold.monitor.account("default").expect("an account");
    let counters = account.execution.whole().counters();
    let money = counters.money.values().next().copied().unwrap_or_default();
    let totals = vec![
        counters.filled_quantity,
        money.notional,
        money.fees,
        money.rebates,
        money.slippage_cost,
        money.price_improvement,
    ];
    let mut sums = Sums::default();
    for order in orders {
        sums.add_all(&order.sums);
    }
    let Sums { quantity, notional, fees, rebates, cost, improvement } = sums;
    let expect = [quantity, notional, fees, rebates, cost, improvement].map(Decimal::from);
    let net: Vec<Decimal> = totals.iter().map(Total::net).collect();
    assert_eq!(net, expect);
    for (now, before) in totals.iter().zip(before) {
        assert!(now.sum >= before.sum && now.reversed >= before.reversed, "{before:?} {now:?}");
    }
    totals
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn windows_equal_those_of_the_naive_model(
        steps in prop::collection::vec(any_step(8), 0..60),
        max in 1usize..6,
    ) {
        let steps = repeating(steps);
        let window = WindowSettings { orders: max, ..WindowSettings::default() };
        let mut fold = Fold::new(Settings { window, ..Settings::default() });
        let mut totals = Vec::new();
        let mut naive = Window { entered: Vec::new(), evicted: Vec::new(), max };
        for (at, step) in steps.iter().enumerate() {
            fold.lines(&step.line(at));
            let seen = &steps[..=at];
            let of = |order: u8| -> Vec<Step> {
                seen.iter().filter(|s| s.order == order).cloned().collect()
            };
            naive.follow(step.order, &judge(&of(step.order)));
            let inside: Vec<Naive> = naive.entered.iter().map(|o| judge(&of(*o))).collect();
            check(&fold, &inside);
            let all: Vec<Naive> = (0..8).map(|order| judge(&of(order))).collect();
            totals = check_totals(&fold, &all, &totals);
        }
    }
}
