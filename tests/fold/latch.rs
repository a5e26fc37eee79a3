//! Latches at their bounds: only a release makes a state less severe, and no halt is widened.

use trading_exporter::domain::audit::AuditAction;
use trading_exporter::domain::execution::anomaly::{AnomalyLevel, Figure};
use trading_exporter::domain::ids::{Account, Actor};
use trading_exporter::domain::limits;
use trading_exporter::domain::principal::{NO_TOKEN, Principal};
use trading_exporter::domain::record::{Decision, Entry, Refusal, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::state::{CauseKind, TradingState};

use crate::flow::Fold;

fn account(name: &str) -> Account {
    if name == "*" { Account::all() } else { Account::new(name).expect("an account") }
}

fn by() -> Principal {
    Principal::with_token(Actor::new("ops").expect("an actor"), NO_TOKEN)
}

fn halt(fold: &mut Fold, name: &str, state: TradingState) -> Verdict {
    let (account, reason) = (account(name), "by hand".to_owned());
    fold.apply(Entry::Decision(Decision::Halt { account, state, reason, by: by() }))
}

/// A firing alert; `number` distinguishes it from others.
fn alert(fold: &mut Fold, name: &str, number: usize, state: TradingState) -> Verdict {
    fold.apply(Entry::Decision(Decision::Alert {
        id: format!("{number}@1"),
        account: account(name),
        state,
        subject: number.to_string(),
        reason: "PositionDrift".to_owned(),
        by: by(),
    }))
}

fn quote(fold: &mut Fold, name: &str) {
    fold.lines(&format!(r#"{{"type":"quote","account":"{name}","symbol":"AAPL","price":1}}"#));
}

/// Books of one symbol with a large difference.
fn drift(fold: &mut Fold, symbol: &str, broker: u32) {
    let book = |source: &str, quantity: u32| {
        format!(
            r#"{{"type":"positions","account":"paper","source":"{source}","complete":false,"positions":[{{"symbol":"{symbol}","quantity":{quantity},"average_price":4,"market_price":4}}]}}"#
        )
    };
    fold.wait(1);
    fold.lines(&(book("local", 1_000) + "\n" + &book("broker", broker)));
}

const REDUCING: TradingState = TradingState::Reducing;
const HALTED: TradingState = TradingState::Halted;

#[test]
fn beyond_the_bound_of_causes_the_state_stays_the_most_severe() {
    let by_hand = |n: usize| if n == limits::CAUSES_MAX - 1 { HALTED } else { REDUCING };
    let mut fold = Fold::new(Settings::default());
    for n in 0..limits::CAUSES_MAX {
        halt(&mut fold, "paper", by_hand(n));
    }
    halt(&mut fold, "paper", REDUCING);
    assert_eq!(fold.monitor.permit("paper").state, HALTED);

    let mut fold = Fold::new(Settings::default());
    for n in 0..limits::CAUSES_MAX {
        alert(&mut fold, "paper", n, by_hand(n));
    }
    alert(&mut fold, "paper", 1_000, REDUCING);
    assert_eq!(fold.monitor.permit("paper").state, HALTED);

    let mut fold = Fold::new(Settings::default());
    for _ in 1..limits::CAUSES_MAX {
        halt(&mut fold, "paper", REDUCING);
    }
    drift(&mut fold, "AAPL", 1);
    alert(&mut fold, "paper", 1, REDUCING);
    let permit = fold.monitor.permit("paper");
    assert_eq!(permit.state, HALTED);
    let drifts = permit.causes.iter().filter(|cause| cause.kind == CauseKind::Drift);
    assert_eq!(drifts.count(), 1, "the drift is still named");
}

#[test]
fn merged_drift_causes_are_open_while_one_drift_is() {
    let mut fold = Fold::new(Settings::default());
    for n in 0..limits::CAUSES_MAX + 5 {
        drift(&mut fold, &format!("S{n}"), 1);
    }
    let permit = fold.monitor.permit("paper");
    assert_eq!(permit.causes.len(), limits::CAUSES_MAX);
    assert_eq!(permit.causes.iter().map(|cause| cause.count).sum::<u64>(), 261);
    let last = permit.causes.last().expect("a cause");
    assert_eq!((last.count, last.subject.as_deref()), (6, Some("S255")));
    // The named drift has cleared, and another one that was merged with it has not.
    drift(&mut fold, "S255", 1_000);
    let release = |fold: &mut Fold, force: bool| {
        let epoch = fold.monitor.permit("paper").epoch;
        fold.apply(Entry::Decision(Decision::Release {
            account: account("paper"),
            epoch,
            causes: vec![last.id],
            force,
            reason: "checked".to_owned(),
            by: by(),
        }))
    };
    assert_eq!(release(&mut fold, false), Verdict::Refused(Refusal::CauseOpen));
    for n in 0..limits::CAUSES_MAX + 5 {
        drift(&mut fold, &format!("S{n}"), 1_000);
    }
    assert!(matches!(release(&mut fold, false), Verdict::Decided { .. }));
    // Merged causes make one line of the audit trail each time the latch is full.
    let lines = fold.monitor.audit().newest(|_| true).collect::<Vec<_>>();
    let halts = lines.iter().filter(|line| line.action == AuditAction::Halt).count();
    assert_eq!(halts, limits::CAUSES_MAX + 1);
}

#[test]
fn an_alert_without_room_is_rejected_and_halts_no_other_account() {
    let mut fold = Fold::new(Settings::default());
    for n in 0..limits::ACCOUNTS_MAX {
        quote(&mut fold, &format!("a{n}"));
    }
    // There is no room for accounts of events; halts have room of their own.
    for n in 0..limits::ACCOUNTS_RESERVE {
        let name = format!("dev-{n}");
        assert!(matches!(alert(&mut fold, &name, n, HALTED), Verdict::Decided { .. }), "{name}");
        assert_eq!(fold.monitor.permit(&name).state, HALTED);
    }
    let refused = Verdict::Refused(Refusal::TooManyAccounts);
    assert_eq!(alert(&mut fold, "dev-zzzz", 9_999, HALTED), refused);
    assert_eq!(alert(&mut fold, "dev-zzzz", 9_999, HALTED), refused, "and stays so");
    assert_eq!(halt(&mut fold, "dev-zzzz", HALTED), refused);
    assert_eq!(fold.monitor.permit("*").state, TradingState::Active);
    assert_eq!(fold.monitor.permit("a0").state, TradingState::Active);
    // A known account can still be halted, and so can all accounts.
    assert!(matches!(alert(&mut fold, "a7", 10_000, HALTED), Verdict::Decided { .. }));
    assert!(matches!(alert(&mut fold, "*", 10_001, HALTED), Verdict::Decided { .. }));
}

#[test]
fn halts_of_unknown_accounts_use_no_room_of_engines() {
    let mut fold = Fold::new(Settings::default());
    for n in 0..limits::ACCOUNTS_RESERVE {
        alert(&mut fold, &format!("x{n}"), n, HALTED);
    }
    for n in 0..limits::ACCOUNTS_MAX {
        quote(&mut fold, &format!("a{n}"));
    }
    assert!(fold.monitor.account(&format!("a{}", limits::ACCOUNTS_MAX - 1)).is_some());
}

#[test]
fn a_halt_of_an_unknown_account_is_an_anomaly_while_in_force() {
    let mut fold = Fold::new(Settings::default());
    quote(&mut fold, "paper");
    alert(&mut fold, "paper", 1, HALTED);
    alert(&mut fold, "Paper", 2, HALTED);
    let critical = |fold: &Fold, name: &str| {
        let account = fold.monitor.account(name).expect("the account");
        let anomalies = account.execution.anomalies(&account.symbols);
        anomalies
            .iter()
            .any(|a| a.figure == Figure::HaltOfUnknownAccount && a.level == AnomalyLevel::Critical)
    };
    assert!(!critical(&fold, "paper"));
    assert!(critical(&fold, "Paper"));
    assert_eq!(fold.monitor.permit("Paper").state, HALTED);
    assert_eq!(fold.monitor.permit("*").state, TradingState::Active);
    fold.wait(3_600);
    assert!(critical(&fold, "Paper"), "while the halt is in force");
    quote(&mut fold, "Paper");
    fold.wait(1);
    fold.wait(600);
    fold.wait(1);
    assert!(!critical(&fold, "Paper"), "an event named it");
    assert_eq!(fold.monitor.permit("Paper").state, HALTED);
}

#[test]
fn reconciliations_are_audited_and_displace_no_decision() {
    let mut fold = Fold::new(Settings::default());
    halt(&mut fold, "paper", HALTED);
    // A minor drift that the engine never repairs: three directives, then escalation.
    for _ in 0..4 {
        drift(&mut fold, "AAPL", 998);
        for _ in 0..100 {
            fold.wait(1);
        }
    }
    let actions: Vec<AuditAction> =
        fold.monitor.audit().newest(|_| true).map(|line| line.action).collect();
    assert_eq!(actions.last(), Some(&AuditAction::Halt));
    assert!(actions.contains(&AuditAction::ReconcileSent), "{actions:?}");
    let reconcile = |fold: &mut Fold, name: &str| {
        fold.apply(Entry::Decision(Decision::Reconcile {
            account: account(name),
            symbol: trading_exporter::domain::ids::Symbol::new("X").expect("a symbol"),
            adopt: trading_exporter::domain::record::Adopt::Broker,
            privileged: false,
            reason: "flush".to_owned(),
            by: by(),
        }))
    };
    for _ in 0..limits::AUDIT_MAX + 400 {
        assert_eq!(reconcile(&mut fold, "paper"), Verdict::Refused(Refusal::NotFound));
    }
    let audit = fold.monitor.audit().newest(|_| true).collect::<Vec<_>>();
    assert_eq!(audit.last().map(|line| line.action), Some(AuditAction::Halt));
    assert_eq!(audit.len(), limits::AUDIT_MAX + 1);
}
