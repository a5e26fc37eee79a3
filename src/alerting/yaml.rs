//! Rules as YAML, formatted as by hand.
//!
//! Input: rule files. Output: YAML for Prometheus. Deliberately absent: a general writer of YAML;
//! strings are single-quoted or literal blocks without control characters.

use std::fmt::Write;

use super::promql::indent;
use super::rule::{AlertingRule, RecordingRule, Rule, RuleFile, RuleGroup, Urgency};
use super::{RuleStyle, Thresholds};

/// One file, with a comment on how it was generated.
pub(super) fn file(file: &RuleFile, style: &RuleStyle) -> String {
    let flags = match style.thresholds {
        Thresholds::Joined => "",
        Thresholds::Literal => " --literal",
    };
    format!(
        "# Rules about {}.\n\
         # Generated: do not edit. After a change of the configuration, print them again:\n\
         #   trading-exporter rules{flags} --config.file=FILE --output.dir=DIR\n\
         # For Prometheus 2.42 or later (keep_firing_for).\n{}",
        file.about,
        document(std::slice::from_ref(file), style)
    )
}

/// The groups of several files in one document.
pub(super) fn document(files: &[RuleFile], style: &RuleStyle) -> String {
    let groups = files.iter().flat_map(|file| &file.groups);
    let parts: Vec<String> = groups.map(|g| group(g, style)).collect();
    format!("groups:\n{}", parts.join("\n"))
}

fn group(group: &RuleGroup, style: &RuleStyle) -> String {
    let rules: Vec<String> = group.rules.iter().map(|r| rule(r, style)).collect();
    format!("  - name: {}\n    rules:\n{}", group.name, rules.join("\n"))
}

fn rule(rule: &Rule, style: &RuleStyle) -> String {
    match rule {
        Rule::Recording(RecordingRule { name, expr }) => {
            format!("      - record: {name}\n        expr: {}", block(expr))
        }
        Rule::Alerting(alert) => self::alert(alert, style),
    }
}

fn alert(alert: &AlertingRule, style: &RuleStyle) -> String {
    let mut out = format!("      - alert: {}\n        expr: {}", alert.name, block(&alert.expr));
    let mut line = |depth: usize, key: &str, value: &str| {
        // Writing to a String cannot fail.
        writeln!(out, "{:depth$}{key}: {value}", "").ok();
    };
    if let Some(hold) = alert.hold {
        line(8, "for", hold);
    }
    if let Some(keep) = alert.keep {
        line(8, "keep_firing_for", keep);
    }
    line(8, "labels", "");
    line(10, "severity", alert.urgency.as_str());
    if let Some(action) = alert.action {
        line(10, "action", action);
    }
    line(8, "annotations", "");
    line(10, "summary", &quoted(&alert.summary));
    line(10, "description", &quoted(&alert.description));
    line(10, "runbook_url", &quoted(&runbook(alert, style)));
    if alert.urgency != Urgency::None {
        line(10, "dashboard_url", &quoted(&dashboard(alert, style)));
    }
    out.replace(": \n", ":\n")
}

/// An expression on lines of its own.
fn block(expr: &str) -> String {
    let deep = (0..5).fold(expr.to_owned(), |text, _| indent(&text));
    // If the first line is indented, YAML needs the indentation of the block in its header.
    let header = if expr.starts_with(' ') { "|2-" } else { "|-" };
    format!("{header}\n{deep}\n")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn runbook(alert: &AlertingRule, style: &RuleStyle) -> String {
    format!("{}#{}", style.runbook_url, alert.name.to_lowercase())
}

/// The link to the dashboard, with the variables that the alert has labels for.
fn dashboard(alert: &AlertingRule, style: &RuleStyle) -> String {
    let variable = |label: &str| {
        format!("{{{{ with $labels.{label} }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}")
    };
    let variables: String = ["job", "account", "symbol"].map(variable).concat();
    format!("{}/d/{}?from=now-3h&to=now{variables}", style.grafana_url, alert.dashboard)
}
