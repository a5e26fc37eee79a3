//! Tolerances of the exporter's own clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Tolerances of the exporter's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSettings {
    /// If the wall clock is behind receive time by up to this, receive time stands still until it
    /// catches up; further behind, receive time advances by the monotonic clock.
    pub behind_after: Duration,
    /// No permits are issued while the wall clock is further behind than this.
    pub behind_max: Duration,
    /// A record further ahead of the previous one than this is logged as a warning.
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
