//! The rows of [`crate::metrics::rows`], read off the monitored state.
//!
//! Input: `&Monitor`, under the read lock. Output: rows. Deliberately absent: when each row is copied
//! (see `snapshot`), and anything that can be computed without the lock.

use std::sync::Arc;

use enum_map::{EnumMap, enum_map};

use crate::domain::account::AccountState;
use crate::domain::event::Source;
use crate::domain::evidence::MissingSince;
use crate::domain::execution::ExecutionScope;
use crate::domain::execution::anomaly::{ActiveAnomaly, Figure};
use crate::domain::health::{self, ComponentView, Components};
use crate::domain::ids::{Account, Symbol};
use crate::domain::monitor::Monitor;
use crate::domain::settings::Settings;
use crate::domain::state::Latch;
use crate::domain::symbols::SymbolKey;
use crate::metrics::label_values::FoldLabel;
use crate::metrics::rows::{
    AccountFold, AccountRow, BreakdownRow, ControlRow, DriftCounts, ExporterRow, SymbolRow,
};
use crate::metrics::selection::SeriesWeight;

pub(super) fn exporter_row(monitor: &Monitor) -> ExporterRow {
    let folded = |count: fn(&AccountState) -> u64| monitor.accounts().map(count).sum();
    ExporterRow {
        sequence: monitor.sequence(),
        series_limit: monitor.settings().series.max,
        // The budget of series adds what it folds itself.
        folded: enum_map! {
            FoldLabel::Symbol | FoldLabel::Component => 0,
            FoldLabel::Strategy => folded(|account| account.execution.folded().0),
            FoldLabel::Venue => folded(|account| account.execution.folded().1),
        },
        out_of_order: monitor.out_of_order(),
        clock_behind: monitor.clock_behind(),
        decisions_missed: monitor.decisions_missed(),
    }
}

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

/// The row of an account without its symbols. [`ScrapeSnapshot`] fills in the fields that depend on
/// them or can be computed without the lock.
///
/// Every input must bump the version of the account when it changes, or be part of the settings;
/// otherwise [`ScrapeSnapshot`] shows an old row.
///
/// [`ScrapeSnapshot`]: crate::metrics::ScrapeSnapshot
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

/// The row of a symbol. Every input must bump a version of the symbol when it changes, or be part of the
/// settings: see [`account_row`].
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
        // The sums of money start at 0 together with the other counters.
        let instrument = settings.instruments.get(account.name.as_str(), symbol.as_str());
        counters.money.entry(instrument.currency.clone()).or_default();
    }
    SymbolRow {
        symbol: symbol.clone(),
        counters,
        figures: scope.map(ExecutionScope::figures).unwrap_or_default(),
        open: execution.open_orders(key),
        unacknowledged: execution.unacknowledged(key),
        anomalies: scope.map(|s| levels(s.anomalies())).unwrap_or_default(),
        position: books.position(&account.symbols, key),
        drift: books.difference(&account.symbols, key),
        weight: SeriesWeight::default(),
    }
}

fn breakdown_row((name, scope): (&str, &ExecutionScope)) -> BreakdownRow {
    BreakdownRow {
        name: name.to_owned(),
        counters: scope.counters().clone(),
        figures: scope.figures(),
        weight: SeriesWeight::default(),
    }
}

fn levels(anomalies: &[ActiveAnomaly]) -> EnumMap<Figure, u8> {
    let mut levels = EnumMap::default();
    for anomaly in anomalies {
        let level: &mut u8 = &mut levels[anomaly.figure];
        *level = anomaly.level.code().max(*level);
    }
    levels
}

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
