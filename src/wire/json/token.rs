//! A JSON value that is not parsed yet.
//!
//! Input: the text of one well-formed value. Invariant: a variant only saves work. It says nothing
//! that the text does not say, and any value except `null` may be [`RawJson::Other`].

use std::borrow::Cow;

use crate::domain::units::ShortDecimal;
use crate::wire::json::swar::has_backslash;

/// The unparsed text of one JSON value, and what the scanner already knows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawJson<'a> {
    /// A string without escapes: the text between its quotes.
    Text(&'a str),
    /// A number with few digits and no exponent, already parsed.
    Number(ShortDecimal),
    /// `null`.
    Null,
    /// The whole text of any value other than `null`.
    Other(&'a str),
}

impl<'a> RawJson<'a> {
    /// A value of which only the text is known.
    pub(crate) fn of(json: &'a str) -> Self {
        if json == "null" { Self::Null } else { Self::Other(json) }
    }

    /// `None` for `null`.
    #[inline]
    pub(crate) const fn not_null(self) -> Option<Self> {
        match self {
            Self::Null => None,
            Self::Text(_) | Self::Number(_) | Self::Other(_) => Some(self),
        }
    }

    /// The value of a string; borrowed if it contains no escape.
    ///
    /// # Errors
    /// See [`StringError`].
    #[inline]
    pub(crate) fn string(self, bytes_max: usize) -> Result<Cow<'a, str>, StringError> {
        match self {
            Self::Text(text) if text.len() <= bytes_max => Ok(Cow::Borrowed(text)),
            Self::Text(_) => Err(StringError::TooLong),
            Self::Other(json) => unescaped(json, bytes_max),
            Self::Number(_) | Self::Null => Err(StringError::NotAString),
        }
    }

    pub(crate) fn is_string(self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Other(text) => text.starts_with('"'),
            Self::Number(_) | Self::Null => false,
        }
    }

    /// The text if this may be an array or an object, else `""`.
    pub(crate) const fn nested(self) -> &'a str {
        match self {
            Self::Other(text) => text,
            Self::Text(_) | Self::Number(_) | Self::Null => "",
        }
    }
}

/// Why a value is not a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StringError {
    /// It is another kind of value.
    NotAString,
    /// It has more bytes than allowed.
    TooLong,
    /// It contains an escape that is not a character: half of a surrogate pair.
    BadEscape,
}

/// The length of the longest escape of one byte, `\u0041`.
const ESCAPE_BYTES_MAX: usize = 6;

fn unescaped(json: &str, bytes_max: usize) -> Result<Cow<'_, str>, StringError> {
    let inner = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let inner = inner.ok_or(StringError::NotAString)?;
    let text = if !has_backslash(inner.as_bytes()) {
        Cow::Borrowed(inner)
    } else if inner.len() / ESCAPE_BYTES_MAX > bytes_max {
        // Too long however it is escaped: do not unescape it to find out.
        return Err(StringError::TooLong);
    } else {
        Cow::Owned(serde_json::from_str(json).map_err(|_| StringError::BadEscape)?)
    };
    if text.len() > bytes_max { Err(StringError::TooLong) } else { Ok(text) }
}
