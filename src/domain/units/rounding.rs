//! Numbers with more decimal places than we keep, rounded half to even.
//!
//! Input: the text of a JSON number. Output: the nearest decimal with [`DECIMALS_MAX`] places. JSON has
//! no decimals: to most senders a number is a binary float, and they write all of its digits. A sender
//! who writes a string chose its digits on purpose, so there too many places are refused; in a number
//! they are rounded here. Invariant: no number is rounded to 0, because 0 would say something else.

use super::text::{DecimalText, scaled};
use super::{DECIMALS_MAX, Decimal, NumberError};

/// Rounds the text of a JSON number with more than [`DECIMALS_MAX`] places to that many.
///
/// # Errors
/// [`NumberError::NotExact`] if the number is not too long in its decimal places, or if it would be
/// rounded to 0; [`NumberError::NotANumber`] for anything but a decimal number.
pub fn rounded(text: &str) -> Result<Decimal, NumberError> {
    let text = DecimalText::split(text)?;
    let dropped = text.places()? - i64::from(DECIMALS_MAX);
    if dropped <= 0 {
        return Err(NumberError::NotExact);
    }
    let dropped = usize::try_from(dropped).map_err(|_| NumberError::NotExact)?;
    let kept = text.len().checked_sub(dropped).ok_or(NumberError::NotExact)?;
    let value = text.integer_of(kept)?;
    let mut rest = text.digits().skip(kept);
    let first = rest.next().unwrap_or(0);
    let is_half = first == 5 && rest.all(|digit| digit == 0);
    let is_up = first > 5 || first == 5 && (!is_half || value % 2 != 0);
    // The value is 0 where it has lost its sign; rounding away from it then needs that of the text.
    let up = if is_up { text.sign() } else { 0 };
    let value = value.checked_add(up).ok_or(NumberError::NotExact)?;
    if value == 0 {
        return Err(NumberError::NotExact);
    }
    scaled(value, i64::from(DECIMALS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::units::parse_decimal;

    #[test]
    fn too_many_places_are_rounded_half_to_even() {
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
        // Rounding up would pass the largest value that is kept.
        check("170141183460469231731.6873037158841057279", not_exact);
        check("-170141183460469231731.6873037158841057289", not_exact);
    }

    proptest! {
        #[test]
        fn the_result_is_the_nearest(digits in 1_u64..=u64::MAX, shift in 1_u32..9) {
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
