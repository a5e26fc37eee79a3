//! Checks that `trading-exporter.example.yml` shows every field and the defaults of the code.

use super::section::MistakeReport;
use super::*;

const EXAMPLE: &str = include_str!("../../trading-exporter.example.yml");

/// A line of the example.
enum ExampleLine<'t> {
    Prose,
    /// A field with its default.
    Default(&'t str),
    /// Part of a sample.
    Sample(&'t str),
}

fn lines() -> impl Iterator<Item = ExampleLine<'static>> {
    EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        None => {
            assert!(line.is_empty(), "only comments: {line}");
            ExampleLine::Prose
        }
        Some("") => ExampleLine::Prose,
        Some(rest) if rest.starts_with(' ') && !rest.starts_with("  ") => ExampleLine::Prose,
        Some(rest) => {
            rest.strip_prefix('#').map_or(ExampleLine::Default(rest), ExampleLine::Sample)
        }
    })
}

/// The field of a line with its indentation: `  orders`.
fn field(line: &str) -> &str {
    line.split(':').next().unwrap_or(line)
}

/// The text after removing the `#` of every default.
fn defaults() -> String {
    let defaults = lines().filter_map(|line| match line {
        ExampleLine::Default(text) => Some(format!("{text}\n")),
        ExampleLine::Prose | ExampleLine::Sample(_) => None,
    });
    defaults.collect()
}

/// The defaults with each sample in place of the default of its field.
fn everything() -> String {
    let mut text: Vec<&str> = Vec::new();
    for line in lines() {
        match line {
            ExampleLine::Prose => {}
            ExampleLine::Default(line) => text.push(line),
            ExampleLine::Sample(line) => {
                if text.last().is_some_and(|last| field(last) == field(line)) {
                    text.pop();
                }
                text.push(line);
            }
        }
    }
    text.join("\n")
}

fn check(text: &str) -> (Config, MistakeReport) {
    let directory = tempfile::tempdir().expect("a directory");
    let secrets = directory.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::write(secrets.join("desk.sha256"), "d".repeat(64)).expect("written");
    std::fs::write(secrets.join("tokens.yml"), "[]").expect("written");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for name in ["mqtt", "redis"] {
        let file = secrets.join(format!("{name}.password"));
        std::fs::write(file, "s3cret").expect("written");
    }
    for name in [
        "account.key",
        "binance.key",
        "binance.secret",
        "okx.passphrase",
        "okx.key",
        "okx.secret",
        "coinbase.id",
        "alpaca.id",
        "alpaca.secret",
        "freqtrade.password",
    ] {
        std::fs::write(secrets.join(name), format!("canary of {name}\n")).expect("written");
    }
    let authority =
        rcgen::generate_simple_self_signed([String::from("ca")]).expect("a certificate");
    std::fs::write(secrets.join("ca.pem"), authority.cert.pem()).expect("written");
    let key = rcgen::KeyPair::generate().expect("a key");
    std::fs::write(secrets.join("coinbase.pem"), key.serialize_pem()).expect("written");
    for name in ["engine", "supervisor", "supervisor-before"] {
        std::fs::write(secrets.join(format!("{name}.whsec")), secret).expect("written");
    }
    let environment =
        Environment { directory: directory.path().to_owned(), overrides: Overrides::default() };
    let report = MistakeReport::default();
    let config = read_checked(text, &environment, &report);
    (config, report)
}

#[test]
fn the_example_shows_the_defaults() {
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
    assert_eq!(config.feeds.len(), 3);
    assert_eq!(config.position_sources.len(), 5);
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
}

#[test]
fn every_default_is_valid_alone() {
    // Each field of one line, with the sections above it and nothing else: so people edit.
    let mut above: Vec<&str> = Vec::new();
    for line in lines() {
        let ExampleLine::Default(line) = line else { continue };
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
