//! Receive time: the wall clock, as long as it does not go back.
//!
//! Input: what the wall clock and the monotonic clock said, in order. Output: the receive time of the
//! next record, and how far the wall clock is behind it. Invariants: receive time never goes back,
//! and it never stands for longer than [`ClockSettings::behind_after`]: a wall clock that was ahead
//! once must not stop ages and silence. Deliberately absent: reading a clock (see `crate::clock`).
//!
//! # Design
//! A wall clock that is a little behind (slewed, or stepped by a second) is waited for, so that
//! receive time is wall time again soon. One that is further behind may never come back within the
//! life of the process, so receive time goes on by the monotonic clock from where it is. Leaping back
//! with it was rejected: a later record must not be older than an earlier one.

use std::time::Duration;

use crate::domain::settings::ClockSettings;
use crate::domain::time::{Timestamp, nanos};

/// What the clocks said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock, since any moment that stays the same; none: it stood since the reading
    /// before.
    pub monotonic: Option<Duration>,
}

impl From<Timestamp> for Reading {
    fn from(wall: Timestamp) -> Self {
        Self { wall, monotonic: None }
    }
}

/// A receive time, and what the wall clock says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The receive time.
    pub at: Timestamp,
    /// How far the wall clock is behind it; 0 while it is waited for.
    pub behind: Duration,
}

/// The clock that records are stamped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnClock {
    at: Timestamp,
    monotonic: Option<Duration>,
}

impl OwnClock {
    /// A clock that goes on from a receive time.
    #[must_use]
    pub const fn going_on_from(at: Timestamp) -> Self {
        Self { at, monotonic: None }
    }

    /// The receive time that it stands at.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The receive time of a moment.
    #[must_use]
    pub fn receipt(&self, now: Reading, settings: &ClockSettings) -> Moment {
        if !self.at.is_past(now.wall, settings.behind_after) {
            return Moment { at: self.at.max(now.wall), behind: Duration::ZERO };
        }
        let passed = now.monotonic.zip(self.monotonic);
        let passed = passed.map_or(Duration::ZERO, |(now, then)| now.saturating_sub(then));
        let at = self.at.plus(passed);
        let behind = Duration::from_nanos(u64::try_from(at.since(now.wall)).unwrap_or(0));
        Moment { at, behind }
    }

    /// Goes on to a moment that it gave the receive time of.
    pub fn go_on(&mut self, now: Reading, at: Timestamp) {
        self.at = self.at.max(at);
        self.monotonic = now.monotonic.or(self.monotonic);
    }
}

/// Whether it must be told that the wall clock is that far behind, where `told` was told before: it
/// is at all, or no longer, or by another second.
#[must_use]
pub fn is_news(told: Duration, behind: Duration) -> bool {
    told.is_zero() != behind.is_zero()
        || nanos(told.abs_diff(behind)) > nanos(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: ClockSettings = ClockSettings {
        behind_after: Duration::from_secs(5),
        behind_max: Duration::from_mins(1),
        ahead_after: Duration::from_hours(1),
    };

    fn second(second: u64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs(second))
    }

    /// Wall and monotonic clock in seconds -> receive time and seconds behind.
    fn check(readings: &[(u64, u64)], expect: &[(u64, u64)]) {
        let mut clock = OwnClock::going_on_from(Timestamp::MIN);
        let found: Vec<Moment> = readings
            .iter()
            .map(|(wall, monotonic)| {
                let monotonic = Some(Duration::from_secs(*monotonic));
                let now = Reading { wall: second(*wall), monotonic };
                let receipt = clock.receipt(now, &SETTINGS);
                clock.go_on(now, receipt.at);
                receipt
            })
            .collect();
        let expect: Vec<Moment> = expect
            .iter()
            .map(|(at, behind)| Moment { at: second(*at), behind: Duration::from_secs(*behind) })
            .collect();
        assert_eq!(found, expect, "{readings:?}");
    }

    #[test]
    fn receive_time_goes_on_whatever_the_wall_clock_does() {
        check(&[(10, 1), (11, 2), (40, 3)], &[(10, 0), (11, 0), (40, 0)]);
        // A little behind: it is waited for.
        check(&[(10, 1), (5, 2), (9, 3), (12, 4)], &[(10, 0), (10, 0), (10, 0), (12, 0)]);
        // Ten minutes ahead for three seconds, then right.
        check(
            &[(10, 1), (611, 2), (613, 4), (14, 5), (15, 6), (75, 66)],
            &[(10, 0), (611, 0), (613, 0), (614, 600), (615, 600), (675, 600)],
        );
        // Back by an hour, and right again later.
        check(
            &[(4_000, 1), (401, 2), (402, 3), (4_003, 4)],
            &[(4_000, 0), (4_001, 3_600), (4_002, 3_600), (4_003, 0)],
        );
        // After the first reading behind it is not known how much time passed before.
        let mut clock = OwnClock::going_on_from(second(600));
        let now = Reading { wall: second(10), monotonic: Some(Duration::from_secs(99)) };
        let receipt = clock.receipt(now, &SETTINGS);
        assert_eq!(receipt, Moment { at: second(600), behind: Duration::from_secs(590) });
        clock.go_on(now, receipt.at);
        let later = Reading { wall: second(12), monotonic: Some(Duration::from_secs(101)) };
        assert_eq!(clock.receipt(later, &SETTINGS).at, second(602));
    }

    #[test]
    fn it_is_told_once_and_again_when_it_changes() {
        let check = |told: u64, behind: u64, expect: bool| {
            let [told, behind] = [told, behind].map(Duration::from_millis);
            assert_eq!(is_news(told, behind), expect, "{told:?} {behind:?}");
        };
        check(0, 0, false);
        check(0, 5_001, true);
        check(5_001, 0, true);
        check(600_000, 600_900, false);
        check(600_000, 601_100, true);
        check(600_000, 598_000, true);
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_stands_only_while_it_waits(
            steps in prop::collection::vec((-2_000_i64..2_000, 0..9_u64), 1..60)
        ) {
            let mut clock = OwnClock::going_on_from(second(0));
            let (mut wall, mut monotonic) = (5_000_i64, 0);
            for (by, passed) in steps {
                monotonic += passed;
                wall = (wall + by).clamp(0, 1 << 40);
                let now = Reading {
                    wall: second(wall.unsigned_abs()),
                    monotonic: Some(Duration::from_secs(monotonic)),
                };
                let before = clock;
                let receipt = clock.receipt(now, &SETTINGS);
                clock.go_on(now, receipt.at);
                prop_assert!(receipt.at >= before.at() && receipt.at >= now.wall);
                let is_known = before.monotonic.is_some();
                if is_known && !receipt.behind.is_zero() {
                    prop_assert_eq!(receipt.at, before.at().plus(Duration::from_secs(passed)));
                }
            }
        }
    }
}
