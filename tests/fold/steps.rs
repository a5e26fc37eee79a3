//! The cost of one event, in steps: facts, rows and changes of positions looked at.
//!
//! Of every kind of event, in shapes that a hostile sender would choose, one event costs at most
//! [`BASE`] + [`PER_LOG`] x log2(n) steps, where n is what its order, account and symbol hold. `BASE`
//! covers what is bounded anyway: the facts of an order with few, and the chunks of a list of flows. An
//! event may cost more only once for each fact that it concerns (a symbol, a side or a submission that
//! comes after the fills; an order that is merged into a larger one; the rows of a snapshot): those
//! costs are bounded by their sum over all events.

use std::fmt::Write;

use proptest::prelude::*;
use trading_exporter::domain::ids::{Account, Actor};
use trading_exporter::domain::limits::{ALERTS_MAX, FACTS_PER_ORDER_MAX, RESTATED_MAX};
use trading_exporter::domain::record::{Decision, Entry, Refusal, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::state::TradingState;
use trading_exporter::domain::visits;

use crate::flow::{Fold, START_NANOS, decode};

/// Steps of an event, whatever is held.
const BASE: u64 = 500;
/// Further steps for each doubling of what is held.
const PER_LOG: u64 = 24;
/// Fills of one order, so that as many amendments fit.
const FILLS: usize = FACTS_PER_ORDER_MAX / 2 - 10;

/// Steps of one event where `held` facts are held.
fn bound(held: usize) -> u64 {
    BASE + PER_LOG * u64::from(held.max(2).ilog2() + 1)
}

/// A time, in seconds after the receipt of the first record.
fn at(seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "microseconds suffice")]
    let time = START_NANOS as f64 / 1e9 + seconds;
    format!("{time:.6}")
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn millis(n: usize) -> String {
    at(-20.0 + n as f64 / 1e3)
}

/// Events, in the order in which they are sent.
#[derive(Default)]
struct Script(Vec<String>);

impl Script {
    fn line(&mut self, line: String) {
        self.0.push(line);
    }

    fn submitted(&mut self, order: &str, quantity: usize) {
        let time = at(-30.0);
        self.line(format!(
            r#"{{"type":"order_submitted","order_id":"{order}","symbol":"X","side":"buy","quantity":{quantity},"expected_price":100,"time":{time}}}"#
        ));
    }

    fn filled(&mut self, (order, fill): (&str, usize), time: &str) {
        let quantity = fill % 7 + 1;
        self.fill(
            (order, fill),
            &format!(r#""quantity":{quantity},"side":"buy","symbol":"X""#),
            time,
        );
    }

    fn fill(&mut self, (order, fill): (&str, usize), more: &str, time: &str) {
        let price = fill % 90 + 60;
        self.line(format!(
            r#"{{"type":"order_filled","order_id":"{order}","fill_id":"F{fill}","price":{price},"time":{time},{more}}}"#
        ));
    }

    fn busted(&mut self, order: &str, fill: usize) {
        self.line(format!(
            r#"{{"type":"fill_busted","order_id":"{order}","fill_id":"F{fill}","time":{}}}"#,
            at(1.0)
        ));
    }

    fn corrected(&mut self, order: &str, fill: usize, quantity: usize) {
        self.line(format!(
            r#"{{"type":"fill_corrected","order_id":"{order}","fill_id":"F{fill}","quantity":{quantity},"price":99,"time":{}}}"#,
            millis(fill)
        ));
    }

    fn replaced(&mut self, (from, to): (&str, &str), more: &str, time: &str) {
        self.line(format!(
            r#"{{"type":"order_replaced","order_id":"{from}","new_order_id":"{to}","time":{time}{more}}}"#
        ));
    }
}

/// The steps of each event, and its verdict.
fn steps(fold: &mut Fold, script: &Script) -> Vec<(u64, Verdict)> {
    let events = decode(&script.0.join("\n"));
    let costs = events.into_iter().map(|event| {
        let before = visits::counted();
        let verdict = fold.event(event);
        (visits::counted() - before, verdict)
    });
    costs.collect()
}

/// Every event keeps to the bound, and is accepted.
fn check(what: &str, script: &Script) -> Fold {
    let mut fold = Fold::new(Settings::default());
    check_from(&mut fold, 0, what, script);
    fold
}

fn check_from(fold: &mut Fold, held: usize, what: &str, script: &Script) {
    for (at, (steps, verdict)) in steps(fold, script).into_iter().enumerate() {
        let line = &script.0[at];
        assert!(!matches!(verdict, Verdict::Refused(_)), "{what}: {verdict:?} {line}");
        assert!(steps <= bound(held + at), "{what}: {steps} steps for event {at}: {line}");
    }
}

/// All events together keep to the bound.
fn check_sum(what: &str, script: &Script) -> Fold {
    let mut fold = Fold::new(Settings::default());
    let costs = steps(&mut fold, script);
    let sum: u64 = costs.iter().map(|(steps, _)| *steps).sum();
    let events = script.0.len();
    assert!(sum <= events as u64 * bound(events), "{what}: {sum} steps for {events} events");
    fold
}

fn filled_quantity(fold: &Fold, order: &str) -> String {
    let account = fold.monitor.account("default").expect("the account");
    let order = account.execution.order(&account.symbols, None, order).expect("the order");
    order.filled_quantity.normalize().to_string()
}

#[test]
fn steps_are_counted() {
    let before = visits::counted();
    visits::count(3);
    assert_eq!(visits::counted() - before, 3);
}

#[test]
fn fills_and_their_busts() {
    let mut script = Script::default();
    for order in ["A", "B"] {
        script.submitted(order, 1_000_000);
        (0..FILLS).for_each(|fill| script.filled((order, fill), &millis(fill)));
    }
    for order in ["A", "B"] {
        // Forwards, backwards, and those in between.
        (0..FILLS / 3).for_each(|fill| script.busted(order, fill));
        (FILLS / 2..FILLS).rev().for_each(|fill| script.busted(order, fill));
        (FILLS / 3..FILLS / 2).for_each(|fill| script.busted(order, fill));
    }
    let fold = check("busts", &script);
    assert_eq!(filled_quantity(&fold, "A"), "0");
}

#[test]
fn busts_cost_less_than_one_and_a_half_times_the_steps_of_fills() {
    let (mut fills, mut busts) = (Script::default(), Script::default());
    for order in ["A", "B"] {
        fills.submitted(order, 1_000_000);
        (0..FILLS).for_each(|fill| fills.filled((order, fill), &millis(fill)));
        (0..FILLS).for_each(|fill| busts.busted(order, fill));
    }
    let mut fold = Fold::new(Settings::default());
    let sum = |costs: Vec<(u64, Verdict)>| costs.iter().map(|(steps, _)| *steps).sum::<u64>();
    let (of_fills, of_busts) = (sum(steps(&mut fold, &fills)), sum(steps(&mut fold, &busts)));
    assert!(2 * of_busts < 3 * of_fills, "{of_busts} steps of busts, {of_fills} of fills");
}

/// A reversal changes the sum of its chunk, and does not add it up again.
#[test]
fn each_bust_costs_a_search_and_no_chunk() {
    let (mut fills, mut busts) = (Script::default(), Script::default());
    fills.submitted("A", 1_000_000);
    (0..FILLS).for_each(|fill| fills.filled(("A", fill), &millis(fill)));
    (0..FILLS).rev().for_each(|fill| busts.busted("A", fill));
    let mut fold = Fold::new(Settings::default());
    steps(&mut fold, &fills);
    for (steps, _) in steps(&mut fold, &busts) {
        assert!(steps < 64, "{steps} steps");
    }
}

#[test]
fn fills_of_one_instant_and_their_busts() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    (0..FILLS).for_each(|fill| script.filled(("A", fill), &at(-3.0)));
    (0..FILLS).rev().for_each(|fill| script.busted("A", fill));
    check("one instant", &script);
}

#[test]
fn fills_out_of_order() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    (0..FILLS).rev().for_each(|fill| script.filled(("A", fill), &millis(fill)));
    (0..FILLS).for_each(|fill| script.corrected("A", fill, 1));
    let fold = check("backwards", &script);
    assert_eq!(filled_quantity(&fold, "A"), FILLS.to_string());
}

#[test]
fn corrections_of_one_fill_and_of_each() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    (0..FILLS / 2).for_each(|fill| script.filled(("A", fill), &millis(fill)));
    (0..FILLS / 2).for_each(|fill| script.corrected("A", fill, fill % 5 + 1));
    (0..FILLS / 2).for_each(|n| script.corrected("A", 7, n % 9 + 1));
    check("corrections", &script);
}

#[test]
fn amendments_before_their_fills() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    (0..FILLS / 2).for_each(|fill| script.busted("A", fill));
    (FILLS / 2..FILLS).for_each(|fill| script.corrected("A", fill, 3));
    (0..FILLS).for_each(|fill| script.filled(("A", fill), &millis(fill)));
    let fold = check("amendments first", &script);
    assert_eq!(filled_quantity(&fold, "A"), (3 * (FILLS - FILLS / 2)).to_string());
}

#[test]
fn second_reports_of_fills_add_details() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    for more in [r#""quantity":2"#, r#""quantity":2,"fee":"0.1","fee_currency":"USD""#] {
        (0..FILLS).for_each(|fill| script.fill(("A", fill), more, &millis(fill)));
    }
    check("second reports", &script);
}

#[test]
fn fills_that_take_the_rest() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    for fill in 0..FILLS {
        let more = if fill % 2 == 0 { r#""final":false"# } else { r#""quantity":2"# };
        script.fill(("A", fill), more, &millis(FILLS - fill));
    }
    (0..FILLS).for_each(|fill| script.busted("A", fill));
    check("rests", &script);
}

#[test]
fn fills_whose_side_is_not_known() {
    let mut script = Script::default();
    let symbol = r#""quantity":2,"symbol":"X""#;
    (0..FILLS).for_each(|fill| script.fill(("A", fill), symbol, &millis(fill)));
    (0..FILLS).for_each(|fill| script.busted("A", fill));
    check("no side", &script);
}

#[test]
fn a_submission_after_its_fills_looks_at_each_once() {
    let mut script = Script::default();
    (0..FILLS).for_each(|fill| script.fill(("A", fill), r#""quantity":2"#, &millis(fill)));
    let fold = check("no symbol", &script);
    script.submitted("A", 1_000_000);
    (0..FILLS).for_each(|fill| script.busted("A", fill));
    drop(fold);
    check_sum("a late submission", &script);
}

#[test]
fn a_symbol_that_is_refused_costs_the_same_each_time() {
    let mut script = Script::default();
    for fill in 0..FILLS {
        let more = format!(r#""quantity":2,"fee":1,"fee_currency":"C{fill}""#);
        script.fill(("A", fill), &more, &millis(fill));
    }
    let mut fold = check("fees in many currencies", &script);
    let mut named = Script::default();
    (0..50).for_each(|_| named.submitted("A", 5));
    for (steps, verdict) in steps(&mut fold, &named) {
        assert_eq!(verdict, Verdict::Refused(Refusal::TooManyCurrencies));
        assert!(steps <= bound(FILLS), "{steps}");
    }
}

#[test]
fn replaces_forwards_and_backwards() {
    let names: Vec<String> = (0..FILLS).map(|n| format!("R{n}")).collect();
    let mut pairs: Vec<&[String]> = names.windows(2).collect();
    for direction in ["forwards", "backwards"] {
        let mut script = Script::default();
        for (n, pair) in pairs.iter().enumerate() {
            let quantity = format!(r#","quantity":{},"limit_price":{}"#, n % 50 + 1, n % 30 + 1);
            script.replaced((&pair[0], &pair[1]), &quantity, &millis(n * 7 % 5_000));
        }
        let fold = check(direction, &script);
        let account = fold.monitor.account("default").expect("the account");
        let of = |id: &str| account.execution.order(&account.symbols, None, id).expect("the order");
        assert_eq!(of("R0"), of(names.last().expect("a name")));
        assert_eq!((of("R0").order_id.as_str(), of("R0").aliases.len()), ("R0", names.len() - 1));
        pairs.reverse();
    }
}

#[test]
fn replaces_backwards_of_orders_with_facts() {
    let mut script = Script::default();
    for n in (0..FILLS / 2).rev() {
        let (from, to) = (format!("R{n}"), format!("R{}", n + 1));
        script.submitted(&from, n + 1);
        script.filled((&from, n), &millis(n));
        script.busted(&from, n + 1);
        script.replaced((&from, &to), "", &millis(n));
    }
    let fold = check("a chain backwards", &script);
    assert_eq!(filled_quantity(&fold, "R7"), "1");
}

#[test]
fn replaces_that_raise_the_quantity_among_fills() {
    let mut script = Script::default();
    script.submitted("A", 10);
    for n in 0..FILLS {
        script.filled(("A", n), &millis(n * 13 % FILLS));
        script.line(format!(
            r#"{{"type":"order_replaced","order_id":"A","quantity":{},"time":{}}}"#,
            n % 90 + 1,
            millis(n * 31 % FILLS)
        ));
    }
    check_sum("quantities", &script);
}

#[test]
fn merges_cost_what_the_smaller_order_holds() {
    let mut script = Script::default();
    script.submitted("A", 1_000_000);
    let half = FILLS / 2;
    (0..half).for_each(|fill| script.filled(("A", fill), &millis(fill)));
    (half..FILLS).for_each(|fill| script.filled(("B", fill), &millis(fill)));
    script.replaced(("B", "A"), "", &millis(0));
    (0..FILLS / 2).for_each(|fill| script.busted("B", fill));
    check_sum("two large orders", &script);
    // An order with one fill, and the large one is known under its new id.
    let mut small = Script::default();
    for n in 0..FILLS / 5 {
        let name = format!("S{n}");
        small.filled((&name, FILLS + n), &millis(n));
        small.replaced((&name, "A"), "", &millis(n));
    }
    let mut fold = check_sum("two large orders", &script);
    check_from(&mut fold, FILLS, "small into large", &small);
}

#[test]
fn the_reference_of_many_fills_changes_a_bounded_number_of_times() {
    let mut script = Script::default();
    (0..FILLS).for_each(|fill| script.filled(("A", fill), &millis(fill)));
    for n in 0..200 {
        script.replaced(("A", &format!("A{n}")), "", &millis(n));
    }
    let mut fold = check("a chain with fills", &script);
    let mut earlier = Script::default();
    for n in 0..200 {
        let time = millis(300 - n);
        earlier.line(format!(
            r#"{{"type":"order_submitted","order_id":"A{n}","symbol":"X","side":"buy","quantity":7,"expected_price":{},"time":{time}}}"#,
            n + 1
        ));
    }
    let costs = steps(&mut fold, &earlier);
    let refused = costs.iter().filter(|(_, v)| *v == Verdict::Refused(Refusal::OrderTooLong));
    assert_eq!(refused.count(), 200 - RESTATED_MAX - 1, "the first one changes no reference");
    let refused = costs.iter().skip(RESTATED_MAX + 1);
    assert!(refused.clone().all(|(steps, _)| *steps <= bound(FILLS)));
}

fn positions(source: &str, (complete, time): (bool, &str), rows: &str) -> String {
    format!(
        r#"{{"type":"positions","source":"{source}","complete":{complete},"time":{time},"positions":[{rows}]}}"#
    )
}

fn rows(count: usize) -> String {
    let mut rows = String::new();
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        write!(rows, r#"{comma}{{"symbol":"S{n}","quantity":{}}}"#, n % 9).expect("a string");
    }
    rows
}

#[test]
fn snapshots_cost_their_rows() {
    let count = 4_000;
    let mut fold = Fold::new(Settings::default());
    let mut script = Script::default();
    for n in 0..4 {
        let time = millis(n);
        script.line(positions("local", (true, &time), &rows(count)));
        script.line(positions("broker", (true, &time), &rows(count)));
    }
    for (steps, _) in steps(&mut fold, &script) {
        assert!(steps <= 20 * count as u64, "{steps}");
    }
    // A partial list of one row among them.
    let mut few = Script::default();
    for n in 0..400 {
        let source = if n % 2 == 0 { "local" } else { "broker" };
        few.line(positions(source, (false, &millis(100 + n)), &rows(1)));
    }
    check_from(&mut fold, count, "few rows", &few);
}

#[test]
fn a_symbol_with_adjustments_far_in_the_future_is_judged_again() {
    let mut fold = Fold::new(Settings::default());
    let mut script = Script::default();
    for n in 0..66_000 {
        script.line(format!(
            r#"{{"type":"position_adjusted","symbol":"X","quantity":{},"reason":"transfer","time":"2199-01-01T00:00:{:02}Z"}}"#,
            if n % 2 == 0 { 1 } else { -1 },
            n % 60
        ));
    }
    check_from(&mut fold, 0, "the future", &script);
    let state = |fold: &Fold| {
        let account = fold.monitor.account("default").expect("the account");
        let views: Vec<_> = account.books.differences(&account.symbols).collect();
        views.first().map(|drift| drift.state.is_open())
    };
    for _ in 0..30 {
        fold.wait(10);
        let time = fold.monitor.now().as_nanos() / 1_000_000_000;
        for source in ["local", "broker"] {
            let quantity = if source == "local" { 1_000 } else { 0 };
            let row = format!(r#"{{"symbol":"X","quantity":{quantity}}}"#);
            fold.lines(&positions(source, (true, &time.to_string()), &row));
        }
    }
    assert_eq!(state(&fold), Some(true), "a difference of 1,000 is an open drift");
}

#[test]
fn many_symbols_components_quotes_and_overfills() {
    let mut script = Script::default();
    for n in 0..4_000 {
        script.line(format!(
            r#"{{"type":"order_submitted","order_id":"O{n}","symbol":"S{n}","side":"buy","quantity":1,"time":{}}}"#,
            at(9.0)
        ));
        script.line(format!(
            r#"{{"type":"order_filled","order_id":"O{n}","fill_id":"F","quantity":2,"price":3,"time":{}}}"#,
            at(900.0)
        ));
        script.line(format!(r#"{{"type":"quote","symbol":"S{n}","bid":1,"ask":2}}"#));
        script.line(format!(
            r#"{{"type":"heartbeat","component":"c{}","status":"unhealthy"}}"#,
            n % 90
        ));
    }
    check("overfills", &script);
}

#[test]
fn many_causes_and_alerts() {
    let mut fold = Fold::new(Settings::default());
    for n in 0..ALERTS_MAX + 1_000 {
        let decision = Decision::Alert {
            id: format!("alert {n}"),
            account: Account::new(if n % 2 == 0 { "a" } else { "b" }).expect("an account"),
            state: TradingState::Halted,
            subject: n.to_string(),
            reason: "fired".to_owned(),
            by: Actor::new("alertmanager").expect("an actor").into(),
        };
        let before = visits::counted();
        fold.apply(Entry::Decision(decision));
        let steps = visits::counted() - before;
        assert!(steps <= bound(n), "{steps} steps for alert {n}");
    }
}

#[test]
fn a_page_of_orders_costs_its_length() {
    let mut script = Script::default();
    (0..4_000).for_each(|n| script.submitted(&format!("O{n}"), 1));
    let fold = check("orders", &script);
    let account = fold.monitor.account("default").expect("the account");
    for after in [0, 1_999, 3_999, 4_000] {
        let before = visits::counted();
        let first = account.execution.orders(&account.symbols, after).next();
        assert_eq!(first.map(|(number, _)| number), (after < 4_000).then_some(after + 1));
        assert!(visits::counted() - before <= 20);
    }
}

/// One event of a hostile mixture: kind, order, number.
fn any_event() -> impl Strategy<Value = (u8, u8, u16)> {
    (0u8..9, 0u8..6, 0u16..3_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Any mixture of facts of a few orders that are merged now and then. Refused events count too.
    #[test]
    fn any_mixture_keeps_to_the_bound(events in prop::collection::vec(any_event(), 3_000..6_000)) {
        let mut script = Script::default();
        for (kind, order, number) in events {
            let (fill, order) = (usize::from(number), format!("O{order}"));
            let time = millis(fill * 7 % 3_000);
            match kind {
                0..4 => script.filled((&order, fill), &time),
                4 => script.busted(&order, fill),
                5 => script.corrected(&order, fill, fill % 11 + 1),
                6 if fill % 50 == 0 => script.replaced((&order, &format!("O{}", fill / 50 % 7)), "", &time),
                6 => script.replaced((&order, &format!("N{fill}")), r#","quantity":9"#, &time),
                7 => script.fill((&order, fill + 5_000), r#""final":false"#, &time),
                _ => script.submitted(&order, fill + 1),
            }
        }
        check_sum("a mixture", &script);
    }
}
