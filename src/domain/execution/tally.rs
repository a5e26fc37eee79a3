//! What the executions of one order add to positions and counters, and take away again.
//!
//! Input: the executions of an order as they stand, and what was made of them before. Output: the
//! difference. Invariants: an execution is counted once; totals and positions follow busts,
//! corrections and late fees both ways; what is taken away is what was added, in its currency.
//!
//! # Design
//! An execution does not keep what it added: there are a million of them, and while nothing of it
//! was restated that follows from its report. One that was restated keeps it (`FillDone::stated`),
//! and it is written down before a report or the references of the order change ([`freeze`]).

use crate::domain::compact::OneOrMany;
use crate::domain::drift::{Flow, FlowKind};
use crate::domain::execution::coin_fees::CoinFees;
use crate::domain::execution::context::Context;
use crate::domain::execution::counters::MoneyChange;
use crate::domain::execution::fills::{Amendment, Effective, Fee, Fill, Stated, standing_fee};
use crate::domain::execution::order::{Order, Standing};
use crate::domain::execution::slippage::slippage_bps;
use crate::domain::execution::terms::{Terms, TermsKey, TermsTable};
use crate::domain::ids::Currency;
use crate::domain::settings::{Instrument, Reference};
use crate::domain::symbols::SymbolKey;
use crate::domain::units::{Decimal, Price, Side};

/// What the executions of one order add to the counters this time.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Executions.
    pub(super) fills: u64,
    /// Executions busted.
    pub(super) busted: u64,
    /// Corrections.
    pub(super) corrected: u64,
    /// Change of the executed quantity; negative: taken away.
    pub(super) quantity: Decimal,
    /// Changes of money by currency.
    pub(super) money: OneOrMany<(Currency, MoneyChange)>,
    /// Slippage of single executions.
    pub(super) slippage: OneOrMany<Measured>,
}

/// Slippage of a quantity executed for a notional, in basis points by `Reference::ALL`.
#[derive(Debug)]
pub(super) struct Measured {
    quantity: Decimal,
    notional: Decimal,
    pub(super) bps: [Option<f64>; 3],
}

/// What executions are measured against: the side, and the references by `Reference::ALL`.
type Measure = (Side, [Option<Price>; 3]);

/// Moves the position by what these executions of an order are now against what they were. A fee
/// that was taken in the base of the instrument comes off what arrived, unless an adjustment told it.
pub(super) fn move_position(
    order: &mut Order,
    fills: &OneOrMany<(usize, Effective)>,
    (symbol, instrument): (SymbolKey, &Instrument),
    coin_fees: &mut CoinFees,
    context: &mut Context<'_, '_>,
) {
    let Some(side) = order.side else { return };
    for (at, effective) in fills.iter() {
        let Some(quantity) = effective.quantity else { continue };
        let amendments = order.fills.amendments();
        let fee = order.fills.all().get(*at).and_then(|fill| standing_fee(fill, amendments));
        let fee = fee.and_then(|(fee, currency)| Some((*fee, currency.as_ref()?)));
        let taken = fee.filter(|(_, currency)| {
            // Mostly it is the currency of the price.
            **currency != instrument.currency
                && context.symbols.name(symbol).is_some_and(|s| instrument.is_base(s, currency))
        });
        let taken = taken.map(|(fee, _)| fee);
        let Some(fill) = order.fills.all_mut().get_mut(*at) else { continue };
        let mut target = side.signed(quantity);
        if let Some(fee) = taken.filter(|_| !fill.done.fee_adjusted) {
            let less = target.saturating_sub(fee);
            if less != fill.done.moved && coin_fees.fill(symbol, fill.at, fee) {
                fill.done.fee_adjusted = true;
            } else {
                target = less;
            }
        }
        let change = target.saturating_sub(fill.done.moved);
        if !change.is_zero() {
            fill.done.moved = target;
            context.flows.push((symbol, flow(side, fill, change)));
        }
    }
}

/// A change of position by an execution, at its time.
pub(super) fn flow(side: Side, fill: &Fill, change: Decimal) -> Flow {
    let kind = match side {
        Side::Buy => FlowKind::Buy,
        Side::Sell => FlowKind::Sell,
    };
    Flow { time: fill.at, change, kind }
}

/// Writes down what the totals hold of each execution, before the order's references or the
/// report of an execution change: it could not be told any more. All of them are looked at again.
pub(super) fn freeze(order: &mut Order, table: &TermsTable) {
    let measure = measure_of(order);
    for fill in order.fills.all_mut() {
        if fill.done.counted && fill.done.stated.is_none() {
            let stated = table.get(fill.done.terms).map(|terms| stated(fill, measure, terms));
            fill.done.stated = stated.map(Box::new);
        }
    }
    order.done.settled = 0;
}

fn measure_of(order: &Order) -> Option<Measure> {
    order.side.zip(order.submission.as_ref().map(|_| order.references()))
}

/// What the totals hold of an execution.
fn stated(fill: &Fill, measure: Option<Measure>, terms: &Terms) -> Stated {
    let done = &fill.done;
    if let Some(stated) = &done.stated {
        return (**stated).clone();
    }
    let effective = Effective { quantity: Some(done.quantity), price: fill.price.get() };
    let fee = fill.fee.as_ref().filter(|_| done.fee).cloned();
    state(effective, fee, measure.filter(|_| done.measured), terms)
}

/// What the totals should hold of an execution.
fn state(
    effective: Effective,
    fee: Option<Fee>,
    measure: Option<Measure>,
    terms: &Terms,
) -> Stated {
    let (quantity, price) = (effective.quantity.unwrap_or_default(), effective.price);
    if quantity.is_zero() {
        return Stated { fee, ..Stated::default() };
    }
    let notional = quantity.saturating_mul(price.abs()).saturating_mul(terms.multiplier);
    let cost = measure.and_then(|measure| cost_of(quantity, price, measure, terms));
    Stated { quantity, notional, cost: cost.unwrap_or_default(), fee }
}

/// What an execution cost against the reference `expected`; negative is an improvement. None without
/// a price of either.
fn cost_of(
    quantity: Decimal,
    price: Decimal,
    (side, references): Measure,
    terms: &Terms,
) -> Option<Decimal> {
    let expected = references.get(Reference::Expected.index()).copied().flatten();
    let reference = expected.and_then(Price::known)?.get();
    Price::new(price).known()?;
    let worse = side.signed(price.saturating_sub(reference));
    Some(worse.saturating_mul(quantity).saturating_mul(terms.multiplier))
}

impl Tally {
    /// Counts what is new about these executions of an order, with these terms those that were not
    /// counted before. Synthetic ones count nowhere.
    pub(super) fn of(
        order: &mut Order,
        fills: &OneOrMany<(usize, Effective)>,
        (table, key): (&TermsTable, TermsKey),
    ) -> Self {
        let mut tally = Self::default();
        let measure = measure_of(order);
        // Most orders have none, and copying none costs nothing.
        let amendments = order.fills.amendments().to_vec();
        for (at, effective) in fills.iter() {
            let Some(fill) = order.fills.all_mut().get_mut(*at) else { continue };
            if fill.synthetic {
                continue;
            }
            let is_new = !std::mem::replace(&mut fill.done.counted, true);
            if is_new {
                tally.fills += 1;
                fill.done.terms = key;
            }
            let Some(terms) = table.get(fill.done.terms) else { continue };
            if !is_new && amendments.is_empty() && is_settled(fill, *effective, measure) {
                continue;
            }
            tally.count_amendments(fill, &amendments);
            let before = if is_new { None } else { Some(stated(fill, measure, terms)) };
            tally.measure(fill, *effective, measure);
            tally.restate(fill, (*effective, &amendments), before, (measure, terms));
        }
        tally
    }

    /// Takes away of one to be dropped, for another report of it stands, what was added for it.
    pub(super) fn without(double: &Fill, table: &TermsTable) -> Self {
        let mut tally = Self::default();
        let terms = table.get(double.done.terms);
        if let Some((stated, terms)) = double.done.stated.as_deref().zip(terms) {
            tally.take(stated, terms);
        }
        tally
    }

    /// Whether nothing is new.
    pub(super) fn is_nothing(&self) -> bool {
        self.fills == 0
            && self.busted == 0
            && self.corrected == 0
            && self.quantity.is_zero()
            && self.money.is_empty()
    }

    fn count_amendments(&mut self, fill: &mut Fill, amendments: &[Amendment]) {
        let Some(id) = fill.id.as_ref().filter(|_| !amendments.is_empty()) else { return };
        let of_fill = || amendments.iter().filter(|a| a.fill_id == *id);
        let busted = of_fill().any(|a| a.corrected.is_none());
        self.busted += u64::from(busted && !fill.done.busted);
        fill.done.busted |= busted;
        let corrected = of_fill().filter(|a| a.corrected.is_some()).count();
        let corrected = u32::try_from(corrected).unwrap_or(u32::MAX);
        self.corrected += u64::from(corrected.saturating_sub(fill.done.corrected));
        fill.done.corrected = corrected;
    }

    /// Puts what should be in the totals of an execution in the place of what is there.
    fn restate(
        &mut self,
        fill: &mut Fill,
        (effective, amendments): (Effective, &[Amendment]),
        before: Option<Stated>,
        (measure, terms): (Option<Measure>, &Terms),
    ) {
        let fee = standing_fee(fill, amendments).cloned();
        let now = state(effective, fee, measure, terms);
        if let Some(before) = before {
            if before == now {
                return;
            }
            self.take(&before, terms);
        }
        self.add(&now, terms);
        fill.done.quantity = now.quantity;
        fill.done.fee = now.fee.is_some();
        let is_as_reported = effective.price == fill.price.get()
            && (amendments.is_empty() || now.fee.is_none() || now.fee == fill.fee);
        fill.done.stated = if is_as_reported { None } else { Some(Box::new(now)) };
    }

    fn add(&mut self, stated: &Stated, terms: &Terms) {
        self.quantity = self.quantity.saturating_add(stated.quantity);
        if !stated.notional.is_zero() || !stated.cost.is_zero() {
            self.change_money(&terms.currency, |money| {
                money.notional = money.notional.saturating_add(stated.notional);
                money.add_cost(stated.cost);
            });
        }
        if let Some((fee, currency)) = &stated.fee {
            let currency = currency.as_ref().unwrap_or(&terms.currency);
            self.change_money(currency, |money| money.add_fee(*fee));
        }
    }

    fn take(&mut self, stated: &Stated, terms: &Terms) {
        self.quantity = self.quantity.saturating_sub(stated.quantity);
        self.change_money(&terms.currency, |money| {
            money.notional = money.notional.saturating_sub(stated.notional);
            money.take_cost(stated.cost);
        });
        if let Some((fee, currency)) = &stated.fee {
            let currency = currency.as_ref().unwrap_or(&terms.currency);
            self.change_money(currency, |money| money.take_fee(*fee));
        }
    }

    /// Measures one execution against the references, once.
    fn measure(&mut self, fill: &mut Fill, effective: Effective, measure: Option<Measure>) {
        let (quantity, price) = (effective.quantity.unwrap_or_default(), effective.price);
        let Some((side, references)) = measure else { return };
        // Without a price there is nothing to measure until a correction gives it.
        if fill.done.measured || quantity.is_zero() || price.is_zero() {
            return;
        }
        fill.done.measured = true;
        let Some(notional) = quantity.checked_mul(price) else { return };
        let bps = slippage_bps(side, notional, quantity, references);
        self.slippage.push(Measured { quantity, notional, bps });
    }

    /// The slippage of the whole order, if it was measured just now: most orders have one execution,
    /// and to measure it once is a third of measuring its slippage and then the order's.
    pub(super) fn slippage_of_whole(&self, standing: &Standing) -> Option<[Option<f64>; 3]> {
        let measured = self.slippage.first()?;
        let is_whole = measured.quantity.unpack() == standing.filled.unpack()
            && standing.notional.is_some_and(|n| n.unpack() == measured.notional.unpack());
        is_whole.then_some(measured.bps)
    }

    /// Changes the sums of one currency.
    fn change_money(&mut self, currency: &Currency, change: impl FnOnce(&mut MoneyChange)) {
        if let Some((_, money)) = self.money.iter_mut().find(|(known, _)| known == currency) {
            return change(money);
        }
        let mut money = MoneyChange::default();
        change(&mut money);
        self.money.push((currency.clone(), money));
    }
}

/// Whether the totals hold of an execution that was never amended what they should.
fn is_settled(fill: &Fill, effective: Effective, measure: Option<Measure>) -> bool {
    let quantity = effective.quantity.unwrap_or_default();
    fill.done.stated.is_none()
        && quantity == fill.done.quantity
        && fill.done.fee == fill.fee.is_some()
        && (fill.done.measured || measure.is_none() || quantity.is_zero())
}
