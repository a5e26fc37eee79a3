//! Two lists of one symbol brought to one time, and the moments that explain what differs.
//!
//! Input: a local and a broker book with their dates, the flows, the leaves of open orders. Output:
//! both quantities as of the newer date; and, where they differ, what [`Explained`] it. Invariants:
//! books of one time are not moved; the same books and flows are explained alike, whatever time it
//! is. Deliberately absent: judging.
//!
//! # Design
//! A difference is judged against *when*, not against how much is traded: lists are never taken at
//! one instant, and a broker's list may be older than its date. Let F(t) be what the flows had added
//! up to by t. Then local - broker = F(u) - F(v), for a moment u close to the date of the local list
//! and a moment v up to `in_flight.lag_max` before the date of the broker's. A window on executed
//! quantities instead (as much as was traded lately may be missing) calls every long execution drift
//! or hides everything behind it; `scenario::in_flight` and `scenario::flow` hold both ends.

use serde::{Deserialize, Serialize};

use super::Market;
use super::flows::Flows;
use super::moments::{Course, Moment, Window};
use super::snapshot::Book;
use crate::domain::settings::InFlightSettings;
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// What local says, or the ledger as of the broker's time.
    pub(super) local: Book,
    /// What the broker says.
    pub(super) broker: Book,
    /// The ledger stands in for a local book that never came.
    pub(super) ledger_stands_in: bool,
    /// The local book is an earlier list of the broker's that an operator adopted: it lags as such.
    pub(super) is_adopted: bool,
}

/// Both books at the newer of their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aligned {
    /// That time.
    pub(super) time: Timestamp,
    /// The local quantity.
    pub(super) local: Decimal,
    /// The broker's quantity.
    pub(super) broker: Decimal,
    /// How many flows moved the older side.
    pub(super) flows_used: usize,
    /// Whether every flow is still held that either list may lack.
    pub(super) is_complete: bool,
}

/// What explains a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Explained {
    /// Moments at which the lists were true.
    pub(super) by_fills: ByFills,
    /// What is left may be fills of open orders that nobody told yet.
    pub(super) by_open_orders: bool,
}

/// Whether there are moments at which both lists were true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ByFills {
    /// There is none.
    #[default]
    Never,
    /// The closest are as far from the dates of the lists as they may be.
    Recent(Lags),
    /// The broker's list would be older than it may be.
    Slow(Lags),
}

/// Dates of two lists - moments at which they were true, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lags {
    /// Of the local list.
    pub(super) local: i64,
    /// Of the broker's.
    pub(super) broker: i64,
}

impl Explained {
    /// Nothing has to be explained: both lists are true at their dates.
    pub(super) fn not_needed() -> Self {
        Self { by_fills: ByFills::Recent(Lags::default()), by_open_orders: false }
    }

    /// By how much the lists lag, if there are such moments.
    pub(super) const fn lags(&self) -> Option<Lags> {
        match self.by_fills {
            ByFills::Recent(lags) | ByFills::Slow(lags) => Some(lags),
            ByFills::Never => None,
        }
    }
}

impl Pair {
    /// Whether the engine itself made the local book.
    pub(super) const fn is_local_list(&self) -> bool {
        !self.ledger_stands_in && !self.is_adopted
    }

    /// Whether one request brought both lists: then each side has had its say.
    pub(super) const fn came_together(&self) -> bool {
        self.is_local_list() && self.local.at.request == self.broker.at.request
    }

    /// Brings the older book forward with the flows between the two times.
    pub(super) fn align(&self, flows: &Flows, rules: &InFlightSettings) -> Aligned {
        let (local_at, broker_at) = (self.local.at.time, self.broker.at.time);
        let (from, time) = (local_at.min(broker_at), local_at.max(broker_at));
        let span = flows.between(from, time);
        let forward = |quantity: Decimal, at: Timestamp| {
            if at < time { quantity.saturating_add(span.change) } else { quantity }
        };
        Aligned {
            time,
            local: forward(self.local.quantity, local_at),
            broker: forward(self.broker.quantity, broker_at),
            flows_used: span.count,
            is_complete: flows.is_complete_from(from.minus(rules.grace.max(rules.lag_max))),
        }
    }

    /// Whether nothing moved the position that either list may lack.
    pub(super) fn is_quiet(&self, flows: &Flows, rules: &InFlightSettings) -> bool {
        let (local_at, broker_at) = (self.local.at.time, self.broker.at.time);
        let first = local_at.min(broker_at).minus(rules.grace.max(rules.lag_max));
        let last = local_at.max(broker_at).plus(rules.grace.max(rules.ahead));
        flows.between(first, last).count == 0
    }

    /// What explains that the lists are `difference` (local - broker, as they stand) apart.
    /// `is_tolerated` says of what would be left whether it is within tolerance.
    pub(super) fn explain(
        &self,
        difference: Decimal,
        flows: &Flows,
        market: &Market,
        rules: &InFlightSettings,
        is_tolerated: impl Fn(Decimal) -> bool,
    ) -> Explained {
        let broker = Window::of_broker(self.broker.at.time, rules);
        let local = if self.is_adopted {
            Window::of_broker(self.local.at.time, rules)
        } else {
            Window::of_engine(self.local.at.time, rules)
        };
        let course = Course::around(flows, &local, &broker);
        let local = BySum::of(course.moments(&local));
        let mut by_open_orders = false;
        for moment in course.moments(&broker) {
            // local - broker = F(u) - F(v): what F(u) would have to be.
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
struct BySum(Vec<Moment>);

impl BySum {
    fn of(mut moments: Vec<Moment>) -> Self {
        moments.retain(|moment| moment.is_recent);
        moments.sort_by_key(|moment| (moment.sum, moment.lag.abs()));
        Self(moments)
    }

    /// The lag of the moment whose sum is as wanted, or so close that what is left is tolerated.
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
    use crate::domain::drift::{Flow, FlowKind, SnapshotTime};

    fn at(seconds: i64) -> Timestamp {
        let seconds = u64::try_from(seconds).expect("not before the beginning");
        Timestamp::MIN.plus(Duration::from_secs(seconds))
    }

    fn book(time: i64, quantity: i64) -> Book {
        let at = SnapshotTime::new(at(time), at(time), 1);
        Book { quantity: quantity.into(), average: None, market: None, at }
    }

    /// The rule as it is defined, without any cleverness: every half second of both windows, and
    /// every combination of the flows close to the broker's list.
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
            // At one instant in any order: the model has no moments in between.
            times.sort_by_key(|(time, _)| *time);
            times.dedup_by_key(|(time, _)| *time);
            let mut flows = Flows::default();
            for (time, change) in &times {
                let flow = Flow { time: at(*time), change: (*change).into(), kind: FlowKind::Adjustment };
                flows.insert(flow, at(*time));
            }
            let pair = Pair {
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
            // What fills explain needs no leaves, and nobody asks.
            prop_assert!(recent || explained.by_open_orders == by_orders);
        }
    }
}
