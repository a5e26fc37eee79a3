//! Metrics of the snapshots of the state, and of the replay after a start.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntCounter};

use super::own::{OptionalGauge, own_metrics};
use crate::domain::time::Timestamp;
use crate::metrics::label_values::SnapshotPart;

own_metrics! {
    /// Metrics of the snapshots of the state, and of the replay after a start.
    pub struct SnapshotMetrics {
        /// Unix time in seconds of the newest record in the newest snapshot that was read back; absent
        /// without a snapshot.
        time: OptionalGauge = "trading_exporter_journal_snapshot_timestamp_seconds",
        /// Sequence number of the newest record in that snapshot; absent without a snapshot.
        sequence: OptionalGauge = "trading_exporter_journal_snapshot_sequence",
        /// Size of the file of that snapshot in bytes; absent without a snapshot.
        bytes: OptionalGauge = "trading_exporter_journal_snapshot_bytes",
        /// Time in seconds that the last snapshot took, by part: copy (ingest waits), write (ingest goes
        /// on).
        duration: GaugeVec["part"] = "trading_exporter_journal_snapshot_duration_seconds",
        /// Number of snapshots that could not be written or read, and of failures to drop the records
        /// before a snapshot.
        errors: IntCounter = "trading_exporter_journal_snapshot_errors_total",
        /// Share of the journal after the snapshot that is replayed after a start, 0 to 1; 1 when the
        /// state is caught up.
        replay_progress: Gauge = "trading_exporter_replay_progress_ratio",
    }
}

impl SnapshotMetrics {
    /// Sets the newest snapshot: the receive time and the sequence number of its newest record, and the
    /// size of its file.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus stores floats")]
    pub(crate) fn set_newest(&self, at: Timestamp, sequence: u64, bytes: u64) {
        self.time.set(at.as_seconds());
        self.sequence.set(sequence as f64);
        self.bytes.set(bytes as f64);
    }

    /// Sets how long the parts of the last snapshot took.
    pub(crate) fn set_duration(&self, copy: Duration, write: Duration) {
        for (part, took) in [(SnapshotPart::Copy, copy), (SnapshotPart::Write, write)] {
            self.duration.with_label_values(&[part.as_str()]).set(took.as_secs_f64());
        }
    }
}
