//! The part of the checked configuration that the fold uses.
//!
//! Built by `crate::config` (or by `Default`, which holds every documented default) and put into
//! the journal, so that a replay judges by the rules that were in force. Invariant: values are
//! checked before they come here; the fold never refuses a setting.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::Currency;
use crate::domain::limits;
use crate::domain::pattern::Pattern;
use crate::domain::units::Decimal;

/// Everything that the fold can be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Rolling windows.
    pub window: WindowSettings,
    /// What is kept of orders.
    pub orders: OrderSettings,
    /// Idempotency and clocks.
    pub ingest: IngestSettings,
    /// When execution quality is an anomaly.
    pub anomaly: Scoped<AnomalyRules>,
    /// Comparing books.
    pub drift: DriftSettings,
    /// How large a difference is which severity.
    pub drift_rules: Scoped<DriftRules>,
    /// Judging components.
    pub health: HealthSettings,
    /// Currency, multiplier and rate by symbol.
    pub instruments: Scoped<Instrument>,
    /// Further breakdowns.
    pub breakdowns: BreakdownSettings,
    /// Series budget.
    pub series: SeriesSettings,
    /// What engines are told of the trading state.
    pub permit: PermitSettings,
}

/// A rule with overrides by account and symbol pattern; the last override that matches wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scoped<T> {
    /// Where no override matches.
    pub default: T,
    /// Overrides in the order of the configuration, each complete.
    pub overrides: Vec<Override<T>>,
}

/// One override.
#[derive(Clone, Debug, PartialEq)]
pub struct Override<T> {
    /// Accounts that it is for.
    pub account: Pattern,
    /// Symbols that it is for; a rule for an account as a whole is asked with the symbol `*`,
    /// which only the pattern `*` matches.
    pub symbol: Pattern,
    /// The rule.
    pub rule: T,
}

/// Which of its rules a [`Scoped`] chose. Good until the settings change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleIndex(Option<usize>);

impl<T> Scoped<T> {
    /// The rule for a symbol of an account.
    #[must_use]
    pub fn get(&self, account: &str, symbol: &str) -> &T {
        self.at(self.index(account, symbol))
    }

    /// Which rule is for a symbol of an account: to look it up once and keep the answer.
    #[must_use]
    pub fn index(&self, account: &str, symbol: &str) -> RuleIndex {
        let matches = |o: &Override<T>| o.account.matches(account) && o.symbol.matches(symbol);
        RuleIndex(self.overrides.iter().rposition(matches))
    }

    /// The rule of an index; the default, if there are fewer overrides now.
    #[must_use]
    pub fn at(&self, index: RuleIndex) -> &T {
        index.0.and_then(|at| self.overrides.get(at)).map_or(&self.default, |o| &o.rule)
    }

    /// The rule for an account as a whole.
    #[must_use]
    pub fn for_account(&self, account: &str) -> &T {
        self.get(account, "*")
    }
}

/// Rolling windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSettings {
    /// Ended orders in a window.
    pub orders: usize,
    /// Fills in a window.
    pub fills: usize,
    /// Entries older than this (receive time) are forgotten; none: never.
    pub age_max: Option<Duration>,
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self { orders: limits::WINDOW_ORDERS, fills: limits::WINDOW_FILLS, age_max: None }
    }
}

/// What is kept of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSettings {
    /// Open orders held in all accounts; the oldest is dropped and counted.
    pub open_max: usize,
    /// Ended orders held in all accounts for late facts; the oldest is dropped.
    pub ended_max: usize,
    /// Orders without a submission held in all accounts; the oldest is dropped and counted.
    pub unknown_max: usize,
    /// How long an order without a submission waits for it (receive time).
    pub unknown_age_max: Duration,
    /// Submitted and nothing heard for longer than this (receive time): unacknowledged.
    pub unacknowledged_after: Duration,
    /// A mid older than this (event time) at submission is no arrival price.
    pub arrival_age_max: Duration,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            open_max: limits::OPEN_ORDERS_MAX,
            ended_max: limits::ENDED_ORDERS_MAX,
            unknown_max: limits::UNKNOWN_ORDERS_MAX,
            unknown_age_max: Duration::from_hours(1),
            unacknowledged_after: Duration::from_secs(5),
            arrival_age_max: Duration::from_secs(5),
        }
    }
}

/// Idempotency and clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestSettings {
    /// How long ids are remembered (receive time).
    pub horizon: Duration,
    /// How many ids are remembered for each account.
    pub horizon_ids: usize,
    /// Events older than this are refused as `too_old`; none: never.
    pub event_age_max: Option<Duration>,
    /// A time further ahead of receipt than this is clock skew.
    pub clock_skew_max: Duration,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            horizon: Duration::from_hours(24),
            horizon_ids: limits::HORIZON_IDS_MAX,
            event_age_max: None,
            clock_skew_max: Duration::from_secs(5),
        }
    }
}

/// A warning and a critical level; a level that is missing never fires.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// WARNING beyond this.
    pub warning: Option<f64>,
    /// CRITICAL beyond this.
    pub critical: Option<f64>,
}

impl Levels {
    /// Both levels.
    #[must_use]
    pub const fn new(warning: f64, critical: f64) -> Self {
        Self { warning: Some(warning), critical: Some(critical) }
    }
}

/// Which fill ratio alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillRatioBasis {
    /// Filled of all ended orders.
    All,
    /// The same, leaving out untouched orders that the user cancelled.
    ExUserCancels,
}

/// A price that slippage is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// `expected_price` of the submission.
    Expected,
    /// `arrival_price` of the submission, or the latest mid at submission.
    Arrival,
    /// The limit price.
    Limit,
}

impl Reference {
    /// All references, in the order of indices.
    pub const ALL: [Self; 3] = [Self::Expected, Self::Arrival, Self::Limit];

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Expected => 0,
            Self::Arrival => 1,
            Self::Limit => 2,
        }
    }

    /// The value of the label `reference`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Arrival => "arrival",
            Self::Limit => "limit",
        }
    }
}

/// When execution quality is an anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyRules {
    /// A figure with fewer samples is never an anomaly.
    pub min_samples: usize,
    /// An anomaly clears when the figure is back at this fraction of the threshold's distance
    /// from the ideal value (0 bps, 0 s, ratio 1 or 0): 0.8 x 10 bps = 8 bps.
    pub clear_fraction: f64,
    /// Fill ratio below these.
    pub fill_ratio: Levels,
    /// Which fill ratio is meant.
    pub fill_ratio_basis: FillRatioBasis,
    /// Mean slippage above these, in basis points.
    pub slippage_bps: Levels,
    /// Against which reference.
    pub slippage_reference: Reference,
    /// Mean fill time above these, in seconds.
    pub fill_time_seconds: Levels,
    /// Rejection ratio above these.
    pub rejection_ratio: Levels,
    /// Unacknowledged orders above these counts.
    pub unacknowledged: Levels,
    /// This many rejections in a row for one symbol; none: never.
    pub consecutive_rejections: Option<u32>,
    /// An overfill, conflict or clock skew stays visible for this long after the last one.
    pub event_hold: Duration,
}

impl Default for AnomalyRules {
    fn default() -> Self {
        Self {
            min_samples: 20,
            clear_fraction: 0.8,
            fill_ratio: Levels::new(0.90, 0.75),
            fill_ratio_basis: FillRatioBasis::All,
            slippage_bps: Levels::new(10.0, 20.0),
            slippage_reference: Reference::Expected,
            fill_time_seconds: Levels::new(30.0, 60.0),
            rejection_ratio: Levels::new(0.05, 0.10),
            unacknowledged: Levels { warning: Some(0.0), critical: None },
            consecutive_rejections: Some(5),
            event_hold: Duration::from_mins(5),
        }
    }
}

/// Comparing books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftSettings {
    /// How often books are compared without a new snapshot.
    pub compare_every: Duration,
    /// A book older than this is stale: nothing is set or cleared by it.
    pub stale_after: Duration,
    /// Fills this close to a snapshot's time may be in it or not.
    pub in_flight_window: Duration,
    /// A difference that fills in flight may explain is drift after this long (receive time).
    pub pending_max: Duration,
    /// Snapshots further apart than this do not confirm, unless the older side was renewed.
    pub apart_max: Duration,
    /// Whether confirmed MINOR drift is reconciled automatically.
    pub auto_reconcile: bool,
    /// A reconcile directive that no local snapshot confirms in this time is sent again.
    pub reconcile_timeout: Duration,
    /// How many times a directive is sent before the drift escalates.
    pub reconcile_tries: u32,
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self {
            compare_every: Duration::from_mins(1),
            stale_after: Duration::from_mins(3),
            in_flight_window: Duration::from_secs(5),
            pending_max: Duration::from_secs(30),
            apart_max: Duration::from_secs(5),
            auto_reconcile: true,
            reconcile_timeout: Duration::from_secs(90),
            reconcile_tries: 3,
        }
    }
}

/// One value for each drift severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerSeverity<T> {
    /// For MINOR.
    pub minor: T,
    /// For MODERATE.
    pub moderate: T,
    /// For CRITICAL.
    pub critical: T,
}

/// The severity of a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Reconciled automatically.
    Minor,
    /// Alerted.
    Moderate,
    /// Halts trading.
    Critical,
}

impl Severity {
    /// All severities, mildest first.
    pub const ALL: [Self; 3] = [Self::Minor, Self::Moderate, Self::Critical];

    /// The value of the label `severity`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Moderate => "moderate",
            Self::Critical => "critical",
        }
    }
}

impl<T> PerSeverity<T> {
    /// The value for one severity.
    pub const fn get(&self, severity: Severity) -> &T {
        match severity {
            Severity::Minor => &self.minor,
            Severity::Moderate => &self.moderate,
            Severity::Critical => &self.critical,
        }
    }
}

/// How large a difference is which severity. All bounds are inclusive lower bounds on absolute
/// values; the highest test wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftRules {
    /// By quantity, in units of the instrument.
    pub quantity: PerSeverity<Decimal>,
    /// By value, in the account's currency.
    pub value: PerSeverity<Decimal>,
    /// By fraction of the larger of the two positions, if wanted.
    pub relative: Option<PerSeverity<Decimal>>,
    /// Comparisons in a row that agree before a drift is acted on.
    pub confirm: PerSeverity<u32>,
    /// A price mismatch is at most this severe.
    pub price_mismatch_max: Severity,
    /// Average prices that differ by at most this many basis points agree.
    pub price_tolerance_bps: Decimal,
}

impl Default for DriftRules {
    fn default() -> Self {
        let per = |minor: i64, moderate: i64, critical: i64| PerSeverity {
            minor: Decimal::from(minor),
            moderate: Decimal::from(moderate),
            critical: Decimal::from(critical),
        };
        Self {
            quantity: per(1, 5, 10),
            value: per(10, 100, 500),
            relative: None,
            confirm: PerSeverity { minor: 2, moderate: 2, critical: 1 },
            price_mismatch_max: Severity::Critical,
            price_tolerance_bps: Decimal::ONE,
        }
    }
}

/// Judging components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Interval assumed of a component that does not say its own.
    pub interval: Duration,
    /// Consecutive failures that make a component unhealthy.
    pub failures: u32,
    /// Consecutive successes that make it healthy again.
    pub successes: u32,
    /// Intervals without a result after which a component is unknown.
    pub silent_intervals: u32,
    /// Silence is never shorter than this.
    pub silent_min: Duration,
    /// Components without which the system is unhealthy.
    pub critical: Vec<String>,
    /// Components that halt their account (probes: all accounts) when they become unhealthy.
    pub halt_on_unhealthy: Vec<String>,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            failures: 3,
            successes: 2,
            silent_intervals: 3,
            silent_min: Duration::from_secs(5),
            critical: ["broker", "data_feed", "engine"].map(String::from).to_vec(),
            halt_on_unhealthy: Vec::new(),
        }
    }
}

/// What is known of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The currency of its prices.
    pub currency: Currency,
    /// Units of the currency for one point and one unit: 50 for ES, 100 for an equity option.
    pub multiplier: Decimal,
    /// A fixed rate from `currency` to the account's currency, if it is another.
    pub rate: Rate,
}

/// How an instrument's currency becomes the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// It is the account's currency.
    Same,
    /// At a fixed rate: one unit is this much of the account's currency.
    Fixed(Decimal),
    /// Not known: value tests are skipped, and the drift says `currency_unknown`.
    Unknown,
}

impl Default for Instrument {
    fn default() -> Self {
        Self { currency: Currency::usd(), multiplier: Decimal::ONE, rate: Rate::Same }
    }
}

/// Further breakdowns of counters and ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakdownSettings {
    /// By strategy.
    pub strategy: bool,
    /// By venue.
    pub venue: bool,
}

/// Series budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesSettings {
    /// Series that /metrics may carry before new symbols fold into `__other__`.
    pub max: usize,
}

impl Default for SeriesSettings {
    fn default() -> Self {
        Self { max: limits::SERIES_MAX }
    }
}

/// What an engine does when its permit runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpiry {
    /// Only orders that reduce a position.
    ReduceOnly,
    /// No new orders.
    Halt,
    /// Go on.
    Continue,
}

impl OnExpiry {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReduceOnly => "reduce_only",
            Self::Halt => "halt",
            Self::Continue => "continue",
        }
    }
}

/// What engines are told of the trading state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitSettings {
    /// How long a permit is valid.
    pub valid_for: Duration,
    /// What the engine does when it runs out.
    pub on_expiry: OnExpiry,
}

impl Default for PermitSettings {
    fn default() -> Self {
        Self { valid_for: Duration::from_secs(10), on_expiry: OnExpiry::ReduceOnly }
    }
}
