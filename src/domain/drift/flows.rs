//! The changes of one position that the exporter saw, in the order of event time.
//!
//! Input: fills, busts and adjustments in any order of arrival. Output: sums over spans of event
//! time. Invariants: at most [`FLOWS_PER_SYMBOL_MAX`] are held, and a span that would need a dropped
//! flow is known to be incomplete. A bust or a correction downward reduces the flow of its fill. The
//! cost is that of a `FlowList`. Deliberately absent: positions (see `ledger`, `snapshot`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::flow_list::{FlowList, FlowSum, ReceivedFlow};
use crate::domain::flow::Flow;
use crate::domain::limits::FLOWS_PER_SYMBOL_MAX;
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;
use crate::domain::visits;

/// The flows of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flows {
    entries: FlowList,
    /// The latest event time among the dropped flows.
    dropped_to: Option<Timestamp>,
}

/// A running sum of flows: its value after one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunningSum {
    /// The time from which it holds.
    pub(super) time: Timestamp,
    /// The signed sum.
    pub(super) sum: Decimal,
}

impl Flows {
    /// Inserts a flow at its place in event time, after those of the same time. Returns whether the
    /// oldest one was dropped because of the bound. A flow from a time whose flows were dropped already
    /// is ignored. A reversal reduces its execution instead: no list was ever true with the reversal and
    /// without the execution.
    pub(super) fn insert(&mut self, flow: Flow, received: Timestamp) -> bool {
        if !self.is_complete_from(flow.time) || (flow.is_reversal() && self.entries.reverse(flow)) {
            return false;
        }
        self.entries.insert(ReceivedFlow { flow, received });
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
        while self.entries.first().is_some_and(is_done) {
            self.drop_oldest();
        }
    }

    /// The flows after `after` and up to `to`, inclusive.
    pub(super) fn between(&self, after: Timestamp, to: Timestamp) -> FlowSum {
        self.entries.sum(after, to)
    }

    /// The flows after `after`.
    pub(super) fn since(&self, after: Timestamp) -> FlowSum {
        self.entries.sum(after, Timestamp::MAX)
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

    /// Whether its sums equal the sum of its flows.
    pub(super) fn has_right_sums(&self) -> bool {
        self.entries.has_right_sums()
    }

    /// The sum of all flows ever; `None` if some were dropped.
    pub(super) fn whole(&self) -> Option<Decimal> {
        self.dropped_to.is_none().then(|| self.entries.total())
    }

    /// Number of flows that are held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether more than `max` flows are later than `after`.
    pub(super) fn has_more_since(&self, after: Timestamp, max: usize) -> bool {
        self.entries.has_more_since(after, max)
    }

    /// The flows within `window` of `time`, in order.
    pub(super) fn around(
        &self,
        time: Timestamp,
        window: Duration,
    ) -> impl Iterator<Item = Flow> + '_ {
        let from = self.entries.from(move |at| at < time.minus(window)).map(|e| e.flow);
        from.take_while(move |flow| flow.time <= time.plus(window))
    }

    /// Whether every flow that was seen at or after `time` is still held.
    pub(super) fn is_complete_from(&self, time: Timestamp) -> bool {
        self.dropped_to.is_none_or(|gone| gone < time)
    }

    fn from(&self, after: Timestamp) -> impl Iterator<Item = Flow> + '_ {
        self.entries.from(move |at| at <= after).map(|e| {
            visits::count(1);
            e.flow
        })
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_first() {
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

    fn any_change() -> impl Strategy<Value = i64> {
        prop_oneof![-9_i64..0, 1_i64..10]
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
            list in prop::collection::vec((0_u64..60, -9_i64..9), 0..600),
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
            let count = list.iter().filter(|f| f.time > at(a)).count();
            prop_assert_eq!(held.since(at(a)).count, count);
            prop_assert!(held.has_more_since(at(a), count.saturating_sub(1)) == (count > 0));
            prop_assert!(!held.has_more_since(at(a), count));
            let around = held.around(at(a), Duration::from_secs(2)).count();
            let near = list.iter().filter(|f| f.time.is_within(at(a), Duration::from_secs(2)));
            prop_assert_eq!(around, near.count());
        }

        /// A reversal reduces the flow that it would reduce in a plain list.
        #[test]
        fn reversals_reduce_the_first_flow_that_is_large_enough(
            list in prop::collection::vec((0_u64..3, any_change()), 0..600),
            reversals in prop::collection::vec((0_u64..3, any_change()), 0..300),
        ) {
            let mut plain: Vec<Flow> = Vec::new();
            for (time, change) in list {
                plain.push(flow(time, change));
            }
            let mut held = flows(&plain);
            plain.sort_by_key(|flow| flow.time);
            for (time, change) in reversals {
                let kind = if change < 0 { FlowKind::Buy } else { FlowKind::Sell };
                let reversal = Flow { kind, ..flow(time, change) };
                held.insert(reversal, at(0));
                let found = plain.iter().position(|f| {
                    f.time == reversal.time
                        && f.kind == kind
                        && !f.is_reversal()
                        && f.change.abs() >= reversal.change.abs()
                });
                if let Some(place) = found.filter(|_| reversal.is_reversal()) {
                    plain[place].change += reversal.change;
                    plain.retain(|flow| !flow.change.is_zero());
                } else {
                    let place = plain.partition_point(|flow| flow.time <= reversal.time);
                    plain.insert(place, reversal);
                }
            }
            let changes = |flows: &[Flow]| -> Vec<Decimal> { flows.iter().map(|f| f.change).collect() };
            let all: Vec<Flow> = held.from(Timestamp::MIN).collect();
            prop_assert_eq!(changes(&all), changes(&plain));
        }
    }
}
