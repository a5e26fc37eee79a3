//! The estimate of the state's bytes against the memory that it takes.

use trading_exporter::domain::ids::{Account, Actor, Symbol};
use trading_exporter::domain::principal::Principal;
use trading_exporter::domain::record::{Adopt, Decision, Entry};
use trading_exporter::domain::settings::Settings;

use crate::flow::Fold;

/// Bytes of memory of this process that are in use.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kibibytes = line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number");
    kibibytes * 1024
}

/// Fills a state, and compares the growth of its estimate with that of the process. The result is kept,
/// so that no later state reuses its memory.
fn check(what: &str, kept: &mut Vec<Fold>, rounds: usize, round: impl Fn(usize) -> String) {
    let before = resident_bytes();
    let mut fold = Fold::new(Settings::default());
    let empty = fold.monitor.weigh().bytes();
    for n in 0..rounds {
        let lines = round(n);
        if lines.is_empty() {
            refused_reconcile(&mut fold, n);
        } else {
            fold.lines(&lines);
        }
        fold.directives.clear();
    }
    let grown = resident_bytes().saturating_sub(before);
    let estimate = fold.monitor.weigh().bytes() - empty;
    kept.push(fold);
    let is_close = estimate <= 2 * grown && grown <= 2 * estimate;
    assert!(is_close, "{what}: the estimate is {estimate}, the memory {grown}");
}

fn refused_reconcile(fold: &mut Fold, n: usize) {
    fold.apply(Entry::Decision(Decision::Reconcile {
        account: Account::new(&format!("a{}", n % 20)).expect("an account"),
        symbol: Symbol::new("NONE").expect("a symbol"),
        adopt: Adopt::Broker,
        privileged: false,
        reason: format!("because of {n}, and a reason of usual length"),
        by: Principal::with_token(Actor::new("someone").expect("an actor"), "engine"),
    }));
}

#[test]
fn the_estimate_is_within_a_factor_of_two_of_the_memory() {
    let kept = &mut Vec::new();
    check("ids", kept, 60_000, |n| {
        format!(r#"{{"type":"heartbeat","component":"engine","event_id":"some-event-{n}"}}"#)
    });
    check("open orders", kept, 20_000, |n| {
        format!(
            r#"{{"type":"order_submitted","order_id":"some-order-{n}","symbol":"X","side":"buy","quantity":1}}"#
        )
    });
    check("ended orders", kept, 20_000, |n| {
        format!(r#"{{"type":"order_rejected","order_id":"some-order-{n}","symbol":"X"}}"#)
    });
    check("fills of one order", kept, 20_000, |n| {
        let order = n / 5_000;
        format!(
            r#"{{"type":"order_filled","order_id":"O{order}","symbol":"X","side":"buy","quantity":1,"price":9,"fill_id":"some-fill-{n}"}}"#
        )
    });
    check("changes of positions", kept, 100_000, |n| {
        let symbol = n % 20;
        format!(
            r#"{{"type":"position_adjusted","symbol":"S{symbol}","quantity":1,"reason":"transfer"}}"#
        )
    });
    check("symbols", kept, 10_000, |n| {
        format!(r#"{{"type":"quote","symbol":"SYMBOL-{n}","price":1}}"#)
    });
    check("mids", kept, 100_000, |n| {
        let symbol = n % 1_500;
        format!(r#"{{"type":"quote","symbol":"S{symbol}","price":{n}}}"#)
    });
    check("positions", kept, 10, |n| {
        let row =
            |at: usize| format!(r#"{{"symbol":"S-{n}-{at}","quantity":5,"average_price":9}}"#);
        let rows: Vec<String> = (0..1_000).map(row).collect();
        let rows = rows.join(",");
        format!(r#"{{"type":"positions","source":"local","complete":false,"positions":[{rows}]}}"#)
    });
    check("results of components", kept, 40_000, |n| {
        let component = n % 100;
        format!(
            r#"{{"type":"heartbeat","component":"C{component}","message":"{}"}}"#,
            "all is well ".repeat(10)
        )
    });
    check("windows", kept, 20_000, |n| {
        let symbol = n % 20;
        format!(r#"{{"type":"order_rejected","order_id":"O{n}","symbol":"S{symbol}"}}"#)
    });
    check("accounts", kept, 900, |n| {
        format!(r#"{{"type":"heartbeat","account":"account-{n}","component":"engine"}}"#)
    });
    check("lines of the audit trail", kept, 30_000, |n| {
        if n < 20 {
            format!(r#"{{"type":"heartbeat","account":"a{n}","component":"engine"}}"#)
        } else {
            String::new()
        }
    });
}
