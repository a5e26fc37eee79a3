//! What the executions of one order add to positions and counters.
//!
//! Input: the executions of an order as they stand, and what was made of them before. Output: the
//! difference. Invariant: what was counted is never counted again, nor taken back; positions
//! follow busts and corrections both ways.

use crate::domain::drift::{Flow, FlowKind};
use crate::domain::execution::context::Context;
use crate::domain::execution::counters::Money;
use crate::domain::execution::fills::{Amendment, Effective, Fill, Fills};
use crate::domain::execution::order::{Order, Standing};
use crate::domain::execution::slippage::slippage_bps;
use crate::domain::few::MostlyOne;
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
    /// Executed quantity.
    pub(super) quantity: Decimal,
    /// Money by currency.
    pub(super) money: MostlyOne<(Currency, Money)>,
    /// Slippage of single executions.
    pub(super) slippage: MostlyOne<Measured>,
    /// Quantity counted of executions without one of their own that turned out to be another's.
    surplus: Decimal,
}

/// Slippage of a quantity executed for a notional, in basis points by `Reference::ALL`.
#[derive(Debug)]
pub(super) struct Measured {
    quantity: Decimal,
    notional: Decimal,
    pub(super) bps: [Option<f64>; 3],
}

/// Moves the position by what these executions of an order are now against what they were.
pub(super) fn move_position(
    order: &mut Order,
    fills: &MostlyOne<(usize, Effective)>,
    symbol: SymbolKey,
    context: &mut Context<'_, '_>,
) {
    let Some(side) = order.side else { return };
    for (at, effective) in fills.iter() {
        let Some(fill) = order.fills.all_mut().get_mut(*at) else { continue };
        let Some(quantity) = effective.quantity else { continue };
        let change = quantity.saturating_sub(fill.done.moved);
        if !change.is_zero() {
            fill.done.moved = quantity;
            context.flows.push((symbol, flow(side, fill, change)));
        }
    }
}

/// The change of position by `more` of an execution; negative: less.
pub(super) fn flow(side: Side, fill: &Fill, more: Decimal) -> Flow {
    let kind = match side {
        Side::Buy => FlowKind::Buy,
        Side::Sell => FlowKind::Sell,
    };
    Flow { time: fill.at, change: side.signed(more), kind }
}

impl Tally {
    /// Counts what is new about these executions of an order. Synthetic ones count nowhere.
    pub(super) fn of(
        order: &mut Order,
        fills: &MostlyOne<(usize, Effective)>,
        instrument: &Instrument,
    ) -> Self {
        let mut tally = Self::default();
        let measure = order.side.zip(order.submission.as_ref().map(|_| order.references()));
        // Most orders have none, and copying none costs nothing.
        let amendments = order.fills.amendments().to_vec();
        let surplus = surplus(order, fills);
        tally.surplus = surplus;
        for (at, effective) in fills.iter() {
            let Some(fill) = order.fills.all_mut().get_mut(*at) else { continue };
            if fill.synthetic {
                continue;
            }
            tally.fills += u64::from(!std::mem::replace(&mut fill.done.counted, true));
            tally.count_amendments(fill, &amendments);
            tally.count_money(fill, *effective, instrument);
            if let Some((side, references)) = measure {
                tally.measure(fill, *effective, (side, references), instrument);
            }
        }
        if !surplus.is_zero() {
            hand_over(order, fills, surplus.saturating_sub(tally.surplus));
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

    /// Quantity, notional and fee, where they grew.
    fn count_money(&mut self, fill: &mut Fill, effective: Effective, instrument: &Instrument) {
        if let Some((fee, currency)) = fill.fee.as_ref().filter(|_| !fill.done.fee) {
            fill.done.fee = true;
            let currency = currency.as_ref().unwrap_or(&instrument.currency);
            self.change_money(currency, |money| money.add_fee(*fee));
        }
        let quantity = effective.quantity.unwrap_or_default();
        let mut more = quantity.saturating_sub(fill.done.quantity);
        if !more.is_zero() && more.is_sign_positive() {
            fill.done.quantity = quantity;
            if !self.surplus.is_zero() {
                let counted = more.min(self.surplus);
                self.surplus = self.surplus.saturating_sub(counted);
                more = more.saturating_sub(counted);
            }
            self.quantity = self.quantity.saturating_add(more);
            let notional = more.saturating_mul(effective.price.abs());
            let notional = notional.saturating_mul(instrument.multiplier);
            self.change_money(&instrument.currency, |money| {
                money.notional = money.notional.saturating_add(notional);
            });
        }
    }

    /// Measures one execution against the references, once; against `expected` in money too.
    fn measure(
        &mut self,
        fill: &mut Fill,
        effective: Effective,
        (side, references): (Side, [Option<Price>; 3]),
        instrument: &Instrument,
    ) {
        let (quantity, price) = (effective.quantity.unwrap_or_default(), effective.price);
        if fill.done.measured || quantity.is_zero() {
            return;
        }
        fill.done.measured = true;
        let Some(notional) = quantity.checked_mul(price) else { return };
        let bps = slippage_bps(side, notional, quantity, references);
        self.slippage.push(Measured { quantity, notional, bps });
        let expected = references.get(Reference::Expected.index()).copied().flatten();
        if let Some(reference) = expected.map(Price::get).filter(|r| !r.is_zero()) {
            let worse = side.signed(price.saturating_sub(reference));
            let cost = worse.saturating_mul(quantity).saturating_mul(instrument.multiplier);
            self.change_money(&instrument.currency, |money| money.add_cost(cost));
        }
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
    fn change_money(&mut self, currency: &Currency, change: impl FnOnce(&mut Money)) {
        if let Some((_, money)) = self.money.iter_mut().find(|(known, _)| known == currency) {
            return change(money);
        }
        let mut money = Money::default();
        change(&mut money);
        self.money.push((currency.clone(), money));
    }
}

/// What is counted of executions without a quantity of their own, and others turned out to have:
/// it is not counted again. O(1) while every execution has its own.
fn surplus(order: &Order, fills: &MostlyOne<(usize, Effective)>) -> Decimal {
    if order.fills.is_plain() {
        return Decimal::ZERO;
    }
    let surplus = fills.iter().filter_map(|(at, effective)| {
        surplus_of(&order.fills, order.fills.all().get(*at)?, *effective)
    });
    surplus.fold(Decimal::ZERO, Decimal::saturating_add)
}

/// The part of it that is counted under one execution, if any.
fn surplus_of(fills: &Fills, fill: &Fill, effective: Effective) -> Option<Decimal> {
    // A bust is counted by itself, and takes nothing back.
    let is_rest = fills.effective(fill).quantity.is_none();
    let surplus = fill.done.quantity.saturating_sub(effective.quantity?);
    (is_rest && surplus > Decimal::ZERO).then_some(surplus)
}

/// Notes that so much of the surplus is counted under other executions now.
fn hand_over(order: &mut Order, fills: &MostlyOne<(usize, Effective)>, mut handed: Decimal) {
    for (at, effective) in fills.iter() {
        if handed.is_zero() {
            return;
        }
        let fill = order.fills.all().get(*at);
        let surplus = fill.and_then(|fill| surplus_of(&order.fills, fill, *effective));
        let Some(part) = surplus.map(|surplus| surplus.min(handed)) else { continue };
        if let Some(fill) = order.fills.all_mut().get_mut(*at) {
            fill.done.quantity = fill.done.quantity.saturating_sub(part);
            handed = handed.saturating_sub(part);
        }
    }
}
