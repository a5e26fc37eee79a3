//! The exporter's own figures that the monitored state knows.

use super::windows::size;
use crate::metrics::catalogue::{Family, Source};

/// Families about the exporter, read off the state. They come after all families of the state.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_exporter_series",
        "Number of series of the monitored state, without the exporter's own.",
        &[],
        Source::Exporter(|_, p| p.count(&[], p.series())),
    ),
    Family::gauge(
        "trading_exporter_series_limit",
        "Number of series beyond which quiet symbols, strategies and venues fold into __other__.",
        &[],
        Source::Exporter(|e, p| p.count(&[], size(e.series_limit))),
    ),
    Family::counter(
        "trading_exporter_series_folded_total",
        "Number of times that a value of a label was folded into __other__, where all stay watched.",
        &["label"],
        Source::Exporter(|e, p| {
            for (label, count) in e.folded {
                p.count(&[label], count);
            }
        }),
    ),
    Family::counter(
        "trading_exporter_events_out_of_order_total",
        "Number of snapshots ignored because a newer one of the same book was known, by type.",
        &["type"],
        Source::Exporter(|e, p| p.count(&["positions"], e.out_of_order)),
    ),
    Family::counter(
        "trading_exporter_decisions_missed_total",
        "Number of halts, releases and reconciles in the journal that this version did not reach by \
         itself when it replayed them; they stand all the same.",
        &[],
        Source::Exporter(|e, p| p.count(&[], e.decisions_missed)),
    ),
    Family::gauge(
        "trading_exporter_clock_behind_seconds",
        "Time in seconds that the wall clock is behind the newest record; 0 if it is not. Past \
         clock.behind_max no permits are issued.",
        &[],
        Source::Exporter(|e, p| p.value(&[], e.clock_behind.as_secs_f64())),
    ),
    Family::gauge(
        "trading_exporter_sequence",
        "Sequence number of the newest record in the state.",
        &[],
        Source::Exporter(|e, p| p.count(&[], e.sequence)),
    ),
    Family::counter(
        "trading_exporter_records_total",
        "Number of records folded into the state.",
        &[],
        Source::Exporter(|e, p| p.count(&[], e.sequence)),
    ),
];
