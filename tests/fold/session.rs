//! An hour of a real engine's order flow gives exactly the figures of an independent model: as
//! recorded, with every event sent twice, and with the events of each order shuffled.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;
use trading_exporter::domain::account::AccountState;
use trading_exporter::domain::event::{Body, Event};
use trading_exporter::domain::execution::ExecutionScope;
use trading_exporter::domain::execution::counters::Outcome;
use trading_exporter::domain::ids::Symbol;
use trading_exporter::domain::record::Verdict;
use trading_exporter::domain::settings::Settings;

use crate::flow::{Fold, decode};

pub(crate) fn recorded() -> Vec<Event> {
    let bytes = include_bytes!("../fixtures/session/events.ndjson.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("a gzip file");
    decode(&text)
}

fn expected() -> Value {
    serde_json::from_str(include_str!("../fixtures/session/expected.json")).expect("JSON")
}

fn replay(events: impl IntoIterator<Item = Event>) -> Fold {
    let mut fold = Fold::new(Settings::default());
    for event in events {
        fold.event(event);
    }
    fold
}

fn account(fold: &Fold) -> &AccountState {
    fold.monitor.account("paper").expect("the account")
}

/// The counters of one scope, named as in the expectation.
fn counters(scope: &ExecutionScope, open: u64) -> BTreeMap<String, u64> {
    let counters = scope.counters();
    let mut named: BTreeMap<String, u64> =
        Outcome::ALL.map(|o| (o.as_str().to_owned(), counters.outcomes[o])).into();
    named.insert("submitted".to_owned(), counters.submitted);
    named.insert("accepted".to_owned(), counters.accepted);
    named.insert("fills".to_owned(), counters.fills);
    named.insert("open".to_owned(), open);
    named
}

fn expected_counters(expected: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(expected["counters"].clone()).expect("counters")
}

fn check_window(scope: &ExecutionScope, expected: &Value, name: &str) {
    let window = &expected["window"];
    let figures = scope.figures();
    let count = |field: &str, value: usize| {
        assert_eq!(window[field].as_u64(), Some(value as u64), "{name} {field}");
    };
    count("samples", figures.samples);
    count("filled", figures.filled);
    count("rejected", figures.rejected);
    count("cancelled", figures.cancelled);
    count("expired", figures.expired);
    count("slippage_samples", figures.slippage[0].samples);
    let exact = |field: &str, value: Option<f64>| {
        assert_eq!(window[field].as_f64(), value, "{name} {field}");
    };
    exact("fill_ratio", figures.fill_ratio);
    exact("rejection_ratio", figures.rejection_ratio);
    exact("touch_ratio", figures.touch_ratio);
    exact("quantity_fill_ratio", figures.quantity_fill_ratio);
    let near = |field: &str, value: Option<f64>| {
        let (want, got) = (window[field].as_f64().expect(field), value.expect(field));
        assert!((want - got).abs() < 1e-9, "{name} {field}: {got}, not {want}");
    };
    near("slippage_bps", figures.slippage[0].mean_bps);
    near("slippage_weighted_bps", figures.slippage[0].weighted_bps);
    near("fill_time_seconds_mean", figures.fill_time.seconds);
}

fn check_all(fold: &Fold) {
    let (account, expected) = (account(fold), expected());
    let whole = account.execution.whole();
    let open = account.execution.open_orders_total();
    assert_eq!(counters(whole, open), expected_counters(&expected["account"]));
    check_window(whole, &expected["account"], "account");
    let symbols = expected["symbols"].as_object().expect("symbols");
    assert_eq!(symbols.len(), account.symbols.len());
    for (name, expected) in symbols {
        let key = account.symbols.get(&Symbol::new(name).expect("a symbol")).expect(name);
        let scope = account.execution.symbol(key).expect(name);
        let open = account.execution.open_orders(key);
        assert_eq!(counters(scope, open), expected_counters(expected), "{name}");
        check_window(scope, expected, name);
    }
    check_ledgers(fold);
}

fn check_ledgers(fold: &Fold) {
    let (account, expected) = (account(fold), expected());
    let ledgers: BTreeMap<String, String> = account
        .books
        .positions(&account.symbols)
        .map(|p| (p.symbol.as_str().to_owned(), p.ledger.normalize().to_string()))
        .collect();
    let symbols = expected["symbols"].as_object().expect("symbols");
    let wanted = symbols
        .iter()
        .map(|(name, e)| (name.clone(), e["ledger"].as_str().expect("a ledger").to_owned()));
    assert_eq!(ledgers, wanted.collect());
}

#[test]
fn as_recorded() {
    check_all(&replay(recorded()));
}

#[test]
fn every_event_twice() {
    let mut fold = Fold::new(Settings::default());
    for event in recorded() {
        assert_eq!(fold.event(event.clone()), Verdict::Accepted);
        assert_eq!(fold.event(event), Verdict::Duplicate);
    }
    check_all(&fold);
    let again = recorded().into_iter().map(|event| fold.event(event));
    assert!(again.into_iter().all(|verdict| verdict == Verdict::Duplicate));
    check_all(&fold);
}

/// The order id of an event. The session has only order events.
fn order_id(event: &Event) -> String {
    let Body::Order(order_event) = &event.body else { panic!("not in the session: {event:?}") };
    order_event.order.order_id.to_string()
}

/// Permutes the events of each order among their positions.
fn shuffled(events: &[Event], seed: u64) -> Vec<Event> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        places.entry(order_id(event)).or_default().push(place);
    }
    let mut shuffled = events.to_vec();
    let mut state = seed;
    for places in places.values() {
        let mut order: Vec<usize> = places.clone();
        for i in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(i, usize::try_from(state >> 33).expect("31 bits") % (i + 1));
        }
        for (to, from) in places.iter().zip(order) {
            shuffled[*to] = events[from].clone();
        }
    }
    shuffled
}

#[test]
fn each_orders_own_events_shuffled() {
    for seed in 1..=5 {
        let fold = replay(shuffled(&recorded(), seed));
        let (account, expected) = (account(&fold), expected());
        let check = |scope: &ExecutionScope, open: u64, expected: &Value, name: &str| {
            let mut counted = counters(scope, open);
            for outcome in Outcome::ALL {
                let left = scope.counters().left[outcome];
                *counted.get_mut(outcome.as_str()).expect("an outcome") -= left;
            }
            assert_eq!(counted, expected_counters(expected), "{name}, seed {seed}");
        };
        let open = account.execution.open_orders_total();
        check(account.execution.whole(), open, &expected["account"], "account");
        for (name, expected) in expected["symbols"].as_object().expect("symbols") {
            let key = account.symbols.get(&Symbol::new(name).expect("a symbol")).expect(name);
            let scope = account.execution.symbol(key).expect(name);
            check(scope, account.execution.open_orders(key), expected, name);
        }
        if seed == 1 {
            check_ledgers(&fold);
        }
    }
}
