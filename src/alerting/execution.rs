//! Rules about execution quality: figures of windows against thresholds, and things that should
//! not happen at all.
//!
//! A figure is judged for each symbol and, with an empty label `symbol`, for the account as a whole.

use super::promql::{Compare, RuleContext, brackets, chain, latest, max_by};
use super::rule::{AlertingRule, Rule, RuleGroup, Urgency, record};
use super::text::{NUMBER, PERCENT, SPAN, WHERE, ask, threshold};
use crate::domain::settings::Figure;

const DASHBOARD: &str = "trading-execution";
const SAMPLES: &str = "job_account_symbol_figure:trading_window_samples:max";
const VERDICT: &str = "job_account_symbol_figure:trading_anomaly:max";

/// The rules for a figure that has thresholds.
struct FigureAlert {
    alert: &'static str,
    figure: Figure,
    /// The value of the label `figure` of its samples.
    samples: &'static str,
    /// The recorded series.
    recorded: &'static str,
    /// The metrics that it is recorded from: of symbols, and of accounts.
    metrics: [&'static str; 2],
    /// Label matchers for those metrics.
    matchers: &'static str,
    compare: Compare,
    /// The aggregation over replicas, which selects the worst one.
    worst: &'static str,
    /// The name of the figure in a sentence.
    noun: &'static str,
    beyond: &'static str,
    format: &'static str,
    unit: &'static str,
    advice: &'static str,
}

const FIGURES: [FigureAlert; 4] = [
    FigureAlert {
        alert: "FillRatioLow",
        figure: Figure::FillRatio,
        recorded: "job_account_symbol:trading_fill_ratio_ex_user_cancels:min",
        samples: "fill_ratio_ex_user_cancels",
        metrics: [
            "trading_fill_ratio_ex_user_cancels",
            "trading_account_fill_ratio_ex_user_cancels",
        ],
        matchers: "",
        compare: Compare::Below,
        worst: "min",
        noun: "Fill ratio without user cancels",
        beyond: "below",
        format: PERCENT,
        unit: "",
        advice: "Check how the orders end: rejections, expiry, or prices that are never reached.",
    },
    FigureAlert {
        alert: "SlippageHigh",
        figure: Figure::SlippageBps,
        recorded: "job_account_symbol:trading_slippage_bps:max",
        samples: "slippage_bps",
        metrics: ["trading_slippage_bps", "trading_account_slippage_bps"],
        matchers: "reference=\"expected\"",
        compare: Compare::Above,
        worst: "max",
        noun: "Mean slippage",
        beyond: "above",
        format: NUMBER,
        unit: " bps",
        advice: "Check the age of the quotes that orders are priced from, order sizes, and the venue.",
    },
    FigureAlert {
        alert: "FillTimeHigh",
        figure: Figure::FillTimeSeconds,
        recorded: "job_account_symbol:trading_fill_time_seconds_mean:max",
        samples: "fill_time_seconds",
        metrics: ["trading_fill_time_seconds_mean", "trading_account_fill_time_seconds_mean"],
        matchers: "",
        compare: Compare::Above,
        worst: "max",
        noun: "Mean fill time",
        beyond: "above",
        format: SPAN,
        unit: "",
        advice: "Check acknowledgement times first: they tell a slow path from a slow market.",
    },
    FigureAlert {
        alert: "RejectionRatioHigh",
        figure: Figure::RejectionRatio,
        recorded: "job_account_symbol:trading_rejection_ratio:max",
        samples: "rejection_ratio",
        metrics: ["trading_rejection_ratio", "trading_account_rejection_ratio"],
        matchers: "",
        compare: Compare::Above,
        worst: "max",
        noun: "Rejection ratio",
        beyond: "above",
        format: PERCENT,
        unit: "",
        advice: "Check trading_rejections_by_reason_total: the reason shows who has to act.",
    },
];

pub(super) fn groups(context: &RuleContext<'_>) -> Vec<RuleGroup> {
    let mut rules = vec![record(SAMPLES, samples()), record(VERDICT, verdicts())];
    for figure in &FIGURES {
        rules.push(record(figure.recorded, figure.values()));
        for urgency in [Urgency::Critical, Urgency::Moderate] {
            rules.extend(figure.alert(context, urgency));
        }
    }
    let events = vec![
        unacknowledged(Urgency::Critical),
        unacknowledged(Urgency::Moderate),
        rejections_in_a_row(),
        overfill(),
        conflict(),
        clock_skew(),
        orders_dropped(),
    ];
    vec![
        RuleGroup { name: "trading_execution", rules },
        RuleGroup { name: "trading_execution_events", rules: events },
    ]
}

/// The number of orders that each figure is computed from.
fn samples() -> String {
    let matchers = "figure=~\"fill_ratio_ex_user_cancels|fill_time_seconds|rejection_ratio\"";
    let of = |metric: &str| {
        let plain = latest(&format!("{metric}{{{matchers}}}"));
        let slippage =
            latest(&format!("{metric}{{figure=\"slippage_bps\",reference=\"expected\"}}"));
        format!("  {plain}\nor\n  {slippage}")
    };
    let all = chain("or", &[of("trading_window_samples"), of("trading_account_window_samples")]);
    format!("max by (job, account, symbol, figure) {}", brackets(&all))
}

/// Current anomalies: 1 warning, 2 critical.
fn verdicts() -> String {
    format!("{} > 0", max_by("job, account, symbol, figure", &latest("trading_anomaly")))
}

impl FigureAlert {
    /// The figure of each symbol, and of each account with an empty symbol.
    fn values(&self) -> String {
        let selector = |metric: &&str| match self.matchers {
            "" => latest(metric),
            matchers => latest(&format!("{metric}{{{matchers}}}")),
        };
        let [symbol, account] = self.metrics.each_ref().map(selector);
        format!("{} by (job, account, symbol) (\n    {symbol}\n  or\n    {account}\n)", self.worst)
    }

    /// `None` if the level is off: the rule would never fire.
    fn alert(&self, context: &RuleContext<'_>, urgency: Urgency) -> Option<Rule> {
        let rules = &context.settings.anomaly.default;
        let levels = rules.levels[self.figure];
        let (word, rank, configured) = match urgency {
            Urgency::Critical => ("critical", 2, levels.critical),
            Urgency::Moderate | Urgency::Minor | Urgency::None => ("warning", 1, levels.warning),
        };
        let limit = context.threshold(self.figure.as_str(), word, configured)?;
        let min_samples = context.threshold("min_samples", "", Some(rules.min_samples))?;
        let samples = format!("{SAMPLES}{{figure=\"{}\"}}", self.samples);
        let by_threshold = format!(
            "{}\nand on (job, account, symbol)\n{}\nunless on (job, account, symbol)\n  {}",
            brackets(&context.compare(self.recorded, self.compare, &limit)),
            brackets(&context.compare(&samples, Compare::AtLeast, &min_samples)),
            latest("trading_threshold_overridden{rules=\"anomaly\"}"),
        );
        let by_verdict = format!(
            "  {}\nand on (job, account, symbol)\n  {VERDICT}{{figure=\"{}\"}} >= {rank}",
            self.recorded,
            self.figure.as_str()
        );
        let expr = chain("or", &[brackets(&by_threshold), brackets(&by_verdict)]);
        let (summary, description) = self.message(word);
        let alert = AlertingRule::new(self.alert, urgency, expr)
            .keeping("2m")
            .saying(&summary, &description)
            .shown_on(DASHBOARD);
        Some(alert.holding(if urgency == Urgency::Critical { "1m" } else { "5m" }).into())
    }

    fn message(&self, word: &str) -> (String, String) {
        let Self { noun, beyond, format, unit, figure, advice, samples, .. } = self;
        let value = format!("{{{{ $value | {format} }}}}{unit}");
        let samples = ask(
            &format!("max({SAMPLES}{{figure=\"{samples}\",account=%q,symbol=%q}})"),
            &["account", "symbol"],
            NUMBER,
        );
        let limit = threshold(figure.as_str(), word, "anomaly", format);
        (
            format!("{noun} of {WHERE} is {value}"),
            format!(
                "{noun} of {WHERE} is {value} over the {samples} orders of its window, {beyond} \
                 the {word} level: {limit}{unit}. {advice}"
            ),
        )
    }
}

fn verdict(figure: &str, rank: u8) -> String {
    format!("{VERDICT}{{figure=\"{figure}\"}} >= {rank}")
}

fn unacknowledged(urgency: Urgency) -> Rule {
    let count = latest("trading_orders_unacknowledged");
    let count = max_by("job, account", &format!("sum by (job, instance, account) ({count})"));
    let rank = if urgency == Urgency::Critical { 2 } else { 1 };
    let expr =
        format!("  {count}\nand on (job, account)\n  {}", verdict("unacknowledged_orders", rank));
    let after = ask(
        "max(last_over_time(trading_threshold{figure=\"unacknowledged_seconds\",account=%q}[2m]))",
        &["account"],
        SPAN,
    );
    let alert = AlertingRule::new("OrdersUnacknowledged", urgency, expr)
        .saying(
            "{{ $value }} orders of {{ $labels.account }} are not acknowledged",
            &format!(
                "{{{{ $value }}}} orders of {{{{ $labels.account }}}} were submitted more than {after} \
                 ago and not acknowledged. Ask the broker for their status: they may be working."
            ),
        )
        .shown_on(DASHBOARD);
    if urgency == Urgency::Critical { alert.into() } else { alert.holding("30s").into() }
}

fn rejections_in_a_row() -> Rule {
    AlertingRule::new("RejectionsInARow", Urgency::Moderate, verdict("consecutive_rejections", 1))
        .saying(
            "Orders in {{ $labels.symbol }} of {{ $labels.account }} are rejected repeatedly",
            "Every recent order in {{ $labels.symbol }} of {{ $labels.account }} was rejected. \
             Stop sending, and check the reasons: a closed market, a limit, a wrong increment.",
        )
        .shown_on(DASHBOARD)
        .into()
}

/// By the exporter's verdict, or by its counter, which remembers an overfill after the verdict ends.
fn overfill() -> Rule {
    let counted = max_by("job, account, symbol", "increase(trading_overfills_total[5m])");
    let verdict = max_by("job, account, symbol", &verdict("overfill", 1));
    let expr = format!("  {counted} > 0\nor\n  {verdict}");
    AlertingRule::new("OrderOverfilled", Urgency::Critical, expr)
        .saying(
            &format!("More was filled than ordered: {WHERE}"),
            &format!(
                "An order of {WHERE} was filled beyond its quantity. Either a fill was reported \
                 under two ids, or an order was sent twice: compare with the broker's fills."
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

fn conflict() -> Rule {
    AlertingRule::new("EventConflict", Urgency::Moderate, verdict("conflict", 1))
        .saying(
            &format!("Events of {WHERE} contradict each other"),
            &format!(
                "Two events of {WHERE} have the same id and different contents; the second was \
                 refused. Ids are reused, or two senders disagree: the refused event may be \
                 missing from the figures."
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

fn clock_skew() -> Rule {
    AlertingRule::new("ClockSkew", Urgency::Minor, verdict("clock_skew", 1))
        .holding("5m")
        .saying(
            &format!("Events of {WHERE} are dated in the future or in the wrong order"),
            &format!(
                "The clock of a sender of events of {WHERE} is wrong. Fill times and the alignment of \
                 snapshots depend on it: synchronise it."
            ),
        )
        .shown_on(DASHBOARD)
        .into()
}

fn orders_dropped() -> Rule {
    let dropped = "increase(trading_orders_dropped_total[10m])";
    AlertingRule::new(
        "OrdersDropped",
        Urgency::Minor,
        format!("{} > 0", max_by("job, account, kind", dropped)),
    )
    .saying(
        "Orders of {{ $labels.account }} were forgotten: {{ $labels.kind }}",
        "{{ $labels.account }} has more {{ $labels.kind }} orders than the limit, so the oldest \
             were forgotten; late events about them are lost. Look for orders that never end, or \
             raise orders.open_max or orders.unknown_max.",
    )
    .shown_on(DASHBOARD)
    .into()
}
