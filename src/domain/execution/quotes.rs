//! The latest mids of one symbol, for arrival prices and values.
//!
//! Input: quotes with their event times, mostly in order. Output: the mid at a time. Invariant: at
//! most 64 are kept, sorted by time; the oldest goes first.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::domain::units::Price;

/// Mids kept of one symbol: enough for a submission that is a little older than the newest quote.
const MIDS_MAX: usize = 64;

/// The latest mids of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mids(VecDeque<(Timestamp, Price)>);

impl Mids {
    /// Takes a quote; of several at one instant the last to arrive stands.
    pub fn push(&mut self, at: Timestamp, mid: Price) {
        let place = self.0.partition_point(|(time, _)| *time <= at);
        self.0.insert(place, (at, mid));
        if self.0.len() > MIDS_MAX {
            self.0.pop_front();
        }
    }

    /// The newest mid.
    #[must_use]
    pub fn latest(&self) -> Option<Price> {
        self.0.back().map(|(_, mid)| *mid)
    }

    /// The newest mid at `at` that is not older than `age_max`.
    #[must_use]
    pub fn at(&self, at: Timestamp, age_max: Duration) -> Option<Price> {
        let place = self.0.partition_point(|(time, _)| *time <= at);
        let (time, mid) = self.0.get(place.checked_sub(1)?)?;
        (!at.is_past(*time, age_max)).then_some(*mid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::Decimal;

    #[test]
    fn the_mid_of_a_moment_is_the_last_before_it() {
        let second = |s: u64| Timestamp::MIN.plus(Duration::from_secs(s));
        let price = |p: i64| Price::new(Decimal::from(p));
        let mut mids = Mids::default();
        for (at, mid) in [(10, 1), (20, 2), (15, 3)] {
            mids.push(second(at), price(mid));
        }
        let check = |at: u64, expect: Option<i64>| {
            assert_eq!(mids.at(second(at), Duration::from_secs(5)), expect.map(price), "at {at}");
        };
        check(9, None);
        check(10, Some(1));
        check(14, Some(1));
        check(15, Some(3));
        check(20, Some(2));
        check(25, Some(2));
        check(26, None);
        assert_eq!(mids.latest(), Some(price(2)));
    }
}
