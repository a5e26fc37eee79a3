//! Automatic reconciliation of MINOR drift: sent, sent again, confirmed or escalated.

use super::*;

fn holding() -> World {
    let mut world = blank();
    world.both("X 100@10", "X 100@10").at(100.0);
    world
}

/// A confirmed MINOR drift whose first directive was just sent, at 110 s.
fn reconciling() -> World {
    let mut world = holding();
    world.both("X 102@10", "X 100@10").at(110.0).both("X 102@11", "X 100@10");
    world.expect("X", "reconciling minor quantity_mismatch 2");
    world
}

fn counts(world: &World) -> [u64; 5] {
    world.books.reconciliations_total().into_array()
}

#[test]
fn a_confirmed_minor_drift_is_sent_to_the_engine() {
    let mut world = reconciling();
    assert_eq!(
        world.directives_in_words(),
        [
            "reconcile X quantity_mismatch 102@11 -> 100@10 #1",
            "reconciling minor quantity_mismatch 2",
        ]
    );
    let drift = world.drift("X").expect("a drift");
    assert_eq!((drift.action.as_str(), drift.attempts), ("reconcile", 1));
    assert!(drift.directive_id.is_some() && drift.state.is_open());
    assert_eq!(counts(&world), [1, 0, 0, 0, 0]);
    // Agreement by a local snapshot confirms, and anchors the ledger again.
    world.flow(112.0, "X", "-3");
    assert_eq!(world.ledger("X"), "97");
    world.at(118.0);
    world.complete(Source::Broker, 115.0, "X 100@10");
    world.complete(Source::Local, 118.0, "X 100@10");
    world.compare().expect("X", "none");
    assert_eq!(world.directives_in_words(), ["cleared - quantity_mismatch 2"]);
    assert_eq!(counts(&world), [1, 1, 0, 0, 0]);
    assert_eq!(world.ledger("X"), "100");
    let history = world.history();
    let resolution = history.first().and_then(|drift| drift.resolution);
    assert_eq!(resolution, Some(ReconcileOutcome::Confirmed));
}

#[test]
fn three_tries_then_moderate() {
    let mut world = reconciling();
    world.directives_in_words();
    world.tick_to(199.0);
    assert!(world.directives_in_words().is_empty());
    world.tick_to(200.0);
    assert_eq!(world.directives_in_words(), ["reconcile X quantity_mismatch 102@11 -> 100@10 #2"]);
    world.tick_to(289.0);
    assert!(world.directives_in_words().is_empty());
    world.tick_to(290.0);
    assert_eq!(world.directives_in_words(), ["reconcile X quantity_mismatch 102@11 -> 100@10 #3"]);
    world.tick_to(379.0).expect("X", "reconciling minor quantity_mismatch 2");
    world.tick_to(380.0).expect("X", "open moderate quantity_mismatch 2").expect_halts(0);
    assert_eq!(world.directives_in_words(), ["open moderate quantity_mismatch 2"]);
    assert_eq!(counts(&world), [3, 0, 1, 0, 0]);
    let drift = world.drift("X").expect("a drift");
    assert_eq!((drift.attempts, drift.action.as_str()), (3, "alert"));
    let total = |severity| world.books.drifts_total()[DriftType::QuantityMismatch][severity];
    assert_eq!(Severity::ALL.map(total), [1, 1, 0]);
    // It stays MODERATE until it clears, and is not sent again.
    world.at(390.0).both("X 102", "X 100").expect("X", "open moderate quantity_mismatch 2");
    world.tick_to(600.0);
    assert!(world.directives_in_words().is_empty());
    world.both("X 100", "X 100").expect("X", "none");
    assert_eq!(counts(&world), [3, 1, 1, 0, 0]);
}

#[test]
fn growth_ends_a_reconciliation() {
    let mut world = reconciling();
    world.at(120.0).both("X 106", "X 100").expect("X", "open moderate quantity_mismatch 6");
    world.directives_in_words();
    world.tick_to(300.0);
    assert!(world.directives_in_words().is_empty(), "nothing is sent for a MODERATE drift");
    world.both("X 102", "X 100").expect("X", "reconciling minor quantity_mismatch 2");
    assert_eq!(world.drift("X").map(|drift| drift.attempts), Some(2));
    world.at(310.0).both("X 112", "X 100").expect("X", "open critical quantity_mismatch 12");
    world.expect_halts(1);
}

#[test]
fn what_is_never_reconciled() {
    let mut world = holding();
    world.both("X 100@10, Y 0", "X 100@10, Y 2").at(110.0).both("X 100@10", "X 100@10, Y 2");
    world.expect("Y", "open minor unknown_position -2");
    assert_eq!(world.drift("Y").map(|drift| drift.action.as_str()), Some("alert"));
    let mut off = holding();
    off.settings.drift.auto_reconcile = false;
    off.both("X 102", "X 100").at(110.0).both("X 102", "X 100");
    off.expect("X", "open minor quantity_mismatch 2");
    for world in [&mut world, &mut off] {
        world.tick_to(400.0);
        assert_eq!(counts(world), [0; 5]);
    }
    // The other types are reconciled.
    let mut world = holding();
    world.both("X 100@10.2, Y 2", "X 100@10").at(110.0).both("X 100@10.2, Y 2", "X 100@10");
    world.expect("X", "reconciling minor price_mismatch 0");
    world.expect("Y", "reconciling minor ghost_position 2");
    assert_eq!(
        world.directives_in_words().first().map(String::as_str),
        Some("reconcile X price_mismatch 100@10.2 -> 100@10 #1")
    );
}

#[test]
fn the_event_gives_time_and_confirms_nothing() {
    let mut world = reconciling();
    let key = world.key("X");
    let id = world.drift("X").and_then(|drift| drift.directive_id).expect("an id").to_string();
    assert!(!world.books.reconciled(key, Some("0-0"), at(110.0)), "another directive");
    world.tick_to(150.0);
    assert!(world.books.reconciled(key, Some(&id), at(150.0)));
    world.expect("X", "reconciling minor quantity_mismatch 2").directives_in_words();
    world.tick_to(200.0);
    // A second report does not extend the time again.
    assert!(world.books.reconciled(key, None, at(200.0)));
    world.tick_to(239.0);
    assert!(world.directives_in_words().is_empty());
    world.tick_to(240.0);
    assert_eq!(world.directives_in_words(), ["reconcile X quantity_mismatch 102@11 -> 100@10 #2"]);
    assert!(!world.books.reconciled(key, Some(&id), at(240.0)), "an old directive");
    world.both("X 100", "X 100");
    assert!(!world.books.reconciled(key, None, at(240.0)), "nothing waits");
}

#[test]
fn the_history_is_bounded_and_in_order() {
    let mut world = holding();
    for i in 0..1_003_u32 {
        world.at(100.0 + 20.0 * f64::from(i)).both("X 120", "X 100");
        world.at(world.now + 10.0).both("X 100", "X 100");
    }
    world.at(world.now + 10.0).both("X 120", "X 100");
    let ids: Vec<u64> = world.history().iter().map(|drift| drift.id).collect();
    assert_eq!(ids, (5..=1_004).collect::<Vec<u64>>());
    let history = world.history();
    assert_eq!(history.last().map(words).as_deref(), Some("open critical quantity_mismatch 20"));
    assert!(history.iter().rev().skip(1).all(|drift| drift.cleared_at.is_some()));
}
