//! The monitored state as rows, copied under the read lock and encoded after it. Which rows are
//! copied when is the business of [`ScrapeSnapshot`].
//!
//! Input: `&Monitor`. Output: [`Projection`], a value that holds nothing of the monitor. Invariant:
//! a row is there for every account and every symbol seen, so that their counters are born at 0
//! together. Deliberately absent: text of any kind; nothing here formats or escapes.

use std::sync::Arc;
use std::time::Duration;

use enum_map::EnumMap;

use crate::domain::account::AccountState;
use crate::domain::drift::{DriftType, DriftView, PositionView, ReconcileOutcome};
use crate::domain::event::Source;
use crate::domain::evidence::MissingSince;
use crate::domain::execution::anomaly::{ActiveAnomaly, Figure};
use crate::domain::execution::counters::Counters;
use crate::domain::execution::figures::{Figures, Quantiles};
use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::execution::{RejectReason, Scope};
use crate::domain::health::{self, ComponentView, Components, Health};
use crate::domain::ids::{Account, Symbol};
use crate::domain::monitor::Monitor;
use crate::domain::settings::{Settings, Severity};
use crate::domain::state::{CauseKind, Latch, TradingState};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::metrics::shown::{AccountFold, Weight};
use crate::metrics::snapshot::ScrapeSnapshot;

/// Numbers of drifts.
pub type DriftCounts = EnumMap<DriftType, EnumMap<Severity, u64>>;

/// Everything of the state that /metrics shows.
#[derive(Clone, Debug)]
pub struct Projection {
    /// What holds for all accounts: `account="*"`.
    pub common: ControlRow,
    /// The accounts by name.
    pub accounts: Vec<AccountRow>,
    /// The exporter's own figures that the state knows.
    pub exporter: ExporterRow,
}

/// Whether an account may trade and is healthy, and by which thresholds it is judged.
#[derive(Clone, Debug)]
pub struct ControlRow {
    /// The account, or `*`.
    pub account: Account,
    /// The more severe of its own latch and the common one.
    pub state: TradingState,
    /// When either latch last changed.
    pub changed_at: Option<Timestamp>,
    /// Causes set on its own latch.
    pub halts: EnumMap<CauseKind, u64>,
    /// Releases of its own latch.
    pub releases: u64,
    /// Its own components.
    pub components: Vec<ComponentView>,
    /// What its components and the exporter's own probes add up to; none: nothing to judge.
    pub system: Option<Health>,
    /// The settings in force.
    pub settings: Arc<Settings>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// Trading state, health, thresholds.
    pub control: ControlRow,
    /// Its symbols, in the order in which they were first seen.
    pub symbols: Vec<SymbolRow>,
    /// Its strategies, if broken down.
    pub strategies: Vec<BreakdownRow>,
    /// Its venues, if broken down.
    pub venues: Vec<BreakdownRow>,
    /// Counters of the whole account.
    pub counters: Counters,
    /// The window of the whole account.
    pub figures: Figures,
    /// Quantiles of slippage by `Reference::ALL`.
    pub quantiles: [Option<Quantiles>; 3],
    /// Orders dropped because a bound was reached: open ones, ones without a submission.
    pub dropped: (u64, u64),
    /// Submission of the oldest open order.
    pub oldest_open_at: Option<Timestamp>,
    /// Rejections by reason.
    pub rejections: EnumMap<RejectReason, u64>,
    /// The latest rejected order for each reason.
    pub latest_rejections: EnumMap<RejectReason, Option<Exemplar>>,
    /// Submission to acceptance, in seconds.
    pub ack: Histogram,
    /// Submission to last fill, in seconds.
    pub fill: Histogram,
    /// Slippage of fills in basis points, by `Reference::ALL`.
    pub slippage: [Histogram; 3],
    /// Anomaly levels of the account as a whole, by `Figure::ALL`: 0 none, 1 warning, 2 critical.
    pub anomalies: [u8; Figure::ALL.len()],
    /// Drifts that are open.
    pub drifts_open: DriftCounts,
    /// Drifts confirmed so far.
    pub drifts_total: DriftCounts,
    /// Reconciliations so far.
    pub reconciliations: EnumMap<ReconcileOutcome, u64>,
    /// Time of the newest local and broker snapshot.
    pub snapshots: [Option<Timestamp>; 2],
    /// By how many nanoseconds the newest local and broker list lag.
    pub lags: [Option<i64>; 2],
    /// Changes of position that had to go because of a bound.
    pub flows_dropped: u64,
    /// Fetches of the local and the broker's book that failed.
    pub fetch_failures: [u64; 2],
    /// Since when evidence is missing.
    pub missing: MissingSince,
    /// Receive time of the last event.
    pub last_event_at: Option<Timestamp>,
    /// Events and rows of snapshots about symbols beyond those that are watched.
    pub not_monitored: u64,
    /// Which of its symbols, strategies and venues stand under their own name.
    pub fold: AccountFold,
}

/// One symbol of an account.
#[derive(Clone, Debug)]
pub struct SymbolRow {
    /// The symbol.
    pub symbol: Symbol,
    /// What is counted for ever.
    pub counters: Counters,
    /// Its window.
    pub figures: Figures,
    /// Open orders.
    pub open: u64,
    /// Submitted, nothing heard for too long.
    pub unacknowledged: u64,
    /// Anomaly levels by `Figure::ALL`: 0 none, 1 warning, 2 critical.
    pub anomalies: [u8; Figure::ALL.len()],
    /// Its books, if any speaks of it.
    pub position: Option<PositionView>,
    /// The difference that stands, if any.
    pub drift: Option<DriftView>,
    /// How many series it costs.
    pub weight: Weight,
}

/// One strategy or venue of an account.
#[derive(Clone, Debug)]
pub struct BreakdownRow {
    /// Its name.
    pub name: String,
    /// What is counted for ever.
    pub counters: Counters,
    /// Its window.
    pub figures: Figures,
    /// How many series it costs.
    pub weight: Weight,
}

/// The exporter's own figures that the state knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExporterRow {
    /// Sequence of the newest record.
    pub sequence: u64,
    /// Series beyond which quiet rows fold.
    pub series_limit: usize,
    /// Times that a symbol, strategy or venue was folded into `__other__`.
    pub folded: [(&'static str, u64); 4],
    /// Snapshots of positions that were older than one known.
    pub out_of_order: u64,
    /// How far the wall clock is behind receive time.
    pub clock_behind: Duration,
    /// Decisions of the log that the fold did not reach by itself.
    pub decisions_missed: u64,
}

/// Copies what /metrics shows of all accounts.
#[must_use]
pub fn project(monitor: &Monitor) -> Projection {
    project_accounts(monitor, |_| true)
}

/// Copies what /metrics shows of the accounts that `visible` admits, and of `*`.
///
/// A scraper that may see some accounts alone gets no figure that another account moves: its
/// [`ExporterRow`] must stay out of the exposition, see [`crate::metrics::encode()`].
#[must_use]
pub fn project_accounts(monitor: &Monitor, visible: impl Fn(&Account) -> bool) -> Projection {
    let mut snapshot = ScrapeSnapshot::default();
    snapshot.take(monitor, &visible);
    while snapshot.work_out() {}
    snapshot.into_projection()
}

pub(super) fn exporter_row(monitor: &Monitor) -> ExporterRow {
    let folded = |count: fn(&AccountState) -> u64| monitor.accounts().map(count).sum();
    ExporterRow {
        sequence: monitor.sequence(),
        series_limit: monitor.settings().series.max,
        folded: [
            ("symbol", 0),
            ("strategy", folded(|account| account.execution.folded().0)),
            ("venue", folded(|account| account.execution.folded().1)),
            ("component", 0),
        ],
        out_of_order: monitor.out_of_order(),
        clock_behind: monitor.clock_behind(),
        decisions_missed: monitor.decisions_missed(),
    }
}

/// The row of `*`: the common latch, the exporter's own probes, the defaults.
pub(super) fn common_row(monitor: &Monitor) -> ControlRow {
    let settings = monitor.settings();
    let latch = monitor.common();
    let components: Vec<ComponentView> = monitor.probes().views(&settings.health).collect();
    let none = Components::default();
    let system = health::system(&none, monitor.probes(), &settings.health);
    ControlRow {
        account: Account::all(),
        state: latch.state(),
        changed_at: latch.changed_at(),
        halts: *latch.halts(),
        releases: latch.releases(),
        system: (!components.is_empty()).then_some(system),
        components,
        settings: Arc::clone(settings),
    }
}

pub(super) fn control_row(monitor: &Monitor, account: &AccountState) -> ControlRow {
    let settings = monitor.settings();
    let (own, common): (&Latch, &Latch) = (&account.latch, monitor.common());
    ControlRow {
        account: account.name.clone(),
        state: own.state().max(common.state()),
        changed_at: own.changed_at().max(common.changed_at()),
        halts: *own.halts(),
        releases: own.releases(),
        components: account.components.views(&settings.health).collect(),
        system: Some(health::system(&account.components, monitor.probes(), &settings.health)),
        settings: Arc::clone(settings),
    }
}

/// The row of an account without its symbols, and without what needs no lock or depends on them.
/// Whatever it is made of must raise the mark of the account when it changes, or be the settings: see
/// [`ScrapeSnapshot`], which fills in the rest.
pub(super) fn account_row(monitor: &Monitor, account: &AccountState) -> AccountRow {
    let (execution, books) = (&account.execution, &account.books);
    let whole = execution.whole();
    let subjects = account.latch.causes().filter_map(|cause| cause.subject.clone()).collect();
    AccountRow {
        control: control_row(monitor, account),
        strategies: execution.strategies().map(breakdown_row).collect(),
        venues: execution.venues().map(breakdown_row).collect(),
        counters: whole.counters().clone(),
        figures: whole.figures(),
        quantiles: [None; 3],
        dropped: execution.dropped(),
        oldest_open_at: execution.oldest_open_at(),
        rejections: *execution.rejections(),
        latest_rejections: execution.latest_rejections().clone(),
        ack: execution.ack_histogram().clone(),
        fill: execution.fill_histogram().clone(),
        slippage: execution.slippage_histograms().clone(),
        anomalies: levels(whole.anomalies()),
        drifts_open: DriftCounts::default(),
        drifts_total: *books.drifts_total(),
        reconciliations: *books.reconciliations_total(),
        snapshots: [Source::Local, Source::Broker].map(|source| books.snapshot_at(source)),
        lags: [Source::Local, Source::Broker].map(|source| books.lag(source)),
        flows_dropped: books.flows_dropped(),
        fetch_failures: [Source::Local, Source::Broker]
            .map(|source| books.fetch_failures(source).total),
        missing: MissingSince::default(),
        last_event_at: account.last_event_at,
        not_monitored: account.symbols.folded(),
        fold: AccountFold { subjects, ..AccountFold::default() },
        symbols: Vec::new(),
    }
}

/// The row of a symbol. Whatever it is made of must raise a mark of the symbol when it changes, or
/// be the settings: see [`ScrapeSnapshot`].
pub(super) fn symbol_row(
    settings: &Settings,
    account: &AccountState,
    key: SymbolKey,
    symbol: &Symbol,
) -> SymbolRow {
    let (execution, books) = (&account.execution, &account.books);
    let scope = execution.symbol(key);
    let mut counters = scope.map(|s| s.counters().clone()).unwrap_or_default();
    if counters.money.is_empty() {
        // The sums of money are born at 0 with the other counters.
        let instrument = settings.instruments.get(account.name.as_str(), symbol.as_str());
        counters.money.entry(instrument.currency.clone()).or_default();
    }
    SymbolRow {
        symbol: symbol.clone(),
        counters,
        figures: scope.map(Scope::figures).unwrap_or_default(),
        open: execution.open_orders(key),
        unacknowledged: execution.unacknowledged(key),
        anomalies: scope.map(|s| levels(s.anomalies())).unwrap_or_default(),
        position: books.position(&account.symbols, key),
        drift: books.difference(&account.symbols, key),
        weight: Weight::default(),
    }
}

fn breakdown_row((name, scope): (&str, &Scope)) -> BreakdownRow {
    BreakdownRow {
        name: name.to_owned(),
        counters: scope.counters().clone(),
        figures: scope.figures(),
        weight: Weight::default(),
    }
}

/// The level of each figure.
fn levels(standings: &[ActiveAnomaly]) -> [u8; Figure::ALL.len()] {
    let mut levels = [0; Figure::ALL.len()];
    for standing in standings {
        let at = Figure::ALL.iter().position(|figure| *figure == standing.figure);
        if let Some(level) = at.and_then(|at| levels.get_mut(at)) {
            *level = standing.level.code().max(*level);
        }
    }
    levels
}

/// Drifts that are open.
pub(super) fn drifts_open(symbols: &[SymbolRow]) -> DriftCounts {
    let mut open = DriftCounts::default();
    let drifts = symbols.iter().filter_map(|row| row.drift.as_ref());
    for drift in drifts.filter(|drift| drift.state.is_open()) {
        if let Some(severity) = drift.severity {
            open[drift.drift_type][severity] += 1;
        }
    }
    open
}
