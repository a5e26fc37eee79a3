//! The encoder: one walk over the catalogue for both formats.
//!
//! Input: a [`Projection`] and, for those who may see it, the exporter's [`Runtime`]. Output: the
//! exposition. Invariants: a family stands in one group under one header, and without samples it
//! does not stand at all; its samples carry exactly the labels of its row in the catalogue; text
//! and OpenMetrics differ in headers, exemplars and `# EOF` alone. The label text of an account or
//! a symbol is escaped once and then copied for each of its series.

use std::iter::once;
use std::slice::from_ref;

use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::time::Timestamp;
use crate::domain::units::{self, Decimal};
use crate::metrics::catalogue::{self, Family, Kind, Source};
use crate::metrics::format::Format;
use crate::metrics::labels::Labels;
use crate::metrics::projection::{AccountRow, Projection, SymbolRow};
use crate::metrics::runtime::{Gathered, Runtime};
use crate::metrics::shown::{Shown, Summed};
use crate::metrics::text::{push_count, push_float, push_label, push_seconds};

/// Bytes that the series of one symbol come to, roughly: the first size of the buffer.
const SYMBOL_BYTES: usize = 6 * 1024;
/// Bytes that everything else comes to, roughly.
const REST_BYTES: usize = 64 * 1024;
/// What a row counts for, beside the bytes that it writes, when it is asked whether a piece is large
/// enough: one that writes nothing takes its time all the same.
const ROW_BYTES: usize = 16;
/// The most characters of an exemplar's label names and values together (OpenMetrics 1.0).
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Writes the exposition.
///
/// Without `runtime`, everything about the exporter itself is left out: those figures move with
/// accounts that the scraper may not see.
#[must_use]
pub fn encode(projection: &Projection, runtime: Option<&Runtime>, format: Format) -> String {
    let labels = Labels::of(projection);
    let mut exposition = Exposition::new(projection, &labels, runtime, format);
    let mut out = String::with_capacity(exposition.size_bytes());
    exposition.write_some(&mut out, usize::MAX);
    out
}

/// An exposition that is written piece by piece, so that whoever writes it can let others have the
/// processor in between: a large one takes a tenth of a second.
#[derive(Debug)]
pub struct Exposition<'p> {
    projection: &'p Projection,
    labels: &'p Labels,
    gathered: Option<Gathered>,
    format: Format,
    families: Vec<&'static Family>,
    at: Place,
    /// Series written so far.
    series: u64,
    /// Whether the header of the family at hand is written.
    is_headed: bool,
}

/// How far an exposition is: so many families, and of the next one accounts, and rows of the next.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    family: usize,
    account: usize,
    row: usize,
}

impl<'p> Exposition<'p> {
    /// The exposition of which [`encode`] writes the whole; `labels` are those of the projection.
    pub(super) fn new(
        projection: &'p Projection,
        labels: &'p Labels,
        runtime: Option<&Runtime>,
        format: Format,
    ) -> Self {
        Self {
            projection,
            labels,
            gathered: runtime.map(Runtime::gather),
            format,
            families: catalogue::all().collect(),
            at: Place::default(),
            series: 0,
            is_headed: false,
        }
    }

    /// How many bytes it comes to, roughly.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let shown = |a: &AccountRow| a.fold.symbols.len(a.symbols.len(), Summed::No);
        let symbols: usize = self.projection.accounts.iter().map(shown).sum();
        REST_BYTES + symbols * SYMBOL_BYTES
    }

    /// Appends the next rows, until `out` has `bytes` or a little more, or less if many rows have
    /// nothing to say. False: that was all.
    pub fn write_some(&mut self, out: &mut String, bytes: usize) -> bool {
        let mut left = bytes;
        while let Some(family) = self.families.get(self.at.family) {
            let mut points = Points {
                out,
                family,
                format: self.format,
                row: "",
                series: self.series,
                is_headed: self.is_headed,
                is_counting: false,
            };
            let gathered = self.gathered.as_ref();
            let rows = Rows { points: &mut points, at: &mut self.at, left: &mut left };
            let is_whole = write_family(rows, self.projection, self.labels, gathered);
            (self.series, self.is_headed) = (points.series, points.is_headed);
            if !is_whole {
                return true;
            }
            self.at = Place { family: self.at.family + 1, ..Place::default() };
            self.is_headed = false;
        }
        if self.format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        false
    }
}

fn push_header(out: &mut String, family: &Family, format: Format) {
    let (name, unit) = match format {
        Format::Text => (family.name, None),
        Format::OpenMetrics => (family.base_name(), family.unit()),
    };
    let lines = [("HELP", Some(family.help)), ("TYPE", Some(family.kind.as_str())), ("UNIT", unit)];
    for (keyword, text) in lines {
        let Some(text) = text else { continue };
        for part in ["# ", keyword, " ", name, " ", text, "\n"] {
            out.push_str(part);
        }
    }
}

/// Where rows are written, how far they are, and how many bytes are enough.
struct Rows<'r, 'a> {
    points: &'r mut Points<'a>,
    at: &'r mut Place,
    left: &'r mut usize,
}

impl<'a> Rows<'_, 'a> {
    /// Writes rows of each account from where it stopped. Whether those were all.
    fn write<'s, R: 's>(
        self,
        accounts: impl Iterator<Item = (&'s [R], &'a [String])>,
        read: fn(&R, &mut Points<'_>),
    ) -> bool {
        let Self { points, at, left } = self;
        for (rows, labels) in accounts.skip(at.account) {
            for (row, labels) in rows.iter().zip(labels).skip(at.row) {
                points.row(row, labels, read);
                at.row += 1;
                *left = left.saturating_sub(ROW_BYTES);
                if points.out.len() >= *left {
                    return false;
                }
            }
            at.account += 1;
            at.row = 0;
        }
        true
    }

    /// Writes those rows of each account that are shown, from where it stopped. Whether those were
    /// all.
    fn write_shown<'s, R: 's>(
        self,
        accounts: impl Iterator<Item = ShownRows<'s, 'a, R>>,
        read: fn(&R, &mut Points<'_>),
    ) -> bool {
        let Self { points, at, left } = self;
        let is_summed = points.family.summed;
        for ShownRows { rows, labels, shown, other } in accounts.skip(at.account) {
            for n in at.row..shown.len(rows.len(), is_summed) {
                let Some((place, row)) = shown.at(n, rows, is_summed) else { continue };
                let own = place.and_then(|place| labels.get(place)).map(String::as_str);
                points.row(row, own.unwrap_or(other), read);
                at.row += 1;
                *left = left.saturating_sub(ROW_BYTES);
                if points.out.len() >= *left {
                    return false;
                }
            }
            at.account += 1;
            at.row = 0;
        }
        true
    }

    /// Writes each account, and then its symbols, from where it stopped. Whether those were all.
    fn write_within(
        self,
        accounts: impl Iterator<Item = (&'a AccountRow, &'a str)>,
        own: fn(&AccountRow, &mut Points<'_>),
        each: fn(&AccountRow, &SymbolRow, &mut Points<'_>),
    ) -> bool {
        let Self { points, at, left } = self;
        for (account, labels) in accounts.skip(at.account) {
            points.row = labels;
            // The account itself stands before its first symbol.
            if at.row == 0 {
                own(account, points);
                at.row = 1;
            }
            let (rows, shown) = (account.symbols.as_slice(), &account.fold.symbols);
            let is_summed = points.family.summed;
            for n in at.row - 1..shown.len(rows.len(), is_summed) {
                let Some((_, symbol)) = shown.at(n, rows, is_summed) else { continue };
                each(account, symbol, points);
                at.row += 1;
                *left = left.saturating_sub(ROW_BYTES);
                if points.out.len() >= *left {
                    return false;
                }
            }
            at.account += 1;
            at.row = 0;
        }
        true
    }
}

/// Rows of an account, with what is shown of them and their labels.
struct ShownRows<'s, 'a, R> {
    rows: &'s [R],
    labels: &'a [String],
    shown: &'s Shown<R>,
    /// The labels of the sum of what is folded.
    other: &'a str,
}

/// Walks the rows that the family is about. Whether that was all of them.
fn write_family<'a>(
    rows: Rows<'_, 'a>,
    projection: &'a Projection,
    labels: &'a Labels,
    gathered: Option<&Gathered>,
) -> bool {
    let accounts = || projection.accounts.iter().zip(&labels.accounts);
    match rows.points.family.source {
        Source::Symbol(read) => {
            let shown = accounts().map(|(a, l)| ShownRows {
                rows: &a.symbols,
                labels: &l.symbols,
                shown: &a.fold.symbols,
                other: &l.others[0],
            });
            rows.write_shown(shown, read)
        }
        Source::Strategy(read) => {
            let shown = accounts().map(|(a, l)| ShownRows {
                rows: &a.strategies,
                labels: &l.strategies,
                shown: &a.fold.strategies,
                other: &l.others[1],
            });
            rows.write_shown(shown, read)
        }
        Source::Venue(read) => {
            let shown = accounts().map(|(a, l)| ShownRows {
                rows: &a.venues,
                labels: &l.venues,
                shown: &a.fold.venues,
                other: &l.others[2],
            });
            rows.write_shown(shown, read)
        }
        Source::Account(read) => {
            rows.write(accounts().map(|(a, l)| (from_ref(a), from_ref(&l.account))), read)
        }
        Source::Within(own, each) => {
            rows.write_within(accounts().map(|(a, l)| (a, l.account.as_str())), own, each)
        }
        Source::Control(read) => {
            let common = once((from_ref(&projection.common), from_ref(&labels.common)));
            let own = accounts().map(|(a, l)| (from_ref(&a.control), from_ref(&l.account)));
            rows.write(common.chain(own), read)
        }
        Source::Exporter(read) => {
            if gathered.is_some() {
                rows.points.row(&projection.exporter, "", read);
            }
            true
        }
        Source::Runtime => {
            if let Some(gathered) = gathered {
                gathered.write(rows.points);
            }
            true
        }
    }
}

/// Takes the samples of one family: where the rows of the catalogue put their values.
///
/// `rest` is always the values of the family's labels after those of the row. A value that is
/// absent, or is not a number, leaves no sample.
#[derive(Debug)]
pub struct Points<'a> {
    out: &'a mut String,
    family: &'static Family,
    format: Format,
    row: &'a str,
    series: u64,
    /// A header is written with the first sample: a family without one does not stand at all.
    is_headed: bool,
    /// Whether samples are counted and not written.
    is_counting: bool,
}

impl<'a> Points<'a> {
    /// Points that are counted alone; nothing is written to `nowhere`.
    pub(super) const fn counting(nowhere: &'a mut String, family: &'static Family) -> Self {
        Self {
            out: nowhere,
            family,
            format: Format::Text,
            row: "",
            series: 0,
            is_headed: true,
            is_counting: true,
        }
    }

    /// A count.
    pub fn count(&mut self, rest: &[&str], value: u64) {
        if self.start("", rest, None) {
            push_count(self.out, value);
            self.end();
        }
    }

    /// A count with the latest order behind it.
    pub fn count_with_exemplar(&mut self, rest: &[&str], value: u64, exemplar: Option<&Exemplar>) {
        if self.start("", rest, None) {
            push_count(self.out, value);
            self.exemplar(exemplar);
            self.end();
        }
    }

    /// A number.
    pub fn value(&mut self, rest: &[&str], value: impl Into<Option<f64>>) {
        let Some(value) = value.into().filter(|v| !v.is_nan()) else { return };
        if self.start("", rest, None) {
            push_float(self.out, value);
            self.end();
        }
    }

    /// An exact number, as the nearest float.
    pub fn decimal(&mut self, rest: &[&str], value: impl Into<Option<Decimal>>) {
        self.value(rest, value.into().map(units::to_f64));
    }

    /// A point in time, in Unix seconds.
    pub fn time(&mut self, rest: &[&str], at: Option<Timestamp>) {
        let Some(at) = at else { return };
        if self.start("", rest, None) {
            push_seconds(self.out, at);
            self.end();
        }
    }

    /// Buckets, made cumulative, and what the family's type adds to them.
    pub fn histogram(&mut self, rest: &[&str], histogram: &Histogram) {
        let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
        let mut count = 0;
        for (bound, bucket) in bounds.zip(histogram.buckets()) {
            count += bucket.count;
            self.bucket(rest, bound, count, bucket.exemplar.as_ref());
        }
        self.sum_and_count(rest, histogram.sum(), count);
    }

    /// Series written so far, in this family and before it.
    #[must_use]
    pub const fn series(&self) -> u64 {
        self.series
    }

    /// The family that is being written.
    pub(super) const fn family(&self) -> &'static Family {
        self.family
    }

    /// One cumulative bucket.
    pub(super) fn bucket(
        &mut self,
        rest: &[&str],
        bound: f64,
        count: u64,
        exemplar: Option<&Exemplar>,
    ) {
        if self.start("_bucket", rest, Some(bound)) {
            push_count(self.out, count);
            self.exemplar(exemplar);
            self.end();
        }
    }

    /// `_sum` and `_count`, where the type has them.
    pub(super) fn sum_and_count(&mut self, rest: &[&str], sum: f64, count: u64) {
        if self.family.kind != Kind::Histogram {
            return;
        }
        if self.start("_sum", rest, None) {
            push_float(self.out, sum);
            self.end();
        }
        if self.start("_count", rest, None) {
            push_count(self.out, count);
            self.end();
        }
    }

    fn row<R>(&mut self, row: &R, labels: &'a str, read: fn(&R, &mut Points<'_>)) {
        self.row = labels;
        read(row, self);
    }

    /// Counts a sample, and writes its name and labels. Whether its value is to be written.
    fn start(&mut self, suffix: &str, rest: &[&str], bound: Option<f64>) -> bool {
        self.series += 1;
        if self.is_counting {
            return false;
        }
        if !self.is_headed {
            push_header(self.out, self.family, self.format);
            self.is_headed = true;
        }
        let Self { out, family, row, .. } = self;
        out.push_str(family.name);
        out.push_str(suffix);
        if !family.labels.is_empty() || bound.is_some() {
            out.push('{');
            out.push_str(row);
            let names = family.labels.iter().skip(family.source.row_labels());
            for (name, value) in names.zip(rest) {
                push_label(out, name, value);
            }
            if let Some(bound) = bound {
                out.push_str(if out.ends_with('{') { "le=\"" } else { ",le=\"" });
                push_float(out, bound);
                out.push('"');
            }
            out.push('}');
        }
        out.push(' ');
        true
    }

    fn end(&mut self) {
        self.out.push('\n');
    }

    /// The order behind a sample, in OpenMetrics alone. An id too long for the format is left out,
    /// and so is one with a quote: the reference parser (`prometheus_client` 0.26) reads an escaped
    /// quote in an exemplar as the end of the text, and would refuse the whole scrape.
    fn exemplar(&mut self, exemplar: Option<&Exemplar>) {
        let Some(exemplar) = exemplar.filter(|_| self.format == Format::OpenMetrics) else {
            return;
        };
        let id = exemplar.order_id.as_str();
        let chars = "order_id".len() + id.chars().count();
        if chars > EXEMPLAR_CHARS_MAX || id.contains('"') {
            return;
        }
        self.out.push_str(" # {");
        push_label(self.out, "order_id", id);
        self.out.push_str("} ");
        push_float(self.out, exemplar.value);
        self.out.push(' ');
        push_seconds(self.out, exemplar.at);
    }
}
