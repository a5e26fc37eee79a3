//! Decisions of the fold, kept as records of their own, so that a later version does not revise them.
//!
//! Input: causes that were set or released, and reconciliations that were requested. Output:
//! [`Control`]s for the log; during a replay, whether the fold made a recorded decision again.
//! Invariants: the same version makes all of them again; at most [`limits::CONTROLS_MAX`] of an account
//! wait to be written. Deliberately absent: how a decision that was not made again is kept (see `monitor`).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Account, Symbol};
use crate::domain::limits;
use crate::domain::principal::Principal;
use crate::domain::state::Cause;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// One decision of the fold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Sequence of the record that led to it.
    pub sequence: u64,
    /// Receive time of that record.
    pub at: Timestamp,
    /// The account, or `*`.
    pub account: Account,
    /// The decision.
    pub decided: FoldDecision,
}

/// The content of a [`Control`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FoldDecision {
    /// A cause was set on the latch.
    Halt(Cause),
    /// Causes were removed from the latch.
    Release {
        /// Their ids.
        causes: Vec<u64>,
        /// Whether the reason of one still existed.
        forced: bool,
        /// Why, for people.
        reason: String,
        /// Who.
        by: Principal,
    },
    /// The engine was asked to correct its book.
    Reconcile {
        /// The instrument.
        symbol: Symbol,
        /// The quantity that the local book should have.
        #[serde(with = "exact")]
        to_quantity: Decimal,
        /// 1 for the first request.
        attempt: u32,
    },
}

impl Control {
    /// Whether both are the same decision: on the same record, about the same subject. Numbers may
    /// differ between versions.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.decided, &other.decided) {
            (FoldDecision::Halt(a), FoldDecision::Halt(b)) => {
                a.kind == b.kind && a.subject == b.subject
            }
            (FoldDecision::Release { .. }, FoldDecision::Release { .. }) => true,
            (
                FoldDecision::Reconcile { symbol: a, .. },
                FoldDecision::Reconcile { symbol: b, .. },
            ) => a == b,
            (
                FoldDecision::Halt(_)
                | FoldDecision::Release { .. }
                | FoldDecision::Reconcile { .. },
                _,
            ) => false,
        };
        same && self.sequence == other.sequence && self.account == other.account
    }
}

/// Decisions that are not in the log yet, and the number of recorded ones that were not made again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Controls {
    /// By account, so that none displaces a decision about another. Oldest first; never empty.
    reached: BTreeMap<Account, VecDeque<Control>>,
    missed: u64,
}

impl Controls {
    /// Adds a decision. Past the bound the oldest of its account is dropped here; its effect remains.
    pub fn reach(&mut self, control: Control) {
        let reached = self.reached.entry(control.account.clone()).or_default();
        if reached.len() >= limits::CONTROLS_MAX {
            reached.pop_front();
        }
        reached.push_back(control);
    }

    /// Confirms a decision of the log. Returns whether the fold made it too; if not, counts it as missed.
    pub fn confirm(&mut self, control: &Control) -> bool {
        let reached = self.reached.get_mut(&control.account);
        let is_confirmed = reached.is_some_and(|reached| {
            let at = reached.iter().position(|reached| reached.is_same(control));
            at.is_some_and(|at| reached.remove(at).is_some())
        });
        if self.reached.get(&control.account).is_some_and(VecDeque::is_empty) {
            self.reached.remove(&control.account);
        }
        self.missed += u64::from(!is_confirmed);
        is_confirmed
    }

    /// Decisions to be written, oldest first.
    #[must_use]
    pub fn unrecorded(&self) -> impl ExactSizeIterator<Item = &Control> {
        let mut all: Vec<&Control> = self.reached.values().flatten().collect();
        all.sort_by_key(|control| control.sequence);
        all.into_iter()
    }

    /// Decisions of the log that the fold did not make again.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}
