//! The running check of sums: it finds a wrong sum of every kind, and reaches every account.

use std::sync::Arc;

use trading_exporter::domain::ids::Account;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::notes::Note;
use trading_exporter::domain::record::Entry;
use trading_exporter::domain::recount::{ENTRIES_MAX, RecountCursor, RunningTotal};
use trading_exporter::domain::settings::Settings;

use crate::flow::Fold;
use crate::recount_all::recount;

const ORDERS: &str = r#"
{"type":"order_submitted","order_id":"A","symbol":"S","side":"buy","quantity":7,"expected_price":10}
{"type":"order_filled","order_id":"A","fill_id":"1","quantity":7,"price":11}
{"type":"order_submitted","order_id":"B","symbol":"S","side":"sell","quantity":5}
{"type":"order_accepted","order_id":"B"}
"#;

/// A fold with one ended and one open order, and a note.
fn fold() -> Fold {
    let mut fold = Fold::new(Settings::default());
    fold.lines(ORDERS.trim());
    let note = Note { sender: "".into(), key: "k".into(), text: "text".into() };
    fold.apply(Entry::Note(note));
    fold
}

#[test]
fn right_sums_have_no_differences() {
    let (differences, compared) = recount(&fold().monitor);
    assert_eq!(differences, []);
    // Two windows, the entries of one of them, open orders, flows, the ledger, notes.
    assert_eq!(compared, 7);
}

/// Sums of flows are not stored: `FlowList` tests them.
#[test]
fn a_wrong_sum_of_every_stored_kind_is_found() {
    let text = serde_json::to_string(&fold().monitor).expect("the state as JSON");
    let check = |total: RunningTotal, from: &str, to: &str, times: usize| {
        assert!(text.matches(from).count() >= times, "{from} is not in {text}");
        let changed = text.replace(from, to);
        let changed: Monitor = serde_json::from_str(&changed).expect("a state");
        let (differences, _) = recount(&changed);
        assert_eq!(differences, vec![total; times], "{from}");
    };
    check(RunningTotal::Window, r#"{"samples":1,"outcomes""#, r#"{"samples":2,"outcomes""#, 2);
    let entry = r#""touched":true,"user_cancelled":"#;
    check(RunningTotal::WindowEntry, &format!("{entry}false"), &format!("{entry}true"), 1);
    check(RunningTotal::OpenOrders, r#""sell":"5""#, r#""sell":"6""#, 1);
    check(RunningTotal::Notes, r#""queue":["k"],"bytes":"#, r#""queue":["k"],"bytes":1"#, 1);
    check(RunningTotal::Ledger, r#""ledger":{"quantity":"7""#, r#""ledger":{"quantity":"8""#, 1);
}

/// A symbol without orders and positions costs a look, so a turn must not pass over any number of them:
/// the writer waits meanwhile.
#[test]
fn a_turn_is_bounded_where_symbols_hold_nothing() {
    let mut fold = Fold::new(Settings::default());
    for account in ["a", "b"] {
        for symbol in 0..ENTRIES_MAX {
            fold.lines(&format!(
                r#"{{"type":"quote","account":"{account}","symbol":"S{symbol}","price":1}}"#
            ));
        }
    }
    let (turn, next) = fold.monitor.recount(&RecountCursor::default());
    assert!(turn.entries <= 2 * ENTRIES_MAX, "{}", turn.entries);
    assert_eq!(next.account.as_ref().map(Account::as_str), Some("a"), "{next:?}");
    assert_eq!(recount(&fold.monitor).0, []);
}

#[test]
fn turns_are_bounded_and_reach_every_account() {
    let mut fold = Fold::new(Settings::default());
    for account in 0..30 {
        for order in 0..1_000 {
            let head = format!(r#""account":"a{account:02}","order_id":"{order}","symbol":"S""#);
            fold.lines(&format!(
                r#"{{"type":"order_rejected",{head},"side":"buy","reason":"other"}}"#
            ));
        }
    }
    let (mut cursor, mut turns, mut entries) = (RecountCursor::default(), 0, 0);
    loop {
        let (turn, next) = fold.monitor.recount(&cursor);
        assert_eq!(turn.differences, []);
        assert!(turn.entries < ENTRIES_MAX + 3_000, "{}", turn.entries);
        (turns, entries) = (turns + 1, entries + turn.entries);
        if next == RecountCursor::default() {
            break;
        }
        assert!(cursor.account < next.account || cursor.symbol < next.symbol);
        cursor = next;
    }
    // Each order is in the window of its account and of its symbol, where it is compared twice.
    assert!(turns > 2 && entries >= 90_000, "{turns} turns, {entries} entries");
    let empty = Monitor::new(Arc::default());
    assert_eq!(recount(&empty), (vec![], 0));
}
