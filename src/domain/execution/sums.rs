//! Running sums from which a value can be taken off again without leaving a trace.
//!
//! A plain `f64` sum drifts when values enter and leave a window a million times. Here a value is
//! put on a fixed grid of 2^-40 once, the same way each time, and grid points are added as
//! integers: what entered leaves exactly, and the order does not matter.

use serde::{Deserialize, Serialize};

/// One step of the grid: 2^-40, about 9e-13.
const GRID: f64 = 1_099_511_627_776.0;

/// A sum of `f64` values on a fixed grid. Each value is off by at most 2^-41; values beyond
/// 1.5e26 saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridSum(i128);

impl GridSum {
    /// The largest value that [`Self::holds`]: 100,000 of them, the longest window, do not
    /// saturate.
    const VALUE_MAX: f64 = 1e21;

    /// Whether a value can be added and taken off again without leaving a trace.
    #[must_use]
    pub fn holds(value: f64) -> bool {
        value.abs() <= Self::VALUE_MAX
    }

    /// Adds a finite value.
    pub fn add(&mut self, value: impl Into<GridPoint>) {
        self.0 = self.0.saturating_add(value.into().0);
    }

    /// Takes off a value that was added before.
    pub fn sub(&mut self, value: impl Into<GridPoint>) {
        self.0 = self.0.saturating_sub(value.into().0);
    }

    /// The sum.
    #[must_use]
    pub fn get(self) -> f64 {
        float(self.0) / GRID
    }
}

/// The nearest float: of 64 bits the processor makes it, of 128 a function.
#[expect(clippy::cast_precision_loss, reason = "a statistic")]
fn float(sum: i128) -> f64 {
    i64::try_from(sum).map_or_else(|_| sum as f64, |sum| sum as f64)
}

/// A value on the grid, for those that several sums take.
#[derive(Clone, Copy, Debug)]
pub struct GridPoint(i128);

impl From<f64> for GridPoint {
    fn from(value: f64) -> Self {
        Self(grid(value))
    }
}

/// The nearest point of the grid, away from zero between two.
#[expect(clippy::cast_possible_truncation, reason = "saturates at the ends of the range")]
#[expect(clippy::cast_precision_loss, reason = "what is whole below 2^62 came from a float")]
fn grid(value: f64) -> i128 {
    const SHORT_MAX: f64 = 4_611_686_018_427_387_904.0;
    let scaled = value * GRID;
    if scaled.abs() >= SHORT_MAX {
        return scaled.round() as i128;
    }
    // Nearly all values: 64 bits hold them, which is a tenth of the work.
    let whole = scaled as i64;
    let rest = scaled - whole as f64;
    i128::from(whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5))
}

/// A sum of nanoseconds with its number of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NanoSum {
    sum: i128,
    samples: usize,
}

impl NanoSum {
    /// Adds a sample, if there is one.
    pub fn add(&mut self, nanos: Option<i64>) {
        if let Some(nanos) = nanos {
            self.sum += i128::from(nanos);
            self.samples += 1;
        }
    }

    /// Takes off a sample that was added before.
    pub fn sub(&mut self, nanos: Option<i64>) {
        if let Some(nanos) = nanos {
            self.sum -= i128::from(nanos);
            self.samples = self.samples.saturating_sub(1);
        }
    }

    /// Number of samples.
    #[must_use]
    pub const fn samples(self) -> usize {
        self.samples
    }

    /// Mean in seconds; none without a sample.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a statistic")]
    pub fn mean_seconds(self) -> Option<f64> {
        (self.samples > 0).then(|| float(self.sum) / self.samples as f64 / 1e9)
    }
}

/// `part / whole` as the nearest float; none when the whole is empty.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^53")]
pub fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_values_are_rounded_as_long_ones(value in any::<f64>(), small in -1e8f64..1e8) {
            #[expect(clippy::cast_possible_truncation, reason = "as what it is compared with")]
            let plain = |value: f64| (value * GRID).round() as i128;
            let half = (small / GRID).round() + 0.5;
            for value in [value, small, small / 1e9, half / GRID, -half / GRID, 1e-300, 0.0] {
                prop_assert_eq!(grid(value), plain(value));
            }
        }

        #[test]
        fn what_leaves_leaves_nothing(values in prop::collection::vec(-1e6f64..1e6, 0..50)) {
            let mut sum = GridSum::default();
            for value in &values {
                sum.add(*value);
            }
            let plain: f64 = values.iter().sum();
            prop_assert!((sum.get() - plain).abs() < 1e-6);
            for value in values.iter().rev() {
                sum.sub(*value);
            }
            prop_assert_eq!(sum, GridSum::default());
        }
    }
}
