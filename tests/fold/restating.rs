//! Repeated reports of fills: late fees, corrections, busts, fees in coins.

use std::sync::Arc;

use trading_exporter::domain::account::AccountState;
use trading_exporter::domain::execution::FillView;
use trading_exporter::domain::execution::counters::{Money, Outcome};
use trading_exporter::domain::ids::{Account, Actor, Currency, Symbol};
use trading_exporter::domain::record::{Decision, Entry, Refusal, Verdict};
use trading_exporter::domain::settings::{Instrument, Settings};

use crate::flow::Fold;

fn account(fold: &Fold) -> &AccountState {
    fold.monitor.account("default").expect("the account")
}

/// Sum and reversals of the notional, and of the fees, in a currency.
fn money(fold: &Fold, currency: &str) -> [String; 4] {
    let money = &account(fold).execution.whole().counters().money;
    let Money { notional, fees, .. } =
        money.get(&Currency::new(currency).expect("a currency")).copied().unwrap_or_default();
    [notional.sum, notional.reversed, fees.sum, fees.reversed].map(|d| d.normalize().to_string())
}

fn ledger(fold: &Fold) -> String {
    let account = account(fold);
    let position = account.books.positions(&account.symbols).next().expect("a position");
    position.ledger.normalize().to_string()
}

fn fills(fold: &Fold) -> Vec<FillView> {
    let account = account(fold);
    account.execution.order(&account.symbols, None, "1").expect("the order").fills
}

fn fold(symbol: &str) -> Fold {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&format!(
        r#"{{"type":"order_submitted","order_id":"1","symbol":"{symbol}","side":"buy","quantity":10,"expected_price":600,"time":1795357800}}"#
    ));
    fold
}

/// A report of the fill F, or a correction of it.
fn fill(kind: &str, quantity: &str, price: &str, more: &str) -> String {
    format!(
        r#"{{"type":"{kind}","order_id":"1","fill_id":"F","quantity":{quantity},"price":{price}{more}}}"#
    )
}

const AT: &str = r#","time":1795357801"#;
const USD: &str = r#","fee":"1.05","fee_currency":"USD""#;

#[test]
fn a_second_report_of_a_fill_adds_what_the_first_lacked() {
    let mut fold = fold("SPY");
    let bare = fill("order_filled", "10", "600", "");
    let full = fill("order_filled", "10", "600", &format!(r#"{AT}{USD},"liquidity":"taker""#));
    assert_eq!(fold.lines(&bare), [Verdict::Accepted]);
    assert_eq!(fold.lines(&bare), [Verdict::Duplicate]);
    assert_eq!(money(&fold, "USD"), ["6000", "0", "0", "0"]);
    assert_eq!(fold.lines(&full), [Verdict::Accepted], "it tells more");
    assert_eq!(fold.lines(&full), [Verdict::Duplicate]);
    assert_eq!(fold.lines(&bare), [Verdict::Duplicate]);
    assert_eq!(money(&fold, "USD"), ["6000", "0", "1.05", "0"]);
    assert_eq!((ledger(&fold).as_str(), fills(&fold).len()), ("10", 1));
    assert_eq!(fills(&fold)[0].time.as_nanos(), 1_795_357_801_000_000_000);
    let counters = account(&fold).execution.whole().counters();
    assert_eq!(
        (counters.fills, counters.outcomes[Outcome::Filled], counters.outcome_changes),
        (1, 1, 0)
    );
    let figures = account(&fold).execution.whole().figures();
    assert_eq!((figures.fill_time.seconds, figures.fills), (Some(1.0), 1));
}

#[test]
fn of_two_reports_of_the_same_fact_the_first_counts() {
    let mut fold = fold("SPY");
    fold.lines(&fill("order_filled", "10", "600", &format!("{AT}{USD}")));
    let other_fee = r#","time":1795357802,"fee":"7","fee_currency":"EUR""#;
    assert_eq!(fold.lines(&fill("order_filled", "10", "600", other_fee)), [Verdict::Duplicate]);
    assert_eq!(money(&fold, "USD"), ["6000", "0", "1.05", "0"]);
    let conflict = Verdict::Refused(Refusal::Conflict);
    for (quantity, price, more) in
        [("10", "601", ""), ("9", "600", ""), ("10", "600", r#","side":"sell""#)]
    {
        let verdicts = fold.lines(&fill("order_filled", quantity, price, more));
        assert_eq!(verdicts, std::slice::from_ref(&conflict));
    }
    assert_eq!(money(&fold, "USD"), ["6000", "0", "1.05", "0"]);
}

#[test]
fn the_currency_of_a_fee_may_be_reported_later() {
    let mut fold = fold("SPY");
    fold.lines(&fill("order_filled", "10", "600", &format!(r#"{AT},"fee":2"#)));
    let with_fee = format!(r#"{AT},"fee":2,"fee_currency":"EUR""#);
    assert_eq!(fold.lines(&fill("order_filled", "10", "600", &with_fee)), [Verdict::Accepted]);
    assert_eq!(money(&fold, "USD"), ["6000", "0", "2", "2"]);
    assert_eq!(money(&fold, "EUR"), ["0", "0", "2", "0"]);
}

#[test]
fn a_correction_replaces_the_fee_if_it_has_one() {
    let mut fold = fold("SPY");
    fold.lines(&fill("order_filled", "10", "600", &format!("{AT}{USD}")));
    let later = |second: i64, more: &str| format!(r#","time":{}{more}"#, 1_795_357_801 + second);
    fold.lines(&fill("fill_corrected", "10", "590", &later(1, "")));
    assert_eq!(money(&fold, "USD"), ["6000", "100", "1.05", "0"], "the fee stays");
    let fee = later(2, r#","fee":"0.80","fee_currency":"USD""#);
    fold.lines(&fill("fill_corrected", "10", "590", &fee));
    assert_eq!(money(&fold, "USD"), ["6000", "100", "1.05", "0.25"]);
    assert_eq!(fold.lines(&fill("fill_corrected", "10", "590", &fee)), [Verdict::Duplicate]);
    fold.lines(r#"{"type":"fill_busted","order_id":"1","fill_id":"F","time":1795357805}"#);
    assert_eq!(money(&fold, "USD"), ["6000", "6000", "1.05", "1.05"]);
    assert_eq!(account(&fold).execution.whole().figures().fills, 0, "busted ones are left out");
}

#[test]
fn totals_follow_a_chain_of_corrections_and_never_decrease() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(
        r#"{"type":"order_submitted","order_id":"1","symbol":"X","side":"buy","quantity":100,"expected_price":10,"time":1795357800}"#,
    );
    let at = |second: i64| format!(r#","time":{}"#, 1_795_357_800 + second);
    fold.lines(&fill("order_filled", "60", "10", &at(1)));
    fold.lines(&fill("fill_corrected", "30", "11", &at(2)));
    fold.lines(&fill("fill_corrected", "50", "12", &at(3)));
    assert_eq!(money(&fold, "USD"), ["870", "270", "0", "0"]);
    let quantity = account(&fold).execution.whole().counters().filled_quantity;
    assert_eq!((quantity.sum, quantity.reversed), (80.into(), 30.into()));
}

#[test]
fn reversals_equal_additions_after_a_change_of_settings() {
    let mut fold = fold("SPY");
    fold.lines(&fill("order_filled", "10", "600", &format!(r#"{AT},"fee":2"#)));
    let mut settings = Settings::default();
    settings.instruments.default = Instrument {
        currency: Currency::new("EUR").expect("EUR"),
        multiplier: 50.into(),
        ..Instrument::default()
    };
    fold.apply(Entry::Settings(Arc::new(settings)));
    fold.lines(r#"{"type":"fill_busted","order_id":"1","fill_id":"F"}"#);
    assert_eq!(money(&fold, "USD"), ["6000", "6000", "2", "2"]);
    assert_eq!(money(&fold, "EUR"), ["0", "0", "0", "0"]);
}

#[test]
fn a_fill_reported_under_two_ids_of_a_chain_is_counted_once() {
    let mut fold = fold("SPY");
    fold.lines(&fill("order_filled", "10", "600", &format!("{AT}{USD}")));
    let other =
        fill("order_filled", "10", "600", &format!(r#"{AT}{USD},"symbol":"SPY","side":"buy""#));
    fold.lines(&other.replace(r#""order_id":"1""#, r#""order_id":"2""#));
    assert_eq!((ledger(&fold).as_str(), money(&fold, "USD")[0].as_str()), ("20", "12000"));
    fold.lines(r#"{"type":"order_replaced","order_id":"1","new_order_id":"2","time":1795357801}"#);
    assert_eq!(ledger(&fold), "10");
    assert_eq!(money(&fold, "USD"), ["12000", "6000", "2.1", "1.05"]);
}

#[test]
fn a_fee_in_the_base_coin_reduces_a_purchase() {
    let coin = |fee: &str| format!(r#"{AT},"fee":"{fee}","fee_currency":"BTC""#);
    let mut fold = fold("BTC/USD");
    fold.lines(&fill("order_filled", "0.5", "60000", AT));
    assert_eq!(ledger(&fold), "0.5");
    fold.lines(&fill("order_filled", "0.5", "60000", &coin("0.00125")));
    assert_eq!(ledger(&fold), "0.49875", "the fee was late");
    fold.lines(&fill("fill_corrected", "0.5", "60000", &coin("0.001")));
    assert_eq!(ledger(&fold), "0.499", "the fee was corrected");
    fold.lines(&fill("fill_corrected", "0.4", "60000", r#","time":1795357802"#));
    assert_eq!(ledger(&fold), "0.399", "and stays");
    fold.lines(r#"{"type":"fill_busted","order_id":"1","fill_id":"F","time":1795357805}"#);
    assert_eq!(ledger(&fold), "0");
}

#[test]
fn a_fee_in_the_base_coin_increases_a_sale() {
    let mut fold = Fold::new(Settings::default());
    let sold = r#","symbol":"BTC/USD","side":"sell","fee":"0.001","fee_currency":"BTC""#;
    fold.lines(&fill("order_filled", "0.5", "60000", sold));
    assert_eq!(ledger(&fold), "-0.501");
}

#[test]
fn the_base_coin_can_be_configured() {
    let mut settings = Settings::default();
    settings.instruments.default.base = Some(Currency::new("BTC").expect("BTC"));
    let mut fold = Fold::new(settings);
    let fee = r#","symbol":"BTCUSDT","side":"buy","fee":"0.001","fee_currency":"BTC""#;
    fold.lines(&fill("order_filled", "0.5", "60000", fee));
    assert_eq!(ledger(&fold), "0.499");
}

#[test]
fn a_fee_also_reported_as_an_adjustment_is_applied_once_even_if_corrected() {
    let mut fold = fold("BTC/USD");
    let coin = |fee: &str| format!(r#"{AT},"fee":"{fee}","fee_currency":"BTC""#);
    fold.lines(&fill("order_filled", "0.5", "60000", AT));
    let adjusted = r#"{"type":"position_adjusted","symbol":"BTC/USD","quantity":"-0.00125","reason":"Fee","time":1795357802}"#;
    fold.lines(adjusted);
    assert_eq!(ledger(&fold), "0.49875");
    fold.lines(&fill("order_filled", "0.5", "60000", &coin("0.00125")));
    assert_eq!(ledger(&fold), "0.49875", "the fill tells the same fee late");
    fold.lines(adjusted);
    assert_eq!(ledger(&fold), "0.4975", "a further one is another fee");
}

#[test]
fn a_late_bust_of_a_retired_symbol_is_no_drift() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(
        r#"
{"type":"order_submitted","order_id":"1","symbol":"SPY","side":"buy","quantity":10,"time":1795357800}
{"type":"order_filled","order_id":"1","fill_id":"F1","quantity":10,"price":600,"time":1795357800}
{"type":"order_submitted","order_id":"2","symbol":"SPY","side":"sell","quantity":10,"time":1795357800}
{"type":"order_filled","order_id":"2","fill_id":"F2","quantity":10,"price":600,"time":1795357800}
{"type":"positions","source":"local","complete":true,"positions":[],"time":1795357800}
{"type":"positions","source":"broker","complete":true,"positions":[],"time":1795357800}"#
            .trim_start(),
    );
    let retired = fold.apply(Entry::Decision(Decision::Retire {
        account: Account::new("default").expect("an account"),
        symbol: Some(Symbol::new("SPY").expect("a symbol")),
        component: None,
        by: Actor::new("ops").expect("an actor").into(),
    }));
    assert!(matches!(retired, Verdict::Decided { .. }), "{retired:?}");
    let bust = fold.lines(r#"{"type":"fill_busted","order_id":"1","fill_id":"F1"}"#);
    assert_eq!(bust, [Verdict::Accepted]);
    fold.wait(70);
    let drifts = account(&fold).books.drifts_total();
    assert_eq!(drifts.values().flat_map(|by| by.values()).sum::<u64>(), 0);
}
