//! What the exporter counts of its snapshots, and how far a replay is.
//!
//! Input: calls from whoever takes them. Output: samples, through the registry of
//! [`super::Runtime`].

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntCounter, Registry};

use super::{RuntimeError, families, opts, register};
use crate::domain::time::Timestamp;
use crate::metrics::catalogue::Family;

/// The figures of snapshots.
#[derive(Debug)]
pub struct SnapshotFigures {
    /// Without labels: a sample is there once there is a snapshot.
    time: GaugeVec,
    sequence: GaugeVec,
    bytes: GaugeVec,
    duration: GaugeVec,
    errors: IntCounter,
    progress: Gauge,
}

/// A snapshot, for [`SnapshotFigures::stands`].
#[derive(Clone, Copy, Debug)]
pub struct SnapshotFigure {
    /// Receive time of the newest record in it.
    pub at: Timestamp,
    /// Sequence of that record.
    pub sequence: u64,
    /// Bytes of its file.
    pub bytes: u64,
}

impl SnapshotFigures {
    pub(super) fn new(own: &Registry) -> Result<Self, RuntimeError> {
        let gauges = |family: &Family| register(own, GaugeVec::new(opts(family), family.labels)?);
        Ok(Self {
            time: gauges(&families::SNAPSHOT_TIME)?,
            sequence: gauges(&families::SNAPSHOT_SEQUENCE)?,
            bytes: gauges(&families::SNAPSHOT_BYTES)?,
            duration: gauges(&families::SNAPSHOT_DURATION)?,
            errors: register(own, IntCounter::with_opts(opts(&families::SNAPSHOT_ERRORS))?)?,
            progress: register(own, Gauge::with_opts(opts(&families::REPLAY_PROGRESS))?)?,
        })
    }

    /// This is the newest snapshot.
    #[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus takes")]
    pub fn stands(&self, snapshot: SnapshotFigure) {
        let none: [&str; 0] = [];
        self.time.with_label_values(&none).set(snapshot.at.as_seconds());
        self.sequence.with_label_values(&none).set(snapshot.sequence as f64);
        self.bytes.with_label_values(&none).set(snapshot.bytes as f64);
    }

    /// One was taken: how long the copy of the state took, and writing it down.
    pub fn took(&self, copy: Duration, write: Duration) {
        self.duration.with_label_values(&["copy"]).set(copy.as_secs_f64());
        self.duration.with_label_values(&["write"]).set(write.as_secs_f64());
    }

    /// Something went wrong with one.
    pub fn error(&self) {
        self.errors.inc();
    }

    /// How much of the journal is replayed, 0 to 1.
    pub fn replayed(&self, ratio: f64) {
        self.progress.set(ratio);
    }
}
