//! Differences between two lists of positions that fills in flight can explain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;

/// How far back a list of positions may have been true, and how long no side is called wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InFlightSettings {
    /// The engine's list may show its book at any moment within this time of its date. Fills this close
    /// to the date of the broker's list may be in that list in any combination.
    pub grace: Duration,
    /// The broker's list may show its book up to this long before its date,
    pub lag_max: Duration,
    /// and up to this long after its date.
    pub ahead: Duration,
    /// A difference waits this long (receive time) for a report of an engine that has sent none since
    /// the date of the broker's list.
    pub settle: Duration,
    /// Whether a report of the engine ends that wait.
    pub settle_mode: SettleMode,
    /// Open quantities of orders explain differences for at most this long (receive time) in a row.
    pub pending_max: Duration,
}

closed_set! {
    /// The condition that ends the wait for the engine's own report.
    pub enum SettleMode {
        /// Any report of the engine dated at or after the broker's list: the engine reports in order.
        Heard = "heard",
        /// Time alone: the engine sends its lists and its events over separate channels.
        Always = "always",
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
    /// How far back a matching moment is searched. One past `lag_max` explains nothing, but shows that
    /// the broker is slow rather than wrong.
    #[must_use]
    pub fn lag_seen_max(&self) -> Duration {
        self.lag_max.max(LAG_SEEN_MAX)
    }

    /// How long before the older of two lists a fill can still affect their comparison.
    #[must_use]
    pub fn reach(&self) -> Duration {
        self.lag_seen_max().max(self.grace)
    }
}

/// Lag up to which a broker slower than `lag_max` is recognized as slow.
const LAG_SEEN_MAX: Duration = Duration::from_mins(1);
