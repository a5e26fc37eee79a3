//! Scrape rows: the exposition of a large state, against only writing the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};
use trading_exporter::metrics::{Format, encode, project};

use crate::fold::Fold;
use crate::rounds::{median, median_ratio, take_turns};
use crate::table::{Goal, Row};

/// Approximate number of series.
const SERIES: u64 = 200_000;
/// Orders of each symbol.
const ORDERS: u64 = 10;

/// A state with about `series` series.
pub(crate) fn state(series: u64) -> Fold {
    let trade = |symbols: u64| {
        let mut fold = Fold::new(symbols, 1_000);
        fold.fill(symbols * ORDERS);
        let mut more = String::new();
        for symbol in 0..symbols {
            let quote =
                r#"{"type":"quote","account":"paper","symbol":"SYM@","bid":187.4,"ask":187.5}"#;
            writeln!(more, "{}", quote.replace('@', &format!("{symbol:05}"))).expect("text");
        }
        for source in ["local", "broker"] {
            let row = |symbol: u64| format!(r#"{{"symbol":"SYM{symbol:05}","quantity":"1000"}}"#);
            let rows: Vec<String> = (0..symbols).map(row).collect();
            let rows = rows.join(",");
            writeln!(
                more,
                r#"{{"type":"positions","account":"paper","source":"{source}","positions":[{rows}]}}"#
            )
            .expect("text");
        }
        let records = fold.records(more.as_bytes());
        fold.apply(&records);
        fold.tick();
        fold
    };
    let of_few = samples(&text(&trade(100))).count() as u64;
    let of_more = samples(&text(&trade(200))).count() as u64;
    let of_one = (of_more - of_few) / 100;
    trade((series - of_few) / of_one + 100)
}

fn text(fold: &Fold) -> String {
    encode(&project(&fold.monitor), None, Format::Text)
}

/// The samples of an exposition: name with labels, and value.
fn samples(text: &str) -> impl Iterator<Item = (&str, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series, value.replace("+Inf", "inf").parse().expect("a value")))
}

/// Duration of `work` in milliseconds.
fn millis<T>(work: impl FnOnce() -> T) -> f64 {
    let started = Instant::now();
    std::hint::black_box(work());
    started.elapsed().as_secs_f64() * 1e3
}

/// Writes the same bytes from cached names and labels.
fn write_cached(series: &[(String, f64)], bytes: usize) -> String {
    let mut out = String::with_capacity(bytes);
    for (labels, value) in series {
        out.push_str(labels);
        out.push(' ');
        if value.fract() == 0.0 && value.abs() < 1e15 {
            write!(out, "{value:.1}").expect("text");
        } else {
            write!(out, "{value:?}").expect("text");
        }
        out.push('\n');
    }
    out
}

/// A registry of the crate `prometheus` with the same series, as gauges.
fn registry(text: &str) -> Registry {
    let registry = Registry::new();
    let mut families: BTreeMap<String, GaugeVec> = BTreeMap::new();
    for (series, value) in samples(text) {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels: Vec<(&str, &str)> = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|pair| pair.split_once("=\""))
            .map(|(name, value)| (name, value.trim_end_matches('"')))
            .collect();
        let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = labels.iter().map(|(_, value)| *value).collect();
        let family = families.entry(name.to_owned()).or_insert_with(|| {
            let family = GaugeVec::new(Opts::new(name, "A series of the comparison."), &names);
            let family = family.expect("a family");
            registry.register(Box::new(family.clone())).expect("a new name");
            family
        });
        family.with_label_values(&values).set(value);
    }
    registry
}

fn encode_registry(registry: &Registry) -> Vec<u8> {
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out).expect("text");
    out
}

/// Projection and encoding together, as in a scrape.
pub(crate) fn scrape() -> Vec<Row> {
    let fold = state(SERIES);
    let exposition = text(&fold);
    let cached: Vec<(String, f64)> =
        samples(&exposition).map(|(series, value)| (series.to_owned(), value)).collect();
    let registry = registry(&exposition);
    let [ours, written, theirs] = take_turns([
        &mut || millis(|| text(&fold)),
        &mut || millis(|| write_cached(&cached, exposition.len())),
        &mut || millis(|| encode_registry(&registry)),
    ]);
    let copied = median((0..9).map(|_| millis(|| project(&fold.monitor))));
    let time = |times: &[f64]| format!("{:.1} ms", median(times.iter().copied()));
    let row = |against: &str, theirs: &[f64], ratio, goal| Row {
        what: format!("scrape of {} series", crate::table::thousands(count(cached.len()))),
        ours: time(&ours),
        against: against.to_owned(),
        theirs: time(theirs),
        ratio,
        goal,
        note: format!("{copied:.1} ms of it: copying the state under the lock"),
    };
    vec![
        row(
            "writing the same bytes from cached labels",
            &written,
            median_ratio(&ours, &written),
            Goal::AtMost(3.0),
        ),
        row(
            "GaugeVec and TextEncoder of the crate prometheus (ratio inverted)",
            &theirs,
            median_ratio(&theirs, &ours),
            Goal::AtLeast(10.0),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn count(of: usize) -> f64 {
    of as f64
}
