//! Receive time: the wall clock, as long as it does not go back.
//!
//! Input: readings of the wall clock and the monotonic clock, in order. Output: the receive time of the
//! next record, and how far the wall clock is behind it. Invariants: receive time never goes back,
//! and it never stops for longer than [`ClockSettings::behind_after`], because a wall clock that was
//! ahead once must not stop the measurement of ages and silence. Deliberately absent: reading a clock
//! (see `crate::clock`).
//!
//! # Design
//! If the wall clock is a little behind (slewed, or stepped by a second), receive time waits for it, so
//! that it soon equals wall time again. If the wall clock is further behind, it may not catch up within
//! the life of the process, so receive time advances by the monotonic clock instead. We rejected
//! stepping back with the wall clock: a later record must not be older than an earlier one.

use std::time::Duration;

use crate::domain::settings::ClockSettings;
use crate::domain::time::{Timestamp, nanos};

/// A reading of both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock, since any fixed moment; none: no time has passed since the last reading.
    pub monotonic: Option<Duration>,
}

impl From<Timestamp> for ClockReading {
    fn from(wall: Timestamp) -> Self {
        Self { wall, monotonic: None }
    }
}

/// A receive time, and the lag of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveTime {
    /// The receive time.
    pub at: Timestamp,
    /// How far the wall clock is behind the receive time; 0 while receive time waits for it.
    pub behind: Duration,
}

/// The clock that stamps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnClock {
    at: Timestamp,
    monotonic: Option<Duration>,
}

impl OwnClock {
    /// A clock that continues from a receive time.
    #[must_use]
    pub const fn going_on_from(at: Timestamp) -> Self {
        Self { at, monotonic: None }
    }

    /// The last receive time.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The receive time for a reading.
    #[must_use]
    pub fn receipt(&self, now: ClockReading, settings: &ClockSettings) -> ReceiveTime {
        if !self.at.is_past(now.wall, settings.behind_after) {
            return ReceiveTime { at: self.at.max(now.wall), behind: Duration::ZERO };
        }
        let passed = now.monotonic.zip(self.monotonic);
        let passed = passed.map_or(Duration::ZERO, |(now, then)| now.saturating_sub(then));
        let at = self.at.plus(passed);
        let behind = Duration::from_nanos(u64::try_from(at.since(now.wall)).unwrap_or(0));
        ReceiveTime { at, behind }
    }

    /// Advances to a reading and its receive time.
    pub fn go_on(&mut self, now: ClockReading, at: Timestamp) {
        self.at = self.at.max(at);
        self.monotonic = now.monotonic.or(self.monotonic);
    }
}

/// Whether a new lag of the wall clock must be recorded: it starts or ends to be behind, or the lag
/// differs by more than a second from the recorded one.
#[must_use]
pub fn is_news(recorded: Duration, behind: Duration) -> bool {
    recorded.is_zero() != behind.is_zero()
        || nanos(recorded.abs_diff(behind)) > nanos(Duration::from_secs(1))
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
        let found: Vec<ReceiveTime> = readings
            .iter()
            .map(|(wall, monotonic)| {
                let monotonic = Some(Duration::from_secs(*monotonic));
                let now = ClockReading { wall: second(*wall), monotonic };
                let receipt = clock.receipt(now, &SETTINGS);
                clock.go_on(now, receipt.at);
                receipt
            })
            .collect();
        let expect: Vec<ReceiveTime> = expect
            .iter()
            .map(|(at, behind)| ReceiveTime {
                at: second(*at),
                behind: Duration::from_secs(*behind),
            })
            .collect();
        assert_eq!(found, expect, "{readings:?}");
    }

    #[test]
    fn receive_time_advances_whatever_the_wall_clock_does() {
        check(&[(10, 1), (11, 2), (40, 3)], &[(10, 0), (11, 0), (40, 0)]);
        // A little behind: receive time waits.
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
        // At the first reading it is not known how much time has passed.
        let mut clock = OwnClock::going_on_from(second(600));
        let now = ClockReading { wall: second(10), monotonic: Some(Duration::from_secs(99)) };
        let receipt = clock.receipt(now, &SETTINGS);
        assert_eq!(receipt, ReceiveTime { at: second(600), behind: Duration::from_secs(590) });
        clock.go_on(now, receipt.at);
        let later = ClockReading { wall: second(12), monotonic: Some(Duration::from_secs(101)) };
        assert_eq!(clock.receipt(later, &SETTINGS).at, second(602));
    }

    #[test]
    fn a_lag_is_recorded_once_and_again_when_it_changes() {
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
        fn it_never_goes_back_and_stops_only_while_it_waits(
            steps in prop::collection::vec((-2_000_i64..2_000, 0..9_u64), 1..60)
        ) {
            let mut clock = OwnClock::going_on_from(second(0));
            let (mut wall, mut monotonic) = (5_000_i64, 0);
            for (by, passed) in steps {
                monotonic += passed;
                wall = (wall + by).clamp(0, 1 << 40);
                let now = ClockReading {
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
