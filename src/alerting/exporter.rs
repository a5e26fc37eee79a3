//! Rules about the exporter itself, and about the path by which alerts arrive.

use super::promql::{latest, max_by};
use super::rule::{AlertingRule, Rule, RuleGroup, Urgency};
use super::text::{NUMBER, PERCENT, SPAN};

const DASHBOARD: &str = "trading-exporter";
const JOB: &str = "job=\"trading-exporter\"";

pub(super) fn groups() -> Vec<RuleGroup> {
    let process = vec![
        down(),
        absent(),
        restarted(),
        thresholds_missing(),
        clock_behind(),
        invariant_broken(),
    ];
    let ingest = vec![
        queue_filling(),
        overloaded(),
        events_refused(),
        unauthorized(),
        not_monitored(),
        series_folded(),
        series_near_limit(),
        state_near_limit(),
    ];
    let journal = vec![journal_failing(), journal_sync_slow(), journal_not_durable()];
    let configuration = vec![reload_failed(), web_config_refused()];
    let path = vec![watchdog(), alert_path_dead(), notification_refused(), action_unknown()];
    let webhooks = vec![webhook_failing(), webhook_lost()];
    let group = |name, rules| RuleGroup { name, rules };
    vec![
        group("trading_exporter_process", process),
        group("trading_exporter_ingest", ingest),
        group("trading_exporter_journal", journal),
        group("trading_exporter_configuration", configuration),
        group("trading_alert_path", path),
        group("trading_webhooks", webhooks),
    ]
}

fn alert(name: &'static str, urgency: Urgency, expr: String) -> AlertingRule {
    AlertingRule::new(name, urgency, expr).shown_on(DASHBOARD)
}

/// A target that does not answer. [`absent`] is a rule of its own because in one rule with this one it
/// would fire when Prometheus starts.
fn down() -> Rule {
    alert("ExporterDown", Urgency::Critical, format!("up{{{JOB}}} == 0"))
        .holding("30s")
        .saying(
            "The exporter {{ $labels.instance }} does not answer",
            "Prometheus cannot scrape {{ $labels.instance }}. Drift is not judged and no permits are \
             issued: engines act by their on_expiry. Halted accounts stay halted.",
        )
        .into()
}

fn absent() -> Rule {
    alert("ExporterAbsent", Urgency::Critical, format!("absent(up{{{JOB}}})"))
        .holding("2m")
        .saying(
            "Prometheus has no target for the exporter",
            "There is no target with job=\"trading-exporter\": the scrape configuration or service \
             discovery lost it. Nothing is monitored.",
        )
        .into()
}

fn restarted() -> Rule {
    let age = format!("time() - {}", latest(&format!("process_start_time_seconds{{{JOB}}}")));
    alert("ExporterRestarted", Urgency::Minor, format!("({age}) < 300"))
        .saying(
            "The exporter {{ $labels.instance }} was started",
            "{{ $labels.instance }} was started less than five minutes ago. If nobody restarted it, \
             read in its log why it ended.",
        )
        .into()
}

/// Without thresholds, the rules that join them never fire.
fn thresholds_missing() -> Rule {
    let thresholds = latest("trading_threshold");
    let expr = format!(
        "  (max_over_time(up{{{JOB}}}[2m]) == 1)\nunless on (job, instance)\n  {}",
        max_by("job, instance", &thresholds)
    );
    alert("ThresholdsMissing", Urgency::Moderate, expr)
        .holding("2m")
        .saying(
            "{{ $labels.instance }} shows no thresholds",
            "{{ $labels.instance }} answers but has no trading_threshold, so alerts that compare \
             with thresholds depend on the exporter's verdict alone. Check the relabelling, the scope \
             of the token, and which process listens there.",
        )
        .into()
}

/// Receive time never goes back, so a clock that was ahead once is behind it afterwards.
fn clock_behind() -> Rule {
    let behind = latest("trading_exporter_clock_behind_seconds");
    alert("ExporterClockBehind", Urgency::Critical, format!("{behind} > 0"))
        .holding("1m")
        .saying(
            "The clock of {{ $labels.instance }} is or was wrong",
            &format!(
                "The wall clock of {{{{ $labels.instance }}}} is {{{{ $value | {SPAN} }}}} behind its \
                 newest record: it was ahead, or was set back. Drift, halts and silence are still \
                 judged; above clock.behind_max no permits are issued."
            ),
        )
        .into()
}

/// It fires until the restart: the state may be wrong from the first violation on.
fn invariant_broken() -> Rule {
    let violations = latest("trading_exporter_invariant_violations_total");
    alert("ExporterInvariantBroken", Urgency::Critical, format!("{violations} > 0"))
        .saying(
            "The bookkeeping of {{ $labels.instance }} is broken",
            &format!(
                "{{{{ $labels.instance }}}} found {{{{ $value | {NUMBER} }}}} times that something \
                 that always holds does not: a bug in the exporter. Positions, drift and figures may \
                 be wrong. Its log names the first place (an invariant is broken); compare positions \
                 with the broker, report the line, and restart the exporter."
            ),
        )
        .into()
}

fn queue_filling() -> Rule {
    let [depth, limit] =
        ["trading_exporter_queue_depth", "trading_exporter_queue_limit"].map(latest);
    alert("ExporterQueueFilling", Urgency::Moderate, format!("{depth} / {limit} > 0.8"))
        .holding("1m")
        .saying(
            "The queue of {{ $labels.instance }} is {{ $value | humanizePercentage }} full",
            "Requests arrive at {{ $labels.instance }} faster than its writer processes them; when \
             the queue is full, senders are answered 503. Check the disk and the rate of events.",
        )
        .into()
}

fn overloaded() -> Rule {
    let refused = "increase(trading_exporter_events_rejected_total{code=\"overloaded\"}[5m])";
    alert("ExporterOverloaded", Urgency::Critical, format!("{refused} > 0"))
        .saying(
            "{{ $labels.instance }} refuses events: overloaded",
            &format!(
                "About {{{{ $value | {NUMBER} }}}} requests were answered 503 in five minutes. \
                 Senders must send them again; otherwise figures and books lack them."
            ),
        )
        .into()
}

/// By share, with a minimum, so that one bad event in a quiet hour does not fire it.
fn events_refused() -> Rule {
    let refused = "sum by (job, instance) (increase(trading_exporter_events_rejected_total[10m]))";
    let received = "sum by (job, instance) (increase(trading_exporter_events_received_total[10m]))";
    let all = format!("({refused} + {received})");
    let expr = format!("  ({refused} / {all} > 0.05)\nand on (job, instance)\n  ({all} >= 20)");
    alert("EventsRefused", Urgency::Moderate, expr)
        .holding("1m")
        .saying(
            "{{ $labels.instance }} refuses {{ $value | humanizePercentage }} of the events sent to it",
            &format!(
                "{{{{ $value | {PERCENT} }}}} of the events sent to {{{{ $labels.instance }}}} in ten \
                 minutes were refused; the label code of trading_exporter_events_rejected_total and \
                 the answers say why. Refused events are missing from all figures."
            ),
        )
        .into()
}

/// A rotated token that a sender does not have yet, or somebody who guesses.
fn unauthorized() -> Rule {
    let codes = "code=~\"unauthorized|forbidden|foreign_host|foreign_origin\"";
    let refused = format!("increase(trading_exporter_requests_refused_total{{{codes}}}[10m])");
    let expr = format!("sum by (job, instance) ({refused}) > 20");
    alert("UnauthorizedRequests", Urgency::Moderate, expr)
        .saying(
            "{{ $labels.instance }} refuses requests that are not authorized",
            &format!(
                "About {{{{ $value | {NUMBER} }}}} requests to {{{{ $labels.instance }}}} were answered \
                 401, 403 or 421 in ten minutes: a sender has an old token or the wrong scope, or \
                 somebody guesses. An engine that is refused is not monitored."
            ),
        )
        .into()
}

fn not_monitored() -> Rule {
    let ignored = "increase(trading_not_monitored_total[15m])";
    alert("NotMonitored", Urgency::Critical, format!("{ignored} > 0"))
        .saying(
            "Account {{ $labels.account }} has more symbols than are monitored",
            "{{ $labels.account }} has as many symbols as symbols.max: positions and drift of further \
             symbols are NOT monitored, and the account is restricted as symbols.on_not_monitored \
             says. Retire symbols that are no longer traded, or raise symbols.max; then release the \
             account.",
        )
        .into()
}

fn series_folded() -> Rule {
    let folded = "increase(trading_exporter_series_folded_total[15m])";
    alert("SeriesFolded", Urgency::Minor, format!("{folded} > 0"))
        .saying(
            "Quiet values of {{ $labels.label }} fold into __other__",
            "{{ $labels.instance }} reached its budget of series, so the quietest values of \
             {{ $labels.label }} are shown together. All of them are still monitored, and any in \
             trouble is shown under its own name. Retire series that are no longer needed, or raise \
             series.max.",
        )
        .into()
}

fn series_near_limit() -> Rule {
    let [series, limit] = ["trading_exporter_series", "trading_exporter_series_limit"].map(latest);
    alert("SeriesNearLimit", Urgency::Minor, format!("{series} / {limit} > 0.9"))
        .holding("5m")
        .saying(
            "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its series",
            "When the budget of {{ $labels.instance }} is used up, the quietest symbols are shown \
             together as __other__; all stay monitored. GET /api/v1/status/cardinality shows what \
             uses it.",
        )
        .into()
}

fn state_near_limit() -> Rule {
    let [bytes, limit] =
        ["trading_exporter_state_bytes", "trading_exporter_state_bytes_limit"].map(latest);
    alert("StateNearLimit", Urgency::Moderate, format!("{bytes} / {limit} > 0.8"))
        .holding("1m")
        .saying(
            "The state of {{ $labels.instance }} uses {{ $value | humanizePercentage }} of its room",
            "Beyond its limit, {{ $labels.instance }} refuses events of those who use most of the \
             state (503 state_full); halts and releases are never refused. Look for an account with \
             very many orders, symbols or ids, or raise limits.state_bytes.",
        )
        .into()
}

fn journal_failing() -> Rule {
    let errors = "increase(trading_exporter_journal_errors_total[5m])";
    alert("JournalFailing", Urgency::Critical, format!("{errors} > 0"))
        .saying(
            "The journal of {{ $labels.instance }} does not accept events",
            "Writing the journal of {{ $labels.instance }} failed, or its disk is full: events are \
             answered 503, and no permits are issued. Free or repair the disk; after a failed write \
             or sync the process ends and must be started again.",
        )
        .into()
}

/// The mean of five minutes, over at least 20 syncs.
fn journal_sync_slow() -> Rule {
    let of = |part| format!("increase(trading_exporter_journal_sync_duration_seconds_{part}[5m])");
    let (sum, count) = (of("sum"), of("count"));
    alert(
        "JournalSyncSlow",
        Urgency::Moderate,
        format!("  ({sum} / ({count} > 0) > 0.25)\nand\n  ({count} >= 20)"),
    )
    .holding("2m")
    .saying(
        "A sync of the journal of {{ $labels.instance }} takes {{ $value | humanizeDuration }}",
        "Every answer to a sender waits for a sync of the journal of {{ $labels.instance }}, which \
         takes {{ $value | humanizeDuration }} on average. Check what else uses the disk.",
    )
    .into()
}

/// Acknowledged events, including halts, may be lost in a restart or a power cut.
fn journal_not_durable() -> Rule {
    let weak = latest("trading_exporter_journal_durability{durability!=\"synced\"}");
    alert("JournalNotDurable", Urgency::Minor, format!("{weak} == 1"))
        .holding("5m")
        .saying(
            "{{ $labels.instance }} runs with durability {{ $labels.durability }}",
            "{{ $labels.instance }} acknowledges events with durability {{ $labels.durability }}: \
             memory loses everything at a restart, including halts; relaxed survives a crash of the \
             process but not a power cut.",
        )
        .into()
}

fn reload_failed() -> Rule {
    let successful = latest("trading_exporter_config_last_reload_successful");
    alert("ConfigReloadFailed", Urgency::Moderate, format!("{successful} == 0"))
        .holding("1m")
        .saying(
            "{{ $labels.instance }} refused its new configuration",
            "The last reload of {{ $labels.instance }} failed and the old configuration is still in \
             force; a restart would fail. trading-exporter check-config FILE lists every mistake.",
        )
        .into()
}

fn web_config_refused() -> Rule {
    let successful = latest("trading_exporter_web_config_last_reload_successful");
    alert("WebConfigRefused", Urgency::Moderate, format!("{successful} == 0"))
        .holding("5m")
        .saying(
            "{{ $labels.instance }} refused a changed certificate or web configuration file",
            "The web configuration file of {{ $labels.instance }}, or a certificate or key that it \
             names, has changed and cannot be used. The old ones are still in force until they \
             expire; a restart would fail. trading-exporter check-config --web.config.file=FILE lists \
             every mistake.",
        )
        .into()
}

/// No Watchdog arrived for five minutes, or since the start.
fn alert_path_dead() -> Rule {
    let came = latest("trading_exporter_alertmanager_last_watchdog_timestamp_seconds");
    let started = latest(&format!("process_start_time_seconds{{{JOB}}}"));
    let expr = format!("time() - (\n    {came}\n  or on (job, instance)\n    {started}\n) > 300");
    alert("AlertPathDead", Urgency::Critical, expr)
        .holding("1m")
        .saying(
            "The Watchdog no longer arrives at {{ $labels.instance }}",
            &format!(
                "The alert Watchdog always fires, and Alertmanager has not delivered it to \
                 {{{{ $labels.instance }}}} for {{{{ $value | {SPAN} }}}}. Alerts may not arrive, and \
                 no alert can halt: check Alertmanager, its receiver and its token."
            ),
        )
        .into()
}

/// Alertmanager does not repeat most refused notifications, so a halt may not be in force.
fn notification_refused() -> Rule {
    let refused = "trading_exporter_alertmanager_webhooks_total{outcome=~\"refused|failed\"}";
    alert("HaltNotificationRefused", Urgency::Critical, format!("increase({refused}[10m]) > 0"))
        .saying(
            "{{ $labels.instance }} did not process a notification: {{ $labels.outcome }}",
            "{{ $labels.instance }} answered a notification of Alertmanager with an error \
             ({{ $labels.outcome }}). A halt that an alert requested may not be in force: check \
             trading_state, halt by hand if needed, and read the exporter's log.",
        )
        .into()
}

/// The alert had no effect, although its author meant it to have one.
fn action_unknown() -> Rule {
    let unknown = "increase(trading_exporter_alertmanager_unknown_actions_total[10m])";
    alert("AlertActionUnknown", Urgency::Critical, format!("{unknown} > 0"))
        .saying(
            "An alert requested an action that {{ $labels.instance }} does not have",
            "A firing alert has a label action that is not halt, reduce or none, so it had no effect: \
             the log of {{ $labels.instance }} names it. Halt by hand if needed, and correct the rule.",
        )
        .into()
}

/// The breaker of a target is open, or deliveries fail repeatedly while webhooks are waiting.
fn webhook_failing() -> Rule {
    let open = format!("{} == 1", latest("trading_exporter_webhook_breaker_open"));
    let failed = "trading_exporter_webhook_deliveries_total{outcome=\"failed\"}";
    let failing = format!("sum by (job, instance, sink) (increase({failed}[5m])) >= 3");
    let waiting = format!("{} > 0", latest("trading_exporter_webhook_pending"));
    let expr = format!(
        "  max by (job, instance, sink) ({open})\nor\n  (\n      {failing}\n    and on (job, instance, sink)\n      {waiting}\n  )"
    );
    alert("WebhookFailing", Urgency::Moderate, expr)
        .holding("1m")
        .saying(
            "Webhooks of {{ $labels.instance }} do not reach {{ $labels.sink }}",
            "Deliveries to {{ $labels.sink }} fail; they wait and are retried. Until they arrive, its \
             engine learns of a halt only by permit, stream or the answer to a post. Check the \
             target and the exporter's log.",
        )
        .into()
}

/// A webhook that was dropped or expired never arrives.
fn webhook_lost() -> Rule {
    let lost = "trading_exporter_webhook_deliveries_total{outcome=~\"dropped|expired\"}";
    let expr = format!("sum by (job, instance, sink) (increase({lost}[15m])) > 0");
    alert("WebhookLost", Urgency::Critical, expr)
        .saying(
            "Webhooks to {{ $labels.sink }} were given up",
            &format!(
                "About {{{{ $value | {NUMBER} }}}} webhooks to {{{{ $labels.sink }}}} were dropped or \
                 expired: a halt, release or reconcile among them will never arrive. Bring the \
                 engine's state up to date by hand: compare it with the permit."
            ),
        )
        .into()
}

/// Always fires. The exporter notices when it stops arriving.
fn watchdog() -> Rule {
    alert("Watchdog", Urgency::None, "vector(1)".to_owned())
        .saying(
            "Alerts arrive",
            "Always fires. Alertmanager sends it back to the exporter, which reports a dead alert \
             path when it stops arriving.",
        )
        .into()
}
