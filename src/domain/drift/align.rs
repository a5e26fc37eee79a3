//! Two books of one symbol brought to one time, and what fills in flight may explain.
//!
//! Input: a local and a broker book with their times, the flows, the open orders. Output: both
//! quantities as of the newer time, and the [`Reach`] of what one book may have and the other
//! lack. Invariant: books of one time are not moved. Deliberately absent: judging.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Market;
use super::flows::{Executed, Flows};
use super::snapshot::Book;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// What local says, or the ledger as of the broker's time.
    pub(super) local: Book,
    /// What the broker says.
    pub(super) broker: Book,
    /// The ledger stands in for a local book that never came.
    pub(super) ledger_stands_in: bool,
}

/// Both books at the newer of their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aligned {
    /// That time.
    pub(super) time: Timestamp,
    /// The local quantity, B.
    pub(super) local: Decimal,
    /// The broker's quantity, R.
    pub(super) broker: Decimal,
    /// How many flows moved the older side.
    pub(super) flows_used: usize,
    /// Executed within the in-flight window of either snapshot.
    pub(super) executed: Executed,
    /// What may be in flight.
    pub(super) reach: Reach,
    /// Whether every flow that this needed is still held.
    pub(super) is_complete: bool,
}

/// How far local - broker may stray from 0 by fills that one book has and the other lacks.
///
/// R within [B - U - `O_sell`, B + U + `O_buy`], with U = `U_buy` + `U_sell`, is the same as
/// B - R within [-(U + `O_buy`), U + `O_sell`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reach {
    #[serde(with = "exact")]
    below: Decimal,
    #[serde(with = "exact")]
    above: Decimal,
}

impl Reach {
    /// Whether fills in flight may explain a difference of local - broker.
    pub(super) fn explains(&self, difference: Decimal) -> bool {
        -self.below <= difference && difference <= self.above
    }
}

impl Pair {
    /// Brings the older book forward with the flows between the two times.
    pub(super) fn align(&self, flows: &Flows, market: &Market, window: Duration) -> Aligned {
        let (local_at, broker_at) = (self.local.at.time, self.broker.at.time);
        let (from, time) = (local_at.min(broker_at), local_at.max(broker_at));
        let span = flows.between(from, time);
        let forward = |quantity: Decimal, at: Timestamp| {
            if at < time { quantity.saturating_add(span.change) } else { quantity }
        };
        let executed = flows.executed_near(local_at, broker_at, window);
        let known = executed.buy.saturating_add(executed.sell);
        Aligned {
            time,
            local: forward(self.local.quantity, local_at),
            broker: forward(self.broker.quantity, broker_at),
            flows_used: span.count,
            executed,
            reach: Reach {
                below: known.saturating_add(market.open_buy),
                above: known.saturating_add(market.open_sell),
            },
            is_complete: flows.is_complete_from(from.minus(window)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scenario::world;
    use crate::domain::drift::Market;
    use crate::domain::event::Source;
    use crate::domain::units::Decimal;

    /// The comparison as the contract says it, without any cleverness.
    fn naive(
        flows: &[(u32, i64)],
        (local_at, local): (u32, i64),
        (broker_at, broker): (u32, i64),
        open: (i64, i64),
    ) -> (i64, bool) {
        let between = |from: u32, to: u32| -> i64 {
            flows.iter().filter(|(time, _)| *time > from && *time <= to).map(|(_, c)| c).sum()
        };
        let b = local + between(local_at, broker_at);
        let r = broker + between(broker_at, local_at);
        let is_near = |time: u32| time.abs_diff(local_at) <= 5 || time.abs_diff(broker_at) <= 5;
        let near = |pick: fn(i64) -> bool| -> i64 {
            flows.iter().filter(|(time, c)| is_near(*time) && pick(*c)).map(|(_, c)| c.abs()).sum()
        };
        let (buy, sell) = (near(|c| c > 0), near(|c| c < 0));
        let pending = r >= b - buy - sell - open.1 && r <= b + buy + sell + open.0;
        (b - r, pending)
    }

    proptest! {
        #[test]
        fn comparisons_are_those_of_the_naive_model(
            flows in prop::collection::vec((100_u32..140, -9_i64..9), 0..12),
            local in (100_u32..140, -40_i64..40),
            broker in (100_u32..140, -40_i64..40),
            open in (0_i64..20, 0_i64..20),
        ) {
            let mut world = world();
            world.market = Market { open_buy: open.0.into(), open_sell: open.1.into(), mid: None };
            world.at(150.0);
            for (time, change) in &flows {
                world.flow(f64::from(*time), "X", &change.to_string());
            }
            world.complete(Source::Local, f64::from(local.0), &format!("X {}", local.1));
            world.complete(Source::Broker, f64::from(broker.0), &format!("X {}", broker.1));
            world.compare();
            let (difference, in_flight) = naive(&flows, local, broker, open);
            let drift = world.drift("X");
            let got = drift.as_ref().map_or(Decimal::ZERO, |drift| drift.quantity_drift);
            prop_assert_eq!(got, Decimal::from(difference));
            let is_flip = drift.as_ref().is_some_and(|d| {
                (d.local_quantity * d.broker_quantity).is_sign_negative()
            });
            let is_drift = difference != 0 || is_flip;
            let is_close = local.0.abs_diff(broker.0) <= 5;
            let state = drift.as_ref().map_or("none", |drift| drift.state.as_str());
            let expect = match (is_drift, in_flight || !is_close, difference.abs() >= 10) {
                (false, _, _) => "none",
                (true, true, _) => "pending",
                (true, false, true) => "open",
                (true, false, false) => "unconfirmed",
            };
            prop_assert_eq!(state, expect);
        }
    }
}
