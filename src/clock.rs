//! The only file that reads a clock.
//!
//! Output: the wall time as a [`Timestamp`], and a monotonic time for durations. All other code gets
//! the time as an argument, so that it can be tested and replayed. Deliberately absent: a guarantee
//! that the wall time never goes back (see `crate::domain::clock` for receive times).

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::clock::ClockReading;
use crate::domain::time::Timestamp;

/// The wall time, clamped to the years 1990 to 2200.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::MIN.plus(since_epoch.saturating_sub(until_min()))
}

/// The monotonic time, which only makes sense as a difference.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Both times. The monotonic one counts from the first call in this process.
#[must_use]
pub fn reading() -> ClockReading {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let monotonic = monotonic();
    let first = *FIRST.get_or_init(|| monotonic);
    ClockReading { wall: now(), monotonic: Some(monotonic.saturating_duration_since(first)) }
}

/// From the Unix epoch to [`Timestamp::MIN`].
const fn until_min() -> std::time::Duration {
    std::time::Duration::from_nanos(Timestamp::MIN.as_nanos().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_time_is_of_this_century() {
        let year_2026 = 1_767_225_600 * crate::domain::time::NANOS_PER_SECOND;
        assert!(now().as_nanos() > year_2026);
        assert!(now() < Timestamp::MAX);
    }

    #[test]
    fn the_monotonic_time_does_not_go_back() {
        let earlier = monotonic();
        assert!(monotonic() >= earlier);
    }
}
