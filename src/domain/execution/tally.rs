//! Additions of the executions of one order to positions and counters, and their reversal.
//!
//! Input: the executions of an order after their amendments, and the counted part of each. Output:
//! the difference. Invariants: an execution is counted once; totals and positions follow busts,
//! corrections and late fees in both directions; a reversal subtracts exactly the amounts that were
//! added, in their currency.
//!
//! # Design
//! An execution does not store the amounts that it added: there may be a million executions, and
//! while nothing was amended the amounts follow from its report. An amended execution stores them
//! (`CountedFill::amounts`). [`freeze_all`] stores them before a report or the references of the order
//! change, because they could not be derived afterwards. `tests/fold/restating.rs` holds this.

use crate::domain::compact::OneOrMany;
use crate::domain::execution::amendments::AmendedFill;
use crate::domain::execution::coin_fees::CoinFees;
use crate::domain::execution::counters::MoneyChange;
use crate::domain::execution::fills::{EffectiveFill, Fee, Fill, FillAmounts, FillStep};
use crate::domain::execution::order::{Order, OrderState};
use crate::domain::execution::slippage::slippage_bps;
use crate::domain::execution::terms::{FillTerms, TermsKey, TermsTable};
use crate::domain::flow::{Flow, FlowKind};
use crate::domain::ids::Currency;
use crate::domain::settings::{Instrument, Reference};
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::units::{Decimal, Price, Side, checked_times, minus, plus, times};
use crate::domain::visits;

/// The amendments of one execution, and its fee after them.
struct AmendedTerms {
    sum: AmendedFill,
    fee: Option<Fee>,
}

impl AmendedTerms {
    fn of(order: &Order, place: usize) -> Option<Self> {
        let fill = order.fills.all().get(place)?;
        let sum = order.fills.amended(fill.id.as_ref());
        Some(Self { sum, fee: order.fills.amendments().fee(fill.fee.as_ref(), sum).cloned() })
    }
}

/// Additions of the executions of one order to the counters; negative amounts are reversals.
#[derive(Debug, Default)]
pub(super) struct FillTally {
    /// Executions counted for the first time.
    pub(super) fills: u64,
    /// Executions busted.
    pub(super) busted: u64,
    /// Corrections.
    pub(super) corrected: u64,
    /// Change of the executed quantity.
    pub(super) quantity: Decimal,
    /// Changes of money by currency.
    pub(super) money: OneOrMany<(Currency, MoneyChange)>,
    /// Slippage of single executions, measured for the first time.
    pub(super) slippage: OneOrMany<MeasuredSlippage>,
}

/// Slippage of a quantity executed for a notional, in basis points by `Reference::ALL`.
#[derive(Debug)]
pub(super) struct MeasuredSlippage {
    quantity: Decimal,
    notional: Decimal,
    pub(super) bps: [Option<f64>; 3],
}

/// The basis that slippage is measured against: the side, and the references by `Reference::ALL`.
pub(super) type SlippageBasis = (Side, [Option<Price>; 3]);

/// Moves the position from the counted state of these executions to their present one. A fee in the
/// base currency of the instrument reduces the quantity that arrived, unless an adjustment of the
/// position reported it too.
pub(super) fn move_position(
    order: &mut Order,
    fills: &OneOrMany<(usize, EffectiveFill)>,
    (symbol, instrument): (SymbolKey, &Instrument),
    coin_fees: &mut CoinFees,
    step: &mut Step<'_, '_>,
) {
    let Some(side) = order.side else { return };
    for (at, effective) in fills.iter() {
        let Some(quantity) = effective.quantity else { continue };
        let fee = order.fills.all().get(*at).and_then(|fill| order.fills.fee(fill));
        let fee = fee.and_then(|(fee, currency)| Some((*fee, currency.as_ref()?)));
        let taken = fee.filter(|(_, currency)| {
            // Usually the fee is in the currency of the price: check that first.
            **currency != instrument.currency
                && step.symbols.name(symbol).is_some_and(|s| instrument.is_base(s, currency))
        });
        let taken = taken.map(|(fee, _)| fee);
        let Some(fill) = order.fills.all_mut().get_mut(*at) else {
            impossible!("a fill that was just listed is missing");
            continue;
        };
        let mut target = side.signed(quantity);
        if let Some(fee) = taken.filter(|_| !fill.counted.steps.contains(FillStep::FeeAdjusted)) {
            let less = minus(target, fee);
            if less != fill.counted.moved && coin_fees.fill(symbol, fill.at, fee) {
                fill.counted.steps.insert(FillStep::FeeAdjusted);
            } else {
                target = less;
            }
        }
        let change = minus(target, fill.counted.moved);
        if !change.is_zero() {
            fill.counted.moved = target;
            step.flows.push((symbol, flow(side, fill, change)));
        }
    }
}

/// A change of position by an execution, at the time of the execution.
pub(super) fn flow(side: Side, fill: &Fill, change: Decimal) -> Flow {
    let kind = match side {
        Side::Buy => FlowKind::Buy,
        Side::Sell => FlowKind::Sell,
    };
    Flow { time: fill.at, change, kind }
}

/// Stores the amounts of each execution in the totals, before the references of the order change:
/// afterwards they could not be derived. Every execution is looked at again.
pub(super) fn freeze_all(order: &mut Order, table: &TermsTable) {
    let measure = measure_of(order);
    visits::count(order.fills.len());
    for fill in order.fills.all_mut() {
        freeze(fill, measure, table);
    }
    order.count_all_again();
}

/// Stores the amounts of the execution at a place in the totals, before its report changes. It is
/// looked at again.
pub(super) fn freeze_one(order: &mut Order, place: usize, table: &TermsTable) {
    let measure = measure_of(order);
    if let Some(fill) = order.fills.all_mut().get_mut(place) {
        freeze(fill, measure, table);
    }
    order.counted.fills = 0;
}

/// Stores the amounts of an execution in the totals.
pub(super) fn freeze(fill: &mut Fill, measure: Option<SlippageBasis>, table: &TermsTable) {
    if fill.counted.steps.contains(FillStep::Counted) && fill.counted.amounts.is_none() {
        let amounts = table.get(fill.counted.terms);
        let amounts = amounts.map(|terms| counted_amounts(fill, measure, terms));
        fill.counted.amounts = amounts.map(Box::new);
    }
}

/// The basis that the slippage of an order's executions is measured against; `None` before its
/// submission, and without a side.
pub(super) fn measure_of(order: &Order) -> Option<SlippageBasis> {
    order.side.zip(order.submission.as_ref().map(|_| order.references()))
}

/// The amounts of an execution that the totals contain.
fn counted_amounts(fill: &Fill, measure: Option<SlippageBasis>, terms: &FillTerms) -> FillAmounts {
    let counted = &fill.counted;
    if let Some(amounts) = &counted.amounts {
        return (**amounts).clone();
    }
    let effective = EffectiveFill { quantity: Some(counted.quantity), price: fill.price.get() };
    let fee = fill.fee.as_ref().filter(|_| counted.steps.contains(FillStep::FeeCounted)).cloned();
    present_amounts(
        effective,
        fee,
        measure.filter(|_| counted.steps.contains(FillStep::Measured)),
        terms,
    )
}

/// The amounts of an execution that the totals should contain.
fn present_amounts(
    effective: EffectiveFill,
    fee: Option<Fee>,
    measure: Option<SlippageBasis>,
    terms: &FillTerms,
) -> FillAmounts {
    let (quantity, price) = (effective.quantity.unwrap_or_default(), effective.price);
    if quantity.is_zero() {
        return FillAmounts { fee, ..FillAmounts::default() };
    }
    let notional = times(times(quantity, price.abs()), terms.multiplier);
    let cost = measure.and_then(|measure| cost_of(quantity, price, measure, terms));
    FillAmounts { quantity, notional, cost: cost.unwrap_or_default(), fee }
}

/// The cost of an execution against the reference `expected`; negative is an improvement. `None`
/// without a price of either.
fn cost_of(
    quantity: Decimal,
    price: Decimal,
    (side, references): SlippageBasis,
    terms: &FillTerms,
) -> Option<Decimal> {
    let expected = references.get(Reference::Expected.index()).copied().flatten();
    let reference = expected.and_then(Price::known)?.get();
    Price::new(price).known()?;
    let worse = side.signed(minus(price, reference));
    Some(times(times(worse, quantity), terms.multiplier))
}

impl FillTally {
    /// Counts the changes of these executions of an order. New executions get the terms `key`.
    /// Synthetic ones are not counted.
    pub(super) fn of(
        order: &mut Order,
        fills: &OneOrMany<(usize, EffectiveFill)>,
        (table, key): (&TermsTable, TermsKey),
    ) -> Self {
        let mut tally = Self::default();
        let measure = measure_of(order);
        let is_amended = !order.fills.amendments().all().is_empty();
        for (at, effective) in fills.iter() {
            // Copied, because the fills are borrowed mutably below. Most orders have no amendments.
            let amended = if is_amended { AmendedTerms::of(order, *at) } else { None };
            let Some(fill) = order.fills.all_mut().get_mut(*at) else {
                impossible!("a fill that was just listed is missing");
                continue;
            };
            if fill.synthetic {
                continue;
            }
            let is_new = fill.counted.steps.insert(FillStep::Counted);
            if is_new {
                tally.fills += 1;
                fill.counted.terms = key;
            }
            let Some(terms) = table.get(fill.counted.terms) else {
                impossible!("the terms of a fill are missing");
                continue;
            };
            if !is_new && !is_amended && is_counted(fill, *effective, measure) {
                continue;
            }
            if let Some(amended) = &amended {
                tally.count_amendments(fill, amended.sum);
            }
            let before = if is_new { None } else { Some(counted_amounts(fill, measure, terms)) };
            tally.measure(fill, *effective, measure);
            tally.restate(fill, (*effective, amended), before, (measure, terms));
        }
        tally
    }

    /// Reverses an execution that is dropped, because another report of it is kept.
    pub(super) fn without(double: &Fill, table: &TermsTable) -> Self {
        let mut tally = Self::default();
        let terms = table.get(double.counted.terms);
        if let Some((amounts, terms)) = double.counted.amounts.as_deref().zip(terms) {
            tally.reverse(amounts, terms);
        }
        tally
    }

    /// Whether no counter changes.
    pub(super) fn is_nothing(&self) -> bool {
        self.fills == 0
            && self.busted == 0
            && self.corrected == 0
            && self.quantity.is_zero()
            && self.money.is_empty()
    }

    fn count_amendments(&mut self, fill: &mut Fill, amended: AmendedFill) {
        let busted = amended.is_busted;
        self.busted += u64::from(busted && fill.counted.steps.insert(FillStep::BustCounted));
        self.corrected += u64::from(amended.corrections.saturating_sub(fill.counted.corrected));
        fill.counted.corrected = amended.corrections;
    }

    /// Replaces the amounts of an execution in the totals by the present ones.
    fn restate(
        &mut self,
        fill: &mut Fill,
        (effective, amended): (EffectiveFill, Option<AmendedTerms>),
        before: Option<FillAmounts>,
        (measure, terms): (Option<SlippageBasis>, &FillTerms),
    ) {
        let is_amended = amended.is_some();
        let fee = amended.map_or_else(|| fill.fee.clone(), |amended| amended.fee);
        let now = present_amounts(effective, fee, measure, terms);
        if let Some(before) = before {
            if before == now {
                return;
            }
            self.reverse(&before, terms);
        }
        self.add(&now, terms);
        fill.counted.quantity = now.quantity;
        if now.fee.is_some() {
            fill.counted.steps.insert(FillStep::FeeCounted);
        } else {
            fill.counted.steps.remove(FillStep::FeeCounted);
        }
        let is_as_reported = effective.price == fill.price.get()
            && (!is_amended || now.fee.is_none() || now.fee == fill.fee);
        fill.counted.amounts = if is_as_reported { None } else { Some(Box::new(now)) };
    }

    fn add(&mut self, amounts: &FillAmounts, terms: &FillTerms) {
        self.quantity = plus(self.quantity, amounts.quantity);
        if !amounts.notional.is_zero() || !amounts.cost.is_zero() {
            self.change_money(&terms.currency, |money| {
                money.notional = plus(money.notional, amounts.notional);
                money.add_cost(amounts.cost);
            });
        }
        if let Some((fee, currency)) = &amounts.fee {
            let currency = currency.as_ref().unwrap_or(&terms.currency);
            self.change_money(currency, |money| money.add_fee(*fee));
        }
    }

    fn reverse(&mut self, amounts: &FillAmounts, terms: &FillTerms) {
        self.quantity = minus(self.quantity, amounts.quantity);
        self.change_money(&terms.currency, |money| {
            money.notional = minus(money.notional, amounts.notional);
            money.take_cost(amounts.cost);
        });
        if let Some((fee, currency)) = &amounts.fee {
            let currency = currency.as_ref().unwrap_or(&terms.currency);
            self.change_money(currency, |money| money.take_fee(*fee));
        }
    }

    /// Measures the slippage of one execution, once.
    fn measure(
        &mut self,
        fill: &mut Fill,
        effective: EffectiveFill,
        measure: Option<SlippageBasis>,
    ) {
        let (quantity, price) = (effective.quantity.unwrap_or_default(), effective.price);
        let Some((side, references)) = measure else { return };
        // An execution without a price is measured when a correction adds the price.
        if quantity.is_zero() || price.is_zero() || !fill.counted.steps.insert(FillStep::Measured) {
            return;
        }
        let Some(notional) = checked_times(quantity, price) else { return };
        let bps = slippage_bps(side, notional, quantity, references);
        self.slippage.push(MeasuredSlippage { quantity, notional, bps });
    }

    /// The slippage of the whole order, if it has one execution and that was just measured: most
    /// orders do, and their slippage is then computed once. Hot path: guarded by
    /// benches/instructions.
    pub(super) fn slippage_of_whole(&self, state: &OrderState) -> Option<[Option<f64>; 3]> {
        let measured = self.slippage.first()?;
        let is_whole = measured.quantity.unpack() == state.filled.unpack()
            && state.notional.is_some_and(|n| n.unpack() == measured.notional.unpack());
        is_whole.then_some(measured.bps)
    }

    fn change_money(&mut self, currency: &Currency, change: impl FnOnce(&mut MoneyChange)) {
        if let Some((_, money)) = self.money.iter_mut().find(|(known, _)| known == currency) {
            return change(money);
        }
        let mut money = MoneyChange::default();
        change(&mut money);
        self.money.push((currency.clone(), money));
    }
}

/// Whether the totals contain the present amounts of an execution that was never amended.
fn is_counted(fill: &Fill, effective: EffectiveFill, measure: Option<SlippageBasis>) -> bool {
    let quantity = effective.quantity.unwrap_or_default();
    let counted = &fill.counted;
    counted.amounts.is_none()
        && quantity == counted.quantity
        && counted.steps.contains(FillStep::FeeCounted) == fill.fee.is_some()
        && (counted.steps.contains(FillStep::Measured) || measure.is_none() || quantity.is_zero())
}
