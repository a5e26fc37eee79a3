//! Decisions as records: noted when the fold reaches them, and kept when only the log knows them.

use crate::domain::audit::{AuditAction, AuditEntry, By, Share};
use crate::domain::control::{Control, Decided};
use crate::domain::directive::{Directive, DirectiveKind};
use crate::domain::drift::ReconcileOutcome;
use crate::domain::ids::{Account, Symbol};
use crate::domain::monitor::{Monitor, Permit, account_of};
use crate::domain::record::Verdict;
use crate::domain::settings::Severity;
use crate::domain::state::{Cause, Latch};
use crate::domain::units::Decimal;

impl Monitor {
    /// Decisions that no record of the log holds yet: they are to be written.
    #[must_use]
    pub fn unrecorded(&self) -> impl ExactSizeIterator<Item = &Control> {
        self.controls.unrecorded()
    }

    /// How many decisions of the log this version did not reach by itself. They stand all the same.
    #[must_use]
    pub const fn decisions_missed(&self) -> u64 {
        self.controls.missed()
    }

    /// Notes a decision of this record.
    pub(super) fn reach(&mut self, account: &Account, decided: Decided) {
        let (sequence, at) = (self.sequence, self.now);
        self.controls.reach(Control { sequence, at, account: account.clone(), decided });
    }

    /// Notes what this record made of reconciliations: sent, confirmed, in vain.
    pub(super) fn reach_reconciles(&mut self, directives: &[Directive]) {
        for Directive { account, kind, .. } in directives {
            match kind {
                DirectiveKind::Reconcile { symbol, to_quantity, attempt, .. } => {
                    let reason = told(symbol, *to_quantity);
                    self.note_reconcile(account, AuditAction::ReconcileSent, reason);
                    let (symbol, to_quantity) = (symbol.clone(), *to_quantity);
                    let decided = Decided::Reconcile { symbol, to_quantity, attempt: *attempt };
                    self.reach(account, decided);
                }
                DirectiveKind::Drift(drift) => {
                    let action = match drift.resolution {
                        Some(ReconcileOutcome::Confirmed) => AuditAction::ReconcileConfirmed,
                        // Told again when it becomes more severe: that is no second escalation.
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
        let Permit { state, epoch, .. } = self.permit(account.as_str());
        let entry = AuditEntry {
            sequence: self.sequence,
            at: self.now,
            account: account.clone(),
            action,
            by: By::exporter(),
            reason,
            refused: None,
            state,
            epoch,
            causes: Vec::new(),
        };
        self.audit.note(Share::Attempted, entry);
    }

    /// Takes a decision that the log holds. One that this version did not reach is kept: trading
    /// that was halted stays halted, and what a person released stays released.
    pub(super) fn confirm(&mut self, control: &Control) -> Verdict {
        if !self.controls.confirm(control) {
            match &control.decided {
                Decided::Halt(cause) => self.keep_halt(control, cause),
                Decided::Release { causes, forced, reason, by } => {
                    let action =
                        if *forced { AuditAction::ForcedRelease } else { AuditAction::Release };
                    let released = self.keep_release(control, causes);
                    self.note_kept(Share::Decided, control, action, (by, reason), released);
                }
                Decided::Reconcile { symbol, to_quantity, .. } => {
                    let (action, reason) = (AuditAction::ReconcileSent, told(symbol, *to_quantity));
                    let by = (&By::exporter(), reason.as_str());
                    self.note_kept(Share::Attempted, control, action, by, Vec::new());
                }
            }
        }
        Verdict::Accepted
    }

    /// Sets the cause under its own id, or under a new one if another cause has that.
    fn keep_halt(&mut self, control: &Control, cause: &Cause) {
        let id = if cause.id > self.causes { cause.id } else { self.causes + 1 };
        self.causes = id;
        let kept = self.latch_of(&control.account).set(Cause { id, ..cause.clone() }).id();
        let by = (&cause.by, cause.reason.as_str());
        self.note_kept(cause.kind.share(), control, AuditAction::Halt, by, vec![kept]);
    }

    /// Releases those of the causes that stand.
    fn keep_release(&mut self, control: &Control, causes: &[u64]) -> Vec<u64> {
        let at = control.at;
        let latch = self.latch_of(&control.account);
        let standing = |id: &&u64| latch.cause(**id).is_some();
        let ids: Vec<u64> = causes.iter().filter(standing).copied().collect();
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
        share: Share,
        control: &Control,
        action: AuditAction,
        (by, reason): (&By, &str),
        causes: Vec<u64>,
    ) {
        let Permit { state, epoch, .. } = self.permit(control.account.as_str());
        let entry = AuditEntry {
            sequence: control.sequence,
            at: control.at,
            account: control.account.clone(),
            action,
            by: by.clone(),
            reason: reason.to_owned(),
            refused: None,
            state,
            epoch,
            causes,
        };
        self.audit.note(share, entry);
    }
}

/// What an engine was told, for people.
fn told(symbol: &Symbol, to_quantity: Decimal) -> String {
    format!("{symbol}: local to {to_quantity}")
}
