//! The exporter's own figures: what it received, refused and how long that took.
//!
//! Input: small typed calls from the rim (HTTP, composition root), with durations and times handed
//! in. Output: [`Gathered`] samples for the encoder. Invariants: label values come from closed
//! sets (`&'static str`), so they are bounded by the code; a counter of a known set is born at 0.
//! Deliberately absent: anything that the monitored state knows (see `projection`), a clock, the
//! crate's default registry and its text encoder.

mod journal;
mod snapshots;

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::local::LocalHistogram;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub use journal::JournalFigures;
pub use snapshots::{SnapshotFigure, SnapshotFigures};

use crate::domain::clock::Reading;
use crate::domain::event::KINDS;
use crate::domain::time::Timestamp;
use crate::domain::warning::Warning;
use crate::metrics::catalogue::{Family, Kind};
use crate::metrics::encode::Points;
use crate::metrics::families::runtime as families;
use crate::metrics::label_values::{ListenerKind, NotificationOutcome, StreamEnd};
use crate::metrics::webhooks::WebhookMetrics;

/// Bounds of `ingest_duration`, in seconds: a sync takes milliseconds, a deadline seconds.
const INGEST_BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds of `event_delay`, in seconds: from one host to a sender that was cut off.
const DELAY_BOUNDS: [f64; 12] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3600.0];
/// What comes later than this is of an old session, and no delay.
const DELAY_MAX: Duration = Duration::from_hours(1);

/// The exporter's own metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the exporter's own metrics could not be set up")]
pub struct RuntimeError(#[from] prometheus::Error);

/// What was built: the labels of `trading_exporter_build_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The version of the package.
    pub version: &'static str,
    /// The commit, or `unknown`.
    pub revision: &'static str,
    /// The compiler, or `unknown`.
    pub rustversion: &'static str,
}

/// The exporter's own figures. Cheap to call from any task; nothing here waits.
#[derive(Debug)]
pub struct Runtime {
    registry: Registry,
    received: IntCounterVec,
    rejected: IntCounterVec,
    warned: IntCounterVec,
    old: IntCounterVec,
    duplicate: IntCounterVec,
    conflict: IntCounterVec,
    ingest: Histogram,
    delay: Histogram,
    alertmanager: IntCounterVec,
    unknown_actions: IntCounterVec,
    /// Without labels; a sample is there once the Watchdog came.
    watchdog_time: GaugeVec,
    watchdog_at: Mutex<Option<Reading>>,
    webhooks: WebhookMetrics,
    listeners: IntGaugeVec,
    listeners_refused: IntCounterVec,
    streams_ended: IntCounterVec,
    journal: JournalFigures,
    snapshots: SnapshotFigures,
    queue_depth: IntGauge,
    queue_limit: IntGauge,
    scrape: Gauge,
    reload_successful: IntGauge,
    reload_success_time: Gauge,
}

impl Runtime {
    /// Everything at 0, in a registry of its own.
    ///
    /// # Errors
    /// [`RuntimeError`] when two families have one name, which a test rules out.
    pub fn new(build: &Build) -> Result<Self, RuntimeError> {
        let registry = Registry::new();
        let own = &registry;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let info = register(
            own,
            GaugeVec::new(opts(&families::BUILD_INFO), families::BUILD_INFO.labels)?,
        )?;
        info.with_label_values(&[build.version, build.revision, build.rustversion]).set(1.0);
        let runtime = Self {
            received: counter(own, &families::EVENTS_RECEIVED)?,
            rejected: counter(own, &families::EVENTS_REJECTED)?,
            warned: counter(own, &families::INGEST_WARNINGS)?,
            old: counter(own, &families::EVENTS_OLD)?,
            duplicate: counter(own, &families::EVENTS_DUPLICATE)?,
            conflict: counter(own, &families::EVENTS_CONFLICT)?,
            ingest: histogram(own, &families::INGEST_DURATION, &INGEST_BOUNDS)?,
            delay: histogram(own, &families::EVENT_DELAY, &DELAY_BOUNDS)?,
            alertmanager: counter(own, &families::ALERTMANAGER_WEBHOOKS)?,
            unknown_actions: counter(own, &families::ALERTMANAGER_UNKNOWN_ACTIONS)?,
            watchdog_time: register(own, GaugeVec::new(opts(&families::LAST_WATCHDOG_TIME), &[])?)?,
            journal: JournalFigures::new(own)?,
            snapshots: SnapshotFigures::new(own)?,
            queue_depth: register(own, IntGauge::with_opts(opts(&families::QUEUE_DEPTH))?)?,
            queue_limit: register(own, IntGauge::with_opts(opts(&families::QUEUE_LIMIT))?)?,
            scrape: register(own, Gauge::with_opts(opts(&families::SCRAPE_DURATION))?)?,
            reload_successful: register(
                own,
                IntGauge::with_opts(opts(&families::RELOAD_SUCCESSFUL))?,
            )?,
            reload_success_time: register(
                own,
                Gauge::with_opts(opts(&families::RELOAD_SUCCESS_TIME))?,
            )?,
            watchdog_at: Mutex::new(None),
            webhooks: WebhookMetrics::new(own)?,
            listeners: register(
                own,
                IntGaugeVec::new(opts(&families::LISTENERS), families::LISTENERS.labels)?,
            )?,
            listeners_refused: counter(own, &families::LISTENERS_REFUSED)?,
            streams_ended: counter(own, &families::STREAMS_ENDED)?,
            registry,
        };
        for kind in KINDS {
            for family in [&runtime.received, &runtime.duplicate, &runtime.conflict] {
                family.with_label_values(&[kind]);
            }
        }
        runtime.old.with_label_values::<&str>(&[]);
        for warning in Warning::ALL {
            runtime.warned.with_label_values(&[warning.as_str()]);
        }
        for outcome in NotificationOutcome::ALL {
            runtime.alertmanager.with_label_values(&[outcome.as_str()]);
        }
        runtime.unknown_actions(0);
        for kind in ListenerKind::ALL {
            runtime.listeners.with_label_values(&[kind.as_str()]);
            runtime.listeners_refused.with_label_values(&[kind.as_str()]);
        }
        for reason in StreamEnd::ALL {
            runtime.streams_ended.with_label_values(&[reason.as_str()]);
        }
        Ok(runtime)
    }

    /// Makes the counters of these error codes, so that the first refusal is an increase.
    pub fn declare_codes(&self, codes: &[&'static str]) {
        for code in codes {
            self.rejected.with_label_values(&[code]);
        }
    }

    /// An event of that type was decoded.
    pub fn event_received(&self, kind: &'static str) {
        self.events_received(kind, 1);
    }

    /// So many events of that type were decoded.
    pub fn events_received(&self, kind: &'static str, count: u64) {
        self.received.with_label_values(&[kind]).inc_by(count);
    }

    /// An event, or a request whole, was refused with that error code.
    pub fn event_rejected(&self, code: &'static str) {
        self.rejected.with_label_values(&[code]).inc();
    }

    /// An event was taken, and its answer says this about it.
    pub fn event_warned(&self, warning: Warning) {
        self.warned.with_label_values(&[warning.as_str()]).inc();
    }

    /// An event of that type was known already.
    pub fn event_duplicate(&self, kind: &'static str) {
        self.duplicate.with_label_values(&[kind]).inc();
    }

    /// An event of that type contradicted what is known under its id.
    pub fn event_conflict(&self, kind: &'static str) {
        self.conflict.with_label_values(&[kind]).inc();
    }

    /// An event was received at `received_at` that says `time`. One from the future counts as 0, one
    /// of an old session is counted apart.
    pub fn event_delay(&self, time: Timestamp, received_at: Timestamp) {
        match delay_seconds(time, received_at) {
            Some(seconds) => self.delay.observe(seconds),
            None => self.old.with_label_values::<&str>(&[]).inc(),
        }
    }

    /// The delays of the events of one request, counted when the value is dropped.
    #[must_use]
    pub fn delays(&self) -> Delays {
        Delays { delay: self.delay.local(), old: self.old.clone() }
    }

    /// A request with events was answered after `took`.
    pub fn ingest_duration(&self, took: Duration) {
        self.ingest.observe(took.as_secs_f64());
    }

    /// The figures of the journal.
    #[must_use]
    pub const fn journal(&self) -> &JournalFigures {
        &self.journal
    }

    /// The figures of snapshots and of a replay.
    #[must_use]
    pub const fn snapshots(&self) -> &SnapshotFigures {
        &self.snapshots
    }

    /// A notification of Alertmanager came, and what came of it.
    pub fn notification(&self, outcome: NotificationOutcome) {
        self.alertmanager.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Alerts of a notification asked for an action that is not known.
    pub fn unknown_actions(&self, alerts: u64) {
        self.unknown_actions.with_label_values::<&str>(&[]).inc_by(alerts);
    }

    /// The Watchdog came.
    pub fn watchdog(&self, now: Reading) {
        self.watchdog_time.with_label_values::<&str>(&[]).set(now.wall.as_seconds());
        *self.watchdog_at.lock() = Some(now);
    }

    /// How long ago the Watchdog came, whatever the wall clock does; none: not since the start.
    #[must_use]
    pub fn watchdog_age(&self, now: Reading) -> Option<Duration> {
        let came = (*self.watchdog_at.lock())?;
        Some(now.monotonic?.saturating_sub(came.monotonic?))
    }

    /// The figures of webhooks.
    #[must_use]
    pub const fn webhooks(&self) -> &WebhookMetrics {
        &self.webhooks
    }

    /// Somebody stays connected.
    pub fn listener_came(&self, kind: ListenerKind) {
        self.listeners.with_label_values(&[kind.as_str()]).inc();
    }

    /// Somebody who stayed connected has gone.
    pub fn listener_went(&self, kind: ListenerKind) {
        self.listeners.with_label_values(&[kind.as_str()]).dec();
    }

    /// Somebody found no place.
    pub fn listener_refused(&self, kind: ListenerKind) {
        self.listeners_refused.with_label_values(&[kind.as_str()]).inc();
    }

    /// A stream ended.
    pub fn stream_ended(&self, why: StreamEnd) {
        self.streams_ended.with_label_values(&[why.as_str()]).inc();
    }

    /// Requests that wait for the writer, and how many may.
    pub fn queue(&self, depth: usize, limit: usize) {
        self.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.queue_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// A scrape was projected and encoded in `took`; the next one shows it.
    pub fn scrape_duration(&self, took: Duration) {
        self.scrape.set(took.as_secs_f64());
    }

    /// The configuration was loaded at `at`, at start or by a reload.
    pub fn config_loaded(&self, at: Timestamp) {
        self.reload_successful.set(1);
        self.reload_success_time.set(at.as_seconds());
    }

    /// A reload was refused; the configuration before it stays in force.
    pub fn config_refused(&self) {
        self.reload_successful.set(0);
    }

    /// All samples as they are now.
    #[must_use]
    pub fn gather(&self) -> Gathered {
        let families = self.registry.gather();
        Gathered(families.into_iter().map(|f| (f.name().to_owned(), f)).collect())
    }
}

/// Delays of events, gathered without touching what other threads count in: a batch has thousands.
#[derive(Debug)]
pub struct Delays {
    delay: LocalHistogram,
    old: IntCounterVec,
}

impl Delays {
    /// The same as [`Runtime::event_delay`].
    pub fn observe(&self, time: Timestamp, received_at: Timestamp) {
        match delay_seconds(time, received_at) {
            Some(seconds) => self.delay.observe(seconds),
            None => self.old.with_label_values::<&str>(&[]).inc(),
        }
    }
}

/// How long after `time` something was received; 0 if that is in the future, none if it is of an old
/// session.
fn delay_seconds(time: Timestamp, received_at: Timestamp) -> Option<f64> {
    let is_old = received_at.is_past(time, DELAY_MAX);
    (!is_old).then(|| crate::domain::time::seconds(received_at.since(time).max(0)))
}

pub(super) fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

pub(super) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, RuntimeError> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn counter(registry: &Registry, family: &Family) -> Result<IntCounterVec, RuntimeError> {
    register(registry, IntCounterVec::new(opts(family), family.labels)?)
}

fn histogram(
    registry: &Registry,
    family: &Family,
    bounds: &[f64],
) -> Result<Histogram, RuntimeError> {
    let opts = HistogramOpts::new(family.name, family.help).buckets(bounds.to_vec());
    register(registry, Histogram::with_opts(opts)?)
}

/// The exporter's own samples at one moment, by family.
#[derive(Debug)]
pub struct Gathered(BTreeMap<String, MetricFamily>);

impl Gathered {
    /// Names of the families that have samples.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Writes the samples of the family that `points` is about.
    pub(super) fn write(&self, points: &mut Points<'_>) {
        let family = points.family();
        let Some(gathered) = self.0.get(family.name) else { return };
        for metric in gathered.get_metric() {
            let labels: Vec<&str> =
                family.labels.iter().map(|name| label_value(metric, name)).collect();
            match family.kind {
                Kind::Counter => points.value(&labels, metric.get_counter().get_value()),
                Kind::Gauge => points.value(&labels, metric.get_gauge().get_value()),
                Kind::Histogram | Kind::Buckets => {
                    let histogram = metric.get_histogram();
                    let count = histogram.get_sample_count();
                    for bucket in histogram.get_bucket() {
                        let (bound, below) = (bucket.upper_bound(), bucket.cumulative_count());
                        points.bucket(&labels, bound, below, None);
                    }
                    points.bucket(&labels, f64::INFINITY, count, None);
                    points.sum_and_count(&labels, histogram.get_sample_sum(), count);
                }
            }
        }
    }
}

fn label_value<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|l| l.name() == name).map_or("", |l| l.value())
}
