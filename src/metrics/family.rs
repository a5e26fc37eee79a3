//! A metric family: its descriptor, and the function that reads its samples off a row.

use crate::metrics::descriptor::{Descriptor, MetricKind};
use crate::metrics::points::Points;
use crate::metrics::rows::{AccountRow, BreakdownRow, ControlRow, ExporterRow, SymbolRow};
use crate::metrics::selection::Summed;

/// One metric family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name, type, HELP and labels.
    pub descriptor: Descriptor,
    /// The rows that its samples are read from.
    pub source: SampleSource,
    /// Whether it shows the sum of folded rows.
    pub summed: Summed,
}

/// The rows that the samples of a family are read from. The labels of a row come first in
/// [`Descriptor::labels`]; the function gives the values of the others.
#[derive(Clone, Copy, Debug)]
pub enum SampleSource {
    /// Rows of (account, symbol).
    Symbol(fn(&SymbolRow, &mut Points<'_>)),
    /// Rows of (account).
    Account(fn(&AccountRow, &mut Points<'_>)),
    /// Rows of (account), each followed by those of its symbols. The function gives the label
    /// `symbol` too; it is empty for the account.
    Within(fn(&AccountRow, &mut Points<'_>), fn(&AccountRow, &SymbolRow, &mut Points<'_>)),
    /// Rows of (account), and one of `*` for all accounts.
    Control(fn(&ControlRow, &mut Points<'_>)),
    /// Rows of (account, strategy).
    Strategy(fn(&BreakdownRow, &mut Points<'_>)),
    /// Rows of (account, venue).
    Venue(fn(&BreakdownRow, &mut Points<'_>)),
    /// The exporter's own figures that the monitored state knows.
    Exporter(fn(&ExporterRow, &mut Points<'_>)),
    /// The exporter's own metrics that [`crate::metrics::Runtime`] counts.
    Runtime,
}

impl SampleSource {
    /// How many labels a row has.
    #[must_use]
    pub const fn row_labels(self) -> usize {
        match self {
            Self::Symbol(_) | Self::Strategy(_) | Self::Venue(_) => 2,
            Self::Account(_) | Self::Within(..) | Self::Control(_) => 1,
            Self::Exporter(_) | Self::Runtime => 0,
        }
    }
}

impl Family {
    const fn new(
        kind: MetricKind,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: SampleSource,
    ) -> Self {
        let row_labels = source.row_labels();
        let summed = match kind {
            MetricKind::Counter => Summed::Yes,
            MetricKind::Gauge | MetricKind::Histogram | MetricKind::Buckets => Summed::No,
        };
        Self { descriptor: Descriptor { name, kind, help, labels, row_labels }, source, summed }
    }

    pub(super) const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: SampleSource,
    ) -> Self {
        Self::new(MetricKind::Counter, name, help, labels, source)
    }

    pub(super) const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: SampleSource,
    ) -> Self {
        Self::new(MetricKind::Gauge, name, help, labels, source)
    }

    /// This gauge, showing the sum of the rows that are folded.
    pub(super) const fn summed(self) -> Self {
        Self { summed: Summed::Yes, ..self }
    }

    /// A histogram whose bounds are not negative.
    pub(super) const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: SampleSource,
    ) -> Self {
        Self::new(MetricKind::Histogram, name, help, labels, source)
    }

    /// A histogram with negative and positive bounds: [`MetricKind::Buckets`].
    pub(super) const fn buckets(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: SampleSource,
    ) -> Self {
        Self::new(MetricKind::Buckets, name, help, labels, source)
    }

    /// A family that [`crate::metrics::Runtime`] counts.
    pub(super) const fn own(
        kind: MetricKind,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self::new(kind, name, help, labels, SampleSource::Runtime)
    }
}
