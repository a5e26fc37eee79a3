//! `drift`: how books are compared, thresholds of severity, and overrides by account and symbol.
//!
//! An override is a patch of the section's thresholds. Invariant: 0 < minor <= moderate <= critical.

use std::fmt::Display;
use std::time::Duration;

use super::anomaly::scoped;
use super::{DAY, HOUR, MILLISECOND, MINUTE, OVERRIDES_MAX, SECOND};
use crate::config::scalar::{choice, count, decimal_up_to, duration, flag, positive_decimal};
use crate::config::section::Section;
use crate::domain::settings::{DriftRules, PerSeverity, Settings};
use crate::domain::units::Decimal;

/// Reads the comparison, the thresholds, then the overrides, which start from them.
pub(super) fn read(s: &mut Section<'_>, settings: &mut Settings) {
    comparison(s, settings);
    rules(s, &mut settings.drift_rules.default);
    let default = settings.drift_rules.default.clone();
    settings.drift_rules.overrides =
        s.list("overrides", OVERRIDES_MAX, |s| Some(scoped(s, default.clone(), rules)));
}

fn comparison(s: &mut Section<'_>, settings: &mut Settings) {
    let drift = &mut settings.drift;
    s.set("compare_every", &mut drift.compare_every, duration(SECOND..=HOUR));
    s.set("stale_after", &mut drift.stale_after, duration(100 * MILLISECOND..=DAY));
    let short = || Duration::ZERO..=5 * MINUTE;
    s.section("in_flight", |s| {
        let in_flight = &mut drift.in_flight;
        s.set("grace", &mut in_flight.grace, duration(Duration::ZERO..=MINUTE));
        s.set("lag_max", &mut in_flight.lag_max, duration(short()));
        s.set("ahead", &mut in_flight.ahead, duration(Duration::ZERO..=MINUTE));
        s.set("settle", &mut in_flight.settle, duration(short()));
        s.set("settle_mode", &mut in_flight.settle_mode, choice);
        s.set("pending_max", &mut in_flight.pending_max, duration(Duration::ZERO..=HOUR));
    });
    s.set("apart_max", &mut drift.apart_max, duration(short()));
    s.set("auto_reconcile", &mut drift.auto_reconcile, flag);
    s.set("reconcile_timeout", &mut drift.reconcile_timeout, duration(100 * MILLISECOND..=HOUR));
    s.set("reconcile_tries", &mut drift.reconcile_tries, count(1..=100));
    s.section("reconcile_budget", |s| {
        s.set("times", &mut drift.reconcile_budget.times, count(1..=1_000));
        s.set("window", &mut drift.reconcile_budget.window, duration(MINUTE..=30 * DAY));
    });
    s.set("quote_age_max", &mut drift.quote_age_max, duration(MILLISECOND..=DAY));
    s.set("quantity_test", &mut drift.quantity_test, choice);
}

fn rules(s: &mut Section<'_>, rules: &mut DriftRules) {
    s.section("quantity", |s| thresholds(s, &mut rules.quantity));
    s.section("value", |s| thresholds(s, &mut rules.value));
    s.section_or_off("relative", &mut rules.relative, relative);
    s.section("confirm", |s| {
        let times = || 1..=100;
        s.set("minor", &mut rules.confirm.minor, count(times()));
        s.set("moderate", &mut rules.confirm.moderate, count(times()));
        s.set("critical", &mut rules.confirm.critical, count(times()));
    });
    s.section("price_mismatch", |s| {
        s.set("severity_max", &mut rules.price_mismatch_max, choice);
        s.set("tolerance_bps", &mut rules.price_tolerance_bps, decimal_up_to(10_000));
    });
}

fn thresholds(s: &mut Section<'_>, of: &mut PerSeverity<Decimal>) {
    s.set("minor", &mut of.minor, positive_decimal);
    s.set("moderate", &mut of.moderate, positive_decimal);
    s.set("critical", &mut of.critical, positive_decimal);
    ordered(s, of);
}

/// Thresholds by fraction are off by default, so all three are required where they are switched on.
fn relative(
    s: &mut Section<'_>,
    from: Option<PerSeverity<Decimal>>,
) -> Option<PerSeverity<Decimal>> {
    if let Some(mut of) = from {
        thresholds(s, &mut of);
        return Some(of);
    }
    let minor = s.require("minor", positive_decimal);
    let moderate = s.require("moderate", positive_decimal);
    let critical = s.require("critical", positive_decimal);
    let of = PerSeverity { minor: minor?, moderate: moderate?, critical: critical? };
    ordered(s, &of);
    Some(of)
}

fn ordered<T: PartialOrd + Display>(s: &Section<'_>, of: &PerSeverity<T>) {
    if of.moderate < of.minor {
        s.wrong("moderate", format!("must not be less than minor ({})", of.minor));
    }
    if of.critical < of.moderate {
        s.wrong("critical", format!("must not be less than moderate ({})", of.moderate));
    }
}
