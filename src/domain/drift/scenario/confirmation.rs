//! The comparisons that count, how many are needed, and the end of a drift.

use super::*;

const MINOR: &str = "X 102";
const MODERATE: &str = "X 106";
const CRITICAL: &str = "X 112";

fn holding() -> World {
    let mut world = blank();
    world.settings.drift.auto_reconcile = false;
    world.both("X 100", "X 100").at(100.0);
    world
}

#[test]
fn minor_and_moderate_take_two_critical_one() {
    for (local, severity, size) in [(MINOR, "minor", 2), (MODERATE, "moderate", 6)] {
        let mut world = holding();
        world.both(local, "X 100");
        world.expect("X", &format!("unconfirmed {severity} quantity_mismatch {size}"));
        assert!(world.directives_in_words().is_empty());
        world.at(110.0).both(local, "X 100");
        world.expect("X", &format!("open {severity} quantity_mismatch {size}")).expect_halts(0);
        let drift = world.drift("X").expect("a drift");
        assert_eq!((drift.confirmations, drift.action.as_str()), (2, "alert"));
        assert_eq!(drift.first_seen_at, at(100.0));
        assert_eq!(drift.opened_at, Some(at(110.0)));
        assert_eq!(world.directives_in_words().len(), 1);
    }
    let mut world = holding();
    world.both(CRITICAL, "X 100").expect("X", "open critical quantity_mismatch 12").expect_halts(1);
    let drift = world.drift("X").expect("a drift");
    assert_eq!((drift.confirmations, drift.action.as_str()), (1, "halt"));
}

#[test]
fn the_example_of_the_contract() {
    let mut world = blank();
    world.flow(0.15, "AAPL", "60").flow(0.4, "AAPL", "40").at(7.0);
    world.complete(Source::Local, 6.0, "AAPL 100@187.432");
    world.complete(Source::Broker, 7.0, "AAPL 88@187.432/187.5");
    world.compare().expect("AAPL", "open critical quantity_mismatch 12").expect_halts(1);
    let drift = world.drift("AAPL").expect("a drift");
    assert_eq!(drift.value_drift, Some(decimal("2250")));
    assert_eq!(drift.price, Some(decimal("187.5")));
    assert_eq!((drift.local_quantity, drift.broker_quantity), (100.into(), 88.into()));
    let halt = world.halts.first().expect("a halt");
    assert_eq!((halt.drift_id, halt.symbol.as_str()), (1, "AAPL"));
    assert_eq!(
        halt.reason,
        "CRITICAL drift 1 (quantity_mismatch) of AAPL: local 100, broker 88, difference 12, \
         value 2250; decided by quantity 12 (threshold 10)"
    );
    // No running sum of its fills is 88, however close they are; one is 60.
    for (broker, expect) in [("88", "open critical"), ("60", "pending -")] {
        let mut close = blank();
        close.flow(0.15, "AAPL", "60").flow(0.4, "AAPL", "40").at(7.0);
        close.complete(Source::Local, 5.0, "AAPL 100@187.432");
        close.complete(Source::Broker, 7.0, &format!("AAPL {broker}@187.432/187.5"));
        assert!(close.compare().says("AAPL").starts_with(expect), "{broker}");
    }
}

#[test]
fn a_comparison_counts_when_both_snapshots_are_newer() {
    let mut world = holding();
    world.both(MODERATE, "X 100").expect("X", "unconfirmed moderate quantity_mismatch 6");
    world.at(101.0).broker("X 100").expect("X", "unconfirmed moderate quantity_mismatch 6");
    world.tick_to(163.0).expect("X", "unconfirmed moderate quantity_mismatch 6");
    world.local(MODERATE).expect("X", "open moderate quantity_mismatch 6");
}

#[test]
fn snapshots_far_apart_do_not_count() {
    let check = |apart: f64, expect: &str| {
        let mut world = holding();
        world.local(CRITICAL).at(100.0 + apart).broker("X 100").hear().expect("X", expect);
        world
    };
    check(5.0, "open critical quantity_mismatch 12");
    let mut world = check(5.001, "pending - quantity_mismatch 12");
    // The newer side alone proves nothing, however long it takes.
    world.tick_to(150.0).broker("X 100").expect("X", "pending - quantity_mismatch 12");
    world.tick_to(170.0).expect("X", "pending - quantity_mismatch 12").expect_halts(0);
    // A new list of the older side does, although the times are still far apart.
    world.local(CRITICAL).expect("X", "open critical quantity_mismatch 12").expect_halts(1);
}

#[test]
fn a_renewal_counts_whichever_side_was_older() {
    let mut world = holding();
    world.broker("X 100").at(130.0).local(CRITICAL).expect("X", "pending - quantity_mismatch 12");
    world.at(140.0).local(CRITICAL).expect("X", "pending - quantity_mismatch 12");
    world.at(150.0).broker("X 100").hear().expect("X", "open critical quantity_mismatch 12");

    let mut world = holding();
    world.local(MODERATE).at(120.0).broker("X 100");
    world.at(140.0).local(MODERATE).expect("X", "unconfirmed moderate quantity_mismatch 6");
    world.at(160.0).broker("X 100").hear().expect("X", "unconfirmed moderate quantity_mismatch 6");
    world.at(180.0).local(MODERATE).expect("X", "open moderate quantity_mismatch 6");
}

#[test]
fn to_agree_is_to_be_of_one_type() {
    let mut world = holding();
    world.both("X 6", "").expect("X", "unconfirmed moderate ghost_position 6");
    world.at(110.0).both("X 7", "X 1").expect("X", "unconfirmed moderate quantity_mismatch 6");
    world.at(120.0).both("", "X 6").expect("X", "unconfirmed moderate unknown_position -6");
    world.at(130.0).both("", "X 2").expect("X", "open minor unknown_position -2");
    // An open drift stays open when its type changes.
    world.at(140.0).both("X 4", "X 2").expect("X", "open minor quantity_mismatch 2");
    assert_eq!(world.drift("X").map(|drift| drift.confirmations), Some(1));
    assert_eq!(world.history().len(), 1);
}

#[test]
fn agreement_breaks_the_row() {
    let mut world = holding();
    world.both(MODERATE, "X 100").at(110.0).both("X 100", "X 100").expect("X", "none");
    world.at(120.0).both(MODERATE, "X 100");
    world.expect("X", "unconfirmed moderate quantity_mismatch 6");
    assert!(world.directives_in_words().is_empty() && world.history().is_empty());
}

#[test]
fn what_is_done_follows_the_latest_severity() {
    let mut world = holding();
    world.both(MINOR, "X 100").at(110.0).both(MODERATE, "X 100");
    world.expect("X", "open moderate quantity_mismatch 6");
    world.at(120.0).both(CRITICAL, "X 100").expect("X", "open critical quantity_mismatch 12");
    world.expect_halts(1);
    world.at(130.0).both(MINOR, "X 100").expect("X", "open minor quantity_mismatch 2");
    let drift = world.drift("X").expect("a drift");
    assert_eq!((drift.worst, drift.action.as_str()), (Some(Severity::Critical), "alert"));
    world.at(140.0).both(CRITICAL, "X 100").expect_halts(2);
    assert_eq!(
        world.directives_in_words(),
        [
            "open moderate quantity_mismatch 6",
            "open critical quantity_mismatch 12",
            "open minor quantity_mismatch 2",
            "open critical quantity_mismatch 12",
        ]
    );
    let total = |severity| world.books.drifts_total()[DriftType::QuantityMismatch][severity];
    assert_eq!(Severity::ALL.map(total), [0, 1, 2]);
}

#[test]
fn one_newer_comparison_within_tolerance_clears() {
    let mut world = holding();
    world.both(CRITICAL, "X 100").directives_in_words();
    // No newer list: nothing clears.
    world.tick_to(170.0).expect("X", "open critical quantity_mismatch 12");
    world.at(171.0).local("X 100.5").expect("X", "within_tolerance - quantity_mismatch 0.5");
    assert_eq!(world.directives_in_words(), ["cleared - quantity_mismatch 12"]);
    let history = world.history();
    let ended = history.first().expect("a drift");
    assert_eq!(ended.worst, Some(Severity::Critical));
    assert_eq!((ended.opened_at, ended.cleared_at), (Some(at(100.0)), Some(at(171.0))));
    assert_eq!((ended.id, ended.resolution, ended.action.as_str()), (1, None, "halt"));
    // The next one is another drift.
    world.at(180.0).both(CRITICAL, "X 100").expect_halts(2);
    assert_eq!(world.drift("X").map(|drift| drift.id), Some(2));
}

#[test]
fn a_late_fill_clears_what_it_explains() {
    let mut world = holding();
    world.local("X 100").at(104.0).broker("X 112").hear();
    world.expect("X", "open critical quantity_mismatch -12");
    world.at(120.0).flow(102.0, "X", "12").compare().expect("X", "none");
}

#[test]
fn a_stale_book_neither_sets_nor_clears() {
    let stale = |world: &World| world.is_stale(world.now);
    // Exactly at the limit it is not stale yet.
    for (age, expect) in [(180.0, "open critical"), (180.001, "pending -")] {
        let mut world = holding();
        world.complete(Source::Local, 100.0, CRITICAL);
        world.complete(Source::Broker, 100.0, "X 100");
        world.at(100.0 + age).compare();
        world.expect("X", &format!("{expect} quantity_mismatch 12"));
        assert_eq!(stale(&world), age > 180.0);
    }
    // An open drift stays open, and a stale agreement does not clear it.
    let mut world = holding();
    world.both(CRITICAL, "X 100").at(290.0);
    assert!(stale(&world));
    world.complete(Source::Local, 101.0, "X 100");
    world.complete(Source::Broker, 101.0, "X 100");
    world.compare().expect("X", "open critical quantity_mismatch 12");
    // Only one side renewed: still stale.
    world.local("X 100").expect("X", "open critical quantity_mismatch 12");
    world.broker("X 100").expect("X", "none");
    assert!(!stale(&world));
}

#[test]
fn the_age_of_a_snapshot_runs_from_the_earlier_of_its_times() {
    let mut world = holding();
    world.complete(Source::Broker, 104.0, "X 100");
    assert_eq!(world.books.snapshot_at(Source::Broker), Some(at(100.0)));
    world.at(110.0).complete(Source::Broker, 105.0, "X 100");
    assert_eq!(world.books.snapshot_at(Source::Broker), Some(at(105.0)));
    assert_eq!(world.books.snapshot_at(Source::Local), Some(at(0.0)));
}

#[test]
fn drift_is_judged_only_with_two_books() {
    let mut world = blank();
    world.local("X 100").expect("X", "none");
    assert!(world.is_stale(9_999.0), "what came is old, whatever else came");
    let position = world.position("X");
    assert_eq!((position.local, position.broker), (Some(100.into()), None));
    // Local snapshots exist, but none covers X: what a partial snapshot omits is unknown.
    let mut world = blank();
    world.partial(Source::Local, 0.0, "Y 1");
    world.broker("X 100, Y 1").expect("X", "none").expect_halts(0);
    world.at(10.0).broker("X 50, Y 1").expect("X", "none").expect_halts(0);
}

#[test]
fn every_minute_everything_is_compared() {
    let mut world = holding();
    world.tick();
    world.market.mid = Some(Price::new(1.into()));
    world
        .at(110.0)
        .both("X 100", "X 100.5")
        .expect("X", "within_tolerance - quantity_mismatch -0.5");
    world.market.mid = Some(Price::new(2_000.into()));
    world.tick_to(159.0).expect("X", "within_tolerance - quantity_mismatch -0.5");
    world.tick_to(160.0).expect("X", "open critical quantity_mismatch -0.5").expect_halts(1);
}

#[test]
fn a_price_mismatch_clears_by_prices_alone() {
    let mut world = blank();
    world.settings.drift_rules.default.price_mismatch_max = Severity::Critical;
    world.both("X 100@10", "X 100@10").at(100.0);
    let open = "open critical price_mismatch 0";
    world.both("X 100@20", "X 100@10").expect("X", open).expect_halts(1);
    let drift = world.drift("X").expect("a drift");
    assert_eq!((drift.quantity_drift, drift.value_drift), (0.into(), Some(1_000.into())));
    assert_eq!(drift.attribution.as_str(), "unexplained");
    world.at(110.0).both("X 100@20", "X 100").expect("X", open);
    world.at(120.0).both("X 100", "X 100@10").expect("X", open);
    world.at(130.0).both("X 100@10", "X 100@10").expect("X", "none");
    // Or when both sides are flat.
    world.at(140.0).both("X 100@20", "X 100@10").expect("X", open);
    world.at(150.0).both("", "").expect("X", "none");
}

/// One comparison, by its kind.
#[derive(Clone, Copy, Debug)]
enum Compared {
    /// No new list: a round by time.
    Again,
    /// Only the broker's list was renewed.
    BrokerAlone,
    /// Both lists are new, but too old to judge.
    Stale,
    Agreeing,
    WithinTolerance,
    InFlight,
    LeavesReach,
    /// The lists arrived in two requests, and the engine has not reported since.
    BeforeItsSay,
    Minor,
    Moderate,
    Critical,
    OtherType,
}

impl Compared {
    fn apply(self, world: &mut World) {
        let now = world.now;
        match self {
            Self::Again => {
                world.tick_to(now + 59.0);
                world.tick()
            }
            Self::BrokerAlone => world.broker("X 100").hear(),
            Self::Stale => {
                world.at(now + 190.0);
                world.complete(Source::Local, now, "X 100");
                world.complete(Source::Broker, now, "X 100");
                world.compare()
            }
            Self::Agreeing => world.both("X 100", "X 100"),
            Self::WithinTolerance => world.both("X 100.5", "X 100"),
            Self::InFlight => world.flow(now - 1.0, "X", "20").both("X 120", "X 100"),
            Self::LeavesReach => {
                world.market.open_buy = decimal("20");
                world.both("X 100", "X 112")
            }
            Self::BeforeItsSay => world.local("X 112").at(now + 1.0).broker("X 100"),
            Self::Minor => world.both(MINOR, "X 100"),
            Self::Moderate => world.both(MODERATE, "X 100"),
            Self::Critical => world.both(CRITICAL, "X 100"),
            Self::OtherType => world.both("", "X 6"),
        };
    }
}

#[test]
fn what_follows_depends_on_the_state_and_the_comparison_alone() {
    let starts: [(&str, &[Compared]); 5] = [
        ("none", &[]),
        ("pending", &[Compared::LeavesReach]),
        ("unconfirmed", &[Compared::Moderate]),
        ("open", &[Compared::Critical]),
        ("reconciling", &[Compared::Minor, Compared::Minor]),
    ];
    let (p12, m12) = ("pending - quantity_mismatch -12", "pending - quantity_mismatch 12");
    let un6 = "unconfirmed moderate quantity_mismatch 6";
    let op12 = "open critical quantity_mismatch 12";
    let re2 = "reconciling minor quantity_mismatch 2";
    let flight = "pending - quantity_mismatch 20";
    let other = "unconfirmed moderate unknown_position -6";
    let half = "within_tolerance - quantity_mismatch 0.5";
    let (min, op6) = ("unconfirmed minor quantity_mismatch 2", "open moderate quantity_mismatch 6");
    let opo = "open moderate unknown_position -6";
    let reo = "reconciling moderate unknown_position -6";
    let table: [(Compared, [&str; 5]); 12] = [
        (Compared::Again, ["none", p12, un6, op12, re2]),
        (Compared::BrokerAlone, ["none", "none", un6, op12, re2]),
        (Compared::Stale, ["none", p12, un6, op12, re2]),
        (Compared::Agreeing, ["none"; 5]),
        (Compared::WithinTolerance, [half; 5]),
        (Compared::InFlight, [flight, flight, un6, op12, re2]),
        (Compared::LeavesReach, [p12, p12, un6, op12, re2]),
        (Compared::BeforeItsSay, [m12, m12, un6, op12, re2]),
        (Compared::Minor, [min, min, re2, "open minor quantity_mismatch 2", re2]),
        (Compared::Moderate, [un6, un6, op6, op6, op6]),
        (Compared::Critical, [op12; 5]),
        (Compared::OtherType, [other, other, other, opo, reo]),
    ];
    for (compared, expect) in table {
        for ((name, start), expect) in starts.iter().zip(expect) {
            let mut world = holding();
            world.settings.drift.auto_reconcile = *name == "reconciling" || expect == re2;
            for step in *start {
                step.apply(&mut world);
                let next = world.now + 10.0;
                world.at(next);
            }
            assert!(world.says("X").starts_with(name), "{name}: {}", world.says("X"));
            world.market.open_buy = Decimal::ZERO;
            compared.apply(&mut world);
            assert_eq!(world.says("X"), expect, "{name}, {compared:?}");
        }
    }
}
