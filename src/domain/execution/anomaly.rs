//! Execution figures judged against thresholds, with hysteresis and minimum samples.

/// How bad an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnomalyLevel {
    /// Worth a look.
    Warning,
    /// Needs somebody now.
    Critical,
}

impl AnomalyLevel {
    /// As on the wire: `WARNING`, `CRITICAL`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }

    /// As on metrics: 1 warning, 2 critical (0 is none).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

/// What is judged; the label `figure` of `trading_anomaly`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// Fill ratio of a window.
    FillRatio,
    /// Mean slippage of a window.
    SlippageBps,
    /// Mean fill time of a window.
    FillTimeSeconds,
    /// Rejection ratio of a window.
    RejectionRatio,
    /// Rejections in a row of one symbol.
    ConsecutiveRejections,
    /// Orders that nobody acknowledged.
    Unacknowledged,
    /// More was filled than was ordered.
    Overfill,
    /// One id with two contents.
    Conflict,
    /// Times from the future, or in the wrong order.
    ClockSkew,
}

impl Figure {
    /// All figures.
    pub const ALL: [Self; 9] = [
        Self::FillRatio,
        Self::SlippageBps,
        Self::FillTimeSeconds,
        Self::RejectionRatio,
        Self::ConsecutiveRejections,
        Self::Unacknowledged,
        Self::Overfill,
        Self::Conflict,
        Self::ClockSkew,
    ];

    /// As on the wire and on metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FillRatio => "fill_ratio",
            Self::SlippageBps => "slippage_bps",
            Self::FillTimeSeconds => "fill_time_seconds",
            Self::RejectionRatio => "rejection_ratio",
            Self::ConsecutiveRejections => "consecutive_rejections",
            Self::Unacknowledged => "unacknowledged_orders",
            Self::Overfill => "overfill",
            Self::Conflict => "conflict",
            Self::ClockSkew => "clock_skew",
        }
    }
}

/// One open anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyView {
    /// The instrument; none: the account as a whole.
    pub symbol: Option<crate::domain::ids::Symbol>,
    /// What is judged.
    pub figure: Figure,
    /// How bad it is.
    pub level: AnomalyLevel,
    /// The latest value.
    pub value: f64,
    /// The threshold of the level.
    pub threshold: f64,
    /// Samples behind the value.
    pub samples: usize,
    /// Since when (receive time).
    pub since: crate::domain::time::Timestamp,
}
