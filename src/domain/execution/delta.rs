//! What is new about one order, and what it adds to the counters of a scope.
//!
//! Input: an order whose facts changed. Output: the difference to what was counted of it before,
//! worked out once and added to each of its scopes. Invariant: what was counted is never counted
//! again, nor taken back.

use crate::domain::execution::counters::Outcome;
use crate::domain::execution::order::{Order, Standing};
use crate::domain::execution::scope::Scope;
use crate::domain::execution::tally::Tally;
use crate::domain::units::{Decimal, Price};

/// What is new about one order.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// It was submitted.
    pub(super) submitted: bool,
    /// The venue accepted it.
    pub(super) accepted: bool,
    /// How much more was ordered; at least 0.
    pub(super) ordered: Decimal,
    /// Its references, when some are missing and not counted as that.
    pub(super) references: Option<[Option<Price>; 3]>,
    /// More was filled than was ordered.
    pub(super) overfilled: bool,
    /// Its outcome changed.
    pub(super) turn: Option<Turn>,
}

/// A change of outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    from: Option<Outcome>,
    to: Option<Outcome>,
    /// The order was not at `to` before.
    is_first: bool,
}

impl Delta {
    /// What is new, and noted as done from here on.
    pub(super) fn of(order: &mut Order, standing: &Standing) -> Self {
        let is_submitted = order.submission.is_some();
        let is_measurable = is_submitted
            && standing.outcome.is_some()
            && !standing.filled.is_zero()
            && !standing.synthetic;
        let is_missing_new = is_measurable && !order.done.references_missed;
        let is_usable = |reference: &Option<Price>| reference.is_some_and(|r| !r.get().is_zero());
        let references = is_missing_new.then(|| order.references());
        let references = references.filter(|references| !references.iter().all(is_usable));
        let done = &mut order.done;
        let quantity = standing.quantity.unwrap_or_default();
        let mut ordered = Decimal::ZERO;
        // Mostly it is what it was.
        if quantity.unpack() != done.ordered.unpack() && quantity > done.ordered {
            ordered = quantity.saturating_sub(done.ordered);
            done.ordered = quantity;
        }
        done.references_missed |= is_missing_new;
        Self {
            submitted: first(&mut done.submitted, is_submitted),
            accepted: first(&mut done.accepted, order.accepted_at.is_some()),
            ordered,
            references,
            overfilled: first(&mut done.overfilled, standing.overfilled),
            turn: Turn::of(order, standing.outcome),
        }
    }
}

impl Turn {
    fn of(order: &mut Order, to: Option<Outcome>) -> Option<Self> {
        let from = std::mem::replace(&mut order.done.outcome, to);
        if from == to {
            return None;
        }
        let arrived = to.and_then(|to| order.done.arrived.get_mut(to.index()));
        let is_first = arrived.is_some_and(|arrived| first(arrived, true));
        Some(Self { from, to, is_first })
    }

    /// Whether the order is rejected for the first time.
    pub(super) fn is_first_rejection(self) -> bool {
        self.is_first && self.to == Some(Outcome::Rejected)
    }
}

/// Whether something holds now and did not before; from here on it did.
const fn first(done: &mut bool, holds: bool) -> bool {
    let is_first = holds && !*done;
    *done |= holds;
    is_first
}

impl Scope {
    /// Counts what is new about one order, and its executions if there is any to look at.
    pub(super) fn count(
        &mut self,
        delta: &Delta,
        executed: Option<&Tally>,
        window_fills_max: usize,
    ) {
        let counters = &mut self.counters;
        counters.submitted += u64::from(delta.submitted);
        counters.accepted += u64::from(delta.accepted);
        counters.overfills += u64::from(delta.overfilled);
        if !delta.ordered.is_zero() {
            counters.ordered_quantity = counters.ordered_quantity.saturating_add(delta.ordered);
        }
        if delta.accepted {
            self.rejections_in_row = 0;
        }
        if let Some(references) = delta.references {
            for (missing, reference) in counters.missing_references.iter_mut().zip(references) {
                missing.absent += u64::from(reference.is_none());
                missing.zero += u64::from(reference.is_some_and(|r| r.get().is_zero()));
            }
        }
        if let Some(executed) = executed.filter(|executed| !executed.is_nothing()) {
            self.count_executed(executed, window_fills_max);
        }
        if let Some(turn) = delta.turn {
            self.count_turn(turn);
        }
    }

    fn count_executed(&mut self, executed: &Tally, window_fills_max: usize) {
        let counters = &mut self.counters;
        counters.fills += executed.fills;
        counters.busted += executed.busted;
        counters.corrected += executed.corrected;
        counters.filled_quantity.change(executed.quantity);
        for (currency, change) in executed.money.iter() {
            counters.change_money(currency, change);
        }
        // Of those that stand: in the place of a busted one an older one comes back.
        let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let standing = whole(counters.fills.saturating_sub(counters.busted));
        let fills = self.window_fills.saturating_add(whole(executed.fills));
        self.window_fills = fills.min(window_fills_max).min(standing);
    }

    /// Moves one order from an outcome to another.
    fn count_turn(&mut self, Turn { from, to, is_first }: Turn) {
        let counters = &mut self.counters;
        if let Some(from) = from {
            *counters.left.get_mut(from) += 1;
            counters.outcome_changes += 1;
        }
        let Some(to) = to else { return };
        if is_first {
            *counters.outcomes.get_mut(to) += 1;
        } else {
            let left = counters.left.get_mut(to);
            *left = left.saturating_sub(1);
        }
        match to {
            Outcome::Rejected => self.rejections_in_row = self.rejections_in_row.saturating_add(1),
            Outcome::Filled | Outcome::Cancelled | Outcome::Expired => self.rejections_in_row = 0,
            Outcome::Denied => {}
        }
    }
}
