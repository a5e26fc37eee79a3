//! Decisions as records: the fold notes each one that it reaches, and keeps one that only the journal
//! contains.

use crate::domain::audit::{AuditAction, AuditEntry, AuditShare};
use crate::domain::control::{Control, FoldDecision};
use crate::domain::directive::{Directive, DirectiveKind};
use crate::domain::drift::ReconcileOutcome;
use crate::domain::ids::{Account, Symbol};
use crate::domain::monitor::{Monitor, account_of};
use crate::domain::principal::Principal;
use crate::domain::record::Verdict;
use crate::domain::settings::Severity;
use crate::domain::state::{Cause, Latch};
use crate::domain::units::Decimal;

impl Monitor {
    /// Decisions that the writer has to append, because the journal does not contain them yet.
    #[must_use]
    pub fn unrecorded(&self) -> impl ExactSizeIterator<Item = &Control> {
        self.controls.unrecorded()
    }

    /// Number of decisions in the journal that this version did not reach by itself. They are kept all
    /// the same.
    #[must_use]
    pub const fn decisions_missed(&self) -> u64 {
        self.controls.missed()
    }

    /// Notes a decision of this record.
    pub(super) fn reach(&mut self, account: &Account, decided: FoldDecision) {
        let (sequence, at) = (self.sequence, self.now);
        self.controls.reach(Control { sequence, at, account: account.clone(), decided });
    }

    /// Notes the reconciliations of this record: sent, confirmed or escalated.
    pub(super) fn reach_reconciles(&mut self, directives: &[Directive]) {
        for Directive { account, kind, .. } in directives {
            match kind {
                DirectiveKind::Reconcile { symbol, to_quantity, attempt, .. } => {
                    let reason = directive_text(symbol, *to_quantity);
                    self.note_reconcile(account, AuditAction::ReconcileSent, reason);
                    let (symbol, to_quantity) = (symbol.clone(), *to_quantity);
                    let decided =
                        FoldDecision::Reconcile { symbol, to_quantity, attempt: *attempt };
                    self.reach(account, decided);
                }
                DirectiveKind::Drift(drift) => {
                    let action = match drift.resolution {
                        Some(ReconcileOutcome::Confirmed) => AuditAction::ReconcileConfirmed,
                        // Emitted again when the drift gets more severe: not a second escalation.
                        Some(ReconcileOutcome::Escalated)
                            if drift.severity == Some(Severity::Moderate) =>
                        {
                            AuditAction::ReconcileEscalated
                        }
                        _ => continue,
                    };
                    let reason = format!(
                        "{}: drift {} after {} directives",
                        drift.symbol, drift.id, drift.attempts
                    );
                    self.note_reconcile(account, action, reason);
                }
                DirectiveKind::Halt { .. }
                | DirectiveKind::Release { .. }
                | DirectiveKind::Anomaly { .. }
                | DirectiveKind::Health { .. } => {}
            }
        }
    }

    fn note_reconcile(&mut self, account: &Account, action: AuditAction, reason: String) {
        let entry = self.audit_entry(account, action, &Principal::exporter(), reason);
        self.audit.note(AuditShare::Attempted, entry);
    }

    /// Applies a decision from the journal. If this version did not reach it, it is kept: halted trading
    /// stays halted, and causes that a person released stay released.
    pub(super) fn confirm(&mut self, control: &Control) -> Verdict {
        if !self.controls.confirm(control) {
            match &control.decided {
                FoldDecision::Halt(cause) => self.keep_halt(control, cause),
                FoldDecision::Release { causes, forced, reason, by } => {
                    let action =
                        if *forced { AuditAction::ForcedRelease } else { AuditAction::Release };
                    let released = self.keep_release(control, causes);
                    self.note_kept(AuditShare::Decided, control, action, (by, reason), released);
                }
                FoldDecision::Reconcile { symbol, to_quantity, .. } => {
                    let (action, reason) =
                        (AuditAction::ReconcileSent, directive_text(symbol, *to_quantity));
                    let by = (&Principal::exporter(), reason.as_str());
                    self.note_kept(AuditShare::Attempted, control, action, by, Vec::new());
                }
            }
        }
        Verdict::Accepted
    }

    /// Sets the cause under its own id, or under a new id if another cause has it.
    fn keep_halt(&mut self, control: &Control, cause: &Cause) {
        let id = if cause.id > self.causes { cause.id } else { self.causes + 1 };
        self.causes = id;
        self.open_by_halt(&control.account, cause.by.token());
        let kept = self.latch_of(&control.account).set(Cause { id, ..cause.clone() }).id();
        let by = (&cause.by, cause.reason.as_str());
        self.note_kept(
            AuditShare::of_cause(cause.kind),
            control,
            AuditAction::Halt,
            by,
            vec![kept],
        );
    }

    /// Releases the causes that are on the latch. Returns their ids.
    fn keep_release(&mut self, control: &Control, causes: &[u64]) -> Vec<u64> {
        let at = control.at;
        let latch = self.latch_of(&control.account);
        let on_latch = |id: &&u64| latch.cause(**id).is_some();
        let ids: Vec<u64> = causes.iter().filter(on_latch).copied().collect();
        if !ids.is_empty() {
            latch.release(&ids, at);
        }
        ids
    }

    pub(super) fn latch_of(&mut self, account: &Account) -> &mut Latch {
        if account.is_all() {
            return &mut self.common;
        }
        &mut account_of(&mut self.accounts, account, &self.settings).latch
    }

    fn note_kept(
        &mut self,
        share: AuditShare,
        control: &Control,
        action: AuditAction,
        (by, reason): (&Principal, &str),
        causes: Vec<u64>,
    ) {
        let entry = AuditEntry {
            sequence: control.sequence,
            at: control.at,
            causes,
            ..self.audit_entry(&control.account, action, by, reason.to_owned())
        };
        self.audit.note(share, entry);
    }
}

/// A reconcile directive as text, for people.
fn directive_text(symbol: &Symbol, to_quantity: Decimal) -> String {
    format!("{symbol}: local to {to_quantity}")
}
