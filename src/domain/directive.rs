//! What the fold wants told to the world: values, delivered by others.
//!
//! A directive's id is made from the sequence number of the record that caused it, so a replay
//! reaches the same ids and a receiver can drop what it has seen.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::drift::DriftView;
use crate::domain::execution::anomaly::{AnomalyLevel, Figure};
use crate::domain::health::Health;
use crate::domain::ids::{Account, Component, Symbol};
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// The id of a directive: sequence of its record, and its place among that record's directives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirectiveId {
    /// Sequence of the record.
    pub sequence: u64,
    /// 0, 1, 2 ... within the record.
    pub index: u32,
}

impl fmt::Display for DirectiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl DirectiveId {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, index) = text.split_once('-')?;
        let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        if !plain(sequence) || !plain(index) {
            return None;
        }
        Some(Self { sequence: sequence.parse().ok()?, index: index.parse().ok()? })
    }

    /// Reads an id as a receiver has it: that of the directive, of its event in a stream, or of its
    /// webhook. The latter two may say more behind a `.` or `_`, to be told from those of others.
    #[must_use]
    pub fn parse_id(text: &str) -> Option<Self> {
        Self::parse(text.split(['.', '_']).next()?)
    }
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directive {
    /// Its id.
    pub id: DirectiveId,
    /// Receive time of the record that caused it.
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: Account,
    /// What to tell.
    pub kind: DirectiveKind,
}

/// What to tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DirectiveKind {
    /// A cause was set on a latch.
    Halt {
        /// State of the latch after it.
        state: TradingState,
        /// Kind of the cause.
        cause: CauseKind,
        /// Why, for people.
        reason: String,
        /// Epoch of the latch after it.
        epoch: u64,
    },
    /// Causes were released.
    Release {
        /// State of the latch after it.
        state: TradingState,
        /// Epoch of the latch after it.
        epoch: u64,
    },
    /// The engine should set its book right.
    Reconcile {
        /// The instrument.
        symbol: Symbol,
        /// What local holds, as far as we know.
        #[serde(with = "exact")]
        from_quantity: Decimal,
        /// What it should hold.
        #[serde(with = "exact")]
        to_quantity: Decimal,
        /// Average price that local has.
        #[serde(with = "exact")]
        from_price: Option<Decimal>,
        /// Average price that it should have.
        #[serde(with = "exact")]
        to_price: Option<Decimal>,
        /// The type of the drift.
        drift: crate::domain::drift::DriftType,
        /// 1 for the first time it is sent.
        attempt: u32,
    },
    /// A drift opened, changed its severity, or cleared.
    Drift(Box<DriftView>),
    /// An anomaly opened, changed its level, or cleared (level none).
    Anomaly {
        /// The instrument; none: the account as a whole.
        symbol: Option<Symbol>,
        /// Which figure.
        figure: Figure,
        /// The level from now on; none: cleared.
        level: Option<AnomalyLevel>,
        /// The value that decided.
        value: f64,
    },
    /// A component changed its state.
    Health {
        /// The component.
        component: Component,
        /// From now on.
        health: Health,
    },
}

impl DirectiveKind {
    /// All kinds.
    pub const ALL: [&'static str; 6] =
        ["halt", "release", "reconcile", "drift", "anomaly", "health"];

    /// The kind, as on the wire.
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

    /// Whether the trading state changed, or may have.
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
    /// An outbox for the record of that sequence, received at `at`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_receivers_have_them() {
        let check = |text: &str, expect: Option<(u64, u32)>| {
            let expect = expect.map(|(sequence, index)| DirectiveId { sequence, index });
            assert_eq!(DirectiveId::parse_id(text), expect, "{text}");
        };
        check("1234-0", Some((1_234, 0)));
        check("1234-10.5f3a9c01", Some((1_234, 10)));
        check("1234-0_18f21ff5d9a3c000", Some((1_234, 0)));
        check("1234", None);
        check("-1", None);
        check("+1-0", None);
        check("1-0-0", None);
        check("", None);
        check("99999999999999999999-0", None);
        assert_eq!(DirectiveId::parse("1-0.5"), None);
    }
}
