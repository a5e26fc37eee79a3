//! Rules about position drift: three severities, each drift type by name, and snapshots that age.

use super::promql::{Compare, RuleContext, brackets, chain, latest, max_by};
use super::rule::{AlertingRule, Rule, RuleGroup, Urgency, record};
use super::text::{NUMBER, SPAN, ask, threshold};
use crate::domain::settings::Severity;

const DASHBOARD: &str = "trading-positions";
const QUANTITY: &str = "job_account_symbol_drift:trading_position_drift_quantity:max";
const VALUE: &str = "job_account_symbol_drift:trading_position_drift_value:max";
const VERDICT: &str = "job_account_symbol:trading_position_drift_severity:max";

pub(super) fn groups(context: &RuleContext<'_>) -> Vec<RuleGroup> {
    let largest =
        |metric: &str| max_by("job, account, symbol, drift", &format!("abs({})", latest(metric)));
    let severity = latest("trading_position_drift_severity");
    let mut rules = vec![
        record(QUANTITY, largest("trading_position_drift_quantity")),
        record(VALUE, largest("trading_position_drift_value")),
        record(VERDICT, max_by("job, account, symbol", &severity)),
    ];
    rules.extend(Severity::ALL.into_iter().rev().map(|s| position_drift(context, s)));
    rules.push(unvalued());
    rules.push(reconcile_escalated());
    let snapshots = vec![snapshot_stale(context), book_never_came(), drift_unjudged()];
    vec![
        RuleGroup { name: "trading_drift", rules },
        RuleGroup { name: "trading_snapshots", rules: snapshots },
    ]
}

/// By quantity, by value, or by the exporter's verdict, which also covers overrides, the relative
/// test, a sign flip and a failed reconciliation. A difference in flight has the verdict 0.
fn position_drift(context: &RuleContext<'_>, severity: Severity) -> Rule {
    let rules = &context.settings.drift_rules.default;
    let word = severity.as_str();
    let limit = |figure, number| context.threshold(figure, word, Some(number));
    let quantity = limit("drift_quantity", *rules.quantity.get(severity));
    let value = limit("drift_value", *rules.value.get(severity));
    // A price mismatch has a cap of its own, so only the verdict covers it.
    let values = format!("{VALUE}{{drift!=\"price_mismatch\"}}");
    let tests = [
        quantity.map(|limit| brackets(&context.compare(QUANTITY, Compare::AtLeast, &limit))),
        value.map(|limit| {
            let beyond = brackets(&context.compare(&values, Compare::AtLeast, &limit));
            brackets(&format!("  {QUANTITY}\nand on (job, account, symbol, drift)\n{beyond}"))
        }),
    ];
    let tests: Vec<String> = tests.into_iter().flatten().collect();
    let (rank, urgency) = match severity {
        Severity::Minor => (1, Urgency::Minor),
        Severity::Moderate => (2, Urgency::Moderate),
        Severity::Critical => (3, Urgency::Critical),
    };
    let by_threshold = format!(
        "{}\nunless on (job, account, symbol)\n  {}\nand on (job, account, symbol)\n  {VERDICT} > 0",
        brackets(&chain("or", &tests)),
        latest("trading_threshold_overridden{rules=\"drift\"}"),
    );
    let by_verdict = format!("  {QUANTITY}\nand on (job, account, symbol)\n  {VERDICT} >= {rank}");
    let either = chain("or", &[brackets(&by_threshold), brackets(&by_verdict)]);
    let alert = |expr| {
        AlertingRule::new("PositionDrift", urgency, expr)
            .keeping("5m")
            .saying(&summary(word), &description(severity))
            .shown_on(DASHBOARD)
    };
    match severity {
        Severity::Minor => alert(either).holding("5m").into(),
        Severity::Moderate => alert(either).holding("1m").into(),
        // This alert may halt, so an unconfirmed difference is not enough.
        Severity::Critical => {
            let open = latest("trading_position_drift_open");
            let confirmed = max_by("job, account, drift", &open);
            let expr =
                format!("{}\nand on (job, account, drift)\n  {confirmed} > 0", brackets(&either));
            alert(expr).into()
        }
    }
}

fn summary(severity: &str) -> String {
    format!(
        "{} drift: {{{{ $labels.drift }}}} of {{{{ $value | {NUMBER} }}}} in \
         {{{{ $labels.symbol }}}} of {{{{ $labels.account }}}}",
        severity.to_uppercase()
    )
}

fn description(severity: Severity) -> String {
    let word = severity.as_str();
    let labels = ["account", "symbol"];
    let book = |book: &str| {
        let selector = format!(
            "max(last_over_time(trading_position_quantity{{account=%q,symbol=%q,book=\"{book}\"}}[2m]))"
        );
        ask(&selector, &labels, NUMBER)
    };
    let value = ask(
        &format!("max({VALUE}{{account=%q,symbol=%q,drift=%q}})"),
        &["account", "symbol", "drift"],
        NUMBER,
    );
    let action = match severity {
        Severity::Minor => {
            "The engine was asked to reconcile; act if the drift does not clear by itself."
        }
        Severity::Moderate => "Compare the fills of both sides and correct the wrong book.",
        Severity::Critical => {
            "Trading of the account is halted. Correct the wrong book, then release the account."
        }
    };
    format!(
        "Local {} and broker {} differ by {{{{ $value | {NUMBER} }}}} units, worth {value} in the \
         account''s currency. Thresholds of {word}: quantity {}, value {}. {action}",
        book("local"),
        book("broker"),
        threshold("drift_quantity", word, "drift", NUMBER),
        threshold("drift_value", word, "drift", NUMBER),
    )
    .replace("''", "'")
}

/// Without a value, a drift may be more severe than its verdict.
fn unvalued() -> Rule {
    let gauge = latest("trading_position_drift_unvalued");
    let expr = format!("{} == 1", max_by("job, account, symbol", &gauge));
    AlertingRule::new("DriftUnvalued", Urgency::Moderate, expr)
        .holding("1m")
        .keeping("5m")
        .saying(
            "The drift of {{ $labels.symbol }} of {{ $labels.account }} has no known value",
            "The books of {{ $labels.symbol }} of {{ $labels.account }} differ, and no price or no rate \
             to the account's currency is known, so the drift is judged without its value. Post prices \
             in the broker's list or quotes, or set the rate, then check the position.",
        )
        .shown_on(DASHBOARD)
        .into()
}

/// The engine did not carry out the reconcile directives.
fn reconcile_escalated() -> Rule {
    let counter = "trading_reconciliations_total{outcome=\"escalated\"}";
    let expr = format!("{} > 0", max_by("job, account", &format!("increase({counter}[15m])")));
    AlertingRule::new("ReconciliationFailed", Urgency::Moderate, expr)
        .saying(
            "Reconciliation of {{ $labels.account }} failed",
            "The engine of {{ $labels.account }} was asked several times to correct its book, and no \
             snapshot confirmed a correction; the drift now counts as moderate. Check whether the \
             engine reads directives, and correct the book by hand.",
        )
        .shown_on(DASHBOARD)
        .into()
}

/// A book that is no longer updated: drift cannot be judged by it.
fn snapshot_stale(context: &RuleContext<'_>) -> Rule {
    let newest = latest("trading_position_snapshot_timestamp_seconds");
    let age = format!("(time() - {})", max_by("job, account, book", &newest));
    let limit = context.settings.drift.stale_after.as_secs_f64();
    let limit = context.threshold("snapshot_age_seconds", "", Some(limit)).unwrap_or_default();
    let configured = ask(
        "max(last_over_time(trading_threshold{figure=\"snapshot_age_seconds\",account=%q}[2m]))",
        &["account"],
        SPAN,
    );
    AlertingRule::new(
        "PositionSnapshotStale",
        Urgency::Moderate,
        context.compare(&age, Compare::Above, &limit),
    )
    .holding("1m")
    .saying(
        "The {{ $labels.book }} book of {{ $labels.account }} is stale",
        &format!(
            "The newest snapshot of the {{{{ $labels.book }}}} book of {{{{ $labels.account }}}} is \
             {{{{ $value | {SPAN} }}}} old, more than {configured}. Drift is neither found nor \
             cleared until a new one arrives: check the process that posts it."
        ),
    )
    .shown_on(DASHBOARD)
    .into()
}

/// One side alone cannot show a drift.
fn book_never_came() -> Rule {
    let kinds = "trading_missing_evidence{kind=~\"(local|broker)_book_never_came\"}";
    let missing = max_by("job, account, kind", &latest(kinds));
    AlertingRule::new("PositionBookNeverCame", Urgency::Moderate, format!("{missing} == 1"))
        .holding("1m")
        .saying(
            "One side of {{ $labels.account }} never sent positions",
            "{{ if eq $labels.kind \"broker_book_never_came\" }}The engine of \
             {{ $labels.account }} sends positions and its broker never did, so no drift can be \
             found.{{ else }}The broker of {{ $labels.account }} sends positions and its engine never \
             did, so they are compared with its fills.{{ end }} Check the process that should post \
             them, and failed fetches: GET /api/v1/health?account={{ $labels.account | urlquery }}",
        )
        .shown_on(DASHBOARD)
        .into()
}

/// The exporter's own verdict, which also covers a book that never arrived.
fn drift_unjudged() -> Rule {
    let stale = max_by("job, account", &latest("trading_position_drift_stale"));
    AlertingRule::new("DriftNotJudged", Urgency::Moderate, format!("{stale} == 1"))
        .holding("5m")
        .saying(
            "Position drift of {{ $labels.account }} is not being judged",
            "A book of {{ $labels.account }} is too old, or its fetches fail, so the exporter can \
             neither find drift nor clear it. Post the positions of both sides.",
        )
        .shown_on(DASHBOARD)
        .into()
}
