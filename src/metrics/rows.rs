//! The rows that /metrics is made of: plain values, copied from the monitored state.
//!
//! Invariants: there is a row for every account and every symbol seen, so that their counters start
//! at 0 together; a row holds no reference to the monitor. Deliberately absent: functions, and text
//! that is formatted or escaped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use enum_map::EnumMap;

use crate::domain::drift::{DriftType, DriftView, PositionView, ReconcileOutcome};
use crate::domain::evidence::MissingSince;
use crate::domain::execution::RejectReason;
use crate::domain::execution::anomaly::Figure;
use crate::domain::execution::counters::Counters;
use crate::domain::execution::figures::{Figures, Quantiles};
use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::health::{ComponentView, Health};
use crate::domain::ids::{Account, Symbol};
use crate::domain::settings::{Settings, Severity};
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::time::Timestamp;
use crate::metrics::label_values::FoldLabel;
use crate::metrics::selection::{RowSelection, SeriesWeight};

/// Numbers of drifts.
pub type DriftCounts = EnumMap<DriftType, EnumMap<Severity, u64>>;

/// Everything that /metrics shows of the state.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The row of `account="*"`: the common latch, the exporter's own probes, the defaults.
    pub common: ControlRow,
    /// The accounts by name.
    pub accounts: Vec<AccountRow>,
    /// The exporter's own figures that the monitored state knows.
    pub exporter: ExporterRow,
}

/// Trading state, health and thresholds of an account.
#[derive(Clone, Debug)]
pub struct ControlRow {
    /// The account, or `*`.
    pub account: Account,
    /// The more severe of its own latch and the common one.
    pub state: TradingState,
    /// When either latch last changed.
    pub changed_at: Option<Timestamp>,
    /// Causes set on its own latch so far.
    pub halts: EnumMap<CauseKind, u64>,
    /// Releases of its own latch so far.
    pub releases: u64,
    /// Its own components.
    pub components: Vec<ComponentView>,
    /// The combined health of its components and the exporter's own probes; `None` without any.
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
    /// Its strategies; empty unless the breakdown is on.
    pub strategies: Vec<BreakdownRow>,
    /// Its venues; empty unless the breakdown is on.
    pub venues: Vec<BreakdownRow>,
    /// Counters of the whole account.
    pub counters: Counters,
    /// The window of the whole account.
    pub figures: Figures,
    /// Quantiles of slippage by `Reference::ALL`.
    pub quantiles: [Option<Quantiles>; 3],
    /// Orders forgotten because a bound was reached: open ones, and ones without a submission.
    pub dropped: (u64, u64),
    /// When the oldest open order was submitted.
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
    /// Anomaly levels of the account as a whole: 0 none, 1 warning, 2 critical.
    pub anomalies: EnumMap<Figure, u8>,
    /// Open drifts.
    pub drifts_open: DriftCounts,
    /// Drifts confirmed so far.
    pub drifts_total: DriftCounts,
    /// Reconciliations so far.
    pub reconciliations: EnumMap<ReconcileOutcome, u64>,
    /// Time of the newest local and broker snapshot.
    pub snapshots: [Option<Timestamp>; 2],
    /// Lag of the newest local and broker list, in nanoseconds.
    pub lags: [Option<i64>; 2],
    /// Position changes forgotten because a bound was reached.
    pub flows_dropped: u64,
    /// Failed fetches of the local and the broker's book so far.
    pub fetch_failures: [u64; 2],
    /// When evidence went missing.
    pub missing: MissingSince,
    /// Receive time of the last event.
    pub last_event_at: Option<Timestamp>,
    /// Events and position rows about symbols beyond `symbols.max`.
    pub not_monitored: u64,
    /// Which of its symbols, strategies and venues are folded.
    pub fold: AccountFold,
}

/// The rows of one account that are folded.
#[derive(Clone, Debug, Default)]
pub struct AccountFold {
    /// The subjects of its latch's causes; a symbol among them never folds.
    pub subjects: BTreeSet<String>,
    /// Its symbols.
    pub symbols: RowSelection<SymbolRow>,
    /// Its strategies.
    pub strategies: RowSelection<BreakdownRow>,
    /// Its venues.
    pub venues: RowSelection<BreakdownRow>,
}

/// One symbol of an account.
#[derive(Clone, Debug)]
pub struct SymbolRow {
    /// The symbol.
    pub symbol: Symbol,
    /// Its counters; they never reset.
    pub counters: Counters,
    /// Its window.
    pub figures: Figures,
    /// Open orders.
    pub open: u64,
    /// Orders submitted and not acknowledged in time.
    pub unacknowledged: u64,
    /// Anomaly levels: 0 none, 1 warning, 2 critical.
    pub anomalies: EnumMap<Figure, u8>,
    /// Its position, if any book lists it.
    pub position: Option<PositionView>,
    /// Its current drift, if any.
    pub drift: Option<DriftView>,
    /// How many series it costs.
    pub weight: SeriesWeight,
}

/// One strategy or venue of an account.
#[derive(Clone, Debug)]
pub struct BreakdownRow {
    /// Its name.
    pub name: String,
    /// Its counters; they never reset.
    pub counters: Counters,
    /// Its window.
    pub figures: Figures,
    /// How many series it costs.
    pub weight: SeriesWeight,
}

/// The exporter's own figures that the state knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExporterRow {
    /// Sequence of the newest record.
    pub sequence: u64,
    /// Series above which quiet rows fold.
    pub series_limit: usize,
    /// How often a value of a label was folded into `__other__`.
    pub folded: EnumMap<FoldLabel, u64>,
    /// Position snapshots ignored because a newer one of the same book was known.
    pub out_of_order: u64,
    /// How far the wall clock is behind the newest record.
    pub clock_behind: Duration,
    /// Decisions in the journal that the fold did not reach by itself in a replay.
    pub decisions_missed: u64,
}
