//! Numbers of more places than are held, rounded half to even.
//!
//! Input: the text of a JSON number. Output: the nearest decimal of [`DECIMALS_MAX`] places. JSON knows no
//! decimals: to most senders a number is a binary float, and they write all of its digits. So what is
//! refused in a string, which somebody wrote by intent, is rounded here. Invariant: nothing is rounded
//! to 0, which would be another statement.

use super::{DECIMALS_MAX, Decimal, NumberError, parse_exponent, scaled};

/// The text of a JSON number of more than [`DECIMALS_MAX`] places, rounded to so many.
///
/// # Errors
/// [`NumberError::NotExact`] when its places are not the reason that it is not held, or when it would
/// be rounded to 0.
pub fn rounded(text: &str) -> Result<Decimal, NumberError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let length = |text: &str| i64::try_from(text.len()).map_err(|_| NumberError::NotExact);
    let places = length(fraction)? - exponent;
    let dropped = places - i64::from(DECIMALS_MAX);
    let kept = length(whole)? + length(fraction)? - dropped;
    if dropped <= 0 {
        return Err(NumberError::NotExact);
    }
    let kept = usize::try_from(kept).map_err(|_| NumberError::NotExact)?;
    let mut all = whole.bytes().chain(fraction.bytes()).map(|byte| byte.wrapping_sub(b'0'));
    let mut value: i128 = 0;
    for digit in all.by_ref().take(kept) {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(i128::from(digit)))
            .ok_or(NumberError::NotExact)?;
    }
    let first = all.next().unwrap_or(0);
    let is_half = first == 5 && all.all(|digit| digit == 0);
    if first > 5 || first == 5 && (!is_half || value % 2 == 1) {
        value += 1;
    }
    if value == 0 {
        return Err(NumberError::NotExact);
    }
    scaled(if negative { -value } else { value }, i64::from(DECIMALS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::units::parse_decimal;

    #[test]
    fn more_places_than_are_held_are_rounded_half_to_even() {
        let check = |text: &str, expect: Result<&str, NumberError>| {
            assert_eq!(rounded(text), expect.map(|text| parse_decimal(text).unwrap()), "{text}");
        };
        let not_exact = Err(NumberError::NotExact);
        check("1.0142037391099999e-05", Ok("0.00001014203739110"));
        check("-1.0142037391099999e-05", Ok("-0.00001014203739110"));
        check("9.876543209876543e-06", Ok("0.000009876543209877"));
        check("0.1234567890123456789", Ok("0.123456789012345679"));
        check("0.1234567890123456785", Ok("0.123456789012345678"));
        check("0.1234567890123456775", Ok("0.123456789012345678"));
        check("0.12345678901234567750000", Ok("0.123456789012345678"));
        check("0.12345678901234567850001", Ok("0.123456789012345679"));
        check("99.9999999999999999999", Ok("100"));
        check("6e-19", Ok("1e-18"));
        check("0.15e-17", Ok("2e-18"));
        check("5e-19", not_exact);
        check("1e-19", not_exact);
        check("1e-29", not_exact);
        check("-4.9e-19", not_exact);
        check("1e-2147483648", not_exact);
        check("1e400", not_exact);
        check("123456789012345678901234567890", not_exact);
        check("1234567890123456789012345678901234567890.1234567890123456789", not_exact);
        check("12345678901.1234567890123456789", Ok("12345678901.123456789012345679"));
        check("123456789012.1234567890123456789", not_exact);
    }

    proptest! {
        #[test]
        fn it_is_as_near_as_can_be(digits in 1_u64..=u64::MAX, shift in 1_u32..9) {
            let text = format!("{digits}e-{}", DECIMALS_MAX + shift);
            let by = 10_i128.pow(shift);
            let (whole, rest) = (i128::from(digits) / by, i128::from(digits) % by);
            let up = rest * 2 > by || rest * 2 == by && whole % 2 == 1;
            let expect = whole + i128::from(up);
            match rounded(&text) {
                Ok(value) => {
                    prop_assert_eq!(value, Decimal::from_i128_with_scale(expect, DECIMALS_MAX));
                }
                Err(error) => {
                    prop_assert_eq!((error, expect), (NumberError::NotExact, 0));
                }
            }
        }
    }
}
