//! `anomaly`: thresholds of execution quality, and overrides by account and symbol.
//!
//! An override is a patch of the section's thresholds. Invariant: WARNING comes before
//! CRITICAL on the way from the ideal value.

use std::time::Duration;

use super::{DAY, OVERRIDES_MAX};
use crate::config::scalar::{choice, count, duration, number, pattern, positive_number};
use crate::config::section::Section;
use crate::config::yaml::YamlNode;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{
    AnomalyRules, Figure, FigureSpec, FigureUnit, Levels, Override, Settings, ThresholdField, Worse,
};

/// Reads the thresholds, then the overrides, which start from them.
pub(super) fn read(s: &mut Section<'_>, settings: &mut Settings) {
    rules(s, &mut settings.anomaly.default);
    let default = settings.anomaly.default.clone();
    settings.anomaly.overrides =
        s.list("overrides", OVERRIDES_MAX, |s| Some(scoped(s, default.clone(), rules)));
}

/// Reads an override: its patterns, and a patch of `rule`, which holds the defaults.
pub(super) fn scoped<T>(
    s: &mut Section<'_>,
    mut rule: T,
    patch: impl FnOnce(&mut Section<'_>, &mut T),
) -> Override<T> {
    let (mut account, mut symbol) = (Pattern::any(), Pattern::any());
    s.set("account", &mut account, pattern);
    s.set("symbol", &mut symbol, pattern);
    if !s.has("account") && !s.has("symbol") {
        s.wrong_here(
            "must have an account or a symbol: thresholds for all belong in the section itself",
        );
    }
    patch(s, &mut rule);
    Override { account, symbol, rule }
}

fn rules(s: &mut Section<'_>, rules: &mut AnomalyRules) {
    s.set("min_samples", &mut rules.min_samples, count(1..=100_000));
    s.set("clear_fraction", &mut rules.clear_fraction, positive_number(1.0));
    for figure in Figure::ALL {
        let (spec, levels) = (figure.spec(), &mut rules.levels[figure]);
        match spec.field {
            ThresholdField::Section(name) => s.section(name, |s| {
                if figure == Figure::FillRatio {
                    s.set("basis", &mut rules.fill_ratio_basis, choice);
                } else if figure == Figure::SlippageBps {
                    s.set("reference", &mut rules.slippage_reference, choice);
                }
                read_levels(s, levels, spec);
            }),
            ThresholdField::Number(name) => {
                let number = |node: &YamlNode| count(1..=100_000)(node).map(|n: u32| n.into());
                s.set_or_off(name, &mut levels.warning, number);
            }
            ThresholdField::Fixed => {}
        }
    }
    s.set("event_hold", &mut rules.event_hold, duration(Duration::ZERO..=DAY));
}

fn read_levels(s: &mut Section<'_>, levels: &mut Levels, spec: FigureSpec) {
    let threshold = |node: &YamlNode| match spec.unit {
        FigureUnit::Ratio => number(0.0..=1.0)(node),
        FigureUnit::BasisPoints | FigureUnit::Seconds => positive_number(1e6)(node),
        FigureUnit::Count => number(0.0..=1e6)(node),
    };
    s.set_or_off("warning", &mut levels.warning, threshold);
    s.set_or_off("critical", &mut levels.critical, threshold);
    let (Some(warning), Some(critical)) = (levels.warning, levels.critical) else { return };
    match spec.worse {
        Worse::Lower if critical > warning => {
            s.wrong("critical", format!("must not be above warning ({warning})"));
        }
        Worse::Higher if critical < warning => {
            s.wrong("critical", format!("must not be below warning ({warning})"));
        }
        Worse::Lower | Worse::Higher => {}
    }
}
