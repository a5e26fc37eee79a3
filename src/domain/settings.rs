//! The part of the checked configuration that the fold uses.
//!
//! Built by `crate::config` (or by `Default`, which holds every documented default) and put into
//! the journal, so that a replay judges by the rules that were in force. Invariant: values are
//! checked before they come here; the fold never refuses a setting.

mod accounts;
mod aliases;
mod anomaly;
mod clock;
mod drift;
mod evidence;
mod health;
mod id_scope;
mod in_flight;
mod instrument;
mod symbols;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::limits;
use crate::domain::pattern::Pattern;
pub use accounts::AccountSettings;
pub use aliases::{Alias, Aliases};
pub use anomaly::{
    AnomalyRules, Figure, FigureSpec, FigureUnit, FillRatioBasis, Levels, ThresholdField, Worse,
};
pub use clock::ClockSettings;
pub use drift::{DriftRules, DriftSettings, PerSeverity, QuantityTest, ReconcileBudget, Severity};
pub use evidence::{EvidenceSettings, Response};
pub use health::HealthSettings;
pub use id_scope::IdScope;
pub use in_flight::{InFlightSettings, SettleMode};
pub use instrument::{Instrument, Rate, Unit};
pub use symbols::{OnNotMonitored, SymbolSettings};

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
    /// What follows when evidence is missing.
    pub missing_evidence: EvidenceSettings,
    /// Judging components.
    pub health: HealthSettings,
    /// Currency, multiplier and rate by symbol.
    pub instruments: Scoped<Instrument>,
    /// Further breakdowns.
    pub breakdowns: BreakdownSettings,
    /// Which accounts are known.
    pub accounts: AccountSettings,
    /// How many symbols are watched.
    pub symbols: SymbolSettings,
    /// Series budget.
    pub series: SeriesSettings,
    /// What engines are told of the trading state.
    pub permit: PermitSettings,
    /// The exporter's own clock.
    pub clock: ClockSettings,
    /// Names of symbols that stand for others.
    pub aliases: Aliases,
}

impl Settings {
    /// Whether differences of a symbol are judged by quantity beside value.
    #[must_use]
    pub fn is_counted(&self, account: &str, symbol: &str) -> bool {
        self.drift.is_counted(self.instruments.get(account, symbol).unit_of(symbol))
    }
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
#[derive(Clone, Debug, PartialEq)]
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
    /// Within what an order id is unique, by account.
    pub id_scope: Scoped<IdScope>,
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
            id_scope: Scoped::default(),
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
    /// Series that /metrics carries before quiet symbols fold into `__other__`.
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
