//! Alert rules: files for Prometheus, generated from the thresholds in force.
//!
//! Input: the checked settings and a [`Style`]. Output: [`RuleFile`]s, and their YAML. Invariants:
//! the same input gives the same bytes; no threshold stands anywhere but in the configuration: a
//! rule joins `trading_threshold`, or has the number of the configuration in its place; an alert
//! that needs a sample survives one missed scrape and counts two replicas as one. Deliberately
//! absent: where the files go (see `crate::cli`), Alertmanager's configuration, which knows no
//! thresholds.
//!
//! Two judges, either of which raises an alert. The exporter's verdict (`trading_anomaly`,
//! `trading_position_drift_severity`) knows overrides by symbol, hysteresis and what is in flight.
//! Prometheus' own comparison with the thresholds stands beside it for everything that no override
//! judges (`trading_threshold_overridden`), so that neither one's mistake is silence.

mod rule;
mod promql;
mod text;
mod yaml;
mod drift;
mod execution;
mod slo;
mod health;
mod trading_state;
mod exporter;
#[cfg(test)]
mod tests;

pub use rule::{Alert, Group, Record, Rule, RuleFile, Urgency};

use std::collections::BTreeSet;

use crate::domain::settings::Settings;

/// How rules know thresholds, and where their links lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// Joined with `trading_threshold`, or numbers in place.
    pub thresholds: Thresholds,
    /// The page of runbooks, without an anchor.
    pub runbook_url: String,
    /// The root of Grafana.
    pub grafana_url: String,
    /// Which alerts get the label `action: halt`, each by [`Alert::title`].
    pub halt_on: Vec<String>,
}

/// Where a rule has its thresholds from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thresholds {
    /// From `trading_threshold`, at each evaluation: a reload of the exporter changes them.
    Joined,
    /// From the configuration, when the rules were printed.
    Literal,
}

/// Where people look by default: an exporter and a Grafana on this machine.
impl Default for Style {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::Joined,
            runbook_url: "http://127.0.0.1:10471/runbooks".to_owned(),
            grafana_url: "http://127.0.0.1:3000".to_owned(),
            halt_on: vec![HALT_ON.to_owned()],
        }
    }
}

/// The one alert that halts by default: the second line of what the exporter did at ingest.
pub const HALT_ON: &str = "PositionDriftCritical";

/// What may halt: every alert but those that say nothing, and those that a halt raises.
#[must_use]
pub fn may_halt() -> BTreeSet<String> {
    let files = rule_files(&Settings::default(), &Style::default());
    let groups = files.into_iter().flat_map(|file| file.groups);
    let alerts = groups.flat_map(|group| group.rules).filter_map(|rule| match rule {
        Rule::Alert(alert) => Some(alert),
        Rule::Record(_) => None,
    });
    let may = |alert: &Alert| alert.urgency != Urgency::None && !alert.is_of_halts();
    alerts.filter(|alert| may(alert)).map(|alert| alert.title()).collect()
}

/// All rule files, in the order in which people read them.
#[must_use]
pub fn rule_files(settings: &Settings, style: &Style) -> Vec<RuleFile> {
    let context = promql::Context { settings, thresholds: style.thresholds };
    let file = |name, about, groups| RuleFile { name, about, groups };
    let mut files = vec![
        file("drift", "position drift and the age of snapshots", drift::groups(&context)),
        file("execution", "execution quality and its error budget", {
            let mut groups = execution::groups(&context);
            groups.push(slo::group(&context));
            groups
        }),
        file("health", "health of components and of the system", health::groups()),
        file("trading_state", "halts, and orders in spite of one", trading_state::groups()),
        file("exporter", "the exporter itself and the alert path", exporter::groups()),
    ];
    for group in files.iter_mut().flat_map(|file| &mut file.groups) {
        for rule in &mut group.rules {
            if let Rule::Alert(alert) = rule
                && style.halt_on.contains(&alert.title())
            {
                alert.halts();
            }
        }
    }
    files
}

/// One file as YAML.
#[must_use]
pub fn render(file: &RuleFile, style: &Style) -> String {
    yaml::file(file, style)
}

/// The groups of all files as one YAML document.
#[must_use]
pub fn render_all(files: &[RuleFile], style: &Style) -> String {
    yaml::document(files, style)
}
