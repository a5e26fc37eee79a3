//! Decisions of operators: halt, release, reconcile, retire. Each one leaves a line in the audit
//! trail, refused or not.

use crate::domain::audit::{AuditAction, AuditEntry, AuditShare};
use crate::domain::control::FoldDecision;
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::drift::Adoption;
use crate::domain::evidence::EvidenceGap;
use crate::domain::execution::anomaly::Figure;
use crate::domain::health::Health;
use crate::domain::ids::{Account, Component, Symbol};
use crate::domain::monitor::{Halt, Monitor, Permit};
use crate::domain::principal::Principal;
use crate::domain::record::{Decision, Refusal, Verdict};
use crate::domain::state::{Cause, CauseKind, Latch};
use crate::domain::step::Moment;

/// The result of a decision: the ids of the causes that it set or released.
type DecisionResult = Result<Vec<u64>, Refusal>;

/// A requested release.
struct Release<'a> {
    account: &'a Account,
    epoch: u64,
    causes: &'a [u64],
    force: bool,
}

/// A requested reconciliation.
struct Reconcile<'a> {
    account: &'a Account,
    symbol: &'a Symbol,
    adoption: Adoption,
}

impl Monitor {
    /// Carries out a decision, or refuses it.
    pub(super) fn decide(&mut self, decision: &Decision, outbox: &mut Outbox<'_>) -> Verdict {
        match decision {
            Decision::Halt { account, state, reason, by } => {
                if self.settings.accounts.strict && !self.is_known(account.as_str()) {
                    return Verdict::Refused(Refusal::UnknownAccount);
                }
                if !self.has_room_for_halt(account, by) {
                    return Verdict::Refused(Refusal::TooManyAccounts);
                }
                let halt = Halt {
                    account: account.clone(),
                    kind: CauseKind::Operator,
                    state: *state,
                    subject: None,
                    reason: reason.clone(),
                    by: by.clone(),
                };
                let id = self.halt(halt, outbox);
                Verdict::Decided { id, epoch: self.permit(account.as_str()).epoch }
            }
            Decision::Alert { id, account, state, subject, reason, by } => {
                let alert = Halt {
                    account: account.clone(),
                    kind: CauseKind::Alertmanager,
                    state: *state,
                    subject: Some(subject.clone()),
                    reason: reason.clone(),
                    by: by.clone(),
                };
                let is_known = self.is_known(account.as_str());
                let verdict = self.alert(id, alert, outbox);
                if !is_known && matches!(verdict, Verdict::Decided { .. }) {
                    self.note_halt_of_unknown(account, outbox);
                }
                verdict
            }
            Decision::Release { account, epoch, causes, force, reason, by } => {
                let release = Release { account, epoch: *epoch, causes, force: *force };
                self.decide_release(&release, (by, reason), outbox)
            }
            Decision::Reconcile { account, symbol, adopt, privileged, reason, by } => {
                let adoption = Adoption { adopt: *adopt, privileged: *privileged };
                let asked = Reconcile { account, symbol, adoption };
                let decided = self.reconcile(&asked, outbox);
                let reason = format!("{symbol}: {reason}");
                let (who, action) = ((by, reason.as_str()), AuditAction::Reconcile);
                if *privileged {
                    return self.audited(account, action, who, &decided);
                }
                self.note_decided(AuditShare::Attempted, account, action, who, &decided);
                self.answered(account, &decided)
            }
            Decision::Configure { change, is_refused, by } => {
                let decided =
                    if *is_refused { Err(Refusal::InvalidConfig) } else { Ok(Vec::new()) };
                self.audited(&Account::all(), AuditAction::Configure, (by, change), &decided)
            }
            Decision::Retire { account, symbol, component, by } => {
                let decided = self.retire(account, symbol.as_ref(), component.as_ref());
                let names = [
                    symbol.as_ref().map(Symbol::as_str),
                    component.as_ref().map(Component::as_str),
                ];
                let reason = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
                self.audited(account, AuditAction::Retire, (by, &reason), &decided)
            }
        }
    }

    fn decide_release(
        &mut self,
        release: &Release<'_>,
        (by, reason): (&Principal, &str),
        outbox: &mut Outbox<'_>,
    ) -> Verdict {
        let Release { account, force: forced, .. } = *release;
        let action = if forced { AuditAction::ForcedRelease } else { AuditAction::Release };
        let decided = self.release(release, outbox);
        if let Ok(causes) = &decided {
            let (causes, reason, by) = (causes.clone(), reason.to_owned(), by.clone());
            self.reach(account, FoldDecision::Release { causes, forced, reason, by });
        }
        self.audited(account, action, (by, reason), &decided)
    }

    /// Sets the cause of an alert, once. It applies to the account that the alert names or to none: if
    /// there is no room for the account, the alert is refused, never widened to all accounts.
    fn alert(&mut self, id: &str, halt: Halt, outbox: &mut Outbox<'_>) -> Verdict {
        if self.alerts.is_known(&halt.account, id) {
            return Verdict::Duplicate;
        }
        if !self.has_room_for_halt(&halt.account, &halt.by) {
            return Verdict::Refused(Refusal::TooManyAccounts);
        }
        self.alerts.remember(&halt.account, id);
        let account = halt.account.clone();
        let id = self.halt(halt, outbox);
        Verdict::Decided { id, epoch: self.permit(account.as_str()).epoch }
    }

    /// Records that an alert halted an account that no configuration, token or event names: its author
    /// probably meant another account.
    fn note_halt_of_unknown(&mut self, account: &Account, outbox: &mut Outbox<'_>) {
        let Some(state) = self.accounts.get_mut(account) else { return };
        state.is_halted_unknown = true;
        let (now, clock_behind) = (self.now, self.clock_behind);
        let moment = Moment { now, clock_behind, settings: &self.settings };
        state.record_incident(Figure::HaltOfUnknownAccount, moment, outbox);
    }

    /// Whether an event with that token may open the account. Accounts of the configuration may always be
    /// opened.
    pub(super) fn has_room_for(&self, account: &Account, token: &str) -> bool {
        self.settings.accounts.is_named(account.as_str())
            || self.accounts.has_room(token, &self.settings.accounts)
    }

    /// Whether an account exists, or may be added for a halt. Accounts without any event have a share of
    /// their own.
    fn has_room_for_halt(&self, account: &Account, by: &Principal) -> bool {
        account.is_all()
            || self.accounts.contains_key(account)
            || self.settings.accounts.is_named(account.as_str())
            || self.accounts.has_room_for_halt(by.token(), &self.settings.accounts)
    }

    /// Writes the audit line of a decision, and answers it.
    fn audited(
        &mut self,
        account: &Account,
        action: AuditAction,
        who: (&Principal, &str),
        decided: &DecisionResult,
    ) -> Verdict {
        let share = if decided.is_ok() { AuditShare::Decided } else { AuditShare::Attempted };
        self.note_decided(share, account, action, who, decided);
        self.answered(account, decided)
    }

    fn answered(&self, account: &Account, decided: &DecisionResult) -> Verdict {
        match decided {
            Ok(_) => Verdict::Decided { id: 0, epoch: self.permit(account.as_str()).epoch },
            Err(refusal) => Verdict::Refused(*refusal),
        }
    }

    /// Writes the audit line of a decision. Lines about unknown accounts have a share of their own.
    fn note_decided(
        &mut self,
        share: AuditShare,
        account: &Account,
        action: AuditAction,
        (by, reason): (&Principal, &str),
        decided: &DecisionResult,
    ) {
        let is_kept = account.is_all()
            || self.accounts.contains_key(account)
            || self.settings.accounts.is_named(account.as_str());
        let entry = AuditEntry {
            refused: decided.as_ref().err().copied(),
            causes: decided.as_ref().cloned().unwrap_or_default(),
            ..self.audit_entry(account, action, by, reason.to_owned())
        };
        self.audit.note(if is_kept { share } else { AuditShare::Stray }, entry);
    }

    /// Releases causes from a latch, if the actor saw its present epoch and none of their subjects is
    /// open.
    fn release(&mut self, release: &Release<'_>, outbox: &mut Outbox<'_>) -> DecisionResult {
        let Release { account, epoch, causes, force } = *release;
        if !account.is_all() && !self.accounts.contains_key(account) {
            return Err(Refusal::UnknownAccount);
        }
        if self.permit(account.as_str()).epoch != epoch {
            return Err(Refusal::StaleEpoch);
        }
        let ids = self.causes_to_release(account, causes)?;
        let open = self.open_subjects(account, &ids);
        if !open.is_empty() && !force {
            return Err(Refusal::CauseOpen);
        }
        let now = self.now;
        if let Some(state) = self.accounts.get_mut(account) {
            for symbol in &open {
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

    /// The causes to release: the named ones, which must be on this latch, or all.
    fn causes_to_release(&self, account: &Account, named: &[u64]) -> DecisionResult {
        let own = self.accounts.get(account).map(|state| &state.latch);
        let latch = if account.is_all() { Some(&self.common) } else { own };
        let on_latch: Vec<u64> =
            latch.into_iter().flat_map(Latch::causes).map(|cause| cause.id).collect();
        if on_latch.is_empty() {
            return Err(Refusal::NothingToRelease);
        }
        if named.is_empty() {
            return Ok(on_latch);
        }
        if named.iter().all(|id| on_latch.contains(id)) {
            return Ok(named.to_vec());
        }
        Err(Refusal::UnknownCause)
    }

    /// The open drifts (symbols) and components that these causes are about. A cause that counts several
    /// is about all that are open now.
    fn open_subjects(&self, account: &Account, ids: &[u64]) -> Vec<String> {
        let state = self.accounts.get(account);
        let latch = state.map_or(&self.common, |state| &state.latch);
        let mut open = Vec::new();
        for cause in ids.iter().filter_map(|id| latch.cause(*id)) {
            match (cause.kind, state) {
                (CauseKind::Drift, Some(state)) => open.extend(state.open_drifts(cause)),
                (CauseKind::Component, _) => {
                    let components = state.map_or(&self.probes, |state| &state.components);
                    let unhealthy = components
                        .views(&self.settings.health)
                        .filter(|c| c.health == Health::Unhealthy)
                        .map(|c| c.component.as_str().to_owned());
                    open.extend(unhealthy.filter(|component| self.is_about(cause, component)));
                }
                (CauseKind::MissingEvidence, Some(state)) => {
                    let is_meant =
                        |name: &str| cause.count > 1 || cause.subject.as_deref() == Some(name);
                    let kinds = EvidenceGap::ALL.map(EvidenceGap::as_str).into_iter();
                    let missing = kinds.filter(|name| {
                        is_meant(name) && state.is_missing(name, self.now, &self.settings)
                    });
                    open.extend(missing.map(str::to_owned));
                }
                (CauseKind::Drift | CauseKind::MissingEvidence, None)
                | (
                    CauseKind::Operator
                    | CauseKind::Alertmanager
                    | CauseKind::Risk
                    | CauseKind::NotMonitored,
                    _,
                ) => {}
            }
        }
        open
    }

    /// Whether a cause is about this component: the component of the cause, or, if it counts several, any
    /// component that halts.
    fn is_about(&self, cause: &Cause, component: &str) -> bool {
        let halting = &self.settings.health.halt_on_unhealthy;
        cause.subject.as_deref() == Some(component)
            || cause.count > 1 && halting.iter().any(|name| name == component)
    }

    /// Reconciles a drift by hand.
    fn reconcile(&mut self, asked: &Reconcile<'_>, outbox: &mut Outbox<'_>) -> DecisionResult {
        let Some(account) = self.accounts.get_mut(asked.account) else {
            return Err(Refusal::UnknownAccount);
        };
        let (now, clock_behind) = (self.now, self.clock_behind);
        let moment = Moment { now, clock_behind, settings: &self.settings };
        account.adopt(asked.symbol, asked.adoption, moment, outbox)?;
        Ok(Vec::new())
    }

    /// Forgets the series of a symbol or a component.
    fn retire(
        &mut self,
        account: &Account,
        symbol: Option<&Symbol>,
        component: Option<&Component>,
    ) -> DecisionResult {
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
