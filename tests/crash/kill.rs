//! kill -9 under load, and right after a halt was answered.

use crate::Rounds;
use crate::exporter::Exporter;
use crate::load::{ClientReport, Home, Load, Plan, Random};

const STORAGE: &str = "  segment_bytes: 256KiB\n";

/// Kills exporters on the same journal repeatedly, at different moments.
pub(crate) fn at_random_moments(rounds: &Rounds) -> String {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::in_directory(directory.path(), directory.path(), STORAGE);
    let (mut random, mut report) = (Random(1), ClientReport::default());
    let rounds = rounds.of(30);
    for round in 0..rounds {
        let exporter = Exporter::start(&home.config);
        let lost = home.check(&exporter, &report);
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        let plan = Plan {
            name: format!("r{round}"),
            clients: 4,
            orders_per_request: 1 + usize::try_from(random.below(8)).unwrap(),
            requests_max: usize::MAX,
        };
        let load = Load::start(exporter.address, &plan);
        load.wait_for(1 + random.below(120));
        exporter.kill();
        report.add(load.ended());
    }
    let lost = home.check(&Exporter::start(&home.config), &report);
    assert!(lost.is_empty(), "lost {lost:?}");
    format!(
        "kill -9 under load: {rounds} rounds, {} orders acknowledged, {} on their way; lost: nothing",
        report.acknowledged.len(),
        report.unsure.len()
    )
}

/// Kills the exporter less than a millisecond after its answer.
pub(crate) fn right_after_a_halt(rounds: &Rounds) -> String {
    let rounds = rounds.of(10);
    let directory = tempfile::tempdir().unwrap();
    let home = Home::in_directory(directory.path(), directory.path(), STORAGE);
    for round in 0..rounds {
        let exporter = Exporter::start(&home.config);
        let reason = format!("halt number {round}");
        let body = format!(
            r#"{{"account":"a{round}","state":"halted","actor":"jo","reason":"{reason}"}}"#
        );
        let answer = exporter.client().send("POST", "/api/v1/halts", &body).unwrap();
        exporter.kill();
        assert_eq!(answer.status, 201, "{answer:?}");
        let exporter = Exporter::start(&home.config);
        for earlier in 0..=round {
            let get = |path: String| exporter.client().send("GET", &path, "").unwrap().body;
            let permit = get(format!("/api/v1/permit?account=a{earlier}"));
            assert!(permit.contains(r#""state":"halted""#), "round {round}: {permit}");
            let audit = get(format!("/api/v1/audit?account=a{earlier}"));
            assert!(audit.contains(&format!("halt number {earlier}")), "round {round}: {audit}");
        }
    }
    format!("kill -9 right after a halt: {rounds} rounds; halts or audit records lost: none")
}
