//! Decisions of operators: halt, release, reconcile, retire. Each one leaves a line in the audit
//! trail, refused or not.

use crate::domain::account::Scene;
use crate::domain::control::Decided as Reached;
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::drift::Adoption;
use crate::domain::health::Health;
use crate::domain::ids::{Account, Actor, Component, Symbol};
use crate::domain::limits;
use crate::domain::monitor::{Halt, Monitor, Permit};
use crate::domain::record::{Decision, Refusal, Verdict};
use crate::domain::state::{AuditAction, AuditEntry, Cause, CauseKind, Latch};
use crate::domain::warning::Warnings;

/// What a decision came to: the ids of the causes that it set or released.
type Decided = Result<Vec<u64>, Refusal>;

/// A release as asked for.
struct Release<'a> {
    account: &'a Account,
    epoch: u64,
    causes: &'a [u64],
    force: bool,
}

/// A reconciliation as asked for.
struct Reconcile<'a> {
    account: &'a Account,
    symbol: &'a Symbol,
    adoption: Adoption,
}

impl Monitor {
    /// Carries out a decision, or refuses it.
    pub(super) fn decide(&mut self, decision: &Decision, outbox: &mut Outbox<'_>) -> Verdict {
        match decision {
            Decision::Halt { account, state, reason, actor } => {
                if self.settings.accounts.strict && !self.is_known(account.as_str()) {
                    return Verdict::Refused(Refusal::UnknownAccount);
                }
                if !account.is_all() && !self.has_room_for_halt(account) {
                    return Verdict::Refused(Refusal::TooManyAccounts);
                }
                let halt = Halt {
                    account: account.clone(),
                    kind: CauseKind::Operator,
                    state: *state,
                    subject: None,
                    reason: reason.clone(),
                    actor: actor.clone(),
                };
                let id = self.halt(halt, outbox);
                Verdict::Decided { id, epoch: self.permit(account.as_str()).epoch }
            }
            Decision::Alert { id, account, state, subject, reason, actor } => {
                let alert = Halt {
                    account: account.clone(),
                    kind: CauseKind::Alertmanager,
                    state: *state,
                    subject: Some(subject.clone()),
                    reason: reason.clone(),
                    actor: actor.clone(),
                };
                self.alert(id, alert, outbox)
            }
            Decision::Release { account, epoch, causes, force, reason, actor } => {
                let release = Release { account, epoch: *epoch, causes, force: *force };
                let action = if *force { AuditAction::ForcedRelease } else { AuditAction::Release };
                let decided = self.release(&release, outbox);
                if let Ok(causes) = &decided {
                    self.reach(
                        account,
                        Reached::Release {
                            causes: causes.clone(),
                            forced: *force,
                            reason: reason.clone(),
                            actor: actor.clone(),
                        },
                    );
                }
                self.audited(account, action, actor, reason, &decided)
            }
            Decision::Reconcile { account, symbol, adopt, privileged, reason, actor } => {
                let adoption = Adoption { adopt: *adopt, privileged: *privileged };
                let asked = Reconcile { account, symbol, adoption };
                let decided = self.reconcile(&asked, outbox);
                let reason = format!("{symbol}: {reason}");
                self.audited(account, AuditAction::Reconcile, actor, &reason, &decided)
            }
            Decision::Retire { account, symbol, component, actor } => {
                let decided = self.retire(account, symbol.as_ref(), component.as_ref());
                let names = [
                    symbol.as_ref().map(Symbol::as_str),
                    component.as_ref().map(Component::as_str),
                ];
                let reason = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
                self.audited(account, AuditAction::Retire, actor, &reason, &decided)
            }
        }
    }

    /// Sets the cause of an alert, once.
    fn alert(&mut self, id: &str, mut halt: Halt, outbox: &mut Outbox<'_>) -> Verdict {
        if self.alerts.is_known(id) {
            return Verdict::Duplicate;
        }
        self.alerts.remember(id);
        // An account that there is no room for is under the common latch alone.
        if !halt.account.is_all() && !self.has_room_for_halt(&halt.account) {
            halt.account = Account::all();
        }
        let account = halt.account.clone();
        let id = self.halt(halt, outbox);
        Verdict::Decided { id, epoch: self.permit(account.as_str()).epoch }
    }

    /// Whether an account exists or one more may. What the configuration names has room always.
    pub(super) fn has_room_for(&self, account: &Account) -> bool {
        self.accounts.contains_key(account)
            || self.accounts.len() < limits::ACCOUNTS_MAX
            || self.settings.accounts.is_named(account.as_str())
    }

    /// The same for a halt, which has a reserve.
    fn has_room_for_halt(&self, account: &Account) -> bool {
        self.has_room_for(account)
            || self.accounts.len() < limits::ACCOUNTS_MAX + limits::ACCOUNTS_RESERVE
    }

    /// Writes the line of a decision, and answers it.
    fn audited(
        &mut self,
        account: &Account,
        action: AuditAction,
        actor: &Actor,
        reason: &str,
        decided: &Decided,
    ) -> Verdict {
        let Permit { state, epoch, .. } = self.permit(account.as_str());
        self.note(AuditEntry {
            sequence: self.sequence,
            at: self.now,
            account: account.clone(),
            action,
            actor: actor.clone(),
            reason: reason.to_owned(),
            refused: decided.as_ref().err().copied(),
            state,
            epoch,
            causes: decided.as_ref().cloned().unwrap_or_default(),
        });
        match decided {
            Ok(_) => Verdict::Decided { id: 0, epoch },
            Err(refusal) => Verdict::Refused(*refusal),
        }
    }

    /// Takes causes off a latch, if the actor saw its present epoch and nothing of them is open.
    fn release(&mut self, release: &Release<'_>, outbox: &mut Outbox<'_>) -> Decided {
        let Release { account, epoch, causes, force } = *release;
        if !account.is_all() && !self.accounts.contains_key(account) {
            return Err(Refusal::UnknownAccount);
        }
        if self.permit(account.as_str()).epoch != epoch {
            return Err(Refusal::StaleEpoch);
        }
        let ids = self.causes_to_release(account, causes)?;
        let open: Vec<Cause> = self.open_causes(account, &ids);
        if !open.is_empty() && !force {
            return Err(Refusal::CauseOpen);
        }
        let now = self.now;
        if let Some(state) = self.accounts.get_mut(account) {
            for symbol in open.iter().filter_map(|cause| cause.subject.as_deref()) {
                state.acknowledge_drift(symbol);
            }
        }
        if account.is_all() {
            self.common.release(&ids, now);
        } else if let Some(state) = self.accounts.get_mut(account) {
            state.latch.release(&ids, now);
        }
        let Permit { state, epoch, .. } = self.permit(account.as_str());
        outbox.push(account, DirectiveKind::Release { state, epoch });
        Ok(ids)
    }

    /// The causes meant: those named, which must stand on this latch, or all of them.
    fn causes_to_release(&self, account: &Account, named: &[u64]) -> Decided {
        let own = self.accounts.get(account).map(|state| &state.latch);
        let latch = if account.is_all() { Some(&self.common) } else { own };
        let standing: Vec<u64> =
            latch.into_iter().flat_map(Latch::causes).map(|cause| cause.id).collect();
        if standing.is_empty() {
            return Err(Refusal::NothingToRelease);
        }
        if named.is_empty() {
            return Ok(standing);
        }
        if named.iter().all(|id| standing.contains(id)) {
            return Ok(named.to_vec());
        }
        Err(Refusal::UnknownCause)
    }

    /// Those of the causes whose drift or component is still open.
    fn open_causes(&self, account: &Account, ids: &[u64]) -> Vec<Cause> {
        let state = self.accounts.get(account);
        let latch = state.map_or(&self.common, |state| &state.latch);
        let components = state.map_or(&self.probes, |state| &state.components);
        let is_open = |cause: &&Cause| {
            let Some(subject) = cause.subject.as_deref() else { return false };
            match cause.kind {
                CauseKind::Drift => state.is_some_and(|state| state.is_drift_open(subject)),
                CauseKind::Component => {
                    let mut views = components.views(&self.settings.health);
                    views.any(|c| c.component.as_str() == subject && c.health == Health::Unhealthy)
                }
                CauseKind::MissingEvidence => {
                    state.is_some_and(|state| state.is_missing(subject, self.now, &self.settings))
                }
                CauseKind::Operator
                | CauseKind::Alertmanager
                | CauseKind::Risk
                | CauseKind::NotMonitored => false,
            }
        };
        let causes = ids.iter().filter_map(|id| latch.cause(*id));
        causes.filter(is_open).cloned().collect()
    }

    /// Reconciles a drift by hand.
    fn reconcile(&mut self, asked: &Reconcile<'_>, outbox: &mut Outbox<'_>) -> Decided {
        let Some(account) = self.accounts.get_mut(asked.account) else {
            return Err(Refusal::UnknownAccount);
        };
        let (now, warnings) = (self.now, Warnings::default());
        let mut scene = Scene { now, settings: &self.settings, warnings, outbox };
        account.adopt(asked.symbol, asked.adoption, &mut scene)?;
        Ok(Vec::new())
    }

    /// Forgets the series of a symbol or a component.
    fn retire(
        &mut self,
        account: &Account,
        symbol: Option<&Symbol>,
        component: Option<&Component>,
    ) -> Decided {
        let common = account.is_all().then_some(&mut self.probes);
        let own = self.accounts.get_mut(account);
        if common.is_none() && own.is_none() {
            return Err(Refusal::UnknownAccount);
        }
        match own {
            Some(own) => {
                if let Some(symbol) = symbol {
                    own.retire(symbol)?;
                }
                component.map_or(Ok(()), |name| own.components.retire(name))?;
            }
            None => match (common, component) {
                (Some(probes), Some(name)) => probes.retire(name)?,
                _ => return Err(Refusal::NotFound),
            },
        }
        Ok(Vec::new())
    }
}
