//! The three books, their drift, and reconciliations.

use super::{ACCOUNT, SYMBOL};
use crate::domain::drift::DriftView;
use crate::domain::evidence::is_unjudged;
use crate::domain::settings::Severity;
use crate::domain::time::seconds;
use crate::metrics::family::{Family, SampleSource};
use crate::metrics::points::Points;
use crate::metrics::rows::{DriftCounts, SymbolRow};

const SYMBOL_DRIFT: &[&str] = &["account", "symbol", "drift"];
const DRIFT_SEVERITY: &[&str] = &["account", "drift", "severity"];

/// One sample for each type and severity.
fn by_severity(counts: &DriftCounts, points: &mut Points<'_>) {
    for (drift, counts) in counts {
        for (severity, count) in counts {
            points.count(&[drift.as_str(), severity.as_str()], *count);
        }
    }
}

/// The current severity, 0 for agreement or in flight; `None` if the books were never compared.
fn severity(row: &SymbolRow) -> Option<f64> {
    let judged = row.drift.is_some() || row.position.as_ref().is_some_and(|p| p.broker.is_some());
    let severity = row.drift.as_ref().and_then(|d| d.severity);
    judged.then_some(match severity {
        None => 0.0,
        Some(Severity::Minor) => 1.0,
        Some(Severity::Moderate) => 2.0,
        Some(Severity::Critical) => 3.0,
    })
}

/// Families about positions.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_position_quantity",
        "Position in units of the instrument, negative is short; absent if the book does not list the symbol.",
        &["account", "symbol", "book"],
        SampleSource::Symbol(|s, p| {
            let Some(position) = &s.position else { return };
            p.decimal(&["local"], position.local);
            p.decimal(&["broker"], position.broker);
            p.decimal(&["ledger"], position.ledger);
        }),
    ),
    Family::gauge(
        "trading_position_drift_quantity",
        "Local minus broker quantity, aligned in time, in units of the instrument, signed.",
        SYMBOL_DRIFT,
        SampleSource::Symbol(|s, p| {
            let Some(drift) = &s.drift else { return };
            p.decimal(&[drift.drift_type.as_str()], drift.quantity_drift);
        }),
    ),
    Family::gauge(
        "trading_position_drift_value",
        "Absolute value of the drift in the account's currency; absent without a price or rate.",
        SYMBOL_DRIFT,
        SampleSource::Symbol(|s, p| {
            let Some(drift) = &s.drift else { return };
            p.decimal(&[drift.drift_type.as_str()], drift.value_drift);
        }),
    ),
    Family::gauge(
        "trading_position_drift_severity",
        "Severity of the drift: 0 none, 1 minor, 2 moderate, 3 critical; absent if never compared.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], severity(s))),
    ),
    Family::gauge(
        "trading_position_drift_unvalued",
        "Whether the value of a drift is unknown because a price or rate is missing: 1 yes, 0 no.",
        SYMBOL,
        SampleSource::Symbol(|s, p| {
            let unvalued = s.drift.as_ref().is_some_and(DriftView::is_unvalued);
            p.value(&[], severity(s).map(|_| if unvalued { 1.0 } else { 0.0 }));
        }),
    ),
    Family::gauge(
        "trading_position_drift_open",
        "Number of drifts confirmed and not cleared.",
        DRIFT_SEVERITY,
        SampleSource::Account(|a, p| by_severity(&a.drifts_open, p)),
    ),
    Family::gauge(
        "trading_position_drift_stale",
        "Whether drift cannot be judged because a book is too old or the broker's never arrived: 1 yes, 0 no.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.count(&[], u64::from(is_unjudged(&a.missing)))),
    ),
    Family::gauge(
        "trading_missing_evidence",
        "Whether evidence is missing, by kind: 1 yes, 0 no.",
        &["account", "kind"],
        SampleSource::Account(|a, p| {
            for (kind, since) in &a.missing {
                p.count(&[kind.as_str()], u64::from(since.is_some()));
            }
        }),
    ),
    Family::counter(
        "trading_position_fetch_failures_total",
        "Number of failed fetches of a book; a failed fetch changes no book.",
        &["account", "book"],
        SampleSource::Account(|a, p| {
            for (book, count) in ["local", "broker"].iter().zip(&a.fetch_failures) {
                p.count(&[book], *count);
            }
        }),
    ),
    Family::gauge(
        "trading_position_book_lag_seconds",
        "Lag in seconds of a book's newest list: the smallest at which the fills explain it, the \
         largest over its symbols. Negative if the list contains fills later than its date.",
        &["account", "book"],
        SampleSource::Account(|a, p| {
            for (book, lag) in ["local", "broker"].iter().zip(&a.lags) {
                p.value(&[book], lag.map(seconds));
            }
        }),
    ),
    Family::counter(
        "trading_position_flows_dropped_total",
        "Number of position changes forgotten because a symbol had too many; a comparison that needs \
         one is postponed until newer lists arrive.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.count(&[], a.flows_dropped)),
    ),
    Family::gauge(
        "trading_position_pending_quantity",
        "Local minus broker quantity that fills in flight may explain, in units of the instrument.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.decimal(&[], s.position.as_ref().map(|p| p.pending))),
    ),
    Family::counter(
        "trading_position_drifts_total",
        "Number of drifts confirmed, by the severity reached.",
        DRIFT_SEVERITY,
        SampleSource::Account(|a, p| by_severity(&a.drifts_total, p)),
    ),
    Family::counter(
        "trading_reconciliations_total",
        "Number of reconciliations by outcome.",
        &["account", "outcome"],
        SampleSource::Account(|a, p| {
            for (outcome, count) in &a.reconciliations {
                p.count(&[outcome.as_str()], *count);
            }
        }),
    ),
    Family::gauge(
        "trading_position_snapshot_timestamp_seconds",
        "Unix time in seconds of the newest snapshot of a book that did not fail.",
        &["account", "book"],
        SampleSource::Account(|a, p| {
            for (book, at) in ["local", "broker"].iter().zip(&a.snapshots) {
                p.time(&[book], *at);
            }
        }),
    ),
];
