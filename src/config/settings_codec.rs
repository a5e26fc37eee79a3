//! Settings as bytes for the journal, and back.
//!
//! Input: [`Settings`] in force. Output: one JSON object with a version, which [`decode`] gives
//! back equal. Invariants: equal settings give equal bytes; decimals and floats are text, so that
//! no reader rounds them; durations are seconds and nanoseconds. Deliberately absent: checks, which
//! were made when the configuration was read.
//!
//! The shapes below mirror `domain::settings` field by field (the compiler holds them together) and
//! are a format on disk: a field that is added later gets `#[serde(default = ...)]`, and a change
//! of meaning gets a new [`VERSION`].

mod aliases;
mod leaves;

use std::collections::BTreeSet;
use std::time::Duration;

use enum_map::EnumMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::leaves::Shaped;
use crate::domain::ids::Currency;
use crate::domain::settings::{
    AccountSettings, Aliases, AnomalyRules, BreakdownSettings, ClockSettings, DriftRules,
    DriftSettings, EvidenceSettings, Figure, FillRatioBasis, HealthSettings, IdScope,
    InFlightSettings, IngestSettings, Instrument, Levels, OnExpiry, OnNotMonitored, OrderSettings,
    PerSeverity, PermitSettings, QuantityTest, Rate, ReconcileBudget, Reference, Response, Scoped,
    SeriesSettings, Settings, SettleMode, Severity, SymbolSettings, Unit, WindowSettings,
};
use crate::domain::units::Decimal;

/// The version that [`encode`] writes.
pub const VERSION: u32 = 1;

/// Why bytes are no settings.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are not what [`encode`] writes.
    #[error("the settings cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// They were written by a later release.
    #[error("the settings have version {0}, and this release knows {VERSION}")]
    Version(u32),
}

/// The settings as bytes.
#[must_use]
pub fn encode(settings: &Settings) -> Vec<u8> {
    // Writing to memory cannot fail, and no map here has keys that JSON cannot hold.
    serde_json::to_vec(&Envelope { version: VERSION, settings: Body(settings.clone()) })
        .unwrap_or_default()
}

/// The settings of these bytes.
///
/// # Errors
/// [`DecodeError`]: they are not what [`encode`] writes, or of a later release.
pub fn decode(bytes: &[u8]) -> Result<Settings, DecodeError> {
    let Version { version } = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
    Ok(envelope.settings.0)
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    version: u32,
    settings: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Body(#[serde(with = "SettingsShape")] Settings);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Settings", deny_unknown_fields)]
struct SettingsShape {
    #[serde(with = "WindowShape")]
    window: WindowSettings,
    #[serde(with = "OrdersShape")]
    orders: OrderSettings,
    #[serde(with = "IngestShape")]
    ingest: IngestSettings,
    #[serde(with = "leaves::scoped")]
    anomaly: Scoped<AnomalyRules>,
    #[serde(with = "DriftShape")]
    drift: DriftSettings,
    #[serde(with = "leaves::scoped")]
    drift_rules: Scoped<DriftRules>,
    #[serde(with = "EvidenceShape", default)]
    missing_evidence: EvidenceSettings,
    #[serde(with = "HealthShape")]
    health: HealthSettings,
    #[serde(with = "leaves::scoped")]
    instruments: Scoped<Instrument>,
    #[serde(with = "BreakdownsShape")]
    breakdowns: BreakdownSettings,
    #[serde(with = "SeriesShape")]
    series: SeriesSettings,
    #[serde(with = "PermitShape")]
    permit: PermitSettings,
    #[serde(with = "SymbolsShape", default)]
    symbols: SymbolSettings,
    #[serde(with = "AccountsShape", default)]
    accounts: AccountSettings,
    #[serde(default, with = "ClockShape")]
    clock: ClockSettings,
    #[serde(default, with = "aliases")]
    aliases: Aliases,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ClockSettings", deny_unknown_fields)]
struct ClockShape {
    behind_after: Duration,
    behind_max: Duration,
    ahead_after: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WindowSettings", deny_unknown_fields)]
struct WindowShape {
    orders: usize,
    fills: usize,
    age_max: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderSettings", deny_unknown_fields)]
struct OrdersShape {
    open_max: usize,
    ended_max: usize,
    unknown_max: usize,
    unknown_age_max: Duration,
    unacknowledged_after: Duration,
    arrival_age_max: Duration,
    #[serde(with = "leaves::scoped", default)]
    id_scope: Scoped<IdScope>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "IdScope", rename_all = "snake_case")]
enum IdScopeShape {
    Account,
    Symbol,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "IngestSettings", deny_unknown_fields)]
struct IngestShape {
    horizon: Duration,
    horizon_ids: usize,
    event_age_max: Option<Duration>,
    clock_skew_max: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AnomalyRules", deny_unknown_fields)]
struct AnomalyShape {
    min_samples: usize,
    #[serde(with = "leaves::float")]
    clear_fraction: f64,
    #[serde(with = "BasisShape")]
    fill_ratio_basis: FillRatioBasis,
    #[serde(with = "ReferenceShape")]
    slippage_reference: Reference,
    #[serde(with = "levels_by_figure")]
    levels: EnumMap<Figure, Levels>,
    event_hold: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Levels", deny_unknown_fields)]
struct LevelsShape {
    #[serde(with = "leaves::float_or_none")]
    warning: Option<f64>,
    #[serde(with = "leaves::float_or_none")]
    critical: Option<f64>,
}

/// Stored thresholds. A figure that a record does not name has its default: records of an older
/// version lack the newer figures.
mod levels_by_figure {
    use std::collections::BTreeMap;

    use enum_map::EnumMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::LevelsShape;
    use crate::domain::settings::{Figure, Levels};

    #[derive(Serialize, Deserialize)]
    struct StoredLevels(#[serde(with = "LevelsShape")] Levels);

    pub(super) fn serialize<S: Serializer>(
        levels: &EnumMap<Figure, Levels>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(levels.iter().map(|(figure, levels)| (figure, StoredLevels(*levels))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<EnumMap<Figure, Levels>, D::Error> {
        let stored = BTreeMap::<Figure, StoredLevels>::deserialize(from)?;
        Ok(EnumMap::from_fn(|figure: Figure| {
            stored.get(&figure).map_or(figure.spec().default, |levels| levels.0)
        }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FillRatioBasis", rename_all = "snake_case")]
enum BasisShape {
    All,
    ExUserCancels,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reference", rename_all = "snake_case")]
enum ReferenceShape {
    Expected,
    Arrival,
    Limit,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DriftSettings")]
struct DriftShape {
    compare_every: Duration,
    stale_after: Duration,
    apart_max: Duration,
    auto_reconcile: bool,
    reconcile_timeout: Duration,
    reconcile_tries: u32,
    /// Instead of `in_flight_window` and `pending_max`, which older journals have and nobody needs.
    #[serde(default, with = "InFlightShape")]
    in_flight: InFlightSettings,
    #[serde(with = "BudgetShape", default)]
    reconcile_budget: ReconcileBudget,
    #[serde(default = "added::quote_age_max")]
    quote_age_max: Duration,
    #[serde(with = "QuantityTestShape", default = "added::quantity_test")]
    quantity_test: QuantityTest,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "InFlightSettings", deny_unknown_fields)]
struct InFlightShape {
    grace: Duration,
    lag_max: Duration,
    ahead: Duration,
    settle: Duration,
    #[serde(with = "SettleModeShape")]
    settle_mode: SettleMode,
    pending_max: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SettleMode", rename_all = "snake_case")]
enum SettleModeShape {
    Heard,
    Always,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReconcileBudget", deny_unknown_fields)]
struct BudgetShape {
    times: u32,
    window: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "QuantityTest", rename_all = "snake_case")]
enum QuantityTestShape {
    ByUnit,
    Always,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DriftRules", deny_unknown_fields)]
struct DriftRulesShape {
    #[serde(with = "leaves::decimals")]
    quantity: PerSeverity<Decimal>,
    #[serde(with = "leaves::decimals")]
    value: PerSeverity<Decimal>,
    #[serde(with = "leaves::decimals_or_none")]
    relative: Option<PerSeverity<Decimal>>,
    #[serde(with = "TimesShape")]
    confirm: PerSeverity<u32>,
    #[serde(with = "SeverityShape")]
    price_mismatch_max: Severity,
    #[serde(with = "leaves::decimal")]
    price_tolerance_bps: Decimal,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PerSeverity::<u32>", deny_unknown_fields)]
struct TimesShape {
    minor: u32,
    moderate: u32,
    critical: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Severity", rename_all = "snake_case")]
enum SeverityShape {
    Minor,
    Moderate,
    Critical,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HealthSettings", deny_unknown_fields)]
struct HealthShape {
    interval: Duration,
    failures: u32,
    successes: u32,
    silent_intervals: u32,
    silent_min: Duration,
    critical: Vec<String>,
    halt_on_unhealthy: Vec<String>,
    #[serde(default = "always")]
    halt_on_silence: bool,
}

/// What holds where `halt_on_silence` was not written yet.
const fn always() -> bool {
    true
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "EvidenceSettings", deny_unknown_fields)]
struct EvidenceShape {
    #[serde(with = "ResponseShape")]
    book_never_came: Response,
    #[serde(with = "ResponseShape")]
    book_stale: Response,
    engine_silent_after: Option<Duration>,
    #[serde(with = "ResponseShape")]
    engine_silent: Response,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Response", rename_all = "snake_case")]
enum ResponseShape {
    Alert,
    Reduce,
    Halt,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Instrument", deny_unknown_fields)]
struct InstrumentShape {
    #[serde(with = "leaves::currency")]
    currency: Currency,
    #[serde(with = "leaves::decimal")]
    multiplier: Decimal,
    #[serde(with = "RateShape")]
    rate: Rate,
    #[serde(with = "leaves::currency_or_none", default)]
    base: Option<Currency>,
    #[serde(with = "leaves::unit", default)]
    unit: Option<Unit>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rate", rename_all = "snake_case")]
enum RateShape {
    Same,
    Fixed(#[serde(with = "leaves::decimal")] Decimal),
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BreakdownSettings", deny_unknown_fields)]
struct BreakdownsShape {
    strategy: bool,
    venue: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SeriesSettings", deny_unknown_fields)]
struct SeriesShape {
    max: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PermitSettings", deny_unknown_fields)]
struct PermitShape {
    valid_for: Duration,
    #[serde(with = "OnExpiryShape")]
    on_expiry: OnExpiry,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnExpiry", rename_all = "snake_case")]
enum OnExpiryShape {
    ReduceOnly,
    Halt,
    Continue,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AccountSettings", deny_unknown_fields)]
struct AccountsShape {
    named: BTreeSet<String>,
    strict: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SymbolSettings", deny_unknown_fields)]
struct SymbolsShape {
    max: usize,
    #[serde(with = "OnNotMonitoredShape")]
    on_not_monitored: OnNotMonitored,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnNotMonitored", rename_all = "snake_case")]
enum OnNotMonitoredShape {
    Alert,
    Reducing,
    Halted,
}

/// What settings mean that were written before a field was there.
mod added {
    use super::{DriftSettings, Duration, QuantityTest};

    pub(super) fn quote_age_max() -> Duration {
        DriftSettings::default().quote_age_max
    }

    pub(super) fn quantity_test() -> QuantityTest {
        DriftSettings::default().quantity_test
    }
}

macro_rules! shaped {
    ($($rule:ty: $shape:ident),+) => {$(
        impl Shaped for $rule {
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $shape::serialize(self, serializer)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $shape::deserialize(deserializer)
            }
        }
    )+};
}

shaped!(AnomalyRules: AnomalyShape, DriftRules: DriftRulesShape, Instrument: InstrumentShape, IdScope: IdScopeShape);

#[cfg(test)]
mod tests;
