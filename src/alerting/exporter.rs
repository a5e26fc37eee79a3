//! Rules about the exporter itself, and about the path on which alerts arrive.

use super::promql::{latest, max_by};
use super::rule::{Alert, Group, Rule, Urgency};
use super::text::{NUMBER, PERCENT, SPAN};

const DASHBOARD: &str = "trading-exporter";
const JOB: &str = "job=\"trading-exporter\"";

pub(super) fn groups() -> Vec<Group> {
    let process = vec![down(), absent(), restarted(), thresholds_missing(), clock_behind()];
    let ingest = vec![
        queue_filling(),
        overloaded(),
        events_refused(),
        not_monitored(),
        series_folded(),
        series_near_limit(),
    ];
    let journal = vec![journal_failing(), journal_sync_slow(), journal_not_durable()];
    let configuration = vec![reload_failed()];
    let path = vec![watchdog(), alert_path_dead(), notification_refused(), action_unknown()];
    let webhooks = vec![webhook_failing(), webhook_lost()];
    let group = |name, rules| Group { name, rules };
    vec![
        group("trading_exporter_process", process),
        group("trading_exporter_ingest", ingest),
        group("trading_exporter_journal", journal),
        group("trading_exporter_configuration", configuration),
        group("trading_alert_path", path),
        group("trading_webhooks", webhooks),
    ]
}

fn alert(name: &'static str, urgency: Urgency, expr: String) -> Alert {
    Alert::new(name, urgency, expr).shown_on(DASHBOARD)
}

/// A target that does not answer. `absent` stands in a rule of its own: in one rule with this it
/// would fire at the start of Prometheus.
fn down() -> Rule {
    alert("ExporterDown", Urgency::Critical, format!("up{{{JOB}}} == 0"))
        .holding("30s")
        .saying(
            "The exporter {{ $labels.instance }} does not answer",
            "Prometheus cannot scrape {{ $labels.instance }}. Nothing judges drift and nothing \
             issues permits: engines do what their on_expiry says. What was halted stays halted.",
        )
        .into()
}

fn absent() -> Rule {
    alert("ExporterAbsent", Urgency::Critical, format!("absent(up{{{JOB}}})"))
        .holding("2m")
        .saying(
            "Prometheus knows no exporter at all",
            "There is no target with job=\"trading-exporter\": the scrape configuration or service \
             discovery lost it. Nothing is being watched.",
        )
        .into()
}

fn restarted() -> Rule {
    let age = format!("time() - {}", latest(&format!("process_start_time_seconds{{{JOB}}}")));
    alert("ExporterRestarted", Urgency::Minor, format!("({age}) < 300"))
        .saying(
            "The exporter {{ $labels.instance }} was started",
            "{{ $labels.instance }} was started less than five minutes ago. If nobody did that, \
             look at its log for why it ended.",
        )
        .into()
}

/// Without them, rules that join thresholds say nothing.
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
             with thresholds rest on the exporter's verdict alone. Look at relabelling, at the scope \
             of the token, and at what listens there.",
        )
        .into()
}

/// Receive time never goes back, so a clock that was ahead once is behind it from then on.
fn clock_behind() -> Rule {
    let behind = latest("trading_exporter_clock_behind_seconds");
    alert("ExporterClockBehind", Urgency::Critical, format!("{behind} > 0"))
        .holding("1m")
        .saying(
            "The clock of {{ $labels.instance }} is wrong, or was",
            &format!(
                "The wall clock of {{{{ $labels.instance }}}} is {{{{ $value | {SPAN} }}}} behind its \
                 newest record: it was ahead, or was set back. Drift, halts and silence are judged \
                 all the same; past clock.behind_max no permits are issued."
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
            "Requests wait for the writer of {{ $labels.instance }} faster than it takes them; when \
             the queue is full, senders are answered 503. Look at the disk and at the rate of \
             events.",
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
                 Senders must send them again, or figures and books lack them."
            ),
        )
        .into()
}

/// By share, with a minimum, so that one bad event in a quiet hour says nothing.
fn events_refused() -> Rule {
    let refused = "sum by (job, instance) (increase(trading_exporter_events_rejected_total[10m]))";
    let received = "sum by (job, instance) (increase(trading_exporter_events_received_total[10m]))";
    let all = format!("({refused} + {received})");
    let expr = format!("  ({refused} / {all} > 0.05)\nand on (job, instance)\n  ({all} >= 20)");
    alert("EventsRefused", Urgency::Moderate, expr)
        .holding("1m")
        .saying(
            "{{ $value | humanizePercentage }} of what {{ $labels.instance }} is sent is refused",
            &format!(
                "{{{{ $value | {PERCENT} }}}} of the events sent to {{{{ $labels.instance }}}} in ten \
                 minutes were refused; the label code of trading_exporter_events_rejected_total and \
                 the answers say why. What is refused is in no figure."
            ),
        )
        .into()
}

fn not_monitored() -> Rule {
    let ignored = "increase(trading_not_monitored_total[15m])";
    alert("NotMonitored", Urgency::Critical, format!("{ignored} > 0"))
        .saying(
            "Account {{ $labels.account }} has more symbols than are monitored",
            "{{ $labels.account }} has as many symbols as symbols.max: positions and drift of the \
             others are NOT monitored, and the account is restricted as symbols.on_not_monitored \
             says. Retire symbols that are gone, or raise symbols.max; then release the account.",
        )
        .into()
}

fn series_folded() -> Rule {
    let folded = "increase(trading_exporter_series_folded_total[15m])";
    alert("SeriesFolded", Urgency::Minor, format!("{folded} > 0"))
        .saying(
            "Quiet values of {{ $labels.label }} fold into __other__",
            "{{ $labels.instance }} reached its budget of series: the quietest values of \
             {{ $labels.label }} are shown together. All of them are monitored as before, and what \
             is in trouble is shown under its own name. Retire series that are no longer needed, or \
             raise series.max.",
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
             together as __other__; all stay monitored. GET /api/v1/status/cardinality says what \
             uses it.",
        )
        .into()
}

fn journal_failing() -> Rule {
    let errors = "increase(trading_exporter_journal_errors_total[5m])";
    alert("JournalFailing", Urgency::Critical, format!("{errors} > 0"))
        .saying(
            "The journal of {{ $labels.instance }} does not take events",
            "Writing the journal of {{ $labels.instance }} failed, or its disk is full: events are \
             answered 503, and no permit is issued. Make room or mend the disk; after a failed \
             write or sync the process ends and must start again.",
        )
        .into()
}

/// The mean of five minutes, over enough syncs to mean something.
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
        "The disk of {{ $labels.instance }} takes {{ $value | humanizeDuration }} for a sync",
        "Every answer to a sender waits for a sync of the journal of {{ $labels.instance }}, which \
         takes {{ $value | humanizeDuration }} on average. Look at what else uses the disk.",
    )
    .into()
}

/// A restart or a power cut may forget what was acknowledged, halts among it.
fn journal_not_durable() -> Rule {
    let weak = latest("trading_exporter_journal_durability{durability!=\"synced\"}");
    alert("JournalNotDurable", Urgency::Minor, format!("{weak} == 1"))
        .holding("5m")
        .saying(
            "{{ $labels.instance }} runs with durability {{ $labels.durability }}",
            "What {{ $labels.instance }} acknowledges is kept with durability \
             {{ $labels.durability }}: memory forgets everything at a restart, halts among it; \
             relaxed survives a crash of the process, and not a power cut.",
        )
        .into()
}

fn reload_failed() -> Rule {
    let successful = latest("trading_exporter_config_last_reload_successful");
    alert("ConfigReloadFailed", Urgency::Moderate, format!("{successful} == 0"))
        .holding("1m")
        .saying(
            "{{ $labels.instance }} refused its new configuration",
            "The last reload of {{ $labels.instance }} failed and the old configuration is in \
             force; a restart would fail. trading-exporter check-config FILE names every mistake.",
        )
        .into()
}

/// No Watchdog came back for five minutes, or none at all since the start.
fn alert_path_dead() -> Rule {
    let came = latest("trading_exporter_alertmanager_last_watchdog_timestamp_seconds");
    let started = latest(&format!("process_start_time_seconds{{{JOB}}}"));
    let expr = format!("time() - (\n    {came}\n  or on (job, instance)\n    {started}\n) > 300");
    alert("AlertPathDead", Urgency::Critical, expr)
        .holding("1m")
        .saying(
            "No Watchdog comes back to {{ $labels.instance }}",
            &format!(
                "The alert Watchdog always fires, and Alertmanager has not brought it to \
                 {{{{ $labels.instance }}}} for {{{{ $value | {SPAN} }}}}. Alerts may not arrive and \
                 halts by alert do not: look at Alertmanager, its receiver and its token."
            ),
        )
        .into()
}

/// Alertmanager takes most answers as final: what it asked for may not be in force.
fn notification_refused() -> Rule {
    let refused = "trading_exporter_alertmanager_webhooks_total{outcome=~\"refused|failed\"}";
    alert("HaltNotificationRefused", Urgency::Critical, format!("increase({refused}[10m]) > 0"))
        .saying(
            "{{ $labels.instance }} did not take a notification: {{ $labels.outcome }}",
            "{{ $labels.instance }} answered a notification of Alertmanager with an error \
             ({{ $labels.outcome }}). A halt that an alert asked for may not be in force: see \
             trading_state, halt by hand if needed, and read the exporter's log.",
        )
        .into()
}

/// Nothing was done, and whoever wrote the rule meant something to happen.
fn action_unknown() -> Rule {
    let unknown = "increase(trading_exporter_alertmanager_unknown_actions_total[10m])";
    alert("AlertActionUnknown", Urgency::Critical, format!("{unknown} > 0"))
        .saying(
            "An alert asked {{ $labels.instance }} for an action that it does not know",
            "An alert that fires has a label action that is neither halt, reduce nor none, and nothing \
             was done: the log of {{ $labels.instance }} names it. Halt by hand if needed, and correct \
             the rule.",
        )
        .into()
}

/// A target that is given up on for the time, or that fails again and again while something waits.
fn webhook_failing() -> Rule {
    let given_up = format!("{} == 1", latest("trading_exporter_webhook_breaker_open"));
    let failed = "trading_exporter_webhook_deliveries_total{outcome=\"failed\"}";
    let failing = format!("sum by (job, instance, sink) (increase({failed}[5m])) >= 3");
    let waiting = format!("{} > 0", latest("trading_exporter_webhook_pending"));
    let expr = format!(
        "  max by (job, instance, sink) ({given_up})\nor\n  (\n      {failing}\n    and on (job, instance, sink)\n      {waiting}\n  )"
    );
    alert("WebhookFailing", Urgency::Moderate, expr)
        .holding("1m")
        .saying(
            "Webhooks of {{ $labels.instance }} do not reach {{ $labels.sink }}",
            "Deliveries to {{ $labels.sink }} fail; they wait and are tried again. Until they arrive \
             its engine learns of a halt only by permit, stream or the answer to a post. Look at \
             what listens there and at the exporter's log.",
        )
        .into()
}

/// What was dropped or expired never arrives.
fn webhook_lost() -> Rule {
    let lost = "trading_exporter_webhook_deliveries_total{outcome=~\"dropped|expired\"}";
    let expr = format!("sum by (job, instance, sink) (increase({lost}[15m])) > 0");
    alert("WebhookLost", Urgency::Critical, expr)
        .saying(
            "Webhooks to {{ $labels.sink }} were given up",
            &format!(
                "About {{{{ $value | {NUMBER} }}}} webhooks to {{{{ $labels.sink }}}} were dropped or \
                 expired: a halt, release or reconcile among them never arrives. Bring the engine's \
                 state up to date by hand: compare it with the permit."
            ),
        )
        .into()
}

/// Always fires; the exporter notices when it stops arriving.
fn watchdog() -> Rule {
    alert("Watchdog", Urgency::None, "vector(1)".to_owned())
        .saying(
            "Alerts arrive",
            "Always fires. Alertmanager sends it back to the exporter, which says that the alert \
             path is dead when it stops coming.",
        )
        .into()
}
