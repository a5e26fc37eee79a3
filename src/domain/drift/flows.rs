//! The changes of one position that the exporter saw, in the order of event time.
//!
//! Input: fills, busts and adjustments in any order of arrival. Output: sums over spans of event
//! time. Invariants: at most [`FLOWS_PER_SYMBOL_MAX`] are held, and a span that would need one
//! that is gone is known to be incomplete. A flow in order costs O(1), a span O(its flows).
//! Deliberately absent: what a position is (see `ledger`, `snapshot`).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Flow, FlowKind};
use crate::domain::limits::FLOWS_PER_SYMBOL_MAX;
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;

/// The flows of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flows {
    entries: VecDeque<Entry>,
    /// The latest event time among those that are gone.
    gone_to: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Entry {
    flow: Flow,
    received: Timestamp,
}

/// What flowed within a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// The signed sum.
    pub(super) change: Decimal,
    /// How many flows there were.
    pub(super) count: usize,
}

/// Executed quantities, each at least 0: busted fills are netted out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Executed {
    /// Bought.
    pub(super) buy: Decimal,
    /// Sold.
    pub(super) sell: Decimal,
}

impl Span {
    fn of(flows: impl Iterator<Item = Flow>) -> Self {
        flows.fold(Self::default(), |span, flow| Self {
            change: span.change.saturating_add(flow.change),
            count: span.count + 1,
        })
    }
}

impl Flows {
    /// Takes a flow at its place in event time, behind those of the same time. Returns whether
    /// the oldest one had to go because of the bound. One from a time whose flows are gone already
    /// is of no use.
    pub(super) fn insert(&mut self, flow: Flow, received: Timestamp) -> bool {
        if !self.is_complete_from(flow.time) {
            return false;
        }
        if self.entries.len() == self.entries.capacity() {
            // By halves: there is a list for each symbol, and doubled ones are half empty.
            self.entries.reserve_exact((self.entries.len() / 2).max(4));
        }
        let entry = Entry { flow, received };
        if self.entries.back().is_some_and(|last| last.flow.time > flow.time) {
            let place = self.entries.partition_point(|e| e.flow.time <= flow.time);
            self.entries.insert(place, entry);
        } else {
            self.entries.push_back(entry);
        }
        let is_full = self.entries.len() > FLOWS_PER_SYMBOL_MAX;
        if is_full {
            self.drop_oldest();
        }
        is_full
    }

    /// Forgets what no comparison can need again: flows dated before `needed_from`, and those
    /// both dated and received before `old_before`. A flow from the future is not old.
    pub(super) fn prune(&mut self, needed_from: Option<Timestamp>, old_before: Timestamp) {
        let can_go = |Entry { flow, received }: &Entry| {
            needed_from.is_some_and(|from| flow.time < from)
                || flow.time.max(*received) < old_before
        };
        while self.entries.front().is_some_and(can_go) {
            self.drop_oldest();
        }
    }

    /// What flowed after `after` and up to `to`, inclusive.
    pub(super) fn between(&self, after: Timestamp, to: Timestamp) -> Span {
        Span::of(self.from(after).take_while(|flow| flow.time <= to))
    }

    /// What flowed after `after`.
    pub(super) fn since(&self, after: Timestamp) -> Span {
        Span::of(self.from(after))
    }

    /// What was executed within `window` of either time, in both directions.
    pub(super) fn executed_near(&self, a: Timestamp, b: Timestamp, window: Duration) -> Executed {
        let (first, last) = (a.min(b).minus(window), a.max(b).plus(window));
        let start = self.entries.partition_point(|e| e.flow.time < first);
        let near = self.entries.iter().skip(start).map(|e| e.flow);
        let near = near.take_while(|flow| flow.time <= last);
        let near =
            near.filter(|flow| flow.time.is_within(a, window) || flow.time.is_within(b, window));
        let mut executed = Executed::default();
        for flow in near {
            match flow.kind {
                FlowKind::Buy => executed.buy = executed.buy.saturating_add(flow.change),
                FlowKind::Sell => executed.sell = executed.sell.saturating_sub(flow.change),
                FlowKind::Adjustment => {}
            }
        }
        Executed { buy: executed.buy.max(Decimal::ZERO), sell: executed.sell.max(Decimal::ZERO) }
    }

    /// Whether every flow that was seen at or after `time` is still held.
    pub(super) fn is_complete_from(&self, time: Timestamp) -> bool {
        self.gone_to.is_none_or(|gone| gone < time)
    }

    fn from(&self, after: Timestamp) -> impl Iterator<Item = Flow> + '_ {
        let start = self.entries.partition_point(|e| e.flow.time <= after);
        self.entries.iter().skip(start).map(|e| e.flow)
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.gone_to = self.gone_to.max(Some(entry.flow.time));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs(1_000 + seconds))
    }

    fn flow(seconds: u64, change: i64) -> Flow {
        let kind = if change < 0 { FlowKind::Sell } else { FlowKind::Buy };
        Flow { time: at(seconds), change: Decimal::from(change), kind }
    }

    fn flows(list: &[Flow]) -> Flows {
        let mut flows = Flows::default();
        for flow in list {
            flows.insert(*flow, at(0));
        }
        flows
    }

    #[test]
    fn a_bust_takes_its_fill_out_of_what_was_executed() {
        let mut held = flows(&[flow(1, 5), flow(2, -3)]);
        let near = |held: &Flows| held.executed_near(at(1), at(2), Duration::from_secs(5));
        assert_eq!(near(&held), Executed { buy: 5.into(), sell: 3.into() });
        held.insert(Flow { change: Decimal::from(-5), ..flow(1, 5) }, at(9));
        assert_eq!(near(&held), Executed { buy: 0.into(), sell: 3.into() });
        held.insert(Flow { change: Decimal::from(3), ..flow(2, -3) }, at(9));
        assert_eq!(near(&held), Executed::default());
        assert_eq!(held.since(at(0)).change, Decimal::ZERO);
    }

    #[test]
    fn an_adjustment_moves_and_is_never_executed() {
        let held = flows(&[Flow { kind: FlowKind::Adjustment, ..flow(1, 5) }]);
        assert_eq!(held.executed_near(at(1), at(1), Duration::from_secs(5)), Executed::default());
        assert_eq!(held.between(at(0), at(1)), Span { change: 5.into(), count: 1 });
    }

    #[test]
    fn what_is_gone_is_known() {
        let mut held = flows(&[flow(1, 1), flow(2, 2), flow(3, 3)]);
        assert!(held.is_complete_from(Timestamp::MIN));
        held.prune(Some(at(2)), Timestamp::MIN);
        assert_eq!(held.since(Timestamp::MIN).count, 2, "what is dated at the bound stays");
        assert!(!held.is_complete_from(at(1)) && held.is_complete_from(at(2)));
        held.prune(None, at(3));
        assert_eq!(held.since(Timestamp::MIN).count, 1, "what is dated at the bound stays");
        held.insert(flow(4, 4), at(9));
        held.prune(None, at(9));
        assert_eq!(held.since(Timestamp::MIN).count, 1, "what was received at the bound stays");
        assert!(!held.is_complete_from(at(3)) && held.is_complete_from(at(4)));
    }

    #[test]
    fn the_oldest_goes_past_the_bound() {
        let mut held = Flows::default();
        for second in 0..FLOWS_PER_SYMBOL_MAX as u64 {
            assert!(!held.insert(flow(second, 1), at(second)));
        }
        assert!(held.insert(flow(7, 1), at(99)));
        assert_eq!(held.since(Timestamp::MIN).count, FLOWS_PER_SYMBOL_MAX);
        assert!(!held.is_complete_from(at(0)) && held.is_complete_from(at(1)));
    }

    proptest! {
        /// Any order of arrival gives the sums that a plain list gives.
        #[test]
        fn spans_are_those_of_a_plain_list(
            list in prop::collection::vec((0_u64..60, -9_i64..9), 0..40),
            (a, b) in (0_u64..60, 0_u64..60),
        ) {
            let list: Vec<Flow> = list.iter().map(|(time, change)| flow(*time, *change)).collect();
            let held = flows(&list);
            let sum = |pick: &dyn Fn(&Flow) -> bool| -> Decimal {
                list.iter().filter(|f| pick(f)).map(|f| f.change).sum()
            };
            prop_assert_eq!(
                held.between(at(a), at(b)).change,
                sum(&|f| f.time > at(a) && f.time <= at(b))
            );
            prop_assert_eq!(held.since(at(a)).change, sum(&|f| f.time > at(a)));
            let window = Duration::from_secs(5);
            let near = |f: &Flow| f.time.is_within(at(a), window) || f.time.is_within(at(b), window);
            let executed = held.executed_near(at(a), at(b), window);
            prop_assert_eq!(executed.buy, sum(&|f| near(f) && f.kind == FlowKind::Buy));
            prop_assert_eq!(executed.sell, -sum(&|f| near(f) && f.kind == FlowKind::Sell));
        }
    }
}
