//! Anomalies, and the thresholds for execution and drift.

use enum_map::EnumMap;

use crate::domain::execution::anomaly::Figure;
use crate::domain::settings::{
    AnomalyRules, FillRatioBasis, Levels, PerSeverity, Reference, Settings, Severity,
};
use crate::domain::units::Decimal;
use crate::metrics::family::{Family, SampleSource};
use crate::metrics::points::Points;
use crate::metrics::rows::{AccountRow, ControlRow, SymbolRow};

/// One sample for each figure of the scope, 0 without an anomaly.
fn by_figure(points: &mut Points<'_>, symbol: &str, levels: &EnumMap<Figure, u8>) {
    let is_of_symbol = |figure: Figure| figure != Figure::HaltOfUnknownAccount;
    for (figure, level) in levels {
        if !symbol.is_empty() && !is_of_symbol(figure) {
            continue;
        }
        points.count(&[symbol, figure.as_str()], u64::from(*level));
    }
}

/// The thresholds in force for an account as a whole.
fn thresholds(row: &ControlRow, points: &mut Points<'_>) {
    let (settings, account) = (&row.settings, row.account.as_str());
    let drift = settings.drift_rules.for_account(account);
    by_severity(points, "drift_quantity", &drift.quantity);
    by_severity(points, "drift_value", &drift.value);
    let rules = settings.anomaly.for_account(account);
    for figure in Figure::ALL.into_iter().filter(|figure| figure.spec().is_of_window) {
        by_level(points, figure.as_str(), rules.levels[figure]);
    }
    points.count(&["min_samples", ""], rules.min_samples as u64);
    let stale_after = settings.drift.stale_after;
    points.value(&["snapshot_age_seconds", ""], stale_after.as_secs_f64());
    let unacknowledged_after = settings.orders.unacknowledged_after;
    points.value(&["unacknowledged_seconds", ""], unacknowledged_after.as_secs_f64());
}

fn by_severity(points: &mut Points<'_>, figure: &str, thresholds: &PerSeverity<Decimal>) {
    for severity in Severity::ALL {
        points.decimal(&[figure, severity.as_str()], *thresholds.get(severity));
    }
}

/// A level that is off has no sample.
fn by_level(points: &mut Points<'_>, figure: &str, levels: Levels) {
    points.value(&[figure, "warning"], levels.warning);
    points.value(&[figure, "critical"], levels.critical);
}

/// Whether the thresholds of `*` do not apply: other rules are in force, or they are applied to another
/// figure than the one that `trading_threshold` names.
fn is_overridden(rules: &AnomalyRules, settings: &Settings) -> bool {
    *rules != settings.anomaly.default
        || rules.fill_ratio_basis != FillRatioBasis::ExUserCancels
        || rules.slippage_reference != Reference::Expected
}

/// One sample if the thresholds of `*` do not apply to the account.
fn overridden(row: &AccountRow, points: &mut Points<'_>) {
    let (settings, account) = (&row.control.settings, row.control.account.as_str());
    if is_overridden(settings.anomaly.for_account(account), settings) {
        points.count(&["", "anomaly"], 1);
    }
}

/// One sample for each rule of a symbol to which the thresholds of `*` do not apply.
fn overridden_of_symbol(row: &AccountRow, symbol: &SymbolRow, points: &mut Points<'_>) {
    let (settings, account) = (&row.control.settings, row.control.account.as_str());
    let symbol = symbol.symbol.as_str();
    if is_overridden(settings.anomaly.get(account, symbol), settings) {
        points.count(&[symbol, "anomaly"], 1);
    }
    let is_drift_default = *settings.drift_rules.get(account, symbol)
        == settings.drift_rules.default
        && settings.is_counted(account, symbol);
    if !is_drift_default {
        points.count(&[symbol, "drift"], 1);
    }
}

/// Families about anomalies.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_anomaly",
        "Level of an anomaly: 0 none, 1 warning, 2 critical; symbol is empty for the account.",
        &["account", "symbol", "figure"],
        SampleSource::Within(
            |a, p| by_figure(p, "", &a.anomalies),
            |_, s, p| by_figure(p, s.symbol.as_str(), &s.anomalies),
        ),
    ),
    Family::gauge(
        "trading_threshold",
        "Effective threshold in the unit of its figure; severity is empty for figures without levels.",
        &["account", "figure", "severity"],
        SampleSource::Control(thresholds),
    ),
    Family::gauge(
        "trading_threshold_overridden",
        "Always 1 where other rules apply than the thresholds of account *; \
         rules is anomaly or drift, symbol is empty for the account.",
        &["account", "symbol", "rules"],
        SampleSource::Within(overridden, overridden_of_symbol),
    ),
];
