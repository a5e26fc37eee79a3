//! The fold: `apply(record)` updates the state and emits directives.
//!
//! Input: records in sequence. Output: verdicts and directives. Invariants: the same records give
//! the same state; a refused record changes nothing but counters and the audit trail.
//! Deliberately absent: clocks, I/O, randomness.

mod accounts;
mod admission;
mod control;
mod decide;
mod events;
mod recount;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::account::AccountState;
use crate::domain::alerts::HandledAlerts;
use crate::domain::audit::{AuditAction, AuditEntry, AuditShare, AuditTrail};
use crate::domain::control::{Controls, FoldDecision};
use crate::domain::directive::{Directive, DirectiveKind, Outbox};
use crate::domain::event::Event;
use crate::domain::health::Components;
use crate::domain::horizon::EventIdStatus;
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::notes::Notes;
use crate::domain::principal::{NO_TOKEN, Principal};
use crate::domain::record::{Decision, Entry, Record, Verdict};
use crate::domain::settings::Settings;
use crate::domain::state::{Cause, CauseKind, CausePlacement, Latch, TradingState};
use crate::domain::time::Timestamp;

use accounts::Accounts;

/// A longer time between two records is a gap, in which no event was received: there is a tick every
/// second.
const GAP_MAX: Duration = Duration::from_secs(5);

/// The whole monitoring state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Monitor {
    /// Stored next to the state, in the form of the journal: see [`Self::resumed`].
    #[serde(skip)]
    settings: Arc<Settings>,
    sequence: u64,
    /// Receive time of the first record.
    born: Option<Timestamp>,
    now: Timestamp,
    /// Start of the present run of records without a gap. Events sent during a gap were not received.
    listening_since: Timestamp,
    /// How far the wall clock is behind receive time.
    #[serde(default)]
    clock_behind: Duration,
    accounts: Accounts,
    common: Latch,
    probes: Components,
    audit: AuditTrail,
    /// The most recent directives. A consumer that reconnects, even after a restart, replays from here.
    recent: VecDeque<Directive>,
    /// Ids of the alerts that set a cause.
    alerts: HandledAlerts,
    /// Texts of adapters.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    notes: Notes,
    /// Number of causes set so far, which is the id of the last one.
    causes: u64,
    /// Decisions that the journal does not contain yet.
    controls: Controls,
    /// Accounts whose books changed since the last comparison.
    dirty: BTreeSet<Account>,
    /// Snapshots of positions that were older than the one before.
    out_of_order: u64,
    /// The request under way holds a snapshot of positions that is not compared yet.
    #[serde(skip)]
    has_uncompared_snapshot: bool,
}

/// The trading state as an engine reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Permit {
    /// The more severe of the account's own latch and the common one.
    pub state: TradingState,
    /// Causes of both latches, oldest first.
    pub causes: Vec<Cause>,
    /// Ids of the causes on the common latch. They are released for all accounts (`*`).
    pub common: Vec<u64>,
    /// Number of changes of both latches so far. A release of the account has to name it.
    pub epoch: u64,
    /// Number of changes of the common latch so far. A release of `*` has to name it.
    pub common_epoch: u64,
    /// Sequence of the state it was read from.
    pub sequence: u64,
}

impl Monitor {
    /// The state before the first record.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            sequence: 0,
            born: None,
            now: Timestamp::MIN,
            listening_since: Timestamp::MIN,
            clock_behind: Duration::ZERO,
            accounts: Accounts::default(),
            common: Latch::default(),
            probes: Components::default(),
            audit: AuditTrail::default(),
            recent: VecDeque::new(),
            alerts: HandledAlerts::default(),
            notes: Notes::default(),
            causes: 0,
            controls: Controls::default(),
            dirty: BTreeSet::new(),
            out_of_order: 0,
            has_uncompared_snapshot: false,
        }
    }

    /// A stored state under the settings that were in force when it was stored. The settings are stored
    /// separately.
    #[must_use]
    pub fn resumed(self, settings: Arc<Settings>) -> Self {
        let mut resumed = Self { settings, ..self };
        resumed.accounts.recount(&resumed.settings.accounts);
        resumed
    }

    /// Applies one record. Directives are added to `out`.
    pub fn apply(&mut self, record: &Record, out: &mut Vec<Directive>) -> Verdict {
        self.sequence = record.sequence;
        if record.received_at.is_past(self.now, GAP_MAX) {
            self.listening_since = record.received_at;
        }
        self.now = self.now.max(record.received_at);
        self.born.get_or_insert(record.received_at);
        let first_new = out.len();
        let mut outbox = Outbox::new(record.sequence, self.now, out);
        let verdict = match &record.entry {
            Entry::Event(event) => self.event(event, NO_TOKEN, &mut outbox),
            Entry::Opening(opening) => self.event(&opening.event, &opening.token, &mut outbox),
            Entry::Tick => {
                self.tick_accounts(&mut outbox);
                Verdict::Accepted
            }
            Entry::Clock { behind } => {
                self.clock_behind = *behind;
                Verdict::Accepted
            }
            Entry::Check(result) => self.check(result, &mut outbox),
            Entry::Decision(decision) => self.decide(decision, &mut outbox),
            Entry::Settings(settings) => self.configure(settings),
            Entry::Note(note) => {
                self.notes.keep(note);
                Verdict::Accepted
            }
            Entry::Control(control) => self.confirm(control),
        };
        // Snapshots of one request are compared together, after its last record.
        if !record.more {
            self.compare(&mut outbox);
        }
        self.has_uncompared_snapshot =
            record.more && (self.has_uncompared_snapshot || record.entry.is_snapshot());
        // Last, when the comparison has emitted its directives too.
        self.reach_reconciles(out.get(first_new..).unwrap_or_default());
        for directive in out.iter().skip(first_new) {
            if self.recent.len() >= limits::DIRECTIVES_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(directive.clone());
        }
        verdict
    }

    /// Whether this event is known already, so that the journal does not need it again.
    #[must_use]
    pub fn is_duplicate(&self, event: &Event) -> bool {
        if event.event_id.is_none() {
            return false;
        }
        let account = self.accounts.get(&event.account);
        account.is_some_and(|account| account.horizon.look_up(event) == EventIdStatus::Duplicate)
    }

    /// Whether this decision was carried out already, so that the journal does not need it again.
    #[must_use]
    pub fn is_decided(&self, decision: &Decision) -> bool {
        match decision {
            Decision::Alert { id, account, .. } => self.alerts.is_known(account, id),
            Decision::Halt { .. }
            | Decision::Release { .. }
            | Decision::Reconcile { .. }
            | Decision::Configure { .. }
            | Decision::Retire { .. } => false,
        }
    }

    /// The texts that adapters keep.
    #[must_use]
    pub const fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Whether readers may see the state now. Not between the first snapshot of positions of a request
    /// and the comparison after its last record: books of two sides that differ only because the second
    /// one is not applied yet would look like a drift.
    #[must_use]
    pub const fn may_yield(&self) -> bool {
        !self.has_uncompared_snapshot
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Sequence of the newest record.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Receive time of the first record, which identifies this state; `None` before it.
    #[must_use]
    pub const fn born(&self) -> Option<Timestamp> {
        self.born
    }

    /// Receive time of the newest record.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// How far the wall clock is behind receive time; 0 if it is not, or if the lag is so small that
    /// the exporter waits for it.
    #[must_use]
    pub const fn clock_behind(&self) -> Duration {
        self.clock_behind
    }

    /// The accounts by name.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountState> {
        self.accounts.values()
    }

    /// One account.
    #[must_use]
    pub fn account(&self, account: &str) -> Option<&AccountState> {
        self.accounts.get(account)
    }

    /// Whether no event named an account yet: the first one that does opens it.
    #[must_use]
    pub fn is_unopened(&self, account: &Account) -> bool {
        self.accounts.get(account).is_none_or(|state| state.last_event_at.is_none())
    }

    /// Whether the configuration, a token or an event names an account. `*` is known.
    #[must_use]
    pub fn is_known(&self, account: &str) -> bool {
        account == Account::ALL
            || self.settings.accounts.is_named(account)
            || self.accounts.get(account).is_some_and(|state| state.last_event_at.is_some())
    }

    /// The latch of `*`.
    #[must_use]
    pub const fn common(&self) -> &Latch {
        &self.common
    }

    /// The exporter's own probes (account `*`).
    #[must_use]
    pub const fn probes(&self) -> &Components {
        &self.probes
    }

    /// The permit of an account. Only the common latch applies to an unknown account and to `*`.
    #[must_use]
    pub fn permit(&self, account: &str) -> Permit {
        let own = self.accounts.get(account).map(|a| &a.latch);
        let causes = self.common.causes().chain(own.into_iter().flat_map(Latch::causes)).cloned();
        let mut causes: Vec<Cause> = causes.collect();
        causes.sort_by_key(|c| c.id);
        Permit {
            state: self.common.state().max(own.map(Latch::state).unwrap_or_default()),
            causes,
            common: self.common.causes().map(|c| c.id).collect(),
            epoch: self.common.changes() + own.map_or(0, Latch::changes),
            common_epoch: self.common.changes(),
            sequence: self.sequence,
        }
    }

    /// The audit trail held for reading.
    #[must_use]
    pub const fn audit(&self) -> &AuditTrail {
        &self.audit
    }

    /// The most recent directives, oldest first; at most [`limits::DIRECTIVES_MAX`].
    pub fn recent(&self) -> impl Iterator<Item = &Directive> {
        self.recent.iter()
    }

    /// Number of snapshots that were ignored because a newer one had arrived.
    #[must_use]
    pub const fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Puts new settings into force.
    fn configure(&mut self, settings: &Arc<Settings>) -> Verdict {
        self.settings = Arc::clone(settings);
        self.accounts.recount(&settings.accounts);
        for account in self.accounts.values_mut() {
            account.execution.configure(account.name.as_str(), &account.symbols, settings);
        }
        Verdict::Accepted
    }

    /// Sets a cause on the latch of an account (`*`: the common one), unless the latch has it already.
    /// Returns the id of the cause on the latch.
    fn halt(&mut self, halt: Halt, outbox: &mut Outbox<'_>) -> u64 {
        let Halt { account, kind, state, subject, reason, by } = halt;
        let (id, set_at) = (self.causes + 1, self.now);
        let cause = Cause { id, kind, state, subject, reason, by, set_at, count: 1 };
        self.open_by_halt(&account, cause.by.token());
        let latch = self.latch_of(&account);
        let placed = latch.set(cause.clone());
        let count = latch.cause(placed.id()).map_or(1, |on_latch| on_latch.count);
        if let CausePlacement::Covered(covering) = placed {
            return covering;
        }
        self.causes = id;
        let (reason, by) = (cause.reason.clone(), cause.by.clone());
        self.reach(&account, FoldDecision::Halt(cause));
        let entry = AuditEntry {
            causes: vec![placed.id()],
            ..self.audit_entry(&account, AuditAction::Halt, &by, reason.clone())
        };
        let (state, epoch) = (entry.state, entry.epoch);
        outbox.push(&account, DirectiveKind::Halt { state, cause: kind, reason, epoch });
        // An engine can cause any number of drifts: repeated automatic causes share one audit line.
        if count <= 2 || AuditShare::of_cause(kind) != AuditShare::Automatic {
            self.audit.note(AuditShare::of_cause(kind), entry);
        }
        placed.id()
    }

    /// Adds the account of a halt, if nothing named it before.
    fn open_by_halt(&mut self, account: &Account, token: &str) {
        if !account.is_all() && !self.accounts.contains_key(account) {
            account_of(&mut self.accounts, account, &self.settings);
            self.accounts.open(account, token, &self.settings.accounts);
        }
    }

    /// A line of the audit trail about an account, as of this record.
    fn audit_entry(
        &self,
        account: &Account,
        action: AuditAction,
        by: &Principal,
        reason: String,
    ) -> AuditEntry {
        let Permit { state, epoch, .. } = self.permit(account.as_str());
        AuditEntry {
            sequence: self.sequence,
            at: self.now,
            account: account.clone(),
            action,
            by: by.clone(),
            reason,
            refused: None,
            state,
            epoch,
            causes: Vec::new(),
        }
    }
}

/// A cause to be set.
struct Halt {
    account: Account,
    kind: CauseKind,
    state: TradingState,
    subject: Option<String>,
    reason: String,
    by: Principal,
}

/// The state of an account; a new account gets one.
fn account_of<'a>(
    accounts: &'a mut Accounts,
    name: &Account,
    settings: &Settings,
) -> &'a mut AccountState {
    accounts.or_insert_with(name, || {
        let mut account = AccountState::new(name.clone());
        account.execution.configure(name.as_str(), &account.symbols, settings);
        account
    })
}
