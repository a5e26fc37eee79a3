//! The first steps of the README: each command gives the shown output.

use std::process::Command;

use crate::exporter::Exporter;
use crate::procedures::{sections, without_sequence};

#[test]
fn a_first_event_gives_the_shown_output() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let mut sections = sections(include_str!("../../README.md"));
    sections.retain(|section| section.title == "A first event");
    let steps = sections.pop().unwrap().steps;
    assert!(steps[0].command.starts_with("cargo run"), "{}", steps[0].command);
    assert!(steps[1].command.starts_with("t="), "{}", steps[1].command);
    let clock = steps[1].command.clone();
    let mut shown = 0;
    for step in &steps[2..] {
        let command = step.command.replace("127.0.0.1:10471", &exporter.address.to_string());
        let output = Command::new("bash").args(["-c", &format!("{clock}\n{command}")]).output();
        let output = output.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}: {printed}");
        if !step.shown.is_empty() {
            assert_eq!(without_sequence(&printed), without_sequence(&step.shown), "{command}");
            shown += 1;
        }
    }
    assert_eq!(shown, 3);
}

/// `curl -d` alone sends the content type of a form, which is answered with 415.
#[test]
fn commands_that_post_set_their_content_type() {
    let texts = [
        include_str!("../../README.md"),
        include_str!("../../docs/operations.md"),
        include_str!("../../docs/http-api.md"),
    ];
    let mut posts = 0;
    for command in texts.iter().flat_map(|text| text.split("$ curl ").skip(1)) {
        let command = command.split("```").next().unwrap().split("\n$ ").next().unwrap();
        if command.contains(" -d ") || command.contains("--data") {
            assert!(command.contains("Content-Type: application/"), "{command}");
            posts += 1;
        }
    }
    assert!(posts >= 5, "{posts}");
}
