//! The part of the checked configuration that the fold uses.
//!
//! Built by `crate::config` (or by `Default`, which has every documented default). The settings in force
//! are a record of the journal, so that a replay applies the rules of the time; their serde form is a
//! format on disk: after a release, a new field needs `#[serde(default)]`. Invariant: values are checked
//! before they are stored here; the fold never refuses a setting.

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

use crate::domain::closed_set::closed_set;
use crate::domain::limits;
use crate::domain::pattern::Pattern;
pub use accounts::AccountSettings;
pub use aliases::{Alias, Aliases};
pub use anomaly::{
    AnomalyRules, Figure, FigureSpec, FigureUnit, FillRatioBasis, Levels, ThresholdField, Worse,
};
pub use clock::ClockSettings;
pub use drift::{DriftRules, DriftSettings, PerSeverity, QuantityTest, ReconcileBudget, Severity};
pub use evidence::{EvidenceResponse, EvidenceSettings};
pub use health::HealthSettings;
pub use id_scope::IdScope;
pub use in_flight::{InFlightSettings, SettleMode};
pub use instrument::{Instrument, Rate, Unit};
pub use symbols::{OnNotMonitored, SymbolSettings};

/// All settings of the fold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Bounds of rolling windows.
    pub window: WindowSettings,
    /// Bounds and time limits of orders.
    pub orders: OrderSettings,
    /// Idempotency and clock skew of events.
    pub ingest: IngestSettings,
    /// Thresholds of anomalies, by account and symbol.
    pub anomaly: Scoped<AnomalyRules>,
    /// How books are compared.
    pub drift: DriftSettings,
    /// Thresholds of drift severities.
    pub drift_rules: Scoped<DriftRules>,
    /// Responses to missing evidence.
    pub missing_evidence: EvidenceSettings,
    /// How the health of components is judged.
    pub health: HealthSettings,
    /// Currency, multiplier and rate by symbol.
    pub instruments: Scoped<Instrument>,
    /// Optional breakdowns by strategy and venue.
    pub breakdowns: BreakdownSettings,
    /// The accounts that the configuration names.
    pub accounts: AccountSettings,
    /// The bound on monitored symbols.
    pub symbols: SymbolSettings,
    /// The series budget of /metrics.
    pub series: SeriesSettings,
    /// Permits of engines.
    pub permit: PermitSettings,
    /// Tolerances of the exporter's own clock.
    pub clock: ClockSettings,
    /// Other names of symbols.
    pub aliases: Aliases,
}

impl Settings {
    /// Whether differences of a symbol are classified by quantity as well as by value.
    #[must_use]
    pub fn is_counted(&self, account: &str, symbol: &str) -> bool {
        self.drift.is_counted(self.instruments.get(account, symbol).unit_of(symbol))
    }
}

/// A rule with overrides by account and symbol pattern; the last override that matches wins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoped<T> {
    /// The rule where no override matches.
    pub default: T,
    /// In the order of the configuration. Each is a complete rule.
    pub overrides: Vec<Override<T>>,
}

/// An override of a [`Scoped`] rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override<T> {
    /// The accounts it applies to.
    pub account: Pattern,
    /// The symbols it applies to. A rule for an account as a whole is looked up with the symbol `*`,
    /// which only the pattern `*` matches.
    pub symbol: Pattern,
    /// Applies where both patterns match.
    pub rule: T,
}

/// The rule that a [`Scoped`] selected. Valid until the settings change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleIndex(Option<usize>);

impl<T> Scoped<T> {
    /// The rule for a symbol of an account.
    #[must_use]
    pub fn get(&self, account: &str, symbol: &str) -> &T {
        self.at(self.index(account, symbol))
    }

    /// Selects the rule for a symbol of an account, so that a caller can look it up once.
    #[must_use]
    pub fn index(&self, account: &str, symbol: &str) -> RuleIndex {
        let matches = |o: &Override<T>| o.account.matches(account) && o.symbol.matches(symbol);
        RuleIndex(self.overrides.iter().rposition(matches))
    }

    /// The rule of an index; the default if there are fewer overrides now.
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

/// Bounds of rolling windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSettings {
    /// Ended orders in a window.
    pub orders: usize,
    /// Fills in a window.
    pub fills: usize,
    /// Entries older than this (receive time) are dropped; None: never.
    pub age_max: Option<Duration>,
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self { orders: limits::WINDOW_ORDERS, fills: limits::WINDOW_FILLS, age_max: None }
    }
}

/// Bounds and time limits of orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSettings {
    /// Open orders held of each account; past this its oldest is dropped and counted.
    pub open_max: usize,
    /// Ended orders held of each account for late events; past this its oldest is dropped.
    pub ended_max: usize,
    /// Orders without a submission held of each account; past this its oldest is dropped and counted.
    pub unknown_max: usize,
    /// How long an order waits for its submission event (receive time).
    pub unknown_age_max: Duration,
    /// An order without any event for this long after its submission (receive time) is unacknowledged.
    pub unacknowledged_after: Duration,
    /// A mid price older than this at submission (event time) is not used as the arrival price.
    pub arrival_age_max: Duration,
    /// The scope within which order ids are unique, by account.
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

/// Idempotency and clock skew of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestSettings {
    /// How long ids are remembered (receive time).
    pub horizon: Duration,
    /// Ids remembered for each account.
    pub horizon_ids: usize,
    /// Events older than this are refused as `too_old`; None: never.
    pub event_age_max: Option<Duration>,
    /// An event time further ahead of receive time than this is clock skew.
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

closed_set! {
    /// A price that slippage is measured against.
    pub enum Reference {
        /// `expected_price` of the submission.
        Expected = "expected",
        /// `arrival_price` of the submission, or the latest mid at submission.
        Arrival = "arrival",
        /// The limit price.
        Limit = "limit",
    }
}

impl Reference {
    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Optional breakdowns of counters and ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakdownSettings {
    /// By strategy.
    pub strategy: bool,
    /// By venue.
    pub venue: bool,
}

/// The series budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSettings {
    /// Series on /metrics, above which the quietest symbols fold into `__other__`.
    pub max: usize,
}

impl Default for SeriesSettings {
    fn default() -> Self {
        Self { max: limits::SERIES_MAX }
    }
}

closed_set! {
    /// The action an engine takes when its permit expires.
    pub enum OnExpiry {
        /// Send only orders that reduce a position.
        ReduceOnly = "reduce_only",
        /// Send no new orders.
        Halt = "halt",
        /// Keep trading.
        Continue = "continue",
    }
}

/// Permits of engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermitSettings {
    /// How long a permit is valid.
    pub valid_for: Duration,
    /// The action of the engine when its permit expires.
    pub on_expiry: OnExpiry,
}

impl Default for PermitSettings {
    fn default() -> Self {
        Self { valid_for: Duration::from_secs(10), on_expiry: OnExpiry::ReduceOnly }
    }
}
