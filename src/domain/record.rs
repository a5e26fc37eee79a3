//! What the fold consumes: one record of the journal, and what it says back.
//!
//! A record carries its sequence number, the time it was received, and an entry. The fold reads
//! nothing else: no clock, no randomness, no environment.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::audit::By;
use crate::domain::control::Control;
use crate::domain::event::Event;
use crate::domain::ids::{Account, Component, Symbol};
use crate::domain::settings::Settings;
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;
use crate::domain::warning::Warnings;

/// One step of the fold.
#[derive(Clone, Debug)]
pub struct Record {
    /// Position in the journal: 1, 2, 3 ... without gaps.
    pub sequence: u64,
    /// When we received it; never goes back from one record to the next.
    pub received_at: Timestamp,
    /// Whether further records of the same request follow. Snapshots of one request are compared
    /// after its last record.
    pub more: bool,
    /// What happened.
    pub entry: Entry,
}

/// What a record says.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An engine or broker sent it.
    Event(Event),
    /// A second passed.
    Tick,
    /// How far the wall clock is behind receive time from here on.
    Clock {
        /// Nothing: it is right again.
        behind: Duration,
    },
    /// A probe of the exporter's own finished.
    Check(CheckResult),
    /// An operator or a rule decided.
    Decision(Decision),
    /// The configuration in force from here on.
    Settings(Arc<Settings>),
    /// What the fold decided upon an earlier record, so that a later version keeps it.
    Control(Control),
}

/// The result of one probe that the exporter ran itself; its account is `*`.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// The component probed.
    pub component: Component,
    /// Whether the check passed; an error or a timeout is a failure.
    pub passed: bool,
    /// What was seen, for people.
    pub message: String,
    /// How long the check took.
    pub latency: Duration,
    /// How often it runs: three intervals without a result are silence.
    pub interval: Duration,
}

/// A decision from outside the event flow. Every one is audited.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        by: By,
    },
    /// Set a cause on a latch for an alert that fires. The same id again changes nothing.
    Alert {
        /// The alert: what fires, and since when.
        id: String,
        /// The account, or `*`.
        account: Account,
        /// `Reducing` or `Halted`.
        state: TradingState,
        /// What fires, whenever it began: the fingerprint of its labels.
        subject: String,
        /// Why, for people.
        reason: String,
        /// Who.
        by: By,
    },
    /// Take causes off a latch.
    Release {
        /// The account, or `*`.
        account: Account,
        /// The epoch that the actor saw; a stale one releases nothing.
        epoch: u64,
        /// Ids of the causes meant; empty means all.
        causes: Vec<u64>,
        /// Release although a cause is still open.
        force: bool,
        /// Why, for people.
        reason: String,
        /// Who.
        by: By,
    },
    /// Reconcile a drift by hand.
    Reconcile {
        /// The account of the drift.
        account: Account,
        /// Its symbol.
        symbol: Symbol,
        /// Which side is right.
        adopt: Adopt,
        /// Whether the actor may do more than adopt the broker's side of a MINOR drift.
        privileged: bool,
        /// Why, for people.
        reason: String,
        /// Who.
        by: By,
    },
    /// Forget the series of a symbol or a component that is gone for good.
    Retire {
        /// The account.
        account: Account,
        /// The symbol to forget; its books must be flat or absent.
        symbol: Option<Symbol>,
        /// The component to forget.
        component: Option<Component>,
        /// Who.
        by: By,
    },
    /// The configuration was read again, and taken or refused. The settings have a record of their
    /// own behind this one.
    Configure {
        /// What changed, or what is wrong with it, for people.
        change: String,
        /// Whether it was refused: the one before it stays in force.
        is_refused: bool,
        /// Who.
        by: By,
    },
}

/// Which book a manual reconciliation takes as the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopt {
    /// The engine takes the broker's quantity.
    Broker,
    /// The difference is accepted as an offset until it is retired.
    Local,
}

/// What the fold answers to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It changed the state (or was a tick).
    Accepted,
    /// It changed the state, and there is something to say about it.
    Warned(Warnings),
    /// It was known already; nothing changed but a counter.
    Duplicate,
    /// A decision was carried out; the id of what it made (a cause) or ended, and the epoch after.
    Decided {
        /// The id of the cause set, or 0.
        id: u64,
        /// The epoch of the latch after the decision.
        epoch: u64,
    },
    /// It was refused and changed nothing but counters.
    Refused(Refusal),
    /// It was refused as a [`Refusal::Conflict`] with the symbol of its order: what it contradicts,
    /// for people.
    Contradicts(Box<str>),
}

/// Why the fold refused a record. The code is stable: it stands in answers and on metrics.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    thiserror::Error,
    Serialize,
    Deserialize,
)]
pub enum Refusal {
    /// The same id came before with other content.
    #[error("the same id came before with other content")]
    Conflict,
    /// The event is older than `ingest.event_age_max`.
    #[error("the event is older than ingest.event_age_max")]
    TooOld,
    /// The order has as many facts as are kept of one order.
    #[error("the order has too many facts")]
    OrderTooLong,
    /// There are as many accounts as are kept.
    #[error("too many accounts")]
    TooManyAccounts,
    /// The account has as many components as are kept.
    #[error("too many components")]
    TooManyComponents,
    /// The symbol has as many currencies as are kept.
    #[error("too many currencies")]
    TooManyCurrencies,
    /// A number of the state would leave the range that is held exactly.
    #[error("a total would leave the range that is held exactly")]
    OutOfRange,
    /// The epoch is not the current one.
    #[error("the epoch is stale: read the permit and decide again")]
    StaleEpoch,
    /// A cause named for release does not exist.
    #[error("no such cause")]
    UnknownCause,
    /// Nothing is set on this latch.
    #[error("nothing to release")]
    NothingToRelease,
    /// A causing drift or component is still open.
    #[error("the cause is still open")]
    CauseOpen,
    /// The account is not known.
    #[error("no such account")]
    UnknownAccount,
    /// There is no open drift (or no such symbol or component) to act on.
    #[error("nothing of that name is open")]
    NotFound,
    /// The actor may adopt only the broker's side of a MINOR drift.
    #[error("needs the release scope")]
    NeedsRelease,
    /// The series still has state: a position, an open drift or open orders.
    #[error("still in use")]
    InUse,
    /// The configuration that was read again has mistakes.
    #[error("the configuration is not valid")]
    InvalidConfig,
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::TooOld => "too_old",
            Self::OrderTooLong => "order_too_long",
            Self::TooManyAccounts => "too_many_accounts",
            Self::TooManyComponents => "too_many_components",
            Self::TooManyCurrencies => "too_many_currencies",
            Self::OutOfRange => "out_of_range",
            Self::StaleEpoch => "stale_epoch",
            Self::UnknownCause => "unknown_cause",
            Self::NothingToRelease => "nothing_to_release",
            Self::CauseOpen => "cause_open",
            Self::UnknownAccount => "unknown_account",
            Self::NotFound => "not_found",
            Self::NeedsRelease => "needs_release",
            Self::InUse => "in_use",
            Self::InvalidConfig => "invalid_config",
        }
    }
}
