//! The shipped alert rules, compared with the generator, the catalogue, their tests and the runbooks.
//!
//! Also reads the dashboards: a metric that no rule and no panel uses needs a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trading_exporter::alerting::{self, AlertingRule, Rule, RuleStyle};
use trading_exporter::domain::pattern::Pattern;
use trading_exporter::domain::settings::Settings;
use trading_exporter::metrics::{Descriptor, MetricKind, catalogue};

use crate::promql::{Name, names};

/// Labels that Prometheus adds.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

/// Patterns of metrics that no rule and perhaps no panel uses, each with the reason.
const UNUSED: &[(&str, &str)] = &[
    ("*_by_strategy*", "Off unless switched on; for panels of users who do."),
    ("*_by_venue*", "Off unless switched on; for panels of users who do."),
    ("process_*", "Of the process: kept because every exporter has them, read when it misbehaves."),
    ("trading_exporter_build_info", "Read by people who ask which version runs."),
    ("trading_exporter_sequence", "The position of the state, to compare two replicas by hand."),
    ("trading_exporter_records_total", "The same as a counter, to see the rate of records."),
    ("trading_exporter_*", "Has no threshold: for finding a cause."),
    ("trading_*_total", "A counter of events, for rates in ad-hoc queries."),
    ("trading_account_window_*", "How much the account's figures rest on."),
    ("trading_window_*", "How much a symbol's figures rest on."),
    (
        "trading_*_duration_seconds",
        "Distributions and single measurements behind a mean that is judged.",
    ),
    ("trading_fill_slippage_bps", "A distribution behind a mean that is judged."),
    ("trading_*_timestamp_seconds", "Ages that no threshold judges."),
    ("trading_orders_open", "Has no good or bad value."),
    ("trading_position_pending_quantity", "What is in flight is not drift."),
    ("trading_position_book_lag_seconds", "Has no bad value; use it to choose lag_max."),
    ("trading_position_flows_dropped_total", "The books are judged again by the next lists."),
    ("trading_slippage_*", "Beside the mean that is judged: weighted, and quantiles."),
    ("trading_*_fill_ratio", "Beside the fill ratio that is judged."),
    ("trading_fill_ratio_*", "Beside the fill ratio that is judged."),
    ("trading_touch_ratio", "Beside the fill ratio that is judged."),
    (
        "trading_ack_time_seconds_mean",
        "Tells a slow path from a slow market, beside the fill time.",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder with an extension, sorted. Empty if the folder does not exist.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

fn rules() -> Vec<Rule> {
    let files = alerting::rule_files(&Settings::default(), &RuleStyle::default());
    files.into_iter().flat_map(|file| file.groups).flat_map(|group| group.rules).collect()
}

fn alerts() -> Vec<AlertingRule> {
    let alerts = rules().into_iter().filter_map(|rule| match rule {
        Rule::Alerting(alert) => Some(*alert),
        Rule::Recording(_) => None,
    });
    alerts.collect()
}

/// Every text with `PromQL` in the rules, by location.
fn rule_queries() -> Vec<(String, String)> {
    let of = |rule: Rule| match rule {
        Rule::Recording(record) => vec![(record.name, record.expr)],
        Rule::Alerting(alert) => [alert.expr, alert.summary, alert.description]
            .map(|q| (alert.name.to_owned(), q))
            .into(),
    };
    rules().into_iter().flat_map(of).collect()
}

/// Every query of the dashboards, by file.
fn dashboard_queries() -> Vec<(String, String)> {
    fn walk(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let is_query = matches!(key.as_str(), "expr" | "query" | "definition");
                    match value.as_str() {
                        Some(text) if is_query => out.push(text.to_owned()),
                        Some(_) | None => walk(value, out),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, out)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    for path in files("grafana/dashboards", ".json") {
        let mut queries = Vec::new();
        walk(&serde_json::from_str(&read(&path)).expect("JSON"), &mut queries);
        found.extend(queries.into_iter().map(|query| (path.display().to_string(), query)));
    }
    found
}

/// Every sample name with its possible labels.
fn known() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut known = BTreeMap::new();
    for Descriptor { name, kind, labels, .. } in catalogue::all().map(|family| family.descriptor) {
        let labels: BTreeSet<&str> = labels.iter().chain(&OF_TARGETS).copied().collect();
        let suffixes: &[&str] = match kind {
            MetricKind::Counter | MetricKind::Gauge => &[""],
            MetricKind::Histogram => &["_bucket", "_sum", "_count"],
            MetricKind::Buckets => &["_bucket"],
        };
        for suffix in suffixes {
            let mut labels = labels.clone();
            if *suffix == "_bucket" {
                labels.insert("le");
            }
            known.insert(format!("{name}{suffix}"), labels);
        }
    }
    for rule in rules() {
        if let Rule::Recording(record) = rule {
            let level = record.name.split(':').next().unwrap_or_default().to_owned();
            let all = ["job", "account", "symbol", "drift", "figure"];
            let labels = all.into_iter().filter(|label| level.contains(label)).collect();
            known.insert(record.name, labels);
        }
    }
    known.insert("up".to_owned(), OF_TARGETS.into());
    known.insert("ALERTS".to_owned(), {
        let of_alerts = ["alertname", "alertstate", "severity", "account", "symbol"];
        of_alerts.into_iter().chain(OF_TARGETS).collect()
    });
    known
}

#[test]
fn the_shipped_files_equal_the_output_of_the_generator() {
    let style = RuleStyle::default();
    let mut outdated = Vec::new();
    let mut names = Vec::new();
    for file in alerting::rule_files(&Settings::default(), &style) {
        let path = root().join(format!("alerts/{}.rules.yml", file.name));
        let text = alerting::render(&file, &style);
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            fs::write(&path, text).expect("the file is written");
            outdated.push(path.display().to_string());
        }
        names.push(path);
    }
    names.sort();
    assert!(
        outdated.is_empty(),
        "was out of date and has been rewritten: read the difference and commit: {outdated:?}"
    );
    assert_eq!(files("alerts", ".rules.yml"), names, "files that nothing generates");
}

#[test]
fn every_metric_and_label_of_rules_and_panels_is_in_the_catalogue() {
    let known = known();
    let all: BTreeSet<&str> = known.values().flatten().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (place, query) in rule_queries().into_iter().chain(dashboard_queries()) {
        for name in names(&query) {
            seen += 1;
            match name {
                Name::Metric { name, labels } => match known.get(&name) {
                    None => wrong.push(format!("{place}: {name} is no metric")),
                    Some(may) => wrong.extend(
                        labels
                            .iter()
                            .filter(|label| !may.contains(label.as_str()))
                            .map(|label| format!("{place}: {name} has no label {label}")),
                    ),
                },
                Name::Grouping(label) if !all.contains(label.as_str()) => {
                    wrong.push(format!("{place}: nothing has a label {label}"));
                }
                Name::Grouping(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen > 200, "{seen}");
}

#[test]
fn every_alert_has_its_tests() {
    let text: String = files("alerts/tests", ".test.yml").iter().map(|path| read(path)).collect();
    let mut missing = Vec::new();
    for alert in alerts() {
        for what in [
            "fires",
            "just under",
            "thin data",
            "one missed scrape on the way",
            "one missed scrape while it fires",
            "two replicas",
            "exporter gone",
            "thresholds missing",
            "what it says",
        ] {
            let title = format!("- name: '{} ({}): {what}'", alert.name, alert.urgency.as_str());
            if !text.contains(&title) {
                missing.push(title);
            }
        }
    }
    assert!(missing.is_empty(), "tests/tools/rule_tests.py makes none:\n{}", missing.join("\n"));
}

#[test]
fn every_alert_has_a_runbook() {
    let runbooks = read(&root().join("docs/runbooks.md"));
    let headings: BTreeSet<&str> =
        runbooks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let names: BTreeSet<&str> = alerts().iter().map(|alert| alert.name).collect();
    let missing: Vec<_> = names.difference(&headings).collect();
    assert!(missing.is_empty(), "no heading in docs/runbooks.md: {missing:?}");
    for name in names {
        let of_alert = runbooks.split(&format!("## {name}\n")).nth(1).expect("a section");
        let section = of_alert.split("\n## ").next().unwrap_or_default();
        for part in ["Means", "Trading", "Check", "Do", "Ends", "Silence"] {
            assert!(section.contains(&format!("**{part}.**")), "{name} has no {part}");
        }
    }
}

#[test]
fn an_unused_metric_has_a_reason() {
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (_, query) in rule_queries().into_iter().chain(dashboard_queries()) {
        used.extend(names(&query).into_iter().filter_map(|name| match name {
            Name::Metric { name, .. } => Some(name),
            Name::Grouping(_) => None,
        }));
    }
    let is_used = |family: &str| {
        ["", "_bucket", "_sum", "_count"].iter().any(|s| used.contains(&format!("{family}{s}")))
    };
    assert!(UNUSED.iter().all(|(_, why)| why.ends_with('.')), "each entry has a reason");
    let is_excused = |name: &str| UNUSED.iter().any(|(p, _)| Pattern::new(p).matches(name));
    let unused: Vec<&str> = catalogue::all()
        .map(|family| family.descriptor.name)
        .filter(|name| !is_used(name))
        .collect();
    let silent: Vec<_> = unused.iter().filter(|name| !is_excused(name)).collect();
    assert!(silent.is_empty(), "in no rule, no panel, and not in the list UNUSED: {silent:?}");
    let needless: Vec<_> = UNUSED
        .iter()
        .filter(|(p, _)| {
            !catalogue::all().any(|family| Pattern::new(p).matches(family.descriptor.name))
        })
        .collect();
    assert!(needless.is_empty(), "excuses for nothing: {needless:?}");
}
