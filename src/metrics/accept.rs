//! Content negotiation: `Accept` and `Accept-Encoding` with their weights (RFC 9110, section 12).
//!
//! Input: the text of a header. Output: [`MediaRanges`], which give the [`Preference`] for one media
//! type, and [`accepts_coding`]. Invariant: a part that does not parse is skipped, never guessed.
//! Deliberately absent: parameters other than `version`, `charset` and `q`, which no format of ours
//! depends on.

use std::cmp::Reverse;

/// The media ranges of an `Accept` header, in their order.
#[derive(Debug)]
pub(super) struct MediaRanges<'a>(Vec<MediaRange<'a>>);

#[derive(Debug)]
struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    charset: Option<&'a str>,
    /// The weight `q` in thousandths, 0 to 1000.
    weight: u16,
}

/// A client's preference for a media type. The exporter serves the type with the greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Preference {
    /// The weight `q` in thousandths, 1 to 1000.
    weight: u16,
    /// How specific the range is: 0 `*/*`, 1 `text/*`, 2 `text/plain`, 3 and more with parameters.
    specificity: u8,
    /// The position in the header: the first one wins.
    position: Reverse<usize>,
}

impl<'a> MediaRanges<'a> {
    pub(super) fn parse(header: &'a str) -> Self {
        Self(split_unquoted(header, ',').filter_map(MediaRange::parse).collect())
    }

    /// The preference for `kind/subtype;version=version;charset=utf-8`. `None`: not acceptable.
    pub(super) fn preference(
        &self,
        kind: &str,
        subtype: &str,
        version: &str,
    ) -> Option<Preference> {
        let matching = self.0.iter().enumerate().filter_map(|(position, range)| {
            let specificity = range.specificity(kind, subtype, version)?;
            Some(Preference { weight: range.weight, specificity, position: Reverse(position) })
        });
        matching.max_by_key(|p| (p.specificity, p.weight, p.position)).filter(|p| p.weight > 0)
    }
}

impl<'a> MediaRange<'a> {
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
                // Parameters after the weight extend the range, not the media type.
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

    /// The specificity of this range. `None`: it does not match the type.
    fn specificity(&self, kind: &str, subtype: &str, version: &str) -> Option<u8> {
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

/// Whether an `Accept-Encoding` header accepts a content coding by name. `*` accepts none: a client
/// that can decode a coding names it.
pub(crate) fn accepts_coding(header: &str, coding: &str) -> bool {
    header.split(',').any(|item| {
        let (name, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
        let q = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let weight = q.and_then(|(_, value)| weight(value.trim()));
        name.trim().eq_ignore_ascii_case(coding) && weight.is_some_and(|weight| weight > 0)
    })
}

/// Parses a weight into thousandths: `0` or `1`, with up to three decimals.
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

/// Splits at the separators outside quoted strings.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_accepted_by_name_and_weight() {
        let check = |header: &str, expect: bool| {
            assert_eq!(accepts_coding(header, "gzip"), expect, "{header}");
        };
        check("", false);
        check("gzip", true);
        check("zstd, GZIP;q=0.5", true);
        check("gzip;q=0, zstd", false);
        check("gzip; q=0.001", true);
        check("gzip;Q=1.000", true);
        check("gzip;q=2", false);
        check("gzip;q=", false);
        check("gzip;level=9", false);
        check("deflate, br", false);
        check("*", false);
    }
}
