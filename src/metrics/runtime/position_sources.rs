//! Metrics of position sources.
//!
//! Invariant: the sources are those of the configuration, so the label is bounded by it. The series of a
//! source that is no longer configured are removed.

use prometheus::{GaugeVec, IntCounterVec};

use super::own::own_metrics;
use crate::domain::time::Timestamp;
use crate::metrics::label_values::PullOutcome;

own_metrics! {
    /// Metrics of position sources.
    pub struct PositionSourceMetrics {
        /// Number of pulls of a position source by outcome: recorded, failed (no list of positions), not
        /// recorded (there was a list, and the journal did not take it before the next pull).
        pulls: IntCounterVec["position_source", "outcome"] =
            "trading_exporter_position_pulls_total",
        /// Time in seconds that the last pull of the position source took.
        last_duration: GaugeVec["position_source"] =
            "trading_exporter_position_pull_last_duration_seconds",
        /// Unix time in seconds of the last pull of the position source whose lists were recorded; absent
        /// if there was none since the start.
        last_success_time: GaugeVec["position_source"] =
            "trading_exporter_position_pull_last_success_timestamp_seconds",
    }
}

impl PositionSourceMetrics {
    /// Creates the series of a source, so that its first failure is an increase.
    pub(crate) fn declare(&self, source: &str) {
        for outcome in PullOutcome::ALL {
            self.pulls.with_label_values(&[source, outcome.as_str()]);
        }
    }

    /// Removes the series of a source that is no longer configured.
    pub(crate) fn forget(&self, source: &str) {
        // A series that does not exist is an error to the crate, and none to us.
        for outcome in PullOutcome::ALL {
            self.pulls.remove_label_values(&[source, outcome.as_str()]).ok();
        }
        self.last_duration.remove_label_values(&[source]).ok();
        self.last_success_time.remove_label_values(&[source]).ok();
    }

    /// Counts a pull that was asked at this time.
    pub(crate) fn pulled(
        &self,
        source: &str,
        outcome: PullOutcome,
        asked_at: Timestamp,
        seconds: f64,
    ) {
        self.pulls.with_label_values(&[source, outcome.as_str()]).inc();
        self.last_duration.with_label_values(&[source]).set(seconds);
        if outcome == PullOutcome::Recorded {
            self.last_success_time.with_label_values(&[source]).set(asked_at.as_seconds());
        }
    }
}
