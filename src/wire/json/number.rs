//! Numbers of few digits, read while they are scanned.
//!
//! Input: bytes that begin with a JSON number. Output: its length (RFC 8259, section 6) and, if it is
//! short and has no exponent, its value. Longer numbers stay text until a field asks for them.

use crate::domain::units::{Decimal, ShortDecimal, from_digits};
use crate::wire::json::swar::{
    SevenBytes, leading_digits, number_of_eight, number_of_seven, padded,
};

/// The longest text, without its sign, whose digits surely fit 64 bits without one.
const SHORT_BYTES_MAX: usize = 19;

/// The length of the number at the start of `text`, and its value if it is short. `None`: it is not
/// a number.
pub(crate) fn scan_number(text: &[u8]) -> Option<(usize, Option<ShortDecimal>)> {
    let start = usize::from(text.first() == Some(&b'-'));
    let (mut digits, mut end) = scan_digits(text, start, 0);
    let (whole, mut places) = (end - start, 0);
    if whole == 0 || whole > 1 && text.get(start) == Some(&b'0') {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        let point = end;
        (digits, end) = scan_digits(text, point + 1, digits);
        places = end - (point + 1);
        if places == 0 {
            return None;
        }
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        let (_, end) = scan_digits(text, exponent, 0);
        return (end > exponent).then_some((end, None));
    }
    if end - start > SHORT_BYTES_MAX {
        return Some((end, None));
    }
    let signed = |digits: i64| if start == 1 { -digits } else { digits };
    let digits = i64::try_from(digits).ok().map(signed);
    let short = digits.zip(u32::try_from(places).ok());
    Some((end, short.map(|(digits, scale)| ShortDecimal { digits, scale })))
}

/// Appends the digits at `at` to the decimal digits of `value`, and returns the position after them.
/// The value wraps around after 19 digits and means nothing then.
fn scan_digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk)
        && let Some(number) = number_of_eight(*eight)
    {
        value = value.wrapping_mul(100_000_000).wrapping_add(u64::from(number));
        at += 8;
    }
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// The value of a text that is nothing but an unsigned number of at most seven bytes.
pub(crate) fn short_decimal(text: &str) -> Option<Decimal> {
    let SevenBytes { digits, places, len } = number_of_seven(padded(text.as_bytes())?)?;
    (len == text.len()).then(|| from_digits(digits.into(), places))
}

/// The number that up to seven digits after a point make, and how many they are. `text` begins at
/// the point; one of fewer than eight bytes gives `(0, 0)`.
pub(crate) fn fraction_digits(text: &[u8]) -> (u32, usize) {
    text.first_chunk()
        .map_or((0, 0), |head| leading_digits((u64::from_le_bytes(*head) >> 8).to_le_bytes()))
}
