//! Metrics of webhooks, by target.
//!
//! Invariant: the targets are those of the configuration, so the label `sink` is bounded by it. The
//! series of a target that is no longer configured are removed.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::own::own_metrics;
use crate::domain::time::Timestamp;
use crate::metrics::label_values::DeliveryOutcome;

own_metrics! {
    /// Metrics of webhooks, by target.
    pub struct WebhookMetrics {
        /// Number of webhooks by outcome: delivered, failed (one attempt; it is retried), dropped (too
        /// many newer ones are waiting), expired (not delivered within three days).
        deliveries: IntCounterVec["sink", "outcome"] = "trading_exporter_webhook_deliveries_total",
        /// Number of webhooks that are not delivered yet.
        pending: IntGaugeVec["sink"] = "trading_exporter_webhook_pending",
        /// Unix time in seconds of the last delivery to the target; absent if there was none since the
        /// start.
        last_success_time: GaugeVec["sink"] =
            "trading_exporter_webhook_last_success_timestamp_seconds",
        /// Whether deliveries to the target failed so often that it is rarely retried: 1 yes, 0 no.
        breaker_open: IntGaugeVec["sink"] = "trading_exporter_webhook_breaker_open",
        /// Number of failed writes to the outbox of the target.
        outbox_errors: IntCounterVec["sink"] = "trading_exporter_webhook_outbox_errors_total",
    }
}

impl WebhookMetrics {
    /// Creates the series of a target, so that its first failure is an increase.
    pub(crate) fn declare(&self, sink: &str) {
        for outcome in DeliveryOutcome::ALL {
            self.deliveries.with_label_values(&[sink, outcome.as_str()]);
        }
        self.pending.with_label_values(&[sink]);
        self.breaker_open.with_label_values(&[sink]).set(0);
        self.outbox_errors.with_label_values(&[sink]);
    }

    /// Removes the series of a target that is no longer configured.
    pub(crate) fn forget(&self, sink: &str) {
        // A series that does not exist is an error to the crate, and none to us.
        for outcome in DeliveryOutcome::ALL {
            self.deliveries.remove_label_values(&[sink, outcome.as_str()]).ok();
        }
        self.pending.remove_label_values(&[sink]).ok();
        self.last_success_time.remove_label_values(&[sink]).ok();
        self.breaker_open.remove_label_values(&[sink]).ok();
        self.outbox_errors.remove_label_values(&[sink]).ok();
    }

    /// Counts a webhook that the target accepted at `at`.
    pub(crate) fn delivered(&self, sink: &str, at: Timestamp) {
        self.count(sink, DeliveryOutcome::Delivered, 1);
        self.last_success_time.with_label_values(&[sink]).set(at.as_seconds());
    }

    /// Counts webhooks, or attempts, with this outcome.
    pub(crate) fn count(&self, sink: &str, outcome: DeliveryOutcome, count: u64) {
        self.deliveries.with_label_values(&[sink, outcome.as_str()]).inc_by(count);
    }

    /// Sets how many webhooks are waiting.
    pub(crate) fn set_pending(&self, sink: &str, count: usize) {
        self.pending.with_label_values(&[sink]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
