//! Every bound of every severity, for each type, long and short.

use super::*;
use crate::domain::pattern::Pattern;
use crate::domain::settings::{DriftRules, Instrument, Override, PerSeverity, Rate, Scoped};

/// The severity and type of one comparison.
fn read(world: &mut World, local: &str, broker: &str) -> (String, String) {
    world.at(world.now + 10.0).both(local, broker);
    let drift = world.drift("X");
    let severity = drift.as_ref().and_then(|d| d.severity).map_or("-", Severity::as_str);
    let kind = drift.as_ref().map_or("none", |d| d.drift_type.as_str());
    (severity.to_owned(), kind.to_owned())
}

#[track_caller]
fn check(local: &str, broker: &str, expect: (&str, &str)) {
    let mut world = world();
    world.settings.drift_rules.default.price_mismatch_max = Severity::Critical;
    let (severity, kind) = read(&mut world, local, broker);
    assert_eq!((severity.as_str(), kind.as_str()), expect, "{local} against {broker}");
}

#[test]
fn bounds_by_quantity_are_inclusive() {
    // One unit has almost no value: quantity alone decides.
    let bounds = [
        ("0.999999999999999999", "-"),
        ("1", "minor"),
        ("1.000000000000000001", "minor"),
        ("4.999999999999999999", "minor"),
        ("5", "moderate"),
        ("5.000000000000000001", "moderate"),
        ("9.999999999999999999", "moderate"),
        ("10", "critical"),
        ("10.000000000000000001", "critical"),
    ];
    for (size, severity) in bounds {
        for sign in [Decimal::ONE, -Decimal::ONE] {
            let amount = decimal(size) * sign;
            let base = Decimal::from(100) * sign;
            check(&format!("X {amount}"), "", (severity, "ghost_position"));
            check("", &format!("X {amount}"), (severity, "unknown_position"));
            let (more, less) = (format!("X {}", base + amount), format!("X {base}"));
            check(&more, &less, (severity, "quantity_mismatch"));
            check(&less, &more, (severity, "quantity_mismatch"));
        }
    }
}

#[test]
fn bounds_by_value_are_inclusive() {
    // A tenth of a unit is below every bound of quantity, so the price decides.
    let bounds = [
        ("99.999999999999999999", "-"),
        ("100", "minor"),
        ("100.000000000000000001", "minor"),
        ("999.999999999999999999", "minor"),
        ("1000", "moderate"),
        ("1000.000000000000000001", "moderate"),
        ("4999.999999999999999999", "moderate"),
        ("5000", "critical"),
        ("5000.000000000000000001", "critical"),
    ];
    for (price, severity) in bounds {
        for sign in ["", "-"] {
            let with = |quantity: &str| format!("X {sign}{quantity}@{price}");
            check(&with("0.1"), "", (severity, "ghost_position"));
            check("", &with("0.1"), (severity, "unknown_position"));
            check(&with("2.1"), &with("2"), (severity, "quantity_mismatch"));
            check(&with("2"), &with("2.1"), (severity, "quantity_mismatch"));
        }
        // A negative price values like a positive one.
        check("X 2.1", &format!("X 2@-{price}"), (severity, "quantity_mismatch"));
    }
}

#[test]
fn bounds_of_a_price_mismatch_are_inclusive() {
    // 10 units: the averages differ by a tenth of the value.
    let bounds = [
        ("0.999999999999999999", "-"),
        ("1", "minor"),
        ("1.000000000000000001", "minor"),
        ("9.999999999999999999", "minor"),
        ("10", "moderate"),
        ("10.000000000000000001", "moderate"),
        ("49.999999999999999999", "moderate"),
        ("50", "critical"),
        ("50.000000000000000001", "critical"),
    ];
    for (gap, severity) in bounds {
        for sign in ["", "-"] {
            let with = |price: Decimal| format!("X {sign}10@{price}");
            let (low, high) = (decimal("100"), decimal("100") + decimal(gap));
            check(&with(high), &with(low), (severity, "price_mismatch"));
            check(&with(low), &with(high), (severity, "price_mismatch"));
        }
    }
}

#[test]
fn averages_within_one_basis_point_agree() {
    // 10,000 units at 100: one basis point is 0.01, worth 100.
    check("X 10000@100.01", "X 10000@100", ("-", "none"));
    check("X 10000@99.99", "X 10000@100", ("-", "none"));
    check("X 10000@100.010000000000000001", "X 10000@100", ("moderate", "price_mismatch"));
    check("X 10000@99.989999999999999999", "X 10000@100", ("moderate", "price_mismatch"));
    // 0 is no average.
    check("X 10000@0.001", "X 10000@0", ("-", "none"));
    check("X 10@-60", "X 10@-100", ("moderate", "price_mismatch"));
}

#[test]
fn a_price_mismatch_needs_two_averages_and_equal_quantities() {
    check("X 100@100", "X 100", ("-", "none"));
    check("X 100", "X 100@100", ("-", "none"));
    check("X 100@100", "X 50@200, X 50@180, X 0@1", ("critical", "price_mismatch"));
    check("X 100@100", "X 150@200, X -50@100", ("-", "none"));
    check("X 100.5@50", "X 100@100", ("minor", "quantity_mismatch"));
}

#[test]
fn a_sign_flip_is_at_least_moderate() {
    check("X 0.1", "X -0.1", ("moderate", "quantity_mismatch"));
    check("X -0.1", "X 0.1", ("moderate", "quantity_mismatch"));
    check("X 2", "X -2", ("moderate", "quantity_mismatch"));
    check("X 5", "X -5", ("critical", "quantity_mismatch"));
    check("X 0.1", "X 0.2", ("-", "quantity_mismatch"));
}

#[test]
fn multiplier_and_rate_make_the_value() {
    let value = |multiplier: i64, rate: Rate| {
        let mut world = world();
        world.settings.instruments.default =
            Instrument { multiplier: multiplier.into(), rate, ..Instrument::default() };
        world.at(10.0).both("X 0.9@100", "X 0.5@100");
        let drift = world.drift("X").expect("a difference");
        let severity = drift.severity.map_or("-", Severity::as_str);
        (drift.value_drift.map(|v| v.to_string()), drift.currency_unknown, severity)
    };
    let some = |text: &str, severity| (Some(text.to_owned()), false, severity);
    assert_eq!(value(1, Rate::Same), some("40", "minor"));
    assert_eq!(value(50, Rate::Same), some("2000", "critical"));
    assert_eq!(value(1, Rate::Fixed(decimal("2.5"))), some("100", "moderate"));
    assert_eq!(value(50, Rate::Unknown), (None, true, "minor"));
}

#[test]
fn overrides_cap_and_relative_test() {
    let rules = |change: &dyn Fn(&mut DriftRules)| {
        let mut rules = DriftRules::default();
        change(&mut rules);
        let wide = DriftRules {
            quantity: PerSeverity {
                minor: 1_000.into(),
                moderate: 2_000.into(),
                critical: 3_000.into(),
            },
            ..DriftRules::default()
        };
        let overrides =
            vec![Override { account: Pattern::any(), symbol: Pattern::new("Y*"), rule: wide }];
        let mut world = world();
        world.settings.drift_rules = Scoped { default: rules, overrides };
        world
    };
    let mut capped = rules(&|_| ());
    assert_eq!(read(&mut capped, "X 10@200", "X 10@100").0, "moderate");
    assert_eq!(read(&mut capped, "X 20@100", "X 10@100").0, "critical", "no other type is capped");

    let mut wide = rules(&|_| ());
    wide.at(10.0).both("YY 900, X 900", "");
    wide.expect("YY", "within_tolerance - ghost_position 900")
        .expect("X", "open critical ghost_position 900");

    let third = Decimal::ONE / Decimal::from(4);
    let relative =
        PerSeverity { minor: third / Decimal::TEN, moderate: third, critical: Decimal::ONE };
    let mut small = rules(&|rules| {
        rules.quantity = PerSeverity { minor: 99.into(), moderate: 99.into(), critical: 99.into() };
        rules.relative = Some(relative);
    });
    assert_eq!(read(&mut small, "X 3", "X 4").0, "moderate", "a quarter of the larger position");
    assert_eq!(read(&mut small, "X 3.01", "X 4").0, "minor");
    assert_eq!(read(&mut small, "X 3.99", "X 4").0, "-");
    assert_eq!(read(&mut small, "", "X 0.001").0, "critical", "all of it");
}

#[test]
fn within_tolerance_is_visible_and_nothing_is_done() {
    let mut world = world();
    world.at(10.0).both("X 100@10", "X 100.5@10");
    world.expect("X", "within_tolerance - quantity_mismatch -0.5").expect_halts(0);
    let drift = world.drift("X").expect("a difference");
    assert_eq!(drift.value_drift, Some(decimal("5")));
    assert_eq!((drift.id, drift.action.as_str()), (0, "none"));
    assert!(world.directives_in_words().is_empty() && world.history().is_empty());
    world.at(20.0).both("X 100@10", "X 100@10").expect("X", "none");
}

#[test]
fn amounts_beyond_the_range_do_not_panic() {
    let huge = "79228162514264337593543950335";
    let mut world = world();
    world.at(10.0).both(&format!("X {huge}@{huge}"), &format!("X -{huge}@{huge}"));
    world.expect("X", &format!("open critical quantity_mismatch {huge}")).expect_halts(1);
    world.flow(11.0, "X", huge).flow(12.0, "X", huge).at(70.0).tick();
}
