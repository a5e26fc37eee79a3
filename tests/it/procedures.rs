//! The procedures of the documents, run as they are written.
//!
//! Each section with a command has an entry here: the situation that it describes, and a check of the
//! result. A section without an entry fails, and so does an entry without a section.

mod commands;
mod machine;
mod situations;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use commands::{Section, sections};
pub(crate) use machine::{Machine, Ran};
use situations::{
    agreed, all_halted, damaged, damaged_with_a_copy, drifted, edited, halted_by_hand, lists,
    open_drifts, state, trading, troubled, with_alertmanager,
};

/// How the commands of one section are run.
enum How {
    /// On a machine in a situation, followed by a check.
    Run(fn(&mut Machine), fn(&Machine, &[Ran])),
    /// By another test, which is named.
    Elsewhere(&'static str),
}

use How::{Elsewhere, Run};

type Entry = (&'static str, How);

const OPERATIONS: [Entry; 16] = [
    ("See why", Run(drifted, shows_the_reason)),
    ("Take the broker's side", Run(drifted, is_adopted)),
    ("Accept a difference", Run(drifted, is_accepted)),
    ("Release an account", Run(agreed, |machine, _| assert_eq!(state(machine, "paper"), "active"))),
    (
        "Release all accounts",
        Run(all_halted, |machine, _| {
            assert_eq!(state(machine, "paper"), "active");
            assert_eq!(state(machine, "*"), "active");
        }),
    ),
    (
        "Release although the books differ",
        Run(drifted, |machine, _| {
            assert_eq!(state(machine, "paper"), "active");
            assert_eq!(open_drifts(machine), 1);
        }),
    ),
    (
        "Halt by hand",
        Run(trading, |machine, _| {
            assert_eq!(state(machine, "paper"), "halted");
            assert_eq!(state(machine, "*"), "halted");
        }),
    ),
    ("Who did what", Run(halted_by_hand, |_, ran| assert!(ran[0].printed.contains("a drill")))),
    ("Give out a token", Run(trading, token_is_needed)),
    (
        "Start, stop, reload",
        Run(halted_by_hand, |machine, _| assert_eq!(state(machine, "paper"), "halted")),
    ),
    ("Reload", Run(edited, is_reloaded)),
    ("Upgrade", Run(halted_by_hand, |machine, _| assert_eq!(state(machine, "paper"), "halted"))),
    (
        "Look at it",
        Run(trading, |_, ran| {
            assert!(ran[0].printed.starts_with("ok: records 1 to "));
            assert!(ran[1].printed.contains(r#""fill_id":"F-1""#));
        }),
    ),
    (
        "Back it up",
        Run(halted_by_hand, |machine, ran| {
            assert!(ran[3].printed.starts_with("ok: "));
            assert_eq!(state(machine, "paper"), "halted");
        }),
    ),
    (
        "Restore a copy",
        Run(damaged_with_a_copy, |machine, _| assert_eq!(state(machine, "paper"), "halted")),
    ),
    (
        "Repair",
        Run(damaged, |machine, ran| {
            assert!(ran[1].printed.contains(".dropped"), "{}", ran[1].printed);
            assert_eq!(state(machine, "paper"), "active", "halts are dropped, too");
        }),
    ),
];

/// Sections of the runbooks that change something. All others run together.
const RUNBOOKS: [Entry; 2] = [
    ("Runbooks", Run(with_alertmanager, |machine, _| is_silenced(machine))),
    ("TradingHalted", Run(agreed, |machine, _| assert_eq!(state(machine, "paper"), "active"))),
];

/// The first commands of the README need no situation.
const README: [Entry; 4] = [
    ("Try it", Elsewhere("tests/run demo")),
    ("A first event", Elsewhere("tests/it/readme.rs")),
    ("From Python in five lines", Elsewhere("clients/python/check package, test_readme.py")),
    ("Configuration", Elsewhere("it serves; Reload and Give out a token have the rest")),
];

fn shows_the_reason(_: &Machine, ran: &[Ran]) {
    let [permit, drifts] = ran else { panic!("{} commands", ran.len()) };
    let permit: Value = serde_json::from_str(&permit.printed).unwrap();
    assert_eq!(
        (&permit["state"], &permit["causes"][0]["account"]),
        (&"halted".into(), &"paper".into())
    );
    let drifts: Value = serde_json::from_str(&drifts.printed).unwrap();
    assert!(drifts[0]["attribution"].is_string(), "{drifts}");
}

fn is_adopted(machine: &Machine, _: &[Ran]) {
    assert_eq!(open_drifts(machine), 0);
    assert_eq!(lists(machine, 88, 88), "halted");
    assert_eq!(open_drifts(machine), 0, "the engine reconciled");
    lists(machine, 100, 88);
    assert_eq!(open_drifts(machine), 1, "and the engine reverts it");
}

fn is_accepted(machine: &Machine, _: &[Ran]) {
    assert_eq!(lists(machine, 100, 88), "halted");
    assert_eq!(open_drifts(machine), 0);
    lists(machine, 112, 88);
    assert_eq!(open_drifts(machine), 1, "a further difference is a drift");
}

fn token_is_needed(machine: &Machine, ran: &[Ran]) {
    let permit: Value = serde_json::from_str(&ran.last().unwrap().printed).unwrap();
    assert_eq!(permit["account"], "paper");
    // The reload may take effect a moment after its answer.
    machine::wait_for("the reload", || machine.get("/api/v1/permit?account=paper").status == 401);
    let token = std::fs::read_to_string(machine.path("desk.token")).unwrap();
    let mut desk = crate::exporter::Client::connect(machine.address).with_token(token.trim());
    assert_eq!(desk.send("GET", "/api/v1/permit?account=paper", "").status, 200);
    assert_eq!(desk.send("GET", "/metrics", "").status, 403);
}

fn is_reloaded(machine: &Machine, ran: &[Ran]) {
    assert!(ran[2].printed.contains("config_last_reload_successful 1"), "{}", ran[2].printed);
    let metrics = machine.get("/metrics").body;
    let line = |figure: &str| metrics.lines().any(|line| line.ends_with(figure));
    assert!(line(r#"figure="drift_quantity",severity="critical"} 13.0"#), "{metrics}");
}

fn is_silenced(machine: &Machine) {
    let silences = "amtool --alertmanager.url=http://127.0.0.1:9093 silence query --output=json";
    let step = commands::Step { command: silences.to_owned(), shown: String::new() };
    let silences: Value = serde_json::from_str(&machine.run("", &[step])[0].printed).unwrap();
    let matchers = silences[0]["matchers"].as_array().unwrap();
    assert_eq!(matchers.len(), 4, "{silences}");
    let named = |name: &str| matchers.iter().find(|matcher| matcher["name"] == name).unwrap();
    assert_eq!(named("severity")["isEqual"], false);
}

/// Runs a section, and compares its output with the document.
fn run(machine: &Machine, section: &Section) -> Vec<Ran> {
    let ran = machine.run(&section.title, &section.steps);
    for (step, ran) in section.steps.iter().zip(&ran) {
        if !step.shown.is_empty() {
            assert_eq!(
                without_sequence(&ran.printed),
                without_sequence(&step.shown),
                "{}",
                step.command
            );
        }
    }
    ran
}

/// Hides sequences: ticks are records too, so sequences depend on the duration of the test.
pub(crate) fn without_sequence(text: &str) -> String {
    let mut parts = text.trim_end().split("\"sequence\":");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Runs sections, each on its own machine.
fn follow(sections: &[Section], entries: &[Entry]) {
    let titles: BTreeSet<&str> = sections.iter().map(|section| section.title.as_str()).collect();
    assert_eq!(titles.len(), sections.len(), "two sections of one name");
    let known: BTreeSet<&str> = entries.iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, known, "sections with commands, and entries of tests/it/procedures.rs");
    for section in sections {
        let (_, how) = entries.iter().find(|(title, _)| *title == section.title).unwrap();
        match how {
            Run(situation, holds) => {
                let mut machine = Machine::new();
                situation(&mut machine);
                holds(&machine, &run(&machine, section));
            }
            Elsewhere(place) => assert!(!place.is_empty()),
        }
    }
}

#[test]
fn the_procedures_of_operations_work_as_written() {
    follow(&sections(include_str!("../../docs/operations.md")), &OPERATIONS);
}

#[test]
fn the_procedures_of_runbooks_work_as_written() {
    let mut sections = sections(include_str!("../../docs/runbooks.md"));
    sections.retain(|section| RUNBOOKS.iter().any(|(title, _)| *title == section.title));
    follow(&sections, &RUNBOOKS);
}

/// The queries of the runbooks show something, in an account with every problem.
#[test]
fn the_queries_of_runbooks_show_something() {
    let mut machine = Machine::new();
    troubled(&mut machine);
    let mut shown = 0;
    for section in sections(include_str!("../../docs/runbooks.md")) {
        if RUNBOOKS.iter().any(|(title, _)| *title == section.title) {
            continue;
        }
        let changes = section.steps.iter().any(|step| step.command.contains(" -d "));
        assert!(!changes, "{} changes something: give it an entry", section.title);
        for ran in run(&machine, &section) {
            let text = ran.printed.trim();
            let nothing = text.is_empty() || text == "[]" || text == "{}";
            assert!(!nothing, "{}: $ {}: {text}", section.title, ran.command);
            shown += 1;
        }
    }
    assert!(shown >= 20, "{shown}");
}

#[test]
fn every_command_of_the_readme_is_run() {
    follow(&sections(include_str!("../../README.md")), &README);
}
