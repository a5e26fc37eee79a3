//! Points in time as text and numbers.
//!
//! Input: RFC 3339 with a zone, Unix seconds with fractions, Unix nanoseconds. Output:
//! [`Timestamp`], and RFC 3339 in UTC. Invariants: exact to the nanosecond, finer digits are cut;
//! nothing passes through a float. Absent: a clock, local times.
//!
//! # Design
//!
//! RFC 3339 is parsed by hand because most events have a time in this form and the times of a batch
//! mostly share their minute: `MinuteCache` keeps the last one, so that only the seconds are left
//! to parse. `jiff` would do neither this nor the cut at nine digits. Hot path: guarded by
//! benches/instructions. The test `the_calendar_agrees_with_jiff` compares every path with `jiff`,
//! which also writes the text.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::time::{NANOS_PER_SECOND, TimeError, Timestamp};
use crate::domain::units::{Decimal, NumberError, POWERS_OF_TEN, parse_decimal, truncated};
use crate::wire::json::number::fraction_digits;

/// Decimal places of a second in nanoseconds.
pub(crate) const NANOS_DIGITS: u32 = NANOS_PER_SECOND.ilog10();

/// Why a time was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeTextError {
    /// It is neither RFC 3339 nor a number.
    #[error("must be RFC 3339 with a zone, or a number of Unix seconds")]
    Form,
    /// It has the form of RFC 3339, but there is no such date or time of day.
    #[error("is no time of the calendar")]
    Calendar,
    /// It is not an integer.
    #[error("must be an integer of Unix nanoseconds")]
    NotNanoseconds,
    /// It is outside the years 1990 to 2200: probably in another unit.
    #[error(transparent)]
    Range(#[from] TimeError),
}

/// Parses RFC 3339 (section 5.6): `2026-11-22T14:30:00.02Z`, `2026-11-22t15:30:00+01:00`.
///
/// The fraction may have any number of digits; those after the ninth are cut. A leap second
/// (`:60`) is the second after it, as on POSIX clocks. A space is accepted in place of the `T`.
///
/// # Errors
/// [`TimeTextError::Form`] without a zone too, [`TimeTextError::Calendar`] for the 30th of
/// February, [`TimeTextError::Range`] outside the years 1990 to 2200.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, TimeTextError> {
    MinuteCache::default().parse_rfc3339(text)
}

/// Parses times, and remembers the minute of the last one.
#[derive(Debug, Default)]
pub(crate) struct MinuteCache {
    /// `2026-11-22T14:30`, and its Unix seconds.
    last: Option<([u8; 16], i64)>,
}

impl MinuteCache {
    /// Parses RFC 3339 with a zone, or decimal Unix seconds.
    #[inline]
    pub(crate) fn parse(&mut self, text: &str) -> Result<Timestamp, TimeTextError> {
        // Every RFC 3339 time contains a colon, usually at this position; a number never does.
        if text.as_bytes().get(13) == Some(&b':') || text.contains(':') {
            self.parse_rfc3339(text)
        } else {
            from_unix_seconds(text)
        }
    }

    fn parse_rfc3339(&mut self, text: &str) -> Result<Timestamp, TimeTextError> {
        let (head, rest) = text.as_bytes().split_first_chunk().ok_or(TimeTextError::Form)?;
        let [b':', s1, s2, rest @ ..] = rest else { return Err(TimeTextError::Form) };
        let minute = match self.last {
            Some((last, seconds)) if last == *head => Ok(seconds),
            _ => self.parse_minute(head),
        };
        // A wrong form anywhere comes before a wrong date, so a date error has to wait.
        if minute == Err(TimeTextError::Form) {
            return Err(TimeTextError::Form);
        }
        let (nanosecond, zone) = fraction(rest)?;
        let mut all_digits = true;
        let second = two_digits(*s1, *s2, &mut all_digits);
        if !all_digits {
            return Err(TimeTextError::Form);
        }
        let minute = minute?;
        if second > 60 {
            return Err(TimeTextError::Calendar);
        }
        let offset = if zone == b"Z" { 0 } else { offset_seconds(zone)? };
        let seconds = minute + i64::from(second) - i64::from(offset);
        // 64 bits of nanoseconds hold the years 1678 to 2262, the text may say 0 to 9999.
        let nanos = seconds.checked_mul(NANOS_PER_SECOND).ok_or(TimeError)?;
        Ok(Timestamp::from_nanos(nanos.saturating_add(nanosecond))?)
    }

    #[inline(never)]
    fn parse_minute(&mut self, head: &[u8; 16]) -> Result<i64, TimeTextError> {
        let minute = minute(head)?;
        self.last = Some((*head, minute));
        Ok(minute)
    }
}

/// Unix seconds of `2026-11-22T14:30` in UTC.
fn minute(text: &[u8; 16]) -> Result<i64, TimeTextError> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2] =
        text
    else {
        return Err(TimeTextError::Form);
    };
    let mut all_digits = true;
    let mut two = |tens, ones| two_digits(tens, ones, &mut all_digits);
    let year = two(y1, y2) * 100 + two(y3, y4);
    let (month, day, hour, minute) = (two(m1, m2), two(d1, d2), two(h1, h2), two(n1, n2));
    if !all_digits {
        return Err(TimeTextError::Form);
    }
    if hour > 23 || minute > 59 {
        return Err(TimeTextError::Calendar);
    }
    let days = days_since_epoch(year, month, day).ok_or(TimeTextError::Calendar)?;
    Ok(days * 86_400 + i64::from(hour * 3_600 + minute * 60))
}

/// Parses decimal Unix seconds: `1732285800.123456789`, `1.7322858e9`. Digits after the ninth
/// decimal place are cut.
fn from_unix_seconds(text: &str) -> Result<Timestamp, TimeTextError> {
    match truncated(text, NANOS_DIGITS) {
        Ok(nanos) => in_range(nanos),
        Err(NumberError::NotExact) => Err(TimeTextError::Range(TimeError)),
        Err(NumberError::NotANumber | NumberError::NotPositive) => Err(TimeTextError::Form),
    }
}

/// Parses an integer of Unix nanoseconds.
pub(crate) fn from_unix_nanos(text: &str) -> Result<Timestamp, TimeTextError> {
    if let Ok(nanos) = text.parse() {
        return Ok(Timestamp::from_nanos(nanos)?);
    }
    // Written as a decimal or with an exponent, or beyond 64 bits.
    from_decimal_nanos(parse_decimal(text).map_err(|_| TimeTextError::NotNanoseconds)?)
}

pub(crate) fn from_decimal_nanos(nanos: Decimal) -> Result<Timestamp, TimeTextError> {
    if nanos.scale() != 0 {
        return Err(TimeTextError::NotNanoseconds);
    }
    in_range(nanos.mantissa())
}

/// The time as RFC 3339 in UTC, without trailing zeros: `2026-11-22T14:30:00.02Z`.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    Rfc3339(time).to_string()
}

/// A point in time: RFC 3339 in UTC, up to nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(as = Time, value_type = String, format = DateTime, example = "2026-11-22T14:30:00.15Z")]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0.as_nanos());
        let instant = jiff::Timestamp::from_nanosecond(nanos).map_err(|_| fmt::Error)?;
        fmt::Display::fmt(&instant, f)
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The time at this many Unix nanoseconds.
pub(crate) fn in_range(nanos: i128) -> Result<Timestamp, TimeTextError> {
    let nanos = i64::try_from(nanos).map_err(|_| TimeError)?;
    Ok(Timestamp::from_nanos(nanos)?)
}

/// Two digits as a number; clears `all_digits` if one is not a digit.
fn two_digits(tens: u8, ones: u8, all_digits: &mut bool) -> u32 {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    *all_digits &= tens.max(ones) < 10;
    u32::from(tens) * 10 + u32::from(ones)
}

/// Days from 1970-01-01 to a day of the years 0 to 9999; `None` if there is no such day. Years begin
/// in March here, so that the leap day is the last one (Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms").
fn days_since_epoch(year: u32, month: u32, day: u32) -> Option<i64> {
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // January of year 0 would belong to year -1: add 400 years, which are 146,097 days.
    let (year, month) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let (centuries, day_of_year) = (year / 100, (153 * month + 2) / 5 + day - 1);
    let days = year * 365 + year / 4 - centuries + centuries / 4 + day_of_year;
    Some(i64::from(days) - 146_097 - 719_468)
}

/// Splits `.02Z` into nanoseconds and the text after them.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), TimeTextError> {
    let [b'.', rest @ ..] = text else { return Ok((0, text)) };
    // Up to seven digits at once: most clocks give three or six.
    let (mut nanos, mut places) = fraction_digits(text);
    while let Some(digit) = rest.get(places).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10)
    {
        if places < 9 {
            nanos = nanos * 10 + u32::from(digit);
        }
        places += 1;
    }
    if places == 0 {
        return Err(TimeTextError::Form);
    }
    let unit = POWERS_OF_TEN.get(9_usize.saturating_sub(places)).copied().unwrap_or_default();
    Ok((i64::from(nanos) * unit, rest.get(places..).unwrap_or_default()))
}

/// `Z`, `+01:00`, `-05:30`.
fn offset_seconds(text: &[u8]) -> Result<i32, TimeTextError> {
    match *text {
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', n1, n2] => {
            let mut all_digits = true;
            let hours = two_digits(h1, h2, &mut all_digits);
            let minutes = two_digits(n1, n2, &mut all_digits);
            if !all_digits {
                return Err(TimeTextError::Form);
            }
            if hours > 23 || minutes > 59 {
                return Err(TimeTextError::Calendar);
            }
            let seconds = (hours * 3_600 + minutes * 60).cast_signed();
            Ok(if sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(TimeTextError::Form),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::Offset;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const BASE: i64 = 1_795_357_800 * NANOS_PER_SECOND;

    #[test]
    fn rfc_3339_is_exact_to_the_nanosecond() {
        use TimeTextError::{Calendar, Form};
        let out = Err(TimeTextError::Range(TimeError));
        let check = |text: &str, expect: Result<i64, TimeTextError>| {
            assert_eq!(
                MinuteCache::default().parse(text).map(Timestamp::as_nanos),
                expect,
                "{text}"
            );
        };
        check("2026-11-22T14:30:00Z", Ok(BASE));
        check("2026-11-22t14:30:00z", Ok(BASE));
        check("2026-11-22 14:30:00+00:00", Ok(BASE));
        check("2026-11-22T14:30:00-00:00", Ok(BASE));
        check("2026-11-22T20:00:00+05:30", Ok(BASE));
        check("2026-11-22T09:30:00-05:00", Ok(BASE));
        check("2026-11-22T14:30:00.1Z", Ok(BASE + 100_000_000));
        check("2026-11-22T14:30:00.020Z", Ok(BASE + 20_000_000));
        check("2026-11-22T14:30:00.123456789Z", Ok(BASE + 123_456_789));
        check("2026-11-22T14:30:00.1234567899999999Z", Ok(BASE + 123_456_789));
        check("2016-12-31T23:59:60.5Z", Ok(1_483_228_800_500_000_000));
        check("1990-01-01T00:00:00Z", Ok(Timestamp::MIN.as_nanos()));
        check("2199-12-31T23:59:59.999999999Z", Ok(Timestamp::MAX.as_nanos() - 1));
        check("2200-01-01T00:00:00Z", out);
        check("1989-12-31T23:59:59.999999999Z", out);
        check("9999-12-31T23:59:59Z", out);
        check("2026-02-30T00:00:00Z", Err(Calendar));
        check("2026-13-01T00:00:00Z", Err(Calendar));
        check("2026-01-01T24:00:00Z", Err(Calendar));
        check("2026-01-01T00:00:61Z", Err(Calendar));
        check("2026-01-01T00:00:00+24:00", Err(Calendar));
        check("2026-11-22T14:30:00", Err(Form));
        check("2026-11-22T14:30Z", Err(Form));
        check("2026-11-22", Err(Form));
        check("2026-11-22T14:30:00.Z", Err(Form));
        check("2026-11-22T14:30:00+0100", Err(Form));
        check("2026-11-22T14:30:00Z[Europe/Paris]", Err(Form));
        check("2026-11-22T14:30:00Zé", Err(Form));
        check("+2026-11-22T14:30:00Z", Err(Form));
        check("2026-1-22T14:30:00Zx:", Err(Form));
        check("日本の時刻:日本の時刻日本の時刻", Err(Form));
        check("14:30:00Z", Err(Form));
        check("now", Err(Form));
        check("", Err(Form));
    }

    #[test]
    fn seconds_are_exact_to_the_nanosecond() {
        let out = Err(TimeTextError::Range(TimeError));
        let check = |text: &str, expect: Result<i64, TimeTextError>| {
            assert_eq!(
                MinuteCache::default().parse(text).map(Timestamp::as_nanos),
                expect,
                "{text}"
            );
        };
        check("1795357800", Ok(BASE));
        check("1795357800.0", Ok(BASE));
        check("1795357800.000000001", Ok(BASE + 1));
        check("1795357800.1234567899999", Ok(BASE + 123_456_789));
        check("1.7953578e9", Ok(BASE));
        check("17953578000000000000000e-13", Ok(BASE));
        check("1795357800123", out);
        check("0", out);
        check("0e2000000000", out);
        check("1e2000000000", out);
        check("1e99999999999", out);
        check("-1795357800", out);
        check("1e400", out);
        check("NaN", Err(TimeTextError::Form));
        check("Infinity", Err(TimeTextError::Form));
        check("1795357800Z", Err(TimeTextError::Form));
        check(" 1795357800", Err(TimeTextError::Form));
        check(".", Err(TimeTextError::Form));
        check("1e", Err(TimeTextError::Form));
    }

    #[test]
    fn nanoseconds_are_integers() {
        let check = |text: &str, expect: Result<i64, TimeTextError>| {
            assert_eq!(from_unix_nanos(text).map(Timestamp::as_nanos), expect, "{text}");
        };
        check("1709562622137000001", Ok(1_709_562_622_137_000_001));
        check("1.709562622137e18", Ok(1_709_562_622_137_000_000));
        check("1709562622137000000.5", Err(TimeTextError::NotNanoseconds));
        check("now", Err(TimeTextError::NotNanoseconds));
        check("1795357800", Err(TimeTextError::Range(TimeError)));
        check("99999999999999999999", Err(TimeTextError::Range(TimeError)));
    }

    #[test]
    fn durations_are_cut_to_nanoseconds() {
        let check = |text: &str, expect: i128| {
            assert_eq!(truncated(text, NANOS_DIGITS), Ok(expect), "{text}");
        };
        check("0.25", 250_000_000);
        check("0.00023031234741210938", 230_312);
        check("2.3841857910156e-07", 238);
        check("-0.5", -500_000_000);
        check("1e-10", 0);
        check("0e-2000000000", 0);
        check(".5", 500_000_000);
    }

    #[test]
    fn times_are_written_in_utc() {
        let check = |nanos: i64, expect: &str| {
            let time = Timestamp::from_nanos(nanos).expect("in range");
            assert_eq!(rfc3339(time), expect);
            assert_eq!(parse_rfc3339(expect), Ok(time));
        };
        check(BASE, "2026-11-22T14:30:00Z");
        check(BASE + 20_000_000, "2026-11-22T14:30:00.02Z");
        check(BASE + 1, "2026-11-22T14:30:00.000000001Z");
        check(Timestamp::MIN.as_nanos(), "1990-01-01T00:00:00Z");
    }

    /// Date, time of day, nanoseconds, and the zone in minutes.
    type Parts = (i16, [i8; 5], i32, i32);

    fn parts() -> impl Strategy<Value = Parts> {
        let year = prop_oneof![3 => 1985_i16..2205, 1 => 0_i16..10_000];
        let rest = [0_i8..14, 0..33, 0..25, 0..61, 0..60];
        (year, rest, 0_i32..1_000_000_000, -1_439_i32..1_440)
    }

    fn text((year, [month, day, hour, minute, second], nanos, zone): Parts) -> String {
        let (sign, hours, minutes) =
            (if zone < 0 { '-' } else { '+' }, zone.abs() / 60, zone.abs() % 60);
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}{sign}{hours:02}:{minutes:02}"
        )
    }

    /// The time according to `jiff`.
    fn known(
        (year, [month, day, hour, minute, second], nanos, zone): Parts,
    ) -> Result<Timestamp, TimeTextError> {
        let civil = DateTime::new(year, month, day, hour, minute, second, nanos)
            .map_err(|_| TimeTextError::Calendar)?;
        let zone = Offset::from_seconds(zone * 60).expect("less than a day");
        in_range(zone.to_timestamp(civil).map_err(|_| TimeError)?.as_nanosecond())
    }

    proptest! {
        #[test]
        fn the_calendar_agrees_with_jiff(times in vec((parts(), any::<bool>()), 1..6)) {
            let (mut reader, mut last) = (MinuteCache::default(), None);
            for (parts, again) in times {
                // Repeat a minute now and then.
                let (year, [month, day, hour, minute, second], nanos, zone) = parts;
                let minute = last.filter(|_| again).unwrap_or((year, [month, day, hour, minute]));
                last = Some(minute);
                let (year, [month, day, hour, minute]) = minute;
                let parts = (year, [month, day, hour, minute, second], nanos, zone);
                prop_assert_eq!(reader.parse(&text(parts)), known(parts), "{}", text(parts));
                prop_assert_eq!(parse_rfc3339(&text(parts)), known(parts), "{}", text(parts));
            }
        }
    }
}
