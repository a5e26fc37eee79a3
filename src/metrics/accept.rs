//! The `Accept` header as media ranges with weights (RFC 9110, section 12.5.1).
//!
//! Input: the header's text. Output: [`Ranges`], asked for the [`Preference`] of one media type.
//! Invariants: what cannot be read is passed over, never guessed. Deliberately absent: parameters
//! other than `version`, `charset` and `q`, which no format of ours depends on.

use std::cmp::Reverse;

/// The media ranges of one header, in their order.
#[derive(Debug)]
pub(super) struct Ranges<'a>(Vec<Range<'a>>);

/// One media range with its weight.
#[derive(Debug)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    charset: Option<&'a str>,
    weight: u16,
}

/// How much a client wants a media type; the greater one is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Preference {
    /// The weight `q` in thousandths, 1 to 1000.
    weight: u16,
    /// How closely the range names the type: 0 `*/*`, 1 `text/*`, 2 `text/plain`, 3 and more with
    /// parameters.
    closeness: u8,
    /// The place in the header.
    place: Reverse<usize>,
}

impl<'a> Ranges<'a> {
    /// Reads a header.
    pub(super) fn parse(header: &'a str) -> Self {
        Self(split_unquoted(header, ',').filter_map(Range::parse).collect())
    }

    /// How much `kind/subtype;version=version;charset=utf-8` is wanted; none: not acceptable.
    pub(super) fn preference(
        &self,
        kind: &str,
        subtype: &str,
        version: &str,
    ) -> Option<Preference> {
        let matching = self.0.iter().enumerate().filter_map(|(place, range)| {
            let closeness = range.closeness(kind, subtype, version)?;
            Some(Preference { weight: range.weight, closeness, place: Reverse(place) })
        });
        matching.max_by_key(|p| (p.closeness, p.weight, p.place)).filter(|p| p.weight > 0)
    }
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split_unquoted(text, ';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() {
            return None;
        }
        let mut range = Self { kind, subtype, version: None, charset: None, weight: 1000 };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            let (name, value) = (name.trim(), unquoted(value.trim()));
            if name.eq_ignore_ascii_case("q") {
                // What follows the weight are extensions of the range, not of the media type.
                range.weight = weight(value)?;
                break;
            }
            if name.eq_ignore_ascii_case("version") {
                range.version = Some(value);
            } else if name.eq_ignore_ascii_case("charset") {
                range.charset = Some(value);
            }
        }
        Some(range)
    }

    /// How closely this range names the type; none: it does not match.
    fn closeness(&self, kind: &str, subtype: &str, version: &str) -> Option<u8> {
        let parameters = u8::from(self.version.is_some()) + u8::from(self.charset.is_some());
        let fits = self.version.is_none_or(|v| v == version)
            && self.charset.is_none_or(|c| c.eq_ignore_ascii_case("utf-8"));
        if !fits {
            return None;
        }
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(kind) => Some(1),
            (own, sub) if own.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) => {
                Some(2 + parameters)
            }
            _ => None,
        }
    }
}

/// A weight in thousandths: `0`, `1`, with up to three decimals; none: not a weight.
fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// The text inside a pair of quotes, or the text as it is.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// Splits at separators that stand outside quoted strings.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c: char| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
}
