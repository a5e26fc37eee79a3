//! Rules about health: components, the system, silent components and silent engines.

use super::promql::{brackets, latest, max_by};
use super::rule::{AlertingRule, Rule, RuleGroup, Urgency};
use super::text::SPAN;

const DASHBOARD: &str = "trading-health";

pub(super) fn groups() -> Vec<RuleGroup> {
    let rules = vec![
        system_unhealthy(),
        system_degraded(),
        component(3, "ComponentUnhealthy", Urgency::Moderate, "30s"),
        component(1, "ComponentDegraded", Urgency::Minor, "5m"),
        silent(),
        engine_silent(),
    ];
    vec![RuleGroup { name: "trading_health", rules }]
}

/// The metric has this value on any replica.
fn equals(labels: &str, metric: &str, code: u8) -> String {
    max_by(labels, &format!("{} == {code}", latest(metric)))
}

fn system_unhealthy() -> Rule {
    let expr = equals("job, account", "trading_system_health", 3);
    let advice = "A critical component is down: GET /api/v1/health shows which.";
    system(
        AlertingRule::new("SystemUnhealthy", Urgency::Critical, expr).holding("30s"),
        "unhealthy",
        advice,
    )
}

/// Unknown counts too, unless no component ever reported: then health is not monitored.
fn system_degraded() -> Rule {
    let labels = "job, account";
    let degraded = equals(labels, "trading_system_health", 1);
    let unknown = equals(labels, "trading_system_health", 2);
    let reported = max_by(labels, &latest("trading_component_health"));
    let silent = brackets(&format!("  {unknown}\nand on ({labels})\n  {reported}"));
    let expr = format!("  {degraded}\nor\n{silent}");
    let alert = AlertingRule::new("SystemDegraded", Urgency::Minor, expr).holding("10m");
    let word = "{{ if eq $value 2.0 }}of unknown health{{ else }}degraded{{ end }}";
    let advice = "A component is not healthy: find out which, before a second one fails.";
    system(alert, word, advice)
}

fn system(alert: AlertingRule, word: &str, advice: &str) -> Rule {
    alert
        .saying(
            &format!("The system of {{{{ $labels.account }}}} is {word}"),
            &format!(
                "The components of {{{{ $labels.account }}}} and the exporter's own probes make a \
                 system that is {word}. {advice}"
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

fn component(code: u8, name: &'static str, urgency: Urgency, hold: &'static str) -> Rule {
    let (word, why) = match code {
        3 => (
            "unhealthy",
            "failed its checks or was silent several times in a row, or reports it itself",
        ),
        _ => ("degraded", "failed a check, or reports it itself"),
    };
    AlertingRule::new(name, urgency, equals("job, account, component", "trading_component_health", code))
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

/// A silent component is not healthy, whatever it reported before.
fn silent() -> Rule {
    let labels = "job, account, component";
    let newest = max_by(labels, &latest("trading_component_last_check_timestamp_seconds"));
    let silent = equals(labels, "trading_component_silent", 1);
    let expr = format!("  (time() - {newest})\nand on ({labels})\n  {silent}");
    AlertingRule::new("HeartbeatSilent", Urgency::Moderate, expr)
        .holding("30s")
        .saying(
            "{{ $labels.component }} of {{ $labels.account }} is silent",
            &format!(
                "The component {{{{ $labels.component }}}} of {{{{ $labels.account }}}} has sent \
                 nothing for {{{{ $value | {SPAN} }}}}: its health is unknown, and becomes unhealthy \
                 if this continues. Check whether it runs, and whether it reaches the exporter."
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

/// The engine may have stopped with open positions.
fn engine_silent() -> Rule {
    let silent = equals("job, account", "trading_missing_evidence{kind=\"engine_silent\"}", 1);
    AlertingRule::new("EngineSilent", Urgency::Critical, silent)
        .saying(
            "The engine of {{ $labels.account }} is silent",
            "The engine of {{ $labels.account }} has sent nothing for longer than \
             missing_evidence.engine_silent_after. Check whether it runs and reaches the exporter, and \
             check the broker for orders and positions that no engine manages.",
        )
        .shown_on(DASHBOARD)
        .into()
}
