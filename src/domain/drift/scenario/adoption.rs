//! Decisions of operators: adopting a side, and releasing a halt by force.

use super::*;

fn critical() -> World {
    let mut world = blank();
    world.both("X 100", "X 100").at(100.0).both("X 112@11", "X 100@10/9");
    world.expect("X", "open critical quantity_mismatch 12").expect_halts(1).directives_in_words();
    world
}

#[test]
fn adopting_the_broker_sets_local_until_its_next_snapshot() {
    let mut world = critical();
    world.flow(101.0, "X", "3");
    world.at(110.0);
    assert_eq!(world.adopt("X", Adopt::Broker, true), Ok(1));
    assert_eq!(
        world.directives_in_words(),
        ["reconcile X quantity_mismatch 112@11 -> 100@10 #1", "cleared - quantity_mismatch 12",]
    );
    let position = world.position("X");
    assert_eq!((position.local, position.broker), (Some(100.into()), Some(100.into())));
    assert_eq!(world.ledger("X"), "103", "anchored, plus what came since");
    let key = world.key("X");
    assert!(!world.books.is_drift_open(key));
    assert_eq!(world.books.reconciliations_total()[ReconcileOutcome::AdoptedBroker], 1);
    assert_eq!(world.books.reconciliations_total()[ReconcileOutcome::Confirmed], 0);
    let history = world.history();
    assert_eq!(
        history.first().and_then(|drift| drift.resolution),
        Some(ReconcileOutcome::AdoptedBroker)
    );
    // Later broker snapshots are compared with the adopted book, brought forward.
    world.at(150.0).broker("X 103").expect("X", "none");
    // The next local snapshot replaces the adopted book.
    world.at(160.0).local("X 115");
    world.at(165.0).broker("X 103").hear().expect("X", "open critical quantity_mismatch 12");
    world.expect_halts(2);
}

#[test]
fn adopting_local_accepts_the_difference() {
    let mut world = critical();
    assert_eq!(world.adopt("X", Adopt::Local, true), Ok(1));
    assert_eq!(world.directives_in_words(), ["cleared - quantity_mismatch 12"]);
    let position = world.position("X");
    assert_eq!((position.local, position.offset), (Some(112.into()), 12.into()));
    assert_eq!(world.ledger("X"), "100");
    world.at(110.0).both("X 112", "X 100").expect("X", "none");
    world.at(120.0).both("X 117", "X 100").expect("X", "unconfirmed moderate quantity_mismatch 5");
    world.at(130.0).both("X 102", "X 100").expect("X", "open critical quantity_mismatch -10");
    // The directive has the quantities in the engine's own terms.
    assert_eq!(world.adopt("X", Adopt::Local, true), Ok(2));
    world.at(140.0).both("X 105", "X 102").expect("X", "unconfirmed minor quantity_mismatch 1");
    world.at(150.0).both("X 105", "X 102").directives_in_words();
    world.at(250.0).tick();
    assert_eq!(world.directives_in_words(), ["reconcile X quantity_mismatch 105@- -> 104@- #2"]);
    // The broker's side ends the offset.
    assert_eq!(world.adopt("X", Adopt::Broker, false), Ok(3));
    assert_eq!(
        world.directives_in_words().first().map(String::as_str),
        Some("reconcile X quantity_mismatch 105@- -> 102@- #3")
    );
    assert_eq!(world.position("X").offset, Decimal::ZERO);
}

#[test]
fn adopting_local_prices_accepts_them() {
    let mut world = blank();
    world.settings.drift_rules.default.price_mismatch_max = Severity::Critical;
    world.both("X 100@10", "X 100@10").at(100.0).both("X 100@20", "X 100@10");
    assert_eq!(world.adopt("X", Adopt::Local, true), Ok(1));
    assert_eq!(world.position("X").offset, Decimal::ZERO);
    world.at(110.0).both("X 100@20", "X 100@10").expect("X", "none");
    world.at(120.0).both("X 100@21", "X 100@10");
    world.expect("X", "unconfirmed moderate price_mismatch 0");
}

#[test]
fn without_a_local_book_the_ledger_is_adopted() {
    let mut world = blank();
    world.broker("X 100").at(100.0).broker("X 88").hear();
    world.expect("X", "open critical quantity_mismatch 12");
    assert_eq!(world.adopt("X", Adopt::Broker, true), Ok(1));
    assert_eq!((world.ledger("X").as_str(), world.position("X").local), ("88", None));
    world.at(110.0).broker("X 88").expect("X", "none");
    world.at(120.0).broker("X 100").hear().expect("X", "open critical quantity_mismatch -12");
    assert_eq!(world.adopt("X", Adopt::Local, true), Ok(2));
    assert_eq!((world.ledger("X").as_str(), world.position("X").offset), ("88", (-12).into()));
    world.at(130.0).broker("X 100").expect("X", "none");
}

#[test]
fn who_may_adopt_what() {
    let mut world = blank();
    world.both("X 100, Y 100", "X 100, Y 100").at(100.0);
    assert_eq!(world.adopt("X", Adopt::Broker, true), Err(Refusal::NotFound));
    world.both("X 102, Y 106", "X 100, Y 100");
    assert_eq!(world.adopt("X", Adopt::Broker, true), Err(Refusal::NotFound), "not confirmed");
    world.at(110.0).both("X 102, Y 106", "X 100, Y 100");
    assert_eq!(world.adopt("Y", Adopt::Broker, false), Err(Refusal::NeedsRelease));
    assert_eq!(world.adopt("Y", Adopt::Local, false), Err(Refusal::NeedsRelease));
    assert_eq!(world.adopt("X", Adopt::Local, false), Err(Refusal::NeedsRelease));
    assert_eq!(world.adopt("X", Adopt::Broker, false), Ok(1));
    assert_eq!(world.adopt("X", Adopt::Broker, false), Err(Refusal::NotFound), "only once");
    assert_eq!(world.adopt("Y", Adopt::Broker, true), Ok(2));
    assert_eq!(world.adopt("Z", Adopt::Broker, true), Err(Refusal::NotFound));
}

#[test]
fn an_acknowledged_drift_halts_again_only_for_cause() {
    let acknowledged = || {
        let mut world = critical();
        let key = world.key("X");
        assert!(world.books.is_drift_open(key) && world.books.acknowledge_drift(key));
        assert_eq!(world.drift("X").map(|drift| drift.acknowledged), Some(true));
        world.at(110.0);
        world
    };
    let check = |local: &str, broker: &str, halts: usize| {
        acknowledged().both(local, broker).expect_halts(halts);
    };
    check("X 112", "X 100/9", 1);
    check("X 121.9", "X 100", 1);
    check("X 122", "X 100", 2);
    check("X 88", "X 100", 2);
    // 12 x 9 = 108 when it was acknowledged; a further 500 halts.
    check("X 112", "X 100/50.6", 1);
    check("X 112", "X 100/50.7", 2);
    // Falling and rising back is no growth.
    let mut world = acknowledged();
    world.both("X 102", "X 100").at(120.0).both("X 112", "X 100").expect_halts(1);
    // Nor is a value that was unknown before.
    let mut world = blank();
    world.market = Market::default();
    world.both("X 112", "X 100").expect_halts(1);
    let key = world.key("X");
    assert!(world.books.acknowledge_drift(key));
    world.at(10.0).both("X 112", "X 100/1000").expect_halts(1);
    // Once cleared, the acknowledgement is forgotten.
    let mut world = acknowledged();
    world.both("X 100", "X 100").at(120.0).both("X 112", "X 100").expect_halts(2);
}

#[test]
fn only_an_open_drift_can_be_acknowledged() {
    let mut world = blank();
    world.both("X 100", "X 100").at(100.0).both("X 106", "X 100");
    let key = world.key("X");
    assert!(!world.books.is_drift_open(key) && !world.books.acknowledge_drift(key));
}

#[test]
fn after_a_further_halt_it_takes_a_further_acknowledgement() {
    let mut world = critical();
    let key = world.key("X");
    world.books.acknowledge_drift(key);
    world.at(110.0).both("X 122", "X 100").expect_halts(2);
    assert_eq!(world.drift("X").map(|drift| drift.acknowledged), Some(false));
    world.at(120.0).both("X 140", "X 100").expect_halts(2);
    world.books.acknowledge_drift(key);
    world.at(130.0).both("X 149", "X 100").expect_halts(2);
    world.at(140.0).both("X 150", "X 100").expect_halts(3);
}
