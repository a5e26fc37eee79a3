//! The fold: `apply(record)` moves the state on and says what to tell the world.
//!
//! Input: records in sequence. Output: verdicts and directives. Invariants: the same records give
//! the same state; a refused record changes nothing but counters. Deliberately absent: clocks,
//! I/O, randomness.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::domain::account::AccountState;
use crate::domain::directive::Directive;
use crate::domain::event::Event;
use crate::domain::health::Components;
use crate::domain::ids::Account;
use crate::domain::record::{Record, Verdict};
use crate::domain::settings::Settings;
use crate::domain::state::{AuditEntry, Cause, Latch, TradingState};
use crate::domain::time::Timestamp;

/// The whole monitoring state.
#[derive(Clone, Debug)]
pub struct Monitor {
    settings: Arc<Settings>,
    sequence: u64,
    now: Timestamp,
    accounts: BTreeMap<Account, AccountState>,
    common: Latch,
    probes: Components,
    audit: VecDeque<AuditEntry>,
}

/// What an engine is told of the trading state.
#[derive(Clone, Debug, PartialEq)]
pub struct Permit {
    /// The more severe of the account's own latch and the common one.
    pub state: TradingState,
    /// Causes of both latches, oldest first.
    pub causes: Vec<Cause>,
    /// Number of changes of both latches so far.
    pub epoch: u64,
    /// Sequence of the state it was read from.
    pub sequence: u64,
}

impl Monitor {
    /// A state of which nothing is known.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            sequence: 0,
            now: Timestamp::MIN,
            accounts: BTreeMap::new(),
            common: Latch::default(),
            probes: Components::default(),
            audit: VecDeque::new(),
        }
    }

    /// Moves the state on by one record; directives are added to `out`.
    pub fn apply(&mut self, record: &Record, _out: &mut Vec<Directive>) -> Verdict {
        self.sequence = record.sequence;
        self.now = self.now.max(record.received_at);
        Verdict::Accepted
    }

    /// Whether this event is known already: then it need not be written.
    #[must_use]
    pub fn is_duplicate(&self, _event: &Event) -> bool {
        false
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

    /// Receive time of the newest record.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
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

    /// What an engine is told; an unknown account is under the common latch alone. `*` is the
    /// common latch.
    #[must_use]
    pub fn permit(&self, account: &str) -> Permit {
        let own = self.accounts.get(account).map(|a| &a.latch);
        let causes = self.common.causes().chain(own.into_iter().flat_map(Latch::causes)).cloned();
        let mut causes: Vec<Cause> = causes.collect();
        causes.sort_by_key(|c| c.id);
        Permit {
            state: self.common.state().max(own.map(Latch::state).unwrap_or_default()),
            causes,
            epoch: self.common.changes() + own.map_or(0, Latch::changes),
            sequence: self.sequence,
        }
    }

    /// The audit trail held for reading, oldest first.
    #[must_use]
    pub fn audit(&self) -> impl DoubleEndedIterator<Item = &AuditEntry> {
        self.audit.iter()
    }
}
