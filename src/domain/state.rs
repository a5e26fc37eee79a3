//! Whether an account may trade: a latch with causes and an epoch.
//!
//! Input: causes and releases. Output: the state, the causes side by side, the number of changes.
//! Invariants: nothing but a release makes the state milder; causes join, and none takes the place
//! of another; a latch is bounded. Deliberately absent: who may release (see `monitor`), and what
//! the causes are about.

use std::collections::BTreeMap;

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::audit::{By, Share};
use crate::domain::closed_set::closed_set;
use crate::domain::limits;
use crate::domain::time::Timestamp;

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

impl CauseKind {
    /// Where its lines stand in the audit trail.
    #[must_use]
    pub const fn share(self) -> Share {
        match self {
            Self::Operator | Self::Alertmanager => Share::Decided,
            Self::Drift
            | Self::Risk
            | Self::Component
            | Self::NotMonitored
            | Self::MissingEvidence => Share::Automatic,
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
    pub by: By,
    /// When (receive time).
    pub set_at: Timestamp,
    /// How many causes of its kind it stands for: 1, or more where a latch had no further place.
    /// State, subject, reason and who set it are those of the most severe of them.
    pub count: u64,
}

impl Cause {
    /// Whether it says already what another one says.
    fn covers(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.subject.is_some()
            && self.subject == other.subject
            && self.state >= other.state
    }

    /// Takes another one of the same kind in: both are counted, the more severe one is shown.
    fn join(&mut self, other: Self) {
        let count = self.count.saturating_add(other.count);
        if other.state > self.state {
            let (id, set_at) = (self.id, self.set_at);
            *self = Self { id, set_at, ..other };
        }
        self.count = count;
    }
}

/// Where a cause that was to be set stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Under its own id.
    Added(u64),
    /// In the cause of that id, which stands for several now.
    Joined(u64),
    /// The cause of that id says it already: nothing changed.
    Covered(u64),
}

impl Placed {
    /// The id of the cause that stands.
    #[must_use]
    pub const fn id(self) -> u64 {
        match self {
            Self::Added(id) | Self::Joined(id) | Self::Covered(id) => id,
        }
    }
}

/// A latch: causes set it, and only a release takes them off again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    causes: BTreeMap<u64, Cause>,
    changes: u64,
    changed_at: Option<Timestamp>,
    halts: EnumMap<CauseKind, u64>,
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

    /// Number of causes set so far, by kind.
    #[must_use]
    pub const fn halts(&self) -> &EnumMap<CauseKind, u64> {
        &self.halts
    }

    /// How often a release took causes off.
    #[must_use]
    pub const fn releases(&self) -> u64 {
        self.releases
    }

    /// Sets a cause, unless one of the same kind and subject that asks for no less stands already.
    /// Past [`limits::CAUSES_MAX`] it joins the newest of its kind; a kind of which none stands yet
    /// gets a place of its own all the same.
    pub fn set(&mut self, cause: Cause) -> Placed {
        if let Some(covering) = self.causes.values().find(|c| c.covers(&cause)) {
            return Placed::Covered(covering.id);
        }
        self.changes += 1;
        self.changed_at = Some(cause.set_at);
        self.halts[cause.kind] += 1;
        if self.causes.len() >= limits::CAUSES_MAX {
            let newest = self.causes.values_mut().rev().find(|c| c.kind == cause.kind);
            if let Some(newest) = newest {
                newest.join(cause);
                return Placed::Joined(newest.id);
            }
        }
        let id = cause.id;
        self.causes.insert(id, cause);
        Placed::Added(id)
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
            by: By::exporter(),
            set_at: Timestamp::MIN,
            count: 1,
        }
    }

    /// One step: a cause is set, or the causes at these places are released.
    #[derive(Clone, Debug)]
    enum Step {
        Set(CauseKind, TradingState, Option<u8>),
        Release(Vec<usize>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let kind = proptest::sample::select(CauseKind::ALL.to_vec());
        let state = prop_oneof![9 => Just(TradingState::Reducing), 1 => Just(TradingState::Halted)];
        let set = (kind, state, proptest::option::of(any::<u8>()))
            .prop_map(|(kind, state, subject)| Step::Set(kind, state, subject));
        let release = proptest::collection::vec(any::<usize>(), 1..4).prop_map(Step::Release);
        proptest::collection::vec(prop_oneof![60 => set, 1 => release], 1..700)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a model that keeps every cause that ever joined, each under the one it is in.
        #[test]
        fn nothing_but_a_release_makes_it_milder(steps in steps()) {
            let mut latch = Latch::default();
            let mut model: BTreeMap<u64, Vec<TradingState>> = BTreeMap::new();
            for (id, step) in (1..).zip(steps) {
                let (before, epoch) = (latch.state(), latch.changes());
                match step {
                    Step::Set(kind, state, subject) => {
                        match latch.set(cause(id, kind, state, subject)) {
                            Placed::Covered(by) => prop_assert!(model[&by].contains(&state)
                                || model[&by].iter().any(|s| *s > state)),
                            Placed::Added(id) | Placed::Joined(id) => {
                                model.entry(id).or_default().push(state);
                                prop_assert_eq!(latch.changes(), epoch + 1);
                            }
                        }
                        prop_assert!(latch.state() >= before.max(state));
                    }
                    Step::Release(places) => {
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
    fn past_the_bound_equal_kinds_are_counted_together() {
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
        assert_eq!((newest, latch.state()), (Placed::Joined(256), halted));
        let joined = latch.cause(256).expect("the newest");
        assert_eq!((joined.count, joined.reason.as_str()), (2, "256"));
        let mut latch = full(reducing);
        latch.set(cause(300, CauseKind::Operator, halted, None));
        let joined = latch.cause(256).expect("the newest");
        assert_eq!((latch.state(), joined.reason.as_str()), (halted, "300"));
        // A kind of which none stands yet is not counted with another.
        let other = latch.set(cause(301, CauseKind::Drift, halted, Some(1)));
        assert_eq!((other, latch.causes().count()), (Placed::Added(301), 257));
        let again = latch.set(cause(302, CauseKind::Drift, halted, Some(1)));
        assert_eq!(again, Placed::Covered(301));
    }
}
