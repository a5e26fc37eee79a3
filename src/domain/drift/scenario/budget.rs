//! The budget of automatic repairs: three for one symbol in a day, then people look at it.

use super::*;
use crate::domain::drift::SeverityTest;

const HOUR: f64 = 3_600.0;

/// Confirms one MINOR drift of X and clears it again. Returns its state in between.
fn repaired(world: &mut World) -> String {
    let off = "X 102@10";
    for _ in 0..2 {
        world.at(world.now + 10.0).both(off, "X 100@10");
    }
    let says = world.says("X");
    world.at(world.now + 10.0).both("X 100@10", "X 100@10").expect("X", "none");
    says
}

const SENT: &str = "reconciling minor quantity_mismatch 2";
const SPENT: &str = "open moderate quantity_mismatch 2";

#[test]
fn the_fourth_drift_of_a_day_is_moderate_at_once() {
    let mut world = blank();
    world.both("X 100@10, Y 100@10", "X 100@10, Y 100@10");
    for _ in 0..3 {
        assert_eq!(repaired(&mut world), SENT);
    }
    world.directives_in_words();
    assert_eq!(repaired(&mut world), SPENT);
    let drift = world.history().pop().expect("a drift");
    assert_eq!(drift.attempts, 0);
    assert_eq!(world.directives_in_words(), [SPENT, "cleared - quantity_mismatch 2"]);
    world.at(world.now + 10.0).both("X 102@10", "X 100@10");
    let drift = world.drift("X").expect("a drift");
    let shown = (drift.severity, drift.decided_by);
    assert_eq!(
        shown,
        (Some(Severity::Moderate), Some(SeverityTest::ReconcileBudget)),
        "unconfirmed too"
    );
    world.at(world.now + 10.0).both("X 100@10", "X 100@10");
    // A day after the first repair, one is available again.
    world.at(24.0 * HOUR + 20.0);
    world.both("X 100@10", "X 100@10");
    assert_eq!(repaired(&mut world), SENT);
    assert_eq!(repaired(&mut world), SENT, "the second is a day old too by now");
}

#[test]
fn another_symbol_has_a_budget_of_its_own() {
    let mut world = blank();
    world.settings.drift.reconcile_budget.times = 1;
    world.both("X 100@10", "X 100@10");
    assert_eq!(repaired(&mut world), SENT);
    assert_eq!(repaired(&mut world), SPENT);
    for _ in 0..2 {
        world.at(world.now + 10.0).both("X 100@10, Y 2@10", "X 100@10");
    }
    world.expect("Y", "reconciling minor ghost_position 2");
}

#[test]
fn adopting_the_brokers_side_of_a_minor_drift_counts() {
    let adopted = |privileged: bool, auto_reconcile: bool| {
        let mut world = blank();
        world.settings.drift.auto_reconcile = auto_reconcile;
        world.both("X 298@10", "X 298@10");
        let mut says = Vec::new();
        for _ in 0..4 {
            // The engine adopts the broker's side, but does not store it.
            for _ in 0..2 {
                world.at(world.now + 10.0).both("X 298@10", "X 300@10");
            }
            says.push(world.says("X").split(' ').nth(1).unwrap_or_default().to_owned());
            let is_minor = says.last().is_some_and(|severity| severity == "minor");
            assert_eq!(world.adopt("X", Adopt::Broker, privileged).is_ok(), is_minor || privileged);
        }
        says
    };
    assert_eq!(adopted(false, false), ["minor", "minor", "minor", "moderate"]);
    // Without tokens the engine may do anything.
    assert_eq!(adopted(true, false), ["minor", "minor", "minor", "moderate"]);
    // A directive and the adoption that follows it are one reconciliation.
    assert_eq!(adopted(false, true), ["minor", "minor", "minor", "moderate"]);
}
