//! What fills on their way may explain of a difference between two lists of positions.

use std::time::Duration;

/// How far back a list may have been true, and how long nobody is called wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlightSettings {
    /// The engine's list is what fills had made of the book within this time of its date; fills
    /// this close to the date of the broker's list are in it in any combination.
    pub grace: Duration,
    /// The broker's list may be what fills had made of the book up to this long before its date.
    pub lag_max: Duration,
    /// And up to this long after it.
    pub ahead: Duration,
    /// A difference waits this long (receive time) for an engine that was not heard of since the
    /// date of the broker's list.
    pub settle: Duration,
    /// Whether hearing of the engine ends that wait.
    pub settle_mode: SettleMode,
    /// Leaves of open orders explain differences for this long (receive time), until a comparison
    /// needs none.
    pub pending_max: Duration,
}

/// What ends the wait for the engine's own report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleMode {
    /// Any word of the engine dated at or after the broker's list: it reports in order.
    Heard,
    /// Time alone: its lists and its events come by two ways.
    Always,
}

impl SettleMode {
    /// All modes.
    pub const ALL: [Self; 2] = [Self::Heard, Self::Always];

    /// As in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Always => "always",
        }
    }
}

impl Default for InFlightSettings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(1),
            lag_max: Duration::from_secs(10),
            ahead: Duration::from_secs(2),
            settle: Duration::from_secs(5),
            settle_mode: SettleMode::Heard,
            pending_max: Duration::from_secs(30),
        }
    }
}

impl InFlightSettings {
    /// The farthest back that a moment is looked for: past `lag_max` it explains nothing, but tells
    /// a broker that is slow from one that is wrong.
    #[must_use]
    pub fn lag_seen_max(&self) -> Duration {
        self.lag_max.max(LAG_SEEN_MAX)
    }

    /// How long before the older of two lists a flow can still matter to their comparison.
    #[must_use]
    pub fn reach(&self) -> Duration {
        self.lag_seen_max().max(self.grace)
    }
}

/// How far back a broker that is slower than `lag_max` is recognised.
const LAG_SEEN_MAX: Duration = Duration::from_mins(1);
