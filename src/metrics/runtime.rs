//! The exporter's own metrics: what it received, what it refused, and how long that took.
//!
//! Input: calls from the rim (HTTP, composition root), with durations and times as arguments. Output:
//! plain samples for the encoder. Invariant: a counter over a closed set has all its series from the
//! start. Deliberately absent: figures that the monitored state knows (see `projection`), a clock, the
//! default registry and the text encoder of the crate `prometheus`.
//!
//! To add a metric, declare it in one of the topics, and call it.

mod own;
mod ingest;
mod alertmanager;
mod position_sources;
mod webhooks;
mod feeds;
mod service;
mod journal;
mod snapshots;
mod web;

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Metric, MetricFamily};

pub use alertmanager::AlertmanagerMetrics;
pub use feeds::FeedMetrics;
pub use ingest::IngestMetrics;
pub use journal::JournalMetrics;
pub use own::RuntimeError;
pub use position_sources::PositionSourceMetrics;
pub use service::{ConnectionMetrics, ListenerMetrics, ServiceMetrics};
pub use snapshots::SnapshotMetrics;
pub use web::WebMetrics;
pub use webhooks::WebhookMetrics;

use crate::domain::clock::ClockReading;
use crate::domain::event::KINDS;
use crate::domain::warning::Warning;
use crate::metrics::descriptor::{Descriptor, MetricKind};

/// The build: the labels of `trading_exporter_build_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The version of the package.
    pub version: &'static str,
    /// The commit, or `unknown`.
    pub revision: &'static str,
    /// The compiler, or `unknown`.
    pub rustversion: &'static str,
}

/// The exporter's own metrics. All tasks share them; every update is atomic and none blocks.
#[derive(Debug)]
pub struct Runtime {
    registry: Registry,
    /// When the Watchdog last arrived.
    watchdog_at: Mutex<Option<ClockReading>>,
    pub(crate) ingest: IngestMetrics,
    pub(crate) alertmanager: AlertmanagerMetrics,
    pub(crate) feeds: FeedMetrics,
    pub(crate) position_sources: PositionSourceMetrics,
    pub(crate) webhooks: WebhookMetrics,
    pub(crate) listeners: ListenerMetrics,
    pub(crate) connections: ConnectionMetrics,
    pub(crate) journal: JournalMetrics,
    pub(crate) snapshots: SnapshotMetrics,
    pub(crate) service: ServiceMetrics,
    pub(crate) web: WebMetrics,
}

impl Runtime {
    /// All metrics at 0, in a registry of their own.
    ///
    /// # Errors
    /// [`RuntimeError`] if two families have the same name, which a test rules out.
    pub fn new(build: &Build) -> Result<Self, RuntimeError> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let runtime = Self {
            watchdog_at: Mutex::new(None),
            ingest: IngestMetrics::register(&registry)?,
            alertmanager: AlertmanagerMetrics::register(&registry)?,
            feeds: FeedMetrics::register(&registry)?,
            position_sources: PositionSourceMetrics::register(&registry)?,
            webhooks: WebhookMetrics::register(&registry)?,
            listeners: ListenerMetrics::register(&registry)?,
            connections: ConnectionMetrics::register(&registry)?,
            journal: JournalMetrics::register(&registry)?,
            snapshots: SnapshotMetrics::register(&registry)?,
            service: ServiceMetrics::register(&registry)?,
            web: WebMetrics::register(&registry)?,
            registry,
        };
        let IngestMetrics {
            events_received,
            events_duplicate,
            events_conflict,
            ingest_warnings,
            ..
        } = &runtime.ingest;
        for kind in KINDS {
            for family in [events_received, events_duplicate, events_conflict] {
                family.with_label_values(&[kind]);
            }
        }
        for warning in Warning::ALL {
            ingest_warnings.with_label_values(&[warning.as_str()]);
        }
        runtime.web.file_reload_successful.set(1);
        let info = [build.version, build.revision, build.rustversion];
        runtime.service.build_info.with_label_values(&info).set(1);
        Ok(runtime)
    }

    /// Creates the series of these error codes, so that the first refusal is an increase.
    pub fn declare_codes(&self, codes: &[&'static str]) {
        for code in codes {
            self.ingest.events_rejected.with_label_values(&[code]);
            self.connections.refused.with_label_values(&[code]);
        }
    }

    /// Creates the series of these adapters, so that the first message is an increase.
    pub fn declare_adapters(&self, names: &[&'static str]) {
        for name in names {
            self.ingest.adapter_messages.with_label_values(&[name]);
            self.ingest.adapter_ignored.with_label_values(&[name]);
        }
    }

    /// Records that the Watchdog arrived.
    pub(crate) fn watchdog_arrived(&self, now: ClockReading) {
        self.alertmanager.last_watchdog_time.set(now.wall.as_seconds());
        *self.watchdog_at.lock() = Some(now);
    }

    /// How long ago the Watchdog arrived, by the monotonic clock; `None` if not since the start.
    #[must_use]
    pub(crate) fn watchdog_age(&self, now: ClockReading) -> Option<Duration> {
        let arrived = (*self.watchdog_at.lock())?;
        Some(now.monotonic?.saturating_sub(arrived.monotonic?))
    }

    /// All samples as they are now.
    #[must_use]
    pub(super) fn gather(&self) -> OwnSamples {
        let families = self.registry.gather();
        OwnSamples(families.into_iter().map(|f| (f.name().to_owned(), f)).collect())
    }
}

/// The exporter's own samples at one moment, by family.
#[derive(Debug)]
pub(super) struct OwnSamples(BTreeMap<String, MetricFamily>);

/// A sample of one of the exporter's own families.
#[derive(Debug)]
pub(super) struct OwnSample<'a> {
    /// Label values, in the order of the descriptor.
    pub(super) labels: Vec<&'a str>,
    pub(super) value: OwnValue,
}

#[derive(Debug)]
pub(super) enum OwnValue {
    Number(f64),
    Histogram {
        /// Upper bounds with cumulative counts, without `+Inf`.
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
}

impl OwnSamples {
    /// Names of the families that have samples.
    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The samples of a family; none if it has none.
    pub(super) fn samples(&self, family: &Descriptor) -> impl Iterator<Item = OwnSample<'_>> {
        let metrics = self.0.get(family.name).map(MetricFamily::get_metric).unwrap_or_default();
        metrics.iter().map(|metric| OwnSample {
            labels: family.labels.iter().map(|name| label_value(metric, name)).collect(),
            value: value(metric, family.kind),
        })
    }
}

fn value(metric: &Metric, kind: MetricKind) -> OwnValue {
    match kind {
        MetricKind::Counter => OwnValue::Number(metric.get_counter().get_value()),
        MetricKind::Gauge => OwnValue::Number(metric.get_gauge().get_value()),
        MetricKind::Histogram | MetricKind::Buckets => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            OwnValue::Histogram {
                buckets: buckets.map(|b| (b.upper_bound(), b.cumulative_count())).collect(),
                sum: histogram.get_sample_sum(),
                count: histogram.get_sample_count(),
            }
        }
    }
}

fn label_value<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|l| l.name() == name).map_or("", |l| l.value())
}
