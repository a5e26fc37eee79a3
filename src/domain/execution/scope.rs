//! Counters, window and anomalies of one symbol, account, strategy or venue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::execution::anomaly::{
    self, ActiveAnomalies, ActiveAnomaly, AnomalyChange, Figure, Observation,
};
use crate::domain::execution::counters::Counters;
use crate::domain::execution::figures::{Figures, Quantiles};
use crate::domain::execution::window::OrderWindow;
use crate::domain::ids::Symbol;
use crate::domain::limits;
use crate::domain::settings::{AnomalyRules, Reference, RuleIndex};
use crate::domain::time::Timestamp;

/// Counters, window and anomalies of one symbol, account, strategy or venue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExecutionScope {
    pub(super) counters: Counters,
    pub(super) window: OrderWindow,
    /// Fills in the window of fills, without busted ones.
    pub(super) window_fills: usize,
    pub(super) rejections_in_row: u32,
    pub(super) anomalies: ActiveAnomalies,
    pub(super) rule: RuleIndex,
}

impl ExecutionScope {
    /// Its lifetime counters.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The figures of its window. O(1).
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures { fills: self.window_fills, ..self.window.figures() }
    }

    /// Its active anomalies.
    #[must_use]
    pub fn anomalies(&self) -> &[ActiveAnomaly] {
        self.anomalies.all()
    }

    /// The slippages in the window, in basis points, positive = worse, oldest first. Orders without
    /// one are left out.
    #[must_use]
    pub fn slippages(&self, reference: Reference) -> Vec<f64> {
        self.window.slippages(reference.index())
    }

    /// Quantiles of slippage over the window; `None` without a sample. Sorts the window.
    #[must_use]
    pub fn quantiles(&self, reference: Reference) -> Option<Quantiles> {
        Quantiles::of(self.slippages(reference))
    }

    /// Judges the window and, for a symbol, its rejections in a row. Returns the changes.
    pub(super) fn judge(
        &mut self,
        rules: &AnomalyRules,
        kind: ScopeKind,
        now: Timestamp,
    ) -> Vec<AnomalyChange> {
        let in_row = self.in_row(rules).filter(|_| kind == ScopeKind::Symbol);
        let figures = self.window.judged(rules.slippage_reference.index());
        let observations = anomaly::window_observations(&figures, rules);
        // Fast path: no anomaly is active and none starts, so skip the comparison of each figure.
        // Hot path: guarded by benches/instructions.
        let is_in_row = in_row.is_some_and(|in_row| in_row.value.is_some());
        if !is_in_row && self.anomalies.is_quiet(&observations, rules) {
            return Vec::new();
        }
        self.judge_each(observations, in_row, rules, now)
    }

    #[inline(never)]
    fn judge_each(
        &mut self,
        observations: impl IntoIterator<Item = Observation>,
        in_row: Option<Observation>,
        rules: &AnomalyRules,
        now: Timestamp,
    ) -> Vec<AnomalyChange> {
        let observations = observations.into_iter().chain(in_row);
        observations.filter_map(|o| self.anomalies.judge(o, rules, now)).collect()
    }

    fn in_row(&self, rules: &AnomalyRules) -> Option<Observation> {
        let figure = Figure::ConsecutiveRejections;
        let rejections = f64::from(self.rejections_in_row);
        let is_reached = rejections >= rules.levels[figure].warning?;
        let samples = self.rejections_in_row as usize;
        Some(Observation { figure, value: is_reached.then_some(rejections), samples })
    }
}

closed_set! {
    /// The kinds of scopes that an order belongs to.
    pub enum ScopeKind {
        /// The account as a whole.
        Whole = "whole",
        /// The symbol of the order.
        Symbol = "symbol",
        /// Its strategy, if strategies are broken down.
        Strategy = "strategy",
        /// Its venue, if venues are broken down.
        Venue = "venue",
    }
}

/// Scopes by name, with a bound: further names fold into `__other__`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Breakdown {
    places: BTreeMap<String, u32>,
    scopes: Vec<ExecutionScope>,
    folded: u64,
}

impl Breakdown {
    /// Number of scopes.
    pub(super) fn len(&self) -> usize {
        self.scopes.len()
    }

    /// The place of a name; a new name gets one.
    pub(super) fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let name = if self.scopes.len() + 1 < limits::BREAKDOWNS_MAX {
            name
        } else {
            self.folded += 1;
            Symbol::OTHER
        };
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX);
        self.scopes.push(ExecutionScope::default());
        self.places.insert(name.to_owned(), place);
        place
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut ExecutionScope> {
        self.scopes.get_mut(place as usize)
    }

    pub(super) fn scopes_mut(&mut self) -> impl Iterator<Item = &mut ExecutionScope> {
        self.scopes.iter_mut()
    }

    /// Scopes by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ExecutionScope)> {
        self.places
            .iter()
            .filter_map(|(name, at)| Some((name.as_str(), self.scopes.get(*at as usize)?)))
    }

    /// Number of times that a new name was folded into `__other__`.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }
}
