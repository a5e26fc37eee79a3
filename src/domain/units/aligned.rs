//! Arithmetic of decimals, fast where digits and result fit 64 bits without aligning any places.
//!
//! Input: decimals. Output: what the arithmetic of [`Decimal`] gives, in the same representation.
//! Invariant: a result is exact or comes from [`Decimal`] itself. Deliberately absent: negative
//! numbers, for which [`Decimal`] does the work.
//!
//! # Design
//! The totals of one currency or instrument grow beyond 32 bits, and from there on [`Decimal`] aligns
//! both numbers in 128 bits, even if their places are equal. They nearly always are: then one operation
//! on 64 bits is enough. The test `results_are_those_of_decimals` compares the representations. Hot
//! path: guarded by benches/instructions.

use std::cmp::Ordering;

use super::Decimal;

/// `a + b`, or the nearest decimal if that is out of range.
#[must_use]
#[inline]
pub fn plus(a: Decimal, b: Decimal) -> Decimal {
    // Sums begin with a 0 that has no places.
    if a.is_zero() {
        return b;
    }
    short(a, b, u64::checked_add).unwrap_or_else(|| long_plus(a, b))
}

/// `a - b`, or the nearest decimal if that is out of range.
#[must_use]
#[inline]
pub fn minus(a: Decimal, b: Decimal) -> Decimal {
    short(a, b, u64::checked_sub).unwrap_or_else(|| long_minus(a, b))
}

/// `a x b`, or the nearest decimal if that is out of range.
#[must_use]
#[inline]
pub fn times(a: Decimal, b: Decimal) -> Decimal {
    short_product(a, b).unwrap_or_else(|| long_times(a, b))
}

/// `a x b`; none if that is out of range.
#[must_use]
#[inline]
pub fn checked_times(a: Decimal, b: Decimal) -> Option<Decimal> {
    short_product(a, b).or_else(|| long_checked_times(a, b))
}

/// `a + b` if it is exact, so that subtracting `b` later gives `a` back. None if the sum overflows or
/// would be rounded.
#[must_use]
#[inline]
pub fn exact_sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    short(a, b, u64::checked_add).or_else(|| long_exact_sum(a, b))
}

/// [`Ord::cmp`] of two decimals.
#[must_use]
#[inline]
pub fn compare(a: Decimal, b: Decimal) -> Ordering {
    aligned_digits(a, b).map_or_else(|| long_compare(a, b), |(a, b)| a.cmp(&b))
}

/// The result for two numbers from 0 of one scale, if operands and result fit 64 bits.
#[inline]
fn short(a: Decimal, b: Decimal, of: impl Fn(u64, u64) -> Option<u64>) -> Option<Decimal> {
    let digits = aligned_digits(a, b).and_then(|(a, b)| of(a, b))?;
    Some(from_short(digits, a.scale()))
}

/// The product of two numbers above 0, if operands and result fit 64 bits.
#[inline]
fn short_product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (a, b) = (a.unpack(), b.unpack());
    let scale = a.scale + b.scale;
    if a.hi | b.hi != 0 || a.negative | b.negative || scale > Decimal::MAX_SCALE {
        return None;
    }
    let product = joined(a.mid, a.lo).checked_mul(joined(b.mid, b.lo))?;
    // The product with a 0 has no places.
    (product != 0).then(|| from_short(product, scale))
}

#[inline]
fn from_short(digits: u64, scale: u32) -> Decimal {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
    let lo = digits as u32;
    Decimal::from_parts(lo, (digits >> 32) as u32, 0, false, scale)
}

/// The digits of two numbers from 0 of one scale, if they fit 64 bits.
#[inline]
fn aligned_digits(a: Decimal, b: Decimal) -> Option<(u64, u64)> {
    let (a, b) = (a.unpack(), b.unpack());
    let is_aligned = a.hi | b.hi == 0 && a.scale == b.scale && !(a.negative | b.negative);
    is_aligned.then(|| (joined(a.mid, a.lo), joined(b.mid, b.lo)))
}

/// The lower 64 bits of the digits of a decimal.
#[inline]
fn joined(mid: u32, lo: u32) -> u64 {
    u64::from(mid) << 32 | u64::from(lo)
}

#[inline(never)]
fn long_plus(a: Decimal, b: Decimal) -> Decimal {
    a.saturating_add(b)
}

#[inline(never)]
fn long_minus(a: Decimal, b: Decimal) -> Decimal {
    a.saturating_sub(b)
}

#[inline(never)]
fn long_times(a: Decimal, b: Decimal) -> Decimal {
    a.saturating_mul(b)
}

#[inline(never)]
fn long_checked_times(a: Decimal, b: Decimal) -> Option<Decimal> {
    a.checked_mul(b)
}

#[inline(never)]
fn long_compare(a: Decimal, b: Decimal) -> Ordering {
    a.cmp(&b)
}

#[inline(never)]
fn long_exact_sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    if a.is_zero() || b.is_zero() {
        return Some(if a.is_zero() { b } else { a });
    }
    // A sum that does not fit is rounded to fewer places, or does not exist.
    a.checked_add(b).filter(|sum| sum.scale() >= a.scale().max(b.scale()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers of every length, with few scales, so that those of a pair are often equal.
    fn any_decimal() -> impl Strategy<Value = Decimal> {
        let long = (any::<i128>(), 30_u32..128).prop_map(|(digits, cut)| digits >> cut);
        let digits = prop_oneof![long, -2_i128..3];
        (digits, prop_oneof![0_u32..3, 0_u32..29]).prop_map(|(digits, scale)| {
            Decimal::try_from_i128_with_scale(digits, scale).unwrap_or(Decimal::MAX)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn results_are_those_of_decimals(a in any_decimal(), b in any_decimal()) {
            for (a, b) in [(a, b), (a.abs(), b.abs()), (a, a), (a.abs(), a.abs()), (a, Decimal::ZERO)] {
                prop_assert_eq!(plus(a, b).unpack(), a.saturating_add(b).unpack());
                prop_assert_eq!(minus(a, b).unpack(), a.saturating_sub(b).unpack());
                prop_assert_eq!(compare(a, b), a.cmp(&b));
                prop_assert_eq!(times(a, b).unpack(), a.saturating_mul(b).unpack());
                let product = checked_times(a, b).map(|product| product.unpack());
                prop_assert_eq!(product, a.checked_mul(b).map(|product| product.unpack()));
                let exact = exact_sum(a, b).map(|sum| sum.unpack());
                prop_assert_eq!(exact, long_exact_sum(a, b).map(|sum| sum.unpack()));
            }
        }
    }
}
