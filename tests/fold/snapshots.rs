//! A restored state behaves exactly like one that was never stored: equal metrics text, views,
//! directives and bytes.

use proptest::prelude::*;
use trading_exporter::domain::event::Event;
use trading_exporter::domain::ids::{Account, Actor, Component, Symbol};
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::notes::Note;
use trading_exporter::domain::record::{Adopt, CheckResult, Decision, Entry};
use trading_exporter::domain::settings::{BreakdownSettings, Settings, WindowSettings};
use trading_exporter::domain::state::TradingState;
use trading_exporter::engine::{decode_state, digest_state, encode_state};
use trading_exporter::metrics::{Format, encode, project};

use crate::flow::{Fold, decode};
use crate::naive::any_step;
use crate::session::recorded;

/// One step of a test: a record, or time that passes.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Seconds(u32),
    Entry(Box<Entry>),
}

impl Happening {
    pub(crate) fn happen(self, fold: &mut Fold) {
        match self {
            Self::Seconds(seconds) => fold.wait(seconds),
            Self::Entry(entry) => drop(fold.apply(*entry)),
        }
    }
}

pub(crate) fn bytes(monitor: &Monitor) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_state(monitor, &mut bytes).expect("a state is written");
    bytes
}

pub(crate) fn restored(bytes: &[u8]) -> Monitor {
    decode_state(&mut &bytes[..]).expect("a state is read back")
}

pub(crate) fn metrics(monitor: &Monitor) -> [String; 2] {
    [Format::Text, Format::OpenMetrics].map(|format| encode(&project(monitor), None, format))
}

/// Every field of a state, private ones included. The lines are sorted, because hash maps have another
/// order after they were restored.
fn fields(monitor: &Monitor) -> Vec<String> {
    let mut lines: Vec<String> = format!("{monitor:#?}").lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Applies all steps, storing and restoring the state after each of `cuts`. All views of the two final
/// states must be equal, and so must their bytes.
fn check(settings: &Settings, happenings: &[Happening], cuts: &[usize]) {
    let mut straight = Fold::new(settings.clone());
    let mut broken = Fold::new(settings.clone());
    for (at, happening) in happenings.iter().enumerate() {
        happening.clone().happen(&mut straight);
        happening.clone().happen(&mut broken);
        if cuts.contains(&at) {
            let stored = bytes(&broken.monitor);
            assert!(stored == bytes(&straight.monitor), "the bytes differ after {happening:?}");
            broken.monitor = restored(&stored);
            assert!(stored == bytes(&broken.monitor), "not the bytes that were read");
        }
    }
    assert_eq!(metrics(&straight.monitor), metrics(&broken.monitor));
    assert_eq!(straight.directives, broken.directives);
    assert_eq!(digest_state(&straight.monitor), digest_state(&broken.monitor));
    if happenings.len() < 1_000 {
        assert_eq!(fields(&straight.monitor), fields(&broken.monitor));
    }
}

fn entry(entry: Entry) -> Happening {
    Happening::Entry(Box::new(entry))
}

fn event(event: Event) -> Happening {
    entry(Entry::Event(event))
}

/// Steps other than orders: snapshots of both sides, adjustments, equity, heartbeats, probes,
/// decisions.
pub(crate) fn aside(n: usize) -> Happening {
    let positions = |source: &str, quantity: usize| {
        let line = format!(
            r#"{{"type":"positions","account":"paper","source":"{source}","positions":[{{"symbol":"AAPL","quantity":{quantity},"average_price":187.432,"market_price":187.5}}]}}"#
        );
        event(decode(&line).remove(0))
    };
    let of = |line: &str| event(decode(line).remove(0));
    let by = Actor::new("ops").expect("an actor").into();
    let account = Account::new("paper").expect("an account");
    match n % 13 {
        12 => entry(Entry::Note(Note {
            sender: if n.is_multiple_of(2) { "engine".into() } else { "".into() },
            key: format!("order {}", n % 5).into(),
            text: format!("text {n}").into(),
        })),
        0 => positions("local", 100),
        1 => positions("broker", 100 + n % 16),
        2 => of(
            r#"{"type":"heartbeat","account":"paper","component":"engine","status":"degraded","message":"slow"}"#,
        ),
        3 => of(
            r#"{"type":"position_adjusted","account":"paper","symbol":"AAPL","quantity":-3,"reason":"transfer"}"#,
        ),
        4 => of(r#"{"type":"quote","account":"paper","symbol":"AAPL","bid":187.4,"ask":187.6}"#),
        5 => entry(Entry::Check(CheckResult {
            component: Component::new("disk").expect("a component"),
            passed: n.is_multiple_of(7),
            message: "17 % free".to_owned(),
            latency: std::time::Duration::from_micros(350),
            interval: std::time::Duration::from_secs(30),
        })),
        6 => entry(Entry::Decision(Decision::Halt {
            account,
            state: TradingState::Reducing,
            reason: "by hand".to_owned(),
            by,
        })),
        7 => entry(Entry::Decision(Decision::Release {
            account,
            epoch: n as u64 % 5,
            causes: Vec::new(),
            force: true,
            reason: "seen".to_owned(),
            by,
        })),
        8 => entry(Entry::Decision(Decision::Reconcile {
            account,
            symbol: Symbol::new("AAPL").expect("a symbol"),
            adopt: if n.is_multiple_of(5) { Adopt::Broker } else { Adopt::Local },
            privileged: true,
            reason: "agreed".to_owned(),
            by,
        })),
        9 => of(
            r#"{"type":"order_submitted","account":"paper","session":"s2","strategy":"mm","venue":"XNAS","order_id":"Q","symbol":"BTC/USDT","side":"sell","quantity":0.00000961,"expected_price":96000.5}"#,
        ),
        10 => of(
            r#"{"type":"order_filled","account":"paper","session":"s2","strategy":"mm","venue":"XNAS","order_id":"Q","fill_id":"1","quantity":0.00000961,"price":96001,"fee":-0.01,"fee_currency":"USDT","liquidity":"maker"}"#,
        ),
        _ => Happening::Seconds(7),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        window: WindowSettings { orders: 50, ..WindowSettings::default() },
        breakdowns: BreakdownSettings { strategy: true, venue: true },
        ..Settings::default()
    }
}

#[test]
fn the_recorded_session_continues_after_each_of_many_snapshots() {
    let recorded = recorded();
    let total = recorded.len();
    let happenings: Vec<Happening> = recorded
        .into_iter()
        .enumerate()
        .flat_map(|(n, e)| [Some(event(e)), (n % 9 == 0).then(|| aside(n / 9))])
        .flatten()
        .collect();
    let cuts: Vec<usize> = (1..12).map(|n| n * total / 12).collect();
    check(&settings(), &happenings, &cuts);
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (any_step(6), 0usize..200)
            .prop_map(|(step, id)| event(decode(&step.line(id)).remove(0))),
        3 => (0usize..10_000).prop_map(aside),
        1 => (1u32..90).prop_map(Happening::Seconds),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_flow_continues_after_a_snapshot(
        happenings in prop::collection::vec(any_happening(), 1..120),
        cuts in prop::collection::vec(0usize..120, 1..4),
    ) {
        check(&settings(), &happenings, &cuts);
    }
}

#[test]
fn truncated_bytes_and_other_versions_are_rejected() {
    let mut fold = Fold::new(Settings::default());
    fold.wait(3);
    let good = bytes(&fold.monitor);
    let check = |bytes: &[u8], expect: &str| {
        let error = decode_state(&mut &bytes[..]).expect_err(expect);
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(&[2], "version 2");
    check(&good[..good.len() / 2], "cannot be decoded");
    check(&[], "cannot be decoded");
}
