//! The descriptor of a metric family: name, type, HELP and label names, without its samples.
//!
//! Deliberately absent: functions that read values (see `family`), so that the writer of samples
//! does not depend on the families.

/// A metric family without its samples.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The name in the text format: counters end in `_total`.
    pub name: &'static str,
    /// The type of its samples.
    pub kind: MetricKind,
    /// One sentence with the unit.
    pub help: &'static str,
    /// Label names in order, without the `le` of buckets.
    pub labels: &'static [&'static str],
    /// How many of the labels come from the row; they are the first ones.
    pub row_labels: usize,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Never decreases.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Cumulative buckets with `_sum` and `_count`.
    Histogram,
    /// Cumulative buckets only: OpenMetrics forbids `_sum`, and with it `_count`, beside negative
    /// bounds. The bucket `le="+Inf"` is the count.
    Buckets,
}

impl MetricKind {
    /// The word after `# TYPE`, in both formats.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram | Self::Buckets => "histogram",
        }
    }
}

/// Units that a name may end in.
const UNITS: [&str; 4] = ["seconds", "bytes", "bps", "ratio"];

impl Descriptor {
    /// The name in OpenMetrics: a counter's without `_total`.
    #[must_use]
    pub fn base_name(&self) -> &'static str {
        match self.kind {
            MetricKind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            MetricKind::Gauge | MetricKind::Histogram | MetricKind::Buckets => self.name,
        }
    }

    /// The unit for `# UNIT`, if the name ends in one.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let last = self.base_name().rsplit('_').next()?;
        UNITS.into_iter().find(|unit| *unit == last)
    }
}
