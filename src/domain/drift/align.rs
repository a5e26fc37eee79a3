//! The alignment of two lists of one symbol in time, and the moments that explain a difference.
//!
//! Input: a local and a broker book with their dates, the flows, the leaves of open orders. Output:
//! both quantities as of the newer date; and, where they differ, what [`Explained`] it. Invariants:
//! books of one time are not moved; the explanation depends only on books and flows, never on the
//! current time. Deliberately absent: judging.
//!
//! # Design
//! A difference is judged by *time*, not by traded quantity: lists are never taken at one instant, and
//! a broker's list may be older than its date. Let F(t) be the sum of the flows up to t. Then local -
//! broker = F(u) - F(v), for a moment u close to the date of the local list and a moment v up to
//! `in_flight.lag_max` before the date of the broker's. We rejected a bound on executed quantities (a
//! list may lack as much as was traded recently): depending on the bound, it reports every long
//! execution as drift, or hides every drift during one. The tests in `scenario::in_flight` hold both
//! ends.

use serde::{Deserialize, Serialize};

use super::flows::Flows;
use super::moments::{LagWindow, ListMoment, RunningSums};
use super::snapshot::Book;
use super::view::Market;
use crate::domain::settings::InFlightSettings;
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;

/// The two books of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct BookPair {
    /// The local book, or the ledger as of the broker's time.
    pub(super) local: Book,
    /// The broker's book.
    pub(super) broker: Book,
    /// The ledger stands in for a local book that never came.
    pub(super) ledger_stands_in: bool,
    /// The local book is an earlier list of the broker's that an operator adopted, so it may lag like one.
    pub(super) is_adopted: bool,
}

/// Both books at the newer of their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AlignedBooks {
    /// That time.
    pub(super) time: Timestamp,
    /// The local quantity.
    pub(super) local: Decimal,
    /// The broker's quantity.
    pub(super) broker: Decimal,
    /// Number of flows that moved the older side.
    pub(super) flows_used: usize,
    /// Whether every flow that either list may lack is still held.
    pub(super) is_complete: bool,
}

/// The explanation of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Explained {
    /// By fills: moments at which both lists were true.
    pub(super) by_fills: ByFills,
    /// Whether the rest may be unreported fills of open orders.
    pub(super) by_open_orders: bool,
}

/// Whether there are moments at which both lists were true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ByFills {
    /// There are none.
    #[default]
    Never,
    /// The closest ones are within the lags that lists may have.
    Recent(Lags),
    /// There are some, but the broker's list would lag more than it may.
    Slow(Lags),
}

/// Lags of two lists in nanoseconds: date of the list - moment at which it was true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lags {
    /// Of the local list.
    pub(super) local: i64,
    /// Of the broker's.
    pub(super) broker: i64,
}

impl Explained {
    /// No explanation is needed: both lists are true at their dates.
    pub(super) fn not_needed() -> Self {
        Self { by_fills: ByFills::Recent(Lags::default()), by_open_orders: false }
    }

    /// The lags of the lists, if there are such moments.
    pub(super) const fn lags(&self) -> Option<Lags> {
        match self.by_fills {
            ByFills::Recent(lags) | ByFills::Slow(lags) => Some(lags),
            ByFills::Never => None,
        }
    }
}

impl BookPair {
    /// Whether the local book is a list from the engine.
    pub(super) const fn is_local_list(&self) -> bool {
        !self.ledger_stands_in && !self.is_adopted
    }

    /// Whether one request brought both lists: then neither side has to be waited for.
    pub(super) const fn came_together(&self) -> bool {
        self.is_local_list() && self.local.at.request == self.broker.at.request
    }

    /// Brings the older book forward with the flows between the two times.
    pub(super) fn align(&self, flows: &Flows, rules: &InFlightSettings) -> AlignedBooks {
        let (local_at, broker_at) = (self.local.at.time, self.broker.at.time);
        let (from, time) = (local_at.min(broker_at), local_at.max(broker_at));
        let span = flows.between(from, time);
        let forward = |quantity: Decimal, at: Timestamp| {
            if at < time { quantity.saturating_add(span.change) } else { quantity }
        };
        AlignedBooks {
            time,
            local: forward(self.local.quantity, local_at),
            broker: forward(self.broker.quantity, broker_at),
            flows_used: span.count,
            is_complete: flows.is_complete_from(from.minus(rules.grace.max(rules.lag_max))),
        }
    }

    /// Whether there was no flow that either list may lack.
    pub(super) fn is_quiet(&self, flows: &Flows, rules: &InFlightSettings) -> bool {
        let (local_at, broker_at) = (self.local.at.time, self.broker.at.time);
        let first = local_at.min(broker_at).minus(rules.grace.max(rules.lag_max));
        let last = local_at.max(broker_at).plus(rules.grace.max(rules.ahead));
        flows.between(first, last).count == 0
    }

    /// The explanation of a `difference` of the lists (local - broker, not aligned). `is_tolerated` is
    /// asked whether an unexplained rest is within tolerance.
    pub(super) fn explain(
        &self,
        difference: Decimal,
        flows: &Flows,
        market: &Market,
        rules: &InFlightSettings,
        is_tolerated: impl Fn(Decimal) -> bool,
    ) -> Explained {
        let broker = LagWindow::of_broker(self.broker.at.time, rules);
        let local = if self.is_adopted {
            LagWindow::of_broker(self.local.at.time, rules)
        } else {
            LagWindow::of_engine(self.local.at.time, rules)
        };
        let course = RunningSums::around(flows, &local, &broker);
        let local = BySum::of(course.moments(&local));
        let mut by_open_orders = false;
        for moment in course.moments(&broker) {
            // local - broker = F(u) - F(v), so this is the F(u) that would explain the difference.
            let wanted = difference.saturating_add(moment.sum);
            if let Some(lag) = local.lag_at(wanted, &is_tolerated) {
                let lags = Lags { local: lag, broker: moment.lag };
                let recent = moment.is_recent;
                let by_fills = if recent { ByFills::Recent(lags) } else { ByFills::Slow(lags) };
                return Explained { by_fills, by_open_orders };
            }
            by_open_orders |= moment.is_recent
                && local.is_any_within(
                    wanted.saturating_sub(market.open_sell),
                    wanted.saturating_add(market.open_buy),
                );
        }
        Explained { by_fills: ByFills::Never, by_open_orders }
    }
}

/// Moments in the order of their sums; of equal ones the closest first.
struct BySum(Vec<ListMoment>);

impl BySum {
    fn of(mut moments: Vec<ListMoment>) -> Self {
        moments.retain(|moment| moment.is_recent);
        moments.sort_by_key(|moment| (moment.sum, moment.lag.abs()));
        Self(moments)
    }

    /// The lag of the moment with the wanted sum, or with one so close that the rest is tolerated.
    fn lag_at(&self, wanted: Decimal, is_tolerated: impl Fn(Decimal) -> bool) -> Option<i64> {
        let above = self.0.partition_point(|moment| moment.sum < wanted);
        let neighbours = [Some(above), above.checked_sub(1)].into_iter().flatten();
        let moments = neighbours.filter_map(|place| self.0.get(place));
        let nearest = moments.min_by_key(|moment| wanted.saturating_sub(moment.sum).abs())?;
        let left = wanted.saturating_sub(nearest.sum);
        (left.is_zero() || is_tolerated(left)).then_some(nearest.lag)
    }

    /// Whether any sum lies in a range, both ends inclusive.
    fn is_any_within(&self, low: Decimal, high: Decimal) -> bool {
        let first = self.0.partition_point(|moment| moment.sum < low);
        self.0.get(first).is_some_and(|moment| moment.sum <= high)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::drift::SnapshotTime;
    use crate::domain::flow::{Flow, FlowKind};

    fn at(seconds: i64) -> Timestamp {
        let seconds = u64::try_from(seconds).expect("not before the beginning");
        Timestamp::MIN.plus(Duration::from_secs(seconds))
    }

    fn book(time: i64, quantity: i64) -> Book {
        let at = SnapshotTime::new(at(time), at(time), 1);
        Book { quantity: quantity.into(), average: None, market: None, at }
    }

    /// The naive model of the definition: every half second of both windows, and every combination of
    /// the flows close to the broker's list.
    fn naive(
        flows: &[(i64, i64)],
        (local_at, local): (i64, i64),
        (broker_at, broker): (i64, i64),
        (buy, sell): (i64, i64),
    ) -> (bool, bool, bool) {
        let sum = |twice: i64| -> i64 {
            flows.iter().filter(|(time, _)| time * 2 <= twice).map(|(_, change)| change).sum()
        };
        let sums = |from: i64, to: i64| -> Vec<i64> { (from * 2..=to * 2).map(sum).collect() };
        let near: Vec<i64> = {
            let near = flows.iter().filter(|(time, _)| time.abs_diff(broker_at) <= 1);
            near.map(|(_, change)| *change).collect()
        };
        let combined = (0..1_u32 << near.len()).map(|mask| {
            let chosen = near.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
            let chosen: i64 = chosen.map(|(_, change)| change).sum();
            sum((broker_at - 1) * 2 - 1) + chosen
        });
        let locals = sums(local_at - 1, local_at + 1);
        let recent: Vec<i64> =
            sums(broker_at - 10, broker_at + 2).into_iter().chain(combined).collect();
        let slow = sums(broker_at - 60, broker_at + 2);
        let left = |of: &[i64]| -> Vec<i64> {
            let of = of.iter().flat_map(|r| locals.iter().map(move |l| l - r));
            of.map(|moved| local - broker - moved).collect()
        };
        let explained = |of: &[i64]| left(of).contains(&0);
        let by_orders = left(&recent).iter().any(|left| (-buy..=sell).contains(left));
        (explained(&recent), explained(&slow), by_orders)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn differences_are_explained_as_the_naive_model_does(
            times in prop::collection::vec((101_i64..180, -9_i64..9), 0..12),
            local in (165_i64..175, -20_i64..20),
            broker in (165_i64..175, -20_i64..20),
            (buy, sell) in (0_i64..4, 0_i64..4),
        ) {
            let mut times = times;
            // The model has no moments between flows of one instant.
            times.sort_by_key(|(time, _)| *time);
            times.dedup_by_key(|(time, _)| *time);
            let mut flows = Flows::default();
            for (time, change) in &times {
                let flow = Flow { time: at(*time), change: (*change).into(), kind: FlowKind::Adjustment };
                flows.insert(flow, at(*time));
            }
            let pair = BookPair {
                local: book(local.0, local.1),
                broker: book(broker.0, broker.1),
                ledger_stands_in: false,
                is_adopted: false,
            };
            let market =
                Market { open_buy: buy.into(), open_sell: sell.into(), ..Market::default() };
            let difference = Decimal::from(local.1 - broker.1);
            let rules = InFlightSettings::default();
            let explained = pair.explain(difference, &flows, &market, &rules, |_| false);
            let (recent, slow, by_orders) = naive(&times, local, broker, (buy, sell));
            let expect = match (recent, slow) {
                (true, _) => "recent",
                (false, true) => "slow",
                (false, false) => "never",
            };
            let got = match explained.by_fills {
                ByFills::Recent(_) => "recent",
                ByFills::Slow(_) => "slow",
                ByFills::Never => "never",
            };
            prop_assert_eq!(got, expect);
            // The search stops at fills that explain the difference, before it has looked at all leaves.
            prop_assert!(recent || explained.by_open_orders == by_orders);
        }
    }
}
