//! An hour of a real engine's order flow, sent through the API: the figures of `/metrics` and of
//! `/api/v1/execution` are exactly those of an independent model.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use crate::exporter::{Client, Exporter};

/// Lines per request.
const PER_REQUEST: usize = 500;
/// Tolerance of a mean against the model.
const NEAR: f64 = 1e-9;

/// The recorded events, one per line.
pub(crate) fn recorded() -> Vec<String> {
    let bytes = include_bytes!("../fixtures/session/events.ndjson.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn expected() -> Value {
    serde_json::from_str(include_str!("../fixtures/session/expected.json")).unwrap()
}

/// Sends lines in order. Returns the numbers of accepted events and of duplicates.
fn send(exporter: &Exporter, lines: &[String]) -> (u64, u64) {
    let mut client = Client::connect(exporter.address);
    let mut counts = (0, 0);
    for lines in lines.chunks(PER_REQUEST) {
        let body = format!("[{}]", lines.join(","));
        let answer = client.send("POST", "/api/v1/events", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let receipt = answer.json();
        counts.0 += receipt["accepted"].as_u64().unwrap();
        counts.1 += receipt["duplicates"].as_u64().unwrap();
    }
    counts
}

/// The samples of a scrape: series as written, and value.
fn scrape(exporter: &Exporter) -> BTreeMap<String, f64> {
    let text = exporter.get("/metrics").body;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').unwrap());
    samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

/// The compared scopes: the whole account (no symbol) and each of its symbols.
fn scopes(expected: &Value) -> Vec<(Option<&str>, &Value)> {
    let symbols = expected["symbols"].as_object().unwrap();
    let symbols = symbols.iter().map(|(name, figures)| (Some(name.as_str()), figures));
    std::iter::once((None, &expected["account"])).chain(symbols).collect()
}

fn execution(exporter: &Exporter, symbol: Option<&str>) -> Value {
    let symbol = symbol.map(|s| format!("&symbol={}", s.replace('/', "%2F"))).unwrap_or_default();
    let answer = exporter.get(&format!("/api/v1/execution?account=paper{symbol}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The labels of a scope, and the prefix of its gauges.
fn series(symbol: Option<&str>) -> (String, &'static str) {
    match symbol {
        Some(symbol) => (format!("account=\"paper\",symbol=\"{symbol}\""), "trading_"),
        None => ("account=\"paper\"".to_owned(), "trading_account_"),
    }
}

fn near(want: &Value, got: f64, what: &str) {
    let want = want.as_f64().unwrap();
    assert!((want - got).abs() <= NEAR, "{what}: {got}, not {want}");
}

/// Counters equal those of the model. Outcomes that an order left again do not count.
fn check_counters(exporter: &Exporter) {
    let (expected, samples) = (expected(), scrape(exporter));
    for (symbol, figures) in scopes(&expected) {
        let counters = execution(exporter, symbol)["counters"].take();
        for (name, want) in figures["counters"].as_object().unwrap() {
            let left = counters["left"][name].as_u64().unwrap_or(0);
            let got = counters[name].as_u64().unwrap();
            assert_eq!(Some(got - left), want.as_u64(), "{symbol:?} {name}");
            let family = match name.as_str() {
                "open" => "trading_orders_open".to_owned(),
                "fills" => "trading_fills_total".to_owned(),
                name => format!("trading_orders_{name}_total"),
            };
            let prefix = match symbol {
                Some(_) => format!("{family}{{{}}}", series(symbol).0),
                None => format!("{family}{{"),
            };
            let of_scope = samples.iter().filter(|(series, _)| series.starts_with(&prefix));
            let sum: f64 = of_scope.map(|(_, value)| value).sum();
            #[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
            let exposed = got as f64;
            assert_eq!(exposed.total_cmp(&sum), std::cmp::Ordering::Equal, "{prefix} {sum}");
        }
    }
}

fn check_windows(exporter: &Exporter) {
    let (expected, samples) = (expected(), scrape(exporter));
    for (symbol, figures) in scopes(&expected) {
        let window = execution(exporter, symbol)["window"].take();
        let (labels, prefix) = series(symbol);
        for (name, want) in figures["window"].as_object().unwrap() {
            if symbol.is_none() && name == "quantity_fill_ratio" {
                // Quantities of different symbols are never added, though the model adds them.
                assert!(window[name].is_null(), "{name}");
                continue;
            }
            let got = window[name].as_f64().unwrap();
            if want.is_u64() || name.ends_with("_ratio") {
                assert_eq!(Some(got), want.as_f64(), "{symbol:?} {name}");
            } else {
                near(want, got, name);
            }
            let series = match name.as_str() {
                "samples" => format!("{prefix}window_orders{{{labels}}}"),
                "fill_ratio" | "rejection_ratio" | "fill_time_seconds_mean" => {
                    format!("{prefix}{name}{{{labels}}}")
                }
                "slippage_bps" => format!("{prefix}{name}{{{labels},reference=\"expected\"}}"),
                "touch_ratio" | "quantity_fill_ratio" if symbol.is_some() => {
                    format!("{prefix}{name}{{{labels}}}")
                }
                "slippage_weighted_bps" if symbol.is_some() => {
                    format!("{prefix}{name}{{{labels},reference=\"expected\"}}")
                }
                _ => continue,
            };
            near(want, *samples.get(&series).expect(&series), &series);
        }
    }
}

fn check_ledgers(exporter: &Exporter) {
    let (expected, samples) = (expected(), scrape(exporter));
    for (symbol, figures) in expected["symbols"].as_object().unwrap() {
        let ledger = figures["ledger"].as_str().unwrap();
        assert_eq!(execution(exporter, Some(symbol))["ledger"].as_str(), Some(ledger));
        let labels = format!("account=\"paper\",symbol=\"{symbol}\",book=\"ledger\"");
        let exposed = samples[&format!("trading_position_quantity{{{labels}}}")];
        assert_eq!(Some(exposed), ledger.parse().ok(), "{symbol}");
    }
}

#[test]
fn as_recorded() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let lines = recorded();
    assert_eq!(send(&exporter, &lines), (lines.len() as u64, 0));
    check_counters(&exporter);
    check_windows(&exporter);
    check_ledgers(&exporter);
    // All is sent again, and nothing changes.
    let before = execution(&exporter, None);
    assert_eq!(send(&exporter, &lines), (0, lines.len() as u64));
    assert_eq!(execution(&exporter, None), before);
}

#[test]
fn every_event_twice() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let lines: Vec<String> = recorded().into_iter().flat_map(|l| [l.clone(), l]).collect();
    let half = lines.len() as u64 / 2;
    assert_eq!(send(&exporter, &lines), (half, half));
    check_counters(&exporter);
    check_windows(&exporter);
    check_ledgers(&exporter);
}

/// Reverses the events of each order among their positions.
fn reversed(lines: &[String]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        places.entry(event["order_id"].as_str().unwrap().to_owned()).or_default().push(place);
    }
    let mut reversed = lines.to_vec();
    for places in places.values() {
        for (to, from) in places.iter().zip(places.iter().rev()) {
            reversed[*to].clone_from(&lines[*from]);
        }
    }
    reversed
}

#[test]
fn each_orders_own_events_reversed() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let lines = recorded();
    assert_eq!(send(&exporter, &reversed(&lines)), (lines.len() as u64, 0));
    check_counters(&exporter);
    check_ledgers(&exporter);
}
