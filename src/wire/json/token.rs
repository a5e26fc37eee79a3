//! The raw text of one JSON value, with what the pass that found its end learnt of it.
//!
//! Input: text that is known to be one well-formed value. Invariant: what is learnt is a shortcut
//! and says nothing that the text does not say; any value but `null` may be [`Raw::Json`].

use crate::domain::units::{Decimal, from_digits};

/// The raw text of one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    /// A string without escapes: what stands between its quotes.
    Text(&'a str),
    /// A number of few digits.
    Number(Short),
    /// `null`.
    Null,
    /// Any other value: its text.
    Json(&'a str),
}

impl<'a> Raw<'a> {
    /// A value of which nothing but its text is known.
    pub(crate) fn of(json: &'a str) -> Self {
        if json == "null" { Self::Null } else { Self::Json(json) }
    }

    /// Whether it is a string.
    pub(crate) fn is_string(self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Json(text) => text.starts_with('"'),
            Self::Number(_) | Self::Null => false,
        }
    }

    /// The text of an array or an object; nothing for what is known to be neither.
    pub(crate) const fn nested(self) -> &'a str {
        match self {
            Self::Json(text) => text,
            Self::Text(_) | Self::Number(_) | Self::Null => "",
        }
    }
}

/// `digits x 10^-places`: at most 19 digits, of which so many are decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// All digits, with the sign.
    pub(crate) digits: i64,
    /// How many of them stand behind the point.
    pub(crate) places: u32,
}

impl Short {
    /// The most bytes of its text without the sign: so many digits fit 64 bits without one.
    pub(crate) const BYTES_MAX: usize = 19;

    /// The exact value, normalized.
    pub(crate) fn decimal(self) -> Decimal {
        from_digits(self.digits, self.places)
    }

    /// Nanoseconds in so many seconds; what is left of a nanosecond is cut.
    pub(crate) fn nanos(self) -> i128 {
        match self.places.checked_sub(9) {
            None => i128::from(self.digits) * 10_i128.pow(9 - self.places),
            Some(beyond) => i128::from(self.digits / 10_i64.pow(beyond)),
        }
    }
}
