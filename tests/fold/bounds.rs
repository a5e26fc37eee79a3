//! Floods of input: nothing grows without bound, and everything dropped is counted.

use trading_exporter::domain::ids::Symbol;
use trading_exporter::domain::limits;
use trading_exporter::domain::record::{Refusal, Verdict};
use trading_exporter::domain::settings::{
    IngestSettings, OnNotMonitored, OrderSettings, Settings, SymbolSettings,
};
use trading_exporter::domain::state::{CauseKind, TradingState};
use trading_exporter::domain::warning::Warning;

use crate::flow::Fold;

fn submit(order: usize, symbol: &str) -> String {
    format!(
        r#"{{"type":"order_submitted","order_id":"O{order}","symbol":"{symbol}","side":"buy","quantity":1}}"#
    ) + "\n"
}

#[test]
fn symbols_beyond_the_bound_are_reported_as_not_monitored() {
    let symbols = SymbolSettings { max: 3, ..SymbolSettings::default() };
    let mut fold = Fold::new(Settings { symbols, ..Settings::default() });
    let not_monitored = Verdict::Warned([Warning::NotMonitored].into_iter().collect());
    for n in 0..100 {
        let expect = if n < 3 { Verdict::Accepted } else { not_monitored.clone() };
        assert_eq!(fold.lines(&submit(n, &format!("S{n}"))), [expect]);
        let permit = fold.monitor.permit("default");
        let expect = if n < 3 { TradingState::Active } else { TradingState::Reducing };
        assert_eq!(permit.state, expect, "{n}");
        assert_eq!(permit.causes.len(), usize::from(n >= 3), "one cause for all of them");
    }
    assert_eq!(fold.monitor.permit("default").causes[0].kind, CauseKind::NotMonitored);
    assert_eq!(fold.monitor.permit("other").state, TradingState::Active);
    let account = fold.monitor.account("default").expect("the account");
    let names: Vec<&str> = account.symbols.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["S0", "S1", "S2", Symbol::OTHER]);
    assert_eq!(account.symbols.folded(), 97);
    assert_eq!(account.execution.whole().counters().submitted, 100);
    let other = account.symbols.get(&Symbol::other()).expect("the folded");
    let scope = account.execution.symbol(other).expect("the folded");
    assert_eq!(scope.counters().submitted, 97);
}

#[test]
fn rows_of_symbols_beyond_the_bound_are_reported_and_act_as_configured() {
    let check = |on_not_monitored: OnNotMonitored, expect: TradingState| {
        let symbols = SymbolSettings { max: 2, on_not_monitored };
        let mut fold = Fold::new(Settings { symbols, ..Settings::default() });
        let verdicts = fold.lines(
            r#"{"type":"positions","source":"local","positions":[{"symbol":"A","quantity":1},{"symbol":"B","quantity":1}]}
{"type":"positions","source":"broker","positions":[{"symbol":"A","quantity":1},{"symbol":"B","quantity":1},{"symbol":"C","quantity":9}]}
{"type":"position_adjusted","symbol":"D","quantity":5}
{"type":"quote","symbol":"E","price":5}
{"type":"quote","symbol":"A","price":5}"#,
        );
        let warned = Verdict::Warned([Warning::NotMonitored].into_iter().collect());
        let expected =
            [Verdict::Accepted, warned.clone(), warned.clone(), warned, Verdict::Accepted];
        assert_eq!(verdicts, expected);
        assert_eq!(fold.monitor.permit("default").state, expect);
        let account = fold.monitor.account("default").expect("the account");
        assert_eq!(account.symbols.folded(), 3);
    };
    check(OnNotMonitored::Alert, TradingState::Active);
    check(OnNotMonitored::Reducing, TradingState::Reducing);
    check(OnNotMonitored::Halted, TradingState::Halted);
}

#[test]
fn accounts_and_quotes_of_others_cannot_hide_a_drift() {
    let drift = |account: &str, symbol: &str| {
        format!(
            r#"{{"type":"positions","account":"{account}","source":"local","positions":[{{"symbol":"{symbol}","quantity":1000}}]}}
{{"type":"positions","account":"{account}","source":"broker","positions":[]}}"#
        )
    };
    let mut fold = Fold::new(Settings::default());
    for n in 0..limits::ACCOUNTS_MAX - 1 {
        fold.lines(&format!(r#"{{"type":"heartbeat","account":"dev-{n}","component":"engine"}}"#));
    }
    fold.lines(&drift("live", "NEW"));
    assert_eq!(fold.monitor.permit("live").state, TradingState::Halted);
    let mut fold = Fold::new(Settings::default());
    for n in 0..1_600 {
        fold.lines(&format!(r#"{{"type":"quote","symbol":"Q{n}","price":1}}"#));
    }
    fold.lines(&drift("default", "NEW"));
    assert_eq!(fold.monitor.permit("default").state, TradingState::Halted);
}

#[test]
fn a_snapshot_too_old_to_compare_and_a_clock_ahead_are_reported() {
    let mut fold = Fold::new(Settings::default());
    let said = |warning: Warning| [Verdict::Warned([warning].into_iter().collect())];
    let old =
        r#"{"type":"positions","source":"local","positions":[],"time":"2026-11-20T00:00:00Z"}"#;
    assert_eq!(fold.lines(old), said(Warning::Stale));
    let ahead = r#"{"type":"heartbeat","component":"engine","time":"2027-11-20T00:00:00Z"}"#;
    assert_eq!(fold.lines(ahead), said(Warning::ClockSkew));
    assert_eq!(fold.lines(r#"{"type":"heartbeat","component":"engine"}"#), [Verdict::Accepted]);
}

#[test]
fn the_oldest_open_order_is_dropped_and_counted() {
    let orders = OrderSettings { open_max: 10, ..OrderSettings::default() };
    let mut fold = Fold::new(Settings { orders, ..Settings::default() });
    for n in 0..25 {
        fold.lines(&submit(n, "X"));
    }
    let account = fold.monitor.account("default").expect("the account");
    assert_eq!(account.execution.open_orders_total(), 10);
    assert_eq!(account.execution.dropped(), (15, 0));
    assert!(account.execution.order(&account.symbols, None, "O14").is_none());
    assert!(account.execution.order(&account.symbols, None, "O15").is_some());
    let leaves = account.execution.open_leaves(account.symbols.get(&x()).expect("X")).0;
    assert_eq!(leaves.to_string(), "10");
}

fn x() -> Symbol {
    Symbol::new("X").expect("a symbol")
}

#[test]
fn orders_without_a_submission_age_out() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(r#"{"type":"order_filled","order_id":"U","symbol":"X","side":"buy","quantity":5,"price":1,"fill_id":"F"}"#);
    fold.wait(3_601);
    let account = fold.monitor.account("default").expect("the account");
    assert_eq!(account.execution.dropped(), (0, 1));
    // Its effect on the position remains.
    let position = account.books.positions(&account.symbols).next().expect("a position");
    assert_eq!(position.ledger.to_string(), "5");
}

#[test]
fn the_oldest_ids_are_forgotten_beyond_the_bound() {
    let ingest = IngestSettings { horizon_ids: 3, ..IngestSettings::default() };
    let mut fold = Fold::new(Settings { ingest, ..Settings::default() });
    let quote = |n: usize| {
        format!(r#"{{"type":"quote","symbol":"X","price":1,"event_id":"E{n}","time":1795357800}}"#)
    };
    for n in 0..4 {
        assert_eq!(fold.lines(&quote(n)), [Verdict::Accepted]);
    }
    assert_eq!(fold.lines(&quote(3)), [Verdict::Duplicate]);
    assert_eq!(fold.lines(&quote(1)), [Verdict::Duplicate]);
    assert_eq!(fold.lines(&quote(0)), [Verdict::Accepted]);
    assert_eq!(fold.monitor.account("default").expect("the account").horizon.len(), 3);
}

#[test]
fn the_number_of_accounts_is_bounded() {
    let mut fold = Fold::new(Settings::default());
    let quote = |n: usize| format!(r#"{{"type":"quote","account":"A{n}","symbol":"X","price":1}}"#);
    for n in 0..limits::ACCOUNTS_MAX {
        assert_eq!(fold.lines(&quote(n)), [Verdict::Accepted]);
    }
    let refused = Verdict::Refused(Refusal::TooManyAccounts);
    assert_eq!(fold.lines(&quote(limits::ACCOUNTS_MAX)), [refused]);
    assert_eq!(fold.lines(&quote(0)), [Verdict::Accepted]);
}

#[test]
fn the_number_of_facts_of_an_order_is_bounded() {
    let mut fold = Fold::new(Settings::default());
    let fill = |n: usize| {
        format!(
            r#"{{"type":"order_filled","order_id":"O","symbol":"X","side":"buy","quantity":1,"price":1,"fill_id":"F{n}"}}"#
        ) + "\n"
    };
    let lines: String = (0..=limits::FACTS_PER_ORDER_MAX).map(fill).collect();
    let verdicts = fold.lines(&lines);
    assert_eq!(verdicts.last(), Some(&Verdict::Refused(Refusal::OrderTooLong)));
    assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Accepted).count(), verdicts.len() - 1);
}

#[test]
fn the_number_of_ids_of_an_order_is_bounded() {
    let mut fold = Fold::new(Settings::default());
    let replace = |n: usize| {
        format!(
            r#"{{"type":"order_replaced","order_id":"O","symbol":"X","new_order_id":"N{n}","time":1795357800}}"#
        ) + "\n"
    };
    let lines: String = (0..=limits::FACTS_PER_ORDER_MAX).map(replace).collect();
    let verdicts = fold.lines(&lines);
    assert_eq!(verdicts.last(), Some(&Verdict::Refused(Refusal::OrderTooLong)));
    assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Accepted).count(), verdicts.len() - 1);
}

#[test]
fn the_number_of_currencies_of_a_symbol_is_bounded() {
    let fill = |order: &str, currency: &str, more: &str| {
        format!(
            r#"{{"type":"order_filled","order_id":"{order}","fill_id":"{currency}","quantity":1,"price":1,"fee":1,"fee_currency":"{currency}"{more}}}"#
        ) + "\n"
    };
    let refused = [Verdict::Refused(Refusal::TooManyCurrencies)];
    let money = |fold: &Fold| {
        let account = fold.monitor.account("default").expect("the account");
        let key = account.symbols.get(&x()).expect("the symbol");
        account.execution.symbol(key).expect("its scope").counters().money.len()
    };
    let mut fold = Fold::new(Settings::default());
    fold.lines(&submit(1, "X"));
    for currency in 1..limits::CURRENCIES_MAX {
        fold.lines(&fill("O1", &format!("C{currency}"), ""));
    }
    assert_eq!(money(&fold), limits::CURRENCIES_MAX, "that of the instrument is one of them");
    assert_eq!(fold.lines(&fill("O1", "ONE", "")), refused);
    assert_eq!(fold.lines(&fill("O2", "ONE", r#","symbol":"X","side":"buy""#)), refused);
    let again = fill("O1", "USD", "") + &fill("O2", "C1", r#","symbol":"X","side":"buy""#);
    assert_eq!(fold.lines(&again), [Verdict::Accepted, Verdict::Accepted]);
    // Fees wait for the symbol, and the event that names it is rejected.
    assert_eq!(fold.lines(&fill("O3", "TWO", "")), [Verdict::Accepted]);
    assert_eq!(fold.lines(&submit(3, "X")), refused);
    let joins = r#"{"type":"order_replaced","order_id":"O1","new_order_id":"O3"}"#;
    assert_eq!(fold.lines(joins), refused);
    assert_eq!(money(&fold), limits::CURRENCIES_MAX);
}

#[test]
fn a_huge_quantity_does_not_distort_the_window() {
    let mut settings = Settings::default();
    settings.window.orders = 2;
    let mut fold = Fold::new(settings);
    let cancelled = |order: usize, quantity: &str| {
        submit(order, "X").replace(r#""quantity":1"#, &format!(r#""quantity":{quantity}"#))
            + &format!(r#"{{"type":"order_cancelled","order_id":"O{order}"}}"#)
            + "\n"
    };
    let filled = |order: usize| {
        submit(order, "X")
            + &format!(r#"{{"type":"order_filled","order_id":"O{order}","price":1}}"#)
            + "\n"
    };
    let check = |fold: &Fold, expect: (usize, Option<f64>)| {
        let account = fold.monitor.account("default").expect("the account");
        let figures = account.execution.whole().figures();
        assert_eq!((figures.quantity_samples, figures.quantity_fill_ratio), expect);
    };
    fold.lines(&cancelled(1, "0.000000000000000001"));
    check(&fold, (1, Some(0.0)));
    fold.lines(&cancelled(2, "79228162514264337593543950335"));
    check(&fold, (1, Some(0.0)));
    fold.lines(&filled(3));
    check(&fold, (1, Some(1.0)));
    fold.lines(&cancelled(4, "79228162514264337593543950335"));
    check(&fold, (1, Some(1.0)));
    fold.lines(&(filled(5) + &cancelled(6, "3")));
    check(&fold, (2, Some(0.25)));
    let account = fold.monitor.account("default").expect("the account");
    let key = account.symbols.get(&x()).expect("the symbol");
    fold.lines(&submit(7, "X").replace(r#""quantity":1"#, r#""quantity":5"#));
    fold.lines(
        &submit(8, "X").replace(r#""quantity":1"#, r#""quantity":79228162514264337593543950335"#),
    );
    fold.lines(r#"{"type":"order_expired","order_id":"O8"}"#);
    let account = fold.monitor.account("default").expect("the account");
    assert_eq!(account.execution.open_leaves(key).0, 5.into());
}

#[test]
fn an_absurd_price_does_not_distort_the_window() {
    let mut settings = Settings::default();
    settings.window.orders = 1;
    let mut fold = Fold::new(settings);
    let filled = |order: usize, expected: &str, quantity: &str, price: &str| {
        format!(
            r#"{{"type":"order_submitted","order_id":"O{order}","symbol":"X","side":"buy","quantity":{quantity},"expected_price":{expected}}}
{{"type":"order_filled","order_id":"O{order}","price":{price}}}
"#
        )
    };
    let check = |fold: &Fold, expect: (usize, Option<f64>, Option<f64>)| {
        let account = fold.monitor.account("default").expect("the account");
        let slippage = account.execution.whole().figures().slippage[0];
        assert_eq!((slippage.samples, slippage.mean_bps, slippage.weighted_bps), expect);
    };
    fold.lines(&filled(1, "100", "1", "101"));
    check(&fold, (1, Some(100.0), Some(100.0)));
    fold.lines(&filled(2, "0.000000000000000001", "1", "1000"));
    check(&fold, (0, None, None));
    fold.lines(&filled(3, "100", "2000000000000000000000000", "101"));
    check(&fold, (1, Some(100.0), None));
    fold.lines(&filled(4, "100", "1", "101"));
    check(&fold, (1, Some(100.0), Some(100.0)));
}

#[test]
fn ids_expire_by_age_and_conflict_before_that() {
    let defaults = IngestSettings::default();
    assert_eq!(defaults.horizon, std::time::Duration::from_hours(24));
    assert_eq!((defaults.horizon_ids, defaults.event_age_max), (1_000_000, None));
    let ingest = IngestSettings { horizon: std::time::Duration::from_mins(1), ..defaults };
    let mut fold = Fold::new(Settings { ingest, ..Settings::default() });
    let quote = |price: u32| {
        format!(
            r#"{{"type":"quote","symbol":"X","price":{price},"event_id":"E","time":1795357800}}"#
        )
    };
    assert_eq!(fold.lines(&quote(1)), [Verdict::Accepted]);
    fold.wait(60);
    assert_eq!(fold.lines(&quote(1)), [Verdict::Duplicate]);
    assert_eq!(fold.lines(&quote(2)), [Verdict::Refused(Refusal::Conflict)]);
    fold.wait(1);
    assert_eq!(fold.lines(&quote(2)), [Verdict::Accepted]);
}

#[test]
fn old_events_are_accepted_unless_a_maximum_age_is_set() {
    let quote = r#"{"type":"quote","symbol":"X","price":1,"time":"1999-12-31T23:59:59Z"}"#;
    assert_eq!(Fold::new(Settings::default()).lines(quote), [Verdict::Accepted]);
    let event_age_max = Some(std::time::Duration::from_hours(1));
    let ingest = IngestSettings { event_age_max, ..IngestSettings::default() };
    let mut fold = Fold::new(Settings { ingest, ..Settings::default() });
    assert_eq!(fold.lines(quote), [Verdict::Refused(Refusal::TooOld)]);
    let young = r#"{"type":"quote","symbol":"X","price":1,"time":"2026-11-22T13:30:01Z"}"#;
    assert_eq!(fold.lines(young), [Verdict::Accepted]);
}

#[test]
fn changes_dated_in_the_future_do_not_stop_comparison() {
    let mut fold = Fold::new(Settings::default());
    let books = |fold: &mut Fold, broker: i64| {
        for (source, quantity) in [("broker", broker), ("local", 0)] {
            fold.wait(1);
            fold.lines(&format!(
                r#"{{"type":"positions","source":"{source}","positions":[{{"symbol":"X","quantity":{quantity}}}]}}"#
            ));
        }
    };
    books(&mut fold, 0);
    let mut flood = String::new();
    for _ in 0..=limits::FLOWS_PER_SYMBOL_MAX {
        flood += r#"{"type":"position_adjusted","symbol":"X","quantity":1,"reason":"transfer","time":"2199-01-01T00:00:00Z"}"#;
        flood += "\n";
        flood += r#"{"type":"position_adjusted","symbol":"X","quantity":-1,"reason":"transfer","time":"2199-01-01T00:00:00Z"}"#;
        flood += "\n";
    }
    fold.lines(&flood);
    let dropped = fold.monitor.account("default").expect("the account").books.flows_dropped();
    assert!(dropped > 0, "the bound is reached and reported");
    fold.wait(30);
    books(&mut fold, 1_000);
    assert_eq!(fold.monitor.permit("default").state, TradingState::Halted);
}
