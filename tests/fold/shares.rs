//! Two tenants: whatever one does to its bounds, the state of the other is that of the other alone.

use std::time::Duration;

use proptest::prelude::*;
use trading_exporter::domain::account::AccountState;
use trading_exporter::domain::ids::{Account, Actor, Symbol};
use trading_exporter::domain::principal::Principal;
use trading_exporter::domain::record::{Adopt, Decision, Entry, Opening, Refusal, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::state::{Latch, TradingState};

use crate::flow::{Fold, decode};

/// Small bounds, so that a few events reach them.
fn small() -> Settings {
    let mut settings = Settings::default();
    settings.orders.open_max = 3;
    settings.orders.ended_max = 3;
    settings.orders.unknown_max = 2;
    settings.ingest.horizon_ids = 6;
    settings.window.orders = 3;
    settings.symbols.max = 3;
    settings
}

/// One thing that a tenant does, or a second that passes.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The kind of an event, and the numbers that its names are made of.
    Event(u8, u8, u8),
    Halt,
    Alert(u8),
    Release,
    Reconcile(u8),
    Second,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (0..10_u8, 0..8_u8, 0..5_u8).prop_map(|(kind, n, m)| Act::Event(kind, n, m)),
        1 => Just(Act::Halt),
        1 => (0..4_u8).prop_map(Act::Alert),
        1 => Just(Act::Release),
        1 => (0..5_u8).prop_map(Act::Reconcile),
        2 => Just(Act::Second),
    ]
}

/// An event as a line. Its id names its content, so that it is a duplicate when it is sent again.
fn event(account: &str, (kind, n, m): (u8, u8, u8)) -> String {
    let head = format!(r#""account":"{account}","event_id":"{kind}-{n}-{m}""#);
    let order = format!(r#"{head},"order_id":"O{n}""#);
    match kind {
        0 => format!(
            r#"{{"type":"order_submitted",{order},"symbol":"S{m}","side":"buy","quantity":9}}"#
        ),
        1 | 2 => format!(
            r#"{{"type":"order_filled",{order},"symbol":"S{m}","side":"buy","quantity":{kind},"price":1{m},"fill_id":"F{m}"}}"#
        ),
        3 => format!(r#"{{"type":"order_cancelled",{order},"symbol":"S{m}"}}"#),
        4 => format!(r#"{{"type":"order_rejected",{order},"symbol":"S{m}","reason":"other"}}"#),
        5 => format!(r#"{{"type":"quote",{head},"symbol":"S{n}","price":1{m}}}"#),
        6 => format!(r#"{{"type":"heartbeat",{head},"component":"C{n}"}}"#),
        7 => format!(
            r#"{{"type":"position_adjusted",{head},"symbol":"S{n}","quantity":1{m}1,"reason":"transfer"}}"#
        ),
        8 => positions(&head, "local", n, m),
        _ => positions(&head, "broker", n, m),
    }
}

fn positions(head: &str, source: &str, n: u8, m: u8) -> String {
    format!(
        r#"{{"type":"positions",{head},"source":"{source}","complete":false,"positions":[{{"symbol":"S{m}","quantity":1{n}5,"average_price":90}}]}}"#
    )
}

fn decision(fold: &Fold, name: &str, act: Act) -> Option<Decision> {
    let account = Account::new(name).expect("an account");
    let by = Principal::with_token(Actor::new(name).expect("an actor"), name);
    let reason = "test".to_owned();
    let state = TradingState::Halted;
    match act {
        Act::Halt => Some(Decision::Halt { account, state, reason, by }),
        Act::Alert(n) => {
            let (id, subject) = (n.to_string(), n.to_string());
            Some(Decision::Alert { id, account, state, subject, reason, by })
        }
        Act::Release => {
            let epoch = fold.monitor.permit(name).epoch;
            Some(Decision::Release { account, epoch, causes: vec![], force: true, reason, by })
        }
        Act::Reconcile(m) => {
            let symbol = Symbol::new(&format!("S{m}")).expect("a symbol");
            let (adopt, privileged) = (Adopt::Broker, false);
            Some(Decision::Reconcile { account, symbol, adopt, privileged, reason, by })
        }
        Act::Event(..) | Act::Second => None,
    }
}

/// Applies an act, and returns the answer without the ids of causes, which all accounts share.
fn act(fold: &mut Fold, name: &str, act: Act) -> String {
    let verdict = match act {
        Act::Event(kind, n, m) => {
            let event = decode(&event(name, (kind, n, m))).remove(0);
            fold.event(event)
        }
        Act::Second => {
            fold.wait(1);
            Verdict::Accepted
        }
        Act::Halt | Act::Alert(_) | Act::Release | Act::Reconcile(_) => {
            let decision = decision(fold, name, act).expect("a decision");
            fold.apply(Entry::Decision(decision))
        }
    };
    match verdict {
        Verdict::Decided { epoch, .. } => format!("epoch {epoch}"),
        other @ (Verdict::Accepted
        | Verdict::Warned(_)
        | Verdict::Duplicate
        | Verdict::Refused(_)
        | Verdict::Contradicts(_)) => format!("{other:?}"),
    }
}

/// Takes the place of a record in the sequence, and changes nothing.
fn pause(fold: &mut Fold) {
    fold.apply(Entry::Clock { behind: Duration::ZERO });
}

/// The whole state of an account as bytes, without the ids of causes.
fn state(fold: &Fold, name: &str) -> (Vec<u8>, String, String) {
    let mut account = fold
        .monitor
        .account(name)
        .cloned()
        .unwrap_or_else(|| AccountState::new(Account::new(name).expect("an account")));
    let causes: Vec<String> = account
        .latch
        .causes()
        .map(|c| format!("{:?} {:?} {:?} {} {}", c.kind, c.state, c.subject, c.count, c.by.actor))
        .collect();
    account.latch = Latch::default();
    let audit = fold.monitor.audit().newest(|of| of.as_str() == name);
    let audit: Vec<String> = audit
        .map(|line| {
            format!("{} {:?} {} {:?}", line.sequence, line.action, line.reason, line.refused)
        })
        .collect();
    (rmp_serde::to_vec(&account).expect("bytes"), causes.join("\n"), audit.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_one_account_does_changes_another(
        acts in prop::collection::vec((prop::bool::weighted(0.7), any_act()), 1..250),
    ) {
        let (mut both, mut alone) = (Fold::new(small()), Fold::new(small()));
        for (is_first, one) in acts {
            if is_first && !matches!(one, Act::Second) {
                act(&mut both, "a", one);
                pause(&mut alone);
            } else {
                prop_assert_eq!(act(&mut both, "b", one), act(&mut alone, "b", one));
            }
        }
        prop_assert_eq!(state(&both, "b"), state(&alone, "b"));
    }
}

#[test]
fn a_million_orders_of_one_account_evict_none_of_another() {
    let mut settings = small();
    settings.orders.open_max = 50;
    settings.orders.ended_max = 50;
    let mut fold = Fold::new(settings);
    let fill = r#"{"type":"order_filled","account":"b","order_id":"O","symbol":"X","side":"buy","quantity":100,"price":1,"fill_id":"F1"}"#;
    let submitted = r#"{"type":"order_submitted","account":"b","order_id":"O","symbol":"X","side":"buy","quantity":100}"#;
    let open = r#"{"type":"order_submitted","account":"b","order_id":"P","symbol":"X","side":"buy","quantity":1}"#;
    fold.lines(&[submitted, fill, open].join("\n"));
    for n in 0..2_000 {
        fold.lines(&format!(
            r#"{{"type":"order_submitted","account":"a","order_id":"{n}","symbol":"X","side":"buy","quantity":1}}
{{"type":"order_rejected","account":"a","order_id":"R{n}","symbol":"X"}}"#
        ));
    }
    assert_eq!(fold.lines(fill), [Verdict::Duplicate], "a fill that is sent again is known");
    let account = fold.monitor.account("b").expect("the account");
    assert_eq!(account.execution.open_orders_total(), 1);
    assert_eq!(account.execution.dropped(), (0, 0));
    let positions: Vec<String> =
        account.books.positions(&account.symbols).map(|p| p.ledger.to_string()).collect();
    assert_eq!(positions, ["100"]);
}

const NO_ROOM: Verdict = Verdict::Refused(Refusal::TooManyAccounts);

/// An event with a token, as the writer records it. Warnings are not of interest.
fn open(fold: &mut Fold, token: &str, account: &str) -> Verdict {
    let line = format!(r#"{{"type":"heartbeat","account":"{account}","component":"engine"}}"#);
    let event = decode(&line).remove(0);
    let opening = Opening { event, token: token.into() };
    let verdict = fold.apply(Entry::Opening(Box::new(opening)));
    if matches!(verdict, Verdict::Warned(_)) { Verdict::Accepted } else { verdict }
}

fn halt(fold: &mut Fold, token: &str, account: &str) -> Verdict {
    let account = Account::new(account).expect("an account");
    let by = Principal::with_token(Actor::new("someone").expect("an actor"), token);
    let (state, reason) = (TradingState::Halted, "test".to_owned());
    fold.apply(Entry::Decision(Decision::Halt { account, state, reason, by }))
}

fn with_three_for_each_token() -> Settings {
    let mut settings = Settings::default();
    settings.accounts.per_token = 3;
    settings.accounts.named.insert("live".to_owned());
    settings
}

#[test]
fn each_token_opens_accounts_within_a_share_of_its_own() {
    let mut fold = Fold::new(with_three_for_each_token());
    for n in 0..3 {
        assert_eq!(open(&mut fold, "dev", &format!("dev-{n}")), Verdict::Accepted);
    }
    assert_eq!(open(&mut fold, "dev", "dev-3"), NO_ROOM);
    assert!(fold.monitor.account("dev-3").is_none());
    assert_eq!(open(&mut fold, "dev", "dev-2"), Verdict::Accepted, "a known account");
    for n in 0..3 {
        assert_eq!(open(&mut fold, "prod", &format!("prod-{n}")), Verdict::Accepted);
    }
    assert_eq!(open(&mut fold, "prod", "prod-3"), NO_ROOM);
    assert_eq!(open(&mut fold, "prod", "live"), Verdict::Accepted, "the configuration names it");
    // Senders without a token have a share too.
    let no_token = r#"{"type":"heartbeat","account":"plain","component":"engine"}"#;
    assert!(matches!(fold.lines(no_token)[..], [Verdict::Warned(_)]));
}

#[test]
fn each_token_halts_unknown_accounts_within_a_share_of_its_own() {
    let mut fold = Fold::new(with_three_for_each_token());
    for n in 0..3 {
        assert_eq!(open(&mut fold, "dev", &format!("dev-{n}")), Verdict::Accepted);
        assert!(matches!(halt(&mut fold, "dev", &format!("halted-{n}")), Verdict::Decided { .. }));
    }
    assert_eq!(halt(&mut fold, "dev", "halted-3"), NO_ROOM);
    // A person can halt any account.
    for account in ["paper", "prod", "live", "dev-0", "halted-0", "halted-3"] {
        let halted = halt(&mut fold, "person", account);
        assert!(matches!(halted, Verdict::Decided { .. }), "{account}: {halted:?}");
    }
    // Events of halted accounts use the share of events: a halt is no way around it.
    assert_eq!(open(&mut fold, "dev", "halted-0"), NO_ROOM);
    assert_eq!(fold.monitor.permit("halted-0").state, TradingState::Halted);
    assert_eq!(open(&mut fold, "prod", "halted-0"), Verdict::Accepted);
    assert!(matches!(halt(&mut fold, "dev", "halted-4"), Verdict::Decided { .. }), "one is free");
    assert_eq!(halt(&mut fold, "dev", "halted-5"), NO_ROOM);
}

#[test]
fn a_refused_first_event_uses_no_share() {
    let mut settings = with_three_for_each_token();
    settings.ingest.event_age_max = Some(Duration::from_mins(1));
    let mut fold = Fold::new(settings);
    halt(&mut fold, "dev", "halted");
    for n in 0..9 {
        for account in [format!("dev-{n}"), "halted".to_owned()] {
            let line = format!(
                r#"{{"type":"order_filled","account":"{account}","order_id":"1","symbol":"X","side":"buy","quantity":1,"price":1,"fee":1,"fee_currency":"USD","time":"1999-01-01T00:00:00Z"}}"#
            );
            let event = decode(&line).remove(0);
            let opening = Entry::Opening(Box::new(Opening { event, token: "dev".into() }));
            assert_eq!(fold.apply(opening), Verdict::Refused(Refusal::TooOld));
        }
    }
    assert_eq!(fold.monitor.permit("halted").state, TradingState::Halted);
    assert_eq!(open(&mut fold, "dev", "dev-0"), Verdict::Accepted);
}
