//! The books of one account, and how snapshots and flows change them.
//!
//! Input: snapshots and flows. Output: [`SymbolBooks`] for each symbol that any book covers, and the
//! set of symbols whose comparison may have changed. Invariants: everything visible is in the order of
//! symbol keys; symbols folded into `__other__` are counted, never compared. Deliberately absent:
//! comparing (see `compare`), acting (see `act`), manual reconciliation (see `adopt`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::align::BookPair;
use super::comparison::{AcceptedOffset, Comparison};
use super::confirm::Drift;
use super::flows::Flows;
use super::history::DriftHistory;
use super::ledger::Ledger;
use super::snapshot::{Book, RowTotal, SideBooks, SnapshotTime, SnapshotVerdict};
use crate::domain::digest::digest_of;
use crate::domain::event::{Positions, Source};
use crate::domain::flow::Flow;
use crate::domain::limits::FLOWS_AT_ONCE_MAX;
use crate::domain::record::Refusal;
use crate::domain::settings::InFlightSettings;
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact, is_flat};
use crate::domain::versions::VersionedMap;
use crate::domain::visits;
use crate::domain::weight;

/// The books of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    pub(super) local: SideBooks,
    pub(super) broker: SideBooks,
    pub(super) lines: VersionedMap<SymbolBooks>,
    /// Time of the first complete broker snapshot: a symbol seen later was flat then.
    pub(super) anchor: Option<Timestamp>,
    pub(super) dirty: BTreeSet<SymbolKey>,
    pub(super) is_all_dirty: bool,
    /// Symbols with a difference beyond tolerance: a tick looks only at these.
    pub(super) watched: BTreeSet<SymbolKey>,
    /// Symbols that late flows touched, and that are too costly to compare with every event.
    pub(super) dirty_at_tick: BTreeSet<SymbolKey>,
    /// Symbols whose ledger waits for a later list of the broker to decide about its anchor.
    pub(super) in_doubt: BTreeSet<SymbolKey>,
    /// The latest event time of the engine.
    pub(super) heard: Option<Timestamp>,
    /// Differences that wait for the engine to report, by the event time that it has to reach.
    pub(super) settling: BTreeSet<(Timestamp, SymbolKey)>,
    /// Sequence of the first snapshot in the current request.
    pub(super) request: Option<u64>,
    pub(super) lags: BookLags,
    pub(super) compared_at: Option<Timestamp>,
    /// Receive time of the newest record that reached the books.
    pub(super) now: Option<Timestamp>,
    pub(super) history: DriftHistory,
    pub(super) untracked_rows: u64,
    pub(super) flows_dropped: u64,
    /// Flows that are held of all symbols.
    pub(super) flows_held: usize,
}

/// The state of one symbol, apart from the rows of snapshots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SymbolBooks {
    pub(super) flows: Flows,
    pub(super) ledger: Ledger,
    pub(super) offset: AcceptedOffset,
    pub(super) adopted: Option<AdoptedBook>,
    pub(super) drift: Option<Drift>,
    /// A difference within tolerance, and the time of its comparison.
    pub(super) tolerated: Option<(Comparison, Timestamp)>,
    /// The price of the latest comparison that knew one.
    #[serde(with = "exact")]
    pub(super) valued_at: Option<Decimal>,
    /// Number of flows that arrived after a snapshot that they explain.
    pub(super) late_flows: u64,
}

/// The local book by decision of an operator, until the next local snapshot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct AdoptedBook {
    pub(super) book: Book,
    /// Sequence of the decision.
    pub(super) sequence: u64,
}

impl Books {
    /// Whether a snapshot repeats the newest one of its side: same content, same sender's time. A
    /// repetition brings no news, so it confirms nothing.
    #[must_use]
    pub fn is_repeated(&self, snapshot: &Positions, time: Timestamp) -> bool {
        self.side(snapshot.source).is_repeated(time, || digest_of(snapshot))
    }

    /// Applies a snapshot of one side. Rows of one symbol are added up; rows of folded symbols are
    /// counted and not tracked. The first complete broker snapshot anchors every ledger. Nothing is
    /// compared before [`Self::compare_dirty`].
    pub fn take_snapshot(
        &mut self,
        step: &mut Step<'_, '_>,
        snapshot: &Positions,
        mut at: SnapshotTime,
    ) -> SnapshotVerdict {
        self.now = self.now.max(Some(at.received));
        at.request = *self.request.get_or_insert(at.sequence);
        if let Some(error) = &snapshot.failure {
            // A failed fetch is not an empty book: no row changes.
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
            let key = step.intern(&row.symbol);
            if step.symbols.is_other(key) {
                self.untracked_rows = self.untracked_rows.saturating_add(1);
            } else {
                totals.entry(key).or_default().add(row);
            }
        }
        for key in totals.keys() {
            visits::count(1);
            let line = self.lines.or_insert_with(*key, || SymbolBooks::new(self.anchor));
            if line.ledger.is_in_doubt() {
                self.in_doubt.insert(*key);
            }
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

    /// Applies a change of position: to the ledger, unless it is dated at or before the anchor, and to
    /// the flows that explain differences. O(log n). A flow that lists may lack marks the symbol for
    /// comparison. Returns whether the ledger set it aside, because it was reported long after its date.
    pub fn flow(&mut self, key: SymbolKey, flow: Flow, rules: &InFlightSettings) -> bool {
        let times = self.pair_times(key);
        let received = self.now.unwrap_or(flow.time);
        let line = self.lines.or_insert_with(key, || SymbolBooks::new(self.anchor));
        let is_set_aside = line.ledger.apply(&flow);
        if line.ledger.is_in_doubt() {
            self.in_doubt.insert(key);
        }
        let before = line.flows.len();
        if line.flows.insert(flow, received) {
            self.flows_dropped = self.flows_dropped.saturating_add(1);
        }
        self.flows_held = self.flows_held + line.flows.len() - before;
        let Some((local, broker)) = times else { return is_set_aside };
        let is_late = flow.time <= local.max(broker);
        if is_late {
            line.late_flows = line.late_flows.saturating_add(1);
        }
        // A flow later than both lists still explains a list that was read after its date.
        let last = local.plus(rules.grace).max(broker.plus(rules.ahead.max(rules.grace)));
        let is_undecided = line.drift.as_ref().is_some_and(Drift::is_undecided);
        let may_explain = is_late || (is_undecided && flow.time <= last);
        if !may_explain {
            return is_set_aside;
        }
        let first = local.min(broker).minus(rules.reach());
        if line.flows.has_more_since(first, FLOWS_AT_ONCE_MAX) {
            self.dirty_at_tick.insert(key);
        } else {
            self.dirty.insert(key);
        }
        is_set_aside
    }

    /// Notes an event of the engine with that event time. Returns whether a comparison waited for it.
    /// O(log n).
    pub fn engine_heard(&mut self, time: Timestamp) -> bool {
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
    /// [`Refusal::NotFound`] when no book covers it; [`Refusal::InUse`] while local or the broker holds
    /// a position (the ledger, where no broker snapshot covers it), or a drift is open.
    pub fn retire(&mut self, key: SymbolKey) -> Result<(), Refusal> {
        let line = self.lines.get(&key).ok_or(Refusal::NotFound)?;
        let broker = self.broker.book(key).map_or(line.ledger.quantity(), |book| book.quantity);
        let local = self.local_book(key, line).map_or(Decimal::ZERO, |book| book.quantity);
        if !is_flat(broker) || !is_flat(local) || self.is_drift_open(key) {
            return Err(Refusal::InUse);
        }
        self.flows_held -= self.lines.remove(&key).map_or(0, |line| line.flows.len());
        self.local.retire(key);
        self.broker.retire(key);
        self.dirty.remove(&key);
        self.dirty_at_tick.remove(&key);
        self.watched.remove(&key);
        self.in_doubt.remove(&key);
        self.settling.retain(|(_, waits)| *waits != key);
        self.history.retire(key);
        Ok(())
    }

    /// About the bytes of all of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.flows_held * weight::FLOW
            + self.lines.len() * weight::BOOKS
            + (self.local.len() + self.broker.len()) * weight::ROW
            + self.history.entries().len() * weight::DRIFT
    }

    /// Number of snapshot rows that were not tracked because their symbol is folded.
    #[must_use]
    pub const fn untracked_rows(&self) -> u64 {
        self.untracked_rows
    }

    /// Number of flows dropped at the bound [`crate::domain::limits::FLOWS_PER_SYMBOL_MAX`].
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

    /// A side, mutable. Bumps the versions of all symbols, because any of them may change.
    const fn side_mut(&mut self, source: Source) -> &mut SideBooks {
        self.lines.bump_all();
        match source {
            Source::Local => &mut self.local,
            Source::Broker => &mut self.broker,
        }
    }

    /// Sets every ledger to the broker's quantity of the first complete snapshot.
    fn anchor_ledgers(&mut self, time: Timestamp) {
        self.anchor = Some(time);
        for (key, line) in self.lines.iter_mut() {
            visits::count(1);
            let quantity = self.broker.book(*key).map_or(Decimal::ZERO, |book| book.quantity);
            line.ledger.anchor(quantity, time, &line.flows);
        }
        self.in_doubt = self.lines.keys().copied().collect();
    }

    /// Decides, by the newest complete snapshot of the broker, which doubtful fills the anchors had.
    fn decide_anchors(&mut self, time: Timestamp) {
        for key in std::mem::take(&mut self.in_doubt) {
            visits::count(1);
            let Some(line) = self.lines.get_mut(&key) else { continue };
            let quantity = self.broker.book(key).map_or(Decimal::ZERO, |book| book.quantity);
            line.ledger.decide(quantity, time, &line.flows);
            if line.ledger.is_in_doubt() {
                self.in_doubt.insert(key);
            }
        }
    }

    /// The local book of a symbol: from its snapshots, or adopted by an operator after the newest one.
    pub(super) fn local_book(&self, key: SymbolKey, line: &SymbolBooks) -> Option<Book> {
        self.adopted_book(key, line).or_else(|| self.local.book(key))
    }

    /// The book that an operator adopted after the newest local snapshot.
    fn adopted_book(&self, key: SymbolKey, line: &SymbolBooks) -> Option<Book> {
        let adopted = line.adopted?;
        let book = self.local.book(key);
        let is_newest = book.is_none_or(|book| book.at.sequence < adopted.sequence);
        is_newest.then_some(adopted.book)
    }

    /// The two books to compare. The ledger stands in where the account has no local book at all. Where
    /// local snapshots exist but never covered this symbol, nothing is known and nothing is judged.
    pub(super) fn pair(&self, key: SymbolKey) -> Option<BookPair> {
        let line = self.lines.get(&key)?;
        let broker = self.broker.book(key)?;
        if let Some(local) = self.local_book(key, line) {
            let is_adopted = self.adopted_book(key, line).is_some();
            return Some(BookPair { local, broker, ledger_stands_in: false, is_adopted });
        }
        if !self.ledger_stands_in(Some(line)) {
            return None;
        }
        let quantity = line.ledger.at(broker.at.time, &line.flows);
        let local = Book { quantity, average: None, market: None, at: broker.at };
        Some(BookPair { local, broker, ledger_stands_in: true, is_adopted: false })
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

    /// Whether the ledger stands in for a missing local book: the account has no local book at all, or
    /// a drift that the ledger opened at that time has not ended.
    fn ledger_stands_in(&self, line: Option<&SymbolBooks>) -> bool {
        let drift = line.and_then(|line| line.drift.as_ref());
        let opened = drift.is_some_and(|d| d.state.is_open() && d.latest.ledger_stands_in);
        self.local.newest().is_none() || opened
    }
}

/// The lag of the newest list of each side. For one symbol it is the smallest lag at which the list
/// equals the running sum of fills; for the list it is the largest of its symbols.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct BookLags {
    pub(super) local: Option<BookLag>,
    pub(super) broker: Option<BookLag>,
}

/// The lag of a list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct BookLag {
    list: SnapshotTime,
    /// Nanoseconds; negative: the list knew more than its date says.
    pub(super) lag: i64,
}

impl BookLag {
    /// Adds the lag of one symbol of a list.
    pub(super) fn note(noted: &mut Option<Self>, list: SnapshotTime, lag: i64) {
        *noted = match *noted {
            Some(other) if other.list.is_newer_than(list) => Some(other),
            Some(other) if other.list == list && other.lag.abs() > lag.abs() => Some(other),
            Some(_) | None => Some(Self { list, lag }),
        };
    }
}

impl SymbolBooks {
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

    /// A random event for the books.
    #[derive(Clone, Copy, Debug)]
    enum BookEvent {
        Wait(u8),
        Snapshot { source: Source, lag: u8, x: i8, y: i8 },
        Partial { source: Source, lag: u8, x: i8 },
        Failed(Source),
        Fill { lag: u8, change: i8 },
        OpenOrders(u8),
        Adopt(Adopt),
        Acknowledge,
    }

    fn book_events() -> impl Strategy<Value = BookEvent> {
        let source = prop_oneof![Just(Source::Local), Just(Source::Broker)];
        let held = -15_i8..15;
        prop_oneof![
            3 => (1_u8..70).prop_map(BookEvent::Wait),
            4 => (source.clone(), 0_u8..20, held.clone(), held.clone())
                .prop_map(|(source, lag, x, y)| BookEvent::Snapshot { source, lag, x, y }),
            2 => (source.clone(), 0_u8..20, held.clone())
                .prop_map(|(source, lag, x)| BookEvent::Partial { source, lag, x }),
            1 => source.prop_map(BookEvent::Failed),
            3 => (0_u8..20, held).prop_map(|(lag, change)| BookEvent::Fill { lag, change }),
            1 => (0_u8..20).prop_map(BookEvent::OpenOrders),
            1 => prop_oneof![Just(Adopt::Local), Just(Adopt::Broker)].prop_map(BookEvent::Adopt),
            1 => Just(BookEvent::Acknowledge),
        ]
    }

    fn apply(world: &mut World, what: BookEvent) {
        let ago = |world: &World, lag: u8| (world.now - f64::from(lag)).max(0.0);
        match what {
            BookEvent::Wait(seconds) => {
                world.tick_to(world.now + f64::from(seconds));
            }
            BookEvent::Snapshot { source, lag, x, y } => {
                world.complete(source, ago(world, lag), &format!("X {x}@10, Y {y}"));
            }
            BookEvent::Partial { source, lag, x } => {
                world.partial(source, ago(world, lag), &format!("X {x}@12"));
            }
            BookEvent::Failed(source) => {
                world.failed(source);
            }
            BookEvent::Fill { lag, change } => {
                world.flow(ago(world, lag), "X", &change.to_string());
            }
            BookEvent::OpenOrders(leaves) => world.market.open_buy = leaves.into(),
            BookEvent::Adopt(adopt) => {
                let is_open = world.drift("X").is_some_and(|drift| drift.state.is_open());
                assert_eq!(world.adopt("X", adopt, true).is_ok(), is_open);
                assert!(!world.drift("X").is_some_and(|drift| drift.state.is_open()));
            }
            BookEvent::Acknowledge => {
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

        /// After any sequence of events nothing panics, the states are sound, and the same records give
        /// the same directives.
        #[test]
        fn the_books_stay_sound(script in prop::collection::vec(book_events(), 1..60)) {
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
