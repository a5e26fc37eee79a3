//! Numbers and label values as exposition text, the same in both formats.
//!
//! Input: values. Output: text appended to a buffer. Invariants: a float parses back to the same
//! float, and an integral one ends in `.0`; a label value contains no unescaped quote, backslash or
//! line feed. Deliberately absent: NaN, which callers omit.

use std::fmt::Write;

use crate::domain::limits;
use crate::domain::time::{NANOS_PER_SECOND, Timestamp};

/// Integral floats below this are written as integers; it is far below 2^53.
const EXACT_MAX: f64 = 1e15;

/// Appends a float: `1.0`, `-0.5`, `1e-7`, `+Inf`.
pub(super) fn push_float(out: &mut String, value: f64) {
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        if value < 0.0 {
            out.push('-');
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "integral, not negative and below 10^15"
        )]
        push_count(out, value.abs() as u64);
    } else {
        // Debug gives the shortest text that parses back to the same float. Writing to a String
        // cannot fail.
        write!(out, "{value:?}").ok();
    }
}

/// Appends a count as a float: `3.0`.
pub(super) fn push_count(out: &mut String, value: u64) {
    push_digits(out, value);
    out.push_str(".0");
}

/// Appends a point in time as exact Unix seconds: `1763821800.25`.
pub(super) fn push_seconds(out: &mut String, at: Timestamp) {
    let nanos = at.as_nanos().unsigned_abs();
    let (seconds, rest) =
        (nanos / NANOS_PER_SECOND.unsigned_abs(), nanos % NANOS_PER_SECOND.unsigned_abs());
    push_digits(out, seconds);
    let decimals = format!("{rest:09}");
    let decimals = decimals.trim_end_matches('0');
    out.push('.');
    out.push_str(if decimals.is_empty() { "0" } else { decimals });
}

fn push_digits(out: &mut String, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        let remainder = (value % 10) as u8;
        *digit = b'0' + remainder;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    let written = digits.get(digits.len() - used..).unwrap_or_default();
    out.push_str(std::str::from_utf8(written).unwrap_or_default());
}

/// Appends `name="value"`, with a comma before it unless it is the first label.
pub(super) fn push_label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() && !out.ends_with('{') {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    push_escaped(out, cut(value));
    out.push('"');
}

/// Appends text with `\`, `"` and line feeds escaped; neither format needs more.
fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    // The three are ASCII, so their bytes are never part of another character in UTF-8.
    while let Some(at) = rest.bytes().position(|b| matches!(b, b'\\' | b'"' | b'\n')) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        out.push_str(match tail.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'"') => "\\\"",
            _ => "\\n",
        });
        rest = tail.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// The text up to [`limits::ID_BYTES_MAX`] bytes, cut between characters. Names are never longer, by
/// their types; this bounds any other label value.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(limits::ID_BYTES_MAX)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(value: f64) -> String {
        let mut out = String::new();
        push_float(&mut out, value);
        out
    }

    fn label(value: &str) -> String {
        let mut out = String::new();
        push_label(&mut out, "l", value);
        out
    }

    /// The label value that a parser reads from an escaped text.
    fn unescaped(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, (c == '\\').then(|| chars.next()).flatten()) {
                ('\\', Some('n')) => out.push('\n'),
                ('\\', Some(escaped)) => out.push(escaped),
                (plain, _) => out.push(plain),
            }
        }
        out
    }

    #[test]
    fn floats_have_one_format() {
        let check = |value: f64, expect: &str| assert_eq!(float(value), expect);
        check(0.0, "0.0");
        check(-0.0, "0.0");
        check(1.0, "1.0");
        check(-1.0, "-1.0");
        check(10.0, "10.0");
        check(0.5, "0.5");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1.707_577_374_599_8, "1.7075773745998");
        check(999_999_999_999_999.0, "999999999999999.0");
        check(1e15, "1000000000000000.0");
        check(1e21, "1e21");
        check(1e-7, "1e-7");
        check(1_763_821_800.25, "1763821800.25");
        check(f64::MAX, "1.7976931348623157e308");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn counts_and_times_are_exact() {
        let check = |value: u64, expect: &str| {
            let mut out = String::new();
            push_count(&mut out, value);
            assert_eq!(out, expect);
        };
        check(0, "0.0");
        check(7, "7.0");
        check(u64::MAX, "18446744073709551615.0");
        let check = |nanos: i64, expect: &str| {
            let mut out = String::new();
            push_seconds(&mut out, Timestamp::from_nanos(nanos).expect("a time"));
            assert_eq!(out, expect);
        };
        check(1_763_821_800_000_000_000, "1763821800.0");
        check(1_763_821_800_250_000_000, "1763821800.25");
        check(1_763_821_800_000_000_001, "1763821800.000000001");
    }

    #[test]
    fn labels_are_escaped_and_cut() {
        let check = |value: &str, expect: &str| assert_eq!(label(value), expect);
        check("", "l=\"\"");
        check("BTC/USDT:USDT", "l=\"BTC/USDT:USDT\"");
        check("a\"b", "l=\"a\\\"b\"");
        check("a\\", "l=\"a\\\\\"");
        check("a\nb", "l=\"a\\nb\"");
        check("\\n", "l=\"\\\\n\"");
        check("日経", "l=\"日経\"");
        assert_eq!(label(&"x".repeat(200)).len(), "l=\"\"".len() + 128);
        // A character that does not fit whole is dropped.
        assert_eq!(label(&"日".repeat(50)).len(), "l=\"\"".len() + 126);
    }

    #[test]
    fn labels_are_joined_by_commas() {
        let mut out = String::from("m{");
        push_label(&mut out, "a", "1");
        push_label(&mut out, "b", "2");
        assert_eq!(out, "m{a=\"1\",b=\"2\"");
    }

    proptest! {
        #[test]
        fn any_label_reads_back(value in "\\PC{0,30}|[\\\\\"\n{}#, a]{0,100}") {
            let text = label(&value);
            let inner = text.strip_prefix("l=\"").and_then(|t| t.strip_suffix('"')).expect("quotes");
            prop_assert!(!inner.contains('\n'));
            prop_assert_eq!(unescaped(inner), value);
        }

        #[test]
        fn any_float_reads_back(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let back: f64 = float(value).parse().expect("a float");
            prop_assert!((back - value).abs() == 0.0, "{} is {}", value, back);
        }
    }
}
