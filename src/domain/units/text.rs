//! Decimal text to exact numbers.
//!
//! Input: text like `-12.50`, `9.61e-06`, `1E3`. Output: a [`Decimal`], or an integer number of
//! some power of ten. Invariants: a [`Decimal`] is exact or refused, and normalized, so that equal
//! numbers are equal in every representation. Deliberately absent: rounding to fewer places (see
//! `rounding`).

use super::{DECIMALS_MAX, Decimal, NumberError};

/// Parses decimal text exactly: `-12.50`, `9.61e-06`, `1E3`. Trailing zeros after the point do not
/// count as places.
///
/// # Errors
/// [`NumberError::NotANumber`] for anything but a decimal number, [`NumberError::NotExact`] when
/// the value has more than [`DECIMALS_MAX`] places or does not fit 96 bits. Nothing is rounded.
pub fn parse_decimal(text: &str) -> Result<Decimal, NumberError> {
    if let Some(value) = parse_short(text) {
        return Ok(value);
    }
    let mut text = DecimalText::split(text)?;
    text.fraction = text.fraction.trim_end_matches('0');
    let value = text.integer_of(text.len())?;
    scaled(value, text.places()?)
}

/// `text x 10^power` as an integer; digits after the point are cut off, so the result is rounded
/// towards zero.
///
/// # Errors
/// [`NumberError::NotANumber`] for anything but a decimal number, [`NumberError::NotExact`] when
/// the integer does not fit 128 bits.
pub fn truncated(text: &str, power: u32) -> Result<i128, NumberError> {
    let text = DecimalText::split(text)?;
    let zeros = i64::from(power) - text.places()?;
    let cut = usize::try_from(-zeros.min(0)).map_err(|_| NumberError::NotExact)?;
    let mut value = text.integer_of(text.len().saturating_sub(cut))?;
    // A number that is not zero overflows before 40 zeros.
    for _ in 0..zeros {
        if value == 0 {
            break;
        }
        value = value.checked_mul(10).ok_or(NumberError::NotExact)?;
    }
    Ok(value)
}

/// Fast path for nearly every number: at most 18 digits, which fit 64 bits, and no exponent. None
/// for anything else.
fn parse_short(text: &str) -> Option<Decimal> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut value, mut places, mut point) = (0_i64, 0_u32, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                places += u32::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if digits.len() == usize::from(point) {
        return None;
    }
    Some(from_digits(if negative { -value } else { value }, places))
}

/// `digits x 10^-places`, normalized; `places` is at most 28.
#[must_use]
pub fn from_digits(mut digits: i64, mut places: u32) -> Decimal {
    while places > 0 && digits % 10 == 0 {
        digits /= 10;
        places -= 1;
    }
    Decimal::new(digits, places)
}

/// Decimal text taken apart; both runs of digits are checked, and at least one is not empty.
#[derive(Clone, Copy)]
pub(super) struct DecimalText<'t> {
    is_negative: bool,
    /// The digits before the point.
    whole: &'t str,
    /// The digits after the point.
    fraction: &'t str,
    exponent: i64,
}

impl<'t> DecimalText<'t> {
    pub(super) fn split(text: &'t str) -> Result<Self, NumberError> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        };
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_empty = whole.is_empty() && fraction.is_empty();
        if is_empty || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(NumberError::NotANumber);
        }
        Ok(Self { is_negative: mantissa.starts_with('-'), whole, fraction, exponent })
    }

    /// -1 or 1.
    pub(super) const fn sign(self) -> i128 {
        if self.is_negative { -1 } else { 1 }
    }

    /// How many digits there are.
    pub(super) const fn len(self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// Decimal places of the last digit; negative: it stands for a power of ten above 1.
    pub(super) fn places(self) -> Result<i64, NumberError> {
        let fraction = i64::try_from(self.fraction.len()).map_err(|_| NumberError::NotExact)?;
        Ok(fraction - self.exponent)
    }

    /// All digits, each 0 to 9.
    pub(super) fn digits(self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes()).map(|byte| byte - b'0')
    }

    /// The first `count` digits as an integer, with the sign.
    pub(super) fn integer_of(self, count: usize) -> Result<i128, NumberError> {
        let append = |value: i128, digit| value.checked_mul(10)?.checked_add(i128::from(digit));
        let value = self.digits().take(count).try_fold(0, append).ok_or(NumberError::NotExact)?;
        Ok(self.sign() * value)
    }
}

/// The exponent; as it has at most 32 bits, arithmetic on it cannot overflow 64.
fn parse_exponent(text: &str) -> Result<i64, NumberError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    text.parse::<i32>().map(i64::from).map_err(|_| NumberError::NotExact)
}

/// `value x 10^-places`, normalized, or refused.
pub(super) fn scaled(mut value: i128, mut places: i64) -> Result<Decimal, NumberError> {
    if value == 0 {
        return Ok(Decimal::ZERO);
    }
    while places > 0 && value % 10 == 0 {
        value /= 10;
        places -= 1;
    }
    while places < 0 {
        value = value.checked_mul(10).ok_or(NumberError::NotExact)?;
        places += 1;
    }
    let scale = u32::try_from(places).map_err(|_| NumberError::NotExact)?;
    if scale > DECIMALS_MAX {
        return Err(NumberError::NotExact);
    }
    Decimal::try_from_i128_with_scale(value, scale).map_err(|_| NumberError::NotExact)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_text_is_exact_or_refused() {
        let check = |text: &str, expect: Result<&str, NumberError>| {
            let got = parse_decimal(text).map(|d| d.to_string());
            assert_eq!(got, expect.map(String::from), "{text}");
        };
        check("0.1", Ok("0.1"));
        check("-0.10", Ok("-0.1"));
        check("100.0", Ok("100"));
        check("9.61e-06", Ok("0.00000961"));
        check("1E3", Ok("1000"));
        check("1e-18", Ok("0.000000000000000001"));
        check("0e999", Ok("0"));
        check("1e-19", Err(NumberError::NotExact));
        check("1e-29", Err(NumberError::NotExact));
        check("1e400", Err(NumberError::NotExact));
        check("1e99999999999", Err(NumberError::NotExact));
        check("123456789012345678901234567890", Err(NumberError::NotExact));
        check("NaN", Err(NumberError::NotANumber));
        check("Infinity", Err(NumberError::NotANumber));
        check("", Err(NumberError::NotANumber));
        check("-", Err(NumberError::NotANumber));
        check(".", Err(NumberError::NotANumber));
        check("1.2.3", Err(NumberError::NotANumber));
        check("1e", Err(NumberError::NotANumber));
        check("1e+-2", Err(NumberError::NotANumber));
        check("0x10", Err(NumberError::NotANumber));
        check("None", Err(NumberError::NotANumber));
    }

    #[test]
    fn the_integer_part_of_a_multiple_is_truncated() {
        let check = |text: &str, expect: Result<i128, NumberError>| {
            assert_eq!(truncated(text, 9), expect, "{text}");
        };
        check("1.5", Ok(1_500_000_000));
        check("-0.0000000019", Ok(-1));
        check("0.0000000009", Ok(0));
        check("1e-12", Ok(0));
        check("12345e-9", Ok(12_345));
        check("1e9", Ok(1_000_000_000_000_000_000));
        check("0e999999", Ok(0));
        check("1e99", Err(NumberError::NotExact));
        check("1.2.3", Err(NumberError::NotANumber));
        check("1.0000000000x", Err(NumberError::NotANumber));
    }

    proptest! {
        #[test]
        fn the_fast_path_reads_as_the_general_one(text in "-?[0-9]{0,10}[.]?[0-9]{0,10}") {
            let spelled_out = format!("{text}e0");
            prop_assert_eq!(parse_decimal(&text), parse_decimal(&spelled_out), "{}", text);
        }
    }
}
