//! `trading-exporter.example.yml`, held equal to the code: its defaults, and every field.

use super::section::Report;
use super::*;

const EXAMPLE: &str = include_str!("../../trading-exporter.example.yml");

/// A line that the prose of the example may not be taken for.
enum Line<'t> {
    Prose,
    /// A field with its default.
    Default(&'t str),
    /// Part of a sample.
    Sample(&'t str),
}

fn lines() -> impl Iterator<Item = Line<'static>> {
    EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        None => {
            assert!(line.is_empty(), "only comments: {line}");
            Line::Prose
        }
        Some("") => Line::Prose,
        Some(rest) if rest.starts_with(' ') && !rest.starts_with("  ") => Line::Prose,
        Some(rest) => rest.strip_prefix('#').map_or(Line::Default(rest), Line::Sample),
    })
}

/// The field of a line with its indentation: `  orders`.
fn field(line: &str) -> &str {
    line.split(':').next().unwrap_or(line)
}

/// What a reader has after taking away the `#` of every default.
fn defaults() -> String {
    let defaults = lines().filter_map(|line| match line {
        Line::Default(text) => Some(format!("{text}\n")),
        Line::Prose | Line::Sample(_) => None,
    });
    defaults.collect()
}

/// The same with the samples, each in place of the default of its field.
fn everything() -> String {
    let mut text: Vec<&str> = Vec::new();
    for line in lines() {
        match line {
            Line::Prose => {}
            Line::Default(line) => text.push(line),
            Line::Sample(line) => {
                if text.last().is_some_and(|last| field(last) == field(line)) {
                    text.pop();
                }
                text.push(line);
            }
        }
    }
    text.join("\n")
}

fn check(text: &str) -> (Config, Report) {
    let directory = tempfile::tempdir().expect("a directory");
    let secrets = directory.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::write(secrets.join("desk.sha256"), "d".repeat(64)).expect("written");
    std::fs::write(secrets.join("tokens.yml"), "[]").expect("written");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for name in ["engine", "supervisor", "supervisor-before"] {
        std::fs::write(secrets.join(format!("{name}.whsec")), secret).expect("written");
    }
    let environment =
        Environment { directory: directory.path().to_owned(), overrides: Overrides::default() };
    let report = Report::default();
    let config = read_checked(text, &environment, &report);
    (config, report)
}

#[test]
fn the_example_says_the_defaults() {
    for text in [EXAMPLE.to_owned(), defaults()] {
        let (config, report) = check(&text);
        assert_eq!(report.into_mistakes(), [], "{text}");
        assert_eq!(config, Config::default());
    }
}

#[test]
fn the_example_names_every_field() {
    let text = everything();
    let (config, report) = check(&text);
    let fields = report.fields.borrow().clone();
    assert_eq!(report.into_mistakes(), [], "{text}");
    let missing: Vec<&String> =
        fields.iter().filter(|(_, present)| !**present).map(|(name, _)| name).collect();
    assert!(missing.is_empty(), "not in the example: {missing:?}");
    assert!(fields.contains_key("drift.overrides[].quantity.minor"), "{fields:?}");
    assert_eq!((config.tokens.len(), config.probes.len(), config.webhooks.len()), (2, 5, 2));
}

#[test]
fn every_default_stands_alone() {
    // Each field of one line, with the sections above it and nothing else: so people edit.
    let mut above: Vec<&str> = Vec::new();
    for line in lines() {
        let Line::Default(line) = line else { continue };
        let depth = (line.len() - line.trim_start().len()) / 2;
        above.truncate(depth);
        let text = format!("{}\n{line}\n", above.join("\n"));
        let (config, report) = check(&text);
        assert_eq!(report.into_mistakes(), [], "{text}");
        assert_eq!(config, Config::default(), "{text}");
        if line.ends_with(':') {
            above.push(line);
        }
    }
}
