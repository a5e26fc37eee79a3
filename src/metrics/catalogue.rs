//! The catalogue: every metric family there is, as data.
//!
//! One row says name, type, HELP and labels, and how the samples are read off the projection. The
//! same rows drive HELP and TYPE, the encoder's walk, and the table of docs/metrics.md, so none of them
//! can disagree. To add a family is to add a row to its topic in [`families`]; to add a topic is
//! one file and one line there.

use std::fmt::Write;

use crate::metrics::encode::Points;
use crate::metrics::families;
use crate::metrics::projection::{AccountRow, BreakdownRow, ControlRow, ExporterRow, SymbolRow};
use crate::metrics::shown::Summed;

/// One metric family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name in the text format: counters end in `_total`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// One sentence for people, with the unit.
    pub help: &'static str,
    /// Its labels in order; `le` of buckets is not among them.
    pub labels: &'static [&'static str],
    /// Where its samples come from.
    pub source: Source,
    /// Whether rows that are folded are added up in it.
    pub summed: Summed,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets with `_sum` and `_count`.
    Histogram,
    /// Cumulative buckets alone: OpenMetrics forbids `_sum` (and with it `_count`) beside negative
    /// bounds. The bucket `le="+Inf"` is the count.
    Buckets,
}

/// Where the samples of a family come from: one row of the projection at a time. The labels that
/// the row brings stand first in [`Family::labels`]; the function gives the values of the rest.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Rows of (account, symbol).
    Symbol(fn(&SymbolRow, &mut Points<'_>)),
    /// Rows of (account).
    Account(fn(&AccountRow, &mut Points<'_>)),
    /// Rows of (account), each followed by those of its symbols; the label of the symbol is among the
    /// rest, and empty for the account.
    Within(fn(&AccountRow, &mut Points<'_>), fn(&AccountRow, &SymbolRow, &mut Points<'_>)),
    /// Rows of (account), with `*` among them: what holds for all accounts.
    Control(fn(&ControlRow, &mut Points<'_>)),
    /// Rows of (account, strategy).
    Strategy(fn(&BreakdownRow, &mut Points<'_>)),
    /// Rows of (account, venue).
    Venue(fn(&BreakdownRow, &mut Points<'_>)),
    /// The exporter's own, read off the monitored state.
    Exporter(fn(&ExporterRow, &mut Points<'_>)),
    /// The exporter's own, counted by [`crate::metrics::Runtime`].
    Runtime,
}

impl Source {
    /// How many labels a row of the projection brings.
    #[must_use]
    pub const fn row_labels(self) -> usize {
        match self {
            Self::Symbol(_) | Self::Strategy(_) | Self::Venue(_) => 2,
            Self::Account(_) | Self::Within(..) | Self::Control(_) => 1,
            Self::Exporter(_) | Self::Runtime => 0,
        }
    }
}

impl Kind {
    /// The type as `# TYPE` says it, in both formats.
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

impl Family {
    /// A counter; its name ends in `_total`.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: Source,
    ) -> Self {
        Self { name, kind: Kind::Counter, help, labels, source, summed: Summed::Yes }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: Source,
    ) -> Self {
        Self { name, kind: Kind::Gauge, help, labels, source, summed: Summed::No }
    }

    /// The same gauge, of which rows that are folded are added up.
    #[must_use]
    pub const fn summed(self) -> Self {
        Self { summed: Summed::Yes, ..self }
    }

    /// A histogram over bounds that are not negative.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: Source,
    ) -> Self {
        Self { name, kind: Kind::Histogram, help, labels, source, summed: Summed::No }
    }

    /// A histogram over bounds of both signs: buckets alone.
    #[must_use]
    pub const fn buckets(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        source: Source,
    ) -> Self {
        Self { name, kind: Kind::Buckets, help, labels, source, summed: Summed::No }
    }

    /// The name of the family in OpenMetrics: a counter's without `_total`.
    #[must_use]
    pub fn base_name(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram | Kind::Buckets => self.name,
        }
    }

    /// The unit, where the name ends in it, as `# UNIT` demands.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let last = self.base_name().rsplit('_').next()?;
        UNITS.into_iter().find(|unit| *unit == last)
    }
}

/// All families, in the order in which they are exposed.
pub fn all() -> impl Iterator<Item = &'static Family> {
    families::TOPICS.iter().flat_map(|topic| topic.iter())
}

/// The table of docs/metrics.md: one line for each family, in the order of the exposition.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for family in all() {
        let labels: Vec<String> = family.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a String cannot fail.
        writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.help
        )
        .ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_do_not_clash() {
        let mut seen = BTreeSet::new();
        for family in all() {
            let suffixes: &[&str] = match family.kind {
                Kind::Counter => &["", "_total", "_created"],
                Kind::Gauge => &[""],
                Kind::Histogram | Kind::Buckets => &["", "_bucket", "_sum", "_count", "_created"],
            };
            for suffix in suffixes {
                let name = format!("{}{suffix}", family.base_name());
                assert!(seen.insert(name), "{} clashes", family.name);
            }
        }
    }

    #[test]
    fn names_follow_the_rules() {
        for family in all() {
            let name = family.name;
            let total = name.ends_with("_total");
            assert_eq!(total, family.kind == Kind::Counter, "{name}: _total is for counters");
            assert!(name.starts_with("trading_") || name.starts_with("process_"), "{name}");
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!(name.bytes().all(plain), "{name}");
            for suffix in ["_bucket", "_sum", "_count", "_created", "_info"] {
                assert!(!name.ends_with(suffix) || name.ends_with("build_info"), "{name}");
            }
        }
    }

    #[test]
    fn help_is_one_sentence() {
        for family in all() {
            let (name, help) = (family.name, family.help);
            assert!(help.ends_with('.') && help.len() > 20, "{name}: {help}");
            assert!(help.chars().next().is_some_and(char::is_uppercase), "{name}: {help}");
            // So it needs no escaping in either format, and is one cell of a table.
            assert!(!help.contains(['\\', '"', '\n', '|']), "{name}: {help}");
        }
    }

    #[test]
    fn labels_are_closed_where_they_must_be() {
        for family in all() {
            let (name, labels) = (family.name, family.labels);
            let unique: BTreeSet<_> = labels.iter().collect();
            assert_eq!(unique.len(), labels.len(), "{name}");
            assert!(!labels.contains(&"le") && !labels.contains(&"quantile"), "{name}");
            assert!(!labels.contains(&"order_id") && !labels.contains(&"message"), "{name}");
            let buckets = matches!(family.kind, Kind::Histogram | Kind::Buckets);
            assert!(!(buckets && labels.contains(&"symbol")), "{name}: symbol on a histogram");
            let row: &[&str] = match family.source {
                Source::Symbol(_) => &["account", "symbol"],
                Source::Account(_) | Source::Within(..) | Source::Control(_) => &["account"],
                Source::Strategy(_) => &["account", "strategy"],
                Source::Venue(_) => &["account", "venue"],
                Source::Exporter(_) | Source::Runtime => &[],
            };
            assert_eq!(row.len(), family.source.row_labels(), "{name}");
            assert!(labels.starts_with(row), "{name}: {labels:?}");
        }
    }

    #[test]
    fn units_are_those_of_the_name() {
        let check = |name: &str, expect: Option<&str>| {
            let family = all().find(|f| f.name == name).expect("a family of the catalogue");
            assert_eq!(family.unit(), expect, "{name}");
        };
        check("trading_fill_ratio", Some("ratio"));
        check("trading_slippage_bps", Some("bps"));
        check("trading_order_fill_duration_seconds", Some("seconds"));
        check("trading_fill_time_seconds_mean", None);
        check("trading_fills_total", None);
        check("process_cpu_seconds_total", Some("seconds"));
        check("process_resident_memory_bytes", Some("bytes"));
    }

    #[test]
    fn the_table_has_a_line_for_each_family() {
        let table = markdown();
        assert_eq!(table.lines().count(), all().count() + 2);
        assert!(table.contains("| `trading_state` | gauge | `account` |"), "{table}");
    }
}
