//! A sum of decimals from which every addend can be subtracted again without a remainder.
//!
//! Input: additions and subtractions. Output: the sum, without trailing zeros, so that it depends only
//! on the addends that are left. Invariant: no addition rounds. Deliberately absent: multiplication.
//!
//! # Design
//! A decimal has 96 bits, and a sum that needs more is rounded. Then a subtraction leaves a remainder.
//! While sums fit, they are decimals. The first one that does not fit moves the total to 256 bits,
//! counted in units of 10^-28, where all sums of decimals fit.

use std::fmt;

use rust_decimal::Decimal;

use super::exact_sum;

/// A sum of decimals. Holds at least 2^60 addends.
#[derive(Clone, Copy)]
pub struct ExactTotal(Width);

#[derive(Clone, Copy, Debug)]
enum Width {
    Short(Decimal),
    Wide(Wide),
}

/// A number of 256 bits in two's complement, in units of 10^-28.
#[derive(Clone, Copy, Debug)]
struct Wide {
    high: i128,
    low: u128,
}

impl Default for ExactTotal {
    fn default() -> Self {
        Self(Width::Short(Decimal::ZERO))
    }
}

impl fmt::Debug for ExactTotal {
    /// The sum alone: equal sums may have been reached in different ways.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.get())
    }
}

impl ExactTotal {
    /// Adds a number.
    pub fn add(&mut self, number: Decimal) {
        self.0 = match self.0 {
            Width::Short(sum) => exact_sum(sum, number)
                .map_or_else(|| Width::Wide(Wide::of(sum).plus(Wide::of(number))), Width::Short),
            Width::Wide(sum) => Width::Wide(sum.plus(Wide::of(number))),
        };
    }

    /// Subtracts a number.
    pub fn subtract(&mut self, number: Decimal) {
        self.add(-number);
    }

    /// Adds another total.
    pub fn add_total(&mut self, other: Self) {
        match (self.0, other.0) {
            (_, Width::Short(number)) => self.add(number),
            (Width::Short(sum), Width::Wide(other)) => {
                self.0 = Width::Wide(Wide::of(sum).plus(other));
            }
            (Width::Wide(sum), Width::Wide(other)) => self.0 = Width::Wide(sum.plus(other)),
        }
    }

    /// The sum; the nearest decimal if it is out of range.
    #[must_use]
    pub fn saturated(&self) -> Decimal {
        let limit = match self.0 {
            Width::Wide(sum) if sum.high.is_negative() => Decimal::MIN,
            Width::Wide(_) | Width::Short(_) => Decimal::MAX,
        };
        self.get().unwrap_or(limit)
    }

    /// The sum, rounded if it has more digits than a decimal; `None` if it is out of range.
    #[must_use]
    pub fn get(&self) -> Option<Decimal> {
        match self.0 {
            Width::Short(sum) => Some(sum.normalize()),
            Width::Wide(sum) => sum.decimal(),
        }
    }
}

impl Wide {
    fn of(number: Decimal) -> Self {
        let unit = 10_u128.pow(Decimal::MAX_SCALE.saturating_sub(number.scale()));
        let mantissa = number.mantissa();
        let product = product(mantissa.unsigned_abs(), unit);
        if mantissa.is_negative() { product.negated() } else { product }
    }

    fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        let high = self.high.wrapping_add(other.high).wrapping_add(i128::from(carry));
        Self { high, low }
    }

    fn negated(self) -> Self {
        let (low, carry) = (!self.low).overflowing_add(1);
        Self { high: (!self.high).wrapping_add(i128::from(carry)), low }
    }

    fn decimal(self) -> Option<Decimal> {
        let is_negative = self.high.is_negative();
        let size = if is_negative { self.negated() } else { self };
        let (mut high, mut low) = (size.high.unsigned_abs(), size.low);
        let (mut scale, mut last) = (Decimal::MAX_SCALE, 0);
        while high != 0 || low >> 96 != 0 {
            scale = scale.checked_sub(1)?;
            (high, low, last) = tenth(high, low);
        }
        // Rounding up may need one more digit; a number that long ends in a zero then.
        let rounded = i128::try_from(low).ok()? + i128::from(last >= 5);
        let signed = if is_negative { -rounded } else { rounded };
        let exact = Decimal::try_from_i128_with_scale(signed, scale);
        Some(exact.unwrap_or(Decimal::MAX).normalize())
    }
}

/// The product of a number below 2^96 and one below 2^94.
fn product(a: u128, b: u128) -> Wide {
    const HALF: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & HALF, b >> 64, b & HALF);
    let middle = a_low * b_high + a_high * b_low;
    let (low, carry) = (a_low * b_low).overflowing_add(middle << 64);
    let high = a_high * b_high + (middle >> 64) + u128::from(carry);
    Wide { high: high.cast_signed(), low }
}

/// A tenth of a number of 256 bits, and the remainder.
fn tenth(high: u128, low: u128) -> (u128, u128, u128) {
    let upper = ((high % 10) << 64) | (low >> 64);
    let lower = ((upper % 10) << 64) | (low & u128::from(u64::MAX));
    (high / 10, ((upper / 10) << 64) | (lower / 10), lower % 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_decimal() -> impl Strategy<Value = Decimal> {
        (any::<i128>(), 32_u32..127, 0_u32..=28).prop_map(|(mantissa, cut, scale)| {
            Decimal::try_from_i128_with_scale(mantissa >> cut, scale).unwrap_or(Decimal::MIN)
        })
    }

    #[test]
    fn a_huge_addend_leaves_no_remainder() {
        let tiny = Decimal::new(1, 28);
        let mut total = ExactTotal::default();
        total.add(tiny);
        for _ in 0..10 {
            total.add(Decimal::MAX);
        }
        assert_eq!(total.get(), None);
        for _ in 0..9 {
            total.subtract(Decimal::MAX);
        }
        assert_eq!(total.get(), Some(Decimal::MAX), "rounded");
        total.subtract(Decimal::MAX);
        assert_eq!(total.get(), Some(tiny));
    }

    proptest! {
        /// Whatever else was added and subtracted, and in any order.
        #[test]
        fn the_sum_depends_on_the_addends_left(
            kept in prop::collection::vec(-1_000_000_i64..1_000_000, 0..6),
            gone in prop::collection::vec(any_decimal(), 0..6),
        ) {
            let mut total = ExactTotal::default();
            for number in &gone {
                total.add(*number);
            }
            for number in &kept {
                total.add(Decimal::new(*number, 3));
            }
            for number in &gone {
                total.subtract(*number);
            }
            let sum: Decimal = kept.iter().map(|number| Decimal::new(*number, 3)).sum();
            prop_assert_eq!(total.get().map(|d| d.unpack()), Some(sum.normalize().unpack()));
        }

        #[test]
        fn a_wide_number_reads_back(number in any_decimal()) {
            prop_assert_eq!(Wide::of(number).decimal(), Some(number));
        }
    }
}
