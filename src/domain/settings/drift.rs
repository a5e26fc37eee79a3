//! How books are compared, and the thresholds of drift severities.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::settings::Unit;
use crate::domain::settings::in_flight::InFlightSettings;
use crate::domain::units::{Decimal, exact};

/// How books are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftSettings {
    /// Time between two comparisons without a new snapshot.
    pub compare_every: Duration,
    /// A book older than this is stale: it neither opens nor clears a drift.
    pub stale_after: Duration,
    /// Differences that fills in flight can explain.
    pub in_flight: InFlightSettings,
    /// Snapshots further apart than this do not confirm a drift, unless the older side was renewed.
    pub apart_max: Duration,
    /// Whether confirmed minor drift is reconciled automatically.
    pub auto_reconcile: bool,
    /// A reconcile directive that no local snapshot confirms within this time is sent again.
    pub reconcile_timeout: Duration,
    /// Times that a directive is sent before the drift escalates.
    pub reconcile_tries: u32,
    /// How often a symbol may be reconciled before its minor drift becomes moderate.
    pub reconcile_budget: ReconcileBudget,
    /// A mid quote older than this is not used to value a difference.
    pub quote_age_max: Duration,
    /// The symbols whose differences are classified by quantity too.
    pub quantity_test: QuantityTest,
}

impl DriftSettings {
    /// Whether differences counted in `unit` are classified by quantity as well as by value.
    #[must_use]
    pub fn is_counted(&self, unit: Unit) -> bool {
        match self.quantity_test {
            QuantityTest::Always => true,
            QuantityTest::ByUnit => unit == Unit::Contract,
        }
    }
}

/// How often one symbol may be reconciled. Without a bound, an automatic repair could repeat forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileBudget {
    /// Reconciliations of one symbol, at most.
    pub times: u32,
    /// Within this time span.
    pub window: Duration,
}

impl Default for ReconcileBudget {
    fn default() -> Self {
        Self { times: 3, window: Duration::from_hours(24) }
    }
}

closed_set! {
    /// Symbols whose differences are classified by quantity as well as by value.
    pub enum QuantityTest {
        /// Symbols whose quantities count shares or contracts.
        ByUnit = "by_unit",
        /// All symbols.
        Always = "always",
    }
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self {
            compare_every: Duration::from_mins(1),
            stale_after: Duration::from_mins(3),
            in_flight: InFlightSettings::default(),
            apart_max: Duration::from_secs(5),
            auto_reconcile: true,
            reconcile_timeout: Duration::from_secs(90),
            reconcile_tries: 3,
            reconcile_budget: ReconcileBudget::default(),
            quote_age_max: Duration::from_mins(1),
            quantity_test: QuantityTest::ByUnit,
        }
    }
}

/// One value for each drift severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerSeverity<T> {
    /// For [`Severity::Minor`].
    pub minor: T,
    /// For [`Severity::Moderate`].
    pub moderate: T,
    /// For [`Severity::Critical`].
    pub critical: T,
}

closed_set! {
    /// The severity of a drift, mildest first.
    pub enum Severity {
        /// Reconciled automatically.
        Minor = "minor",
        /// Alerted.
        Moderate = "moderate",
        /// Halts trading.
        Critical = "critical",
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

/// Thresholds of drift severities. Each is an inclusive lower bound on an absolute value; the most severe
/// test wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftRules {
    /// By quantity, in units of the instrument; see [`QuantityTest`].
    #[serde(with = "exact")]
    pub quantity: PerSeverity<Decimal>,
    /// By value, in the account's currency.
    #[serde(with = "exact")]
    pub value: PerSeverity<Decimal>,
    /// By fraction of the larger of the two positions, 0 to 1; None: no such test.
    #[serde(with = "exact")]
    pub relative: Option<PerSeverity<Decimal>>,
    /// Comparisons in a row that must agree before a drift is confirmed.
    pub confirm: PerSeverity<u32>,
    /// A price mismatch is at most this severe.
    pub price_mismatch_max: Severity,
    /// Average prices that differ by at most this many basis points are equal.
    #[serde(with = "exact")]
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
            price_mismatch_max: Severity::Moderate,
            price_tolerance_bps: Decimal::ONE,
        }
    }
}
