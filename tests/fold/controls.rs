//! Decisions of one version remain in force, also if a later version would decide otherwise.

use trading_exporter::domain::audit::{AuditAction, AuditEntry};
use trading_exporter::domain::control::{Control, FoldDecision};
use trading_exporter::domain::ids::{Account, Actor};
use trading_exporter::domain::record::{Decision, Entry, Verdict};
use trading_exporter::domain::settings::{DriftRules, PerSeverity, Scoped, Settings};
use trading_exporter::domain::state::{CauseKind, TradingState};
use trading_exporter::domain::units::Decimal;

use crate::flow::{Fold, decode};

/// One version of the program: it writes each decision after the record that led to it.
struct Version {
    fold: Fold,
    log: Vec<Entry>,
}

impl Version {
    fn new(settings: Settings) -> Self {
        Self { fold: Fold::new(settings), log: Vec::new() }
    }

    fn live(&mut self, entry: Entry) -> Verdict {
        self.log.push(entry.clone());
        let verdict = self.fold.apply(entry);
        let decided: Vec<Control> = self.fold.monitor.unrecorded().cloned().collect();
        for control in decided {
            self.log.push(Entry::Control(control.clone()));
            self.fold.apply(Entry::Control(control));
        }
        assert_eq!(self.fold.monitor.unrecorded().len(), 0);
        verdict
    }

    fn lines(&mut self, lines: &str) {
        for event in decode(lines) {
            self.live(Entry::Event(event));
        }
    }

    fn replay(settings: Settings, log: &[Entry]) -> Fold {
        let mut fold = Fold::new(settings);
        for entry in log {
            fold.apply(entry.clone());
        }
        fold
    }
}

/// The audit trail, newest first.
fn lines(fold: &Fold) -> Vec<AuditEntry> {
    fold.monitor.audit().newest(|_| true).cloned().collect()
}

/// A version for which a thousand shares are no drift.
fn lenient() -> Settings {
    let lax = |n: i64| PerSeverity {
        minor: Decimal::from(n),
        moderate: Decimal::from(n),
        critical: Decimal::from(n),
    };
    let rules = DriftRules { quantity: lax(10_000), value: lax(100_000_000), ..Default::default() };
    Settings {
        drift_rules: Scoped { default: rules, overrides: Vec::new() },
        ..Settings::default()
    }
}

const APART: &str = r#"
{"type":"positions","account":"paper","source":"local","positions":[{"symbol":"AAPL","quantity":100,"average_price":187,"market_price":187}]}
{"type":"positions","account":"paper","source":"broker","positions":[{"symbol":"AAPL","quantity":60,"average_price":187,"market_price":187}]}
"#;

fn halted() -> Version {
    let mut version = Version::new(Settings::default());
    version.lines(APART);
    assert_eq!(version.fold.monitor.permit("paper").state, TradingState::Halted);
    version
}

fn release(epoch: u64) -> Entry {
    Entry::Decision(Decision::Release {
        account: Account::new("paper").expect("an account"),
        epoch,
        causes: Vec::new(),
        force: true,
        reason: "seen".to_owned(),
        by: Actor::new("ops").expect("an actor").into(),
    })
}

#[test]
fn the_same_version_repeats_all_decisions() {
    let mut version = halted();
    assert!(matches!(version.live(release(1)), Verdict::Decided { .. }));
    let controls = version.log.iter().filter(|e| matches!(e, Entry::Control(_))).count();
    assert_eq!(controls, 2);
    let again = Version::replay(Settings::default(), &version.log);
    assert_eq!(again.monitor.decisions_missed(), 0);
    assert_eq!(format!("{:?}", again.monitor), format!("{:?}", version.fold.monitor));
}

#[test]
fn a_halt_that_a_later_version_would_not_set_remains_and_is_reported() {
    let version = halted();
    let later = Version::replay(lenient(), &version.log);
    let permit = later.monitor.permit("paper");
    assert_eq!((permit.state, permit.epoch), (TradingState::Halted, 1));
    assert_eq!(permit.causes, version.fold.monitor.permit("paper").causes);
    assert_eq!(permit.causes[0].kind, CauseKind::Drift);
    assert_eq!(later.monitor.decisions_missed(), 1);
    let audits = [&later, &version.fold].map(lines);
    assert_eq!(audits[0], audits[1], "the audit record too");
}

#[test]
fn released_causes_stay_released() {
    let mut version = halted();
    assert!(matches!(version.live(release(1)), Verdict::Decided { .. }));
    let later = Version::replay(lenient(), &version.log);
    assert_eq!(later.monitor.permit("paper").state, TradingState::Active);
    let last = lines(&later).remove(0);
    assert_eq!(last.action, AuditAction::ForcedRelease);

    // A version that counts changes differently would reject the release, and still keeps it.
    let mut log = version.log.clone();
    let halt = Entry::Decision(Decision::Halt {
        account: Account::all(),
        state: TradingState::Reducing,
        reason: "one more change".to_owned(),
        by: Actor::new("ops").expect("an actor").into(),
    });
    log.insert(2, halt);
    let later = Version::replay(Settings::default(), &log);
    let account = later.monitor.account("paper").expect("the account");
    assert_eq!(account.latch.state(), TradingState::Active);
    assert!(later.monitor.decisions_missed() > 0);
}

#[test]
fn a_cause_whose_id_is_in_use_gets_another() {
    let version = halted();
    let mut log = vec![Entry::Decision(Decision::Halt {
        account: Account::new("other").expect("an account"),
        state: TradingState::Reducing,
        reason: "by hand".to_owned(),
        by: Actor::new("ops").expect("an actor").into(),
    })];
    log.extend(version.log);
    let later = Version::replay(lenient(), &log);
    let ids = ["other", "paper"].map(|account| later.monitor.permit(account).causes[0].id);
    assert_eq!(ids, [1, 2]);
}

#[test]
fn a_reconcile_that_is_not_repeated_is_in_the_audit_trail() {
    let mut version = Version::new(Settings::default());
    for _ in 0..3 {
        version.lines(&APART.replace("60", "99").replace("187", "5"));
        for _ in 0..6 {
            version.fold.wait(1);
        }
    }
    let reconciles = |entry: &&Entry| {
        matches!(entry, Entry::Control(Control { decided: FoldDecision::Reconcile { .. }, .. }))
    };
    let control = version.log.iter().find(reconciles).expect("a reconcile").clone();
    let mut fold = Fold::new(Settings::default());
    fold.apply(control);
    let line = lines(&fold).remove(0);
    assert_eq!(
        (line.action, line.reason.as_str()),
        (AuditAction::ReconcileSent, "AAPL: local to 99")
    );
    assert_eq!(fold.monitor.decisions_missed(), 1);
}
