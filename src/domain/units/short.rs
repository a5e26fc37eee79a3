//! Decimals whose digits fit 64 bits, as nearly all do: differences, products and quotients of them in
//! a few instructions.
//!
//! Input: decimals. Output: exactly what the 96 bits of [`Decimal`] lead to, or none where they
//! are needed. Deliberately absent: rounding.

use crate::domain::units::{Decimal, Side};

/// `digits x 10^-scale`; the scale is at most that of a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) struct Short {
    digits: i64,
    scale: u32,
}

/// Powers of ten that fit.
const POWERS_OF_TEN: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    #[expect(clippy::indexing_slicing, reason = "at compile time")]
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Up to here a float holds every integer.
const FLOAT_MAX: u64 = 1 << 53;

impl Short {
    /// None when the digits do not fit.
    #[inline]
    pub(in crate::domain) fn of(value: Decimal) -> Option<Self> {
        let parts = value.unpack();
        let digits = i64::try_from(u64::from(parts.mid) << 32 | u64::from(parts.lo)).ok()?;
        let digits = if parts.negative { -digits } else { digits };
        (parts.hi == 0).then_some(Self { digits, scale: parts.scale })
    }

    /// The same number times an integer.
    #[inline]
    pub(in crate::domain) fn times_integer(self, factor: i64) -> Option<Self> {
        Some(Self { digits: self.digits.checked_mul(factor)?, ..self })
    }

    /// The product.
    #[inline]
    pub(in crate::domain) fn times(self, other: Self) -> Option<Self> {
        let scale = Some(self.scale + other.scale).filter(|scale| *scale <= Decimal::MAX_SCALE)?;
        Some(Self { digits: self.digits.checked_mul(other.digits)?, scale })
    }

    /// The difference.
    #[inline]
    pub(in crate::domain) fn minus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let digits = self.digits_at(scale)?.checked_sub(other.digits_at(scale)?)?;
        Some(Self { digits, scale })
    }

    /// With the sign of a side.
    #[inline]
    pub(in crate::domain) fn signed(self, side: Side) -> Option<Self> {
        match side {
            Side::Buy => Some(self),
            Side::Sell => Some(Self { digits: self.digits.checked_neg()?, ..self }),
        }
    }

    /// Without its sign.
    #[inline]
    pub(in crate::domain) fn abs(self) -> Option<Self> {
        Some(Self { digits: self.digits.checked_abs()?, ..self })
    }

    /// The nearest float of `self / whole`, if a float holds the digits of both: then the one
    /// division rounds the exact quotient.
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
        (digits.unsigned_abs() <= FLOAT_MAX).then_some(digits as f64)
    }
}
