//! The encoder: one walk over the catalogue for both formats.
//!
//! Input: a [`Projection`] and, for a caller who may see it, the exporter's [`Runtime`]. Output: the
//! exposition. Invariants: a family is one group under one header, and is absent without samples; text
//! and OpenMetrics differ in headers, exemplars and `# EOF` only. The label text of a row is escaped
//! once and then copied for each of its series.

use std::iter::once;
use std::slice::from_ref;

use crate::metrics::catalogue;
use crate::metrics::family::{Family, SampleSource};
use crate::metrics::format::Format;
use crate::metrics::labels::ProjectionLabels;
use crate::metrics::points::{Points, WriteProgress};
use crate::metrics::rows::{AccountRow, Projection, SymbolRow};
use crate::metrics::runtime::{OwnSamples, OwnValue, Runtime};
use crate::metrics::selection::{RowSelection, Summed};

/// Approximate bytes of the series of one symbol: sizes the buffer.
const SYMBOL_BYTES: usize = 6 * 1024;
/// Approximate bytes of everything else.
const REST_BYTES: usize = 64 * 1024;
/// The cost of a row in bytes, beside the bytes that it writes, when a piece is measured: a row that
/// writes nothing takes time too.
const ROW_BYTES: usize = 16;

/// Writes the exposition.
///
/// Without `runtime`, everything about the exporter itself is omitted: those figures change with
/// accounts that the scraper may not see.
#[must_use]
pub fn encode(projection: &Projection, runtime: Option<&Runtime>, format: Format) -> String {
    let labels = ProjectionLabels::of(projection);
    let mut exposition = Exposition::new(projection, &labels, runtime, format);
    let mut out = String::with_capacity(exposition.size_bytes());
    exposition.write_some(&mut out, usize::MAX);
    out
}

/// An exposition that is written piece by piece, so that the caller can yield between two pieces of a
/// large one.
#[derive(Debug)]
pub struct Exposition<'p> {
    projection: &'p Projection,
    labels: &'p ProjectionLabels,
    gathered: Option<OwnSamples>,
    format: Format,
    families: Vec<&'static Family>,
    at: RowPosition,
    progress: WriteProgress,
}

/// The next row to write.
#[derive(Clone, Copy, Debug, Default)]
struct RowPosition {
    family: usize,
    account: usize,
    row: usize,
}

impl<'p> Exposition<'p> {
    pub(super) fn new(
        projection: &'p Projection,
        labels: &'p ProjectionLabels,
        runtime: Option<&Runtime>,
        format: Format,
    ) -> Self {
        Self {
            projection,
            labels,
            gathered: runtime.map(Runtime::gather),
            format,
            families: catalogue::all().collect(),
            at: RowPosition::default(),
            progress: WriteProgress::default(),
        }
    }

    /// The approximate size of the whole text.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let shown = |a: &AccountRow| a.fold.symbols.len(a.symbols.len(), Summed::No);
        let symbols: usize = self.projection.accounts.iter().map(shown).sum();
        REST_BYTES + symbols * SYMBOL_BYTES
    }

    /// Appends the next rows until `out` has about `bytes`: a little more, or less if many rows write
    /// nothing. Returns whether there are more rows.
    pub fn write_some(&mut self, out: &mut String, bytes: usize) -> bool {
        let mut left = bytes;
        while let Some(family) = self.families.get(self.at.family) {
            let descriptor = &family.descriptor;
            let mut points = Points::writing(out, descriptor, self.format, self.progress);
            let gathered = self.gathered.as_ref();
            let writer = RowWriter {
                points: &mut points,
                at: &mut self.at,
                left: &mut left,
                summed: family.summed,
            };
            let is_whole =
                write_family(writer, family.source, self.projection, self.labels, gathered);
            self.progress = points.progress();
            if !is_whole {
                return true;
            }
            self.at = RowPosition { family: self.at.family + 1, ..RowPosition::default() };
            self.progress.is_headed = false;
        }
        if self.format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        false
    }
}

/// Writes the rows of one family from where the last piece stopped. Its functions return whether they
/// wrote all rows.
struct RowWriter<'r, 'a> {
    points: &'r mut Points<'a>,
    at: &'r mut RowPosition,
    /// The size at which the piece is large enough, less [`ROW_BYTES`] for each row.
    left: &'r mut usize,
    summed: Summed,
}

impl<'a> RowWriter<'_, 'a> {
    /// Counts one row. Returns whether the piece is large enough.
    fn is_enough(&mut self) -> bool {
        self.at.row += 1;
        *self.left = self.left.saturating_sub(ROW_BYTES);
        self.points.written_bytes() >= *self.left
    }

    fn end_account(&mut self) {
        self.at.account += 1;
        self.at.row = 0;
    }

    /// Writes all rows of each account.
    fn write<'s, R: 's>(
        mut self,
        accounts: impl Iterator<Item = (&'s [R], &'a [String])>,
        read: fn(&R, &mut Points<'_>),
    ) -> bool {
        for (rows, labels) in accounts.skip(self.at.account) {
            for (row, labels) in rows.iter().zip(labels).skip(self.at.row) {
                self.points.set_row(labels);
                read(row, self.points);
                if self.is_enough() {
                    return false;
                }
            }
            self.end_account();
        }
        true
    }

    /// Writes the selected rows of each account.
    fn write_selected<'s, R: 's>(
        mut self,
        accounts: impl Iterator<Item = SelectedRows<'s, 'a, R>>,
        read: fn(&R, &mut Points<'_>),
    ) -> bool {
        let summed = self.summed;
        for SelectedRows { rows, labels, selection, other } in accounts.skip(self.at.account) {
            for n in self.at.row..selection.len(rows.len(), summed) {
                let Some((index, row)) = selection.at(n, rows, summed) else { continue };
                let own = index.and_then(|index| labels.get(index)).map(String::as_str);
                self.points.set_row(own.unwrap_or(other));
                read(row, self.points);
                if self.is_enough() {
                    return false;
                }
            }
            self.end_account();
        }
        true
    }

    /// Writes each account, followed by its selected symbols.
    fn write_within(
        mut self,
        accounts: impl Iterator<Item = (&'a AccountRow, &'a str)>,
        own: fn(&AccountRow, &mut Points<'_>),
        each: fn(&AccountRow, &SymbolRow, &mut Points<'_>),
    ) -> bool {
        let summed = self.summed;
        for (account, labels) in accounts.skip(self.at.account) {
            self.points.set_row(labels);
            // Row 0 is the account itself; its symbols follow.
            if self.at.row == 0 {
                own(account, self.points);
                self.at.row = 1;
            }
            let (rows, selection) = (account.symbols.as_slice(), &account.fold.symbols);
            for n in self.at.row - 1..selection.len(rows.len(), summed) {
                let Some((_, symbol)) = selection.at(n, rows, summed) else { continue };
                each(account, symbol, self.points);
                if self.is_enough() {
                    return false;
                }
            }
            self.end_account();
        }
        true
    }
}

/// Rows of one account, which of them are written, and their labels.
struct SelectedRows<'s, 'a, R> {
    rows: &'s [R],
    labels: &'a [String],
    selection: &'s RowSelection<R>,
    /// The labels of the sum of the folded rows.
    other: &'a str,
}

/// Writes the rows that a family is read from. Returns whether it wrote all of them.
fn write_family<'a>(
    writer: RowWriter<'_, 'a>,
    source: SampleSource,
    projection: &'a Projection,
    labels: &'a ProjectionLabels,
    gathered: Option<&OwnSamples>,
) -> bool {
    let accounts = || projection.accounts.iter().zip(&labels.accounts);
    match source {
        SampleSource::Symbol(read) => {
            let selected = accounts().map(|(a, l)| SelectedRows {
                rows: &a.symbols,
                labels: &l.symbols,
                selection: &a.fold.symbols,
                other: &l.other_symbol,
            });
            writer.write_selected(selected, read)
        }
        SampleSource::Strategy(read) => {
            let selected = accounts().map(|(a, l)| SelectedRows {
                rows: &a.strategies,
                labels: &l.strategies,
                selection: &a.fold.strategies,
                other: &l.other_strategy,
            });
            writer.write_selected(selected, read)
        }
        SampleSource::Venue(read) => {
            let selected = accounts().map(|(a, l)| SelectedRows {
                rows: &a.venues,
                labels: &l.venues,
                selection: &a.fold.venues,
                other: &l.other_venue,
            });
            writer.write_selected(selected, read)
        }
        SampleSource::Account(read) => {
            writer.write(accounts().map(|(a, l)| (from_ref(a), from_ref(&l.account))), read)
        }
        SampleSource::Within(own, each) => {
            writer.write_within(accounts().map(|(a, l)| (a, l.account.as_str())), own, each)
        }
        SampleSource::Control(read) => {
            let common = once((from_ref(&projection.common), from_ref(&labels.common)));
            let own = accounts().map(|(a, l)| (from_ref(&a.control), from_ref(&l.account)));
            writer.write(common.chain(own), read)
        }
        SampleSource::Exporter(read) => {
            if gathered.is_some() {
                read(&projection.exporter, writer.points);
            }
            true
        }
        SampleSource::Runtime => {
            if let Some(gathered) = gathered {
                write_own(gathered, writer.points);
            }
            true
        }
    }
}

/// Writes one of the exporter's own families.
fn write_own(gathered: &OwnSamples, points: &mut Points<'_>) {
    for sample in gathered.samples(points.family()) {
        match sample.value {
            OwnValue::Number(value) => points.value(&sample.labels, value),
            OwnValue::Histogram { buckets, sum, count } => {
                for (bound, below) in buckets {
                    points.bucket(&sample.labels, bound, below, None);
                }
                points.bucket(&sample.labels, f64::INFINITY, count, None);
                points.sum_and_count(&sample.labels, sum, count);
            }
        }
    }
}
