//! The effect of snapshots, complete and partial, and the ledger beside them.

use super::*;

#[test]
fn an_older_snapshot_is_ignored() {
    let mut world = blank();
    world.at(20.0);
    assert_eq!(world.complete(Source::Broker, 10.0, "X 100"), SnapshotVerdict::Taken);
    assert_eq!(world.complete(Source::Broker, 9.0, "X 1"), SnapshotVerdict::OutOfOrder);
    assert_eq!(world.partial(Source::Broker, 9.0, "X 2, Y 2"), SnapshotVerdict::OutOfOrder);
    assert_eq!(world.position("X").broker, Some(100.into()));
    assert_eq!(world.symbols.len(), 1, "and makes no symbols");
    // The other side has its own order. Of two snapshots of one time, the later record is newer.
    assert_eq!(world.complete(Source::Local, 9.0, "X 3"), SnapshotVerdict::Taken);
    assert_eq!(world.complete(Source::Broker, 10.0, "X 4"), SnapshotVerdict::Taken);
    assert_eq!(world.position("X").broker, Some(4.into()));
}

#[test]
fn a_failed_fetch_changes_nothing() {
    let mut world = blank();
    world.both("X 112", "X 100").expect_halts(1);
    let before = world.books.snapshot_at(Source::Broker);
    world.at(10.0);
    assert_eq!(world.failed(Source::Broker), SnapshotVerdict::Failed);
    assert_eq!(world.failed(Source::Local), SnapshotVerdict::Failed);
    world.compare().expect("X", "open critical quantity_mismatch 12").expect_halts(1);
    assert_eq!(world.position("X").broker, Some(100.into()));
    assert_eq!(world.books.snapshot_at(Source::Broker), before);
    assert_eq!(world.complete(Source::Broker, 5.0, "X 112"), SnapshotVerdict::Taken);
}

#[test]
fn complete_means_flat_and_partial_means_unknown() {
    let mut world = world();
    world.at(10.0).both("X 100, Y 5", "X 100, Y 5");
    world.at(20.0);
    world.partial(Source::Broker, 20.0, "Y 5");
    world.compare().expect("X", "none");
    assert_eq!(world.position("X").broker, Some(100.into()), "as it was");
    world.at(30.0).both("X 100, Y 5", "Y 5").expect("X", "open critical ghost_position 100");
    world.at(40.0).both("Y 5", "X 0, Y 5").expect("X", "none");
    assert_eq!(world.position("X").broker, Some(0.into()));
    // A symbol that complete snapshots never mentioned was flat in them.
    world.at(50.0).flow(41.0, "Z", "7").at(60.0).local("Y 5, Z 7");
    world.at(61.0).broker("Y 5, Z 7").expect("Z", "none");
}

#[test]
fn all_snapshots_of_a_request_come_before_the_comparison() {
    let mut world = world();
    world.at(10.0);
    world.complete(Source::Broker, 10.0, "X 100");
    world.complete(Source::Local, 10.0, "X 100");
    world.compare().expect("X", "none").expect_halts(0);
    assert!(world.directives_in_words().is_empty());
}

#[test]
fn drift_is_judged_on_the_net_of_hedged_rows() {
    let mut world = world();
    world.at(10.0).both("X 60@10", "X 100@9, X -40@11").expect("X", "none");
    let position = world.position("X");
    assert_eq!((position.broker, position.broker_price), (Some(60.into()), None));
    world.at(20.0).both("X 60", "X 100, X -30").expect("X", "open critical quantity_mismatch -10");
}

#[test]
fn folded_symbols_are_counted_and_not_tracked() {
    let mut world = blank();
    world.settings.symbols.max = 1;
    world.both("X 1, Y 2, Z 3", "X 1, Y 999").expect_halts(0);
    assert_eq!(world.books.untracked_rows(), 3);
    assert_eq!(world.books.positions(&world.symbols).count(), 1);
    let other = world.key(Symbol::OTHER);
    let flow = Flow { time: at(1.0), change: 5.into(), kind: FlowKind::Buy };
    world.books.flow(other, flow, &world.settings.drift.in_flight);
    world.at(70.0).tick().compare();
    assert_eq!(world.books.positions(&world.symbols).count(), 1);
    assert_eq!(world.books.differences(&world.symbols).count(), 0);
}

#[test]
fn the_first_complete_broker_snapshot_anchors_the_ledger() {
    let mut world = blank();
    world.flow(1.0, "X", "5").flow(20.0, "X", "3").at(30.0);
    assert_eq!(
        (world.ledger("X").as_str(), world.position("X").ledger_basis.as_str()),
        ("8", "assumed_flat")
    );
    world.partial(Source::Broker, 5.0, "X 50");
    world.complete(Source::Local, 5.0, "X 50");
    assert_eq!(world.position("X").ledger_basis.as_str(), "assumed_flat", "neither is the anchor");
    world.complete(Source::Broker, 10.0, "X 100");
    assert_eq!(
        (world.ledger("X").as_str(), world.position("X").ledger_basis.as_str()),
        ("103", "anchored")
    );
    world.flow(9.0, "X", "1").flow(10.0, "X", "1");
    assert_eq!(world.ledger("X"), "103", "late fills that the anchor holds");
    world.flow(11.0, "X", "1");
    assert_eq!(world.ledger("X"), "104");
    world.complete(Source::Broker, 25.0, "X 200");
    assert_eq!(world.ledger("X"), "104", "later snapshots do not move it");
    // A symbol first seen later was flat at the anchor.
    world.flow(9.0, "Y", "7").flow(12.0, "Y", "2");
    assert_eq!(world.ledger("Y"), "2");
    assert_eq!(world.position("Y").ledger_basis.as_str(), "anchored");
}

#[test]
fn the_ledger_stands_in_for_a_local_book_that_never_came() {
    let mut world = blank();
    world.broker("X 100").expect("X", "none");
    world.flow(50.0, "X", "20").at(100.0).broker("X 120").expect("X", "none");
    // A fill after the broker's snapshot is not expected in it.
    world.flow(107.0, "X", "3").flow(108.0, "X", "-30").at(120.0);
    world.complete(Source::Broker, 101.0, "X 120");
    world.compare().expect("X", "none");
    world.at(200.0).broker("X 105").hear().expect("X", "open critical quantity_mismatch -12");
    let drift = world.drift("X").expect("a drift");
    assert!(drift.ledger_stands_in);
    assert_eq!(drift.attribution.as_str(), "external_or_unreported_trade");
    assert_eq!((drift.local_quantity, drift.ledger_quantity), (93.into(), 93.into()));
    assert_eq!(world.position("X").local, None);
    assert!(
        world.halts.first().is_some_and(|halt| halt.reason.contains("ledger (no local book) 93"))
    );
    world.at(260.0).broker("X 93").expect("X", "none");
    // MODERATE takes two snapshots: the ledger is renewed when the broker is.
    world.at(300.0).broker("X 99").hear().expect("X", "unconfirmed moderate quantity_mismatch -6");
    world.tick_to(365.0).expect("X", "unconfirmed moderate quantity_mismatch -6");
    world.broker("X 99").hear().expect("X", "open moderate quantity_mismatch -6");
}

#[test]
fn what_the_ledger_opened_it_follows_to_the_end() {
    let mut world = blank();
    world.broker("X 100").at(60.0).broker("X 88").hear();
    world.expect("X", "open critical quantity_mismatch 12");
    // Local snapshots start, about another symbol.
    world.at(61.0);
    world.partial(Source::Local, 61.0, "Y 1");
    world.compare().at(120.0).broker("X 100, Y 1").expect("X", "none");
    world.at(180.0).broker("X 88, Y 1").expect("X", "none").expect_halts(1);
}

#[test]
fn the_ledger_says_which_side_is_wrong() {
    let attribution = |flows: &[(f64, &str)], local: &str, broker: &str| {
        let mut world = blank();
        world.both("X 100", "X 100");
        for (time, change) in flows {
            world.flow(*time, "X", change);
        }
        world.at(100.0).both(local, broker);
        world.drift("X").expect("a drift").attribution.as_str()
    };
    let fill = [(50.0, "20")];
    assert_eq!(attribution(&fill, "X 100", "X 120"), "engine_missed_fill");
    assert_eq!(attribution(&fill, "X 120", "X 100"), "external_or_unreported_trade");
    assert_eq!(attribution(&fill, "X 140", "X 100"), "unexplained");
    // Within tolerance is equal.
    assert_eq!(attribution(&fill, "X 100", "X 120.9"), "engine_missed_fill");
    assert_eq!(attribution(&fill, "X 100", "X 121"), "unexplained");
    // Fills after the snapshots do not count against them.
    assert_eq!(
        attribution(&[(50.0, "20"), (106.0, "500")], "X 100", "X 120"),
        "engine_missed_fill"
    );
}

#[test]
fn partial_books_go_stale_symbol_by_symbol() {
    let mut world = world();
    world.at(10.0).both("X 100", "X 100");
    world.at(200.0);
    world.partial(Source::Local, 200.0, "Y 1");
    world.partial(Source::Broker, 200.0, "Y 1");
    assert!(world.is_stale(200.0), "X is held, and nobody spoke of it");
    world.partial(Source::Local, 201.0, "X 0");
    world.partial(Source::Broker, 201.0, "X 0");
    assert!(!world.is_stale(201.0));
}

#[test]
fn a_symbol_that_is_gone_can_be_retired() {
    let mut world = world();
    let key = world.key("X");
    assert_eq!(world.books.retire(key), Err(Refusal::NotFound));
    world.at(10.0).both("X 5", "X 5");
    assert_eq!(world.books.retire(key), Err(Refusal::InUse));
    world.at(15.0).both("X 20", "X 5").at(20.0).both("", "");
    assert_eq!(world.books.retire(key), Ok(()));
    world.symbols.retire(key);
    assert_eq!(world.books.positions(&world.symbols).count(), 0);
    let past = world.history();
    assert_eq!(past.first().map(|drift| drift.symbol.as_str()), Some("X"));
    world.at(30.0).both("X 5", "X 5").expect("X", "none");
    assert_eq!(world.books.positions(&world.symbols).count(), 1);
}
