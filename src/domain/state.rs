//! The trading state of an account: a latch with causes and an epoch.
//!
//! Input: causes and releases. Output: the state, the causes side by side, the number of changes.
//! Invariants: only a release makes the state milder; past the bound causes join, and none replaces
//! another; a latch is bounded. Deliberately absent: permission to release (see `monitor`), and the
//! subjects of causes.

use std::collections::BTreeMap;

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::{by_word, closed_set};
use crate::domain::limits;
use crate::domain::principal::Principal;
use crate::domain::time::Timestamp;
use crate::domain::visits;

closed_set! {
    /// The orders that an account may send: all (`active`), only those that reduce a position
    /// (`reducing`), or no new ones (`halted`). Cancels are always allowed.
    pub enum TradingState {
        /// All orders.
        Active = "active",
        /// Only orders that reduce a position.
        Reducing = "reducing",
        /// No new orders.
        Halted = "halted",
    }
}

impl TradingState {
    /// The value on metrics: 0 active, 1 reducing, 2 halted.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// No cause asks for anything: an account may trade.
impl Default for TradingState {
    fn default() -> Self {
        Self::Active
    }
}

closed_set! {
    /// The origin of a cause.
    pub enum CauseKind {
        /// A confirmed CRITICAL drift.
        Drift = "drift",
        /// An operator.
        Operator = "operator",
        /// An Alertmanager notification.
        Alertmanager = "alertmanager",
        /// A risk limit.
        Risk = "risk",
        /// An unhealthy component that is configured to halt.
        Component = "component",
        /// The account has more symbols than are watched.
        NotMonitored = "not_monitored",
        /// A book that never came or is too old, or a silent engine, if configured to latch.
        MissingEvidence = "missing_evidence",
    }
}

/// A reason for which a latch is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Its id, unique among all latches.
    pub id: u64,
    /// Its origin.
    pub kind: CauseKind,
    /// The trading state that it demands.
    pub state: TradingState,
    /// Its subject: a symbol, a component, a kind of evidence, the fingerprint of an alert.
    pub subject: Option<String>,
    /// The reason, for people.
    pub reason: String,
    /// The person, program or rule that set it.
    pub by: Principal,
    /// Receive time of its record.
    pub set_at: Timestamp,
    /// Number of causes joined in it: 1, or more where the latch was full. State, subject, reason and
    /// principal are those of the most severe one.
    pub count: u64,
}

impl Cause {
    /// Whether setting `other` would add nothing: same kind and subject, and no more severe.
    fn covers(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.subject.is_some()
            && self.subject == other.subject
            && self.state >= other.state
    }

    /// Joins another cause of the same kind: both are counted, the more severe one is shown.
    fn join(&mut self, other: Self) {
        let count = self.count.saturating_add(other.count);
        if other.state > self.state {
            let (id, set_at) = (self.id, self.set_at);
            *self = Self { id, set_at, ..other };
        }
        self.count = count;
    }
}

/// The place of a cause after [`Latch::set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CausePlacement {
    /// It has its own place, under this id.
    Added(u64),
    /// It joined the cause of this id.
    Joined(u64),
    /// The cause of this id covers it: nothing changed.
    Covered(u64),
}

impl CausePlacement {
    /// The id of the cause that is on the latch for it.
    #[must_use]
    pub const fn id(self) -> u64 {
        match self {
            Self::Added(id) | Self::Joined(id) | Self::Covered(id) => id,
        }
    }
}

/// A latch: causes set it, and only a release removes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    causes: BTreeMap<u64, Cause>,
    changes: u64,
    changed_at: Option<Timestamp>,
    #[serde(with = "by_word")]
    halts: EnumMap<CauseKind, u64>,
    releases: u64,
}

impl Latch {
    /// The most severe state that a cause demands.
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

    /// Number of times that causes were set or released; never falls.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// When a cause was last set or released.
    #[must_use]
    pub const fn changed_at(&self) -> Option<Timestamp> {
        self.changed_at
    }

    /// Number of causes set so far, by kind.
    #[must_use]
    pub const fn halts(&self) -> &EnumMap<CauseKind, u64> {
        &self.halts
    }

    /// Number of releases so far.
    #[must_use]
    pub const fn releases(&self) -> u64 {
        self.releases
    }

    /// Sets a cause, unless one of the same kind and subject that is at least as severe is set already.
    /// Past [`limits::CAUSES_MAX`] it joins the newest cause of its kind; the first cause of a kind
    /// still gets its own place.
    pub fn set(&mut self, cause: Cause) -> CausePlacement {
        visits::count(self.causes.len());
        if let Some(covering) = self.causes.values().find(|c| c.covers(&cause)) {
            return CausePlacement::Covered(covering.id);
        }
        self.changes += 1;
        self.changed_at = Some(cause.set_at);
        self.halts[cause.kind] += 1;
        if self.causes.len() >= limits::CAUSES_MAX {
            let newest = self.causes.values_mut().rev().find(|c| c.kind == cause.kind);
            if let Some(newest) = newest {
                newest.join(cause);
                return CausePlacement::Joined(newest.id);
            }
        }
        let id = cause.id;
        self.causes.insert(id, cause);
        CausePlacement::Added(id)
    }

    /// Removes the causes of these ids, and counts one change.
    pub fn release(&mut self, ids: &[u64], at: Timestamp) {
        for id in ids {
            self.causes.remove(id);
        }
        self.changes += 1;
        self.releases += 1;
        self.changed_at = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn cause(id: u64, kind: CauseKind, state: TradingState, subject: Option<u8>) -> Cause {
        Cause {
            id,
            kind,
            state,
            subject: subject.map(|n| n.to_string()),
            reason: id.to_string(),
            by: Principal::exporter(),
            set_at: Timestamp::MIN,
            count: 1,
        }
    }

    /// Sets a cause, or releases the causes at these places.
    #[derive(Clone, Debug)]
    enum LatchChange {
        Set(CauseKind, TradingState, Option<u8>),
        Release(Vec<usize>),
    }

    fn steps() -> impl Strategy<Value = Vec<LatchChange>> {
        let kind = proptest::sample::select(CauseKind::ALL.to_vec());
        let state = prop_oneof![9 => Just(TradingState::Reducing), 1 => Just(TradingState::Halted)];
        let set = (kind, state, proptest::option::of(any::<u8>()))
            .prop_map(|(kind, state, subject)| LatchChange::Set(kind, state, subject));
        let release =
            proptest::collection::vec(any::<usize>(), 1..4).prop_map(LatchChange::Release);
        proptest::collection::vec(prop_oneof![60 => set, 1 => release], 1..700)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a model that keeps every cause that ever joined, under the cause it joined.
        #[test]
        fn only_a_release_makes_it_milder(steps in steps()) {
            let mut latch = Latch::default();
            let mut model: BTreeMap<u64, Vec<TradingState>> = BTreeMap::new();
            for (id, step) in (1..).zip(steps) {
                let (before, epoch) = (latch.state(), latch.changes());
                match step {
                    LatchChange::Set(kind, state, subject) => {
                        match latch.set(cause(id, kind, state, subject)) {
                            CausePlacement::Covered(by) => prop_assert!(model[&by].contains(&state)
                                || model[&by].iter().any(|s| *s > state)),
                            CausePlacement::Added(id) | CausePlacement::Joined(id) => {
                                model.entry(id).or_default().push(state);
                                prop_assert_eq!(latch.changes(), epoch + 1);
                            }
                        }
                        prop_assert!(latch.state() >= before.max(state));
                    }
                    LatchChange::Release(places) => {
                        let ids: Vec<u64> = latch.causes().map(|c| c.id).collect();
                        let named: Vec<u64> =
                            places.iter().filter_map(|at| ids.get(at % ids.len().max(1))).copied().collect();
                        latch.release(&named, Timestamp::MIN);
                        model.retain(|id, _| !named.contains(id));
                    }
                }
                let worst = model.values().flatten().max().copied().unwrap_or_default();
                prop_assert_eq!(latch.state(), worst);
                prop_assert!(latch.causes().count() < limits::CAUSES_MAX + CauseKind::ALL.len());
                for cause in latch.causes() {
                    prop_assert_eq!(cause.count, model[&cause.id].len() as u64);
                    prop_assert_eq!(Some(&cause.state), model[&cause.id].iter().max());
                }
            }
        }
    }

    #[test]
    fn past_the_bound_causes_of_a_kind_join() {
        let (reducing, halted) = (TradingState::Reducing, TradingState::Halted);
        let full = |last: TradingState| {
            let mut latch = Latch::default();
            for id in 1..=limits::CAUSES_MAX as u64 {
                let state = if id == limits::CAUSES_MAX as u64 { last } else { reducing };
                latch.set(cause(id, CauseKind::Operator, state, None));
            }
            latch
        };
        let mut latch = full(halted);
        let newest = latch.set(cause(300, CauseKind::Operator, reducing, None));
        assert_eq!((newest, latch.state()), (CausePlacement::Joined(256), halted));
        let joined = latch.cause(256).expect("the newest");
        assert_eq!((joined.count, joined.reason.as_str()), (2, "256"));
        let mut latch = full(reducing);
        latch.set(cause(300, CauseKind::Operator, halted, None));
        let joined = latch.cause(256).expect("the newest");
        assert_eq!((latch.state(), joined.reason.as_str()), (halted, "300"));
        // The first cause of a kind does not join another kind.
        let other = latch.set(cause(301, CauseKind::Drift, halted, Some(1)));
        assert_eq!((other, latch.causes().count()), (CausePlacement::Added(301), 257));
        let again = latch.set(cause(302, CauseKind::Drift, halted, Some(1)));
        assert_eq!(again, CausePlacement::Covered(301));
    }
}
