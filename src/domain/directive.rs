//! Directives: the consequences of a record that the world should learn of.
//!
//! The fold returns them as values; streams and webhooks deliver them. A directive's id is made from
//! the sequence number of the record that caused it, so a replay gives the same ids and a receiver can
//! drop duplicates.

use serde::{Deserialize, Serialize};

use crate::domain::drift::view::{DriftType, DriftView};
use crate::domain::execution::anomaly::{AnomalyLevel, Figure};
use crate::domain::health::Health;
use crate::domain::ids::{Account, Component, DirectiveId, Symbol};
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// One directive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directive {
    /// Its id.
    pub id: DirectiveId,
    /// Receive time of the record that caused it.
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: Account,
    /// The consequence.
    pub kind: DirectiveKind,
}

/// The consequence of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DirectiveKind {
    /// A cause was set on a latch.
    Halt {
        /// State of the latch with the cause.
        state: TradingState,
        /// Origin of the cause.
        cause: CauseKind,
        /// The reason, for people.
        reason: String,
        /// Epoch of the latch with the cause.
        epoch: u64,
    },
    /// Causes were released.
    Release {
        /// State of the latch without them.
        state: TradingState,
        /// Epoch of the latch without them.
        epoch: u64,
    },
    /// The engine should correct its book.
    Reconcile {
        /// The instrument.
        symbol: Symbol,
        /// The quantity that local holds, to our knowledge.
        #[serde(with = "exact")]
        from_quantity: Decimal,
        /// The quantity that it should hold.
        #[serde(with = "exact")]
        to_quantity: Decimal,
        /// Average price of the local position.
        #[serde(with = "exact")]
        from_price: Option<Decimal>,
        /// Average price that the position should have.
        #[serde(with = "exact")]
        to_price: Option<Decimal>,
        /// The type of the drift.
        drift: DriftType,
        /// 1 for the first time it is sent.
        attempt: u32,
    },
    /// A drift opened, changed its severity, or cleared.
    Drift(Box<DriftView>),
    /// An anomaly opened, changed its level, or cleared (level none).
    Anomaly {
        /// The instrument; none: the whole account.
        symbol: Option<Symbol>,
        /// The figure.
        figure: Figure,
        /// The level from now on; none: cleared.
        level: Option<AnomalyLevel>,
        /// The value that decided, in the unit of the figure.
        value: f64,
    },
    /// The health of a component changed.
    Health {
        /// The component.
        component: Component,
        /// Its health from now on.
        health: Health,
    },
}

impl DirectiveKind {
    /// The kinds, as words on the wire.
    pub const ALL: [&'static str; 6] =
        ["halt", "release", "reconcile", "drift", "anomaly", "health"];

    /// The kind, as a word on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Halt { .. } => "halt",
            Self::Release { .. } => "release",
            Self::Reconcile { .. } => "reconcile",
            Self::Drift(_) => "drift",
            Self::Anomaly { .. } => "anomaly",
            Self::Health { .. } => "health",
        }
    }

    /// Whether the trading state may have changed.
    #[must_use]
    pub const fn is_of_latch(&self) -> bool {
        match self {
            Self::Halt { .. } | Self::Release { .. } => true,
            Self::Reconcile { .. }
            | Self::Drift(_)
            | Self::Anomaly { .. }
            | Self::Health { .. } => false,
        }
    }
}

/// Collects the directives of one record and gives them their ids.
#[derive(Debug)]
pub struct Outbox<'a> {
    sequence: u64,
    at: Timestamp,
    index: u32,
    directives: &'a mut Vec<Directive>,
}

impl<'a> Outbox<'a> {
    /// An outbox for the record of that sequence, received at `at`. Directives go to `directives`.
    #[must_use]
    pub const fn new(sequence: u64, at: Timestamp, directives: &'a mut Vec<Directive>) -> Self {
        Self { sequence, at, index: 0, directives }
    }

    /// Adds a directive and returns its id.
    pub fn push(&mut self, account: &Account, kind: DirectiveKind) -> DirectiveId {
        let id = DirectiveId { sequence: self.sequence, index: self.index };
        self.index += 1;
        self.directives.push(Directive { id, at: self.at, account: account.clone(), kind });
        id
    }

    /// Sequence of the record.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Receive time of the record.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}
