//! The first steps of the README, as a reader would take them: each command gives what is shown.

use std::process::Command;

use crate::exporter::Exporter;

/// A command, and what the README says that it prints; nothing where the README leaves it out.
struct Step {
    command: String,
    shown: String,
}

/// The commands of a section. A command goes on to the end of its heredoc.
fn steps(section: &str) -> Vec<Step> {
    let text = include_str!("../../README.md");
    let (_, text) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let mut in_heredoc = false;
        for line in block.split("```").next().unwrap().lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), shown: String::new() });
                in_heredoc = command.ends_with("<<EOF");
            } else if in_heredoc {
                let step = steps.last_mut().unwrap();
                step.command.extend(["\n", line]);
                in_heredoc = line != "EOF";
            } else {
                steps.last_mut().unwrap().shown.extend([line, "\n"]);
            }
        }
    }
    steps
}

/// Ticks are records too, so sequences depend on how long it took.
fn without_sequence(text: &str) -> String {
    let mut parts = text.trim_end().split("\"sequence\":");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn a_first_event_gives_what_is_shown() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let steps = steps("A first event");
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

/// `curl -d` alone says that it sends a form, and is answered 415.
#[test]
fn commands_that_post_say_what_they_post() {
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
