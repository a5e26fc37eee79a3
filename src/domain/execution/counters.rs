//! What is counted for ever: orders, outcomes, fills, quantities and money. Nothing goes down: what
//! is taken away is a total of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::Currency;
use crate::domain::units::{Decimal, exact};

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// F >= Q.
    Filled,
    /// Refused by the venue or broker.
    Rejected,
    /// Cancelled, perhaps after partial fills.
    Cancelled,
    /// Expired, perhaps after partial fills.
    Expired,
    /// Refused by the engine's own checks: it never left.
    Denied,
}

impl Outcome {
    /// All outcomes; of several ends of one order the first of these stands.
    pub const ALL: [Self; 5] =
        [Self::Filled, Self::Rejected, Self::Cancelled, Self::Expired, Self::Denied];

    /// Place in [`Self::ALL`]; the lower, the stronger.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Filled => 0,
            Self::Rejected => 1,
            Self::Cancelled => 2,
            Self::Expired => 3,
            Self::Denied => 4,
        }
    }

    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Denied => "denied",
        }
    }
}

/// One number for each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByOutcome {
    /// Filled completely.
    pub filled: u64,
    /// Rejected by the venue or broker.
    pub rejected: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Expired.
    pub expired: u64,
    /// Denied by the engine.
    pub denied: u64,
}

impl ByOutcome {
    /// The number of one outcome.
    #[must_use]
    pub const fn get(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Filled => self.filled,
            Outcome::Rejected => self.rejected,
            Outcome::Cancelled => self.cancelled,
            Outcome::Expired => self.expired,
            Outcome::Denied => self.denied,
        }
    }

    /// The number of one outcome, to change it.
    pub const fn get_mut(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Filled => &mut self.filled,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Expired => &mut self.expired,
            Outcome::Denied => &mut self.denied,
        }
    }
}

/// A total that never goes down, and beside it what was taken away again: the difference of the two
/// is what stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Everything that was ever added; only grows.
    #[serde(with = "exact")]
    pub sum: Decimal,
    /// What busts and corrections took away; only grows.
    #[serde(with = "exact")]
    pub reversed: Decimal,
}

impl Total {
    /// Adds what is more; what is less is taken away.
    pub fn change(&mut self, change: Decimal) {
        if change.is_zero() {
            return;
        }
        let part = if change.is_sign_negative() { &mut self.reversed } else { &mut self.sum };
        *part = part.saturating_add(change.abs());
    }

    /// What stands.
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
    /// What fills cost against the reference `expected`, where they were worse.
    pub slippage_cost: Total,
    /// What fills saved against the reference `expected`, where they were better.
    pub price_improvement: Total,
}

/// By how much the sums of money in one currency that stand change; negative: less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoneyChange {
    /// Of the notional.
    pub notional: Decimal,
    /// Of the fees.
    pub fees: Decimal,
    /// Of the rebates.
    pub rebates: Decimal,
    /// Of the cost against the reference `expected`.
    pub slippage_cost: Decimal,
    /// Of the improvement against it.
    pub price_improvement: Decimal,
}

impl Money {
    /// Adds what is more, and takes away what is less.
    pub fn change(&mut self, change: &MoneyChange) {
        self.notional.change(change.notional);
        self.fees.change(change.fees);
        self.rebates.change(change.rebates);
        self.slippage_cost.change(change.slippage_cost);
        self.price_improvement.change(change.price_improvement);
    }
}

impl MoneyChange {
    /// Adds a fee; a negative one is a rebate.
    pub fn add_fee(&mut self, fee: Decimal) {
        let sum = if fee.is_sign_negative() { &mut self.rebates } else { &mut self.fees };
        *sum = sum.saturating_add(fee.abs());
    }

    /// Takes a fee away again.
    pub fn take_fee(&mut self, fee: Decimal) {
        let sum = if fee.is_sign_negative() { &mut self.rebates } else { &mut self.fees };
        *sum = sum.saturating_sub(fee.abs());
    }

    /// Adds what an execution cost against its reference; negative is an improvement.
    pub fn add_cost(&mut self, cost: Decimal) {
        let sum = self.cost_or_improvement(cost);
        *sum = sum.saturating_add(cost.abs());
    }

    /// Takes such a cost away again.
    pub fn take_cost(&mut self, cost: Decimal) {
        let sum = self.cost_or_improvement(cost);
        *sum = sum.saturating_sub(cost.abs());
    }

    const fn cost_or_improvement(&mut self, cost: Decimal) -> &mut Decimal {
        if cost.is_sign_negative() { &mut self.price_improvement } else { &mut self.slippage_cost }
    }
}

/// What is counted of one symbol, account, strategy or venue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Orders submitted.
    pub submitted: u64,
    /// Orders that the venue accepted.
    pub accepted: u64,
    /// First arrivals of orders at each outcome.
    pub outcomes: ByOutcome,
    /// Orders that arrived at an outcome once and stand elsewhere now (a fill after a cancel, a
    /// bust): `outcomes - left` is the number of orders that stand at the outcome.
    pub left: ByOutcome,
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
    pub missing_references: [MissingReference; 3],
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

/// Why a slippage has no sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingReference {
    /// The reference was not given.
    pub absent: u64,
    /// The reference was 0, of which no fraction can be taken.
    pub zero: u64,
}
