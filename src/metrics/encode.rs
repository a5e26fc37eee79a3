//! The encoder: one walk over the catalogue for both formats.
//!
//! Input: a [`Projection`] and, for those who may see it, the exporter's [`Runtime`]. Output: the
//! exposition. Invariants: a family stands in one group under one header, and without samples it
//! does not stand at all; its samples carry exactly the labels of its row in the catalogue; text
//! and OpenMetrics differ in headers, exemplars and `# EOF` alone. The label text of an account or
//! a symbol is escaped once and then copied for each of its series.

use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::time::Timestamp;
use crate::domain::units::{self, Decimal};
use crate::metrics::catalogue::{self, Family, Kind, Source};
use crate::metrics::format::Format;
use crate::metrics::projection::{AccountRow, BreakdownRow, Projection};
use crate::metrics::runtime::{Gathered, Runtime};
use crate::metrics::text::{push_count, push_float, push_label, push_seconds};

/// Bytes that the series of one symbol come to, roughly: the first size of the buffer.
const SYMBOL_BYTES: usize = 6 * 1024;
/// Bytes that everything else comes to, roughly.
const REST_BYTES: usize = 64 * 1024;
/// The most characters of an exemplar's label names and values together (OpenMetrics 1.0).
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Writes the exposition.
///
/// Without `runtime`, everything about the exporter itself is left out: those figures move with
/// accounts that the scraper may not see.
#[must_use]
pub fn encode(projection: &Projection, runtime: Option<&Runtime>, format: Format) -> String {
    let labels = Labels::of(projection);
    let gathered = runtime.map(Runtime::gather);
    let symbols: usize = projection.accounts.iter().map(|a| a.symbols.len()).sum();
    let mut out = String::with_capacity(REST_BYTES + symbols * SYMBOL_BYTES);
    let mut series = 0;
    for family in catalogue::all() {
        let start = out.len();
        push_header(&mut out, family, format);
        let before = series;
        let mut points = Points { out: &mut out, family, format, row: "", series };
        write_family(&mut points, projection, &labels, gathered.as_ref());
        series = points.series;
        if series == before {
            out.truncate(start);
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
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

/// Walks the rows that the family is about.
fn write_family<'a>(
    points: &mut Points<'a>,
    projection: &Projection,
    labels: &'a Labels,
    gathered: Option<&Gathered>,
) {
    let accounts = || projection.accounts.iter().zip(&labels.accounts);
    match points.family.source {
        Source::Symbol(read) => {
            for (account, labels) in accounts() {
                points.rows(&account.symbols, &labels.symbols, read);
            }
        }
        Source::Strategy(read) => {
            for (account, labels) in accounts() {
                points.rows(&account.strategies, &labels.strategies, read);
            }
        }
        Source::Venue(read) => {
            for (account, labels) in accounts() {
                points.rows(&account.venues, &labels.venues, read);
            }
        }
        Source::Account(read) => {
            for (account, labels) in accounts() {
                points.row(account, &labels.account, read);
            }
        }
        Source::Control(read) => {
            points.row(&projection.common, &labels.common, read);
            for (account, labels) in accounts() {
                points.row(&account.control, &labels.account, read);
            }
        }
        Source::Exporter(read) => {
            if gathered.is_some() {
                points.row(&projection.exporter, "", read);
            }
        }
        Source::Runtime => {
            if let Some(gathered) = gathered {
                gathered.write(points);
            }
        }
    }
}

/// The escaped label text of every row.
struct Labels {
    common: String,
    accounts: Vec<AccountLabels>,
}

struct AccountLabels {
    account: String,
    symbols: Vec<String>,
    strategies: Vec<String>,
    venues: Vec<String>,
}

impl Labels {
    fn of(projection: &Projection) -> Self {
        let mut common = String::new();
        push_label(&mut common, "account", projection.common.account.as_str());
        Self { common, accounts: projection.accounts.iter().map(AccountLabels::of).collect() }
    }
}

impl AccountLabels {
    fn of(row: &AccountRow) -> Self {
        let mut account = String::new();
        push_label(&mut account, "account", row.control.account.as_str());
        let under = |name: &str, value: &str| {
            let mut text = String::with_capacity(account.len() + name.len() + value.len() + 4);
            text.push_str(&account);
            push_label(&mut text, name, value);
            text
        };
        let breakdown = |name: &str, rows: &[BreakdownRow]| {
            rows.iter().map(|row| under(name, &row.name)).collect()
        };
        Self {
            symbols: row.symbols.iter().map(|s| under("symbol", s.symbol.as_str())).collect(),
            strategies: breakdown("strategy", &row.strategies),
            venues: breakdown("venue", &row.venues),
            account,
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
}

impl<'a> Points<'a> {
    /// A count.
    pub fn count(&mut self, rest: &[&str], value: u64) {
        self.start("", rest, None);
        push_count(self.out, value);
        self.end();
    }

    /// A count with the latest order behind it.
    pub fn count_with_exemplar(&mut self, rest: &[&str], value: u64, exemplar: Option<&Exemplar>) {
        self.start("", rest, None);
        push_count(self.out, value);
        self.exemplar(exemplar);
        self.end();
    }

    /// A number.
    pub fn value(&mut self, rest: &[&str], value: impl Into<Option<f64>>) {
        let Some(value) = value.into().filter(|v| !v.is_nan()) else { return };
        self.start("", rest, None);
        push_float(self.out, value);
        self.end();
    }

    /// An exact number, as the nearest float.
    pub fn decimal(&mut self, rest: &[&str], value: impl Into<Option<Decimal>>) {
        self.value(rest, value.into().map(units::to_f64));
    }

    /// A point in time, in Unix seconds.
    pub fn time(&mut self, rest: &[&str], at: Option<Timestamp>) {
        let Some(at) = at else { return };
        self.start("", rest, None);
        push_seconds(self.out, at);
        self.end();
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
        self.start("_bucket", rest, Some(bound));
        push_count(self.out, count);
        self.exemplar(exemplar);
        self.end();
    }

    /// `_sum` and `_count`, where the type has them.
    pub(super) fn sum_and_count(&mut self, rest: &[&str], sum: f64, count: u64) {
        if self.family.kind != Kind::Histogram {
            return;
        }
        self.start("_sum", rest, None);
        push_float(self.out, sum);
        self.end();
        self.start("_count", rest, None);
        push_count(self.out, count);
        self.end();
    }

    fn rows<R>(&mut self, rows: &[R], labels: &'a [String], read: fn(&R, &mut Points<'_>)) {
        for (row, labels) in rows.iter().zip(labels) {
            self.row(row, labels, read);
        }
    }

    fn row<R>(&mut self, row: &R, labels: &'a str, read: fn(&R, &mut Points<'_>)) {
        self.row = labels;
        read(row, self);
    }

    /// Writes the name and the labels.
    fn start(&mut self, suffix: &str, rest: &[&str], bound: Option<f64>) {
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
        self.series += 1;
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
