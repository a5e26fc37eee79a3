//! Decimals whose digits fit 64 bits, as nearly all do.
//!
//! Input: decimals. Output: the same result that 96-bit arithmetic of [`Decimal`] would give, or none
//! if it does not fit. Deliberately absent: rounding. Hot path: guarded by benches/instructions.

use super::text::from_digits;
use crate::domain::units::{Decimal, Side};

/// `digits x 10^-scale`, with a scale of at most [`Decimal::MAX_SCALE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortDecimal {
    /// All digits, with the sign.
    pub digits: i64,
    /// How many of the digits are decimal places.
    pub scale: u32,
}

/// `10^0` to `10^18`: the powers of ten that fit 64 bits.
pub const POWERS_OF_TEN: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    #[expect(clippy::indexing_slicing, reason = "at compile time")]
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Floats hold every integer up to this one.
const FLOAT_INTEGER_MAX: u64 = 1 << 53;

impl ShortDecimal {
    /// None if the digits do not fit.
    #[inline]
    pub(in crate::domain) fn of(value: Decimal) -> Option<Self> {
        let parts = value.unpack();
        let digits = i64::try_from(u64::from(parts.mid) << 32 | u64::from(parts.lo)).ok()?;
        let digits = if parts.negative { -digits } else { digits };
        (parts.hi == 0).then_some(Self { digits, scale: parts.scale })
    }

    /// The exact value, normalized.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        from_digits(self.digits, self.scale)
    }

    /// `self x 10^9` as an integer, rounded towards zero: seconds as nanoseconds.
    #[must_use]
    pub fn nanos(self) -> i128 {
        match self.scale.checked_sub(9) {
            None => i128::from(self.digits) * 10_i128.pow(9 - self.scale),
            Some(beyond) => i128::from(self.digits / 10_i64.saturating_pow(beyond)),
        }
    }

    #[inline]
    pub(in crate::domain) fn times_integer(self, factor: i64) -> Option<Self> {
        Some(Self { digits: self.digits.checked_mul(factor)?, ..self })
    }

    #[inline]
    pub(in crate::domain) fn times(self, other: Self) -> Option<Self> {
        let scale = Some(self.scale + other.scale).filter(|scale| *scale <= Decimal::MAX_SCALE)?;
        Some(Self { digits: self.digits.checked_mul(other.digits)?, scale })
    }

    #[inline]
    pub(in crate::domain) fn minus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let digits = self.digits_at(scale)?.checked_sub(other.digits_at(scale)?)?;
        Some(Self { digits, scale })
    }

    /// Negated for a sell.
    #[inline]
    pub(in crate::domain) fn signed(self, side: Side) -> Option<Self> {
        match side {
            Side::Buy => Some(self),
            Side::Sell => Some(Self { digits: self.digits.checked_neg()?, ..self }),
        }
    }

    #[inline]
    pub(in crate::domain) fn abs(self) -> Option<Self> {
        Some(Self { digits: self.digits.checked_abs()?, ..self })
    }

    /// The float nearest to `self / whole`. None if `whole` is 0, or if on a common scale the digits of
    /// either do not fit a float: only if both fit is the division the only rounding.
    #[inline]
    pub(in crate::domain) fn over(self, whole: Self) -> Option<f64> {
        let scale = self.scale.max(whole.scale);
        let (part, whole) = (self.float_at(scale)?, whole.float_at(scale)?);
        (whole != 0.0).then(|| part / whole)
    }

    #[inline]
    fn digits_at(self, scale: u32) -> Option<i64> {
        let raise = POWERS_OF_TEN.get(scale.checked_sub(self.scale)? as usize)?;
        self.digits.checked_mul(*raise)
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    fn float_at(self, scale: u32) -> Option<f64> {
        let digits = self.digits_at(scale)?;
        (digits.unsigned_abs() <= FLOAT_INTEGER_MAX).then_some(digits as f64)
    }
}
