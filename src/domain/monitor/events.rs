//! Events, checks and ticks: each one applied to its account, then the consequences outside of it.

use std::sync::Arc;

use crate::domain::account::{EventEffect, TickEffects};
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::drift::DriftHalt;
use crate::domain::event::{Event, Source};
use crate::domain::evidence::EvidenceHalt;
use crate::domain::execution::anomaly::Figure;
use crate::domain::health::{ComponentStatus, Health, HealthChange};
use crate::domain::horizon::EventIdStatus;
use crate::domain::ids::Account;
use crate::domain::monitor::{Halt, Monitor, account_of};
use crate::domain::principal::Principal;
use crate::domain::record::{CheckResult, Refusal, Verdict};
use crate::domain::state::{Cause, CauseKind, TradingState};
use crate::domain::step::Moment;
use crate::domain::warning::{Warning, Warnings};

/// Whether an event is the first one of its account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsOpening {
    No,
    Yes,
}

/// The result of an event of a known account.
type AppliedEvent = (EventEffect, Warnings);

impl Monitor {
    /// Applies an event to its account.
    pub(super) fn event(
        &mut self,
        event: &Event,
        opener: &str,
        outbox: &mut Outbox<'_>,
    ) -> Verdict {
        let is_old = |age| {
            event.time.is_some_and(|time| self.now.is_past(time.plus(self.clock_behind), age))
        };
        if self.settings.ingest.event_age_max.is_some_and(is_old) {
            return Verdict::Refused(Refusal::TooOld);
        }
        if self.settings.accounts.strict && !self.is_known(event.account.as_str()) {
            return Verdict::Refused(Refusal::UnknownAccount);
        }
        let taken = match self.take(event, IsOpening::No, outbox) {
            Some(taken) => taken,
            None if self.has_room_for(&event.account, opener) => {
                self.take_first(event, opener, outbox)
            }
            None => Err(Refusal::TooManyAccounts),
        };
        match taken {
            Ok((EventEffect::Duplicate, _)) => Verdict::Duplicate,
            Ok((effect, warnings)) => {
                self.follow_up(&event.account, effect, outbox);
                if warnings.is_empty() {
                    return Verdict::Accepted;
                }
                if warnings.contains(Warning::NotMonitored) {
                    self.not_monitored(&event.account, outbox);
                }
                Verdict::Warned(warnings)
            }
            Err(refusal) => self.refused(event, refusal),
        }
    }

    fn refused(&self, event: &Event, refusal: Refusal) -> Verdict {
        let account = self.accounts.get(&event.account).filter(|_| refusal == Refusal::Conflict);
        let why = account.and_then(|account| account.execution.explain(event, &account.symbols));
        why.map_or(Verdict::Refused(refusal), |why| Verdict::Contradicts(why.into()))
    }

    /// Applies the first event of an account. If it is refused, an account that it added is removed
    /// again.
    fn take_first(
        &mut self,
        event: &Event,
        opener: &str,
        outbox: &mut Outbox<'_>,
    ) -> Result<AppliedEvent, Refusal> {
        let is_halted = self.accounts.contains_key(&event.account);
        account_of(&mut self.accounts, &event.account, &self.settings);
        let Some(taken) = self.take(event, IsOpening::Yes, outbox) else {
            impossible!("an account that was just added is missing");
            return Ok((EventEffect::Nothing, Warnings::default()));
        };
        match &taken {
            Ok(_) => self.accounts.open(&event.account, opener, &self.settings.accounts),
            Err(_) if is_halted => {}
            Err(_) => self.accounts.remove(&event.account),
        }
        taken
    }

    /// Applies an event of a known account; `None` if no event named the account before, and this one
    /// is not to open it.
    fn take(
        &mut self,
        event: &Event,
        is_opening: IsOpening,
        outbox: &mut Outbox<'_>,
    ) -> Option<Result<AppliedEvent, Refusal>> {
        let (now, clock_behind, settings) = (self.now, self.clock_behind, &*self.settings);
        let moment = Moment { now, clock_behind, settings };
        let account = self.accounts.get_mut(&event.account)?;
        if account.last_event_at.is_none() && is_opening == IsOpening::No {
            return None;
        }
        let folded = account.symbols.folded();
        let mut taken = match account.horizon.look_up(event) {
            EventIdStatus::Duplicate => Ok((EventEffect::Duplicate, Warnings::default())),
            EventIdStatus::Conflict => Err(Refusal::Conflict),
            EventIdStatus::New => account.take(event, moment, outbox),
        };
        match &mut taken {
            Err(Refusal::Conflict) => account.record_incident(Figure::Conflict, moment, outbox),
            Ok((EventEffect::Duplicate, _)) | Err(_) => {}
            Ok((_, warnings)) => {
                // Only an accepted event is remembered: a refused one may be sent again, corrected.
                account.horizon.remember(event, now, &settings.ingest);
                if event.body.sender() != Some(Source::Broker) {
                    account.engine_at = Some(now);
                }
                let before = account.last_event_at.replace(now);
                if before.is_none() && settings.accounts.is_odd(event.account.as_str()) {
                    warnings.insert(Warning::UnknownAccount);
                }
                if account.symbols.folded() > folded {
                    warnings.insert(Warning::NotMonitored);
                }
                // Last, because the event may have added an order.
                account.execution.enforce_bounds(&settings.orders);
            }
        }
        Some(taken)
    }

    /// Halts an account with more symbols than are monitored, unless the settings allow it to trade on.
    fn not_monitored(&mut self, account: &Account, outbox: &mut Outbox<'_>) {
        let symbols = self.settings.symbols;
        let Some(state) = symbols.on_not_monitored.state() else { return };
        let is_set = |cause: &Cause| cause.kind == CauseKind::NotMonitored && cause.state >= state;
        if self.latch_of(account).causes().any(is_set) {
            return;
        }
        let reason = format!(
            "the account has more symbols than symbols.max ({}): positions and drift of the others \
             are not monitored",
            symbols.max
        );
        let halt = Halt {
            account: account.clone(),
            kind: CauseKind::NotMonitored,
            state,
            subject: Some("symbols".to_owned()),
            reason,
            by: Principal::exporter(),
        };
        self.halt(halt, outbox);
    }

    /// Carries out the effect of an event outside of its account.
    fn follow_up(&mut self, account: &Account, effect: EventEffect, outbox: &mut Outbox<'_>) {
        match effect {
            EventEffect::Nothing | EventEffect::Duplicate => {}
            EventEffect::OutOfOrder => self.out_of_order += 1,
            EventEffect::Books => self.books_changed(account),
            EventEffect::Health(change) => {
                // A difference may have waited for a heartbeat of the engine.
                self.books_changed(account);
                self.component_changed(account, *change, outbox);
            }
        }
    }

    /// Marks an account: its books are compared at the end of the request.
    fn books_changed(&mut self, account: &Account) {
        if !self.dirty.contains(account) {
            self.dirty.insert(account.clone());
        }
    }

    /// Applies the result of one of the exporter's own probes.
    pub(super) fn check(&mut self, result: &CheckResult, outbox: &mut Outbox<'_>) -> Verdict {
        match self.probes.check(result, self.now, &self.settings.health) {
            Ok(Some(change)) => self.component_changed(&Account::all(), change, outbox),
            Ok(None) => {}
            Err(refusal) => return Verdict::Refused(refusal),
        }
        Verdict::Accepted
    }

    /// Compares the books of the marked accounts.
    pub(super) fn compare(&mut self, outbox: &mut Outbox<'_>) {
        while let Some(name) = self.dirty.pop_first() {
            let settings = Arc::clone(&self.settings);
            let Some(account) = self.accounts.get_mut(&name) else { continue };
            let (now, clock_behind) = (self.now, self.clock_behind);
            let halts = account.compare(Moment { now, clock_behind, settings: &settings }, outbox);
            self.halt_for_drifts(&name, halts, outbox);
        }
    }

    /// A second passed: updates every account, then carries out the consequences.
    pub(super) fn tick_accounts(&mut self, outbox: &mut Outbox<'_>) {
        let settings = Arc::clone(&self.settings);
        let (now, listening_since) = (self.now, self.listening_since);
        let moment = Moment { now, clock_behind: self.clock_behind, settings: &settings };
        let mut changes = Vec::new();
        let mut halts = Vec::new();
        let mut missing = Vec::new();
        for account in self.accounts.values_mut() {
            let TickEffects { health, drift, evidence } =
                account.tick(listening_since, moment, outbox);
            changes.extend(health.into_iter().map(|change| (account.name.clone(), change)));
            halts.push((account.name.clone(), drift));
            missing.extend(evidence.into_iter().map(|halt| (account.name.clone(), halt)));
        }
        let probed = self.probes.tick(now, listening_since, &settings.health);
        changes.extend(probed.into_iter().map(|change| (Account::all(), change)));
        for (account, change) in changes {
            self.component_changed(&account, change, outbox);
        }
        for (account, halts) in halts {
            self.halt_for_drifts(&account, halts, outbox);
        }
        for (account, halt) in missing {
            self.latch_for_evidence(account, halt, outbox);
        }
    }

    /// Emits the change of a component, and halts if the component must not be unhealthy.
    fn component_changed(
        &mut self,
        account: &Account,
        change: HealthChange,
        outbox: &mut Outbox<'_>,
    ) {
        let HealthChange { component, status, message } = change;
        let ComponentStatus { health, by_silence } = status;
        let must_halt = health == Health::Unhealthy
            && (!by_silence || self.settings.health.halt_on_silence)
            && self.settings.health.halt_on_unhealthy.iter().any(|c| c == component.as_str());
        outbox.push(account, DirectiveKind::Health { component: component.clone(), health });
        if must_halt {
            let halt = Halt {
                account: account.clone(),
                kind: CauseKind::Component,
                state: TradingState::Halted,
                subject: Some(component.as_str().to_owned()),
                reason: format!("component {component} is unhealthy: {message}"),
                by: Principal::exporter(),
            };
            self.halt(halt, outbox);
        }
    }

    /// Latches the state that the settings ask for when evidence of an account is missing.
    fn latch_for_evidence(
        &mut self,
        account: Account,
        evidence: EvidenceHalt,
        outbox: &mut Outbox<'_>,
    ) {
        let EvidenceHalt { missing, state, reason } = evidence;
        let halt = Halt {
            account,
            kind: CauseKind::MissingEvidence,
            state,
            subject: Some(missing.as_str().to_owned()),
            reason,
            by: Principal::exporter(),
        };
        self.halt(halt, outbox);
    }

    /// Halts an account for its confirmed critical drifts.
    fn halt_for_drifts(
        &mut self,
        account: &Account,
        halts: Vec<DriftHalt>,
        outbox: &mut Outbox<'_>,
    ) {
        for DriftHalt { symbol, reason, .. } in halts {
            let halt = Halt {
                account: account.clone(),
                kind: CauseKind::Drift,
                state: TradingState::Halted,
                subject: Some(symbol.as_str().to_owned()),
                reason,
                by: Principal::exporter(),
            };
            self.halt(halt, outbox);
        }
    }
}
