//! What the exporter counts of its journal.
//!
//! Input: calls from whoever owns the log. Output: samples, through the registry of
//! [`super::Runtime`].

use std::time::Duration;

use prometheus::{GaugeVec, Histogram, IntCounter, IntGauge, Registry};

use super::{RuntimeError, families, histogram, opts, register};

/// Bounds of the duration of a sync, in seconds: from a disk with a battery to one that hangs.
const SYNC_BOUNDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What an acknowledged event may survive.
const DURABILITIES: [&str; 3] = ["synced", "relaxed", "memory"];

/// The figures of the journal.
#[derive(Debug)]
pub struct JournalFigures {
    bytes: IntGauge,
    durability: GaugeVec,
    errors: IntCounter,
    sync: Histogram,
    torn_tails: IntGauge,
}

impl JournalFigures {
    pub(super) fn new(own: &Registry) -> Result<Self, RuntimeError> {
        let family = &families::JOURNAL_DURABILITY;
        let durability = register(own, GaugeVec::new(opts(family), family.labels)?)?;
        for each in DURABILITIES {
            durability.with_label_values(&[each]);
        }
        Ok(Self {
            durability,
            bytes: register(own, IntGauge::with_opts(opts(&families::JOURNAL_BYTES))?)?,
            errors: register(own, IntCounter::with_opts(opts(&families::JOURNAL_ERRORS))?)?,
            sync: histogram(own, &families::JOURNAL_SYNC_DURATION, &SYNC_BOUNDS)?,
            torn_tails: register(own, IntGauge::with_opts(opts(&families::JOURNAL_TORN_TAILS))?)?,
        })
    }

    /// The journal was opened; what an acknowledged event survives: `synced`, `relaxed`, `memory`.
    pub fn opened(&self, durability: &'static str) {
        self.durability.with_label_values(&[durability]).set(1.0);
    }

    /// Bytes that it takes up.
    pub fn bytes(&self, bytes: u64) {
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Batches kept aside that a crash cut short.
    pub fn torn_tails(&self, count: usize) {
        self.torn_tails.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// It did not do as it was told.
    pub fn error(&self) {
        self.errors.inc();
    }

    /// A batch was synced, or was not, after `took`.
    pub fn synced(&self, took: Duration) {
        self.sync.observe(took.as_secs_f64());
    }
}
