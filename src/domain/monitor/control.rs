//! Decisions as records: noted when the fold reaches them, and kept when only the log knows them.

use crate::domain::control::{Control, Decided};
use crate::domain::directive::{Directive, DirectiveKind};
use crate::domain::ids::{Account, Actor};
use crate::domain::monitor::{Monitor, Permit, account_of};
use crate::domain::record::Verdict;
use crate::domain::state::{AuditAction, AuditEntry, Cause, Latch};

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

    /// Notes the directives of this record that tell engines to set their books right.
    pub(super) fn reach_reconciles(&mut self, directives: &[Directive]) {
        for directive in directives {
            if let DirectiveKind::Reconcile { symbol, to_quantity, attempt, .. } = &directive.kind {
                let decided = Decided::Reconcile {
                    symbol: symbol.clone(),
                    to_quantity: *to_quantity,
                    attempt: *attempt,
                };
                self.reach(&directive.account, decided);
            }
        }
    }

    /// Takes a decision that the log holds. One that this version did not reach is kept: trading
    /// that was halted stays halted, and what a person released stays released.
    pub(super) fn confirm(&mut self, control: &Control) -> Verdict {
        if !self.controls.confirm(control) {
            match &control.decided {
                Decided::Halt(cause) => self.keep_halt(control, cause),
                Decided::Release { causes, forced, reason, actor } => {
                    let action =
                        if *forced { AuditAction::ForcedRelease } else { AuditAction::Release };
                    let released = self.keep_release(control, causes);
                    self.note_kept(control, action, (actor, reason), released);
                }
                Decided::Reconcile { symbol, to_quantity, .. } => {
                    let reason = format!("{symbol}: local to {to_quantity}");
                    let by = (&Actor::exporter(), reason.as_str());
                    self.note_kept(control, AuditAction::Reconcile, by, Vec::new());
                }
            }
        }
        Verdict::Accepted
    }

    /// Sets the cause under its own id, or under a new one if another cause has that.
    fn keep_halt(&mut self, control: &Control, cause: &Cause) {
        let id = if cause.id > self.causes { cause.id } else { self.causes + 1 };
        self.causes = id;
        let kept = self.latch_of(&control.account).set(Cause { id, ..cause.clone() });
        let by = (&cause.actor, cause.reason.as_str());
        self.note_kept(control, AuditAction::Halt, by, vec![kept]);
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
        control: &Control,
        action: AuditAction,
        (actor, reason): (&Actor, &str),
        causes: Vec<u64>,
    ) {
        let Permit { state, epoch, .. } = self.permit(control.account.as_str());
        self.note(AuditEntry {
            sequence: control.sequence,
            at: control.at,
            account: control.account.clone(),
            action,
            actor: actor.clone(),
            reason: reason.to_owned(),
            refused: None,
            state,
            epoch,
            causes,
        });
    }
}
