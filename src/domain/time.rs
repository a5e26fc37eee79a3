//! Points in time as integers. They are always arguments; nothing here reads a clock.
//!
//! Input: nanoseconds since the Unix epoch. Output: [`Timestamp`] and differences in nanoseconds.
//! Invariant: a timestamp lies in the years 1990 to 2200. Deliberately absent: a clock (see
//! `crate::clock`), time zones and text (see `crate::wire`).

use std::num::NonZeroI64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds in one second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A time outside the years 1990 to 2200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lies outside the years 1990 to 2200")]
pub struct TimeError;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, from 1990 to 2200. Never 0, so that an
/// `Option` of it takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Timestamp(NonZeroI64);

impl TryFrom<i64> for Timestamp {
    type Error = TimeError;

    fn try_from(nanos: i64) -> Result<Self, TimeError> {
        Self::from_nanos(nanos)
    }
}

impl Timestamp {
    /// 1990-01-01T00:00:00Z, the earliest accepted time.
    pub const MIN: Self = Self::of(631_152_000 * NANOS_PER_SECOND);
    /// 2200-01-01T00:00:00Z, the end of the accepted range (exclusive).
    pub const MAX: Self = Self::of(7_258_118_400 * NANOS_PER_SECOND);

    /// Checks the range of `nanos` since the Unix epoch.
    ///
    /// # Errors
    /// [`TimeError`] outside the years 1990 to 2200.
    pub fn from_nanos(nanos: i64) -> Result<Self, TimeError> {
        let time = NonZeroI64::new(nanos).map(Self).ok_or(TimeError)?;
        if (Self::MIN..Self::MAX).contains(&time) { Ok(time) } else { Err(TimeError) }
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0.get()
    }

    /// A time inside the range.
    const fn of(nanos: i64) -> Self {
        match NonZeroI64::new(nanos) {
            Some(nanos) => Self(nanos),
            None => Self(NonZeroI64::MIN),
        }
    }

    /// Seconds since the Unix epoch, for the exposition.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a float of seconds is what Prometheus takes")]
    pub fn as_seconds(self) -> f64 {
        // Whole seconds convert exactly, so only the fraction is rounded.
        let nanos = self.as_nanos();
        (nanos / NANOS_PER_SECOND) as f64 + (nanos % NANOS_PER_SECOND) as f64 / 1e9
    }

    /// `self - earlier` in nanoseconds; negative when `earlier` is later. Cannot overflow.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.as_nanos() - earlier.as_nanos()
    }

    /// Whether more than `limit` has passed since `earlier`.
    #[must_use]
    pub fn is_past(self, earlier: Self, limit: Duration) -> bool {
        self.since(earlier) > nanos(limit)
    }

    /// Whether the two times are at most `limit` apart, in either direction.
    #[must_use]
    pub fn is_within(self, other: Self, limit: Duration) -> bool {
        self.since(other).abs() <= nanos(limit)
    }

    /// `self + duration`, clamped to the accepted range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::of(self.as_nanos().saturating_add(nanos(duration)).min(Self::MAX.as_nanos() - 1))
    }

    /// `self - duration`, clamped to the accepted range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::of(self.as_nanos().saturating_sub(nanos(duration)).max(Self::MIN.as_nanos()))
    }
}

/// The latency from one fact to the next, in nanoseconds, at least 0; none: the clocks that dated them
/// disagree. Many venues truncate their times to whole seconds, so for such a time a latency of less
/// than a second below 0 counts as 0.
#[must_use]
pub const fn latency(from: Timestamp, to: Timestamp) -> Option<i64> {
    let nanos = to.since(from);
    let is_truncated = to.as_nanos() % NANOS_PER_SECOND == 0;
    match nanos {
        0.. => Some(nanos),
        _ if is_truncated && nanos > -NANOS_PER_SECOND => Some(0),
        _ => None,
    }
}

/// A duration as nanoseconds, saturating at 292 years.
#[must_use]
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A difference in nanoseconds as seconds, for the exposition.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a float of seconds is what Prometheus takes")]
pub fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
