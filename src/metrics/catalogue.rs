//! The catalogue: every metric family there is, in the order of the exposition.
//!
//! These families give HELP and TYPE, the encoder's walk and the table of docs/metrics.md, so these
//! cannot disagree. To add a family, add it to its topic in [`crate::metrics::families`], or to one of
//! the exporter's own in `crate::metrics::runtime`; a new topic needs a line in `TOPICS`.

use std::fmt::Write;

use crate::metrics::descriptor::Descriptor;
use crate::metrics::families::{
    accounts, anomalies, breakdowns, exporter, fills, health, latency, orders, positions, process,
    slippage, state, windows,
};
use crate::metrics::family::Family;
use crate::metrics::runtime;

/// All topics. [`exporter`] comes after the families of the state because it counts their series.
const TOPICS: &[&[Family]] = &[
    orders::FAMILIES,
    fills::FAMILIES,
    windows::FAMILIES,
    slippage::FAMILIES,
    latency::FAMILIES,
    accounts::FAMILIES,
    breakdowns::BY_STRATEGY,
    breakdowns::BY_VENUE,
    positions::FAMILIES,
    state::FAMILIES,
    health::FAMILIES,
    anomalies::FAMILIES,
    exporter::FAMILIES,
    &runtime::IngestMetrics::FAMILIES,
    &runtime::AlertmanagerMetrics::FAMILIES,
    &runtime::FeedMetrics::FAMILIES,
    &runtime::PositionSourceMetrics::FAMILIES,
    &runtime::WebhookMetrics::FAMILIES,
    &runtime::ListenerMetrics::FAMILIES,
    &runtime::ConnectionMetrics::FAMILIES,
    &runtime::JournalMetrics::FAMILIES,
    &runtime::SnapshotMetrics::FAMILIES,
    &runtime::ServiceMetrics::FAMILIES,
    &runtime::WebMetrics::FAMILIES,
    process::FAMILIES,
];

/// All families, in the order of the exposition.
pub fn all() -> impl Iterator<Item = &'static Family> {
    TOPICS.iter().flat_map(|topic| topic.iter())
}

/// The table of docs/metrics.md: one line for each family.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for Descriptor { name, kind, help, labels, .. } in all().map(|family| family.descriptor) {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (kind.as_str(), labels.join(", "));
        // Writing to a String cannot fail.
        writeln!(out, "| `{name}` | {kind} | {labels} | {help} |").ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::descriptor::MetricKind;
    use crate::metrics::family::SampleSource;

    #[test]
    fn names_are_unique_and_do_not_clash() {
        let mut seen = BTreeSet::new();
        for family in all() {
            let descriptor = family.descriptor;
            let suffixes: &[&str] = match descriptor.kind {
                MetricKind::Counter => &["", "_total", "_created"],
                MetricKind::Gauge => &[""],
                MetricKind::Histogram | MetricKind::Buckets => {
                    &["", "_bucket", "_sum", "_count", "_created"]
                }
            };
            for suffix in suffixes {
                let name = format!("{}{suffix}", descriptor.base_name());
                assert!(seen.insert(name), "{} clashes", descriptor.name);
            }
        }
    }

    #[test]
    fn names_follow_the_rules() {
        for family in all() {
            let Descriptor { name, kind, .. } = family.descriptor;
            let total = name.ends_with("_total");
            assert_eq!(total, kind == MetricKind::Counter, "{name}: _total is for counters");
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
            let Descriptor { name, help, .. } = family.descriptor;
            assert!(help.ends_with('.') && help.len() > 20, "{name}: {help}");
            assert!(help.chars().next().is_some_and(char::is_uppercase), "{name}: {help}");
            // So it needs no escaping in either format, and is one cell of a table.
            assert!(!help.contains(['\\', '"', '\n', '|']), "{name}: {help}");
        }
    }

    #[test]
    fn labels_are_closed_where_they_must_be() {
        for family in all() {
            let Descriptor { name, kind, labels, .. } = family.descriptor;
            let unique: BTreeSet<_> = labels.iter().collect();
            assert_eq!(unique.len(), labels.len(), "{name}");
            assert!(!labels.contains(&"le") && !labels.contains(&"quantile"), "{name}");
            assert!(!labels.contains(&"order_id") && !labels.contains(&"message"), "{name}");
            let buckets = matches!(kind, MetricKind::Histogram | MetricKind::Buckets);
            assert!(!(buckets && labels.contains(&"symbol")), "{name}: symbol on a histogram");
            let row: &[&str] = match family.source {
                SampleSource::Symbol(_) => &["account", "symbol"],
                SampleSource::Account(_) | SampleSource::Within(..) | SampleSource::Control(_) => {
                    &["account"]
                }
                SampleSource::Strategy(_) => &["account", "strategy"],
                SampleSource::Venue(_) => &["account", "venue"],
                SampleSource::Exporter(_) | SampleSource::Runtime => &[],
            };
            assert_eq!(row.len(), family.descriptor.row_labels, "{name}");
            assert!(labels.starts_with(row), "{name}: {labels:?}");
        }
    }

    #[test]
    fn units_are_those_of_the_name() {
        let check = |name: &str, expect: Option<&str>| {
            let family = all().find(|f| f.descriptor.name == name).expect("a family");
            assert_eq!(family.descriptor.unit(), expect, "{name}");
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
