//! Rules about health: components, the system, silent components and silent engines.

use super::promql::{brackets, latest, max_by};
use super::rule::{Alert, Group, Rule, Urgency};
use super::text::SPAN;

const DASHBOARD: &str = "trading-health";

pub(super) fn groups() -> Vec<Group> {
    let rules = vec![
        system_unhealthy(),
        system_degraded(),
        component(3, "ComponentUnhealthy", Urgency::Moderate, "30s"),
        component(1, "ComponentDegraded", Urgency::Minor, "5m"),
        silent(),
        engine_silent(),
    ];
    vec![Group { name: "trading_health", rules }]
}

/// Any replica that sees the state counts.
fn stands(labels: &str, metric: &str, code: u8) -> String {
    max_by(labels, &format!("{} == {code}", latest(metric)))
}

fn system_unhealthy() -> Rule {
    let expr = stands("job, account", "trading_system_health", 3);
    let advice = "A component without which it cannot trade is down: see which.";
    system(
        Alert::new("SystemUnhealthy", Urgency::Critical, expr).holding("30s"),
        "unhealthy",
        advice,
    )
}

/// Unknown counts, too, unless no component ever reported: then nobody meant to watch any.
fn system_degraded() -> Rule {
    let labels = "job, account";
    let degraded = stands(labels, "trading_system_health", 1);
    let unknown = stands(labels, "trading_system_health", 2);
    let reported = max_by(labels, &latest("trading_component_health"));
    let silent = brackets(&format!("  {unknown}\nand on ({labels})\n  {reported}"));
    let expr = format!("  {degraded}\nor\n{silent}");
    let alert = Alert::new("SystemDegraded", Urgency::Minor, expr).holding("10m");
    let word = "{{ if eq $value 2.0 }}of unknown health{{ else }}degraded{{ end }}";
    let advice = "A component is not healthy: see which, before a second one follows.";
    system(alert, word, advice)
}

fn system(alert: Alert, word: &str, advice: &str) -> Rule {
    alert
        .saying(
            &format!("The system of {{{{ $labels.account }}}} is {word}"),
            &format!(
                "The components of {{{{ $labels.account }}}} and the exporter's own probes add up \
                 to a system that is {word}. {advice}"
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

fn component(code: u8, name: &'static str, urgency: Urgency, hold: &'static str) -> Rule {
    let (word, why) = match code {
        3 => (
            "unhealthy",
            "failed its checks or was silent several times in a row, or says so itself",
        ),
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

/// Silence is not health, whatever the state was before it.
fn silent() -> Rule {
    let labels = "job, account, component";
    let newest = max_by(labels, &latest("trading_component_last_check_timestamp_seconds"));
    let silent = stands(labels, "trading_component_silent", 1);
    let expr = format!("  (time() - {newest})\nand on ({labels})\n  {silent}");
    Alert::new("HeartbeatSilent", Urgency::Moderate, expr)
        .holding("30s")
        .saying(
            "{{ $labels.component }} of {{ $labels.account }} is silent",
            &format!(
                "Nothing was heard of the component {{{{ $labels.component }}}} of \
                 {{{{ $labels.account }}}} for {{{{ $value | {SPAN} }}}}: its health is unknown, and \
                 unhealthy if that goes on. Look whether it runs, and whether it reaches the exporter."
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

/// The engine may be gone, with positions open.
fn engine_silent() -> Rule {
    let silent = stands("job, account", "trading_missing_evidence{kind=\"engine_silent\"}", 1);
    Alert::new("EngineSilent", Urgency::Critical, silent)
        .saying(
            "Nothing comes from the engine of {{ $labels.account }}",
            "The engine of {{ $labels.account }} has sent nothing for longer than \
             missing_evidence.engine_silent_after. Look whether it runs and reaches the exporter, and \
             at the broker for orders and positions that nobody looks after.",
        )
        .shown_on(DASHBOARD)
        .into()
}
