//! Whether an account may trade: a latch with causes, an epoch and an audit trail.
//!
//! Input: causes and releases. Output: the state, the causes side by side, the number of changes.
//! Invariant: nothing clears a latch by itself. Deliberately absent: who may release (see
//! `monitor`), and what the causes are about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::Actor;
use crate::domain::limits;
use crate::domain::record::Refusal;
use crate::domain::time::Timestamp;

/// What an account may do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TradingState {
    /// Trade.
    #[default]
    Active,
    /// Only orders that reduce a position.
    Reducing,
    /// No new orders; cancels are always allowed.
    Halted,
}

impl TradingState {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reducing => "reducing",
            Self::Halted => "halted",
        }
    }

    /// As on metrics: 0 active, 1 reducing, 2 halted.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Reducing => 1,
            Self::Halted => 2,
        }
    }
}

/// What kind of thing set a cause; the label `cause` of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A confirmed CRITICAL drift.
    Drift,
    /// An operator.
    Operator,
    /// An Alertmanager notification.
    Alertmanager,
    /// A risk limit.
    Risk,
    /// An unhealthy component configured to halt.
    Component,
    /// More symbols than are watched.
    NotMonitored,
    /// A book that never came or is too old, an engine of which nothing comes, if configured so.
    MissingEvidence,
}

impl CauseKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Drift,
        Self::Operator,
        Self::Alertmanager,
        Self::Risk,
        Self::Component,
        Self::NotMonitored,
        Self::MissingEvidence,
    ];

    /// As on the wire and on metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Operator => "operator",
            Self::Alertmanager => "alertmanager",
            Self::Risk => "risk",
            Self::Component => "component",
            Self::NotMonitored => "not_monitored",
            Self::MissingEvidence => "missing_evidence",
        }
    }
}

/// One reason why a latch is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its id, unique among all latches (the sequence of its record).
    pub id: u64,
    /// What kind of thing set it.
    pub kind: CauseKind,
    /// The state that it asks for.
    pub state: TradingState,
    /// What it is about: a symbol, a component, a fingerprint.
    pub subject: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Who set it.
    pub actor: Actor,
    /// When (receive time).
    pub set_at: Timestamp,
}

/// A latch: causes set it, and only a release takes them off again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    causes: BTreeMap<u64, Cause>,
    changes: u64,
    changed_at: Option<Timestamp>,
    halts: BTreeMap<CauseKind, u64>,
    releases: u64,
}

impl Latch {
    /// The most severe state that a cause asks for.
    #[must_use]
    pub fn state(&self) -> TradingState {
        self.causes.values().map(|c| c.state).max().unwrap_or_default()
    }

    /// The causes, oldest first.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.causes.values()
    }

    /// The cause of that id.
    #[must_use]
    pub fn cause(&self, id: u64) -> Option<&Cause> {
        self.causes.get(&id)
    }

    /// How often causes were set or released; only rises.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// When a cause was last set or released.
    #[must_use]
    pub const fn changed_at(&self) -> Option<Timestamp> {
        self.changed_at
    }

    /// How often a cause of that kind was set.
    #[must_use]
    pub fn halts(&self, kind: CauseKind) -> u64 {
        self.halts.get(&kind).copied().unwrap_or(0)
    }

    /// How often a release took causes off.
    #[must_use]
    pub const fn releases(&self) -> u64 {
        self.releases
    }

    /// Sets a cause. One of the same kind and subject that asks for no less already stands: its id
    /// is returned and nothing changes. Past [`limits::CAUSES_MAX`] the newest of the kind takes
    /// its place, so that the latch stays set and bounded.
    pub fn set(&mut self, cause: Cause) -> u64 {
        let standing = self.causes.values().find(|c| {
            c.kind == cause.kind
                && c.subject.is_some()
                && c.subject == cause.subject
                && c.state >= cause.state
        });
        if let Some(standing) = standing {
            return standing.id;
        }
        if self.causes.len() >= limits::CAUSES_MAX {
            let newest = self.causes.values().rev().find(|c| c.kind == cause.kind);
            let replaced = newest.or(self.causes.values().next_back()).map(|c| c.id);
            if let Some(id) = replaced {
                self.causes.remove(&id);
            }
        }
        let id = cause.id;
        self.changes += 1;
        self.changed_at = Some(cause.set_at);
        *self.halts.entry(cause.kind).or_default() += 1;
        self.causes.insert(id, cause);
        id
    }

    /// Takes off the causes of these ids, and counts one change.
    pub fn release(&mut self, ids: &[u64], at: Timestamp) {
        for id in ids {
            self.causes.remove(id);
        }
        self.changes += 1;
        self.releases += 1;
        self.changed_at = Some(at);
    }
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Sequence of the record.
    pub sequence: u64,
    /// When (receive time).
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: crate::domain::ids::Account,
    /// What was done or tried.
    pub action: AuditAction,
    /// Who.
    pub actor: Actor,
    /// Why, for people.
    pub reason: String,
    /// Why it was refused, if it was.
    pub refused: Option<Refusal>,
    /// State of the latch after it.
    pub state: TradingState,
    /// Epoch of the latch after it.
    pub epoch: u64,
    /// Ids of the causes set or released.
    pub causes: Vec<u64>,
}

/// What was done or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AuditAction {
    /// A cause was set.
    Halt,
    /// Causes were released.
    Release,
    /// Causes were released although one was still open.
    ForcedRelease,
    /// A drift was reconciled by hand.
    Reconcile,
    /// A series was retired.
    Retire,
    /// The configuration changed.
    Configure,
}

impl AuditAction {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Release => "release",
            Self::ForcedRelease => "forced_release",
            Self::Reconcile => "reconcile",
            Self::Retire => "retire",
            Self::Configure => "configure",
        }
    }
}
