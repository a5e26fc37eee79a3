//! When execution quality is an anomaly: the judged figures, and the rules.
//!
//! [`Figure::spec`] is the table of figures. The reader of the configuration, the stored settings, the
//! metrics and the alerts loop over [`Figure::ALL`] and read the table. The value of a figure comes
//! from `crate::domain::execution::anomaly`.

use std::collections::BTreeMap;
use std::time::Duration;

use enum_map::EnumMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Reference;
use crate::domain::closed_set::closed_set;

closed_set! {
    /// A judged figure; the label `figure` of `trading_anomaly`.
    pub enum Figure {
        /// Fill ratio of a window.
        FillRatio = "fill_ratio",
        /// Mean slippage of a window.
        SlippageBps = "slippage_bps",
        /// Mean fill time of a window.
        FillTimeSeconds = "fill_time_seconds",
        /// Rejection ratio of a window.
        RejectionRatio = "rejection_ratio",
        /// Rejections in a row of one symbol.
        ConsecutiveRejections = "consecutive_rejections",
        /// Orders without any answer from the venue.
        Unacknowledged = "unacknowledged_orders",
        /// More was filled than was ordered.
        Overfill = "overfill",
        /// One id with two contents.
        Conflict = "conflict",
        /// Times from the future, or in the wrong order.
        ClockSkew = "clock_skew",
        /// An alert halted an account that no configuration, token or event names.
        HaltOfUnknownAccount = "halt_of_unknown_account",
    }
}

/// A row of the table of figures.
#[derive(Clone, Copy, Debug)]
pub struct FigureSpec {
    /// The field of its thresholds in the section `anomaly` of the configuration.
    pub field: ThresholdField,
    /// The unit, which bounds the thresholds.
    pub unit: FigureUnit,
    /// The side of a threshold on which the figure is worse.
    pub worse: Worse,
    /// Whether the figure is a statistic of a window, which needs `min_samples`.
    pub is_of_window: bool,
    /// Thresholds without a configuration.
    pub default: Levels,
}

/// The form in which the configuration has the thresholds of a figure.
#[derive(Clone, Copy, Debug)]
pub enum ThresholdField {
    /// A section of this name, with `warning` and `critical`.
    Section(&'static str),
    /// A number of this name: the warning level.
    Number(&'static str),
    /// None. The figure counts incidents, and each one is an anomaly.
    Fixed,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug)]
pub enum FigureUnit {
    /// A part of all, 0 to 1.
    Ratio,
    /// Basis points.
    BasisPoints,
    /// Seconds.
    Seconds,
    /// A number of orders or events.
    Count,
}

/// The side of a threshold on which a figure is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// Below it. The ideal value is 1.
    Lower,
    /// Above it. The ideal value is 0.
    Higher,
}

impl Figure {
    /// The row of this figure.
    #[must_use]
    #[inline]
    pub const fn spec(self) -> FigureSpec {
        use FigureUnit::{BasisPoints, Ratio, Seconds};
        match self {
            Self::FillRatio => window("fill_ratio", Ratio, Worse::Lower, (0.90, 0.75)),
            Self::SlippageBps => window("slippage_bps", BasisPoints, Worse::Higher, (10.0, 20.0)),
            Self::FillTimeSeconds => {
                window("fill_time_seconds", Seconds, Worse::Higher, (30.0, 60.0))
            }
            Self::RejectionRatio => window("rejection_ratio", Ratio, Worse::Higher, (0.05, 0.10)),
            Self::ConsecutiveRejections => {
                number(ThresholdField::Number("consecutive_rejections"), Levels::warning(5.0))
            }
            Self::Unacknowledged => {
                number(ThresholdField::Section("unacknowledged"), Levels::warning(0.0))
            }
            Self::Overfill | Self::Conflict | Self::ClockSkew => {
                number(ThresholdField::Fixed, Levels::warning(0.0))
            }
            Self::HaltOfUnknownAccount => {
                number(ThresholdField::Fixed, Levels { warning: None, critical: Some(0.0) })
            }
        }
    }
}

const fn window(
    section: &'static str,
    unit: FigureUnit,
    worse: Worse,
    (warning, critical): (f64, f64),
) -> FigureSpec {
    let (field, default) = (ThresholdField::Section(section), Levels::new(warning, critical));
    FigureSpec { field, unit, worse, is_of_window: true, default }
}

const fn number(field: ThresholdField, default: Levels) -> FigureSpec {
    let (unit, worse) = (FigureUnit::Count, Worse::Higher);
    FigureSpec { field, unit, worse, is_of_window: false, default }
}

/// A warning and a critical level; a missing level never fires.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// WARNING when the figure is worse than this.
    pub warning: Option<f64>,
    /// CRITICAL when the figure is worse than this.
    pub critical: Option<f64>,
}

impl Levels {
    /// Both levels.
    #[must_use]
    pub const fn new(warning: f64, critical: f64) -> Self {
        Self { warning: Some(warning), critical: Some(critical) }
    }

    const fn warning(warning: f64) -> Self {
        Self { warning: Some(warning), critical: None }
    }
}

closed_set! {
    /// The orders that the fill ratio of anomalies counts.
    pub enum FillRatioBasis {
        /// All ended orders.
        All = "all",
        /// All ended orders, except unfilled ones that the user cancelled.
        ExUserCancels = "ex_user_cancels",
    }
}

/// Thresholds of anomalies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyRules {
    /// A figure of a window with fewer samples is never an anomaly.
    pub min_samples: usize,
    /// An anomaly clears when the figure is back at this fraction of the threshold's distance
    /// from the ideal value (0 bps, 0 s, ratio 1 or 0): 0.8 x 10 bps = 8 bps.
    pub clear_fraction: f64,
    /// The orders that the judged fill ratio counts.
    pub fill_ratio_basis: FillRatioBasis,
    /// The reference of the judged slippage.
    pub slippage_reference: Reference,
    /// The thresholds of each figure.
    #[serde(serialize_with = "levels_as_map", deserialize_with = "levels_or_default")]
    pub levels: EnumMap<Figure, Levels>,
    /// An overfill, conflict or clock skew stays an anomaly for this long after the last one.
    pub event_hold: Duration,
}

impl Default for AnomalyRules {
    fn default() -> Self {
        Self {
            min_samples: 20,
            clear_fraction: 0.8,
            fill_ratio_basis: FillRatioBasis::ExUserCancels,
            slippage_reference: Reference::Expected,
            levels: EnumMap::from_fn(|figure: Figure| figure.spec().default),
            event_hold: Duration::from_mins(5),
        }
    }
}

/// Writes thresholds as a map by figure in every format. Without this, a binary format would hold them as
/// a list in the order of [`Figure::ALL`], which changes with the first new figure.
fn levels_as_map<S: Serializer>(
    levels: &EnumMap<Figure, Levels>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(levels)
}

/// Reads stored thresholds. A figure that a record does not name has its default: records of an older
/// version lack the newer figures.
fn levels_or_default<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<EnumMap<Figure, Levels>, D::Error> {
    let stored = BTreeMap::<Figure, Levels>::deserialize(from)?;
    Ok(EnumMap::from_fn(|figure: Figure| {
        stored.get(&figure).copied().unwrap_or(figure.spec().default)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_figure_has_its_default() -> Result<(), serde_json::Error> {
        let mut stored = serde_json::to_value(AnomalyRules::default())?;
        let levels = stored["levels"].as_object_mut().expect("a map by figure");
        assert!(levels.remove(Figure::RejectionRatio.as_str()).is_some());
        assert_eq!(serde_json::from_value::<AnomalyRules>(stored)?, AnomalyRules::default());
        Ok(())
    }
}
