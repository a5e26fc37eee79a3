//! Views of the books for the API and the metrics.
//!
//! Input: the books. Output: plain values with names instead of keys. Invariant: views are in the order
//! of symbol keys, past drifts in the order of their confirmation. Deliberately absent: changes.

use enum_map::EnumMap;

use super::books::Books;
use super::confirm::Drift;
use super::snapshot::{Book, FetchFailures, SnapshotTime};
use super::view::{DriftType, DriftView, PositionView, ReconcileOutcome};
use crate::domain::event::Source;
use crate::domain::settings::Severity;
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, is_flat};

impl Books {
    /// The books of all symbols that any book covers, side by side, in the order of their keys.
    pub fn positions<'a>(
        &'a self,
        symbols: &'a SymbolTable,
    ) -> impl Iterator<Item = PositionView> + 'a {
        self.lines.keys().filter_map(|key| self.position(symbols, *key))
    }

    /// The books of one symbol side by side; none: no book covers it.
    #[must_use]
    pub fn position(&self, symbols: &SymbolTable, key: SymbolKey) -> Option<PositionView> {
        let line = self.lines.get(&key).filter(|_| !symbols.is_other(key))?;
        let local = self.local_book(key, line);
        let broker = self.broker.book(key);
        Some(PositionView {
            symbol: symbols.name(key)?.clone(),
            local: local.map(|book| book.quantity),
            broker: broker.map(|book| book.quantity),
            ledger: line.ledger.quantity().normalize(),
            ledger_basis: line.ledger.basis(),
            local_price: local.and_then(|book| book.average),
            broker_price: broker.and_then(|book| book.average),
            local_at: local.map(|book| book.at.dated()),
            broker_at: broker.map(|book| book.at.dated()),
            pending: line.drift.as_ref().map_or(Decimal::ZERO, Drift::pending),
            offset: line.offset.quantity,
        })
    }

    /// The current differences, in the order of symbol keys. Those within tolerance have the state
    /// `within_tolerance`, number 0 and no severity.
    pub fn differences<'a>(
        &'a self,
        symbols: &'a SymbolTable,
    ) -> impl Iterator<Item = DriftView> + 'a {
        self.lines.keys().filter_map(|key| self.difference(symbols, *key))
    }

    /// The current difference of one symbol: see [`Self::differences`].
    #[must_use]
    pub fn difference(&self, symbols: &SymbolTable, key: SymbolKey) -> Option<DriftView> {
        let (line, symbol) = (self.lines.get(&key)?, symbols.name(key)?);
        let tolerated = || line.tolerated.map(|(comparison, at)| comparison.view(symbol, at));
        line.drift.as_ref().map(|drift| drift.view(symbol)).or_else(tolerated)
    }

    /// The confirmed drifts, current or as they ended, oldest first; at most 1000. Drifts of retired
    /// symbols are kept.
    pub fn history(&self) -> impl Iterator<Item = DriftView> {
        self.history.entries().filter_map(|entry| {
            let standing = || self.lines.get(&entry.key).and_then(|line| line.drift.as_ref());
            entry.ended.as_deref().or_else(standing).map(|drift| drift.view(&entry.symbol))
        })
    }

    /// `min(time, received)` of the newest snapshot of a side that did not fail.
    #[must_use]
    pub fn snapshot_at(&self, source: Source) -> Option<Timestamp> {
        self.side(source).newest().map(SnapshotTime::dated)
    }

    /// The lag of the newest list of a side, in nanoseconds. For one symbol it is the smallest lag at
    /// which the list equals the running sum of fills; for the list it is the largest of its symbols.
    /// Negative: it knew more than its date says. None: no list was compared yet, or no moment explains
    /// any.
    #[must_use]
    pub fn lag(&self, source: Source) -> Option<i64> {
        let lag = match source {
            Source::Local => self.lags.local,
            Source::Broker => self.lags.broker,
        };
        lag.map(|lag| lag.lag)
    }

    /// Receive time of the first snapshot of a side that did not fail.
    #[must_use]
    pub const fn first_at(&self, source: Source) -> Option<Timestamp> {
        self.side(source).first_at()
    }

    /// Failed fetches of a side.
    #[must_use]
    pub const fn fetch_failures(&self, source: Source) -> &FetchFailures {
        self.side(source).failures()
    }

    /// The oldest time among the books that drift is judged by: the newest snapshot of each side, and
    /// the latest rows in partial snapshots of symbols that are held or differ.
    #[must_use]
    pub fn oldest_needed(&self) -> Option<Timestamp> {
        self.oldest_needed_with(self.lines.keys().filter_map(|key| self.needed_at(*key)))
    }

    /// [`Self::oldest_needed`] for a caller that knows [`Self::needed_at`] of every symbol.
    #[must_use]
    pub fn oldest_needed_with(
        &self,
        needed_at: impl IntoIterator<Item = Timestamp>,
    ) -> Option<Timestamp> {
        let sides = [Source::Local, Source::Broker].map(|source| self.snapshot_at(source));
        sides.into_iter().flatten().chain(needed_at).min()
    }

    /// The older time of the two books of a symbol; none: the symbol is neither held nor different, so
    /// they are not needed.
    #[must_use]
    pub fn needed_at(&self, key: SymbolKey) -> Option<Timestamp> {
        let (line, pair) = (self.lines.get(&key)?, self.pair(key)?);
        let is_held = |book: &Book| !is_flat(book.quantity);
        let is_needed = is_held(&pair.local) || is_held(&pair.broker) || line.drift.is_some();
        is_needed.then(|| pair.local.at.dated().min(pair.broker.at.dated()))
    }

    /// The version of a symbol's books: it changes whenever they may have changed.
    #[must_use]
    pub fn version(&self, key: SymbolKey) -> u64 {
        self.lines.version(key)
    }

    /// Number of drifts confirmed so far, by type and by the severity at confirmation or escalation.
    #[must_use]
    pub const fn drifts_total(&self) -> &EnumMap<DriftType, EnumMap<Severity, u64>> {
        self.history.drifts()
    }

    /// Number of reconciliations so far, by outcome.
    #[must_use]
    pub const fn reconciliations_total(&self) -> &EnumMap<ReconcileOutcome, u64> {
        self.history.reconciliations()
    }
}
