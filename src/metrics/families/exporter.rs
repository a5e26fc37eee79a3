//! The exporter's own figures that the monitored state knows.

use super::windows::size;
use crate::metrics::family::{Family, SampleSource};

/// Families about the exporter, read off the state. They must come after the families of the state,
/// because the first one counts their series.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_exporter_series",
        "Number of series of the monitored state, without the exporter's own.",
        &[],
        SampleSource::Exporter(|_, p| p.count(&[], p.series())),
    ),
    Family::gauge(
        "trading_exporter_series_limit",
        "Number of series above which quiet symbols, strategies and venues fold into __other__.",
        &[],
        SampleSource::Exporter(|e, p| p.count(&[], size(e.series_limit))),
    ),
    Family::counter(
        "trading_exporter_series_folded_total",
        "Number of times that a value of a label was folded into __other__; all stay monitored.",
        &["label"],
        SampleSource::Exporter(|e, p| {
            for (label, count) in e.folded {
                p.count(&[label.as_str()], count);
            }
        }),
    ),
    Family::counter(
        "trading_exporter_events_out_of_order_total",
        "Number of snapshots ignored because a newer one of the same book was known, by type.",
        &["type"],
        SampleSource::Exporter(|e, p| p.count(&["positions"], e.out_of_order)),
    ),
    Family::counter(
        "trading_exporter_decisions_missed_total",
        "Number of halts, releases and reconciles in the journal that this version did not reach by \
         itself in the replay; they stay in force.",
        &[],
        SampleSource::Exporter(|e, p| p.count(&[], e.decisions_missed)),
    ),
    Family::gauge(
        "trading_exporter_clock_behind_seconds",
        "Time in seconds that the wall clock is behind the newest record, 0 if it is not; above \
         clock.behind_max no permits are issued.",
        &[],
        SampleSource::Exporter(|e, p| p.value(&[], e.clock_behind.as_secs_f64())),
    ),
    Family::gauge(
        "trading_exporter_sequence",
        "Sequence number of the newest record in the state.",
        &[],
        SampleSource::Exporter(|e, p| p.count(&[], e.sequence)),
    ),
    Family::counter(
        "trading_exporter_records_total",
        "Number of records applied to the state.",
        &[],
        SampleSource::Exporter(|e, p| p.count(&[], e.sequence)),
    ),
];
