//! When execution quality is an anomaly.

use std::time::Duration;

use super::Reference;

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
            fill_ratio_basis: FillRatioBasis::ExUserCancels,
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
