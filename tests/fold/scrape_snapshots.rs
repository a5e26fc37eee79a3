//! A scrape snapshot that was updated in steps equals a newly made one, byte for byte, whatever happened
//! before, between and after its steps.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use trading_exporter::domain::ids::{Account, Actor, Symbol};
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Decision, Entry};
use trading_exporter::domain::settings::{Settings, WindowSettings};
use trading_exporter::domain::state::TradingState;
use trading_exporter::engine::{decode_state, encode_state};
use trading_exporter::metrics::{Format, ScrapeSnapshot, encode, project, project_accounts};

use crate::flow::{Fold, decode};
use crate::naive::any_step;
use crate::session::recorded;
use crate::snapshots::{Happening, aside, settings};

/// Checks that a snapshot shows the same as a new projection of the state.
fn check(snapshot: &mut ScrapeSnapshot, monitor: &Monitor) {
    snapshot.take(monitor, |_| true);
    while snapshot.compute() {}
    let mut shown = String::new();
    let mut exposition = snapshot.exposition(None, Format::OpenMetrics);
    let mut piece = String::new();
    while exposition.write_some(&mut piece, 1_000) {
        shown.push_str(&piece);
        piece.clear();
    }
    shown.push_str(&piece);
    let expect = encode(&project(monitor), None, Format::OpenMetrics);
    if let Some((shown, expect)) = shown.lines().zip(expect.lines()).find(|(a, b)| a != b) {
        panic!("at record {}: {shown}, and not {expect}", monitor.sequence());
    }
    assert_eq!(shown.len(), expect.len());
}

/// Takes a number of steps.
fn catch_up(snapshot: &mut ScrapeSnapshot, monitor: &Monitor, steps: usize) {
    for _ in 0..steps {
        snapshot.catch_up(monitor, |_| true);
    }
}

/// An event of one of several accounts and symbols.
fn event_at(n: usize) -> Happening {
    let (account, symbol) = (["paper", "live", "a\"b"][n % 3], n / 3 % 90);
    let line = match n % 4 {
        0 => format!(
            r#"{{"type":"order_rejected","account":"{0}","order_id":"X{n}","symbol":"S{symbol}","side":"buy"}}"#,
            account.replace('"', "\\\"")
        ),
        1 => format!(
            r#"{{"type":"position_adjusted","account":"paper","symbol":"S{symbol}","quantity":1,"reason":"transfer"}}"#
        ),
        2 => format!(
            r#"{{"type":"positions","account":"paper","source":"broker","complete":false,"positions":[{{"symbol":"S{symbol}","quantity":{n}}}]}}"#
        ),
        _ => format!(
            r#"{{"type":"order_submitted","account":"live","order_id":"L{n}","symbol":"S{symbol}","side":"sell","quantity":5,"expected_price":10}}"#
        ),
    };
    Happening::Entry(Box::new(Entry::Event(decode(&line).remove(0))))
}

/// Decisions and settings that affect everything.
fn upheaval(n: usize) -> Happening {
    let entry = match n % 3 {
        0 => Entry::Decision(Decision::Retire {
            account: Account::new("paper").expect("an account"),
            symbol: Some(Symbol::new(&format!("S{}", n / 3 % 90)).expect("a symbol")),
            component: None,
            by: Actor::new("ops").expect("an actor").into(),
        }),
        1 => Entry::Settings(Arc::new(settings())),
        _ => {
            let window = WindowSettings {
                orders: 20,
                age_max: Some(Duration::from_secs(40)),
                ..WindowSettings::default()
            };
            Entry::Settings(Arc::new(Settings { window, ..settings() }))
        }
    };
    Happening::Entry(Box::new(entry))
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (any_step(6), 0usize..200).prop_map(|(step, id)| {
            Happening::Entry(Box::new(Entry::Event(decode(&step.line(id)).remove(0))))
        }),
        6 => (0usize..10_000).prop_map(event_at),
        3 => (0usize..10_000).prop_map(aside),
        1 => (0usize..1_000).prop_map(upheaval),
        1 => (1u32..90).prop_map(Happening::Seconds),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_between_its_steps_a_picture_shows_the_last_moment(
        happenings in prop::collection::vec((any_happening(), 0usize..4, any::<bool>()), 1..150),
    ) {
        let mut fold = Fold::new(settings());
        let mut snapshot = ScrapeSnapshot::default();
        for (happening, steps, is_taken) in happenings {
            happening.happen(&mut fold);
            catch_up(&mut snapshot, &fold.monitor, steps);
            if is_taken {
                check(&mut snapshot, &fold.monitor);
            }
        }
        check(&mut snapshot, &fold.monitor);
    }
}

#[test]
fn the_recorded_session_is_shown_at_many_moments() {
    let mut fold = Fold::new(settings());
    let mut snapshot = ScrapeSnapshot::default();
    for (n, event) in recorded().into_iter().enumerate() {
        fold.event(event);
        if n % 9 == 0 {
            aside(n / 9).happen(&mut fold);
        }
        if n % 5 == 0 {
            catch_up(&mut snapshot, &fold.monitor, 1);
        }
        if n % 97 == 0 {
            check(&mut snapshot, &fold.monitor);
        }
    }
    check(&mut snapshot, &fold.monitor);
}

/// A state with so many symbols that a snapshot needs several steps.
fn many_symbols(symbols: usize) -> Fold {
    let mut fold = Fold::new(Settings::default());
    let mut lines = String::new();
    for symbol in 0..symbols {
        writeln!(
            lines,
            r#"{{"type":"order_submitted","account":"paper","order_id":"{symbol}","symbol":"S{symbol}","side":"buy","quantity":1,"expected_price":10}}"#
        )
        .expect("text");
    }
    fold.lines(&lines);
    // The first tick evaluates all symbols.
    fold.wait(1);
    fold
}

/// Passes through all accounts once. Returns the number of rows copied by each step.
fn pass(snapshot: &mut ScrapeSnapshot, fold: &Fold) -> Vec<usize> {
    let mut copies = Vec::new();
    loop {
        let step = snapshot.catch_up(&fold.monitor, |_| true);
        copies.push(step.copied);
        if step.is_last {
            return copies;
        }
    }
}

#[test]
fn a_step_copies_few_rows_and_only_those_that_changed() {
    let mut fold = many_symbols(1_000);
    let mut snapshot = ScrapeSnapshot::default();
    let first = pass(&mut snapshot, &fold);
    assert!(first.len() > 30 && first.iter().all(|copied| *copied <= 32), "{first:?}");
    assert_eq!(pass(&mut snapshot, &fold), [0]);
    // One row, and the fields of the account itself.
    fold.lines(
        r#"{"type":"order_accepted","account":"paper","order_id":"7","symbol":"S7","side":"buy"}"#,
    );
    assert_eq!(pass(&mut snapshot, &fold), [1 + 16]);
    fold.wait(1);
    assert_eq!(pass(&mut snapshot, &fold), [16]);
}

#[test]
fn accounts_that_did_not_change_are_not_copied_again() {
    let mut fold = Fold::new(Settings::default());
    let order = |account: usize, order: usize| {
        format!(
            r#"{{"type":"order_submitted","account":"A{account}","order_id":"{order}","symbol":"S","side":"buy","quantity":1}}"#
        )
    };
    (0..100).for_each(|account| drop(fold.lines(&order(account, 0))));
    fold.wait(1);
    let mut snapshot = ScrapeSnapshot::default();
    pass(&mut snapshot, &fold);
    // The accounts at which a step stopped.
    pass(&mut snapshot, &fold);
    assert_eq!(pass(&mut snapshot, &fold), [0]);
    fold.lines(&order(42, 1));
    assert_eq!(pass(&mut snapshot, &fold), [1 + 16]);
    check(&mut snapshot, &fold.monitor);
    assert_eq!(pass(&mut snapshot, &fold), [0]);
    // A latch of all accounts is shown anyway.
    let by = Actor::new("ops").expect("an actor").into();
    let (account, state) = (Account::all(), TradingState::Halted);
    fold.apply(Entry::Decision(Decision::Halt { account, state, reason: String::new(), by }));
    assert_eq!(pass(&mut snapshot, &fold), [0]);
    check(&mut snapshot, &fold.monitor);
}

#[test]
fn another_state_is_never_shown_with_the_rows_of_the_one_before() {
    let mut fold = many_symbols(100);
    let mut snapshot = ScrapeSnapshot::default();
    check(&mut snapshot, &fold.monitor);
    // The state as it is read back from a snapshot, whose rows have no marks.
    let mut bytes = Vec::new();
    encode_state(&fold.monitor, &mut bytes).expect("a state is written");
    fold.lines(r#"{"type":"order_cancelled","account":"paper","order_id":"7"}"#);
    check(&mut snapshot, &fold.monitor);
    let restored = decode_state(&mut &bytes[..]).expect("a state is read back");
    check(&mut snapshot, &restored);
    let empty = Fold::new(Settings::default());
    check(&mut snapshot, &empty.monitor);
}

#[test]
fn accounts_that_may_not_be_seen_are_not_copied() {
    let mut fold = Fold::new(Settings::default());
    (0..200).for_each(|n| event_at(n).happen(&mut fold));
    let mut snapshot = ScrapeSnapshot::default();
    for name in ["paper", "live"] {
        let is_visible = |account: &Account| account.as_str() == name;
        while !snapshot.catch_up(&fold.monitor, is_visible).is_last {}
        snapshot.take(&fold.monitor, is_visible);
        while snapshot.compute() {}
        let mut shown = String::new();
        snapshot.exposition(None, Format::Text).write_some(&mut shown, usize::MAX);
        let expect = project_accounts(&fold.monitor, is_visible);
        assert_eq!(shown, encode(&expect, None, Format::Text));
    }
}
