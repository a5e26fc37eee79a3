//! When the exporter says that its own clock is wrong.

use std::time::Duration;

/// The exporter's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// The wall clock may be behind receive time for so much, which is waited for; further behind,
    /// receive time goes on by the monotonic clock.
    pub behind_after: Duration,
    /// No permits while the wall clock is further behind than this.
    pub behind_max: Duration,
    /// A record further ahead of the one before than this is told.
    pub ahead_after: Duration,
}

impl Default for ClockSettings {
    fn default() -> Self {
        Self {
            behind_after: Duration::from_secs(5),
            behind_max: Duration::from_mins(1),
            ahead_after: Duration::from_hours(1),
        }
    }
}
