//! Alert rules: files for Prometheus, generated from the thresholds in force.
//!
//! Input: the checked settings and a [`RuleStyle`]. Output: [`RuleFile`]s, and their YAML. Invariants:
//! the same input gives the same bytes; thresholds come from the configuration only: a rule joins
//! `trading_threshold`, or contains the number from the configuration; an alert that needs a sample
//! survives one missed scrape and fires once for two replicas. Deliberately absent: where the files go
//! (see `crate::cli`), and Alertmanager's configuration, which has no thresholds.
//!
//! # Design
//! Either of two verdicts fires an alert. The exporter's (`trading_anomaly`,
//! `trading_position_drift_severity`) takes overrides by symbol, hysteresis and fills in flight into
//! account. Prometheus also compares the figures with the thresholds itself, except where an override
//! applies (`trading_threshold_overridden`). So a mistake in one of them does not silence the alert.

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

pub use rule::{AlertingRule, RecordingRule, Rule, RuleFile, RuleGroup, Urgency};

use std::collections::BTreeSet;

use crate::domain::settings::Settings;

/// Options for generated rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStyle {
    /// Where rules take their thresholds from.
    pub thresholds: Thresholds,
    /// The page of runbooks, without an anchor.
    pub runbook_url: String,
    /// The root of Grafana.
    pub grafana_url: String,
    /// Which alerts get the label `action: halt`, each by [`AlertingRule::title`].
    pub halt_on: Vec<String>,
}

/// Where rules take their thresholds from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thresholds {
    /// From `trading_threshold`, at each evaluation: a reload of the exporter changes them.
    Joined,
    /// From the configuration, when the rules are printed.
    Literal,
}

/// Links to an exporter and a Grafana on this machine.
impl Default for RuleStyle {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::Joined,
            runbook_url: "http://127.0.0.1:10471/runbooks".to_owned(),
            grafana_url: "http://127.0.0.1:3000".to_owned(),
            halt_on: vec![HALT_ON.to_owned()],
        }
    }
}

/// The one alert that halts by default. The exporter halts at ingest; this is the second line.
pub const HALT_ON: &str = "PositionDriftCritical";

/// The titles of the alerts that may halt: all except Watchdog and those that a halt causes.
#[must_use]
pub fn may_halt() -> BTreeSet<String> {
    let files = rule_files(&Settings::default(), &RuleStyle::default());
    let groups = files.into_iter().flat_map(|file| file.groups);
    let alerts = groups.flat_map(|group| group.rules).filter_map(|rule| match rule {
        Rule::Alerting(alert) => Some(alert),
        Rule::Recording(_) => None,
    });
    let may = |alert: &AlertingRule| alert.urgency != Urgency::None && !alert.is_caused_by_halts();
    alerts.filter(|alert| may(alert)).map(|alert| alert.title()).collect()
}

/// All rule files, in reading order.
#[must_use]
pub fn rule_files(settings: &Settings, style: &RuleStyle) -> Vec<RuleFile> {
    let context = promql::RuleContext { settings, thresholds: style.thresholds };
    let file = |name, about, groups| RuleFile { name, about, groups };
    let mut files = vec![
        file("drift", "position drift and the age of snapshots", drift::groups(&context)),
        file("execution", "execution quality and its error budget", {
            let mut groups = execution::groups(&context);
            groups.push(slo::group(&context));
            groups
        }),
        file("health", "health of components and of the system", health::groups()),
        file("trading_state", "halts, and orders during one", trading_state::groups()),
        file("exporter", "the exporter itself and the alert path", exporter::groups()),
    ];
    for group in files.iter_mut().flat_map(|file| &mut file.groups) {
        for rule in &mut group.rules {
            if let Rule::Alerting(alert) = rule
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
pub fn render(file: &RuleFile, style: &RuleStyle) -> String {
    yaml::file(file, style)
}

/// The groups of all files as one YAML document.
#[must_use]
pub fn render_all(files: &[RuleFile], style: &RuleStyle) -> String {
    yaml::document(files, style)
}
