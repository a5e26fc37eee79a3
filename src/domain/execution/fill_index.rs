//! Look-ups and sums of the executions of one order, for an order that has many.
//!
//! Input: executions that enter the sums and leave them again. Output: sums, the first and the last
//! execution, the one that takes the rest, the places that changed. Invariants: entering, leaving and
//! reading are O(log n); every sum equals that of a fresh look at all executions. Deliberately absent:
//! the executions and their amendments (see `fills`); nothing here is stored.
//!
//! # Design
//! Nearly all orders have a few executions, and a fresh look at all of them is cheaper than any index.
//! So only an order with more facts than `fills::FEW_MAX` has one. `tests/fold/steps.rs` holds the
//! cost, and `tests/fold/many.rs` that both forms give the same figures.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::domain::digest::{ByDigest, digest_of};
use crate::domain::execution::amendments::{AmendedFill, AmendedFills};
use crate::domain::execution::fills::{EffectiveFill, Fill, FillSums};
use crate::domain::ids::{Currency, FillId};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, ExactTotal, Price};
use crate::domain::visits;

/// The place of an execution in the order of event time.
type PlaceInTime = (Timestamp, u32);

/// Look-ups and sums of the executions of one order.
#[derive(Clone, Debug, Default)]
pub(super) struct FillIndex {
    /// Digest of the id -> place.
    pub(super) places: ByDigest<u32>,
    /// Amendments, also of executions that have not arrived.
    pub(super) amended: AmendedFills,
    /// Executions with a quantity other than 0, and the quantity.
    explicit: BTreeMap<PlaceInTime, Decimal>,
    /// Executions without a quantity.
    rests: BTreeSet<PlaceInTime>,
    /// Executions after which nothing is left, as the venue says; busted ones left out.
    finals: BTreeSet<PlaceInTime>,
    quantity: ExactTotal,
    notional: ExactTotal,
    /// Explicit executions without a price, or without a notional.
    unpriced: usize,
    /// Explicit synthetic executions.
    synthetic: usize,
    /// Explicit executions that are final.
    explicit_finals: usize,
    /// Time of the last replace with a quantity, and the explicit quantity up to it.
    replaced: Option<(Timestamp, ExactTotal)>,
    /// Currencies of fees.
    currencies: BTreeSet<Currency>,
    /// Places of executions that changed since the order was last counted.
    changed: BTreeSet<u32>,
    /// Every execution has to be counted again.
    is_all_changed: bool,
    /// The execution that took the rest when the order was last counted.
    took_rest: Option<u32>,
}

impl FillIndex {
    /// An index without executions.
    pub(super) fn of(amended: AmendedFills) -> Self {
        Self { amended, ..Self::default() }
    }

    /// Adds an execution to the look-ups. Of several with one id, the first stays.
    pub(super) fn name(&mut self, place: u32, fill: &Fill) {
        if let Some(id) = &fill.id {
            self.places.entry(digest_of(id)).or_insert(place);
        }
        self.add_currency(fill.fee.as_ref().and_then(|(_, currency)| currency.as_ref()));
    }

    /// Adds an execution to the sums.
    pub(super) fn enter(&mut self, place: u32, fill: &Fill, effective: EffectiveFill) {
        if effective.quantity.is_some_and(|quantity| quantity.is_zero()) {
            return;
        }
        visits::search(self.explicit.len() + self.rests.len());
        let at = (fill.at, place);
        match effective.quantity {
            None => drop(self.rests.insert(at)),
            Some(quantity) => {
                self.explicit.insert(at, quantity);
                self.quantity.add(quantity);
                match notional_of(effective) {
                    Some(notional) => self.notional.add(notional),
                    None => self.unpriced += 1,
                }
                self.synthetic += usize::from(fill.synthetic);
                self.explicit_finals += usize::from(fill.is_final);
                if let Some((replaced_at, sum)) = &mut self.replaced
                    && fill.at <= *replaced_at
                {
                    sum.add(quantity);
                }
            }
        }
        if fill.is_final {
            self.finals.insert(at);
        }
    }

    /// Removes an execution from the sums, with the values that it entered with.
    pub(super) fn leave(&mut self, place: u32, fill: &Fill, effective: EffectiveFill) {
        visits::search(self.explicit.len() + self.rests.len());
        let at = (fill.at, place);
        self.finals.remove(&at);
        self.rests.remove(&at);
        let Some(quantity) = self.explicit.remove(&at) else { return };
        self.quantity.subtract(quantity);
        match notional_of(effective) {
            Some(notional) => self.notional.subtract(notional),
            None => self.unpriced -= 1,
        }
        self.synthetic -= usize::from(fill.synthetic);
        self.explicit_finals -= usize::from(fill.is_final);
        if let Some((replaced_at, sum)) = &mut self.replaced
            && fill.at <= *replaced_at
        {
            sum.subtract(quantity);
        }
    }

    /// Follows the last replace with a quantity, which only moves forward. Each execution is passed
    /// once.
    pub(super) fn replaced(&mut self, at: Timestamp) {
        let (from, mut sum) = match self.replaced {
            Some((known, _)) if known >= at => return,
            Some((known, sum)) => (Bound::Excluded((known, u32::MAX)), sum),
            None => (Bound::Unbounded, ExactTotal::default()),
        };
        for quantity in self.explicit.range((from, Bound::Included((at, u32::MAX)))) {
            visits::count(1);
            sum.add(*quantity.1);
        }
        self.replaced = Some((at, sum));
    }

    /// The explicit quantity executed up to the last replace with a quantity.
    pub(super) fn filled_by_replace(&self) -> Decimal {
        self.replaced.map_or(Decimal::ZERO, |(_, sum)| sum.saturated())
    }

    /// The sums over the explicit executions.
    pub(super) fn explicit(&self) -> FillSums {
        let time = |entry: Option<(&PlaceInTime, &Decimal)>| entry.map(|((at, _), _)| *at);
        FillSums {
            quantity: self.quantity.saturated(),
            notional: self.notional.get().filter(|_| self.unpriced == 0),
            first_at: time(self.explicit.first_key_value()),
            last_at: time(self.explicit.last_key_value()),
            synthetic: self.synthetic > 0,
            is_final: self.explicit_finals > 0,
        }
    }

    /// The place of the execution that takes the rest: the earliest without a quantity.
    pub(super) fn takes_rest(&self) -> Option<u32> {
        self.rests.first().map(|(_, place)| *place)
    }

    /// Whether an execution without a quantity is final.
    pub(super) fn is_rest_final(&self) -> bool {
        self.finals.len() > self.explicit_finals
    }

    /// The time of the last execution that is final and not busted.
    pub(super) fn last_final_at(&self) -> Option<Timestamp> {
        self.finals.last().map(|(at, _)| *at)
    }

    /// The amendments of an execution.
    pub(super) fn amended(&self, id: &FillId) -> AmendedFill {
        self.amended.get(&digest_of(id)).copied().unwrap_or_default()
    }

    /// Notes the currency of a fee.
    pub(super) fn add_currency(&mut self, currency: Option<&Currency>) {
        if let Some(currency) = currency.filter(|currency| !self.currencies.contains(*currency)) {
            self.currencies.insert(currency.clone());
        }
    }

    /// The currencies of all fees so far, each once.
    pub(super) fn currencies(&self) -> impl Iterator<Item = &Currency> {
        self.currencies.iter()
    }

    /// Notes that an execution changed.
    pub(super) fn change(&mut self, place: u32) {
        if !self.is_all_changed {
            self.changed.insert(place);
        }
    }

    /// Notes that every execution has to be counted again.
    pub(super) fn change_all(&mut self) {
        self.changed = BTreeSet::new();
        self.is_all_changed = true;
    }

    /// Notes that the order was counted.
    pub(super) fn counted(&mut self) {
        self.changed = BTreeSet::new();
        self.is_all_changed = false;
        self.took_rest = self.takes_rest();
    }

    /// The places to count, in order: those that changed, and those that took the rest before and take
    /// it now. `None` for all.
    pub(super) fn uncounted(&self) -> Option<BTreeSet<u32>> {
        if self.is_all_changed {
            return None;
        }
        let mut places = self.changed.clone();
        places.extend(self.took_rest);
        places.extend(self.takes_rest());
        Some(places)
    }
}

/// Quantity x price; `None` without a price, and out of range.
fn notional_of(effective: EffectiveFill) -> Option<Decimal> {
    let price = Price::new(effective.price).known()?;
    effective.quantity?.checked_mul(price.get())
}
