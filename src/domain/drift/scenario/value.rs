//! The value of a difference, unknown values, dust, coins, and the test that decides.

use super::*;
use crate::domain::drift::SeverityTest;
use crate::domain::settings::{Instrument, PerSeverity, QuantityTest, Rate, Unit};

/// A world in which no price is known.
fn priceless() -> World {
    let mut world = blank();
    world.market = Market::default();
    world
}

/// Both sides hold these, 10 s later.
fn compared(world: &mut World, local: &str, broker: &str) -> DriftView {
    world.at(world.now + 10.0).both(local, broker);
    world.drift("X").expect("a difference")
}

fn severity_of(drift: &DriftView) -> &'static str {
    drift.severity.map_or("-", Severity::as_str)
}

#[test]
fn the_brokers_row_values_a_difference_else_the_highest_that_is_known() {
    let check = |(local, broker): (&str, &str), mid: Option<&str>, fill: Option<&str>, expect| {
        let mut world = world();
        world.market.mid = mid.map(|text| Price::new(decimal(text)));
        world.market.last_fill = fill.map(|text| Price::new(decimal(text)));
        let drift = compared(&mut world, local, broker);
        let got = drift.price.map(|price| price.to_string());
        assert_eq!(got.as_deref(), expect, "{local} {broker} {mid:?} {fill:?}");
        assert_eq!(drift.price_unknown, expect.is_none());
    };
    check(("X 3@1", "X 1@2/3"), Some("4"), Some("5"), Some("3"));
    check(("X 3@1", "X 1@2"), Some("4"), Some("3"), Some("4"));
    check(("X 3@1", "X 1@2"), Some("0.000001"), None, Some("2"));
    check(("X 3@1", "X 1@2"), None, Some("-5"), Some("-5"));
    check(("X 3@9", "X 1@2"), None, None, Some("9"));
    check(("X 3@1/9", "X 1"), None, None, Some("1"));
    check(("X 3@1", ""), Some("4"), None, Some("4"));
    check(("X 3", "X 1"), None, None, None);
    // 0 is no price.
    check(("X 3@1", "X 1@2/0"), None, None, Some("2"));
    check(("X 3@0", "X 1@0/0"), Some("0"), Some("0"), None);
}

#[test]
fn a_price_of_zero_does_not_end_a_drift() {
    let mut world = priceless();
    world.both("X 0.9@60000", "X 0.0001@60000/60000");
    world.expect("X", "open critical quantity_mismatch 0.8999").expect_halts(1);
    // The averages value it.
    world.at(10.0).both("X 0.9@60000", "X 0.0001@60000/0");
    world.expect("X", "open critical quantity_mismatch 0.8999");
    // No list has a price any more: the earlier price still counts.
    world.at(20.0).both("X 0.9", "X 0.0001/0");
    world.expect("X", "open critical quantity_mismatch 0.8999").expect_halts(1);
    assert_eq!(world.drift("X").and_then(|drift| drift.price), Some(decimal("60000")));
}

#[test]
fn what_cannot_be_valued_is_alerted_and_not_reconciled() {
    let check = |local: &str, broker: &str, expect: &str| {
        let mut world = priceless();
        world.both(local, broker).at(10.0).both(local, broker);
        world.expect("X", expect).expect_halts(0);
        let drift = world.drift("X").expect("a drift");
        assert_eq!((drift.price_unknown, drift.value_drift), (true, None));
        assert_eq!((drift.action.as_str(), drift.attempts), ("alert", 0), "{expect}");
    };
    check("X 0.9", "X 0.0001", "open minor quantity_mismatch 0.8999");
    check("X 2", "X 1", "open minor quantity_mismatch 1");
    check("X 7", "X 1", "open moderate quantity_mismatch 6");
    check("X 0.000001", "", "open moderate ghost_position 0.000001");
    check("", "X 0.000001", "open moderate unknown_position -0.000001");
    // Without a rate nothing can be valued either, averages included.
    let mut world = blank();
    world.settings.instruments.default =
        Instrument { rate: Rate::Unknown, ..Instrument::default() };
    world.both("X 10@20, Y 0.5@9", "X 10@10, Y 0.4@9").at(10.0);
    world.both("X 10@20, Y 0.5@9", "X 10@10, Y 0.4@9");
    world
        .expect("X", "open minor price_mismatch 0")
        .expect("Y", "open minor quantity_mismatch 0.1");
    let drift = world.drift("X").expect("a drift");
    assert!(drift.currency_unknown && drift.action.as_str() == "alert");
}

#[test]
fn a_comparison_without_a_value_lowers_nothing_that_was_opened_by_value() {
    let mut world = blank();
    world.both("X 3@1000", "X 1@1000/1000");
    world.expect("X", "open critical quantity_mismatch 2").expect_halts(1);
    // A reload removes the rate.
    world.settings.instruments.default =
        Instrument { rate: Rate::Unknown, ..Instrument::default() };
    let drift = compared(&mut world, "X 3@1000", "X 1.5@1000/1000");
    assert_eq!((severity_of(&drift), drift.decided_by), ("critical", Some(SeverityTest::Value)));
    assert!(drift.state.is_open());
    // Agreement needs no value.
    world.at(30.0).both("X 3@1000", "X 3@1000").expect("X", "none").expect_halts(1);
}

#[test]
fn dust_is_no_difference() {
    let check = |local: &str, broker: &str, expect: &str| {
        let mut world = blank();
        world.both(local, broker);
        world.expect("X", expect);
    };
    check("X 0.000000000000000056@3000", "", "none");
    check("", "X 0.000000000000000056@3000", "none");
    check("X 30.000000000000004@9", "X 30@9/9", "none");
    // And does not hide a difference of averages.
    check("X 30.000000000000004@100", "X 30@900/900", "unconfirmed moderate price_mismatch 0");
    // Dust on one side counts as flat.
    check(
        "X 0.000000000000000056",
        "X 7@1",
        "unconfirmed moderate unknown_position -6.999999999999999944",
    );
    check(
        "X 7@1",
        "X -0.000000000000000056",
        "unconfirmed moderate ghost_position 7.000000000000000056",
    );
    check("X 0.000000000001@1", "", "within_tolerance - ghost_position 0.000000000001");
}

#[test]
fn coins_are_judged_by_value_alone() {
    let of = |symbol: &str, change: &dyn Fn(&mut Settings), (local, broker): (&str, &str)| {
        let mut world = blank();
        change(&mut world.settings);
        let rows = |rows: &str| format!("{symbol} {rows}");
        world.both(&rows(local), &rows(broker));
        world.says(symbol)
    };
    let cheap = ("50000000@0.00001", "49950000@0.00001/0.00001");
    let dear = ("0.9@60000", "0.0001@60000/60000");
    let default = |_: &mut Settings| ();
    assert_eq!(of("SHIB/USDT", &default, cheap), "within_tolerance - quantity_mismatch 50000");
    assert_eq!(of("BTC/USD", &default, dear), "open critical quantity_mismatch 0.8999");
    assert_eq!(of("SHIBUSDT", &default, cheap), "open critical quantity_mismatch 50000");
    let coin = |settings: &mut Settings| settings.instruments.default.unit = Some(Unit::Coin);
    assert_eq!(of("SHIBUSDT", &coin, cheap), "within_tolerance - quantity_mismatch 50000");
    let always = |settings: &mut Settings| settings.drift.quantity_test = QuantityTest::Always;
    assert_eq!(of("SHIB/USDT", &always, cheap), "open critical quantity_mismatch 50000");
    // A flip counts in coins too.
    let flip = ("0.1@1", "-0.1@1");
    assert_eq!(of("X/USD", &default, flip), "unconfirmed moderate quantity_mismatch 0.2");
}

#[test]
fn a_released_drift_of_coins_halts_again_by_value_alone() {
    let mut world = blank();
    world.both("X/USD 1000@1", "X/USD 100@1/1");
    world.expect("X/USD", "open critical quantity_mismatch 900").expect_halts(1);
    let key = world.key("X/USD");
    assert!(world.books.acknowledge_drift(key));
    world.at(10.0).both("X/USD 1499@1", "X/USD 100@1/1").expect_halts(1);
    world.at(20.0).both("X/USD 1500@1", "X/USD 100@1/1").expect_halts(2);
}

#[test]
fn a_halt_names_the_test_that_decided() {
    let relative =
        PerSeverity { minor: decimal("0.1"), moderate: decimal("0.2"), critical: decimal("0.25") };
    let check = |local: &str, broker: &str, test: SeverityTest, expect: &str| {
        let mut world = blank();
        world.settings.drift_rules.default.relative = Some(relative);
        world.both(local, broker);
        let reason = world.halts.first().map(|halt| halt.reason.clone()).expect("a halt");
        assert!(reason.ends_with(expect), "{reason}");
        assert_eq!(world.drift("X").and_then(|drift| drift.decided_by), Some(test));
    };
    let by_quantity = "value 12; decided by quantity 12 (threshold 10)";
    check("X 112@1", "X 100@1", SeverityTest::Quantity, by_quantity);
    let by_value = "value 540; decided by value 540 (threshold 500)";
    check("X 100.9@600", "X 100@600", SeverityTest::Value, by_value);
    let by_fraction = "decided by fraction: 1 of a position of 4 (threshold 0.25)";
    check("X 4@1", "X 3@1", SeverityTest::Relative, by_fraction);
    let mut world = priceless();
    world.both("X 112", "X 100");
    let reason = world.halts.first().map(|halt| halt.reason.clone()).expect("a halt");
    assert!(reason.contains("value unknown (no price); decided by quantity 12"), "{reason}");
}

#[test]
fn the_view_names_the_test_that_decided() {
    let check = |local: &str, broker: &str, expect: SeverityTest| {
        let drift = compared(&mut priceless(), local, broker);
        assert_eq!(drift.decided_by, Some(expect), "{local} {broker}");
    };
    check("X 0.1@1", "X -0.1@1", SeverityTest::SignFlip);
    check("X 0.2", "X 0.1", SeverityTest::ValueUnknown);
    check("X 10@20", "X 10@10", SeverityTest::Value);
    let drift = compared(&mut world(), "X 0.2@1", "X 0.1@1");
    assert_eq!(drift.decided_by, None, "within tolerance");
}

#[test]
fn one_position_under_two_names_is_hinted_at() {
    let hints = |local: &str, broker: &str| {
        let mut world = priceless();
        world.both(local, broker);
        let drifts = world.books.differences(&world.symbols);
        let hinted = drifts.filter(|drift| drift.hint.is_some());
        hinted.map(|drift| drift.symbol.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(hints("BTC/USDT 0.9, A 5", "BTCUSDT 0.9, A 5"), ["BTC/USDT", "BTCUSDT"]);
    assert_eq!(hints("BTC/USDT 0.30000000000000004", "BTCUSDT 0.3"), ["BTC/USDT", "BTCUSDT"]);
    assert!(hints("BTC/USDT 0.9", "BTCUSDT -0.9").is_empty(), "the other way round");
    assert!(hints("BTC/USDT 0.9", "BTCUSDT 0.8").is_empty());
    assert!(hints("X 100, A 5", "X 100, A 3").is_empty());
    // Not together: the ghost was there for minutes.
    let mut world = priceless();
    world.both("A 7", "").at(300.0).both("A 7", "B 7");
    assert_eq!(world.drift("A").and_then(|drift| drift.hint), None);
    assert_eq!(world.drift("B").and_then(|drift| drift.hint), None);
    // In two requests, seconds apart.
    let mut world = priceless();
    world.both("A 7", "").at(30.0).both("A 7", "B 7");
    assert!(world.drift("A").is_some_and(|drift| drift.hint.is_some()));
}
