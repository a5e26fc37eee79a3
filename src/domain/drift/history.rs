//! The past drifts of one account: the recent ones in a list, all of them in counters.
//!
//! Input: drifts at their confirmation and at their end. Output: a bounded list, oldest first; counters
//! that never fall; the recent reconciliations of each symbol. Deliberately absent: current drifts
//! (see `books`).

use std::collections::{BTreeMap, VecDeque};

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use super::confirm::Drift;
use super::view::{DriftType, ReconcileOutcome};
use crate::domain::closed_set::{by_two_words, by_word};
use crate::domain::ids::Symbol;
use crate::domain::limits::DRIFT_HISTORY_MAX;
use crate::domain::settings::{ReconcileBudget, Severity};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, nanos};

/// The drifts of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct DriftHistory {
    entries: VecDeque<ConfirmedDrift>,
    last_id: u64,
    #[serde(with = "by_two_words")]
    drifts: EnumMap<DriftType, EnumMap<Severity, u64>>,
    #[serde(with = "by_word")]
    reconciliations: EnumMap<ReconcileOutcome, u64>,
    /// Receive times of the recent reconciliations of a symbol, oldest first; at most as many as the
    /// budget allows.
    repairs: BTreeMap<SymbolKey, VecDeque<Timestamp>>,
}

/// A drift that was confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ConfirmedDrift {
    pub(super) id: u64,
    pub(super) key: SymbolKey,
    /// Kept by name, because the key of a retired symbol has none.
    pub(super) symbol: Symbol,
    /// The drift at its end; none: it has not ended.
    pub(super) ended: Option<Box<Drift>>,
}

impl DriftHistory {
    /// The number of the next difference.
    pub(super) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a confirmed drift. Past the bound the oldest one is forgotten.
    pub(super) fn open(&mut self, key: SymbolKey, symbol: &Symbol, id: u64) {
        if self.entries.len() >= DRIFT_HISTORY_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(ConfirmedDrift { id, key, symbol: symbol.clone(), ended: None });
    }

    /// Records the end of a confirmed drift, unless it is forgotten already.
    pub(super) fn close(&mut self, drift: Drift) {
        // A drift that ends is usually recent, so search from the newest.
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.id == drift.id) {
            entry.ended = Some(Box::new(drift));
        }
    }

    /// The drifts that were confirmed, oldest first.
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &ConfirmedDrift> {
        self.entries.iter()
    }

    /// Counts a drift that was confirmed, or became more severe.
    pub(super) fn count_drift(&mut self, drift_type: DriftType, severity: Severity) {
        self.drifts[drift_type][severity] += 1;
    }

    /// Counts a reconciliation.
    pub(super) fn count_reconciliation(&mut self, outcome: ReconcileOutcome) {
        self.reconciliations[outcome] += 1;
    }

    /// Notes a reconciliation of a symbol, by a directive or by adopting the broker's side.
    pub(super) fn repair(&mut self, key: SymbolKey, now: Timestamp, budget: &ReconcileBudget) {
        let repairs = self.repairs.entry(key).or_default();
        repairs.push_back(now);
        // More entries than the budget would change no answer.
        let is_over = |len: usize| len > usize::try_from(budget.times).unwrap_or(usize::MAX);
        while is_over(repairs.len()) {
            repairs.pop_front();
        }
    }

    /// Whether a symbol was reconciled as often as the budget allows.
    pub(super) fn is_spent(
        &self,
        key: SymbolKey,
        now: Timestamp,
        budget: &ReconcileBudget,
    ) -> bool {
        let repairs = self.repairs.get(&key).into_iter().flatten();
        let recent = repairs.filter(|at| now.since(**at) < nanos(budget.window)).count();
        u32::try_from(recent).unwrap_or(u32::MAX) >= budget.times
    }

    /// Forgets the reconciliations of a retired symbol.
    pub(super) fn retire(&mut self, key: SymbolKey) {
        self.repairs.remove(&key);
    }

    pub(super) const fn drifts(&self) -> &EnumMap<DriftType, EnumMap<Severity, u64>> {
        &self.drifts
    }

    pub(super) const fn reconciliations(&self) -> &EnumMap<ReconcileOutcome, u64> {
        &self.reconciliations
    }
}
