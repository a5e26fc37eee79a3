//! Halts: their causes, the latch, and the conditions of a release.

use trading_exporter::domain::directive::DirectiveKind;
use trading_exporter::domain::ids::{Account, Actor};
use trading_exporter::domain::monitor::Permit;
use trading_exporter::domain::record::{Decision, Entry, Refusal, Verdict};
use trading_exporter::domain::settings::Settings;
use trading_exporter::domain::state::{CauseKind, TradingState};

use crate::flow::Fold;

const ORDER: &str = r#"
{"type":"order_submitted","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","quantity":100,"expected_price":187.40,"time":"2026-11-22T14:29:00.000Z"}
{"type":"order_accepted","account":"paper","order_id":"O-1","time":"2026-11-22T14:29:00.020Z"}
{"type":"order_filled","account":"paper","order_id":"O-1","fill_id":"F-1","quantity":60,"price":187.42,"time":"2026-11-22T14:29:00.150Z"}
{"type":"order_filled","account":"paper","order_id":"O-1","fill_id":"F-2","quantity":40,"price":187.45,"time":"2026-11-22T14:29:00.400Z"}
"#;

/// Snapshots of both sides, one second apart, the engine's last.
fn snapshots(fold: &mut Fold, local: &str, broker: &str) {
    fold.wait(1);
    fold.lines(&position("broker", broker));
    fold.wait(1);
    fold.lines(&position("local", local));
}

fn position(source: &str, quantity: &str) -> String {
    format!(
        r#"{{"type":"positions","account":"paper","source":"{source}","positions":[{{"symbol":"AAPL","quantity":{quantity},"average_price":187.432,"market_price":187.5}}]}}"#
    )
}

fn account(name: &str) -> Account {
    if name == "*" { Account::all() } else { Account::new(name).expect("an account") }
}

fn halt(fold: &mut Fold, name: &str, state: TradingState) -> Verdict {
    let by = Actor::new("ops").expect("an actor").into();
    let reason = "by hand".to_owned();
    fold.apply(Entry::Decision(Decision::Halt { account: account(name), state, reason, by }))
}

/// The arguments of a release: epoch, causes and force.
#[derive(Default)]
struct Ask {
    epoch: u64,
    causes: Vec<u64>,
    force: bool,
}

fn release(fold: &mut Fold, name: &str, ask: Ask) -> Verdict {
    let Ask { epoch, causes, force } = ask;
    let by = Actor::new("ops").expect("an actor").into();
    let (account, reason) = (account(name), "checked".to_owned());
    let decision = Decision::Release { account, epoch, causes, force, reason, by };
    fold.apply(Entry::Decision(decision))
}

fn permit(fold: &Fold, name: &str) -> (TradingState, u64) {
    let Permit { state, epoch, .. } = fold.monitor.permit(name);
    (state, epoch)
}

#[test]
fn a_critical_drift_halts_its_account_and_agreement_releases_nothing() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(ORDER);
    fold.wait(60);
    snapshots(&mut fold, "100", "88");
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 1));
    assert_eq!(permit(&fold, "other"), (TradingState::Active, 0));
    let account = fold.monitor.account("paper").expect("the account");
    let figures = account.execution.whole().figures();
    assert!((figures.slippage[0].mean_bps.expect("a sample") - 1.7076).abs() < 1e-4);
    assert_eq!(figures.fill_time.seconds, Some(0.4));
    let drift = account.books.differences(&account.symbols).next().expect("a drift");
    assert_eq!(drift.quantity_drift.to_string(), "12");
    assert_eq!(drift.value_drift.map(|v| v.normalize().to_string()).as_deref(), Some("2250"));
    snapshots(&mut fold, "100", "100");
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 1));
    fold.wait(300);
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 1));
}

#[test]
fn a_release_needs_the_epoch_and_a_cause_that_has_cleared() {
    let mut fold = Fold::new(Settings::default());
    snapshots(&mut fold, "100", "88");
    let refused = |refusal| Verdict::Refused(refusal);
    let released = |epoch| Verdict::Decided { id: 0, epoch };
    let ask = |epoch| Ask { epoch, ..Ask::default() };
    let cause = fold.monitor.permit("paper").causes[0].id;
    assert_eq!(release(&mut fold, "paper", ask(0)), refused(Refusal::StaleEpoch));
    assert_eq!(release(&mut fold, "paper", ask(2)), refused(Refusal::StaleEpoch));
    assert_eq!(release(&mut fold, "nobody", ask(0)), refused(Refusal::UnknownAccount));
    assert_eq!(release(&mut fold, "*", ask(0)), refused(Refusal::NothingToRelease));
    let other = Ask { epoch: 1, causes: vec![cause + 7], force: false };
    assert_eq!(release(&mut fold, "paper", other), refused(Refusal::UnknownCause));
    assert_eq!(release(&mut fold, "paper", ask(1)), refused(Refusal::CauseOpen));
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 1));
    snapshots(&mut fold, "100", "100");
    let named = Ask { epoch: 1, causes: vec![cause], force: false };
    assert_eq!(release(&mut fold, "paper", named), released(2));
    assert_eq!(permit(&fold, "paper"), (TradingState::Active, 2));
    // Every attempt is in the audit trail, rejected or not.
    let lines = fold.monitor.audit().newest(|_| true).collect::<Vec<_>>();
    let refusals = lines.iter().filter(|line| line.refused.is_some()).count();
    assert_eq!((lines.len(), refusals), (8, 6));
}

#[test]
fn after_a_forced_release_only_a_larger_or_new_drift_halts() {
    let mut fold = Fold::new(Settings::default());
    snapshots(&mut fold, "100", "88");
    let forced = |epoch| Ask { epoch, force: true, causes: Vec::new() };
    assert_eq!(release(&mut fold, "paper", forced(1)), Verdict::Decided { id: 0, epoch: 2 });
    let state_at = |fold: &mut Fold, local: &str, broker: &str| {
        snapshots(fold, local, broker);
        permit(fold, "paper").0
    };
    assert_eq!(state_at(&mut fold, "100", "88"), TradingState::Active, "acknowledged");
    assert_eq!(state_at(&mut fold, "100", "86"), TradingState::Active, "a little more");
    assert_eq!(state_at(&mut fold, "100", "85"), TradingState::Halted, "a further $500");
    assert_eq!(release(&mut fold, "paper", forced(3)), Verdict::Decided { id: 0, epoch: 4 });
    assert_eq!(state_at(&mut fold, "100", "100"), TradingState::Active, "cleared");
    assert_eq!(state_at(&mut fold, "100", "88"), TradingState::Halted, "anew");
    assert_eq!(release(&mut fold, "paper", forced(5)), Verdict::Decided { id: 0, epoch: 6 });
    assert_eq!(state_at(&mut fold, "100", "112"), TradingState::Halted, "the other sign");
}

#[test]
fn the_common_latch_is_separate_from_the_account_s() {
    let mut fold = Fold::new(Settings::default());
    fold.lines(ORDER);
    halt(&mut fold, "*", TradingState::Reducing);
    halt(&mut fold, "paper", TradingState::Halted);
    assert_eq!(permit(&fold, "*"), (TradingState::Reducing, 1));
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 2));
    // The common latch applies to a new account too.
    assert_eq!(permit(&fold, "unseen"), (TradingState::Reducing, 1));
    let ask = |epoch| Ask { epoch, ..Ask::default() };
    release(&mut fold, "*", ask(1));
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 3));
    release(&mut fold, "paper", ask(3));
    assert_eq!(permit(&fold, "paper"), (TradingState::Active, 4));
}

#[test]
fn a_latch_can_have_several_causes() {
    let mut fold = Fold::new(Settings::default());
    snapshots(&mut fold, "100", "88");
    halt(&mut fold, "paper", TradingState::Reducing);
    let causes = fold.monitor.permit("paper").causes;
    let kinds: Vec<CauseKind> = causes.iter().map(|cause| cause.kind).collect();
    assert_eq!(kinds, [CauseKind::Drift, CauseKind::Operator]);
    let one = Ask { epoch: 2, causes: vec![causes[0].id], force: true };
    release(&mut fold, "paper", one);
    assert_eq!(permit(&fold, "paper"), (TradingState::Reducing, 3));
}

#[test]
fn bad_data_neither_sets_nor_releases() {
    let failed = r#"{"type":"positions","account":"paper","source":"broker","status":"failed","error":"timeout"}"#;
    let mut fold = Fold::new(Settings::default());
    snapshots(&mut fold, "100", "100");
    fold.wait(1);
    fold.lines(failed);
    assert_eq!(permit(&fold, "paper").0, TradingState::Active);
    // A broker's book that is three minutes old cannot be compared with a current local one.
    fold.wait(200);
    fold.lines(&position("local", "10"));
    fold.wait(61);
    assert_eq!(permit(&fold, "paper").0, TradingState::Active);
}

#[test]
fn an_unhealthy_component_halts_where_configured() {
    let mut settings = Settings::default();
    settings.health.halt_on_unhealthy = vec!["broker".to_owned()];
    let mut fold = Fold::new(settings);
    let beat = |component: &str, status: &str| {
        format!(
            r#"{{"type":"heartbeat","account":"paper","component":"{component}","status":"{status}"}}"#
        )
    };
    fold.lines(&beat("data_feed", "unhealthy"));
    assert_eq!(permit(&fold, "paper").0, TradingState::Active);
    fold.lines(&beat("broker", "unhealthy"));
    assert_eq!(permit(&fold, "paper").0, TradingState::Halted);
    let ask = |epoch| Ask { epoch, ..Ask::default() };
    assert_eq!(release(&mut fold, "paper", ask(1)), Verdict::Refused(Refusal::CauseOpen));
    fold.lines(&(beat("broker", "healthy") + "\n" + &beat("broker", "healthy")));
    assert_eq!(permit(&fold, "paper").0, TradingState::Halted);
    assert_eq!(release(&mut fold, "paper", ask(1)), Verdict::Decided { id: 0, epoch: 2 });
}

#[test]
fn directive_ids_come_from_record_sequences() {
    let run = || {
        let mut fold = Fold::new(Settings::default());
        snapshots(&mut fold, "100", "88");
        halt(&mut fold, "*", TradingState::Halted);
        std::mem::take(&mut fold.directives)
    };
    let directives = run();
    assert_eq!(directives, run());
    let halts = directives.iter().filter(|d| matches!(d.kind, DirectiveKind::Halt { .. }));
    assert_eq!(halts.count(), 2);
    let mut ids: Vec<_> = directives.iter().map(|d| d.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), directives.len());
}

#[test]
fn an_alert_sets_its_cause_once() {
    let mut fold = Fold::new(Settings::default());
    let alert = |fold: &mut Fold, id: &str, name: &str| {
        fold.apply(Entry::Decision(Decision::Alert {
            id: id.to_owned(),
            account: account(name),
            state: TradingState::Halted,
            subject: "f1".to_owned(),
            reason: "FillRatioLow".to_owned(),
            by: Actor::new("alertmanager").expect("an actor").into(),
        }))
    };
    assert_eq!(alert(&mut fold, "f1@1", "paper"), Verdict::Decided { id: 1, epoch: 1 });
    assert_eq!(alert(&mut fold, "f1@1", "paper"), Verdict::Duplicate);
    // It resolved and fires again while its cause is in force.
    assert_eq!(alert(&mut fold, "f1@2", "paper"), Verdict::Decided { id: 1, epoch: 1 });
    let ask = Ask { epoch: 1, ..Ask::default() };
    assert!(matches!(release(&mut fold, "paper", ask), Verdict::Decided { .. }));
    assert_eq!(alert(&mut fold, "f1@2", "paper"), Verdict::Duplicate);
    assert_eq!(permit(&fold, "paper"), (TradingState::Active, 2));
    assert_eq!(alert(&mut fold, "f1@3", "*"), Verdict::Decided { id: 2, epoch: 1 });
    assert_eq!(permit(&fold, "paper"), (TradingState::Halted, 3));
}
