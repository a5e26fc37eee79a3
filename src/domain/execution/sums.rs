//! Running sums whose values can be subtracted again without a remainder.
//!
//! # Design
//! A plain `f64` sum drifts when values enter and leave a window a million times. Here each value is
//! rounded once to a fixed grid of 2^-40, always the same way, and grid points are added as integers.
//! Subtracting a value undoes its addition exactly, and the order of operations does not matter. The
//! test `values_leave_no_remainder` holds that.

use serde::{Deserialize, Serialize};

/// One step of the grid: 2^-40, about 9e-13.
const GRID: f64 = 1_099_511_627_776.0;

/// A sum of `f64` values on a fixed grid. Each value is off by at most 2^-41. It has room for
/// 100,000 values, the longest window, of those that [`Self::holds`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GridSum(i128);

impl GridSum {
    /// The largest value that [`Self::holds`]: 100,000 of them do not overflow.
    const VALUE_MAX: f64 = 1e21;

    /// Whether a value can be added and subtracted again without a remainder.
    #[must_use]
    pub(super) fn holds(value: f64) -> bool {
        value.abs() <= Self::VALUE_MAX
    }

    /// Adds a value that [`Self::holds`]. The sum wraps, so that even a larger value could be
    /// subtracted again.
    pub(super) fn add(&mut self, value: impl Into<GridPoint>) {
        self.0 = self.0.wrapping_add(value.into().0);
    }

    /// Subtracts a value that was added before.
    pub(super) fn sub(&mut self, value: impl Into<GridPoint>) {
        self.0 = self.0.wrapping_sub(value.into().0);
    }

    /// The sum.
    #[must_use]
    pub(super) fn get(self) -> f64 {
        float(self.0) / GRID
    }
}

/// The nearest float. The processor converts 64 bits; 128 bits need a library function, which is kept
/// out of line because the compiler would call it for every value.
#[expect(clippy::cast_precision_loss, reason = "a statistic")]
fn float(sum: i128) -> f64 {
    #[cold]
    #[inline(never)]
    fn long(sum: i128) -> f64 {
        sum as f64
    }
    i64::try_from(sum).map_or_else(|_| long(sum), |sum| sum as f64)
}

/// A value on the grid, for values that several sums add.
#[derive(Clone, Copy, Debug)]
pub(super) struct GridPoint(i128);

impl From<f64> for GridPoint {
    fn from(value: f64) -> Self {
        Self(grid(value))
    }
}

/// The nearest point of the grid, away from zero between two.
///
/// For nearly all values, 64 bits hold the point: the mantissa of the float, shifted so that it counts
/// in steps of the grid. Hot path: guarded by benches/instructions.
#[inline]
fn grid(value: f64) -> i128 {
    /// Binary digits after the leading one.
    const DIGITS: u32 = f64::MANTISSA_DIGITS - 1;
    /// The exponent of a float whose last digit counts steps of the grid: its bias, less 40.
    const STEPS: u64 = 1023 + DIGITS as u64 - 40;
    let bits = value.to_bits();
    let exponent = bits >> DIGITS & 0x7ff;
    let digits = bits & ((1 << DIGITS) - 1) | 1 << DIGITS;
    let point = match STEPS.checked_sub(exponent) {
        // Less than half a step.
        Some(55..) => 0,
        Some(0) => digits,
        Some(places) => (digits + (1 << (places - 1))) >> places,
        None if exponent - STEPS <= 9 => digits << (exponent - STEPS),
        None => return far(value),
    };
    i128::from(if value.is_sign_negative() { -point.cast_signed() } else { point.cast_signed() })
}

/// The nearest point of the grid, for a value whose point needs more than 64 bits.
#[cold]
#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "saturates at the ends of the range")]
fn far(value: f64) -> i128 {
    (value * GRID).round() as i128
}

/// A sum of nanoseconds with its number of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NanoSum {
    sum: i128,
    samples: usize,
}

impl NanoSum {
    /// Adds a sample, if there is one.
    pub(super) fn add(&mut self, nanos: Option<i64>) {
        if let Some(nanos) = nanos {
            self.sum += i128::from(nanos);
            self.samples += 1;
        }
    }

    /// Subtracts a sample that was added before.
    pub(super) fn sub(&mut self, nanos: Option<i64>) {
        if let Some(nanos) = nanos {
            self.sum -= i128::from(nanos);
            self.samples = self.samples.saturating_sub(1);
        }
    }

    /// Number of samples.
    #[must_use]
    pub(super) const fn samples(self) -> usize {
        self.samples
    }

    /// Mean in seconds; `None` without a sample.
    #[must_use]
    pub(super) fn mean_seconds(self) -> Option<f64> {
        (self.samples > 0).then(|| float(self.sum) / count(self.samples) / 1e9)
    }
}

/// `part / whole` as the nearest float; `None` when the whole is 0.
#[must_use]
#[inline]
pub(super) fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| count(part) / count(whole))
}

/// A count as a float. Converted from a signed number, because the processor has no conversion from
/// an unsigned one.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^53")]
pub(super) const fn count(count: usize) -> f64 {
    count.cast_signed() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_values_round_like_long_ones(value in any::<f64>(), small in -1e8f64..1e8) {
            #[expect(clippy::cast_possible_truncation, reason = "as what it is compared with")]
            let plain = |value: f64| (value * GRID).round() as i128;
            let half = (small / GRID).round() + 0.5;
            for value in [value, small, small / 1e9, half / GRID, -half / GRID, 1e-300, 0.0] {
                prop_assert_eq!(grid(value), plain(value));
            }
        }

        #[test]
        fn values_leave_no_remainder(values in prop::collection::vec(-1e6f64..1e6, 0..50)) {
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
