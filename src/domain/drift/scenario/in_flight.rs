//! Alignment in time, and differences that fills in flight explain.

use super::*;
use crate::domain::settings::SettleMode;

/// Agreement on 100 at 0 s, long before all else.
fn holding() -> World {
    let mut world = blank();
    world.both("X 100", "X 100");
    world
}

const PENDING: &str = "pending - quantity_mismatch 20";
const DRIFT: &str = "open critical quantity_mismatch 20";

#[test]
fn the_older_side_is_brought_forward() {
    // Fills between the two snapshots explain the difference exactly, whichever side is older.
    let mut world = holding();
    world.at(100.0).local("X 100").flow(110.0, "X", "20").flow(120.0, "X", "-5");
    world.at(130.0).broker("X 115").expect("X", "none");
    world.flow(140.0, "X", "7").at(150.0).local("X 122").expect("X", "none");

    // A fill at the time of a snapshot is in it.
    let mut world = holding();
    world.flow(100.0, "X", "20").at(100.0).local("X 120");
    world.flow(120.0, "X", "1").at(120.0).broker("X 121").expect("X", "none");

    // An adjustment aligns like a fill.
    let mut world = holding();
    world.at(100.0).local("X 100").flow_of(110.0, "X", "100", FlowKind::Adjustment);
    world.at(120.0).broker("X 200").expect("X", "none");
}

#[test]
fn a_list_is_what_fills_made_of_the_book_close_to_its_date() {
    let check = |fills: &[(f64, &str)], local: &str, broker: &str, expect: &str| {
        let mut world = holding();
        for (time, change) in fills {
            world.flow(*time, "X", change);
        }
        world.at(100.0).both(local, broker).expect("X", expect);
    };
    // The broker's list lacks the fill. A fill exactly as old as the allowed lag is in every list.
    check(&[(99.0, "20")], "X 120", "X 100", PENDING);
    check(&[(90.001, "20")], "X 120", "X 100", PENDING);
    check(&[(90.0, "20")], "X 120", "X 100", "unconfirmed moderate quantity_mismatch 20");
    check(&[(40.001, "20")], "X 120", "X 100", "unconfirmed moderate quantity_mismatch 20");
    check(&[(40.0, "20")], "X 120", "X 100", DRIFT);
    // The broker's list was read after its date.
    check(&[(102.0, "20")], "X 100", "X 120", "pending - quantity_mismatch -20");
    check(&[(102.001, "20")], "X 100", "X 120", "open critical quantity_mismatch -20");
    // The engine's list is within a second of its date.
    check(&[(99.001, "20")], "X 100", "X 120", "pending - quantity_mismatch -20");
    check(&[(99.0, "20")], "X 100", "X 120", "open critical quantity_mismatch -20");
    check(&[(101.0, "20")], "X 120", "X 100", PENDING);
    check(&[(101.001, "20")], "X 120", "X 100", DRIFT);
    // In the order of their times: a list cannot lack the older fill and include the younger one.
    let two = [(95.0, "20"), (97.0, "7")];
    check(&two, "X 127", "X 120", "pending - quantity_mismatch 7");
    check(&two, "X 127", "X 100", "pending - quantity_mismatch 27");
    check(&two, "X 127", "X 107", DRIFT);
    // But close to the date it may include them in any combination.
    let two = [(99.2, "20"), (99.7, "7")];
    check(&two, "X 127", "X 107", PENDING);
    // Exactly: traded quantities explain no other number.
    check(&[(99.0, "20")], "X 120", "X 99", "open critical quantity_mismatch 21");
    check(&[(99.0, "20")], "X 120", "X 140", "open critical quantity_mismatch -20");
    // The rest is within tolerance.
    check(&[(99.0, "20")], "X 120", "X 100.5", "pending - quantity_mismatch 19.5");
}

#[test]
fn an_adjustment_may_be_in_flight_and_a_busted_fill_is_none() {
    let mut adjusted = holding();
    adjusted.flow_of(99.0, "X", "20", FlowKind::Adjustment);
    adjusted.at(100.0).both("X 120", "X 100").expect("X", PENDING);
    let mut busted = holding();
    busted.flow(99.5, "X", "20").flow_of(99.5, "X", "-20", FlowKind::Buy);
    busted.at(100.0).both("X 120", "X 100").expect("X", DRIFT);
}

#[test]
fn a_fill_that_the_next_list_lacks_too_is_drift() {
    let mut world = holding();
    world.tick_to(59.0).flow(59.0, "X", "20").at(60.0).both("X 120", "X 100");
    world.expect("X", PENDING);
    assert_eq!(world.position("X").pending, decimal("20"));
    // Time alone makes no drift.
    world.tick_to(119.0).expect("X", PENDING).expect_halts(0);
    // At 61 s the broker is slow; the list after that lacks the fill for good.
    world.at(120.0).both("X 120", "X 100").expect("X", DRIFT).expect_halts(1);
    assert_eq!(world.position("X").pending, Decimal::ZERO);
}

#[test]
fn steady_trading_at_a_broker_that_lags_is_in_flight() {
    let mut world = blank();
    world.both("X 0", "X 0");
    // Buys of 20 every 0.5 s; every 5 s a list of each side, the broker's 0.6 s old.
    for half in 1..1_200_u32 {
        let now = 0.5 * f64::from(half);
        world.at(now).flow(now, "X", "20").compare();
        if half % 10 == 0 {
            let (local, broker) = (20 * half, 20 * (half - 2));
            world.tick().both(&format!("X {local}"), &format!("X {broker}"));
            world.expect("X", "pending - quantity_mismatch 40").expect_halts(0);
            assert_eq!(lags(&world), (Some(0.0), Some(0.5)));
        }
    }
    assert!(world.directives_in_words().is_empty() && world.history().is_empty());
}

/// The lags of the newest lists in seconds, local and broker.
fn lags(world: &World) -> (Option<f64>, Option<f64>) {
    let [local, broker] = [Source::Local, Source::Broker].map(|side| world.books.lag(side));
    let seconds = |lag: Option<i64>| lag.map(crate::domain::time::seconds);
    (seconds(local), seconds(broker))
}

#[test]
fn the_lag_is_that_of_the_slowest_symbol_in_the_newest_list() {
    let mut world = blank();
    assert_eq!(lags(&world), (None, None));
    world.both("X 1, Y 1", "X 1, Y 1");
    assert_eq!(lags(&world), (Some(0.0), Some(0.0)));
    world.flow(96.0, "X", "20").flow(98.0, "Y", "20").at(100.0).both("X 21, Y 21", "X 1, Y 1");
    assert_eq!(lags(&world), (Some(0.0), Some(4.0)));
    // A lag above `lag_max` is reported too, so that an operator can set `lag_max` to it.
    world.flow(180.0, "X", "20").at(200.0).both("X 41, Y 21", "X 21, Y 21");
    assert_eq!(lags(&world), (Some(0.0), Some(20.0)));
    world.at(210.0).both("X 41, Y 21", "X 41, Y 21");
    assert_eq!(lags(&world), (Some(0.0), Some(0.0)));
    // Ahead of its date.
    world.flow(221.5, "X", "20").at(220.0).both("X 41, Y 21", "X 61, Y 21");
    assert_eq!(lags(&world), (Some(0.0), Some(-1.5)));
    // No moment explains it: the known lag is unchanged.
    world.at(300.0).both("X 61, Y 21", "X 999, Y 999");
    assert_eq!(lags(&world), (Some(0.0), Some(-1.5)));
}

#[test]
fn a_slow_broker_alerts_before_it_halts() {
    let mut world = holding();
    for (at, expect) in [
        (100.0, "unconfirmed moderate quantity_mismatch 20"),
        (110.0, "open moderate quantity_mismatch 20"),
        (120.0, "open moderate quantity_mismatch 20"),
        (130.0, DRIFT),
    ] {
        let held = world.position("X").local.unwrap_or_default();
        world.flow(at - 20.0 + 0.5, "X", "20").at(at);
        let (local, broker) = (held + decimal("20"), held);
        world.both(&format!("X {local}"), &format!("X {broker}")).expect("X", expect);
    }
    world.expect_halts(1);
    // An unexplained difference is never delayed.
    let mut world = holding();
    world.flow(80.0, "X", "20").at(100.0).both("X 120", "X 100");
    world.at(110.0).both("X 133", "X 100").expect("X", "open critical quantity_mismatch 33");
    // And a slow list later does not make it milder.
    world.flow(111.0, "X", "13").at(130.0).both("X 133", "X 120").expect_halts(1);
    world.expect("X", "open critical quantity_mismatch 13");
}

#[test]
fn open_orders_may_have_filled() {
    let check = |open: (&str, &str), broker: &str, expect: &str| {
        let mut world = holding();
        world.market.open_buy = decimal(open.0);
        world.market.open_sell = decimal(open.1);
        world.at(100.0).both("X 100", broker).expect("X", expect);
    };
    check(("20", "0"), "X 120", "pending - quantity_mismatch -20");
    check(("20", "0"), "X 120.5", "open critical quantity_mismatch -20.5");
    check(("20", "0"), "X 80", DRIFT);
    check(("0", "20"), "X 80", PENDING);
    check(("0", "20"), "X 120", "open critical quantity_mismatch -20");
    // On the rest after the fills that the list lacks.
    let mut world = holding();
    world.market.open_buy = decimal("50");
    world.flow(95.0, "X", "70").at(100.0).both("X 170", "X 130");
    world.expect("X", "pending - quantity_mismatch 40");
}

#[test]
fn leaves_explain_for_thirty_seconds_whatever_the_sign() {
    let mut world = blank();
    world.both("X 500", "X 500");
    (world.market.open_buy, world.market.open_sell) = (decimal("100"), decimal("100"));
    for second in 1..30_u32 {
        let broker = if second % 2 == 0 { "X 480" } else { "X 520" };
        world.at(10.0 + f64::from(second)).tick().both("X 500", broker);
        assert!(world.says("X").starts_with("pending"), "{second}: {}", world.says("X"));
    }
    world.at(40.9).both("X 500", "X 480").expect("X", PENDING).expect_halts(0);
    // The end of the time alone makes no drift: the first comparison after it does.
    world.tick_to(50.0).expect("X", PENDING).expect_halts(0);
    world.both("X 500", "X 520").expect("X", "open critical quantity_mismatch -20").expect_halts(1);
}

#[test]
fn a_comparison_that_needs_no_leaves_ends_their_count() {
    let start = || {
        let mut world = holding();
        world.market.open_sell = decimal("50");
        world.at(100.0).both("X 112", "X 100").expect("X", "pending - quantity_mismatch 12");
        world
    };
    // Agreement, and moments at which both lists were true.
    let mut world = start();
    world.at(120.0).both("X 112", "X 112").expect("X", "none");
    world.at(125.0).both("X 124", "X 112").expect("X", "pending - quantity_mismatch 12");
    world.at(154.0).both("X 124", "X 112").expect("X", "pending - quantity_mismatch 12");
    let mut world = start();
    world.flow(119.0, "X", "12").at(120.0).both("X 124", "X 112");
    world.at(149.0).both("X 124", "X 112").expect("X", "pending - quantity_mismatch 12");
    world.at(178.0).both("X 124", "X 112").expect("X", "pending - quantity_mismatch 12");
    // Another difference does not: leaves explain nothing until then.
    let mut world = start();
    world.market.open_buy = decimal("50");
    world.at(120.0).both("X 101", "X 112").expect("X", "pending - quantity_mismatch -11");
    world.at(130.0).both("X 101", "X 115").expect("X", "open critical quantity_mismatch -14");
    world.at(140.0).both("X 114", "X 112").expect("X", "reconciling minor quantity_mismatch 2");
}

#[test]
fn leaves_that_end_make_no_drift_without_a_newer_list() {
    let mut world = holding();
    world.market.open_buy = decimal("50");
    world.at(100.0).both("X 100", "X 120").expect("X", "pending - quantity_mismatch -20");
    world.market.open_buy = Decimal::ZERO;
    world.tick_to(170.0).expect("X", "pending - quantity_mismatch -20").expect_halts(0);
    world.both("X 100", "X 120").expect_halts(1);
}

#[test]
fn pending_ends_within_tolerance() {
    let mut world = holding();
    world.flow(99.0, "X", "12").at(100.0).both("X 112", "X 100");
    world.at(110.0).broker("X 112.5").expect("X", "within_tolerance - quantity_mismatch -0.5");
    world.at(111.0).both("X 112", "X 112").expect("X", "none");
    assert!(
        world.directives_in_words().is_empty() && world.history().is_empty(),
        "it never was drift"
    );
}

#[test]
fn a_difference_waits_for_the_engine_to_have_its_say() {
    // The broker's list arrives first: it shows a fill that the engine has not reported yet.
    let waiting = || {
        let mut world = holding();
        world.at(100.0).local("X 100").at(102.0).broker("X 120");
        world.expect("X", "pending - quantity_mismatch -20");
        world
    };
    let drift = "open critical quantity_mismatch -20";
    waiting().at(103.0).flow(101.5, "X", "20").compare().expect("X", "none");
    // The engine sends an event dated at or after the list, and does not report the fill.
    let mut world = waiting();
    world.at(103.0).flow(101.9, "Y", "1").compare().expect("X", "pending - quantity_mismatch -20");
    world.at(103.5).hear().expect("X", drift).expect_halts(1);
    // Or it is silent for five seconds: then a tick judges.
    let mut world = waiting();
    world.tick_to(106.0).expect("X", "pending - quantity_mismatch -20").expect_halts(0);
    world.tick_to(107.0).expect("X", drift).expect_halts(1);
    // A newer list of the broker's does not restart the wait.
    let mut world = waiting();
    world.at(105.0).broker("X 120").expect("X", "pending - quantity_mismatch -20");
    world.at(106.5).tick().expect_halts(0);
    world.tick_to(107.0).expect("X", drift);
    // A local list that is not older: at once. So do both lists in one request.
    let mut world = holding();
    world.at(100.0).broker("X 120").at(101.0).local("X 100").expect("X", drift);
    let mut world = holding();
    world.at(104.0).complete(Source::Local, 100.0, "X 100");
    world.complete(Source::Broker, 104.0, "X 120");
    world.compare().expect("X", drift);
}

#[test]
fn an_engine_of_two_ways_is_always_waited_for() {
    let mut world = holding();
    world.settings.drift.in_flight.settle_mode = SettleMode::Always;
    world.at(100.0).both("X 120", "X 100").expect("X", PENDING);
    world.hear().expect("X", PENDING);
    world.at(104.0).both("X 120", "X 100").expect("X", PENDING);
    world.tick_to(105.0).expect("X", DRIFT).expect_halts(1);
    // The broker's list includes a fill whose report is slower than the engine's list.
    world.at(110.0).both("X 130", "X 130").expect("X", "none");
    world.at(120.0).both("X 130", "X 150").expect("X", "pending - quantity_mismatch -20");
    world.at(123.0).flow(119.8, "X", "20").compare();
    world.expect("X", "pending - quantity_mismatch -20").tick_to(180.0).expect_halts(1);
}

#[test]
fn a_late_fill_explains_at_once() {
    let mut world = holding();
    world.at(100.0).local("X 100");
    world.at(130.0).broker("X 120").expect("X", "pending - quantity_mismatch -20");
    world.at(131.0).flow(110.0, "X", "20").compare().expect("X", "none");
    // And a contradicting fill makes a difference in flight.
    world.at(132.0).flow(129.0, "X", "5").compare().expect("X", "pending - quantity_mismatch 5");
    // A fill after both snapshots says nothing about them.
    let mut quiet = holding();
    quiet.at(50.0).flow(45.0, "X", "1").compare().expect("X", "none");
}

#[test]
fn where_much_is_traded_late_fills_wait_for_the_tick() {
    let mut world = holding();
    world.at(100.0).local("X 100");
    for i in 0..300 {
        world.flow(101.0 + 0.05 * f64::from(i), "X", "1");
    }
    world.at(130.0).broker("X 420").expect("X", "pending - quantity_mismatch -20");
    world.at(130.5).flow(110.0, "X", "20").compare().expect("X", "pending - quantity_mismatch -20");
    world.at(131.0).tick().expect("X", "none");
}

#[test]
fn an_open_drift_is_not_closed_by_being_in_flight() {
    let mut world = holding();
    world.at(100.0).both("X 112", "X 100").expect("X", "open critical quantity_mismatch 12");
    world.flow(119.5, "X", "12").at(120.0).both("X 124", "X 112");
    // All of it may be in flight: the drift is unchanged, and the difference is shown as pending.
    world.expect("X", "open critical quantity_mismatch 12").expect_halts(1);
    assert_eq!(world.position("X").pending, decimal("12"));
    world.at(135.0).both("X 124", "X 112").expect("X", "open critical quantity_mismatch 12");
    assert_eq!(world.position("X").pending, Decimal::ZERO);
    world.at(140.0).both("X 124", "X 124").expect("X", "none");
}

#[test]
fn what_was_adopted_lags_like_the_list_that_it_is() {
    let mut world = holding();
    world.at(100.0).both("X 112", "X 100").expect_halts(1);
    // The broker's list lacks the sale of 5 s ago when an operator adopts it.
    world.flow(105.0, "X", "-30").at(110.0).broker("X 100");
    assert_eq!(world.adopt("X", Adopt::Broker, true), Ok(1));
    world.at(120.0).broker("X 70").hear().tick_to(126.0);
    world.expect("X", "pending - quantity_mismatch 30").expect_halts(1);
    world.at(130.0).both("X 70", "X 70").expect("X", "none");
}

#[test]
fn an_accepted_difference_is_none_and_fills_beside_it_are_in_flight() {
    let mut world = holding();
    world.at(100.0).both("X 112", "X 100");
    assert_eq!(world.adopt("X", Adopt::Local, true), Ok(1));
    world.flow(109.0, "X", "30").at(110.0).both("X 142", "X 100");
    world.expect("X", "pending - quantity_mismatch 30");
    world.at(120.0).both("X 142", "X 130").expect("X", "none").expect_halts(1);
}

#[test]
fn a_ledger_that_stands_in_is_compared_as_of_the_list() {
    let mut world = blank();
    world.broker("X 100").flow(99.0, "X", "20").at(100.0).broker("X 100");
    world.expect("X", PENDING).at(110.0).broker("X 120").expect("X", "none");
    // The list arrives before the report of the fill.
    world.at(120.0).broker("X 150").expect("X", "pending - quantity_mismatch -30");
    world.at(122.0).flow(119.0, "X", "30").compare().expect("X", "none");
    world.at(130.0).broker("X 180").tick_to(134.0).expect_halts(0);
    world.tick_to(135.0).expect("X", "open critical quantity_mismatch -30").expect_halts(1);
}

#[test]
fn prices_are_not_judged_while_fills_move_one_side() {
    let mismatch = "unconfirmed moderate price_mismatch 0";
    let check = |flow: Option<f64>, apart: f64, expect: &str| {
        let mut world = blank();
        world.both("X 100@10", "X 100@10");
        if let Some(time) = flow {
            world.flow(time, "X", "1").flow(time, "X", "-1");
        }
        world.at(100.0 - apart).local("X 100@20");
        world.at(100.0).broker("X 100@10").hear().expect("X", expect);
    };
    check(None, 5.0, mismatch);
    check(Some(97.0), 5.0, "none");
    check(Some(90.0), 0.0, mismatch);
    check(Some(90.001), 0.0, "none");
    check(Some(102.0), 0.0, "none");
    check(Some(102.001), 0.0, mismatch);
}

#[test]
fn lost_flows_are_not_taken_for_drift() {
    let mut world = holding();
    world.at(100.0).local("X 100");
    for i in 0..crate::domain::limits::FLOWS_PER_SYMBOL_MAX + 20 {
        let time = 110.0 + 0.0001 * f64::from(u32::try_from(i).expect("small"));
        world.flow(time, "X", "1");
    }
    assert_eq!(world.books.flows_dropped(), 20);
    world.at(140.0).broker("X 65656").expect("X", "pending - quantity_mismatch -20");
    world.at(141.0).broker("X 65656").expect("X", "pending - quantity_mismatch -20");
    world.tick_to(200.0).expect_halts(0);
    world.local("X 65656").expect("X", "none");
    // Not for ever: newer lists do not need them.
    world.at(210.0).both("X 65656", "X 65600").expect_halts(1);
}

#[test]
fn attribution_takes_the_broker_as_of_its_list() {
    let mut world = holding();
    // The engine missed a sale of 70; a purchase of 20 is not yet in the broker's list.
    world.flow(60.0, "X", "-70").flow(98.0, "X", "20").at(100.0).both("X 120", "X 30");
    world.expect("X", "open critical quantity_mismatch 90");
    let drift = world.drift("X").expect("a drift");
    assert_eq!(
        (drift.attribution.as_str(), drift.ledger_quantity),
        ("engine_missed_fill", 50.into())
    );
}
