//! The change of one order since it was last counted, and how a scope adds it to its counters.
//!
//! Input: an order whose facts changed. Output: the difference to what the counters contain of it,
//! worked out once and added to each of its scopes. Invariant: nothing is counted twice, and
//! nothing that was counted is taken back.

use crate::domain::execution::counters::Outcome;
use crate::domain::execution::order::{CountedOnce, Order, OrderState};
use crate::domain::execution::scope::ExecutionScope;
use crate::domain::execution::tally::FillTally;
use crate::domain::units::{Decimal, Price, minus, plus};

/// The change of one order since it was last counted.
#[derive(Debug, Default)]
pub(super) struct OrderDelta {
    pub(super) submitted: bool,
    pub(super) accepted: bool,
    pub(super) overfilled: bool,
    /// Increase of the ordered quantity; never negative.
    pub(super) ordered: Decimal,
    /// The references, if one is missing and this was not counted yet.
    pub(super) references: Option<[Option<Price>; 3]>,
    pub(super) outcome: Option<OutcomeChange>,
}

/// A change of outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutcomeChange {
    from: Option<Outcome>,
    to: Option<Outcome>,
    /// The order reaches `to` for the first time.
    is_first: bool,
}

impl OrderDelta {
    /// Works out what is new, and marks it as counted.
    pub(super) fn of(order: &mut Order, state: &OrderState) -> Self {
        let is_measurable = order.submission.is_some()
            && state.outcome.is_some()
            && !state.filled.is_zero()
            && !state.synthetic;
        let mut references = None;
        if is_measurable && order.counted.once.insert(CountedOnce::MissingReferences) {
            let is_usable = |price: &Option<Price>| price.is_some_and(|p| !p.get().is_zero());
            references = Some(order.references()).filter(|all| !all.iter().all(is_usable));
        }
        let counted = &mut order.counted;
        let quantity = state.quantity.unwrap_or_default();
        let mut ordered = Decimal::ZERO;
        // Most events leave the quantity alone: comparing the representation first is cheaper.
        if quantity.unpack() != counted.ordered.unpack() && quantity > counted.ordered {
            ordered = minus(quantity, counted.ordered);
            counted.ordered = quantity;
        }
        let once = &mut counted.once;
        Self {
            submitted: order.submission.is_some() && once.insert(CountedOnce::Submission),
            accepted: order.accepted_at.is_some() && once.insert(CountedOnce::Acceptance),
            overfilled: state.overfilled && once.insert(CountedOnce::Overfill),
            ordered,
            references,
            outcome: OutcomeChange::of(order, state.outcome),
        }
    }
}

impl OutcomeChange {
    fn of(order: &mut Order, to: Option<Outcome>) -> Option<Self> {
        let counted = &mut order.counted;
        let from = std::mem::replace(&mut counted.outcome, to);
        if from == to {
            return None;
        }
        let is_first = to.is_some_and(|to| counted.reached.insert(to));
        Some(Self { from, to, is_first })
    }

    /// Whether the order is rejected for the first time.
    pub(super) fn is_first_rejection(self) -> bool {
        self.is_first && self.to == Some(Outcome::Rejected)
    }
}

impl ExecutionScope {
    /// Adds the change of one order, and of its fills if there are any to look at.
    pub(super) fn count(
        &mut self,
        delta: &OrderDelta,
        executed: Option<&FillTally>,
        window_fills_max: usize,
    ) {
        let counters = &mut self.counters;
        counters.submitted += u64::from(delta.submitted);
        counters.accepted += u64::from(delta.accepted);
        counters.overfills += u64::from(delta.overfilled);
        if !delta.ordered.is_zero() {
            counters.ordered_quantity = plus(counters.ordered_quantity, delta.ordered);
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
            self.count_fills(executed, window_fills_max);
        }
        if let Some(change) = delta.outcome {
            self.count_outcome(change);
        }
    }

    fn count_fills(&mut self, executed: &FillTally, window_fills_max: usize) {
        let counters = &mut self.counters;
        counters.fills += executed.fills;
        counters.busted += executed.busted;
        counters.corrected += executed.corrected;
        counters.filled_quantity.change(executed.quantity);
        for (currency, change) in executed.money.iter() {
            counters.change_money(currency, change);
        }
        // The window counts fills that are not busted: a bust makes room for an older one.
        let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let not_busted = whole(counters.fills.saturating_sub(counters.busted));
        let fills = self.window_fills.saturating_add(whole(executed.fills));
        self.window_fills = fills.min(window_fills_max).min(not_busted);
    }

    /// Moves one order from an outcome to another.
    fn count_outcome(&mut self, OutcomeChange { from, to, is_first }: OutcomeChange) {
        let counters = &mut self.counters;
        if let Some(from) = from {
            counters.left[from] += 1;
            counters.outcome_changes += 1;
        }
        let Some(to) = to else { return };
        if is_first {
            counters.outcomes[to] += 1;
        } else {
            counters.left[to] = counters.left[to].saturating_sub(1);
        }
        match to {
            Outcome::Rejected => self.rejections_in_row = self.rejections_in_row.saturating_add(1),
            Outcome::Filled | Outcome::Cancelled | Outcome::Expired => self.rejections_in_row = 0,
            Outcome::Denied => {}
        }
    }
}
