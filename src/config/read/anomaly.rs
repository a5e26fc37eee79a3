//! `anomaly`: thresholds of execution quality, and overrides by account and symbol.
//!
//! An override is a patch onto the thresholds of the section. Invariant: WARNING comes before
//! CRITICAL on the way from the ideal value.

use std::time::Duration;

use super::{DAY, OVERRIDES_MAX};
use crate::config::scalar::{Fault, count, duration, number, pattern, positive_number, word};
use crate::config::section::Section;
use crate::config::yaml::Node;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{
    AnomalyRules, FillRatioBasis, Levels, Override, Reference, Settings,
};

/// Reads the thresholds, then the overrides onto them.
pub(super) fn read(s: &mut Section<'_>, settings: &mut Settings) {
    rules(s, &mut settings.anomaly.default);
    let default = settings.anomaly.default.clone();
    settings.anomaly.overrides =
        s.list("overrides", OVERRIDES_MAX, |s| Some(scoped(s, default.clone(), rules)));
}

/// An override: its patterns, and a rule that starts from the default.
pub(super) fn scoped<T>(
    s: &mut Section<'_>,
    mut rule: T,
    patch: impl FnOnce(&mut Section<'_>, &mut T),
) -> Override<T> {
    let (mut account, mut symbol) = (Pattern::any(), Pattern::any());
    s.set("account", &mut account, pattern);
    s.set("symbol", &mut symbol, pattern);
    if !s.has("account") && !s.has("symbol") {
        s.wrong_here("must have an account or a symbol: what is for all stands above");
    }
    patch(s, &mut rule);
    Override { account, symbol, rule }
}

fn rules(s: &mut Section<'_>, rules: &mut AnomalyRules) {
    s.set("min_samples", &mut rules.min_samples, count(1..=100_000));
    s.set("clear_fraction", &mut rules.clear_fraction, positive_number(1.0));
    s.section("fill_ratio", |s| {
        let bases =
            [("all", FillRatioBasis::All), ("ex_user_cancels", FillRatioBasis::ExUserCancels)];
        s.set("basis", &mut rules.fill_ratio_basis, word(&bases));
        levels(s, &mut rules.fill_ratio, || number(0.0..=1.0), Worse::Lower);
    });
    s.section("slippage_bps", |s| {
        let references = Reference::ALL.map(|r| (r.as_str(), r));
        s.set("reference", &mut rules.slippage_reference, word(&references));
        levels(s, &mut rules.slippage_bps, || positive_number(1e6), Worse::Higher);
    });
    s.section("fill_time_seconds", |s| {
        levels(s, &mut rules.fill_time_seconds, || positive_number(1e6), Worse::Higher);
    });
    s.section("rejection_ratio", |s| {
        levels(s, &mut rules.rejection_ratio, || number(0.0..=1.0), Worse::Higher);
    });
    s.section("unacknowledged", |s| {
        levels(s, &mut rules.unacknowledged, || number(0.0..=1e6), Worse::Higher);
    });
    s.set_or_off("consecutive_rejections", &mut rules.consecutive_rejections, count(1..=100_000));
    s.set("event_hold", &mut rules.event_hold, duration(Duration::ZERO..=DAY));
}

/// On which side of a threshold a figure is worse.
#[derive(Clone, Copy)]
enum Worse {
    Lower,
    Higher,
}

fn levels<R: FnOnce(&Node) -> Result<f64, Fault>>(
    s: &mut Section<'_>,
    levels: &mut Levels,
    read: impl Fn() -> R,
    worse: Worse,
) {
    s.set_or_off("warning", &mut levels.warning, read());
    s.set_or_off("critical", &mut levels.critical, read());
    let (Some(warning), Some(critical)) = (levels.warning, levels.critical) else { return };
    match worse {
        Worse::Lower if critical > warning => {
            s.wrong("critical", format!("must not be above warning ({warning})"));
        }
        Worse::Higher if critical < warning => {
            s.wrong("critical", format!("must not be below warning ({warning})"));
        }
        Worse::Lower | Worse::Higher => {}
    }
}
