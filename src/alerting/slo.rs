//! The error budget of the fill ratio, and the rate at which it burns.
//!
//! The objective is the warning level of the fill ratio: with 0.90, a tenth of the ended orders may be
//! unfilled. Each alert compares two windows (Google's SRE workbook, chapter 5): the long one shows
//! that the burn is significant, the short one that it continues. The factor times the budget is capped
//! at 0.8, because a factor of 14.4 on a budget of 0.1 would ask for more than all orders.

use super::Thresholds;
use super::promql::{RuleContext, latest, max_by};
use super::rule::{AlertingRule, Rule, RuleGroup, Urgency, record};
use crate::domain::settings::Figure;

/// The maximum share of unfilled orders that an alert asks for.
const CAP: f64 = 0.8;
/// The minimum number of ended orders in the long window.
const ORDERS_MIN: u32 = 50;
/// Counters of orders that ended unfilled. With [`FILLED`], they count all that ended.
const UNFILLED: [&str; 3] = [
    "trading_orders_cancelled_total",
    "trading_orders_expired_total",
    "trading_orders_rejected_total",
];
const FILLED: &str = "trading_orders_filled_total";

/// An alert on a burn rate, over a long and a short window.
struct BurnRate {
    urgency: Urgency,
    long: &'static str,
    short: &'static str,
    factor: f64,
    hold: Option<&'static str>,
}

const BURNS: [BurnRate; 3] = [
    BurnRate {
        urgency: Urgency::Critical,
        long: "1h",
        short: "5m",
        factor: 14.4,
        hold: Some("1m"),
    },
    BurnRate {
        urgency: Urgency::Moderate,
        long: "6h",
        short: "30m",
        factor: 6.0,
        hold: Some("5m"),
    },
    BurnRate { urgency: Urgency::Minor, long: "3d", short: "6h", factor: 1.0, hold: Some("1h") },
];

const WINDOWS: [&str; 5] = ["5m", "30m", "1h", "6h", "3d"];

pub(super) fn group(context: &RuleContext<'_>) -> RuleGroup {
    let recorded = WINDOWS.into_iter().flat_map(recorded);
    let burns = BURNS.iter().filter_map(|burn| alert(context, burn));
    RuleGroup { name: "trading_fill_ratio_slo", rules: recorded.chain(burns).collect() }
}

fn ended(window: &str) -> String {
    format!("job_account:trading_orders_ended:increase{window}")
}

fn unfilled(window: &str) -> String {
    format!("job_account:trading_orders_unfilled:ratio_increase{window}")
}

fn recorded(window: &'static str) -> [Rule; 2] {
    let count = |metrics: &[&str]| {
        let terms: Vec<String> = metrics
            .iter()
            .map(|m| format!("    sum by (job, instance, account) (increase({m}[{window}]))"))
            .collect();
        format!("max by (job, account) (\n{}\n)", terms.join("\n  +\n"))
    };
    let all: Vec<&str> = UNFILLED.into_iter().chain([FILLED]).collect();
    let ratio = format!("{}\n/\n(\n  {} > 0\n)", count(&UNFILLED), ended(window));
    [record(&ended(window), count(&all)), record(&unfilled(window), ratio)]
}

/// `None` if the fill ratio has no warning level, and so no objective.
fn alert(context: &RuleContext<'_>, burn: &BurnRate) -> Option<Rule> {
    let BurnRate { urgency, long, short, factor, hold } = burn;
    let objective = context.settings.anomaly.default.levels[Figure::FillRatio].warning;
    let (join, limit) = match context.thresholds {
        Thresholds::Joined => {
            let selector = "trading_threshold{figure=\"fill_ratio\",severity=\"warning\"}";
            let objective = max_by("job, account", &latest(selector));
            let limit = format!("clamp_max({factor} * (1 - {objective}), {CAP})");
            (" on (job, account) group_left ()", limit)
        }
        Thresholds::Literal => ("", format!("{:.6}", (factor * (1.0 - objective?)).min(CAP))),
    };
    let beyond = |window| format!("{} >{join} {limit}", unfilled(window));
    let (long_ratio, short_ratio) = (beyond(long), beyond(short));
    let enough = format!("{} >= {ORDERS_MIN}", ended(long));
    let expr = format!(
        "  ({long_ratio})\nand on (job, account)\n  ({short_ratio})\nand on (job, account)\n  ({enough})"
    );
    let alert = AlertingRule::new("FillRatioBudgetBurn", *urgency, expr)
        .saying(
            "{{ $value | humanizePercentage }} of the orders of {{ $labels.account }} end unfilled",
            &format!(
                "{{{{ $value | humanizePercentage }}}} of the orders of {{{{ $labels.account }}}} \
                 that ended in the last {long} were not filled, and the same holds for the last \
                 {short}: the budget of unfilled orders burns {factor} times as fast as it may (at \
                 least {ORDERS_MIN} orders, at most {CAP} of them). Check how the orders end."
            ),
        )
        .shown_on("trading-slo");
    Some(match hold {
        Some(hold) => alert.holding(hold).into(),
        None => alert.into(),
    })
}
