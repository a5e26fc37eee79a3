//! Times as other systems print them: in a format of their own, perhaps without a zone.
//!
//! Input: a text, a format in the manner of `strftime`, a time zone. Output: [`Timestamp`]. Invariant: a
//! text without a zone has a time only if the reader names the zone. Absent: a clock. The zone is looked
//! up once, when a reader is made.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use crate::domain::time::Timestamp;
use crate::wire::time::{from_unix_nanos, parse_rfc3339};

/// Reads times in one format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalTimeReader {
    format: Option<String>,
    zone: Option<TimeZone>,
}

impl LocalTimeReader {
    /// A reader for `format` (`%d.%m.%Y %H:%M:%S`), or else ISO 8601, and for a zone of the IANA database
    /// (`America/New_York`).
    ///
    /// # Errors
    /// A sentence about the zone that does not exist.
    pub fn new(format: Option<String>, zone: Option<&str>) -> Result<Self, String> {
        let zone = match zone {
            None => None,
            Some(name) => {
                let found = TimeZone::get(name);
                Some(
                    found
                        .map_err(|_| String::from("must be a time zone, such as Europe/Berlin"))?,
                )
            }
        };
        Ok(Self { format, zone })
    }

    /// Whether times have a format of their own.
    #[must_use]
    pub const fn has_format(&self) -> bool {
        self.format.is_some()
    }

    /// The time in a text. A local time that a change of the clocks repeats is its first occurrence; one
    /// that it leaves out is moved by the length of the gap. `None`: it has another form, no zone, or is
    /// outside the years 1990 to 2200.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        let instant = match &self.format {
            None => match parse_rfc3339(text) {
                Ok(time) => return Some(time),
                // An offset that is no RFC 3339 would be left out without a word.
                Err(_) if text.get(10..)?.contains(['+', '-', '[', 'Z', 'z']) => return None,
                Err(_) => self.in_zone(text.parse::<DateTime>().ok()?)?,
            },
            Some(format) => {
                let broken = BrokenDownTime::parse(format, text).ok()?;
                match broken.to_timestamp() {
                    Ok(instant) => instant,
                    Err(_) => self.in_zone(broken.to_datetime().ok()?)?,
                }
            }
        };
        from_unix_nanos(&instant.as_nanosecond().to_string()).ok()
    }

    fn in_zone(&self, local: DateTime) -> Option<jiff::Timestamp> {
        let zone = self.zone.as_ref()?;
        Some(zone.to_ambiguous_zoned(local).compatible().ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::time::rfc3339;

    #[test]
    fn local_times_are_read_in_their_zone() {
        let check = |format: Option<&str>, zone: Option<&str>, text: &str, expect: Option<&str>| {
            let reader = LocalTimeReader::new(format.map(String::from), zone).unwrap();
            assert_eq!(reader.read(text).map(rfc3339).as_deref(), expect, "{text}");
        };
        let new_york = Some("America/New_York");
        check(None, None, "2026-07-01T10:00:00+02:00", Some("2026-07-01T08:00:00Z"));
        check(None, None, "2026-07-01 10:00:00", None);
        check(None, new_york, "2026-07-01 10:00:00.25", Some("2026-07-01T14:00:00.25Z"));
        check(None, new_york, "2026-01-05 10:00:00", Some("2026-01-05T15:00:00Z"));
        // The clocks go back at two, and forward at two.
        check(None, new_york, "2026-11-01 01:30:00", Some("2026-11-01T05:30:00Z"));
        check(None, new_york, "2026-03-08 02:30:00", Some("2026-03-08T07:30:00Z"));
        let german = Some("%d.%m.%Y %H:%M:%S");
        check(german, Some("Europe/Berlin"), "01.07.2026 10:00:00", Some("2026-07-01T08:00:00Z"));
        check(german, None, "01.07.2026 10:00:00", None);
        check(german, Some("Europe/Berlin"), "2026-07-01 10:00:00", None);
        check(Some("%Y%m%d;%H%M%S"), Some("UTC"), "20260701;100000", Some("2026-07-01T10:00:00Z"));
        check(
            Some("%m/%d/%Y %H:%M %z"),
            None,
            "07/01/2026 10:00 -0400",
            Some("2026-07-01T14:00:00Z"),
        );
        check(None, new_york, "1970-01-01 00:00:00", None);
        check(None, new_york, "", None);
        check(None, new_york, "2026-07-01 08:00:00+00", None);
        check(None, new_york, "2026-07-01 08:00:00[UTC]", None);
        check(Some("%Y%m%d%H%M%S"), Some("UTC"), "20260701100000", Some("2026-07-01T10:00:00Z"));
        assert!(LocalTimeReader::new(None, Some("Europe/Atlantis")).is_err());
    }
}
