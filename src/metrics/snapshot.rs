//! The snapshot that a scrape shows: one moment, copied while ingest goes on.
//!
//! A large state takes milliseconds to copy, and for as long as it is locked every event waits. So
//! the rows of symbols and accounts are kept from one scrape to the next, and only those whose mark
//! has risen are copied again: a few at a time, each few under a lock of its own
//! ([`ScrapeSnapshot::catch_up`]). What changed since then is copied under the last lock, which makes it one
//! moment ([`ScrapeSnapshot::take`]); what follows from it is worked out after that
//! ([`ScrapeSnapshot::work_out`]). Of 3,000 symbols and 2,000 events a second the longest lock
//! is 0.08 ms, and was 5 to 9. Invariants: whatever was done before, a snapshot that was taken equals
//! one that was taken from nothing; a step copies few rows. Deliberately absent: locks, and turns of
//! others between two steps; they are the caller's.

use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::account::AccountState;
use crate::domain::evidence::missing_with;
use crate::domain::execution::figures::Quantiles;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::domain::settings::{Reference, Settings};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::metrics::budget::{Budget, add_some};
use crate::metrics::encode::Exposition;
use crate::metrics::format::Format;
use crate::metrics::labels::{AccountLabels, Labels};
use crate::metrics::projection::{
    AccountRow, Projection, SymbolRow, account_row, common_row, control_row, drifts_open,
    exporter_row, symbol_row,
};
use crate::metrics::runtime::Runtime;
use crate::metrics::weigh::{weigh_strategy, weigh_symbol};

/// Rows that one step copies: about a twentieth of a millisecond.
const ROWS_AT_ONCE: usize = 32;
/// Rows of symbols that what there is of an account beside them takes as long as.
const WHOLE_ROWS: usize = 16;
/// Rows of which one step finds out whether they changed.
const MARKS_AT_ONCE: usize = 2_048;
/// Rows that one step weighs.
const WEIGHTS_AT_ONCE: usize = 256;
/// Rows that one step adds to the sum of what is folded.
const SUMS_AT_ONCE: usize = 1_024;

/// A snapshot, and what is kept of it for the next one.
#[derive(Debug)]
pub struct ScrapeSnapshot {
    /// What the rows were copied from: another state, or other settings, begin anew.
    origin: Option<Origin>,
    accounts: Vec<Kept>,
    /// Of the accounts, in the same order.
    labels: Labels,
    /// Where the next step goes on: an account, and a row of it.
    at: (usize, usize),
    projection: Projection,
    /// Which rows fold, shared with others that show the same accounts.
    budget: Arc<Mutex<Budget>>,
    left: Left,
}

/// What there is to work out of what was taken.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// What follows for each account.
    Accounts,
    /// What folds.
    Choice,
    /// Sums of what is folded, from an account and a row of it on.
    Sums(usize, usize),
    Nothing,
}

/// What a row depends on beside the state of its symbol.
#[derive(Debug)]
struct Origin {
    settings: Arc<Settings>,
    born: Option<Timestamp>,
    sequence: u64,
}

/// What is kept of an account.
#[derive(Debug)]
struct Kept {
    name: Account,
    /// The mark of the account when all of it was up to date.
    mark: Option<u64>,
    /// Its mark when the first of its symbols was looked at.
    began_at: u64,
    /// Its row without those of its symbols. Moved into the projection while it is shown, as they are.
    whole: Option<AccountRow>,
    /// Slippages of its window, as long as they are not worked out.
    slippages: Option<[Vec<f64>; 3]>,
    /// Symbols that were retired before: one more, and rows have to go.
    retired: usize,
    /// Rows whose weight is known, from the first on.
    weighed: usize,
    rows: Vec<SymbolRow>,
    /// Of the rows, in the same order.
    seen: Vec<Seen>,
}

/// What is kept of a symbol beside its row.
#[derive(Clone, Copy, Debug)]
struct Seen {
    key: SymbolKey,
    mark: u64,
    /// See [`crate::domain::drift::Books::needed_at`].
    needed_at: Option<Timestamp>,
}

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Rows of symbols that were copied, or what takes as long.
    pub copied: usize,
    /// Whether it came to the end of all accounts.
    pub is_last: bool,
}

/// What a step may still do.
struct Room {
    copies: usize,
    marks: usize,
}

impl Room {
    /// Takes room for one row; whether there was any.
    const fn take(&mut self) -> bool {
        if self.copies == 0 || self.marks == 0 {
            return false;
        }
        self.marks -= 1;
        true
    }
}

impl Default for ScrapeSnapshot {
    /// That of a state of which nothing is known.
    fn default() -> Self {
        let nothing = Monitor::new(Arc::default());
        let (common, exporter) = (common_row(&nothing), exporter_row(&nothing));
        Self {
            origin: None,
            accounts: Vec::new(),
            labels: Labels::default(),
            at: (0, 0),
            projection: Projection { common, accounts: Vec::new(), exporter },
            budget: Arc::default(),
            left: Left::Nothing,
        }
    }
}

impl ScrapeSnapshot {
    /// An empty one, which folds by that budget.
    #[must_use]
    pub fn under(budget: Arc<Mutex<Budget>>) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Copies some of what changed. The step after the last one begins again at the first account.
    pub fn catch_up(&mut self, monitor: &Monitor, visible: impl Fn(&Account) -> bool) -> Step {
        self.begin(monitor);
        let mut room = Room { copies: ROWS_AT_ONCE, marks: MARKS_AT_ONCE };
        let (first, mut row) = mem::take(&mut self.at);
        let accounts = monitor.accounts().filter(|account| visible(&account.name));
        for (place, account) in accounts.enumerate().skip(first) {
            let next = match self.place(place, account) {
                Some((kept, labels)) => kept.catch_up(monitor, account, labels, row, &mut room),
                None => None,
            };
            if let Some(next) = next {
                self.at = (place, next);
                return Step { copied: ROWS_AT_ONCE - room.copies, is_last: false };
            }
            row = 0;
        }
        Step { copied: ROWS_AT_ONCE - room.copies, is_last: true }
    }

    /// Copies what is left: shows `monitor` as it is now.
    pub fn take(&mut self, monitor: &Monitor, visible: impl Fn(&Account) -> bool) {
        self.begin(monitor);
        self.at = (0, 0);
        let mut rows = Vec::with_capacity(self.accounts.len());
        let accounts = monitor.accounts().filter(|account| visible(&account.name));
        for (place, account) in accounts.enumerate() {
            let Some((kept, labels)) = self.place(place, account) else { continue };
            let mut room = Room { copies: usize::MAX, marks: usize::MAX };
            kept.catch_up(monitor, account, labels, 0, &mut room);
            kept.weighed = 0;
            let Some(mut row) = kept.whole.take() else { continue };
            // What does not depend on the account alone.
            let needed_at = kept.seen.iter().filter_map(|seen| seen.needed_at);
            let oldest = account.books.oldest_needed_with(needed_at);
            row.missing = missing_with(account, oldest, monitor.now(), monitor.settings());
            row.control = control_row(monitor, account);
            row.symbols = mem::take(&mut kept.rows);
            rows.push(row);
        }
        self.accounts.truncate(rows.len());
        self.labels.accounts.truncate(rows.len());
        let (common, exporter) = (common_row(monitor), exporter_row(monitor));
        self.projection = Projection { common, accounts: rows, exporter };
        self.left = Left::Accounts;
    }

    /// Works out some of what follows from what was copied. False: there was nothing left.
    pub fn work_out(&mut self) -> bool {
        let left = self.left;
        self.left = match left {
            Left::Accounts if self.work_out_account() => Left::Accounts,
            Left::Accounts => Left::Choice,
            Left::Choice => {
                let mut budget = self.budget.lock();
                budget.choose(&mut self.projection);
                for ((_, count), folds) in
                    self.projection.exporter.folded.iter_mut().zip(budget.folds())
                {
                    *count += folds;
                }
                Left::Sums(0, 0)
            }
            Left::Sums(account, from) => self.add_up(account, from),
            Left::Nothing => return false,
        };
        true
    }

    /// Works out what follows for one account, in steps. False: there was none left.
    fn work_out_account(&mut self) -> bool {
        let mut shown = self.accounts.iter_mut().zip(&mut self.projection.accounts);
        let next = shown.find(|(kept, _)| kept.slippages.is_some());
        let Some((kept, row)) = next else { return false };
        kept.weighed = weigh_rows(row, kept.weighed);
        if kept.weighed < row.symbols.len() {
            return true;
        }
        if let Some(slippages) = kept.slippages.take() {
            row.quantiles = slippages.map(Quantiles::of);
            row.drifts_open = drifts_open(&row.symbols);
        }
        true
    }

    /// Adds some of the rows of an account that are folded to their sum.
    fn add_up(&mut self, account: usize, from: usize) -> Left {
        // Most accounts have nothing folded.
        let mut rows = self.projection.accounts.iter_mut().enumerate().skip(account);
        let Some((at, row)) = rows.find(|(_, row)| row.fold.is_partial()) else {
            return Left::Nothing;
        };
        let from = if at == account { from } else { 0 };
        if from == 0 {
            add_some(&row.strategies, &mut row.fold.strategies, 0, usize::MAX);
            add_some(&row.venues, &mut row.fold.venues, 0, usize::MAX);
        }
        let next = add_some(&row.symbols, &mut row.fold.symbols, from, SUMS_AT_ONCE);
        next.map_or(Left::Sums(at + 1, 0), |next| Left::Sums(at, next))
    }

    /// The exposition of what was taken.
    #[must_use]
    pub fn exposition(&self, runtime: Option<&Runtime>, format: Format) -> Exposition<'_> {
        Exposition::new(&self.projection, &self.labels, runtime, format)
    }

    /// What was taken and worked out.
    #[must_use]
    pub const fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The same, without what is kept for the next one.
    pub(super) fn into_projection(self) -> Projection {
        self.projection
    }

    /// Takes the rows back from what was shown, and forgets them if they are of no use any more.
    fn begin(&mut self, monitor: &Monitor) {
        let shown = mem::take(&mut self.projection.accounts);
        for (kept, mut row) in self.accounts.iter_mut().zip(shown) {
            kept.rows = mem::take(&mut row.symbols);
            kept.whole = Some(row);
        }
        let (settings, born) = (monitor.settings(), monitor.born());
        let is_same = self.origin.as_ref().is_some_and(|origin| {
            Arc::ptr_eq(&origin.settings, settings)
                && origin.born == born
                && origin.sequence <= monitor.sequence()
        });
        if !is_same {
            self.accounts.clear();
            self.labels = Labels::default();
            self.at = (0, 0);
        }
        let (settings, sequence) = (Arc::clone(settings), monitor.sequence());
        self.origin = Some(Origin { settings, born, sequence });
    }

    /// What is kept of an account that belongs to that place, made if need be.
    fn place(
        &mut self,
        place: usize,
        account: &AccountState,
    ) -> Option<(&mut Kept, &mut AccountLabels)> {
        // Those before it are gone: an account that was refused at its first event.
        while self.accounts.get(place).is_some_and(|kept| kept.name < account.name) {
            self.accounts.remove(place);
            self.labels.accounts.remove(place);
        }
        if self.accounts.get(place).is_none_or(|kept| kept.name != account.name) {
            let place = place.min(self.accounts.len());
            self.accounts.insert(place, Kept::new(account));
            self.labels.accounts.insert(place, AccountLabels::new(&account.name));
        }
        self.accounts.get_mut(place).zip(self.labels.accounts.get_mut(place))
    }
}

impl Kept {
    fn new(account: &AccountState) -> Self {
        Self {
            name: account.name.clone(),
            mark: None,
            began_at: 0,
            whole: None,
            slippages: None,
            retired: account.symbols.retired(),
            weighed: 0,
            rows: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Copies what has changed, of the symbols from the row `from` on, while there is room. The row at
    /// which it stopped; none: it came to the end.
    fn catch_up(
        &mut self,
        monitor: &Monitor,
        account: &AccountState,
        labels: &mut AccountLabels,
        from: usize,
        room: &mut Room,
    ) -> Option<usize> {
        if !room.take() {
            return Some(from);
        }
        if self.mark == Some(account.version()) {
            return None;
        }
        if from == 0 {
            self.began_at = account.version();
        }
        let stopped_at = self.catch_up_symbols(monitor.settings(), account, labels, from, room);
        // Only if nothing changed since the first of them was looked at, all of it is of one moment.
        if stopped_at.is_none() && self.began_at == account.version() {
            let (row, whole) = (account_row(monitor, account), account.execution.whole());
            labels.set_breakdowns(&row);
            self.whole = Some(row);
            self.slippages = Some(Reference::ALL.map(|reference| whole.slippages(reference)));
            self.mark = Some(account.version());
            room.copies = room.copies.saturating_sub(WHOLE_ROWS);
        }
        stopped_at
    }

    /// The same, of symbols alone.
    fn catch_up_symbols(
        &mut self,
        settings: &Settings,
        account: &AccountState,
        labels: &mut AccountLabels,
        from: usize,
        room: &mut Room,
    ) -> Option<usize> {
        if self.retired != account.symbols.retired() {
            self.retired = account.symbols.retired();
            self.rows.clear();
            self.seen.clear();
            labels.symbols.clear();
        }
        let rows = self.rows.iter_mut().zip(&mut self.seen).enumerate();
        for (at, (row, seen)) in rows.skip(from) {
            if !room.take() {
                return Some(at);
            }
            if seen.mark != mark(account, seen.key) {
                *row = symbol_row(settings, account, seen.key, &row.symbol);
                *seen = Seen::now(account, seen.key);
                room.copies -= 1;
            }
        }
        let next = self.seen.last().map_or(0, |seen| seen.key.index() + 1);
        for (key, symbol) in account.symbols.iter_from(next) {
            if !room.take() {
                return Some(self.rows.len());
            }
            self.rows.push(symbol_row(settings, account, key, symbol));
            self.seen.push(Seen::now(account, key));
            labels.push_symbol(symbol);
            room.copies -= 1;
        }
        None
    }
}

/// Weighs the rows of an account that were copied, some symbols at a time. The symbol to go on with.
fn weigh_rows(row: &mut AccountRow, from: usize) -> usize {
    if from == 0 {
        for breakdown in row.strategies.iter_mut().chain(&mut row.venues) {
            breakdown.weight = weigh_strategy(breakdown);
        }
    }
    let mut symbols = mem::take(&mut row.symbols);
    let end = symbols.len().min(from + WEIGHTS_AT_ONCE);
    for symbol in symbols.iter_mut().skip(from).take(WEIGHTS_AT_ONCE) {
        if symbol.weight.whole == 0 {
            symbol.weight = weigh_symbol(row, symbol);
        }
    }
    row.symbols = symbols;
    end
}

impl Seen {
    fn now(account: &AccountState, key: SymbolKey) -> Self {
        Self { key, mark: mark(account, key), needed_at: account.books.needed_at(key) }
    }
}

/// A number that is another one when the row of the symbol may be.
fn mark(account: &AccountState, key: SymbolKey) -> u64 {
    account.execution.version(key) + account.books.version(key)
}
