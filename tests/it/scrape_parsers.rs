//! Scrapes read by other programs: promtool, and the reference parsers in Python.
//!
//! The names in the scrape need every kind of escaping.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};
use std::process::{Command, Stdio};

use trading_exporter::metrics::{Build, Format, Runtime, encode, project};

use crate::golden_scrape::fold;

/// Valid names that need escaping.
const HOSTILE: [&str; 8] = [
    "quote\"inside",
    "\"",
    "ends in a backslash\\",
    "\\\"",
    "\\n is no line feed",
    "a{b=\"c\",d} # {order_id=\"e\"} 1",
    "=,}{ #",
    "日経225 €uro",
];

/// A sample from the reference parser: name, labels, value, order id of its exemplar.
type Sample = (String, BTreeMap<String, String>, String, Option<String>);

/// All events of one order, and a position, for each pair of hostile names.
fn scrape(format: Format) -> String {
    let mut lines = String::new();
    for (account, symbol) in HOSTILE.iter().zip(HOSTILE.iter().rev()) {
        let (account, name) = (serde_json::json!(account), serde_json::json!(symbol));
        let mut event = |body: &str| {
            let line =
                format!("{{\"account\":{account},\"time\":\"2026-11-22T14:30:00Z\",{body}}}");
            lines.extend([&line, "\n"]);
        };
        event(&format!("\"type\":\"heartbeat\",\"component\":{name}"));
        event(&format!(
            "\"type\":\"order_submitted\",\"order_id\":{name},\"symbol\":{name},\"side\":\"buy\",\
             \"quantity\":1,\"expected_price\":10,\"strategy\":{name},\"venue\":{name}"
        ));
        event(&format!(
            "\"type\":\"order_filled\",\"order_id\":{name},\"price\":11,\"quantity\":1,\
             \"fee\":1,\"fee_currency\":{name}"
        ));
        event(&format!(
            "\"type\":\"positions\",\"source\":\"broker\",\
             \"positions\":[{{\"symbol\":{name},\"quantity\":1}}]"
        ));
    }
    let build = Build { version: "0.1.0", revision: "unknown", rustversion: "unknown" };
    let runtime = Runtime::new(&build).expect("a registry");
    encode(&project(&fold(&lines)), Some(&runtime), format)
}

/// Runs a tool on `input` and returns its output. A missing tool fails the test.
fn run(command: &mut Command, input: &str) -> String {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(input.as_bytes()).expect("room for the input");
    file.rewind().expect("a file that seeks");
    let output = command.stdin(Stdio::from(file)).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {err}\n{input}");
    out.expect("UTF-8")
}

/// The samples from the reference parser of that format.
fn read(format: &str, input: &str) -> Vec<Sample> {
    #[expect(clippy::disallowed_methods, reason = "the environment names the interpreter")]
    let python = std::env::var("TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/exposition_samples.py");
    let json = run(Command::new(python).args([script, format]), input);
    serde_json::from_str(&json).expect("a list of samples")
}

fn values<'a>(samples: &'a [Sample], label: &str) -> BTreeSet<&'a str> {
    samples.iter().filter_map(|(_, labels, ..)| labels.get(label)).map(String::as_str).collect()
}

#[test]
fn promtool_finds_no_problem() {
    let said = run(Command::new("promtool").args(["check", "metrics"]), &scrape(Format::Text));
    assert_eq!(said, "");
}

#[test]
fn the_reference_parsers_read_the_same_names_in_both_formats() {
    let text = read("text", &scrape(Format::Text));
    let open = read("openmetrics", &scrape(Format::OpenMetrics));
    for samples in [&text, &open] {
        for label in ["account", "symbol", "strategy", "venue", "component", "currency"] {
            let values = values(samples, label);
            let missing: Vec<_> = HOSTILE.iter().filter(|name| !values.contains(**name)).collect();
            assert!(missing.is_empty(), "{label}: {missing:?} of {values:?}");
        }
    }
    // Metrics of the process differ between two scrapes.
    let of_state = |samples: &[Sample]| -> BTreeSet<_> {
        let state = samples.iter().filter(|(name, ..)| !name.starts_with("process_"));
        state
            .map(|(name, labels, value, _)| (name.clone(), labels.clone(), value.clone()))
            .collect()
    };
    assert_eq!(of_state(&text), of_state(&open));
}

#[test]
fn exemplars_are_read_from_openmetrics() {
    let open = read("openmetrics", &scrape(Format::OpenMetrics));
    let orders: BTreeSet<_> = open.iter().filter_map(|(.., order)| order.as_deref()).collect();
    let expect: BTreeSet<_> = HOSTILE.into_iter().filter(|name| !name.contains('"')).collect();
    assert_eq!(orders, expect);
    let text = read("text", &scrape(Format::Text));
    assert!(text.iter().all(|(.., order)| order.is_none()));
}
