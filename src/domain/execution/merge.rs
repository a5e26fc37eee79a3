//! Merges two orders of one replace chain.
//!
//! Input: the order that a replace names, and the one that is known under its new id. Output: one order
//! with the facts of both, counted once. Invariants: merging costs what the smaller order holds, unless
//! a fact of one order concerns every execution of the other; the order that the replace names keeps its
//! submission, its age and its place in windows. Deliberately absent: whether both may be merged (see
//! `check`).

use std::sync::Arc;

use crate::domain::execution::Execution;
use crate::domain::execution::delta::OrderDelta;
use crate::domain::execution::facts::end;
use crate::domain::execution::fills::Fill;
use crate::domain::execution::order::{Order, OrderSubmission};
use crate::domain::execution::orders::{ChainIds, OrderKey};
use crate::domain::execution::tally::{FillTally, flow, freeze, measure_of};
use crate::domain::ids::OrderId;
use crate::domain::step::Step;
use crate::domain::units::Price;

/// The facts of an order that concern every one of its executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CountingBasis {
    has_symbol: bool,
    has_side: bool,
    is_submitted: bool,
    /// The reference `expected`.
    expected: Option<Price>,
}

impl CountingBasis {
    fn of(order: &Order) -> Self {
        Self {
            has_symbol: order.symbol.is_some(),
            has_side: order.side.is_some(),
            is_submitted: order.submission.is_some(),
            expected: order.submission.as_ref().and_then(OrderSubmission::expected),
        }
    }

    /// That of two orders, of which `submitted` has the submission that counts.
    fn of_both(self, other: Self, submitted: Self) -> Self {
        Self {
            has_symbol: self.has_symbol || other.has_symbol,
            has_side: self.has_side || other.has_side,
            is_submitted: self.is_submitted || other.is_submitted,
            expected: submitted.expected,
        }
    }
}

impl Execution {
    /// Files the order under `id` too, and merges the facts of the `other` order into it. Returns the
    /// place of the order from then on.
    pub(super) fn merge(
        &mut self,
        key: OrderKey,
        (other, id): (Option<OrderKey>, &OrderId),
        step: &mut Step<'_, '_>,
    ) -> OrderKey {
        let joined = other.and_then(|other| self.merge_orders(key, other, step));
        let key = joined.unwrap_or(key);
        self.orders.alias(key, id);
        key
    }

    fn merge_orders(
        &mut self,
        key: OrderKey,
        other: OrderKey,
        step: &mut Step<'_, '_>,
    ) -> Option<OrderKey> {
        let mut gone = self.take_out(other)?;
        let mut order = self.orders.take(key)?;
        let both = order.counted.outcome.and(gone.counted.outcome);
        let ids = ChainIds::of(&mut gone);
        let doubles = self.absorb(Arc::make_mut(&mut order), &mut gone);
        // A fill id that both orders had moved positions and counters twice.
        for double in doubles {
            let back = -double.counted.moved;
            if let Some((symbol, side)) = gone.symbol.zip(gone.side).filter(|_| !back.is_zero()) {
                step.flows.push((symbol, flow(side, &double, back)));
            }
            let twice = FillTally::without(&double, &self.terms);
            self.count(&gone, &OrderDelta::default(), Some(&twice), step.settings.window.fills);
        }
        self.orders.put_back(key, order);
        let joined = self.orders.join(key, (other, ids));
        if joined != key {
            self.move_entries(joined);
        }
        if let Some(outcome) = both {
            self.leave(joined, outcome);
        }
        Some(joined)
    }

    /// Moves the facts of `gone` into `order`. If both have a fill under one id, that of `order` stays
    /// and the other is returned.
    fn absorb(&self, order: &mut Order, gone: &mut Order) -> Vec<Fill> {
        let (one, other) = (CountingBasis::of(order), CountingBasis::of(gone));
        if let Some(submission) = &mut gone.submission {
            submission.of_first_id = false;
        }
        let rank = |order: &Order| order.submission.as_ref().map(OrderSubmission::rank);
        let is_of_gone = match (rank(order), rank(gone)) {
            (known, Some(joined)) => known.is_none_or(|known| joined < known),
            (_, None) => false,
        };
        let merged = one.of_both(other, if is_of_gone { other } else { one });
        let measure = measure_of(gone);
        for (part, basis) in [(&mut *order, one), (&mut *gone, other)] {
            if basis.is_submitted && basis.expected != merged.expected {
                self.restate(part);
            } else if basis != merged {
                part.count_all_again();
            }
        }
        if is_of_gone {
            order.submission = gone.submission.take();
        }
        let mut doubles = order.absorb_fills(gone);
        for double in &mut doubles {
            freeze(double, measure, &self.terms);
        }
        absorb_names(order, gone);
        doubles
    }

    /// Tells the windows that the order of their entries has another place.
    fn move_entries(&mut self, key: OrderKey) {
        let Some(order) = self.orders.take(key) else {
            impossible!("an order that was just merged is missing");
            return;
        };
        for (kind, entry) in order.counted.entries {
            if let (Some(entry), Some(scope)) = (entry, self.scope_of(&order, kind)) {
                scope.window.set_owner(entry, key.get());
            }
        }
        self.orders.put_back(key, order);
    }
}

/// Moves all facts of `gone` that are not about executions into `order`.
fn absorb_names(order: &mut Order, gone: &mut Order) {
    order.accepted_at = [order.accepted_at, gone.accepted_at].into_iter().flatten().min();
    for fact in &*gone.ends {
        end(order, fact.clone());
    }
    order.strategy_name = order.strategy_name.or(gone.strategy_name);
    order.venue_name = order.venue_name.or(gone.venue_name);
    order.venue_order_id = order.venue_order_id.take().or(gone.venue_order_id.take());
    order.symbol = order.symbol.or(gone.symbol);
    order.side = order.side.or(gone.side);
    order.strategy = order.strategy.or(gone.strategy);
    order.venue = order.venue.or(gone.venue);
    order.reject_reason = order.reject_reason.or(gone.reject_reason);
    order.is_disputed |= gone.is_disputed;
    order.counted.absorb(&gone.counted);
}
