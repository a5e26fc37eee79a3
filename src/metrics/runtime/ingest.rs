//! Metrics of received events.

use std::time::Duration;

use prometheus::local::LocalHistogram;
use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::own::own_metrics;
use crate::domain::time::{self, Timestamp};

own_metrics! {
    /// Metrics of received events.
    pub struct IngestMetrics {
        /// Number of events decoded, by type.
        events_received: IntCounterVec["type"] = "trading_exporter_events_received_total",
        /// Number of events and requests refused, by error code.
        events_rejected: IntCounterVec["code"] = "trading_exporter_events_rejected_total",
        /// Number of events refused because the monitored state has its maximum size.
        state_full: IntCounter = "trading_exporter_state_full_total",
        /// Number of warnings in answers to accepted events, by code.
        ingest_warnings: IntCounterVec["code"] = "trading_exporter_ingest_warnings_total",
        /// Number of messages received in the formats of other systems, by adapter.
        adapter_messages: IntCounterVec["adapter"] = "trading_exporter_adapter_messages_total",
        /// Number of messages in the formats of other systems that say nothing here, by adapter.
        adapter_ignored: IntCounterVec["adapter"] =
            "trading_exporter_adapter_messages_ignored_total",
        /// Number of events that had been received before, by type.
        events_duplicate: IntCounterVec["type"] = "trading_exporter_events_duplicate_total",
        /// Number of events that contradict an earlier event with the same id, by type.
        events_conflict: IntCounterVec["type"] = "trading_exporter_events_conflict_total",
        /// Time in seconds from a request with events to its answer.
        ingest_duration: Histogram = "trading_exporter_ingest_duration_seconds" in
            [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
        /// Time in seconds from the sender's time of an event to its receipt, up to an hour.
        event_delay: Histogram = "trading_exporter_event_delay_seconds" in
            [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3600.0],
        /// Number of events dated more than an hour before their receipt; they belong to old sessions
        /// and are not counted as delays.
        events_old: IntCounter = "trading_exporter_events_old_total",
    }
}

/// An event that arrives later than this belongs to an old session; it is not delayed.
const DELAY_MAX: Duration = Duration::from_hours(1);

impl IngestMetrics {
    /// Counts the delay of an event dated `time`. A date in the future is no delay.
    pub(crate) fn observe_delay(&self, time: Timestamp, received_at: Timestamp) {
        match delay_seconds(time, received_at) {
            Some(seconds) => self.event_delay.observe(seconds),
            None => self.events_old.inc(),
        }
    }

    /// Collects the delays of the events of one request; they are counted when the value is dropped.
    pub(crate) fn local_delays(&self) -> LocalDelays {
        LocalDelays { delay: self.event_delay.local(), old: self.events_old.clone() }
    }
}

/// The delays of a batch, collected without touching the counters that other threads use.
#[derive(Debug)]
pub(crate) struct LocalDelays {
    delay: LocalHistogram,
    old: IntCounter,
}

impl LocalDelays {
    /// See [`IngestMetrics::observe_delay`].
    pub(crate) fn observe(&self, time: Timestamp, received_at: Timestamp) {
        match delay_seconds(time, received_at) {
            Some(seconds) => self.delay.observe(seconds),
            None => self.old.inc(),
        }
    }
}

/// The time from `time` to `received_at`, 0 if negative; `None` for an event of an old session.
fn delay_seconds(time: Timestamp, received_at: Timestamp) -> Option<f64> {
    let is_old = received_at.is_past(time, DELAY_MAX);
    (!is_old).then(|| time::seconds(received_at.since(time).max(0)))
}
