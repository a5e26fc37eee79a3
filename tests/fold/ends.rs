//! When an order counts as filled: by its quantity, by its notional, or by a last fill.

use trading_exporter::domain::account::AccountState;
use trading_exporter::domain::execution::counters::Outcome;
use trading_exporter::domain::settings::{Instrument, Settings};

use crate::flow::Fold;

fn account(fold: &Fold) -> &AccountState {
    fold.monitor.account("default").expect("the account")
}

fn outcome(fold: &Fold) -> Option<Outcome> {
    let account = account(fold);
    account.execution.order(&account.symbols, None, "1").expect("the order").outcome
}

fn submit(ordered: &str) -> String {
    format!(
        r#"{{"type":"order_submitted","order_id":"1","symbol":"X","side":"buy",{ordered},"expected_price":10,"time":1795357800}}"#
    ) + "\n"
}

fn fill(id: &str, quantity: &str, more: &str) -> String {
    format!(
        r#"{{"type":"order_filled","order_id":"1","fill_id":"{id}","quantity":{quantity},"price":10,"time":1795357801{more}}}"#
    ) + "\n"
}

const LAST: &str = r#","final":true"#;
const NOTIONAL: &str = r#""notional":1000"#;

#[test]
fn an_order_by_notional_is_filled_within_a_tolerance_or_by_a_last_fill() {
    let check = |lines: &str, expect: Option<Outcome>| {
        let mut fold = Fold::new(Settings::default());
        fold.lines(&(submit(NOTIONAL) + lines));
        assert_eq!(outcome(&fold), expect, "{lines}");
        let figures = account(&fold).execution.whole().figures();
        let ended = usize::from(expect.is_some());
        assert_eq!((figures.samples, figures.quantity_samples), (ended, 0), "{lines}");
        assert_eq!(figures.slippage[0].samples, ended, "{lines}");
        let counters = account(&fold).execution.whole().counters();
        assert_eq!((counters.overfills, counters.ordered_quantity), (0, 0.into()), "{lines}");
    };
    check(&fill("a", "99.4", ""), None);
    check(&fill("a", "99.5", ""), Some(Outcome::Filled));
    check(&fill("a", "120", ""), Some(Outcome::Filled));
    check(&(fill("a", "60", "") + &fill("b", "39.5", "")), Some(Outcome::Filled));
    check(&fill("a", "60", LAST), Some(Outcome::Filled));
    let cancelled = r#"{"type":"order_cancelled","order_id":"1"}"#;
    check(&(fill("a", "60", "") + cancelled), Some(Outcome::Cancelled));
}

#[test]
fn notional_includes_the_contract_multiplier() {
    let mut settings = Settings::default();
    settings.instruments.default = Instrument { multiplier: 100.into(), ..Instrument::default() };
    let mut fold = Fold::new(settings);
    fold.lines(&(submit(NOTIONAL) + &fill("a", "0.9", "")));
    assert_eq!(outcome(&fold), None);
    fold.lines(&fill("b", "0.1", ""));
    assert_eq!(outcome(&fold), Some(Outcome::Filled));
}

#[test]
fn after_a_last_fill_no_quantity_is_left_either() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&(submit(r#""quantity":100"#) + &fill("a", "60", LAST)));
    assert_eq!(outcome(&fold), Some(Outcome::Filled));
    assert_eq!(account(&fold).execution.open_orders_total(), 0);
    let figures = account(&fold).execution.whole().figures();
    assert_eq!((figures.fill_ratio, figures.quantity_fill_ratio), (Some(1.0), Some(0.6)));

    let bust = r#"{"type":"fill_busted","order_id":"1","fill_id":"a","time":1795357802}"#;
    fold.lines(bust);
    assert_eq!(outcome(&fold), None, "the last fill was reversed");
    assert_eq!(account(&fold).execution.open_orders_total(), 1);
}

#[test]
fn a_later_quantity_reopens_an_order_ended_by_a_last_fill() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(&(submit(r#""quantity":100"#) + &fill("a", "60", "")));
    fold.lines(&fill("a", "60", LAST));
    assert_eq!(outcome(&fold), Some(Outcome::Filled), "by a second report");
    fold.lines(r#"{"type":"order_replaced","order_id":"1","quantity":200,"time":1795357802}"#);
    assert_eq!(outcome(&fold), None);
    fold.lines(&fill("b", "140", ""));
    assert_eq!(outcome(&fold), Some(Outcome::Filled));
}
