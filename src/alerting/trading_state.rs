//! Rules about the trading state: halts while they last, and orders in spite of one.

use super::promql::{latest, max_by};
use super::rule::{Alert, Group, Rule, Urgency};
use super::text::NUMBER;

pub(super) fn groups() -> Vec<Group> {
    let rules = vec![
        state(2, "TradingHalted", Urgency::Critical),
        state(1, "TradingReducing", Urgency::Moderate),
        orders_while_halted(),
        halt_of_unknown_account(),
        released(),
    ];
    vec![Group { name: "trading_state", rules }]
}

/// Once for `*`, and not once more for every account under it.
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
    Alert::new(name, urgency, expr)
        .keeping("1m")
        .saying(
            &format!("Trading of {account} is {word}"),
            &format!(
                "Trading of {account} is {word}. {meaning} It stays so until a person releases it. \
                 Why, and the epoch that a release needs: \
                 GET /api/v1/permit?account={{{{ $labels.account | urlquery }}}}"
            ),
        )
        .into()
}

/// Somebody let it trade again: told once, as news.
fn released() -> Rule {
    let releases = max_by("job, account", "increase(trading_halt_releases_total[2m])");
    let account =
        "{{ if eq $labels.account \"*\" }}all accounts{{ else }}{{ $labels.account }}{{ end }}";
    Alert::new("TradingReleased", Urgency::Minor, format!("{releases} > 0"))
        .saying(
            &format!("A halt of {account} was released"),
            "Somebody released causes of the latch of {{ $labels.account }} within two minutes; others \
             may still stand. Who, why and with which token: \
             GET /api/v1/audit?account={{ $labels.account | urlquery }}",
        )
        .into()
}

/// Whoever wrote the alert meant another account, which trades on.
fn halt_of_unknown_account() -> Rule {
    let anomaly = latest("trading_anomaly{figure=\"halt_of_unknown_account\"}");
    let expr = format!("{} == 2", max_by("job, account", &anomaly));
    Alert::new("HaltOfUnknownAccount", Urgency::Critical, expr)
        .keeping("1m")
        .saying(
            "An alert halted {{ $labels.account }}, which nobody knows",
            "An alert halted the account {{ $labels.account }}, of which no event ever came and which \
             the configuration does not name. Whoever wrote it meant another one, which trades on: halt \
             that by hand if it must stop, correct the alert, and release this one.",
        )
        .into()
}

/// The state was halted at every scrape of two minutes, and orders were counted meanwhile.
fn orders_while_halted() -> Rule {
    let orders = max_by(
        "job, account",
        "sum by (job, instance, account) (increase(trading_orders_submitted_total[2m]))",
    );
    let halted = "min by (job, account) (min_over_time(trading_state[2m]))";
    let expr = format!("  ({orders} > 0)\nand on (job, account)\n  ({halted} == 2)");
    Alert::new("OrdersWhileHalted", Urgency::Critical, expr)
        .keeping("2m")
        .saying(
            "{{ $labels.account }} sends orders although it is halted",
            &format!(
                "About {{{{ $value | {NUMBER} }}}} orders of {{{{ $labels.account }}}} were submitted \
                 in two minutes in which it was halted. The engine does not obey: stop it, or take \
                 its access to the broker away."
            ),
        )
        .into()
}
