//! The declaration of the exporter's own metrics, through the crate `prometheus`.
//!
//! `own_metrics!` declares a struct of metrics from one list. Each declaration gives the field, its
//! registration, and the row of the catalogue; the doc comment is the HELP text:
//!
//! ```text
//! own_metrics! {
//!     /// Metrics of received events.
//!     pub struct IngestMetrics {
//!         /// Number of events decoded, by type.
//!         events_received: IntCounterVec["type"] = "trading_exporter_events_received_total",
//!         /// Time in seconds from a request with events to its answer.
//!         ingest_duration: Histogram = "trading_exporter_ingest_duration_seconds" in [0.1, 1.0],
//!     }
//! }
//! ```
//!
//! Label values come from closed sets, from the configuration, or from the code, so the number of
//! series is bounded.

use enum_map::{EnumArray, EnumMap};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, Result,
};

use crate::domain::closed_set::ClosedSet;
use crate::metrics::descriptor::MetricKind;

/// The exporter's own metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the exporter's own metrics could not be set up")]
pub struct RuntimeError(#[from] prometheus::Error);

/// Declares a struct of metrics, as the head of this file shows.
macro_rules! own_metrics {
    ($(#[doc = $about:literal])+ pub struct $name:ident {$(
        $(#[doc = $help:literal])+
        $field:ident: $metric:ty $([$($label:literal),+])? = $family:literal
            $(in [$($bound:literal),+ $(,)?])?,
    )+}) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $help])+ pub(crate) $field: $metric,)+
        }

        impl $name {
            /// The rows of the catalogue.
            pub(crate) const FAMILIES:
                [$crate::metrics::family::Family; <[&str]>::len(&[$($family),+])] = [$(
                $crate::metrics::family::Family::own(
                    <$metric as $crate::metrics::runtime::own::OwnMetric>::KIND,
                    $family,
                    concat!($($help),+).trim_ascii(),
                    &[$($($label),+)?],
                )
            ),+];

            /// Registers the metrics, all at 0.
            pub(crate) fn register(
                registry: &prometheus::Registry,
            ) -> prometheus::Result<Self> {
                use $crate::metrics::runtime::own::OwnMetric;
                let [$($field),+] = Self::FAMILIES.map(|family| family.descriptor);
                Ok(Self {$(
                    $field: OwnMetric::register(
                        registry,
                        prometheus::Opts::new($field.name, $field.help),
                        $field.labels,
                        &[$($($bound),+)?],
                    )?,
                )+})
            }
        }
    };
}
pub(super) use own_metrics;

/// A metric that `own_metrics!` can declare.
pub(crate) trait OwnMetric: Sized {
    const KIND: MetricKind;

    /// Creates the metric in a registry. `bounds` are those of a histogram's buckets.
    fn register(registry: &Registry, opts: Opts, labels: &[&str], bounds: &[f64]) -> Result<Self>;
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Implements [`OwnMetric`] for a metric of the crate `prometheus`.
macro_rules! metric_of_the_crate {
    ($($kind:ident: $metric:ident = |$opts:ident, $labels:ident, $bounds:ident| $new:expr;)+) => {$(
        impl OwnMetric for $metric {
            const KIND: MetricKind = MetricKind::$kind;

            fn register(
                registry: &Registry,
                $opts: Opts,
                $labels: &[&str],
                $bounds: &[f64],
            ) -> Result<Self> {
                registered(registry, $new?)
            }
        }
    )+};
}

metric_of_the_crate! {
    Counter: IntCounter = |opts, _labels, _bounds| Self::with_opts(opts);
    Counter: IntCounterVec = |opts, labels, _bounds| Self::new(opts, labels);
    Gauge: Gauge = |opts, _labels, _bounds| Self::with_opts(opts);
    Gauge: GaugeVec = |opts, labels, _bounds| Self::new(opts, labels);
    Gauge: IntGauge = |opts, _labels, _bounds| Self::with_opts(opts);
    Gauge: IntGaugeVec = |opts, labels, _bounds| Self::new(opts, labels);
    Histogram: Histogram =
        |opts, _labels, bounds| Self::with_opts(HistogramOpts::from(opts).buckets(bounds.to_vec()));
}

/// A counter for each member of a closed set, all at 0 from the start.
#[derive(Debug)]
pub(crate) struct CounterBy<L: EnumArray<IntCounter>>(EnumMap<L, IntCounter>);

impl<L: EnumArray<IntCounter>> CounterBy<L> {
    pub(crate) fn of(&self, member: L) -> &IntCounter {
        &self.0[member]
    }
}

impl<L: ClosedSet + EnumArray<IntCounter>> OwnMetric for CounterBy<L> {
    const KIND: MetricKind = MetricKind::Counter;

    fn register(registry: &Registry, opts: Opts, labels: &[&str], bounds: &[f64]) -> Result<Self> {
        let all = IntCounterVec::register(registry, opts, labels, bounds)?;
        Ok(Self(EnumMap::from_fn(|member: L| all.with_label_values(&[member.word()]))))
    }
}

/// A gauge for each member of a closed set, all at 0 from the start.
#[derive(Debug)]
pub(crate) struct GaugeBy<L: EnumArray<IntGauge>>(EnumMap<L, IntGauge>);

impl<L: EnumArray<IntGauge>> GaugeBy<L> {
    pub(crate) fn of(&self, member: L) -> &IntGauge {
        &self.0[member]
    }
}

impl<L: ClosedSet + EnumArray<IntGauge>> OwnMetric for GaugeBy<L> {
    const KIND: MetricKind = MetricKind::Gauge;

    fn register(registry: &Registry, opts: Opts, labels: &[&str], bounds: &[f64]) -> Result<Self> {
        let all = IntGaugeVec::register(registry, opts, labels, bounds)?;
        Ok(Self(EnumMap::from_fn(|member: L| all.with_label_values(&[member.word()]))))
    }
}

/// A gauge that has no sample until it is set.
#[derive(Debug)]
pub(crate) struct OptionalGauge(GaugeVec);

impl OptionalGauge {
    pub(crate) fn set(&self, value: f64) {
        self.0.with_label_values::<&str>(&[]).set(value);
    }
}

impl OwnMetric for OptionalGauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn register(registry: &Registry, opts: Opts, labels: &[&str], bounds: &[f64]) -> Result<Self> {
        GaugeVec::register(registry, opts, labels, bounds).map(Self)
    }
}

/// A gauge of a count or a size.
#[derive(Debug)]
pub(crate) struct CountGauge(IntGauge);

impl CountGauge {
    /// Sets the gauge; a value above `i64::MAX` is capped.
    pub(crate) fn set(&self, value: impl TryInto<i64>) {
        self.0.set(value.try_into().unwrap_or(i64::MAX));
    }
}

impl OwnMetric for CountGauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn register(registry: &Registry, opts: Opts, labels: &[&str], bounds: &[f64]) -> Result<Self> {
        IntGauge::register(registry, opts, labels, bounds).map(Self)
    }
}
