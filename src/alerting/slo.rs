//! The error budget of the fill ratio, and how fast it burns.
//!
//! The objective is the warning level of the fill ratio: with 0.90 a tenth of the orders that end
//! may end unfilled. Burn rates over two windows each (Google's SRE workbook, chapter 5): the long
//! one says that it matters, the short one that it still goes on. A factor times the budget is
//! capped at 0.8, for a factor of 14.4 on a budget of 0.1 asks for more than every order.

use super::Thresholds;
use super::promql::{Context, latest, max_by};
use super::rule::{Alert, Group, Rule, Urgency, record};
use crate::domain::settings::Figure;

/// A share of unfilled orders that a burn rate asks for at most.
const CAP: f64 = 0.8;
/// Orders in the long window below which nothing is said.
const ORDERS_MIN: u32 = 50;
/// What ended without being filled, and all that ended.
const UNFILLED: [&str; 3] = [
    "trading_orders_cancelled_total",
    "trading_orders_expired_total",
    "trading_orders_rejected_total",
];
const FILLED: &str = "trading_orders_filled_total";

/// One pair of windows.
struct Burn {
    urgency: Urgency,
    long: &'static str,
    short: &'static str,
    factor: f64,
    hold: Option<&'static str>,
}

const BURNS: [Burn; 3] = [
    Burn { urgency: Urgency::Critical, long: "1h", short: "5m", factor: 14.4, hold: Some("1m") },
    Burn { urgency: Urgency::Moderate, long: "6h", short: "30m", factor: 6.0, hold: Some("5m") },
    Burn { urgency: Urgency::Minor, long: "3d", short: "6h", factor: 1.0, hold: Some("1h") },
];

const WINDOWS: [&str; 5] = ["5m", "30m", "1h", "6h", "3d"];

pub(super) fn group(context: &Context<'_>) -> Group {
    let recorded = WINDOWS.into_iter().flat_map(recorded);
    let burns = BURNS.iter().filter_map(|burn| alert(context, burn));
    Group { name: "trading_fill_ratio_slo", rules: recorded.chain(burns).collect() }
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

/// None: the fill ratio has no warning level, so there is no objective.
fn alert(context: &Context<'_>, burn: &Burn) -> Option<Rule> {
    let Burn { urgency, long, short, factor, hold } = burn;
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
    let alert = Alert::new("FillRatioBudgetBurn", *urgency, expr)
        .saying(
            "{{ $value | humanizePercentage }} of the orders of {{ $labels.account }} end unfilled",
            &format!(
                "{{{{ $value | humanizePercentage }}}} of the orders of {{{{ $labels.account }}}} \
                 that ended in the last {long} were not filled, and it goes on in the last {short}: \
                 the budget of unfilled orders burns {factor} times as fast as it may (at least \
                 {ORDERS_MIN} orders, at most {CAP} of them). Look at what ends the orders."
            ),
        )
        .shown_on("trading-slo");
    Some(match hold {
        Some(hold) => alert.holding(hold).into(),
        None => alert.into(),
    })
}
