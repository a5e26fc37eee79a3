//! When books are compared, and with what consequence.
//!
//! Input: the end of a request, or a tick. Output: directives and requests to halt. Invariants:
//! all snapshots of one request are taken before any is compared; a tick without a standing
//! difference costs O(1), apart from the round every `drift.compare_every`. Deliberately absent:
//! the rules of each step (see `classify`, `confirm`, `act`).

use std::collections::BTreeSet;
use std::fmt;

use super::Market;
use super::ReconcileOutcome;
use super::act::{HaltRequest, Office};
use super::books::{BookLag, Books, Line};
use super::classify::measure;
use super::confirm::{Circumstances, Drift, Step};
use super::judge::Terms;
use super::snapshot::SnapshotTime;
use crate::domain::directive::Outbox;
use crate::domain::ids::Account;
use crate::domain::settings::{DriftSettings, Settings};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::{Timestamp, nanos};

/// What comparisons are made with.
#[derive(Clone, Copy)]
pub struct CompareContext<'a> {
    /// Receive time of the record.
    pub now: Timestamp,
    /// The account.
    pub account: &'a Account,
    /// The settings in force.
    pub settings: &'a Settings,
    /// The account's symbols.
    pub symbols: &'a SymbolTable,
    /// Open orders and the latest mid of a symbol.
    pub market: &'a dyn Fn(SymbolKey) -> Market,
}

impl fmt::Debug for CompareContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompareContext")
            .field("now", &self.now)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Books {
    /// Compares the symbols that snapshots or late flows touched since the last time; to be called
    /// after the last record of a request. O(1) when there is none.
    #[must_use = "a confirmed CRITICAL drift halts trading"]
    pub fn compare_dirty(
        &mut self,
        context: &CompareContext<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Vec<HaltRequest> {
        self.now = self.now.max(Some(context.now));
        self.request = None;
        let dirty = std::mem::take(&mut self.dirty);
        let keys = if std::mem::take(&mut self.is_all_dirty) { self.keys() } else { dirty };
        self.compare_all(&keys, context, outbox)
    }

    /// Compares everything when `drift.compare_every` has passed, else what waited long enough for
    /// the engine's report, or was too costly for every event; and sends reconcile directives again
    /// that nobody confirmed in time.
    #[must_use = "a confirmed CRITICAL drift halts trading"]
    pub fn tick(
        &mut self,
        context: &CompareContext<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Vec<HaltRequest> {
        self.now = self.now.max(Some(context.now));
        let settings = &context.settings.drift;
        let last = *self.compared_at.get_or_insert(context.now);
        let is_round = context.now.since(last) >= nanos(settings.compare_every);
        let left = std::mem::take(&mut self.dirty_at_tick);
        let keys = if is_round {
            self.compared_at = Some(context.now);
            self.prune(settings, context.now);
            self.keys()
        } else {
            left.into_iter().chain(self.keys_that_waited(settings, context.now)).collect()
        };
        let mut halts = self.compare_all(&keys, context, outbox);
        for key in self.watched.clone() {
            self.time_out(key, context, outbox, &mut halts);
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
            let drift = self.lines.get(key).and_then(|line| line.drift.as_ref());
            let until = drift.and_then(|drift| drift.settles_at(&settings.in_flight));
            until.is_some_and(|until| until <= now)
        };
        self.watched.iter().copied().filter(waited)
    }

    fn compare_all(
        &mut self,
        keys: &BTreeSet<SymbolKey>,
        context: &CompareContext<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Vec<HaltRequest> {
        let mut halts = Vec::new();
        for key in keys {
            self.compare(*key, context, outbox, &mut halts);
        }
        self.hint_at_two_names(keys, context);
        halts
    }

    fn compare(
        &mut self,
        key: SymbolKey,
        context: &CompareContext<'_>,
        outbox: &mut Outbox<'_>,
        halts: &mut Vec<HaltRequest>,
    ) {
        if context.symbols.is_other(key) {
            return;
        }
        let (Some(pair), Some(symbol)) = (self.pair(key), context.symbols.name(key)) else {
            return;
        };
        let Some(line) = self.lines.get_mut(&key) else { return };
        let terms = context.terms(key);
        let reading = measure(&pair, line, line.offset, &terms);
        line.valued_at = reading.price;
        if reading.severity.is_none() || reading.is_price() {
            line.ledger.agreed(&pair);
        }
        if let Some(lags) = reading.explained.lags() {
            BookLag::note(&mut self.lags.broker, pair.broker.at, lags.broker);
            if pair.is_local_list() {
                BookLag::note(&mut self.lags.local, pair.local.at, lags.local);
            }
        }
        let is_old =
            |at: SnapshotTime| context.now.is_past(at.dated(), context.settings.drift.stale_after);
        let around = Circumstances {
            now: context.now,
            settings: terms.settings,
            is_stale: is_old(pair.local.at) || is_old(pair.broker.at),
            late_flows: line.late_flows,
            engine: if pair.came_together() { Some(reading.broker_at.time) } else { self.heard },
        };
        if line.drift.is_none() && reading.severity.is_some() {
            line.drift = Some(Drift::new(self.history.next_id(), &reading, context.now));
            self.watched.insert(key);
        }
        line.tolerated = None;
        let Some(drift) = &mut line.drift else {
            line.tolerated = reading.differs().then_some((reading, context.now));
            return;
        };
        let before = drift.severity;
        let waited_for = drift.waits_for();
        let step = drift.observe(&reading, &around);
        if let Some(time) = waited_for {
            self.settling.remove(&(time, key));
        }
        if let Some(time) = drift.waits_for() {
            self.settling.insert((time, key));
        }
        let mut office = Office {
            now: context.now,
            account: context.account,
            key,
            symbol,
            terms,
            history: &mut self.history,
            outbox,
            halts,
        };
        match step {
            Step::Seen => return,
            Step::Counted => return office.settle(drift, before, line.offset),
            Step::Gone => line.drift = None,
            Step::Cleared => {
                let is_reconciled = drift.attempts > 0;
                office.clear(line, is_reconciled.then_some(ReconcileOutcome::Confirmed));
                if is_reconciled {
                    line.ledger.anchor(pair.broker.quantity, pair.broker.at.time, &line.flows);
                }
            }
        }
        line.tolerated = reading.differs().then_some((reading, context.now));
        self.watched.remove(&key);
    }

    fn time_out(
        &mut self,
        key: SymbolKey,
        context: &CompareContext<'_>,
        outbox: &mut Outbox<'_>,
        halts: &mut Vec<HaltRequest>,
    ) {
        let Some(symbol) = context.symbols.name(key) else { return };
        let Some(Line { drift: Some(drift), offset, .. }) = self.lines.get_mut(&key) else {
            return;
        };
        let mut office = Office {
            now: context.now,
            account: context.account,
            key,
            symbol,
            terms: context.terms(key),
            history: &mut self.history,
            outbox,
            halts,
        };
        office.time_out(drift, *offset);
    }

    /// Forgets flows that no comparison can need again.
    fn prune(&mut self, settings: &DriftSettings, now: Timestamp) {
        let reach = settings.in_flight.reach();
        // No pair is judged whose lists are older than that.
        let kept = settings.stale_after + reach;
        for key in self.keys() {
            let times = self.pair_times(key);
            let needed = times.map(|(a, b)| a.min(b).minus(reach));
            if let Some(line) = self.lines.get_mut(&key) {
                line.flows.prune(needed, now.minus(kept));
            }
        }
    }
}

impl<'a> CompareContext<'a> {
    /// What a symbol is judged by.
    pub(super) fn terms(&self, key: SymbolKey) -> Terms<'a> {
        let (account, settings) = (self.account.as_str(), self.settings);
        let symbol = self.symbols.name(key).map_or("", |symbol| symbol.as_str());
        let instrument = settings.instruments.get(account, symbol);
        Terms {
            settings: &settings.drift,
            rules: settings.drift_rules.get(account, symbol),
            instrument,
            is_counted: settings.drift.is_counted(instrument.unit_of(symbol)),
            market: (self.market)(key),
        }
    }
}
