//! Alignment in time and differences that fills in flight may explain.

use super::*;

/// Agreement on 100 at 0 s, long before anything else.
fn holding() -> World {
    let mut world = blank();
    world.both("X 100", "X 100");
    world
}

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
fn fills_near_a_snapshot_may_be_in_flight() {
    let check = |fill: f64, broker: &str, expect: &str| {
        let mut world = holding();
        world.flow(fill, "X", "20").at(100.0).both("X 120", broker).expect("X", expect);
    };
    // The broker lacks the fill; the window is inclusive.
    check(99.0, "X 100", "pending - quantity_mismatch 20");
    check(95.0, "X 100", "pending - quantity_mismatch 20");
    check(94.999, "X 100", "open critical quantity_mismatch 20");
    check(105.0, "X 100", "pending - quantity_mismatch 20");
    check(105.001, "X 100", "open critical quantity_mismatch 20");
    // Both ways by all that was executed, and no further.
    check(99.0, "X 140", "pending - quantity_mismatch -20");
    check(99.0, "X 99", "open critical quantity_mismatch 21");
    check(99.0, "X 141", "open critical quantity_mismatch -21");
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
    check(("20", "0"), "X 80", "open critical quantity_mismatch 20");
    check(("0", "20"), "X 80", "pending - quantity_mismatch 20");
    check(("0", "20"), "X 120", "open critical quantity_mismatch -20");
}

#[test]
fn busted_fills_are_not_in_flight() {
    let mut world = holding();
    world.flow(99.0, "X", "20").flow_of(99.0, "X", "-20", FlowKind::Buy);
    world.at(100.0).both("X 120", "X 100").expect("X", "open critical quantity_mismatch 20");
    let mut adjusted = holding();
    adjusted.flow_of(99.0, "X", "20", FlowKind::Adjustment);
    adjusted.at(100.0).both("X 120", "X 100").expect("X", "open critical quantity_mismatch 20");
}

#[test]
fn pending_is_drift_after_thirty_seconds() {
    let mut world = holding();
    world.at(100.0).tick();
    world.flow(99.0, "X", "12").at(100.0).both("X 112", "X 100");
    world.expect("X", "pending - quantity_mismatch 12");
    assert_eq!(world.position("X").pending, decimal("12"));
    world.tick_to(129.0).expect("X", "pending - quantity_mismatch 12").expect_halts(0);
    world.at(130.0).tick().expect("X", "open critical quantity_mismatch 12").expect_halts(1);
    assert_eq!(world.position("X").pending, Decimal::ZERO);
}

#[test]
fn a_newer_snapshot_does_not_restart_pending() {
    let mut world = holding();
    world.market.open_sell = decimal("50");
    world.at(100.0).both("X 112", "X 100").expect("X", "pending - quantity_mismatch 12");
    world.at(120.0).both("X 112", "X 100").expect("X", "pending - quantity_mismatch 12");
    world.at(125.0).both("X 114", "X 100").expect("X", "pending - quantity_mismatch 14");
    // It is drift then, whatever is open.
    world.at(130.0).tick().expect("X", "open critical quantity_mismatch 14").expect_halts(1);
}

#[test]
fn a_difference_that_changes_sides_is_another() {
    let mut world = holding();
    (world.market.open_buy, world.market.open_sell) = (decimal("50"), decimal("50"));
    world.at(100.0).both("X 112", "X 100").expect("X", "pending - quantity_mismatch 12");
    world.at(120.0).both("X 88", "X 100").expect("X", "pending - quantity_mismatch -12");
    world.at(130.0).tick().expect("X", "pending - quantity_mismatch -12");
    world.at(150.0).tick().expect("X", "open critical quantity_mismatch -12");
}

#[test]
fn pending_ends_within_tolerance() {
    let mut world = holding();
    world.flow(99.0, "X", "12").at(100.0).both("X 112", "X 100");
    world.at(110.0).broker("X 112.5").expect("X", "cleared - quantity_mismatch -0.5");
    world.at(111.0).both("X 112", "X 112").expect("X", "none");
    assert!(world.told().is_empty() && world.history().is_empty(), "it never was drift");
    // A new one has its own thirty seconds.
    world.flow(140.0, "X", "12").at(140.0).both("X 124", "X 112");
    world.at(169.0).tick().expect("X", "pending - quantity_mismatch 12");
    world.at(170.0).tick().expect("X", "open critical quantity_mismatch 12");
}

#[test]
fn a_late_fill_explains_at_once() {
    let mut world = holding();
    world.at(100.0).local("X 100");
    world.at(130.0).broker("X 120").expect("X", "pending - quantity_mismatch -20");
    world.at(131.0).flow(110.0, "X", "20").compare().expect("X", "none");
    // And one that contradicts makes a difference, in flight.
    world.at(132.0).flow(129.0, "X", "5").compare().expect("X", "pending - quantity_mismatch 5");
    // A fill after both snapshots says nothing about them.
    let mut quiet = holding();
    quiet.at(50.0).flow(45.0, "X", "1").compare().expect("X", "none");
}

#[test]
fn an_open_drift_is_not_closed_by_being_in_flight() {
    let mut world = holding();
    world.at(100.0).both("X 112", "X 100").expect("X", "open critical quantity_mismatch 12");
    world.flow(119.0, "X", "30").at(120.0).both("X 142", "X 100");
    // The change is in flight: the drift stands as it was, the rest is visible as pending.
    world.expect("X", "open critical quantity_mismatch 12").expect_halts(1);
    assert_eq!(world.position("X").pending, decimal("30"));
    world.at(125.0).both("X 142", "X 130").expect("X", "open critical quantity_mismatch 12");
    assert_eq!(world.position("X").pending, Decimal::ZERO);
    // What does not come in time is drift too.
    world.flow(139.0, "X", "30").at(140.0).both("X 172", "X 130");
    world.tick_to(169.0).expect("X", "open critical quantity_mismatch 12");
    world.tick_to(170.0).expect("X", "open critical quantity_mismatch 42");
}

#[test]
fn prices_are_not_judged_while_fills_move_one_side() {
    let mismatch = "open critical price_mismatch 0";
    let check = |flow: Option<f64>, apart: f64, expect: &str| {
        let mut world = blank();
        world.both("X 100@10", "X 100@10");
        if let Some(time) = flow {
            world.flow(time, "X", "1").flow(time, "X", "-1");
        }
        world.at(100.0 - apart).local("X 100@20");
        world.at(100.0).broker("X 100@10").expect("X", expect);
    };
    check(None, 5.0, mismatch);
    check(Some(97.0), 5.0, "none");
    check(Some(93.0), 0.0, mismatch);
    check(Some(95.0), 0.0, "none");
    check(Some(103.0), 0.0, "none");
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
}
