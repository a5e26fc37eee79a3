//! Rules about the trading state: halts while they last, and orders during one.

use super::promql::{latest, max_by};
use super::rule::{AlertingRule, Rule, RuleGroup, Urgency};
use super::text::NUMBER;

pub(super) fn groups() -> Vec<RuleGroup> {
    let rules = vec![
        state(2, "TradingHalted", Urgency::Critical),
        state(1, "TradingReducing", Urgency::Moderate),
        orders_while_halted(),
        halt_of_unknown_account(),
        released(),
    ];
    vec![RuleGroup { name: "trading_state", rules }]
}

/// For `*` it fires once, not again for every account.
fn state(code: u8, name: &'static str, urgency: Urgency) -> Rule {
    let of = |matcher: &str| {
        let state = latest(&format!("trading_state{{account{matcher}\"*\"}}"));
        max_by("job, account", &format!("{state} == {code}"))
    };
    let (accounts, all) = (of("!="), of("="));
    let expr = format!("  {all}\nor\n  (\n      {accounts}\n    unless on (job)\n      {all}\n  )");
    let (word, meaning) = match code {
        2 => ("halted", "No new orders may be sent; cancels may."),
        _ => ("reducing", "Only orders that reduce a position may be sent."),
    };
    let account =
        "{{ if eq $labels.account \"*\" }}all accounts{{ else }}{{ $labels.account }}{{ end }}";
    AlertingRule::new(name, urgency, expr)
        .keeping("1m")
        .saying(
            &format!("Trading of {account} is {word}"),
            &format!(
                "Trading of {account} is {word}. {meaning} It stays {word} until a person releases \
                 it. The reason, and the epoch for the release: \
                 GET /api/v1/permit?account={{{{ $labels.account | urlquery }}}}"
            ),
        )
        .into()
}

/// Someone released a halt: reported once, as news.
fn released() -> Rule {
    let releases = max_by("job, account", "increase(trading_halt_releases_total[2m])");
    let account =
        "{{ if eq $labels.account \"*\" }}all accounts{{ else }}{{ $labels.account }}{{ end }}";
    AlertingRule::new("TradingReleased", Urgency::Minor, format!("{releases} > 0"))
        .saying(
            &format!("A halt of {account} was released"),
            "Someone released causes of the latch of {{ $labels.account }} in the last two minutes; \
             other causes may remain. Who, why and with which token: \
             GET /api/v1/audit?account={{ $labels.account | urlquery }}",
        )
        .into()
}

/// The alert meant another account, which still trades.
fn halt_of_unknown_account() -> Rule {
    let anomaly = latest("trading_anomaly{figure=\"halt_of_unknown_account\"}");
    let expr = format!("{} == 2", max_by("job, account", &anomaly));
    AlertingRule::new("HaltOfUnknownAccount", Urgency::Critical, expr)
        .keeping("1m")
        .saying(
            "An alert halted {{ $labels.account }}, which is not a known account",
            "An alert halted the account {{ $labels.account }}, which never sent an event and which the \
             configuration does not name. The alert probably meant another account, which still \
             trades: halt that one by hand if it must stop, correct the alert, and release this one.",
        )
        .into()
}

/// The state was halted at every scrape of two minutes, and orders were submitted in that time.
fn orders_while_halted() -> Rule {
    let orders = max_by(
        "job, account",
        "sum by (job, instance, account) (increase(trading_orders_submitted_total[2m]))",
    );
    let halted = "min by (job, account) (min_over_time(trading_state[2m]))";
    let expr = format!("  ({orders} > 0)\nand on (job, account)\n  ({halted} == 2)");
    AlertingRule::new("OrdersWhileHalted", Urgency::Critical, expr)
        .keeping("2m")
        .saying(
            "{{ $labels.account }} sends orders while it is halted",
            &format!(
                "About {{{{ $value | {NUMBER} }}}} orders of {{{{ $labels.account }}}} were submitted \
                 in two minutes in which it was halted. The engine ignores the halt: stop it, or \
                 revoke its access to the broker."
            ),
        )
        .into()
}
