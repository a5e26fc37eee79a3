//! The prices of one symbol: its latest mids, and the price of its last fill.
//!
//! Input: quotes and fills with their event times, mostly in order. Output: the mid at a time, the
//! newest mid while it is young, the last fill's price. Invariants: at most 64 mids are kept, sorted
//! by time; the oldest is dropped first. A price of 0 means no price and changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::domain::units::Price;

/// Mids kept of one symbol: enough for a submission that is a little older than the newest quote.
const MIDS_MAX: usize = 64;

/// The prices of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PriceHistory {
    mids: VecDeque<(Timestamp, Price)>,
    last_fill: Option<(Timestamp, Price)>,
}

impl PriceHistory {
    /// Adds a mid. Of several at one instant, the last to arrive counts.
    pub(super) fn push(&mut self, at: Timestamp, mid: Price) {
        if mid.known().is_none() {
            return;
        }
        let place = self.mids.partition_point(|(time, _)| *time <= at);
        self.mids.insert(place, (at, mid));
        if self.mids.len() > MIDS_MAX {
            self.mids.pop_front();
        }
    }

    /// Number of mids.
    pub(super) fn len(&self) -> usize {
        self.mids.len()
    }

    /// Sets the price of the last fill, unless a later fill (by event time) is known.
    pub(super) fn fill(&mut self, at: Timestamp, price: Price) {
        let is_newer = self.last_fill.is_none_or(|(last, _)| last <= at);
        if is_newer && price.known().is_some() {
            self.last_fill = Some((at, price));
        }
    }

    /// The newest mid, if it is not older than `age_max` now.
    #[must_use]
    pub(super) fn mid(&self, now: Timestamp, age_max: Duration) -> Option<Price> {
        let (time, mid) = self.mids.back()?;
        (!now.is_past(*time, age_max)).then_some(*mid)
    }

    /// The price of the last fill, however old.
    #[must_use]
    pub(super) fn last_fill(&self) -> Option<Price> {
        self.last_fill.map(|(_, price)| price)
    }

    /// The newest mid at `at` that is not older than `age_max`.
    #[must_use]
    pub(super) fn at(&self, at: Timestamp, age_max: Duration) -> Option<Price> {
        let place = self.mids.partition_point(|(time, _)| *time <= at);
        let (time, mid) = self.mids.get(place.checked_sub(1)?)?;
        (!at.is_past(*time, age_max)).then_some(*mid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::Decimal;

    fn second(s: u64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs(s))
    }

    fn price(p: i64) -> Price {
        Price::new(Decimal::from(p))
    }

    #[test]
    fn the_mid_of_a_moment_is_the_last_before_it() {
        let mut quotes = PriceHistory::default();
        for (at, mid) in [(10, 1), (20, 2), (15, 3), (22, 0)] {
            quotes.push(second(at), price(mid));
        }
        let check = |at: u64, expect: Option<i64>| {
            assert_eq!(quotes.at(second(at), Duration::from_secs(5)), expect.map(price), "at {at}");
        };
        check(9, None);
        check(10, Some(1));
        check(14, Some(1));
        check(15, Some(3));
        check(20, Some(2));
        check(25, Some(2));
        check(26, None);
        let minute = Duration::from_mins(1);
        assert_eq!(quotes.mid(second(80), minute), Some(price(2)), "a zero is no quote");
        assert_eq!(quotes.mid(second(81), minute), None);
    }

    #[test]
    fn the_last_fill_is_the_latest_that_had_a_price() {
        let mut quotes = PriceHistory::default();
        for (at, price_of, expect) in
            [(10, 0, None), (10, 5, Some(5)), (9, 6, Some(5)), (11, 0, Some(5)), (12, -7, Some(-7))]
        {
            quotes.fill(second(at), price(price_of));
            assert_eq!(quotes.last_fill(), expect.map(price), "{price_of} at {at}");
        }
    }
}
