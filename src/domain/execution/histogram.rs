//! Cumulative histograms with fixed bounds and an exemplar for each bucket.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::ids::OrderId;
use crate::domain::time::Timestamp;

/// A histogram over fixed, rising bounds. Counts are of the bucket alone, not cumulative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Borrowed from the program, or owned when read from a stored state.
    bounds: Cow<'static, [f64]>,
    buckets: Vec<HistogramBucket>,
    sum: f64,
}

/// One bucket of a histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramBucket {
    /// Observations in this bucket alone.
    pub count: u64,
    /// The latest observation that fell into it.
    pub exemplar: Option<Exemplar>,
}

/// One observation that can be looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// The observed order.
    pub order_id: OrderId,
    /// The value observed.
    pub value: f64,
    /// When it was received.
    pub at: Timestamp,
}

impl Histogram {
    /// An empty histogram over rising, finite `bounds`, with one more bucket above the last.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds: Cow::Borrowed(bounds),
            buckets: vec![HistogramBucket::default(); bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// The finite upper bounds, inclusive, rising.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// One bucket for each bound, and one above all.
    #[must_use]
    pub fn buckets(&self) -> &[HistogramBucket] {
        &self.buckets
    }

    /// Sum of all observations.
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    /// Number of all observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|b| b.count).sum()
    }

    /// Adds one finite observation.
    pub fn observe(&mut self, value: f64, order_id: Option<&OrderId>, at: Timestamp) {
        let at_bucket = self.bounds.partition_point(|bound| *bound < value);
        let Some(bucket) = self.buckets.get_mut(at_bucket) else {
            impossible!("a histogram lacks the bucket above its bounds");
            return;
        };
        bucket.count += 1;
        bucket.exemplar = order_id.map(|id| Exemplar { order_id: id.clone(), value, at });
        self.sum += value;
    }
}
