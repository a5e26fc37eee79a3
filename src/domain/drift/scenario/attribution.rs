//! The side that is wrong, by the ledger without the lists that differ.

use super::*;

/// The attribution of the drift of X, and the starting point of the ledger that it is from.
fn says(world: &World) -> (&'static str, &'static str) {
    let drift = world.drift("X").expect("a drift");
    (drift.attribution.as_str(), drift.ledger_basis.as_str())
}

#[test]
fn the_list_that_anchors_is_not_its_own_witness() {
    let check = |fills: &[&str], local: &str, broker: &str, expect: &str| {
        let mut world = blank();
        world.at(100.0);
        for change in fills {
            world.flow(10.0, "X", change);
        }
        world.both(local, broker);
        assert_eq!(says(&world), (expect, "assumed_flat"), "{fills:?} {local} {broker}");
        // Later lists do not make it a witness while the books differ.
        world.at(200.0).both(local, broker);
        assert_eq!(says(&world), (expect, "assumed_flat"), "{fills:?} {local} {broker}");
    };
    // All fills were reported, and the broker lost 12.
    check(&["100"], "X 100@187", "X 88@187", "external_or_unreported_trade");
    check(&["60", "28"], "X 100@187", "X 88@187", "engine_missed_fill");
    check(&[], "X 100@187", "X 88@187", "unexplained");
    check(&[], "", "X 7@187", "external_or_unreported_trade");
}

#[test]
fn nor_is_it_one_for_a_local_list_that_comes_later() {
    let mut world = blank();
    world.at(100.0).flow(10.0, "X", "100");
    world.broker("X 88@187").expect("X", "none");
    world.at(101.0).local("X 100@187");
    assert_eq!(says(&world), ("external_or_unreported_trade", "assumed_flat"));
    // A second list of the broker that the anchored ledger explains makes that ledger the witness.
    let mut world = blank();
    world.broker("X 100@187").at(100.0).broker("X 100@187");
    world.at(200.0).both("X 100@187", "X 88@187");
    assert_eq!(says(&world), ("external_or_unreported_trade", "anchored"));
    // So does agreement of the quantities, even if the averages differ.
    let mut world = blank();
    world.both("X 100@187", "X 100@150").flow(50.0, "X", "5");
    world.at(100.0).both("X 100@187", "X 105@187");
    assert_eq!(says(&world), ("engine_missed_fill", "anchored"));
}

#[test]
fn a_ledger_that_stands_in_is_what_the_broker_is_held_against() {
    let mut world = blank();
    world.broker("X 100").at(100.0).broker("X 88").at(106.0).tick();
    world.expect("X", "open critical quantity_mismatch 12");
    assert_eq!(says(&world), ("external_or_unreported_trade", "anchored"));
}

#[test]
fn once_the_books_agreed_the_anchored_ledger_is_the_witness() {
    let mut world = blank();
    world.both("X 100@187", "X 100@187").flow(50.0, "X", "5");
    world.at(100.0).both("X 100@187", "X 105@187");
    assert_eq!(says(&world), ("engine_missed_fill", "anchored"));
    let mut world = blank();
    world.broker("").at(50.0).flow(40.0, "X", "100");
    world.at(100.0).both("X 100@187", "X 88@187");
    assert_eq!(says(&world), ("external_or_unreported_trade", "anchored"));
}

#[test]
fn of_two_sides_within_tolerance_the_nearer_one_is_right() {
    let check = |ledger: &str, expect: &str| {
        let mut world = world();
        world.flow(50.0, "X", ledger).at(100.0).both("X 12@1", "X 10.9@1");
        assert_eq!(says(&world).0, expect, "{ledger}");
    };
    check("12", "external_or_unreported_trade");
    check("11.9", "external_or_unreported_trade");
    check("11.1", "engine_missed_fill");
    check("10.9", "engine_missed_fill");
    check("11.45", "unexplained");
    check("20", "unexplained");
}

#[test]
fn a_fill_close_to_the_anchor_is_not_counted_twice() {
    // Without a local book the ledger is compared. The first list includes the fill of 3 s later.
    let mut world = blank();
    world.at(100.0).broker("X 20");
    world.at(104.0).flow(103.0, "X", "20");
    assert_eq!(world.ledger("X"), "40");
    world.at(160.0).broker("X 20").expect("X", "none").expect_halts(0);
    assert_eq!(world.ledger("X"), "20");
    world.at(86_400.0).broker("X 20").expect("X", "none");
    // Nor is a fill lost: the list lacks one of 2 s before.
    let mut world = blank();
    world.at(99.0).flow(98.0, "X", "20");
    world.at(100.0).broker("").expect("X", "none");
    world.at(160.0).broker("X 20").expect("X", "none").expect_halts(0);
    assert_eq!(world.ledger("X"), "20");
    // A difference that no moment explains is a drift, and the ledger is unchanged.
    let mut world = blank();
    world.at(99.0).flow(98.0, "X", "20");
    world.at(100.0).broker("");
    world.at(160.0).broker("X 35").at(166.0).tick().expect_halts(1);
    assert_eq!(world.ledger("X"), "0");
}
