//! Readers of single values: numbers, durations, sizes, names, each within its bounds.
//!
//! Input: a node. Output: a value, or the rule it breaks. Invariants: decimals are parsed from their
//! text and never rounded; nothing is clamped. A duration is written as in Prometheus (`1m30s`), a size
//! with a binary unit (`8MiB`).

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::yaml::{YamlNode, YamlValue};
use crate::domain::closed_set::ClosedSet;
use crate::domain::ids::{self, IdError};
use crate::domain::pattern::Pattern;
use crate::domain::units::{Decimal, parse_decimal};

/// The rule that a value breaks, as the end of a sentence that begins with the path of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueError(pub(super) String);

impl ValueError {
    pub(super) fn must(what: impl Display) -> Self {
        Self(format!("must be {what}"))
    }
}

/// The units of a duration, longest first, in milliseconds.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The units of a size.
const SIZE_UNITS: [(&str, u64); 6] =
    [("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The text of a single value.
pub(super) fn text(node: &YamlNode) -> Result<&str, ValueError> {
    match &node.value {
        YamlValue::Scalar(text) => Ok(text),
        YamlValue::Null | YamlValue::List(_) | YamlValue::Map(_) => {
            Err(ValueError::must("a single value"))
        }
    }
}

/// A whole number in a range.
pub(super) fn count<T>(range: RangeInclusive<T>) -> impl FnOnce(&YamlNode) -> Result<T, ValueError>
where
    T: std::str::FromStr + PartialOrd + Display,
{
    move |node| {
        let value = text(node)?.parse().ok().filter(|n| range.contains(n));
        let (low, high) = (range.start(), range.end());
        value.ok_or_else(|| ValueError::must(format_args!("a whole number from {low} to {high}")))
    }
}

/// A number of bytes in a range: `512`, `64KiB`, `8MiB`.
pub(super) fn size(
    range: RangeInclusive<u64>,
) -> impl FnOnce(&YamlNode) -> Result<u64, ValueError> {
    move |node| {
        let value = parse_size(text(node)?).filter(|n| range.contains(n));
        value.ok_or_else(|| {
            let (low, high) = (show_size(*range.start()), show_size(*range.end()));
            ValueError::must(format_args!("bytes from {low} to {high}, like 512KiB or 8MiB"))
        })
    }
}

/// Like [`size`], for sizes in memory.
pub(super) fn size_in_memory(
    range: RangeInclusive<u64>,
) -> impl FnOnce(&YamlNode) -> Result<usize, ValueError> {
    move |node| {
        let bytes = size(range)(node)?;
        usize::try_from(bytes).map_err(|_| ValueError::must("less than this machine can address"))
    }
}

/// A duration in a range.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&YamlNode) -> Result<Duration, ValueError> {
    move |node| {
        let value = parse_duration(text(node)?).filter(|d| range.contains(d));
        value.ok_or_else(|| {
            let (low, high) = (show_duration(*range.start()), show_duration(*range.end()));
            ValueError::must(format_args!(
                "a duration from {low} to {high}, like 500ms, 5s or 1m30s"
            ))
        })
    }
}

/// A number for statistics: in a range, and finite.
pub(super) fn number(
    range: RangeInclusive<f64>,
) -> impl FnOnce(&YamlNode) -> Result<f64, ValueError> {
    move |node| {
        // Parse as a decimal first: it refuses the spellings `inf` and `nan` of a float.
        let text = text(node)?;
        let value = parse_decimal(text).ok().and_then(|_| text.parse().ok());
        let (low, high) = (range.start(), range.end());
        let value = value.filter(|n| range.contains(n));
        value.ok_or_else(|| ValueError::must(format_args!("a number from {low} to {high}")))
    }
}

/// Like [`number`], but greater than zero.
pub(super) fn positive_number(max: f64) -> impl FnOnce(&YamlNode) -> Result<f64, ValueError> {
    move |node| {
        let value = number(0.0..=max)(node).ok().filter(|n| *n > 0.0);
        value
            .ok_or_else(|| ValueError::must(format_args!("a number greater than 0, at most {max}")))
    }
}

/// The largest threshold, multiplier or rate: a product of three still fits a [`Decimal`].
pub(super) const DECIMAL_MAX: i64 = 1_000_000_000;

/// An exact decimal greater than zero.
pub(super) fn positive_decimal(node: &YamlNode) -> Result<Decimal, ValueError> {
    let value = parse_decimal(text(node)?).map_err(|e| ValueError(e.to_string()))?;
    if value <= Decimal::ZERO || value > Decimal::from(DECIMAL_MAX) {
        let what = format_args!("a decimal number greater than 0, at most {DECIMAL_MAX}");
        return Err(ValueError::must(what));
    }
    Ok(value)
}

/// An exact decimal from zero to `max`.
pub(super) fn decimal_up_to(max: i64) -> impl FnOnce(&YamlNode) -> Result<Decimal, ValueError> {
    move |node| {
        let value = parse_decimal(text(node)?).map_err(|e| ValueError(e.to_string()))?;
        let fits = (Decimal::ZERO..=Decimal::from(max)).contains(&value);
        fits.then_some(value)
            .ok_or_else(|| ValueError::must(format_args!("a decimal number from 0 to {max}")))
    }
}

/// `true` or `false`.
pub(super) fn flag(node: &YamlNode) -> Result<bool, ValueError> {
    word(&[("true", true), ("false", false)])(node)
}

/// A member of a closed set, by its word.
pub(super) fn choice<E: ClosedSet>(node: &YamlNode) -> Result<E, ValueError> {
    E::from_word(text(node)?).ok_or_else(|| ValueError::must(E::WORDS.join(" or ")))
}

/// One of these words.
pub(super) fn word<T: Copy>(
    words: &[(&str, T)],
) -> impl FnOnce(&YamlNode) -> Result<T, ValueError> {
    move |node| {
        let text = text(node)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            ValueError::must(all.join(" or "))
        })
    }
}

/// A name of the domain, checked by its constructor.
pub(super) fn name<T>(
    new: impl FnOnce(&str) -> Result<T, IdError>,
) -> impl FnOnce(&YamlNode) -> Result<T, ValueError> {
    move |node| new(text(node)?).map_err(|e| ValueError(e.to_string()))
}

/// A glob pattern: as long as a name may be.
pub(super) fn pattern(node: &YamlNode) -> Result<Pattern, ValueError> {
    let text = text(node)?;
    ids::check(text).map_err(|e| ValueError(e.to_string()))?;
    Ok(Pattern::new(text))
}

/// A list of at most `max` distinct values.
pub(super) fn list_of<T: PartialEq>(
    max: usize,
    read: impl Fn(&YamlNode) -> Result<T, ValueError>,
) -> impl FnOnce(&YamlNode) -> Result<Vec<T>, ValueError> {
    move |node| {
        let YamlValue::List(items) = &node.value else { return Err(ValueError::must("a list")) };
        if items.len() > max {
            return Err(ValueError(format!("must not have more than {max} entries")));
        }
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let value = read(item).map_err(|e| ValueError(format!("entry {index}: {}", e.0)))?;
            if values.contains(&value) {
                return Err(ValueError(format!("entry {index}: appears twice")));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// A path: not empty, at most 4,096 bytes.
pub(super) fn path(node: &YamlNode) -> Result<std::path::PathBuf, ValueError> {
    let text = text(node)?;
    if text.is_empty() || text.len() > 4_096 || text.contains('\0') {
        return Err(ValueError::must("a path"));
    }
    Ok(text.into())
}

/// An address to listen on, or a list of at most `max` of them.
pub(super) fn listen_addresses(
    max: usize,
) -> impl FnOnce(&YamlNode) -> Result<Vec<SocketAddr>, ValueError> {
    move |node| match &node.value {
        YamlValue::List(items) if items.is_empty() => {
            Err(ValueError(String::from("must not be empty")))
        }
        YamlValue::List(_) => list_of(max, |node| parse_listen_address(text(node)?))(node),
        YamlValue::Null | YamlValue::Scalar(_) | YamlValue::Map(_) => {
            Ok(vec![parse_listen_address(text(node)?)?])
        }
    }
}

/// Parses an address to listen on, in the forms that exporters take: an IP address and a port,
/// `localhost:PORT`, which is IPv4, or `:PORT`, which is every address of IPv6 and IPv4.
pub(super) fn parse_listen_address(text: &str) -> Result<SocketAddr, ValueError> {
    let port_of = |prefix: &str| text.strip_prefix(prefix)?.parse::<u16>().ok();
    let found = text
        .parse()
        .ok()
        .or_else(|| port_of("localhost:").map(|port| (Ipv4Addr::LOCALHOST, port).into()))
        .or_else(|| port_of(":").map(|port| (Ipv6Addr::UNSPECIFIED, port).into()));
    found.ok_or_else(|| {
        ValueError::must(
            "an IP address and a port, like 127.0.0.1:10471, [::1]:10471, localhost:10471, or \
             :10471 for all addresses",
        )
    })
}

/// A prefix of paths: `/name`, or `/name/name`; `/` and nothing are no prefix.
pub(super) fn route_prefix(node: &YamlNode) -> Result<String, ValueError> {
    parse_route_prefix(text(node)?)
}

/// Parses a prefix of paths. The result is empty or begins with a slash, and does not end with one.
pub(super) fn parse_route_prefix(text: &str) -> Result<String, ValueError> {
    let trimmed = text.trim_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_name =
        |name: &str| !name.is_empty() && !matches!(name, "." | "..") && name.bytes().all(plain);
    if trimmed.is_empty() {
        return Ok(String::new());
    }
    if trimmed.len() > 256 || !trimmed.split('/').all(is_name) {
        return Err(ValueError::must(
            "a path like /exporter, of letters, digits, and the characters - . _ ~",
        ));
    }
    Ok(format!("/{trimmed}"))
}

/// A host and a port, for a connection.
pub(super) fn host_and_port(node: &YamlNode) -> Result<String, ValueError> {
    let text = text(node)?;
    let fault = || ValueError::must("a host and a port, like broker.example:443");
    let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
    if !is_host(host) || !is_port(port) {
        return Err(fault());
    }
    Ok(text.to_owned())
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
}

/// The name of a host without a port, in lower case.
pub(super) fn host_name(node: &YamlNode) -> Result<String, ValueError> {
    let text = text(node)?;
    if !is_host(text) || text.starts_with('[') {
        return Err(ValueError::must("the name of a host, like exporter.example, without a port"));
    }
    Ok(text.to_ascii_lowercase())
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A URL with the scheme `http` or `https` and a host, without a user or password, which would appear
/// in logs.
pub(super) fn url(node: &YamlNode) -> Result<String, ValueError> {
    let text = text(node)?;
    check_url(text)?;
    Ok(text.to_owned())
}

/// Checks a URL that is not from the text by the same rules.
pub(super) fn check_url(text: &str) -> Result<(), ValueError> {
    if text.len() > 2_048 {
        return Err(ValueError::must("a URL of at most 2048 bytes"));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    let rest = rest.filter(|rest| rest.bytes().all(plain));
    let rest =
        rest.ok_or_else(|| ValueError::must("a URL that begins with http:// or https://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(ValueError(String::from("must not hold a user or a password")));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if !is_host(host) || port.is_some_and(|port| !is_port(port)) {
        return Err(ValueError::must("a URL with a host, like https://broker.example/health"));
    }
    Ok(())
}

/// A SHA-256 as 64 hexadecimal digits. Errors never repeat the value: it may be the token itself.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], ValueError> {
    let fault = || ValueError::must("64 hexadecimal digits: the SHA-256 of the token");
    let text = text.trim();
    if text.len() != 64 {
        return Err(fault());
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| fault())?;
        let digits = pair.bytes().all(|b| b.is_ascii_hexdigit());
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits).ok_or_else(fault)?;
    }
    Ok(hash)
}

/// Parses `1h30m`, `500ms`, `0`: each unit at most once, the longest first, as in Prometheus.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut units = DURATION_UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, millis) in DURATION_UNITS {
        if rest >= millis {
            parts.push(format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if parts.is_empty() { String::from("0") } else { parts.concat() }
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*bytes)
}

fn show_size(bytes: u64) -> String {
    let unit =
        SIZE_UNITS.iter().rev().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| bytes.to_string(), |(name, size)| format!("{}{name}", bytes / size))
}
