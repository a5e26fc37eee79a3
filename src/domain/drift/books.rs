//! The books of one account: what comes in, and where it is kept.
//!
//! Input: snapshots and flows. Output: lines, one for each symbol that any book speaks of, and
//! the set of symbols whose comparison may have changed. Invariants: everything that can be seen
//! is in the order of symbol keys; symbols folded into `__other__` are counted, never compared.
//! Deliberately absent: comparing (see `compare`), acting (see `act`), manual work (see `adopt`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Flow;
use super::align::Pair;
use super::classify::{Offset, Reading};
use super::confirm::Drift;
use super::flows::Flows;
use super::history::History;
use super::ledger::Ledger;
use super::snapshot::{Book, RowTotal, SideBooks, SnapshotTime, SnapshotVerdict};
use crate::domain::digest::digest_of;
use crate::domain::event::{Positions, Source};
use crate::domain::ids::Symbol;
use crate::domain::limits::FLOWS_AT_ONCE_MAX;
use crate::domain::record::Refusal;
use crate::domain::settings::InFlightSettings;
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact, is_flat};
use crate::domain::versions::VersionedMap;

/// The books of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    pub(super) local: SideBooks,
    pub(super) broker: SideBooks,
    pub(super) lines: VersionedMap<Line>,
    /// Time of the first complete broker snapshot: a symbol seen later was flat then.
    pub(super) anchor: Option<Timestamp>,
    pub(super) dirty: BTreeSet<SymbolKey>,
    pub(super) is_all_dirty: bool,
    /// Symbols with a difference beyond tolerance: the only ones that a tick has to look at.
    pub(super) watched: BTreeSet<SymbolKey>,
    /// Symbols that late flows touched where a comparison costs too much for every event.
    pub(super) dirty_at_tick: BTreeSet<SymbolKey>,
    /// The latest event time at which the engine was heard of.
    pub(super) heard: Option<Timestamp>,
    /// Differences that wait to hear of the engine, by the time that it has to speak of.
    pub(super) settling: BTreeSet<(Timestamp, SymbolKey)>,
    /// Sequence of the first snapshot of the request under way.
    pub(super) request: Option<u64>,
    /// By how much the newest lists lag.
    pub(super) lags: BookLags,
    pub(super) compared_at: Option<Timestamp>,
    /// Receive time of the newest record that was seen here.
    pub(super) now: Option<Timestamp>,
    pub(super) history: History,
    pub(super) untracked_rows: u64,
    pub(super) flows_dropped: u64,
}

/// What is kept of one symbol beside the rows of snapshots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) flows: Flows,
    pub(super) ledger: Ledger,
    pub(super) offset: Offset,
    pub(super) adopted: Option<AdoptedBook>,
    pub(super) drift: Option<Drift>,
    /// A difference within tolerance, and when it was looked at.
    pub(super) tolerated: Option<(Reading, Timestamp)>,
    /// The price that valued the symbol at the latest comparison that knew one.
    #[serde(with = "exact")]
    pub(super) valued_at: Option<Decimal>,
    /// How many flows came after a snapshot that they explain.
    pub(super) late_flows: u64,
}

/// What local holds by decision of an operator, until its next snapshot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct AdoptedBook {
    pub(super) book: Book,
    /// Sequence of the decision.
    pub(super) sequence: u64,
}

impl Books {
    /// Whether a snapshot is the newest of its side, sent again: the same content, of the same time
    /// as its sender told it. It says nothing new, so it confirms nothing.
    #[must_use]
    pub fn is_repeated(&self, snapshot: &Positions, time: Timestamp) -> bool {
        self.side(snapshot.source).is_repeated(time, || digest_of(snapshot))
    }

    /// Takes a snapshot of one side. Rows of one symbol are added up. `intern` gives each row's
    /// symbol its key; rows of folded symbols are counted and not tracked. The first complete
    /// broker snapshot anchors every ledger. Nothing is compared before [`Self::compare_dirty`].
    pub fn take_snapshot(
        &mut self,
        symbols: &mut SymbolTable,
        mut intern: impl FnMut(&mut SymbolTable, &Symbol) -> SymbolKey,
        snapshot: &Positions,
        mut at: SnapshotTime,
    ) -> SnapshotVerdict {
        self.now = self.now.max(Some(at.received));
        at.request = *self.request.get_or_insert(at.sequence);
        if let Some(error) = &snapshot.failure {
            // What it says of symbols stays: no row changes.
            match snapshot.source {
                Source::Local => self.local.fail(at.received, error),
                Source::Broker => self.broker.fail(at.received, error),
            }
            return SnapshotVerdict::Failed;
        }
        if self.side(snapshot.source).is_out_of_order(at) {
            return SnapshotVerdict::OutOfOrder;
        }
        let mut totals: BTreeMap<SymbolKey, RowTotal> = BTreeMap::new();
        for row in &snapshot.rows {
            let key = intern(symbols, &row.symbol);
            if symbols.is_other(key) {
                self.untracked_rows = self.untracked_rows.saturating_add(1);
            } else {
                totals.entry(key).or_default().add(row);
            }
        }
        for key in totals.keys() {
            self.lines.or_insert_with(*key, || Line::new(self.anchor));
        }
        if snapshot.complete {
            self.side_mut(snapshot.source).take_complete(totals, at);
            self.is_all_dirty = true;
        } else {
            self.dirty.extend(totals.keys());
            self.side_mut(snapshot.source).take_partial(totals, at);
        }
        self.side_mut(snapshot.source).remember(digest_of(snapshot));
        if snapshot.complete && snapshot.source == Source::Broker {
            match self.anchor {
                None => self.anchor_ledgers(at.time),
                Some(_) => self.decide_anchors(at.time),
            }
        }
        SnapshotVerdict::Taken
    }

    /// Takes a change of position. Moves the ledger, unless it is dated at or before the anchor,
    /// and what explains differences. O(log n); one that lists may lack calls for a comparison. Returns
    /// whether it is reported too late to move the ledger before a list asks for it.
    pub fn flow(&mut self, key: SymbolKey, flow: Flow, rules: &InFlightSettings) -> bool {
        let times = self.pair_times(key);
        let received = self.now.unwrap_or(flow.time);
        let line = self.lines.or_insert_with(key, || Line::new(self.anchor));
        let is_set_aside = line.ledger.apply(&flow);
        if line.flows.insert(flow, received) {
            self.flows_dropped = self.flows_dropped.saturating_add(1);
        }
        let Some((local, broker)) = times else { return is_set_aside };
        let is_late = flow.time <= local.max(broker);
        if is_late {
            line.late_flows = line.late_flows.saturating_add(1);
        }
        // What is later than both lists still explains one that was read after its date.
        let last = local.plus(rules.grace).max(broker.plus(rules.ahead.max(rules.grace)));
        let is_undecided = line.drift.as_ref().is_some_and(Drift::is_undecided);
        let may_explain = is_late || (is_undecided && flow.time <= last);
        if !may_explain {
            return is_set_aside;
        }
        let around = line.flows.count_since(local.min(broker).minus(rules.reach()));
        if around > FLOWS_AT_ONCE_MAX {
            self.dirty_at_tick.insert(key);
        } else {
            self.dirty.insert(key);
        }
        is_set_aside
    }

    /// The engine was heard of, with an event of that time. Returns whether a comparison waited for
    /// it. O(log n).
    pub fn hear(&mut self, time: Timestamp) -> bool {
        self.heard = self.heard.max(Some(time));
        let mut is_due = false;
        while self.settling.first().is_some_and(|(wanted, _)| *wanted <= time) {
            self.dirty.extend(self.settling.pop_first().map(|(_, key)| key));
            is_due = true;
        }
        is_due
    }

    /// Forgets a symbol whose position is gone for good, with its accepted offset. History stays.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when no book speaks of it; [`Refusal::InUse`] while local or the
    /// broker holds a position (the ledger, where the broker never spoke), or a drift is open.
    pub fn retire(&mut self, key: SymbolKey) -> Result<(), Refusal> {
        let line = self.lines.get(&key).ok_or(Refusal::NotFound)?;
        let broker = self.broker.book(key).map_or(line.ledger.quantity(), |book| book.quantity);
        let local = self.local_book(key, line).map_or(Decimal::ZERO, |book| book.quantity);
        if !is_flat(broker) || !is_flat(local) || self.is_drift_open(key) {
            return Err(Refusal::InUse);
        }
        self.lines.remove(&key);
        self.local.retire(key);
        self.broker.retire(key);
        self.dirty.remove(&key);
        self.dirty_at_tick.remove(&key);
        self.watched.remove(&key);
        self.settling.retain(|(_, waits)| *waits != key);
        self.history.retire(key);
        Ok(())
    }

    /// Rows of snapshots that were not tracked because their symbol is folded.
    #[must_use]
    pub const fn untracked_rows(&self) -> u64 {
        self.untracked_rows
    }

    /// Flows that had to go because of [`crate::domain::limits::FLOWS_PER_SYMBOL_MAX`].
    #[must_use]
    pub const fn flows_dropped(&self) -> u64 {
        self.flows_dropped
    }

    pub(super) const fn side(&self, source: Source) -> &SideBooks {
        match source {
            Source::Local => &self.local,
            Source::Broker => &self.broker,
        }
    }

    /// A side, to change it: what it says of any symbol may be another thing then.
    const fn side_mut(&mut self, source: Source) -> &mut SideBooks {
        self.lines.bump_all();
        match source {
            Source::Local => &mut self.local,
            Source::Broker => &mut self.broker,
        }
    }

    /// Sets every ledger to the broker's quantity at the first complete snapshot.
    fn anchor_ledgers(&mut self, time: Timestamp) {
        self.anchor = Some(time);
        for (key, line) in self.lines.iter_mut() {
            let quantity = self.broker.book(*key).map_or(Decimal::ZERO, |book| book.quantity);
            line.ledger.anchor(quantity, time, &line.flows);
        }
    }

    /// Decides which fills the anchors held that are in doubt, where the newest complete snapshot of
    /// the broker tells it.
    fn decide_anchors(&mut self, time: Timestamp) {
        for (key, line) in self.lines.iter_mut() {
            let quantity = self.broker.book(*key).map_or(Decimal::ZERO, |book| book.quantity);
            line.ledger.decide(quantity, time, &line.flows);
        }
    }

    /// What local says of a symbol: its snapshots, or what an operator adopted since the newest.
    pub(super) fn local_book(&self, key: SymbolKey, line: &Line) -> Option<Book> {
        self.adopted_book(key, line).or_else(|| self.local.book(key))
    }

    /// What an operator adopted since the newest local snapshot.
    fn adopted_book(&self, key: SymbolKey, line: &Line) -> Option<Book> {
        let adopted = line.adopted?;
        let book = self.local.book(key);
        let is_newest = book.is_none_or(|book| book.at.sequence < adopted.sequence);
        is_newest.then_some(adopted.book)
    }

    /// What there is to compare. The ledger stands in where the account has no local book at all;
    /// where local spoke, but never of this symbol, nothing is known and nothing is judged.
    pub(super) fn pair(&self, key: SymbolKey) -> Option<Pair> {
        let line = self.lines.get(&key)?;
        let broker = self.broker.book(key)?;
        if let Some(local) = self.local_book(key, line) {
            let is_adopted = self.adopted_book(key, line).is_some();
            return Some(Pair { local, broker, ledger_stands_in: false, is_adopted });
        }
        if !self.ledger_stands_in(Some(line)) {
            return None;
        }
        let quantity = line.ledger.at(broker.at.time, &line.flows);
        let local = Book { quantity, average: None, market: None, at: broker.at };
        Some(Pair { local, broker, ledger_stands_in: true, is_adopted: false })
    }

    /// The times of the two books that are compared; cheaper than [`Self::pair`].
    pub(super) fn pair_times(&self, key: SymbolKey) -> Option<(Timestamp, Timestamp)> {
        let broker = self.broker.book(key)?.at.time;
        let line = self.lines.get(&key);
        let local = match line {
            Some(line) => self.local_book(key, line),
            None => self.local.book(key),
        };
        match local {
            Some(local) => Some((local.at.time, broker)),
            None => self.ledger_stands_in(line).then_some((broker, broker)),
        }
    }

    /// Whether the ledger is compared where there is no local book: the account has none at all,
    /// or a drift that the ledger opened then is still to be followed to its end.
    fn ledger_stands_in(&self, line: Option<&Line>) -> bool {
        let drift = line.and_then(|line| line.drift.as_ref());
        let opened = drift.is_some_and(|d| d.state.is_open() && d.reading.ledger_stands_in);
        self.local.newest().is_none() || opened
    }
}

/// The smallest lags by which the newest list of each side matched what fills had made of the book:
/// of its symbols, the largest.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct BookLags {
    pub(super) local: Option<BookLag>,
    pub(super) broker: Option<BookLag>,
}

/// The lag of a list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct BookLag {
    list: SnapshotTime,
    /// In nanoseconds.
    pub(super) lag: i64,
}

impl BookLag {
    /// Notes what one symbol of a list says.
    pub(super) fn note(noted: &mut Option<Self>, list: SnapshotTime, lag: i64) {
        *noted = match *noted {
            Some(other) if other.list.is_newer_than(list) => Some(other),
            Some(other) if other.list == list && other.lag.abs() > lag.abs() => Some(other),
            Some(_) | None => Some(Self { list, lag }),
        };
    }
}

impl Line {
    fn new(anchor: Option<Timestamp>) -> Self {
        Self { ledger: Ledger::flat_at(anchor), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::scenario::{World, blank};
    use crate::domain::drift::{DriftState, DriftView};
    use crate::domain::event::Source;
    use crate::domain::record::Adopt;
    use crate::domain::settings::Severity;

    /// One thing that happens to the books.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Wait(u8),
        Snapshot { source: Source, lag: u8, x: i8, y: i8 },
        Partial { source: Source, lag: u8, x: i8 },
        Failed(Source),
        Fill { lag: u8, change: i8 },
        OpenOrders(u8),
        Adopt(Adopt),
        Acknowledge,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let source = prop_oneof![Just(Source::Local), Just(Source::Broker)];
        let held = -15_i8..15;
        prop_oneof![
            3 => (1_u8..70).prop_map(Happens::Wait),
            4 => (source.clone(), 0_u8..20, held.clone(), held.clone())
                .prop_map(|(source, lag, x, y)| Happens::Snapshot { source, lag, x, y }),
            2 => (source.clone(), 0_u8..20, held.clone())
                .prop_map(|(source, lag, x)| Happens::Partial { source, lag, x }),
            1 => source.prop_map(Happens::Failed),
            3 => (0_u8..20, held).prop_map(|(lag, change)| Happens::Fill { lag, change }),
            1 => (0_u8..20).prop_map(Happens::OpenOrders),
            1 => prop_oneof![Just(Adopt::Local), Just(Adopt::Broker)].prop_map(Happens::Adopt),
            1 => Just(Happens::Acknowledge),
        ]
    }

    fn apply(world: &mut World, what: Happens) {
        let ago = |world: &World, lag: u8| (world.now - f64::from(lag)).max(0.0);
        match what {
            Happens::Wait(seconds) => {
                world.tick_to(world.now + f64::from(seconds));
            }
            Happens::Snapshot { source, lag, x, y } => {
                world.complete(source, ago(world, lag), &format!("X {x}@10, Y {y}"));
            }
            Happens::Partial { source, lag, x } => {
                world.partial(source, ago(world, lag), &format!("X {x}@12"));
            }
            Happens::Failed(source) => {
                world.failed(source);
            }
            Happens::Fill { lag, change } => {
                world.flow(ago(world, lag), "X", &change.to_string());
            }
            Happens::OpenOrders(leaves) => world.market.open_buy = leaves.into(),
            Happens::Adopt(adopt) => {
                let is_open = world.drift("X").is_some_and(|drift| drift.state.is_open());
                assert_eq!(world.adopt("X", adopt, true).is_ok(), is_open);
                assert!(!world.drift("X").is_some_and(|drift| drift.state.is_open()));
            }
            Happens::Acknowledge => {
                let key = world.key("X");
                world.books.acknowledge_drift(key);
            }
        }
        world.compare();
    }

    fn check(world: &World) {
        let with_drift = world.books.lines.iter().filter(|(_, line)| line.drift.is_some());
        let with_drift: BTreeSet<_> = with_drift.map(|(key, _)| *key).collect();
        assert_eq!(world.books.watched, with_drift);
        for drift in world.books.differences(&world.symbols) {
            assert_eq!(drift.state.is_open(), drift.opened_at.is_some() && drift.id > 0);
            assert!(drift.severity <= drift.worst && drift.cleared_at.is_none());
            let is_judged = drift.state.is_open() || drift.state == DriftState::Unconfirmed;
            assert_eq!(drift.severity.is_some(), is_judged);
        }
        let history: Vec<DriftView> = world.history();
        assert!(history.iter().all(|d| d.cleared_at.is_some() || d.state.is_open()));
        let critical = |id| {
            let drift = history.iter().find(|drift| drift.id == id);
            drift.is_some_and(|drift| drift.worst == Some(Severity::Critical))
        };
        assert!(world.halts.iter().all(|halt| critical(halt.drift_id)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whatever happens: nothing panics, the states are sound, and the same record gives the
        /// same directives.
        #[test]
        fn the_books_stay_sound(script in prop::collection::vec(happens(), 1..60)) {
            let run = || {
                let mut world = blank();
                for what in &script {
                    apply(&mut world, *what);
                    check(&world);
                }
                world
            };
            let (first, second) = (run(), run());
            prop_assert_eq!(first.directives, second.directives);
            prop_assert_eq!(first.halts, second.halts);
        }
    }
}
