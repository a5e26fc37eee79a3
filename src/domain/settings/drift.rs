//! How books are compared, and how large a difference is which severity.

use std::time::Duration;

use crate::domain::closed_set::closed_set;
use crate::domain::settings::Unit;
use crate::domain::settings::in_flight::InFlightSettings;
use crate::domain::units::Decimal;

/// Comparing books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftSettings {
    /// How often books are compared without a new snapshot.
    pub compare_every: Duration,
    /// A book older than this is stale: nothing is set or cleared by it.
    pub stale_after: Duration,
    /// What fills on their way may explain.
    pub in_flight: InFlightSettings,
    /// Snapshots further apart than this do not confirm, unless the older side was renewed.
    pub apart_max: Duration,
    /// Whether confirmed MINOR drift is reconciled automatically.
    pub auto_reconcile: bool,
    /// A reconcile directive that no local snapshot confirms in this time is sent again.
    pub reconcile_timeout: Duration,
    /// How many times a directive is sent before the drift escalates.
    pub reconcile_tries: u32,
    /// How often one symbol may be reconciled before MINOR drift of it is MODERATE.
    pub reconcile_budget: ReconcileBudget,
    /// A mid quote older than this values no difference.
    pub quote_age_max: Duration,
    /// Which symbols are judged by quantity too.
    pub quantity_test: QuantityTest,
}

impl DriftSettings {
    /// Whether differences of what counts `unit` are judged by quantity beside value.
    #[must_use]
    pub fn is_counted(&self, unit: Unit) -> bool {
        match self.quantity_test {
            QuantityTest::Always => true,
            QuantityTest::ByUnit => unit == Unit::Contract,
        }
    }
}

/// How often one symbol may be reconciled: an automatic repair must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileBudget {
    /// This many drifts of it.
    pub times: u32,
    /// Within this time.
    pub window: Duration,
}

impl Default for ReconcileBudget {
    fn default() -> Self {
        Self { times: 3, window: Duration::from_hours(24) }
    }
}

/// Which symbols are judged by quantity beside value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityTest {
    /// Those whose quantities count shares or contracts.
    ByUnit,
    /// All.
    Always,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerSeverity<T> {
    /// For MINOR.
    pub minor: T,
    /// For MODERATE.
    pub moderate: T,
    /// For CRITICAL.
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

/// How large a difference is which severity. All bounds are inclusive lower bounds on absolute
/// values; the highest test wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftRules {
    /// By quantity, in units of the instrument; see [`QuantityTest`].
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
            price_mismatch_max: Severity::Moderate,
            price_tolerance_bps: Decimal::ONE,
        }
    }
}
