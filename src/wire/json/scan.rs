//! The fast path: reads a flat JSON object of plain scalars in one pass.
//!
//! Input: text, and where the object ends. Output: each name with its unparsed value; or `None`, if
//! the text has another form: a nested value, an escape, or an error. `None` is not a verdict: the
//! caller then asks `general`, which knows the whole grammar and says what is wrong. Invariant:
//! whatever is accepted here, `serde_json` accepts too, with the same names and values.
//!
//! Each function takes the text that is left and returns the text after what it consumed.

use crate::domain::units::ShortDecimal;
use crate::wire::json::head_table::HEAD_BYTES;
use crate::wire::json::number::scan_number;
use crate::wire::json::swar::{SevenBytes, number_of_seven, plain_len};
use crate::wire::json::token::RawJson;

/// Where an object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectEnd {
    /// At the end of the text; white space may follow.
    Text,
    /// At the end of its line; other white space may follow.
    Line,
}

/// The name of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberName<'a, K> {
    /// A name that the caller's look-up recognised.
    Known(K),
    /// Any name.
    Text(&'a str),
}

impl ObjectEnd {
    /// White space (RFC 8259, section 2) that may stand inside the object.
    const fn is_space(self, sign: char) -> bool {
        match sign {
            ' ' | '\t' | '\r' => true,
            '\n' => matches!(self, Self::Text),
            _ => false,
        }
    }

    #[inline(never)]
    fn skip_space(self, text: &str) -> &str {
        text.trim_start_matches(|sign| self.is_space(sign))
    }

    /// Consumes `sign`, and white space before it.
    #[inline]
    fn expect(self, text: &str, sign: char) -> Option<&str> {
        match text.as_bytes() {
            [0..=b' ', ..] => self.skip_space(text).strip_prefix(sign),
            _ => text.strip_prefix(sign),
        }
    }

    /// Consumes the comma before the next member and the opening quote of its name; `None` if no
    /// member follows.
    #[inline]
    fn next_name(self, text: &str) -> Option<&str> {
        // The two usual spellings first.
        text.strip_prefix(",\"")
            .or_else(|| text.strip_prefix(", \""))
            .or_else(|| self.expect(self.expect(text, ',')?, '"'))
    }

    /// Consumes the closing brace and the rest of the text or line, which must be blank.
    fn finish(self, text: &str) -> Option<&str> {
        let after = self.expect(text, '}')?;
        if self == Self::Line
            && let Some(next) = after.strip_prefix('\n')
        {
            return Some(next);
        }
        let rest = self.skip_space(after);
        // Of white space, only the end of a line is left now.
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('\n') }
    }
}

/// Passes each member of the flat object at `from` to `visit`, and returns the position after the
/// object (and after its line end).
///
/// `known_name` gets the bytes after the opening quote of a name, and returns the key of that name
/// and its length with the closing quote and colon: see `HeadTable::find`. `None`: the object is not
/// flat and plain; ignore the members that were visited so far.
#[inline]
pub(crate) fn each_member<'a, K>(
    text: &'a str,
    from: usize,
    end: ObjectEnd,
    known_name: impl Fn(&[u8; HEAD_BYTES]) -> Option<(K, usize)>,
    mut visit: impl FnMut(MemberName<'a, K>, RawJson<'a>),
) -> Option<usize> {
    let mut rest = end.expect(text.get(from..)?, '{')?;
    let mut next = end.expect(rest, '"');
    while let Some(name) = next {
        rest = match name.as_bytes().first_chunk().and_then(&known_name) {
            Some((key, len)) => {
                scalar(name.get(len..)?, end, |raw| visit(MemberName::Known(key), raw))?
            }
            None => other_member(name, end, &mut visit)?,
        };
        next = end.next_name(rest);
    }
    Some(text.len() - end.finish(rest)?.len())
}

/// A member whose name is not known, or not followed by its colon at once.
#[inline(never)]
fn other_member<'a, K>(
    text: &'a str,
    end: ObjectEnd,
    visit: &mut impl FnMut(MemberName<'a, K>, RawJson<'a>),
) -> Option<&'a str> {
    let (name, rest) = string(text)?;
    scalar(end.expect(rest, ':')?, end, |raw| visit(MemberName::Text(name), raw))
}

/// Passes the first scalar of `text` to `visit`, and returns the text after it. Each form has a call of
/// `visit` of its own, so that no form is moved to where the others are.
#[expect(clippy::inline_always, reason = "a call, for each field, is as long as a short scalar")]
#[inline(always)]
fn scalar<'a>(text: &'a str, end: ObjectEnd, visit: impl FnOnce(RawJson<'a>)) -> Option<&'a str> {
    // Many senders write a space after the colon.
    let text = text.strip_prefix(' ').unwrap_or(text);
    if let Some(inner) = text.strip_prefix('"') {
        let (string, rest) = string(inner)?;
        visit(RawJson::Text(string));
        return Some(rest);
    }
    if let Some(head) = text.as_bytes().first_chunk()
        && let Some(SevenBytes { digits, places, len }) = number_of_seven(*head)
    {
        visit(RawJson::Number(ShortDecimal { digits: digits.into(), scale: places }));
        return text.get(len..);
    }
    let (raw, rest) = other_scalar(text, end)?;
    visit(raw);
    Some(rest)
}

/// Splits `text`, which begins after an opening quote, at the closing one: (string, rest). `None` if
/// the string does not end or contains an escape.
#[inline]
fn string(text: &str) -> Option<(&str, &str)> {
    let len = plain_len(text.as_bytes());
    if text.as_bytes().get(len) != Some(&b'"') {
        return None;
    }
    Some((text.get(..len)?, text.get(len + 1..)?))
}

/// [`scalar`] for everything but a string or a short number with at most one space before it.
#[inline(never)]
fn other_scalar(text: &str, end: ObjectEnd) -> Option<(RawJson<'_>, &str)> {
    let text = end.skip_space(text);
    if let Some(inner) = text.strip_prefix('"') {
        let (string, rest) = string(inner)?;
        return Some((RawJson::Text(string), rest));
    }
    let (len, short) = match text.as_bytes() {
        rest @ [b'-' | b'0'..=b'9', ..] => scan_number(rest)?,
        [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => (4, None),
        [b'f', b'a', b'l', b's', b'e', ..] => (5, None),
        _ => return None,
    };
    let (scalar, rest) = text.split_at_checked(len)?;
    Some((short.map_or_else(|| RawJson::of(scalar), RawJson::Number), rest))
}
