//! What the fold decided, as records of their own, so that a later version keeps it.
//!
//! Input: causes that were set, causes that were released, books that were to be set right. Output:
//! [`Control`]s for the log, and whether one that the log brings back was reached again. Invariants:
//! the same version reaches all of them again; at most [`limits::CONTROLS_MAX`] wait to be written.
//! Deliberately absent: how one that was not reached is kept (see `monitor`).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::audit::By;
use crate::domain::ids::{Account, Symbol};
use crate::domain::limits;
use crate::domain::state::Cause;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// One thing that the fold decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Sequence of the record that led to it.
    pub sequence: u64,
    /// Receive time of that record.
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: Account,
    /// What was decided.
    pub decided: Decided,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decided {
    /// A cause was set on the latch.
    Halt(Cause),
    /// Causes were taken off it.
    Release {
        /// Their ids.
        causes: Vec<u64>,
        /// Although one was still open.
        forced: bool,
        /// Why, for people.
        reason: String,
        /// Who.
        by: By,
    },
    /// The engine was told to set its book right.
    Reconcile {
        /// The instrument.
        symbol: Symbol,
        /// What local should hold.
        #[serde(with = "exact")]
        to_quantity: Decimal,
        /// 1 for the first time it was told.
        attempt: u32,
    },
}

impl Control {
    /// Whether both are the same decision: of one record, about one thing. Numbers may differ
    /// between versions.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.decided, &other.decided) {
            (Decided::Halt(a), Decided::Halt(b)) => a.kind == b.kind && a.subject == b.subject,
            (Decided::Release { .. }, Decided::Release { .. }) => true,
            (Decided::Reconcile { symbol: a, .. }, Decided::Reconcile { symbol: b, .. }) => a == b,
            (Decided::Halt(_) | Decided::Release { .. } | Decided::Reconcile { .. }, _) => false,
        };
        same && self.sequence == other.sequence && self.account == other.account
    }
}

/// Decisions that no record of the log holds yet, and how many of the log were not reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Controls {
    reached: VecDeque<Control>,
    missed: u64,
}

impl Controls {
    /// Notes a decision. Past the bound the oldest is forgotten here; its effect stands.
    pub fn reach(&mut self, control: Control) {
        if self.reached.len() >= limits::CONTROLS_MAX {
            self.reached.pop_front();
        }
        self.reached.push_back(control);
    }

    /// Takes a decision that the log holds. Returns whether it was reached; if not, it is counted.
    pub fn confirm(&mut self, control: &Control) -> bool {
        let at = self.reached.iter().position(|reached| reached.is_same(control));
        match at {
            Some(at) => drop(self.reached.remove(at)),
            None => self.missed += 1,
        }
        at.is_some()
    }

    /// Decisions that wait to be written, oldest first.
    #[must_use]
    pub fn unrecorded(&self) -> impl ExactSizeIterator<Item = &Control> {
        self.reached.iter()
    }

    /// How many decisions of the log were not reached.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}
