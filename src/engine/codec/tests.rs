//! Every kind of record is read back equal, and nothing else is accepted.

use std::time::Duration;

use super::*;
use crate::domain::control::{Control, FoldDecision};
use crate::domain::event::{Body, Heartbeat, Quote};
use crate::domain::ids::{Account, Actor, Component, Symbol};
use crate::domain::notes::Note;
use crate::domain::principal::Principal;
use crate::domain::record::{Adopt, CheckResult, Decision};
use crate::domain::settings::{PermitSettings, Settings};
use crate::domain::state::{Cause, CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price};

fn encoded(more: bool, entry: &Entry) -> Vec<u8> {
    let (mut content, mut record) = (Vec::new(), Vec::new());
    encode_entry(entry, &mut content);
    frame(more, &content, &mut record);
    record
}

/// Whether two entries are equal. Only tests compare entries, so [`Entry`] has no `PartialEq`.
fn same(one: &Entry, other: &Entry) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

fn event(body: Body) -> Entry {
    Entry::Event(Event {
        account: Account::new("paper").unwrap(),
        time: Some(Timestamp::MIN),
        event_id: None,
        session: None,
        strategy: None,
        venue: None,
        synthetic: false,
        body,
    })
}

fn alert(account: &Account, state: TradingState) -> Decision {
    Decision::Alert {
        id: "f1@2026-11-22T14:30:00Z".to_owned(),
        account: account.clone(),
        state,
        subject: "f1\"".to_owned(),
        reason: "too few\nfills".to_owned(),
        by: Actor::new("alertmanager").unwrap().into(),
    }
}

#[track_caller]
fn check(entry: &Entry) {
    for more in [true, false] {
        let bytes = encoded(more, entry);
        let (decoded_more, decoded) = decode_record(&bytes).unwrap();
        assert_eq!(decoded_more, more);
        assert!(same(&decoded, entry), "{decoded:?} is not {entry:?}");
    }
}

#[test]
fn entries_are_read_back_equal() {
    let (symbol, reason) = (Symbol::new("BTC/USDT").unwrap(), String::from("so\n\u{1}\"ß"));
    let component = Component::new("broker").unwrap();
    check(&Entry::Tick);
    check(&Entry::Clock { behind: Duration::from_millis(600_250) });
    check(&event(Body::Quote(Quote {
        symbol: symbol.clone(),
        mid: Price::new(Decimal::new(-12_345, 3)),
    })));
    check(&event(Body::Heartbeat(Heartbeat {
        component: component.clone(),
        status: None,
        message: Some("x".repeat(100_000).into()),
        latency: Some(Duration::from_millis(5)),
        interval: None,
        source: None,
    })));
    check(&Entry::Note(Note {
        sender: "desk \"1\"".into(),
        key: "nautilus paper O-1".into(),
        text: reason.clone().into(),
    }));
    check(&Entry::Check(CheckResult {
        component: component.clone(),
        passed: false,
        message: reason.clone(),
        latency: Duration::from_nanos(1_234_567_891),
        interval: Duration::MAX,
    }));
    let permit = PermitSettings { valid_for: Duration::from_secs(77), ..PermitSettings::default() };
    check(&Entry::Settings(Arc::new(Settings { permit, ..Settings::default() })));
}

#[test]
fn decisions_are_read_back_equal() {
    let (account, by) = (
        Account::new("a\"b").unwrap(),
        Principal::with_token(Actor::new("op").unwrap(), "desk \"1\""),
    );
    let (symbol, reason) = (Symbol::new("BTC/USDT").unwrap(), String::from("so\n\u{1}\"ß"));
    let component = Component::new("broker").unwrap();
    for state in [TradingState::Reducing, TradingState::Halted, TradingState::Active] {
        check(&Entry::Decision(Decision::Halt {
            account: Account::all(),
            state,
            reason: reason.clone(),
            by: by.clone(),
        }));
        check(&Entry::Decision(alert(&account, state)));
    }
    for causes in [vec![], vec![1, u64::MAX]] {
        check(&Entry::Decision(Decision::Release {
            account: account.clone(),
            epoch: u64::MAX,
            causes,
            force: true,
            reason: String::new(),
            by: by.clone(),
        }));
    }
    for adopt in [Adopt::Broker, Adopt::Local] {
        check(&Entry::Decision(Decision::Reconcile {
            account: account.clone(),
            symbol: symbol.clone(),
            adopt,
            privileged: adopt == Adopt::Local,
            reason: reason.clone(),
            by: by.clone(),
        }));
    }
    for (symbol, component) in [(Some(symbol), None), (None, Some(component))] {
        let (account, by) = (account.clone(), by.clone());
        check(&Entry::Decision(Decision::Retire { account, symbol, component, by }));
    }
    for is_refused in [true, false] {
        let (change, by) = (String::from("series.max: 1 -> 2"), by.clone());
        check(&Entry::Decision(Decision::Configure { change, is_refused, by }));
    }
}

#[test]
fn an_event_that_opens_an_account_is_read_back_with_its_token() {
    let quote =
        Body::Quote(Quote { symbol: Symbol::new("X").unwrap(), mid: Price::new(Decimal::ONE) });
    let Entry::Event(plain) = event(quote) else { panic!("an event") };
    for token in ["", "engine", &"ß".repeat(64)] {
        let opening = Opening { event: plain.clone(), token: token.into() };
        let entry = Entry::Opening(Box::new(opening));
        check(&entry);
        let mut encoded_event = Vec::new();
        encode_entry(&Entry::Event(plain.clone()), &mut encoded_event);
        let mut framed = Vec::new();
        frame_opening(true, token, &encoded_event, &mut framed);
        assert_eq!(framed, encoded(true, &entry));
    }
    for bytes in
        [b"\x01\x00O".as_slice(), b"\x01\x00O\x01", b"\x01\x00O\x01a", b"\x01\x00O\x01\xff{}"]
    {
        assert!(decode_record(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn an_unknown_record_is_refused() {
    let check = |bytes: &[u8], expect: &str| {
        let error = decode_record(bytes).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{error}");
    };
    check(b"", "the record is cut short");
    check(b"\x01\x00", "the record is cut short");
    check(b"\x02\x00T", "the record has version 2");
    check(b"\x01\x02T", "the record has an unknown flag or tag: 0x02");
    check(b"\x01\x00X", "the record has an unknown flag or tag: 0x58");
    check(b"\x01\x00Tx", "the record has an unknown flag or tag: 0x54");
    check(b"\x01\x00E", "the event cannot be read");
    check(b"\x01\x00E{}", "the event cannot be read");
    check(b"\x01\x00E[]", "the event cannot be read");
    check(b"\x01\x00Sx", "the settings cannot be read: expected value");
    check(b"\x01\x00C{\"component\":\"a\"}", "the check cannot be read: missing field");
    check(b"\x01\x00D{\"kind\":\"sing\"}", "the decision cannot be read: unknown variant");
    let cause = r#"{"id":1,"kind":"drift","state":"halted","odd":1}"#;
    let halt = format!(
        r#"{{"sequence":1,"at":1795357800000000000,"account":"a","decided":{{"halt":{cause}}}}}"#
    );
    let record = format!("\x01\x00K{halt}");
    check(record.as_bytes(), "the decision of the fold cannot be read: unknown field `odd`");
}

#[test]
fn a_record_cut_short_is_never_read_as_another() {
    let decision = Entry::Decision(Decision::Halt {
        account: Account::all(),
        state: TradingState::Halted,
        reason: "x".into(),
        by: Actor::new("op").unwrap().into(),
    });
    let whole = encoded(false, &decision);
    for length in 0..whole.len() {
        assert!(decode_record(&whole[..length]).is_err(), "{length} bytes of {whole:?}");
    }
}

#[test]
fn decisions_of_the_fold_are_read_back_equal() {
    let check = |decided: FoldDecision| {
        let account = Account::new("a\"b").unwrap();
        let control = Control { sequence: 7, at: Timestamp::MIN, account, decided };
        let bytes = encoded(false, &Entry::Control(control.clone()));
        let Ok((false, Entry::Control(decoded))) = decode_record(&bytes) else {
            panic!("{}", String::from_utf8_lossy(&bytes));
        };
        assert_eq!(decoded, control);
    };
    let (by, reason) =
        (Principal::with_token(Actor::new("op").unwrap(), "desk"), String::from("so\n\u{1}\"ß"));
    check(FoldDecision::Halt(Cause {
        id: 3,
        kind: CauseKind::Drift,
        state: TradingState::Halted,
        subject: Some("AAPL".to_owned()),
        reason: reason.clone(),
        by: by.clone(),
        set_at: Timestamp::MIN,
        count: 1,
    }));
    check(FoldDecision::Release { causes: vec![1, 2], forced: true, reason, by });
    check(FoldDecision::Reconcile {
        symbol: Symbol::new("BTC/USDT").unwrap(),
        to_quantity: Decimal::new(-961, 8),
        attempt: 3,
    });
}
