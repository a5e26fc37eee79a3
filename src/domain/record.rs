//! A record, which is the input of the fold, and the verdict, which is its answer.
//!
//! A record has a sequence number, a receive time and an entry. The fold has no other input: no clock,
//! no randomness, no environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::control::Control;
use crate::domain::event::{Body, Event};
use crate::domain::ids::{Account, Component, Symbol};
use crate::domain::notes::Note;
use crate::domain::principal::Principal;
use crate::domain::settings::Settings;
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;
use crate::domain::warning::Warnings;

/// One input of the fold.
#[derive(Clone, Debug)]
pub struct Record {
    /// Position in the journal: 1, 2, 3, without gaps.
    pub sequence: u64,
    /// Receive time; never decreases from one record to the next.
    pub received_at: Timestamp,
    /// Whether more records of the same request follow. Snapshots of positions of one request are
    /// compared after its last record.
    pub more: bool,
    /// The content.
    pub entry: Entry,
}

/// The content of a record.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An event of an engine or a broker.
    Event(Event),
    /// An event of an account that no event named before, with its sender.
    Opening(Box<Opening>),
    /// A second passed.
    Tick,
    /// A change of how far the wall clock is behind receive time.
    Clock {
        /// Zero: it is no longer behind.
        behind: Duration,
    },
    /// The result of a probe.
    Check(CheckResult),
    /// A decision from outside.
    Decision(Decision),
    /// The settings in force from this record on.
    Settings(Arc<Settings>),
    /// A text that an adapter keeps.
    Note(Note),
    /// A decision that the fold made on an earlier record, recorded so that a later version keeps it.
    Control(Control),
}

impl Entry {
    /// Whether this is a snapshot of positions, which is compared after the last record of its request.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        self.event().is_some_and(|event| matches!(event.body, Body::Positions(_)))
    }

    /// The event of the entry, if it is one.
    #[must_use]
    pub const fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Opening(opening) => Some(&opening.event),
            Self::Tick
            | Self::Clock { .. }
            | Self::Check(_)
            | Self::Decision(_)
            | Self::Settings(_)
            | Self::Note(_)
            | Self::Control(_) => None,
        }
    }
}

/// An event of an account that no event named before. Accounts are counted by the token that opened
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// The event.
    pub event: Event,
    /// The name of the token that it was sent with.
    pub token: Box<str>,
}

/// The result of one probe of the exporter; its account is `*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// The component that the probe checks.
    pub component: Component,
    /// Whether the check passed; an error or a timeout is a failure.
    pub passed: bool,
    /// The observation, for people.
    pub message: String,
    /// How long the check took.
    pub latency: Duration,
    /// Time between two runs; three intervals without a result are silence.
    pub interval: Duration,
}

/// A decision of an operator, of Alertmanager or of a reload. Every one is audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// Set a cause on a latch.
    Halt {
        /// The account, or `*`.
        account: Account,
        /// `Reducing` or `Halted`.
        state: TradingState,
        /// Why, for people.
        reason: String,
        /// Who.
        by: Principal,
    },
    /// Set a cause on a latch for a firing alert. The same id again changes nothing.
    Alert {
        /// The firing alert: its fingerprint and start time.
        id: String,
        /// The account, or `*`.
        account: Account,
        /// `Reducing` or `Halted`.
        state: TradingState,
        /// The fingerprint of the alert's labels, whenever it started firing.
        subject: String,
        /// Why, for people.
        reason: String,
        /// Who.
        by: Principal,
    },
    /// Remove causes from a latch.
    Release {
        /// The account, or `*`.
        account: Account,
        /// The epoch that the actor read; a stale one releases nothing.
        epoch: u64,
        /// Ids of the causes to release; empty: all.
        causes: Vec<u64>,
        /// Also release causes whose reason still exists.
        force: bool,
        /// Why, for people.
        reason: String,
        /// Who.
        by: Principal,
    },
    /// Reconcile a drift manually.
    Reconcile {
        /// The account of the drift.
        account: Account,
        /// Its symbol.
        symbol: Symbol,
        /// The side to adopt.
        adopt: Adopt,
        /// Whether the actor may do more than adopt the broker's side of a minor drift.
        privileged: bool,
        /// Why, for people.
        reason: String,
        /// Who.
        by: Principal,
    },
    /// Forget the series of a symbol or component that no longer exists.
    Retire {
        /// The account.
        account: Account,
        /// The symbol to forget; its books must be flat or missing.
        symbol: Option<Symbol>,
        /// The component to forget.
        component: Option<Component>,
        /// Who.
        by: Principal,
    },
    /// A reload of the configuration, accepted or refused. If it was accepted, a settings record
    /// follows.
    Configure {
        /// The changes, or the mistakes, for people.
        change: String,
        /// Whether it was refused; then the previous configuration stays in force.
        is_refused: bool,
        /// Who.
        by: Principal,
    },
}

closed_set! {
    /// The book that a manual reconciliation adopts.
    pub enum Adopt {
        /// The engine adopts the broker's quantity.
        Broker = "broker",
        /// The difference is accepted as an offset until it is retired.
        Local = "local",
    }
}

/// The answer of the fold to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The record changed the state (or was a tick).
    Accepted,
    /// The record changed the state, with warnings.
    Warned(Warnings),
    /// A duplicate: nothing changed except a counter.
    Duplicate,
    /// A decision was carried out.
    Decided {
        /// The id of the cause set, or 0.
        id: u64,
        /// The epoch of the latch after the decision.
        epoch: u64,
    },
    /// The record was refused: nothing changed except counters.
    Refused(Refusal),
    /// Refused as a [`Refusal::Conflict`] with the symbol of its order; the text says, for people, what it
    /// contradicts.
    Contradicts(Box<str>),
}

closed_set! {
    /// The reason why the fold refused a record. The code is stable: it appears in answers and on
    /// metrics.
    pub enum Refusal {
        /// Another event with this id was received before.
        Conflict = "conflict",
        /// The event is older than `ingest.event_age_max`.
        TooOld = "too_old",
        /// The order has as many facts as are kept of one order.
        OrderTooLong = "order_too_long",
        /// There are as many accounts as are kept.
        TooManyAccounts = "too_many_accounts",
        /// The account has as many components as are kept.
        TooManyComponents = "too_many_components",
        /// The symbol has as many currencies as are kept.
        TooManyCurrencies = "too_many_currencies",
        /// A number of the state would leave the range that is held exactly.
        OutOfRange = "out_of_range",
        /// The epoch is not the current one.
        StaleEpoch = "stale_epoch",
        /// A cause named for release does not exist.
        UnknownCause = "unknown_cause",
        /// Nothing is set on this latch.
        NothingToRelease = "nothing_to_release",
        /// A causing drift or component is still open.
        CauseOpen = "cause_open",
        /// The account is not known.
        UnknownAccount = "unknown_account",
        /// There is no open drift (or no such symbol or component) to act on.
        NotFound = "not_found",
        /// The actor may adopt only the broker's side of a MINOR drift.
        NeedsRelease = "needs_release",
        /// The series still has state: a position, an open drift or open orders.
        InUse = "in_use",
        /// The configuration that was read again has mistakes.
        InvalidConfig = "invalid_config",
        /// The state has reached `limits.state_bytes`, and the sender uses most of it. Refused before
        /// it is recorded: the fold never answers this.
        StateFull = "state_full",
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "the same id came before with other content",
            Self::TooOld => "the event is older than ingest.event_age_max",
            Self::OrderTooLong => "the order has too many facts",
            Self::TooManyAccounts => "too many accounts",
            Self::TooManyComponents => "too many components",
            Self::TooManyCurrencies => "too many currencies",
            Self::OutOfRange => "a total would leave the range that is held exactly",
            Self::StaleEpoch => "the epoch is stale: read the permit and decide again",
            Self::UnknownCause => "no such cause",
            Self::NothingToRelease => "nothing to release",
            Self::CauseOpen => "the cause is still open",
            Self::UnknownAccount => "no such account",
            Self::NotFound => "nothing of that name is open",
            Self::NeedsRelease => "needs the release scope",
            Self::InUse => "still in use",
            Self::InvalidConfig => "the configuration is not valid",
            Self::StateFull => "the state has reached limits.state_bytes",
        })
    }
}
