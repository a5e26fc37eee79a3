//! Lifetime counters: orders, outcomes, fills, quantities and money. None of them goes down:
//! reversals are totals of their own.

use std::collections::BTreeMap;

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::{by_word, closed_set};
use crate::domain::ids::Currency;
use crate::domain::units::{Decimal, exact, minus, plus};

closed_set! {
    /// How an order ended. If an order has several terminal facts, the outcome declared first wins.
    pub enum Outcome {
        /// F >= Q.
        Filled = "filled",
        /// Refused by the venue or broker.
        Rejected = "rejected",
        /// Cancelled, perhaps after partial fills.
        Cancelled = "cancelled",
        /// Expired, perhaps after partial fills.
        Expired = "expired",
        /// Refused by the engine's own checks: it never left.
        Denied = "denied",
    }
}

/// A total that never goes down, and a second one of reversals. The difference is the net value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Additions; only grows.
    #[serde(with = "exact")]
    pub sum: Decimal,
    /// Reversals by busts and corrections; only grows.
    #[serde(with = "exact")]
    pub reversed: Decimal,
}

impl Total {
    /// Adds a positive change, and reverses a negative one.
    pub fn change(&mut self, change: Decimal) {
        if change.is_zero() {
            return;
        }
        let part = if change.is_sign_negative() { &mut self.reversed } else { &mut self.sum };
        *part = plus(*part, change.abs());
    }

    /// Additions less reversals.
    #[must_use]
    pub fn net(&self) -> Decimal {
        self.sum.saturating_sub(self.reversed)
    }
}

/// Totals of money in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Sum of abs(price) x quantity x multiplier over fills.
    pub notional: Total,
    /// Fees paid.
    pub fees: Total,
    /// Rebates received (negative fees), as a positive sum.
    pub rebates: Total,
    /// Cost of fills that were worse than the reference `expected`.
    pub slippage_cost: Total,
    /// Gain of fills that were better than the reference `expected`, as a positive sum.
    pub price_improvement: Total,
}

/// Changes of the net values of [`Money`]; negative is a reversal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MoneyChange {
    pub(super) notional: Decimal,
    pub(super) fees: Decimal,
    pub(super) rebates: Decimal,
    pub(super) slippage_cost: Decimal,
    pub(super) price_improvement: Decimal,
}

impl Money {
    pub(super) fn change(&mut self, change: &MoneyChange) {
        self.notional.change(change.notional);
        self.fees.change(change.fees);
        self.rebates.change(change.rebates);
        self.slippage_cost.change(change.slippage_cost);
        self.price_improvement.change(change.price_improvement);
    }
}

impl MoneyChange {
    /// Adds a fee; a negative one is a rebate.
    pub(super) fn add_fee(&mut self, fee: Decimal) {
        let sum = if fee.is_sign_negative() { &mut self.rebates } else { &mut self.fees };
        *sum = plus(*sum, fee.abs());
    }

    /// Reverses [`Self::add_fee`].
    pub(super) fn take_fee(&mut self, fee: Decimal) {
        let sum = if fee.is_sign_negative() { &mut self.rebates } else { &mut self.fees };
        *sum = minus(*sum, fee.abs());
    }

    /// Adds the cost of an execution against its reference; negative is an improvement.
    pub(super) fn add_cost(&mut self, cost: Decimal) {
        let sum = self.cost_or_improvement(cost);
        *sum = plus(*sum, cost.abs());
    }

    /// Reverses [`Self::add_cost`].
    pub(super) fn take_cost(&mut self, cost: Decimal) {
        let sum = self.cost_or_improvement(cost);
        *sum = minus(*sum, cost.abs());
    }

    const fn cost_or_improvement(&mut self, cost: Decimal) -> &mut Decimal {
        if cost.is_sign_negative() { &mut self.price_improvement } else { &mut self.slippage_cost }
    }
}

/// Lifetime counters of one symbol, account, strategy or venue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Orders submitted.
    pub submitted: u64,
    /// Orders that the venue accepted.
    pub accepted: u64,
    /// Orders that ever reached each outcome; each order counts once for an outcome.
    #[serde(with = "by_word")]
    pub outcomes: EnumMap<Outcome, u64>,
    /// Orders that reached an outcome and have another one now (a fill after a cancel, a bust).
    /// `outcomes - left` is the number of orders that have the outcome now.
    #[serde(with = "by_word")]
    pub left: EnumMap<Outcome, u64>,
    /// Orders that changed their outcome, each time.
    pub outcome_changes: u64,
    /// Executions, synthetic ones left out.
    pub fills: u64,
    /// Executions busted.
    pub busted: u64,
    /// Executions corrected.
    pub corrected: u64,
    /// Orders of which more was filled than was ordered.
    pub overfills: u64,
    /// Sum of the ordered quantities, with raises by replaces.
    #[serde(with = "exact")]
    pub ordered_quantity: Decimal,
    /// Sum of the executed quantities.
    pub filled_quantity: Total,
    /// Money by currency.
    pub money: BTreeMap<Currency, Money>,
    /// Filled orders without a usable reference, by `Reference::ALL` and reason.
    pub missing_references: [MissingReferenceCount; 3],
}

impl Counters {
    /// Changes the totals of money in one currency.
    pub(super) fn change_money(&mut self, currency: &Currency, change: &MoneyChange) {
        if let Some(money) = self.money.get_mut(currency) {
            return money.change(change);
        }
        self.money.entry(currency.clone()).or_default().change(change);
    }
}

/// Filled orders without a usable reference price, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingReferenceCount {
    /// The reference was not given.
    pub absent: u64,
    /// The reference was 0, of which no fraction can be taken.
    pub zero: u64,
}
