//! The changes of one position that the exporter saw, in the order of event time.
//!
//! Input: fills, busts and adjustments in any order of arrival. Output: sums over spans of event
//! time. Invariants: at most [`FLOWS_PER_SYMBOL_MAX`] are held, and a span that would need a dropped
//! flow is known to be incomplete. A flow in order costs O(1), a span O(its flows). A bust or a
//! correction downward reduces the flow of its fill. Deliberately absent: positions (see `ledger`,
//! `snapshot`).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::flow::Flow;
use crate::domain::limits::FLOWS_PER_SYMBOL_MAX;
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;

/// The flows of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flows {
    entries: VecDeque<ReceivedFlow>,
    /// The latest event time among the dropped flows.
    dropped_to: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct ReceivedFlow {
    flow: Flow,
    received: Timestamp,
}

/// The flows within a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlowSum {
    /// The signed sum.
    pub(super) change: Decimal,
    /// Number of flows.
    pub(super) count: usize,
}

/// A running sum of flows: its value after one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunningSum {
    /// The time from which it holds.
    pub(super) time: Timestamp,
    /// The signed sum.
    pub(super) sum: Decimal,
}

impl FlowSum {
    fn of(flows: impl Iterator<Item = Flow>) -> Self {
        flows.fold(Self::default(), |span, flow| Self {
            change: span.change.saturating_add(flow.change),
            count: span.count + 1,
        })
    }
}

impl Flows {
    /// Inserts a flow at its place in event time, after those of the same time. Returns whether the
    /// oldest one was dropped because of the bound. A flow from a time whose flows were dropped already
    /// is ignored. A reversal reduces its execution instead: no list was ever true with the reversal and
    /// without the execution.
    pub(super) fn insert(&mut self, flow: Flow, received: Timestamp) -> bool {
        if !self.is_complete_from(flow.time) || (flow.is_reversal() && self.reverse(flow)) {
            return false;
        }
        if self.entries.len() == self.entries.capacity() {
            // Grow by half: there is a list for each symbol, and lists that double are half empty.
            self.entries.reserve_exact((self.entries.len() / 2).max(4));
        }
        let entry = ReceivedFlow { flow, received };
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

    /// Drops flows that no comparison can need again: those dated before `needed_from`, and those both
    /// dated and received before `old_before`. A flow from the future is not old.
    pub(super) fn prune(&mut self, needed_from: Option<Timestamp>, old_before: Timestamp) {
        let is_done = |ReceivedFlow { flow, received }: &ReceivedFlow| {
            needed_from.is_some_and(|from| flow.time < from)
                || flow.time.max(*received) < old_before
        };
        while self.entries.front().is_some_and(is_done) {
            self.drop_oldest();
        }
    }

    /// The flows after `after` and up to `to`, inclusive.
    pub(super) fn between(&self, after: Timestamp, to: Timestamp) -> FlowSum {
        FlowSum::of(self.from(after).take_while(|flow| flow.time <= to))
    }

    /// The flows after `after`.
    pub(super) fn since(&self, after: Timestamp) -> FlowSum {
        FlowSum::of(self.from(after))
    }

    /// The running sums after `after` and up to `to`, inclusive: first 0 at `after`, then one after each
    /// flow, in the order of their times.
    pub(super) fn running(&self, after: Timestamp, to: Timestamp) -> Vec<RunningSum> {
        let first = RunningSum { time: after, sum: Decimal::ZERO };
        let flows = self.from(after).take_while(|flow| flow.time <= to);
        let sums = flows.scan(Decimal::ZERO, |sum, flow| {
            *sum = sum.saturating_add(flow.change);
            Some(RunningSum { time: flow.time, sum: *sum })
        });
        std::iter::once(first).chain(sums).collect()
    }

    /// Number of flows after `after`. O(log n).
    pub(super) fn count_since(&self, after: Timestamp) -> usize {
        self.entries.len() - self.entries.partition_point(|e| e.flow.time <= after)
    }

    /// The flows within `window` of `time`, in order.
    pub(super) fn around(
        &self,
        time: Timestamp,
        window: Duration,
    ) -> impl Iterator<Item = Flow> + '_ {
        let start = self.entries.partition_point(|e| e.flow.time < time.minus(window));
        let from = self.entries.iter().skip(start).map(|e| e.flow);
        from.take_while(move |flow| flow.time <= time.plus(window))
    }

    /// Whether every flow that was seen at or after `time` is still held.
    pub(super) fn is_complete_from(&self, time: Timestamp) -> bool {
        self.dropped_to.is_none_or(|gone| gone < time)
    }

    fn from(&self, after: Timestamp) -> impl Iterator<Item = Flow> + '_ {
        let start = self.entries.partition_point(|e| e.flow.time <= after);
        self.entries.iter().skip(start).map(|e| e.flow)
    }

    /// Reduces an execution by its bust or correction downward. Returns whether the execution was found.
    fn reverse(&mut self, reversal: Flow) -> bool {
        let first = self.entries.partition_point(|e| e.flow.time < reversal.time);
        let same_time = self.entries.iter_mut().enumerate().skip(first);
        let mut same_time = same_time.take_while(|(_, e)| e.flow.time == reversal.time);
        let is_of = |flow: &Flow| {
            flow.kind == reversal.kind
                && !flow.is_reversal()
                && flow.change.abs() >= reversal.change.abs()
        };
        let Some((place, entry)) = same_time.find(|(_, e)| is_of(&e.flow)) else { return false };
        entry.flow.change = entry.flow.change.saturating_add(reversal.change);
        if entry.flow.change.is_zero() {
            self.entries.remove(place);
        }
        true
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.dropped_to = self.dropped_to.max(Some(entry.flow.time));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::flow::FlowKind;

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

    fn sums(held: &Flows, after: u64, to: u64) -> Vec<i64> {
        let running = held.running(at(after), at(to));
        running.iter().map(|running| i64::try_from(running.sum).expect("small")).collect()
    }

    #[test]
    fn a_reversal_reduces_its_fill() {
        let mut held = flows(&[flow(1, 5), flow(1, 7), flow(2, -3)]);
        let back = |seconds, change: i64, kind| Flow {
            change: Decimal::from(change),
            kind,
            ..flow(seconds, 1)
        };
        assert_eq!(sums(&held, 0, 2), [0, 5, 12, 9]);
        held.insert(back(1, -7, FlowKind::Buy), at(9));
        assert_eq!(sums(&held, 0, 2), [0, 5, 2], "busted");
        held.insert(back(2, 1, FlowKind::Sell), at(9));
        assert_eq!(sums(&held, 0, 2), [0, 5, 3], "corrected downward");
        held.insert(back(2, 9, FlowKind::Sell), at(9));
        assert_eq!(sums(&held, 0, 2), [0, 5, 3, 12], "its execution is not held");
        assert_eq!(held.between(at(0), at(1)), FlowSum { change: 5.into(), count: 1 });
    }

    #[test]
    fn dropped_flows_are_known() {
        let mut held = flows(&[flow(1, 1), flow(2, 2), flow(3, 3)]);
        assert!(held.is_complete_from(Timestamp::MIN));
        held.prune(Some(at(2)), Timestamp::MIN);
        assert_eq!(held.since(Timestamp::MIN).count, 2, "a flow dated at the bound is kept");
        assert!(!held.is_complete_from(at(1)) && held.is_complete_from(at(2)));
        held.prune(None, at(3));
        assert_eq!(held.since(Timestamp::MIN).count, 1, "a flow dated at the bound is kept");
        held.insert(flow(4, 4), at(9));
        held.prune(None, at(9));
        assert_eq!(held.since(Timestamp::MIN).count, 1, "a flow received at the bound is kept");
        assert!(!held.is_complete_from(at(3)) && held.is_complete_from(at(4)));
    }

    #[test]
    fn the_oldest_flow_is_dropped_past_the_bound() {
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
            let running = held.running(at(a), at(b));
            let last = running.last().map(|running| running.sum);
            prop_assert_eq!(last, Some(sum(&|f| f.time > at(a) && f.time <= at(b))));
            prop_assert_eq!(held.count_since(at(a)), list.iter().filter(|f| f.time > at(a)).count());
        }
    }
}
