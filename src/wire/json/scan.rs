//! A flat JSON object of plain scalars, taken apart in one pass: the form of nearly every event.
//!
//! Input: text, and what ends the object. Output: each name with its raw value, or that the text is
//! not of this form: it nests, holds an escape, or is no JSON; then `serde_json` reads it, which
//! knows the whole grammar and tells what is wrong. Invariant: what is taken here, `serde_json` takes
//! too, as the same pairs (a test holds that). It is here because it makes decoding an event three
//! times as fast: a general parser finds each string's end twice and asks a visitor at every step.

use crate::wire::contract::field::Field;
use crate::wire::json::swar::{SevenBytes, number_of_eight, number_of_seven, plain_len};
use crate::wire::json::token::{Raw, Short};

/// Where an object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the text; white space may follow.
    Text,
    /// With its line; other white space may follow.
    Line,
}

/// A name in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// One of the contract.
    Known(Field),
    /// Any name.
    Text(&'a str),
}

impl End {
    /// White space, RFC 8259, section 2.
    const fn is_space(self, sign: char) -> bool {
        match sign {
            ' ' | '\t' | '\r' => true,
            '\n' => matches!(self, Self::Text),
            _ => false,
        }
    }

    #[inline(never)]
    fn behind_space(self, text: &str) -> &str {
        text.trim_start_matches(|sign| self.is_space(sign))
    }

    /// What stands behind `sign`, if it comes next.
    #[inline]
    fn expect(self, text: &str, sign: char) -> Option<&str> {
        match text.as_bytes() {
            [0..=b' ', ..] => self.behind_space(text).strip_prefix(sign),
            _ => text.strip_prefix(sign),
        }
    }

    /// The next name, if a comma comes before it: what stands behind its quote.
    #[inline]
    fn next_name(self, text: &str) -> Option<&str> {
        // As most write it, and as many others do.
        text.strip_prefix(",\"")
            .or_else(|| text.strip_prefix(", \""))
            .or_else(|| self.expect(self.expect(text, ',')?, '"'))
    }

    /// What stands behind the end of the object, if nothing else comes.
    fn reached(self, text: &str) -> Option<&str> {
        let behind = self.expect(text, '}')?;
        if self == Self::Line
            && let Some(next) = behind.strip_prefix('\n')
        {
            return Some(next);
        }
        let rest = self.behind_space(behind);
        // White space that was not skipped: the end of the line.
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('\n') }
    }
}

/// Hands each pair of the flat object that begins at `from` to `visit`, and gives the place behind
/// its end. None: it is not of this form, and what was handed over before counts for nothing.
#[inline]
pub(crate) fn each_pair<'a>(
    text: &'a str,
    from: usize,
    end: End,
    mut visit: impl FnMut(Name<'a>, Raw<'a>),
) -> Option<usize> {
    let mut behind = end.expect(text.get(from..)?, '{')?;
    let mut next = end.expect(behind, '"');
    while let Some(name) = next {
        behind = match known_name(name) {
            Some((field, value)) => {
                let (raw, behind) = scalar(value, end)?;
                visit(Name::Known(field), raw);
                behind
            }
            None => other_pair(name, end, &mut visit)?,
        };
        next = end.next_name(behind);
    }
    Some(text.len() - end.reached(behind)?.len())
}

/// The field whose name stands next, behind its quote, and what stands behind its colon.
#[inline]
fn known_name(text: &str) -> Option<(Field, &str)> {
    let (field, len) = Field::at_head(text.as_bytes().first_chunk()?)?;
    Some((field, text.get(len..)?))
}

/// The same of a pair whose name is not known, or not followed by its colon at once: hands it to
/// `visit`, and gives what stands behind it.
#[inline(never)]
fn other_pair<'a>(
    text: &'a str,
    end: End,
    visit: &mut impl FnMut(Name<'a>, Raw<'a>),
) -> Option<&'a str> {
    let (name, behind) = string(text)?;
    let value = end.expect(behind, ':')?;
    let (raw, behind) = scalar(value, end)?;
    visit(Name::Text(name), raw);
    Some(behind)
}

/// The scalar that stands next, and what stands behind it.
#[expect(clippy::inline_always, reason = "a call, for each field, is as long as a short scalar")]
#[inline(always)]
fn scalar(text: &str, end: End) -> Option<(Raw<'_>, &str)> {
    // Many write one behind each colon.
    let text = text.strip_prefix(' ').unwrap_or(text);
    if let Some(inner) = text.strip_prefix('"') {
        let (string, behind) = string(inner)?;
        return Some((Raw::Text(string), behind));
    }
    if let Some(head) = text.as_bytes().first_chunk()
        && let Some(SevenBytes { digits, places, len }) = number_of_seven(*head)
    {
        return Some((Raw::Number(Short { digits: digits.into(), places }), text.get(len..)?));
    }
    other_scalar(text, end)
}

/// The text of the string that begins here, behind its quote, and what stands behind the other one;
/// none when it does not end or holds an escape.
#[inline]
fn string(text: &str) -> Option<(&str, &str)> {
    let len = plain_len(text.as_bytes());
    if text.as_bytes().get(len) != Some(&b'"') {
        return None;
    }
    Some((text.get(..len)?, text.get(len + 1..)?))
}

/// The same of a scalar that is neither a number of few bytes nor a string with no space before it.
#[inline(never)]
fn other_scalar(text: &str, end: End) -> Option<(Raw<'_>, &str)> {
    let text = end.behind_space(text);
    if let Some(inner) = text.strip_prefix('"') {
        let (string, behind) = string(inner)?;
        return Some((Raw::Text(string), behind));
    }
    let (len, short) = match text.as_bytes() {
        rest @ [b'-' | b'0'..=b'9', ..] => number(rest)?,
        [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => (4, None),
        [b'f', b'a', b'l', b's', b'e', ..] => (5, None),
        _ => return None,
    };
    let (scalar, behind) = text.split_at_checked(len)?;
    Some((short.map_or_else(|| Raw::of(scalar), Raw::Number), behind))
}

/// How long the number is that begins here, RFC 8259, section 6; and what it is, if it is short.
fn number(text: &[u8]) -> Option<(usize, Option<Short>)> {
    let start = usize::from(text.first() == Some(&b'-'));
    let (mut digits, mut end) = digits(text, start, 0);
    let (whole, mut places) = (end - start, 0);
    if whole == 0 || whole > 1 && text.get(start) == Some(&b'0') {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        let point = end;
        (digits, end) = self::digits(text, point + 1, digits);
        places = end - (point + 1);
        if places == 0 {
            return None;
        }
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        let (_, end) = self::digits(text, exponent, 0);
        return (end > exponent).then_some((end, None));
    }
    if end - start > Short::BYTES_MAX {
        return Some((end, None));
    }
    let signed = |digits: i64| if start == 1 { -digits } else { digits };
    let digits = i64::try_from(digits).ok().map(signed);
    let short = digits.zip(u32::try_from(places).ok());
    Some((end, short.map(|(digits, places)| Short { digits, places })))
}

/// Takes the digits that begin at `at` to the right of `value`, and gives the place behind them too.
/// More than 19 of them make nothing that means anything.
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::units::parse_decimal;

    fn pairs_of(text: &str) -> Option<Vec<(&str, Raw<'_>)>> {
        let mut pairs = Vec::new();
        let visit = |name, raw| match name {
            Name::Known(field) => pairs.push((Field::name(field), raw)),
            Name::Text(text) => pairs.push((text, raw)),
        };
        let end = each_pair(text, 0, End::Text, visit)?;
        assert_eq!(end, text.len());
        Some(pairs)
    }

    /// Whether a raw value is that JSON.
    fn is_json(raw: Raw<'_>, json: &str) -> bool {
        match raw {
            Raw::Json(text) => text == json && json != "null",
            Raw::Null => json == "null",
            Raw::Text(text) => format!("\"{text}\"") == json,
            Raw::Number(short) => parse_decimal(json) == Ok(short.decimal()),
        }
    }

    /// What `serde_json` makes of it, by name.
    fn known(text: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
        serde_json::from_str(text).ok()
    }

    fn agrees(text: &str) -> bool {
        let Some(pairs) = pairs_of(text) else { return true };
        let last: BTreeMap<&str, Raw<'_>> = pairs.into_iter().collect();
        let known = known(text).unwrap_or_else(|| panic!("taken, and no JSON: {text}"));
        let is_known = |(name, raw): (&&str, &Raw<'_>)| {
            known.get(*name).is_some_and(|json| is_json(*raw, json.get()))
        };
        last.len() == known.len() && last.iter().all(is_known)
    }

    #[test]
    fn flat_objects_are_taken_and_nothing_else() {
        let check = |text: &str, expect: Option<&[(&str, &str)]>| {
            let pairs = pairs_of(text);
            assert_eq!(pairs.as_ref().map(Vec::len), expect.map(<[_]>::len), "{text}");
            for ((name, raw), (expect, json)) in pairs.iter().flatten().zip(expect.unwrap_or(&[])) {
                assert!(name == expect && is_json(*raw, json), "{name} {raw:?} in {text}");
            }
            assert!(agrees(text), "{text}");
        };
        check("{}", Some(&[]));
        check(" { \t} \n", Some(&[]));
        check(r#"{"a":"x","b":-1.5e+3}"#, Some(&[("a", "\"x\""), ("b", "-1.5e+3")]));
        check(
            "{ \"a\" : true , \"b\":false,\"c\": null }",
            Some(&[("a", "true"), ("b", "false"), ("c", "null")]),
        );
        check(
            r#"{"日本":"東京都千代田区","a":0}"#,
            Some(&[("日本", "\"東京都千代田区\""), ("a", "0")]),
        );
        check(r#"{"a":1,"a":2}"#, Some(&[("a", "1"), ("a", "2")]));
        let not_flat = [
            "",
            " ",
            "{",
            "{}{}",
            "{} x",
            "[]",
            "1",
            "\"a\"",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r"{,}",
            r"{a:1}",
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1e}"#,
            r#"{"a":1e+}"#,
            r#"{"a":+1}"#,
            r#"{"a":NaN}"#,
            r#"{"a":truex}"#,
            r#"{"a":nul}"#,
            r#"{"a":"x}"#,
            r#"{"a":"\n"}"#,
            r#"{"\u0061":1}"#,
            "{\"a\":\"x\ny\"}",
            "{\"a\":\"12345678\u{1}\"}",
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":1]"#,
            r#"{"a":00}"#,
            r#"{"a":-01}"#,
        ];
        for text in not_flat {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_json(text in r#"\{ ?("[a-c\\]{0,9}" ?: ?(-?[0-2]{0,3}[.e+]{0,2}[0-2]{0,2}|"[a"\\ü]{0,9}"|true|null|\[\]),?){0,3} ?[}\]] ?"#) {
            prop_assert!(agrees(&text), "{}", text);
        }
    }
}
