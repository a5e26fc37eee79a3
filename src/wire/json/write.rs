//! JSON strings, integers and decimals, appended to bytes without an intermediate `String`.
//!
//! Invariant: `serde_json` reads a string back as it was, and numbers have the text of `to_string()`
//! of the normalized decimal (tests compare them).
//!
//! # Design
//!
//! `std::fmt` and the formatting of decimals cost more than the rest of an event. Most parts of an
//! event are short, so a short part is built in one or two registers, appended as 16 bytes of fixed
//! length, and the surplus is truncated: copies of a fixed length need no call to `memcpy`. Rejected:
//! `itoa`, which writes to a buffer of its own first. Hot path: guarded by benches/instructions.
//!
//! Lengths and digits are bounded by the branches that reach them, so sums here wrap: a check for
//! overflow would cost and never fail.

use crate::domain::units::Decimal;
use crate::wire::json::swar::{ZEROS, are_plain_words, is_plain_word, plain_len};

/// Bytes that hold the digits of a `u64` and up to 28 decimal places, with the point.
const SCALED_BYTES_MAX: usize = 40;

/// The first numbers that do not fit seven and eight digits.
const SEVEN_DIGITS: u32 = 10_000_000;
const EIGHT_DIGITS: u64 = 100_000_000;

/// The text of a number below 10^8 with leading zeros; the first digit is the lowest byte.
///
/// The number is split in halves of four digits, then quarters, then digits. Each split works on all
/// parts at once, with multiplications in place of divisions (Paul Khuong, "How to print integers
/// really fast").
const fn eight_digits(value: u32) -> u64 {
    let halves = (value / 10_000) as u64 | ((value % 10_000) as u64) << 32;
    let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x7f_0000_007f;
    let pairs = hundreds | halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
    let tens = (pairs.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    (tens | pairs.wrapping_sub(tens.wrapping_mul(10)) << 8) | ZEROS
}

const QUOTE: u64 = b'"' as u64;

/// Appends the first `len` bytes of a word, at most sixteen; the lowest byte is the first.
#[inline]
fn push_bytes(word: u128, len: usize, out: &mut Vec<u8>) {
    debug_assert!(len <= 16, "a word has 16 bytes");
    let end = out.len().wrapping_add(len);
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

/// Appends a JSON string.
pub(crate) fn push_string(text: &str, out: &mut Vec<u8>) {
    if !push_short_string(text.as_bytes(), out) {
        push_any_string(text.as_bytes(), out);
    }
}

/// Appends a JSON string of 3 to 14 bytes that needs no escapes. False: it has another form, and
/// nothing was appended.
#[inline]
fn push_short_string(text: &[u8], out: &mut Vec<u8>) -> bool {
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let (start, len) = (out.len(), text.len());
    // The text as two pieces, its first bytes and its last ones, which may overlap. The first one
    // gets the opening quote, the last one the closing quote; then one is laid over the other.
    let quoted = |first: u64, last: u64, piece: usize| {
        let end = u128::from(last) | u128::from(QUOTE) << (8 * piece);
        let place = len.wrapping_sub(piece).wrapping_add(1);
        u128::from(first) << 8 | u128::from(QUOTE) | end << (place.wrapping_mul(8) & 63)
    };
    if let (Some(first), Some(last), true) = (text.first_chunk(), text.last_chunk(), len <= 14) {
        let [first, last] = [first, last].map(|bytes| u64::from_le_bytes(*bytes));
        if !are_plain_words(first, last) {
            return false;
        }
        push_bytes(quoted(first, last, 8), len.wrapping_add(2), out);
    } else if let (Some(first), Some(last), true) = (text.first_chunk(), text.last_chunk(), len < 8)
    {
        let [first, last] = [first, last].map(half);
        if !is_plain_word(first | last << 32) {
            return false;
        }
        push_bytes(quoted(first, last, 4), len.wrapping_add(2), out);
    } else if let [a, b, c] = *text {
        // Three letters, as currencies have.
        let word = u64::from_le_bytes([a, b, c, b' ', b' ', b' ', b' ', b' ']);
        if !is_plain_word(word) {
            return false;
        }
        push_bytes(quoted(word & 0xff_ffff, 0, 3), 5, out);
    } else {
        return false;
    }
    debug_assert_eq!(out.len(), start + len + 2);
    true
}

/// [`push_string`] for a text that is very short, long, or needs escapes.
#[inline(never)]
fn push_any_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_at_checked(plain_len(rest)) {
        out.extend_from_slice(plain);
        let Some((special, after)) = tail.split_first() else { break };
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = after;
    }
    out.push(b'"');
}

/// Appends a JSON array; `push` appends one element.
pub(crate) fn push_array<T>(values: &[T], out: &mut Vec<u8>, push: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(value, out);
    }
    out.push(b']');
}

/// The text of `digits x 10^-places` with exactly these places, and its length: at most 8 bytes, for
/// digits below 10^7 and up to six places.
#[inline]
const fn seven_bytes(digits: u32, places: u32) -> (u64, u32) {
    let text = eight_digits(digits);
    // Drop the leading zeros, except one before the point.
    let leading = (text ^ ZEROS).trailing_zeros() / 8;
    let most = 7_u32.wrapping_sub(places);
    let zeros = if leading < most { leading } else { most };
    let len = 8_u32.wrapping_sub(zeros);
    let text = text >> (zeros.wrapping_mul(8) & 63);
    if places == 0 {
        return (text, len);
    }
    let point = len.wrapping_sub(places).wrapping_mul(8) & 63;
    let before = (1_u64 << point).wrapping_sub(1);
    (text & before | (b'.' as u64) << point | (text & !before) << 8, len.wrapping_add(1))
}

/// Appends an integer.
#[expect(clippy::cast_possible_truncation, reason = "each part is below 10^8")]
pub(crate) fn push_u64(value: u64, out: &mut Vec<u8>) {
    let (high, low) = (value / EIGHT_DIGITS, (value % EIGHT_DIGITS) as u32);
    if high == 0 {
        return push_first(low, out);
    }
    let (highest, high) = (high / EIGHT_DIGITS, (high % EIGHT_DIGITS) as u32);
    let low = u128::from(eight_digits(low));
    if highest == 0 {
        push_first(high, out);
        push_bytes(low, 8, out);
    } else {
        push_first(highest as u32, out);
        push_bytes(u128::from(eight_digits(high)) | low << 64, 16, out);
    }
}

/// Appends a number below 10^8.
#[inline]
fn push_first(value: u32, out: &mut Vec<u8>) {
    let text = eight_digits(value);
    let zeros = ((text ^ ZEROS).trailing_zeros() / 8).min(7);
    push_bytes(u128::from(text >> (8 * zeros)), 8_usize.wrapping_sub(zeros as usize), out);
}

/// Appends an integer.
pub(crate) fn push_i64(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(value.unsigned_abs(), out);
}

/// Appends a decimal as a JSON string without trailing zeros: `"187.4"`, `"-0.05"`, `"100"`. As a
/// JSON number, a reader on the way might turn it into a float.
pub(crate) fn push_decimal(value: Decimal, out: &mut Vec<u8>) {
    let parts = value.unpack();
    match parts.lo {
        digits @ 1..SEVEN_DIGITS
            if parts.mid == 0
                && parts.hi == 0
                && parts.scale <= 6
                && !parts.negative
                && (parts.scale == 0 || !digits.is_multiple_of(10)) =>
        {
            let (text, len) = seven_bytes(digits, parts.scale);
            let end = u128::from(QUOTE) << (len.wrapping_add(1).wrapping_mul(8) & 127);
            let word = u128::from(text) << 8 | u128::from(QUOTE) | end;
            push_bytes(word, (len as usize).wrapping_add(2), out);
        }
        _ => push_any_decimal(value, out),
    }
}

/// [`push_decimal`] for a number that is long, negative, zero, or has trailing zeros.
#[inline(never)]
fn push_any_decimal(value: Decimal, out: &mut Vec<u8>) {
    out.push(b'"');
    if let Ok(mut digits) = u64::try_from(value.mantissa().unsigned_abs()) {
        let mut places = value.scale();
        while places > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            places -= 1;
        }
        if value.is_sign_negative() && digits > 0 {
            out.push(b'-');
        }
        push_scaled(digits, places, out);
    } else {
        out.extend_from_slice(value.normalize().to_string().as_bytes());
    }
    out.push(b'"');
}

/// Appends `value x 10^-places` with exactly these places. Writes from the last digit to the first.
fn push_scaled(mut value: u64, mut places: u32, out: &mut Vec<u8>) {
    let mut text = [0_u8; SCALED_BYTES_MAX];
    let mut used = 0;
    let mut point = places > 0;
    for byte in text.iter_mut().rev() {
        used += 1;
        if point && places == 0 {
            *byte = b'.';
            point = false;
            continue;
        }
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
        places = places.saturating_sub(1);
        if value == 0 && !point {
            break;
        }
    }
    let Some(text) = text.get(SCALED_BYTES_MAX - used..) else {
        impossible!("a decimal has more digits than fit");
        return;
    };
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::json::swar::number_of_eight;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_have_no_trailing_zeros() {
        let check = |value: Decimal, expect: &str| {
            assert_eq!(text(|out| push_decimal(value, out)), format!("\"{expect}\""));
        };
        check(Decimal::ZERO, "0");
        check(Decimal::new(0, 5), "0");
        check(-Decimal::new(0, 5), "0");
        check(Decimal::new(100, 0), "100");
        check(Decimal::new(1_000, 1), "100");
        check(Decimal::new(-1_050, 2), "-10.5");
        check(Decimal::new(5, 2), "0.05");
        check(Decimal::new(1, 28), "0.0000000000000000000000000001");
        check(Decimal::MAX, "79228162514264337593543950335");
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_to_string_writes_them(value: i64, scale in 0_u32..=28) {
            let decimal = Decimal::new(value, scale);
            let quoted = |value: Decimal| text(|out| push_decimal(value, out));
            let expect = |value: Decimal| format!("\"{}\"", value.normalize());
            prop_assert_eq!(quoted(decimal), expect(decimal));
            let few = Decimal::new(value % 1_000_000_000, scale);
            prop_assert_eq!(quoted(few), expect(few));
            prop_assert_eq!(text(|out| push_i64(value, out)), value.to_string());
            for value in (0..20).map(|zeros| value.unsigned_abs() / 10_u64.pow(zeros)) {
                prop_assert_eq!(text(|out| push_u64(value, out)), value.to_string());
            }
        }

        #[test]
        fn eight_digits_are_read_back(value in 0_u32..100_000_000, place in 0_usize..8, other: u8) {
            let mut text = eight_digits(value).to_le_bytes();
            prop_assert_eq!(String::from_utf8_lossy(&text), format!("{value:08}"));
            prop_assert_eq!(number_of_eight(text), Some(value));
            text[place] = other;
            let expect = std::str::from_utf8(&text).ok().filter(|text| !text.contains('+'));
            prop_assert_eq!(number_of_eight(text), expect.and_then(|text| text.parse().ok()));
        }

        #[test]
        fn short_strings_are_quoted(short in r#"[ -~é]{0,20}|[a-z]{0,4}["\\a]"#) {
            let mut out = b"x".to_vec();
            let plain = !short.contains(['"', '\\']);
            if push_short_string(short.as_bytes(), &mut out) {
                prop_assert!(plain && (3..=14).contains(&short.len()));
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("x\"{short}\""));
            } else {
                prop_assert!(!plain || !(3..=14).contains(&short.len()));
                prop_assert_eq!(out, b"x");
            }
        }

        #[test]
        fn strings_are_written_as_json(any in any::<String>(), few in "[\"\\\\\u{1}\n\r\té日a]{0,12}") {
            for string in [any, few] {
                let written = text(|out| push_string(&string, out));
                prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), string);
            }
        }
    }
}
