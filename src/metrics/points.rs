//! The samples of one family, written in either exposition format or only counted.
//!
//! Input: values, with the label text of their row. Output: text appended to a buffer. Invariants: a
//! sample carries exactly the labels of its [`Descriptor`]; the formats differ in headers and
//! exemplars only. Deliberately absent: rows, and the order of families (see `encode`).

use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::time::Timestamp;
use crate::domain::units::{self, Decimal};
use crate::metrics::descriptor::{Descriptor, MetricKind};
use crate::metrics::format::Format;
use crate::metrics::text::{push_count, push_float, push_label, push_seconds};

/// Maximum length of an exemplar's label names and values together (OpenMetrics 1.0).
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Writes or counts the samples of one family.
///
/// `rest` always holds the values of the labels after those of the row. An absent value or a NaN gives
/// no sample.
#[derive(Debug)]
pub struct Points<'a> {
    out: &'a mut String,
    family: &'static Descriptor,
    format: Format,
    /// The label text of the current row.
    row: &'a str,
    progress: WriteProgress,
    /// Whether samples are only counted.
    is_counting: bool,
}

/// How far an exposition is, beside the row: kept from one piece of it to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WriteProgress {
    /// Series so far, in all families.
    pub(super) series: u64,
    /// Whether the header of the current family is written. It is written with the first sample, so a
    /// family without samples has none.
    pub(super) is_headed: bool,
}

impl<'a> Points<'a> {
    /// Samples are appended to `out`.
    pub(super) const fn writing(
        out: &'a mut String,
        family: &'static Descriptor,
        format: Format,
        progress: WriteProgress,
    ) -> Self {
        Self { out, family, format, row: "", progress, is_counting: false }
    }

    /// Samples are counted; nothing is written to `unused`.
    pub(super) const fn counting(unused: &'a mut String, family: &'static Descriptor) -> Self {
        let progress = WriteProgress { series: 0, is_headed: true };
        Self { out: unused, family, format: Format::Text, row: "", progress, is_counting: true }
    }

    /// An integer.
    pub fn count(&mut self, rest: &[&str], value: u64) {
        if self.start("", rest, None) {
            push_count(self.out, value);
            self.end();
        }
    }

    /// An integer, with the latest order that was counted as its exemplar.
    pub fn count_with_exemplar(&mut self, rest: &[&str], value: u64, exemplar: Option<&Exemplar>) {
        if self.start("", rest, None) {
            push_count(self.out, value);
            self.exemplar(exemplar);
            self.end();
        }
    }

    /// A float.
    pub fn value(&mut self, rest: &[&str], value: impl Into<Option<f64>>) {
        let Some(value) = value.into().filter(|v| !v.is_nan()) else { return };
        if self.start("", rest, None) {
            push_float(self.out, value);
            self.end();
        }
    }

    /// A decimal, as the nearest float.
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

    /// Cumulative buckets, and `_sum` and `_count` if the family's type has them.
    pub fn histogram(&mut self, rest: &[&str], histogram: &Histogram) {
        let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
        let mut count = 0;
        for (bound, bucket) in bounds.zip(histogram.buckets()) {
            count += bucket.count;
            self.bucket(rest, bound, count, bucket.exemplar.as_ref());
        }
        self.sum_and_count(rest, histogram.sum(), count);
    }

    /// Series so far, in this family and those before it.
    #[must_use]
    pub(super) const fn series(&self) -> u64 {
        self.progress.series
    }

    pub(super) const fn progress(&self) -> WriteProgress {
        self.progress
    }

    pub(super) const fn family(&self) -> &'static Descriptor {
        self.family
    }

    /// Bytes in the buffer that samples are appended to.
    pub(super) const fn written_bytes(&self) -> usize {
        self.out.len()
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

    /// `_sum` and `_count`, if the type has them.
    pub(super) fn sum_and_count(&mut self, rest: &[&str], sum: f64, count: u64) {
        if self.family.kind != MetricKind::Histogram {
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

    /// The samples that follow are about the row with these labels.
    pub(super) const fn set_row(&mut self, labels: &'a str) {
        self.row = labels;
    }

    /// Counts a sample and writes its name and labels. Returns whether its value must follow.
    fn start(&mut self, suffix: &str, rest: &[&str], bound: Option<f64>) -> bool {
        self.progress.series += 1;
        if self.is_counting {
            return false;
        }
        if !self.progress.is_headed {
            push_header(self.out, self.family, self.format);
            self.progress.is_headed = true;
        }
        let Self { out, family, row, .. } = self;
        out.push_str(family.name);
        out.push_str(suffix);
        if !family.labels.is_empty() || bound.is_some() {
            out.push('{');
            out.push_str(row);
            let names = family.labels.iter().skip(family.row_labels);
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

    /// The exemplar of a sample, in OpenMetrics only.
    ///
    /// An id that is too long for the format is omitted, and so is one with a quote: the reference
    /// parser (`prometheus_client` 0.26) takes an escaped quote in an exemplar for the end of the text
    /// and refuses the whole scrape.
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

fn push_header(out: &mut String, family: &Descriptor, format: Format) {
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
