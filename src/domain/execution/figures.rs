//! The figures of a window: ratios, slippage, latencies. A figure without a sample is `None`.

/// The figures of one window of ended orders.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Ended orders in the window: the one denominator of every ratio.
    pub samples: usize,
    /// Of them, filled completely.
    pub filled: usize,
    /// Of them, rejected.
    pub rejected: usize,
    /// Of them, cancelled.
    pub cancelled: usize,
    /// Of them, expired.
    pub expired: usize,
    /// Of them, with any fill.
    pub touched: usize,
    /// Of them, cancelled by the user without any fill.
    pub untouched_user_cancels: usize,
    /// Fills in the window of fills, without busted ones.
    pub fills: usize,
    /// filled / ended, 0 to 1.
    pub fill_ratio: Option<f64>,
    /// filled / (ended - untouched user cancels), 0 to 1.
    pub fill_ratio_ex_user_cancels: Option<f64>,
    /// touched / ended, 0 to 1.
    pub touch_ratio: Option<f64>,
    /// sum min(F, Q) / sum Q, 0 to 1.
    pub quantity_fill_ratio: Option<f64>,
    /// Orders of known quantity: the samples of `quantity_fill_ratio`.
    pub quantity_samples: usize,
    /// rejected / ended, 0 to 1.
    pub rejection_ratio: Option<f64>,
    /// Slippage against each of `Reference::ALL`.
    pub slippage: [SlippageFigures; 3],
    /// Submission to last fill, of fully filled orders.
    pub fill_time: MeanFigure,
    /// Submission to acceptance.
    pub ack_time: MeanFigure,
    /// Acceptance to first fill.
    pub first_fill_time: MeanFigure,
}

/// Slippage of a window against one reference, in basis points, positive = worse.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SlippageFigures {
    /// Orders with a fill and a usable reference.
    pub samples: usize,
    /// Plain mean over orders.
    pub mean_bps: Option<f64>,
    /// Mean weighted by executed notional; absent when notionals have no common currency.
    pub weighted_bps: Option<f64>,
}

/// A mean in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanFigure {
    /// Number of samples of the mean.
    pub samples: usize,
    /// The mean in seconds.
    pub seconds: Option<f64>,
}

/// Nearest-rank quantiles of slippage over a window, in basis points, positive = worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// Half of the orders were at most this bad.
    pub p50: f64,
    /// 95 % were at most this bad.
    pub p95: f64,
    /// 99 % were at most this bad.
    pub p99: f64,
    /// The worst order.
    pub worst: f64,
}

impl Quantiles {
    /// The quantiles of these slippages; `None` without any.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        // The smallest value that `percent` of all samples or more do not exceed.
        let rank = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied()
        };
        Some(Self { p50: rank(50)?, p95: rank(95)?, p99: rank(99)?, worst: rank(100)? })
    }
}
