//! Metrics of the journal.

use prometheus::{Histogram, IntCounter};

use super::own::{CountGauge, GaugeBy, own_metrics};
use crate::metrics::label_values::DurabilityLabel;

own_metrics! {
    /// Metrics of the journal.
    pub struct JournalMetrics {
        /// Size of the journal in bytes, with its spare and reserve segments.
        bytes: CountGauge = "trading_exporter_journal_bytes",
        /// Durability of acknowledged events, 1 for the one in force: synced (they survive a power cut),
        /// relaxed (they survive a crash), memory (they survive nothing).
        durability: GaugeBy<DurabilityLabel>["durability"] = "trading_exporter_journal_durability",
        /// Number of times that the journal did not accept a batch because it was full or failed.
        errors: IntCounter = "trading_exporter_journal_errors_total",
        /// Time in seconds that it took to sync a batch to the disk.
        sync_duration: Histogram = "trading_exporter_journal_sync_duration_seconds" in [
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
            2.5,
        ],
        /// Number of batches that a crash cut short before they were acknowledged, and that are kept
        /// aside.
        torn_tails: CountGauge = "trading_exporter_journal_torn_tails",
    }
}
