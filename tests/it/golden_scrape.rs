//! Golden scrapes: a few recorded events, folded and exposed in both formats.

use std::sync::Arc;

use trading_exporter::domain::ids::{Account, Actor, Symbol};
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Decision, Entry, Record, Verdict};
use trading_exporter::domain::settings::{BreakdownSettings, Settings};
use trading_exporter::metrics::{Format, encode, project};
use trading_exporter::wire::decode::{DecodeLimits, decode_ndjson};

/// A monitor that applied events in this order, each received at its own time.
pub(crate) fn fold(ndjson: &str) -> Monitor {
    let breakdowns = BreakdownSettings { strategy: true, venue: true };
    let settings = Settings { breakdowns, ..Settings::default() };
    let mut monitor = Monitor::new(Arc::new(settings));
    let decoded = decode_ndjson(ndjson.as_bytes(), &DecodeLimits::default()).expect("events");
    assert!(decoded.refused.is_empty(), "{:?}", decoded.refused);
    let mut directives = Vec::new();
    for (sequence, (_, event)) in (1..).zip(decoded.events) {
        let received_at = event.time.expect("a time").max(monitor.now());
        let entry = Entry::Event(event);
        let record = Record { sequence, received_at, more: false, entry };
        assert_eq!(monitor.apply(&record, &mut directives), Verdict::Accepted, "{record:?}");
    }
    monitor
}

#[test]
fn retiring_a_symbol_removes_its_series_and_no_others() {
    let events = [
        r#"{"type":"quote","symbol":"GONE","price":1,"time":1795357800}"#,
        r#"{"type":"quote","symbol":"STAYS","price":2,"time":1795357800}"#,
        r#"{"type":"positions","source":"broker","time":1795357801,
            "positions":[{"symbol":"STAYS","quantity":7}]}"#,
    ];
    let mut monitor = fold(&events.map(|event| event.replace('\n', " ")).join("\n"));
    let retire = Decision::Retire {
        account: Account::default(),
        symbol: Symbol::new("GONE").ok(),
        component: None,
        by: Actor::new("operator").expect("a name").into(),
    };
    let (sequence, received_at) = (monitor.sequence() + 1, monitor.now());
    let record = Record { sequence, received_at, more: false, entry: Entry::Decision(retire) };
    let before = encode(&project(&monitor), None, Format::Text);
    assert!(before.contains("symbol=\"GONE\""), "{before}");
    let verdict = monitor.apply(&record, &mut Vec::new());
    assert!(matches!(verdict, Verdict::Decided { .. }), "{verdict:?}");
    let after = encode(&project(&monitor), None, Format::Text);
    assert!(!after.contains("GONE"), "{after}");
    let position =
        "trading_position_quantity{account=\"default\",symbol=\"STAYS\",book=\"broker\"} 7.0";
    assert!(after.lines().any(|line| line == position), "{after}");
}

#[test]
fn a_session_in_text() {
    let monitor = fold(include_str!("../fixtures/scrape/events.ndjson"));
    insta::assert_snapshot!(encode(&project(&monitor), None, Format::Text));
}

#[test]
fn a_session_in_openmetrics() {
    let monitor = fold(include_str!("../fixtures/scrape/events.ndjson"));
    insta::assert_snapshot!(encode(&project(&monitor), None, Format::OpenMetrics));
}

#[test]
fn nothing_known_in_text() {
    let monitor = Monitor::new(Arc::new(Settings::default()));
    insta::assert_snapshot!(encode(&project(&monitor), None, Format::Text));
}
