//! The snapshot that a scrape shows: the state at one moment, copied while ingest goes on.
//!
//! Input: the monitor, under one short read lock after another. Output: a [`Projection`]. Invariants:
//! whatever was copied before, a snapshot shows the same as one that is taken from nothing; a step
//! copies few rows. Deliberately absent: locks, and yielding between two steps; both are the caller's.
//!
//! # Design
//! Copying a large state takes milliseconds, and events wait while it is locked. So the rows are kept
//! from one scrape to the next, and only those with a newer version are copied again, in three phases:
//!
//! 1. [`ScrapeSnapshot::catch_up`] copies a few changed rows at a time, each time under a lock of its
//!    own. The rows are of different moments then.
//! 2. [`ScrapeSnapshot::take`] copies under one last lock whatever changed in the meantime. That makes
//!    the snapshot one moment.
//! 3. [`ScrapeSnapshot::compute`] derives the figures that need no lock, in steps: quantiles, weights,
//!    folding.
//!
//! A copy of the whole state under one lock was rejected because ingest noticed each scrape.
//! `tests/fold/scrape_snapshots.rs` compares every snapshot with one taken from nothing.

use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::account::AccountState;
use crate::domain::evidence;
use crate::domain::execution::figures::Quantiles;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::domain::settings::{Reference, Settings};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::metrics::budget::{SeriesBudget, add_some};
use crate::metrics::encode::Exposition;
use crate::metrics::format::Format;
use crate::metrics::labels::{AccountLabels, ProjectionLabels};
use crate::metrics::projection::{
    account_row, common_row, control_row, drifts_open, exporter_row, symbol_row,
};
use crate::metrics::rows::{AccountFold, AccountRow, Projection, SymbolRow};
use crate::metrics::runtime::Runtime;
use crate::metrics::selection::RowSelection;
use crate::metrics::weigh::{weigh_strategy, weigh_symbol};

/// Rows that one step copies.
const ROWS_PER_STEP: usize = 32;
/// An account without its symbols takes as long to copy as so many rows of symbols.
const ACCOUNT_ROWS: usize = 16;
/// Rows whose version one step compares.
const VERSIONS_PER_STEP: usize = 2_048;
/// Rows that one step weighs.
const WEIGHTS_PER_STEP: usize = 256;
/// Folded rows that one step adds to their sum.
const SUMS_PER_STEP: usize = 1_024;

/// Copies what /metrics shows of all accounts.
#[must_use]
pub fn project(monitor: &Monitor) -> Projection {
    project_accounts(monitor, |_| true)
}

/// Copies what /metrics shows of the accounts that `visible` admits, and of `*`.
///
/// A scraper that may see only some accounts must get no figure that another account changes, so the
/// [`ExporterRow`](crate::metrics::rows::ExporterRow) stays out of its exposition: see
/// [`crate::metrics::encode()`].
#[must_use]
pub fn project_accounts(monitor: &Monitor, visible: impl Fn(&Account) -> bool) -> Projection {
    let mut snapshot = ScrapeSnapshot::default();
    snapshot.take(monitor, &visible);
    while snapshot.compute() {}
    snapshot.projection
}

/// A snapshot of the state, and the rows that are kept for the next one.
#[derive(Debug)]
pub struct ScrapeSnapshot {
    /// The state that the rows were copied from. With another state, or other settings, all rows are
    /// copied again.
    origin: Option<SnapshotOrigin>,
    accounts: Vec<CachedAccount>,
    /// The labels of the accounts, in the same order.
    labels: ProjectionLabels,
    /// Where the next step continues: the index of an account, and of one of its rows.
    at: (usize, usize),
    projection: Projection,
    /// Which rows fold. Shared with the other snapshots that show the same accounts.
    budget: Arc<Mutex<SeriesBudget>>,
    pending: PendingWork,
}

/// The next phase of [`ScrapeSnapshot::compute`].
#[derive(Clone, Copy, Debug)]
enum PendingWork {
    /// Weights and quantiles of each account.
    Accounts,
    /// Which rows fold.
    Folding,
    /// Sums of the folded rows, from this account and this row of it on.
    Sums(usize, usize),
    Nothing,
}

/// Everything a row depends on besides the state of its symbol.
#[derive(Debug)]
struct SnapshotOrigin {
    settings: Arc<Settings>,
    born: Option<Timestamp>,
    sequence: u64,
}

/// The copy of an account that is kept from one scrape to the next.
#[derive(Debug)]
struct CachedAccount {
    name: Account,
    /// The version of the account when all of it was copied.
    version: Option<u64>,
    /// Its version when the first of its symbols was compared.
    began_at: u64,
    /// Its row without its symbols. While the row is shown, it is in the projection, and so are `rows`.
    row: Option<AccountRow>,
    /// Slippages of its window, until their quantiles are computed.
    slippages: Option<[Vec<f64>; 3]>,
    /// How many symbols were retired when `rows` was copied. One more, and all rows are copied again.
    retired: usize,
    /// How many rows are weighed, from the first on.
    weighed: usize,
    rows: Vec<SymbolRow>,
    /// The state of each row's copy, in the same order.
    cached: Vec<CachedSymbol>,
}

/// When a symbol's row was copied, in terms of what it was copied from.
#[derive(Clone, Copy, Debug)]
struct CachedSymbol {
    key: SymbolKey,
    version: u64,
    /// See [`crate::domain::drift::Books::needed_at`].
    needed_at: Option<Timestamp>,
}

/// The result of one step of [`ScrapeSnapshot::catch_up`].
#[derive(Clone, Copy, Debug)]
pub struct CopyStep {
    /// Rows of symbols that were copied; an account counts as several.
    pub copied: usize,
    /// Whether it reached the end of all accounts.
    pub is_last: bool,
}

/// The work left to a step.
struct StepQuota {
    copies: usize,
    versions: usize,
}

impl StepQuota {
    /// Takes one row off the quota. Returns false if it is used up.
    const fn take(&mut self) -> bool {
        if self.copies == 0 || self.versions == 0 {
            return false;
        }
        self.versions -= 1;
        true
    }
}

impl Default for ScrapeSnapshot {
    /// A snapshot of an empty state.
    fn default() -> Self {
        let nothing = Monitor::new(Arc::default());
        let (common, exporter) = (common_row(&nothing), exporter_row(&nothing));
        Self {
            origin: None,
            accounts: Vec::new(),
            labels: ProjectionLabels::default(),
            at: (0, 0),
            projection: Projection { common, accounts: Vec::new(), exporter },
            budget: Arc::default(),
            pending: PendingWork::Nothing,
        }
    }
}

impl ScrapeSnapshot {
    /// An empty snapshot whose rows fold by this budget.
    #[must_use]
    pub fn with_budget(budget: Arc<Mutex<SeriesBudget>>) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Copies some of the rows that changed. After the last step, the next one starts again at the first
    /// account.
    pub fn catch_up(&mut self, monitor: &Monitor, visible: impl Fn(&Account) -> bool) -> CopyStep {
        self.begin(monitor);
        let mut quota = StepQuota { copies: ROWS_PER_STEP, versions: VERSIONS_PER_STEP };
        let (first, mut row) = mem::take(&mut self.at);
        let accounts = monitor.accounts().filter(|account| visible(&account.name));
        for (index, account) in accounts.enumerate().skip(first) {
            let next = match self.cached_at(index, account) {
                Some((cached, labels)) => {
                    cached.catch_up(monitor, account, labels, row, &mut quota)
                }
                None => None,
            };
            if let Some(next) = next {
                self.at = (index, next);
                return CopyStep { copied: ROWS_PER_STEP - quota.copies, is_last: false };
            }
            row = 0;
        }
        CopyStep { copied: ROWS_PER_STEP - quota.copies, is_last: true }
    }

    /// Copies everything that changed since, so that the snapshot shows `monitor` as it is now.
    pub fn take(&mut self, monitor: &Monitor, visible: impl Fn(&Account) -> bool) {
        self.begin(monitor);
        self.at = (0, 0);
        let mut rows = Vec::with_capacity(self.accounts.len());
        let accounts = monitor.accounts().filter(|account| visible(&account.name));
        for (index, account) in accounts.enumerate() {
            let Some((cached, labels)) = self.cached_at(index, account) else { continue };
            let mut quota = StepQuota { copies: usize::MAX, versions: usize::MAX };
            cached.catch_up(monitor, account, labels, 0, &mut quota);
            cached.weighed = 0;
            let Some(mut row) = cached.row.take() else {
                impossible!("a step without a quota copies the account");
                continue;
            };
            // These change with the time and the common latch, not only with the account's version.
            let needed_at = cached.cached.iter().filter_map(|cached| cached.needed_at);
            let oldest = account.books.oldest_needed_with(needed_at);
            row.missing = evidence::missing(
                &account.books,
                account.engine_at,
                oldest,
                monitor.now(),
                monitor.settings(),
            );
            row.control = control_row(monitor, account);
            row.symbols = mem::take(&mut cached.rows);
            rows.push(row);
        }
        self.accounts.truncate(rows.len());
        self.labels.accounts.truncate(rows.len());
        let (common, exporter) = (common_row(monitor), exporter_row(monitor));
        self.projection = Projection { common, accounts: rows, exporter };
        self.pending = PendingWork::Accounts;
    }

    /// Computes some of the figures that follow from the copy. Returns false when there is nothing left
    /// to compute.
    pub fn compute(&mut self) -> bool {
        let pending = self.pending;
        self.pending = match pending {
            PendingWork::Accounts if self.compute_account() => PendingWork::Accounts,
            PendingWork::Accounts => PendingWork::Folding,
            PendingWork::Folding => {
                let mut budget = self.budget.lock();
                budget.choose(&mut self.projection);
                for (label, folds) in budget.folds() {
                    self.projection.exporter.folded[label] += folds;
                }
                PendingWork::Sums(0, 0)
            }
            PendingWork::Sums(account, from) => self.add_up(account, from),
            PendingWork::Nothing => return false,
        };
        true
    }

    /// Computes some figures of the next account. Returns false when no account is left.
    fn compute_account(&mut self) -> bool {
        let mut shown = self.accounts.iter_mut().zip(&mut self.projection.accounts);
        let next = shown.find(|(cached, _)| cached.slippages.is_some());
        let Some((cached, row)) = next else { return false };
        cached.weighed = weigh_rows(row, cached.weighed);
        if cached.weighed < row.symbols.len() {
            return true;
        }
        if let Some(slippages) = cached.slippages.take() {
            row.quantiles = slippages.map(Quantiles::of);
            row.drifts_open = drifts_open(&row.symbols);
        }
        true
    }

    /// Adds some of the folded rows of an account to their sum.
    fn add_up(&mut self, account: usize, from: usize) -> PendingWork {
        // Most accounts have nothing folded.
        let mut rows = self.projection.accounts.iter_mut().enumerate().skip(account);
        let Some((at, row)) = rows.find(|(_, row)| is_folded(&row.fold)) else {
            return PendingWork::Nothing;
        };
        let from = if at == account { from } else { 0 };
        if from == 0 {
            add_some(&row.strategies, &mut row.fold.strategies, 0, usize::MAX);
            add_some(&row.venues, &mut row.fold.venues, 0, usize::MAX);
        }
        let next = add_some(&row.symbols, &mut row.fold.symbols, from, SUMS_PER_STEP);
        next.map_or(PendingWork::Sums(at + 1, 0), |next| PendingWork::Sums(at, next))
    }

    /// The exposition of the snapshot.
    #[must_use]
    pub fn exposition(&self, runtime: Option<&Runtime>, format: Format) -> Exposition<'_> {
        Exposition::new(&self.projection, &self.labels, runtime, format)
    }

    /// The rows of the snapshot.
    #[must_use]
    pub const fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Takes the rows back from the last projection, and drops them if they are of another state.
    fn begin(&mut self, monitor: &Monitor) {
        let shown = mem::take(&mut self.projection.accounts);
        for (cached, mut row) in self.accounts.iter_mut().zip(shown) {
            cached.rows = mem::take(&mut row.symbols);
            cached.row = Some(row);
        }
        let (settings, born) = (monitor.settings(), monitor.born());
        let is_same = self.origin.as_ref().is_some_and(|origin| {
            Arc::ptr_eq(&origin.settings, settings)
                && origin.born == born
                && origin.sequence <= monitor.sequence()
        });
        if !is_same {
            self.accounts.clear();
            self.labels = ProjectionLabels::default();
            self.at = (0, 0);
        }
        let (settings, sequence) = (Arc::clone(settings), monitor.sequence());
        self.origin = Some(SnapshotOrigin { settings, born, sequence });
    }

    /// The cached copy of the account at this index, created if it is missing.
    fn cached_at(
        &mut self,
        index: usize,
        account: &AccountState,
    ) -> Option<(&mut CachedAccount, &mut AccountLabels)> {
        // An account before it no longer exists: it was refused at its first event.
        while self.accounts.get(index).is_some_and(|cached| cached.name < account.name) {
            self.accounts.remove(index);
            self.labels.accounts.remove(index);
        }
        if self.accounts.get(index).is_none_or(|cached| cached.name != account.name) {
            let index = index.min(self.accounts.len());
            self.accounts.insert(index, CachedAccount::new(account));
            self.labels.accounts.insert(index, AccountLabels::new(&account.name));
        }
        self.accounts.get_mut(index).zip(self.labels.accounts.get_mut(index))
    }
}

/// Whether a row of the account is folded, or was.
const fn is_folded(fold: &AccountFold) -> bool {
    matches!(fold.symbols, RowSelection::Folded(_))
        || matches!(fold.strategies, RowSelection::Folded(_))
        || matches!(fold.venues, RowSelection::Folded(_))
}

impl CachedAccount {
    fn new(account: &AccountState) -> Self {
        Self {
            name: account.name.clone(),
            version: None,
            began_at: 0,
            row: None,
            slippages: None,
            retired: account.symbols.retired(),
            weighed: 0,
            rows: Vec::new(),
            cached: Vec::new(),
        }
    }

    /// Copies the rows that changed, from the row `from` on, within the quota. Returns the row at which
    /// it stopped, or `None` at the end.
    fn catch_up(
        &mut self,
        monitor: &Monitor,
        account: &AccountState,
        labels: &mut AccountLabels,
        from: usize,
        quota: &mut StepQuota,
    ) -> Option<usize> {
        if !quota.take() {
            return Some(from);
        }
        if self.version == Some(account.version()) {
            return None;
        }
        if from == 0 {
            self.began_at = account.version();
        }
        let stopped_at = self.catch_up_symbols(monitor.settings(), account, labels, from, quota);
        // If the account changed since its first symbol was compared, its rows may be of two moments.
        if stopped_at.is_none() && self.began_at == account.version() {
            let (row, whole) = (account_row(monitor, account), account.execution.whole());
            labels.set_breakdowns(&row);
            self.row = Some(row);
            self.slippages = Some(Reference::ALL.map(|reference| whole.slippages(reference)));
            self.version = Some(account.version());
            quota.copies = quota.copies.saturating_sub(ACCOUNT_ROWS);
        }
        stopped_at
    }

    /// [`Self::catch_up`] for the symbols only.
    fn catch_up_symbols(
        &mut self,
        settings: &Settings,
        account: &AccountState,
        labels: &mut AccountLabels,
        from: usize,
        quota: &mut StepQuota,
    ) -> Option<usize> {
        if self.retired != account.symbols.retired() {
            self.retired = account.symbols.retired();
            self.rows.clear();
            self.cached.clear();
            labels.symbols.clear();
        }
        let rows = self.rows.iter_mut().zip(&mut self.cached).enumerate();
        for (at, (row, cached)) in rows.skip(from) {
            if !quota.take() {
                return Some(at);
            }
            if cached.version != version(account, cached.key) {
                *row = symbol_row(settings, account, cached.key, &row.symbol);
                *cached = CachedSymbol::now(account, cached.key);
                quota.copies -= 1;
            }
        }
        let next = self.cached.last().map_or(0, |cached| cached.key.index() + 1);
        for (key, symbol) in account.symbols.iter_from(next) {
            if !quota.take() {
                return Some(self.rows.len());
            }
            self.rows.push(symbol_row(settings, account, key, symbol));
            self.cached.push(CachedSymbol::now(account, key));
            labels.push_symbol(symbol);
            quota.copies -= 1;
        }
        None
    }
}

/// Weighs some of the copied rows of an account. Returns the symbol to continue with.
fn weigh_rows(row: &mut AccountRow, from: usize) -> usize {
    if from == 0 {
        for breakdown in row.strategies.iter_mut().chain(&mut row.venues) {
            breakdown.weight = weigh_strategy(breakdown);
        }
    }
    let mut symbols = mem::take(&mut row.symbols);
    let end = symbols.len().min(from + WEIGHTS_PER_STEP);
    for symbol in symbols.iter_mut().skip(from).take(WEIGHTS_PER_STEP) {
        if symbol.weight.unfolded == 0 {
            symbol.weight = weigh_symbol(row, symbol);
        }
    }
    row.symbols = symbols;
    end
}

impl CachedSymbol {
    fn now(account: &AccountState, key: SymbolKey) -> Self {
        Self { key, version: version(account, key), needed_at: account.books.needed_at(key) }
    }
}

/// A number that differs from before if the row of the symbol may have changed.
fn version(account: &AccountState, key: SymbolKey) -> u64 {
    account.execution.version(key) + account.books.version(key)
}
