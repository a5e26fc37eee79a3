//! The moments at which books are compared, and the consequences of a comparison.
//!
//! Input: the end of a request, or a tick. Output: directives and halts. Invariants: all snapshots of
//! one request are applied before any is compared; a tick without a difference costs O(1), apart from
//! the round every `drift.compare_every`. Deliberately absent: the rules of each stage (see
//! `classify`, `confirm`, `act`).

use std::collections::BTreeSet;

use super::act::DriftResponse;
use super::books::{BookLag, Books, SymbolBooks};
use super::classify::measure;
use super::confirm::{Circumstances, Drift, Progress};
use super::severity::Criteria;
use super::snapshot::SnapshotTime;
use super::view::{DriftHalt, MarketOf, ReconcileOutcome};
use crate::domain::settings::DriftSettings;
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, nanos};
use crate::domain::visits;

impl Books {
    /// Compares the symbols that snapshots or late flows touched since the last comparison. Call it
    /// after the last record of a request. O(1) when there is none.
    #[must_use = "a confirmed CRITICAL drift halts trading"]
    pub fn compare_dirty(
        &mut self,
        step: &mut Step<'_, '_>,
        market: MarketOf<'_>,
    ) -> Vec<DriftHalt> {
        self.now = self.now.max(Some(step.now));
        self.request = None;
        let dirty = std::mem::take(&mut self.dirty);
        let keys = if std::mem::take(&mut self.is_all_dirty) { self.keys() } else { dirty };
        self.compare_all(&keys, step, market)
    }

    /// Applies a tick. Compares all symbols every `drift.compare_every`; in between those that have
    /// waited long enough for the engine's report, and those that are too costly to compare with every
    /// event. Sends reconcile directives again that were not confirmed in time.
    #[must_use = "a confirmed CRITICAL drift halts trading"]
    pub fn tick(&mut self, step: &mut Step<'_, '_>, market: MarketOf<'_>) -> Vec<DriftHalt> {
        self.now = self.now.max(Some(step.now));
        let settings = &step.settings.drift;
        let last = *self.compared_at.get_or_insert(step.now);
        let is_round = step.now.since(last) >= nanos(settings.compare_every);
        let deferred = std::mem::take(&mut self.dirty_at_tick);
        let keys = if is_round {
            self.compared_at = Some(step.now);
            self.prune(settings, step.now);
            self.keys()
        } else {
            deferred.into_iter().chain(self.keys_that_waited(settings, step.now)).collect()
        };
        let mut halts = self.compare_all(&keys, step, market);
        for key in self.watched.clone() {
            self.time_out(key, step, market, &mut halts);
        }
        halts
    }

    fn keys(&self) -> BTreeSet<SymbolKey> {
        self.lines.keys().copied().collect()
    }

    fn keys_that_waited(
        &self,
        settings: &DriftSettings,
        now: Timestamp,
    ) -> impl Iterator<Item = SymbolKey> {
        let waited = move |key: &SymbolKey| {
            let until = self.drift(*key).and_then(|drift| drift.settles_at(&settings.in_flight));
            until.is_some_and(|until| until <= now)
        };
        self.watched.iter().copied().filter(waited)
    }

    fn compare_all(
        &mut self,
        keys: &BTreeSet<SymbolKey>,
        step: &mut Step<'_, '_>,
        market: MarketOf<'_>,
    ) -> Vec<DriftHalt> {
        let mut halts = Vec::new();
        for key in keys {
            visits::count(1);
            self.compare(*key, step, market, &mut halts);
        }
        self.hint_at_two_names(keys, step);
        halts
    }

    fn compare(
        &mut self,
        key: SymbolKey,
        step: &mut Step<'_, '_>,
        market: MarketOf<'_>,
        halts: &mut Vec<DriftHalt>,
    ) {
        if step.symbols.is_other(key) {
            return;
        }
        let Some(pair) = self.pair(key) else { return };
        // A late report of an ended order revives the line of a symbol that was retired. It has no name,
        // and nobody watches it.
        let Some(criteria) = Criteria::of(step, key, market) else { return };
        let Some(line) = self.lines.get_mut(&key) else {
            impossible!("a symbol with two books has a line");
            return;
        };
        let comparison = measure(&pair, line, line.offset, &criteria);
        line.valued_at = comparison.price;
        if comparison.severity.is_none() || comparison.is_price() {
            line.ledger.agreed(&pair);
        }
        if let Some(lags) = comparison.explained.lags() {
            BookLag::note(&mut self.lags.broker, pair.broker.at, lags.broker);
            if pair.is_local_list() {
                BookLag::note(&mut self.lags.local, pair.local.at, lags.local);
            }
        }
        let is_old = |at: SnapshotTime| step.now.is_past(at.dated(), criteria.settings.stale_after);
        let around = Circumstances {
            now: step.now,
            settings: criteria.settings,
            is_stale: is_old(pair.local.at) || is_old(pair.broker.at),
            late_flows: line.late_flows,
            engine: if pair.came_together() { Some(comparison.broker_at.time) } else { self.heard },
        };
        if line.drift.is_none() && comparison.severity.is_some() {
            line.drift = Some(Drift::new(self.history.next_id(), &comparison, step.now));
            self.watched.insert(key);
        }
        line.tolerated = None;
        let Some(drift) = &mut line.drift else {
            line.tolerated = comparison.differs().then_some((comparison, step.now));
            return;
        };
        let before = drift.severity;
        let waited_for = drift.waits_for();
        let progress = drift.observe(&comparison, &around);
        if let Some(time) = waited_for {
            self.settling.remove(&(time, key));
        }
        if let Some(time) = drift.waits_for() {
            self.settling.insert((time, key));
        }
        let mut response = DriftResponse { step, key, criteria, history: &mut self.history, halts };
        match progress {
            Progress::Seen => return,
            Progress::Counted => return response.settle(drift, before, line.offset),
            Progress::Gone => line.drift = None,
            Progress::Cleared => {
                let is_reconciled = drift.attempts > 0;
                response.clear(line, is_reconciled.then_some(ReconcileOutcome::Confirmed));
                if is_reconciled {
                    line.ledger.anchor(pair.broker.quantity, pair.broker.at.time, &line.flows);
                    self.in_doubt.insert(key);
                }
            }
        }
        line.tolerated = comparison.differs().then_some((comparison, step.now));
        self.watched.remove(&key);
    }

    fn time_out(
        &mut self,
        key: SymbolKey,
        step: &mut Step<'_, '_>,
        market: MarketOf<'_>,
        halts: &mut Vec<DriftHalt>,
    ) {
        let line = self.lines.get_mut(&key);
        let (Some(SymbolBooks { drift: Some(drift), offset, .. }), Some(criteria)) =
            (line, Criteria::of(step, key, market))
        else {
            impossible!("a watched symbol has a drift and a name");
            return;
        };
        DriftResponse { step, key, criteria, history: &mut self.history, halts }
            .time_out(drift, *offset);
    }

    /// Forgets flows that no comparison can need again.
    fn prune(&mut self, settings: &DriftSettings, now: Timestamp) {
        let reach = settings.in_flight.reach();
        // A pair with a list older than that is stale, and not judged.
        let kept = settings.stale_after + reach;
        for key in self.keys() {
            let times = self.pair_times(key);
            let needed = times.map(|(a, b)| a.min(b).minus(reach));
            if let Some(line) = self.lines.get_mut(&key) {
                let before = line.flows.len();
                line.flows.prune(needed, now.minus(kept));
                self.flows_held -= before - line.flows.len();
            }
        }
    }
}
