//! Rules about health: components, the system, and silence.

use super::promql::{latest, max_by};
use super::rule::{Alert, Group, Rule, Urgency};
use super::text::SPAN;

const DASHBOARD: &str = "trading-health";

pub(super) fn groups() -> Vec<Group> {
    let rules = vec![
        system(3, "SystemUnhealthy", Urgency::Critical, "30s"),
        system(2, "SystemDegraded", Urgency::Minor, "10m"),
        component(3, "ComponentUnhealthy", Urgency::Moderate, "30s"),
        component(2, "ComponentDegraded", Urgency::Minor, "5m"),
        silent(),
    ];
    vec![Group { name: "trading_health", rules }]
}

/// Any replica that sees the state counts.
fn stands(labels: &str, metric: &str, code: u8) -> String {
    max_by(labels, &format!("{} == {code}", latest(metric)))
}

fn system(code: u8, name: &'static str, urgency: Urgency, hold: &'static str) -> Rule {
    let (word, advice) = match code {
        3 => ("unhealthy", "A component without which it cannot trade is down: see which."),
        _ => ("degraded", "A component is not healthy: see which, before a second one follows."),
    };
    Alert::new(name, urgency, stands("job, account", "trading_system_health", code))
        .holding(hold)
        .saying(
            &format!("The system of {{{{ $labels.account }}}} is {word}"),
            &format!(
                "The components of {{{{ $labels.account }}}} and the exporter's own probes add up \
                 to {word}. {advice}"
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

fn component(code: u8, name: &'static str, urgency: Urgency, hold: &'static str) -> Rule {
    let (word, why) = match code {
        3 => ("unhealthy", "failed its checks several times in a row, or says so itself"),
        _ => ("degraded", "failed a check, or says so itself"),
    };
    Alert::new(name, urgency, stands("job, account, component", "trading_component_health", code))
        .holding(hold)
        .saying(
            &format!("{{{{ $labels.component }}}} of {{{{ $labels.account }}}} is {word}"),
            &format!(
                "The component {{{{ $labels.component }}}} of {{{{ $labels.account }}}} {why}. Its \
                 results with their messages: GET /api/v1/health/{{{{ $labels.component }}}}/history"
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

/// Silence is not health.
fn silent() -> Rule {
    let labels = "job, account, component";
    let newest = max_by(labels, &latest("trading_component_last_check_timestamp_seconds"));
    let unknown = stands(labels, "trading_component_health", 0);
    let expr = format!("  (time() - {newest})\nand on ({labels})\n  {unknown}");
    Alert::new("HeartbeatSilent", Urgency::Moderate, expr)
        .holding("30s")
        .saying(
            "{{ $labels.component }} of {{ $labels.account }} is silent",
            &format!(
                "Nothing was heard of the component {{{{ $labels.component }}}} of \
                 {{{{ $labels.account }}}} for {{{{ $value | {SPAN} }}}}: its health is unknown. \
                 Look whether it runs, and whether it reaches the exporter."
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}
