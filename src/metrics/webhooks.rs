//! The figures of webhooks, by target.
//!
//! Invariant: the targets are those of the configuration, so the label is bounded by it; one that is
//! taken out of it takes its series along.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use crate::domain::time::Timestamp;
use crate::metrics::catalogue::Family;
use crate::metrics::families::runtime as families;
use crate::metrics::label_values::DeliveryOutcome;
use crate::metrics::runtime::{RuntimeError, counter, opts, register};

/// The figures of webhooks.
#[derive(Debug)]
pub struct WebhookMetrics {
    deliveries: IntCounterVec,
    pending: IntGaugeVec,
    last_success_time: GaugeVec,
    breaker_open: IntGaugeVec,
    outbox_errors: IntCounterVec,
}

impl WebhookMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, RuntimeError> {
        let gauge = |family: &Family| IntGaugeVec::new(opts(family), family.labels);
        let time = &families::WEBHOOK_LAST_SUCCESS_TIME;
        Ok(Self {
            deliveries: counter(registry, &families::WEBHOOK_DELIVERIES)?,
            pending: register(registry, gauge(&families::WEBHOOKS_PENDING)?)?,
            last_success_time: register(registry, GaugeVec::new(opts(time), time.labels)?)?,
            breaker_open: register(registry, gauge(&families::WEBHOOK_BREAKER_OPEN)?)?,
            outbox_errors: counter(registry, &families::WEBHOOK_OUTBOX_ERRORS)?,
        })
    }

    /// Makes the series of a target, so that the first failure is an increase.
    pub fn declare(&self, sink: &str) {
        for outcome in DeliveryOutcome::ALL {
            self.deliveries.with_label_values(&[sink, outcome.as_str()]);
        }
        self.pending.with_label_values(&[sink]);
        self.breaker_open.with_label_values(&[sink]).set(0);
        self.outbox_errors.with_label_values(&[sink]);
    }

    /// Takes away the series of a target that is not configured any more.
    pub fn forget(&self, sink: &str) {
        // What is not there need not be taken away.
        for outcome in DeliveryOutcome::ALL {
            self.deliveries.remove_label_values(&[sink, outcome.as_str()]).ok();
        }
        self.pending.remove_label_values(&[sink]).ok();
        self.last_success_time.remove_label_values(&[sink]).ok();
        self.breaker_open.remove_label_values(&[sink]).ok();
        self.outbox_errors.remove_label_values(&[sink]).ok();
    }

    /// A message was delivered at `at`.
    pub fn delivered(&self, sink: &str, at: Timestamp) {
        self.count(sink, DeliveryOutcome::Delivered, 1);
        self.last_success_time.with_label_values(&[sink]).set(at.as_seconds());
    }

    /// So many messages, or attempts, came to this.
    pub fn count(&self, sink: &str, outcome: DeliveryOutcome, count: u64) {
        self.deliveries.with_label_values(&[sink, outcome.as_str()]).inc_by(count);
    }

    /// So many messages wait.
    pub fn pending(&self, sink: &str, count: usize) {
        self.pending.with_label_values(&[sink]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The breaker opened (1) or closed (0).
    pub fn breaker(&self, sink: &str, open: u8) {
        self.breaker_open.with_label_values(&[sink]).set(open.into());
    }

    /// The outbox could not be written.
    pub fn outbox_failed(&self, sink: &str) {
        self.outbox_errors.with_label_values(&[sink]).inc();
    }
}
