//! What can be wrong with a body, an event or a request: stable codes, and the place.
//!
//! Invariants: the set of codes is closed; no message quotes a value of the body, and a field's
//! name is cut to [`limits::ID_BYTES_MAX`] bytes. Deliberately absent: HTTP statuses.

use std::borrow::Cow;

use crate::domain::limits;
use crate::wire::contract::field::Field;

/// Why an event (or the field of a request) was refused. The text is stable: it stands in answers
/// and on metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The line is not JSON.
    InvalidJson,
    /// It is JSON, but not an object.
    InvalidEvent,
    /// `type` is none of the known ones.
    UnknownType,
    /// The type has no field of that name; a name of the sender's own begins with `x_`.
    UnknownField,
    /// The field is given more than once.
    DuplicateField,
    /// A required field is missing or `null`.
    MissingField,
    /// Not a name: empty, longer than 128 bytes, reserved, or with control or bidi characters.
    InvalidIdentifier,
    /// Not a text: no string, too long, or with control characters.
    InvalidText,
    /// None of the values that the field takes.
    InvalidValue,
    /// Not a number, or one outside the range of the field.
    InvalidNumber,
    /// Not a number, not greater than zero where it must be, or not exact.
    InvalidQuantity,
    /// Not a number, or not exact.
    InvalidPrice,
    /// Not a number, or not exact.
    InvalidAmount,
    /// Neither RFC 3339 with a zone nor a number, outside the years 1990 to 2200, or given twice.
    InvalidTime,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 14] = [
        Self::InvalidJson,
        Self::InvalidEvent,
        Self::UnknownType,
        Self::UnknownField,
        Self::DuplicateField,
        Self::MissingField,
        Self::InvalidIdentifier,
        Self::InvalidText,
        Self::InvalidValue,
        Self::InvalidNumber,
        Self::InvalidQuantity,
        Self::InvalidPrice,
        Self::InvalidAmount,
        Self::InvalidTime,
    ];

    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidEvent => "invalid_event",
            Self::UnknownType => "unknown_type",
            Self::UnknownField => "unknown_field",
            Self::DuplicateField => "duplicate_field",
            Self::MissingField => "missing_field",
            Self::InvalidIdentifier => "invalid_identifier",
            Self::InvalidText => "invalid_text",
            Self::InvalidValue => "invalid_value",
            Self::InvalidNumber => "invalid_number",
            Self::InvalidQuantity => "invalid_quantity",
            Self::InvalidPrice => "invalid_price",
            Self::InvalidAmount => "invalid_amount",
            Self::InvalidTime => "invalid_time",
        }
    }

    /// What it means, as one sentence for the published document.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::InvalidJson => "The line is not JSON.",
            Self::InvalidEvent => "It is JSON, but not an object.",
            Self::UnknownType => "`type` is none of the known ones.",
            Self::UnknownField => "The type has no field of that name.",
            Self::DuplicateField => "The field is given more than once.",
            Self::MissingField => "A required field is missing or null.",
            Self::InvalidIdentifier => {
                "Not a name: empty, too long, reserved, or with control or bidi characters."
            }
            Self::InvalidText => "Not a text: no string, too long, or with control characters.",
            Self::InvalidValue => "None of the values that the field takes.",
            Self::InvalidNumber => "Not a number, or one outside the range of the field.",
            Self::InvalidQuantity => {
                "Not a number, not greater than zero where it must be, or not exact."
            }
            Self::InvalidPrice | Self::InvalidAmount => "Not a number, or not exact.",
            Self::InvalidTime => {
                "Neither RFC 3339 with a zone nor a number, outside 1990 to 2200, or given twice."
            }
        }
    }
}

/// One event of a body that was refused; the others stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: {message}")]
pub struct EventError {
    /// Its place in the body, from 0. In NDJSON blank lines are not counted.
    pub index: usize,
    /// Why.
    pub code: Code,
    /// The field, as a path: `quantity`, `positions[3].quantity`. None: the event as a whole.
    pub field: Option<String>,
    /// Why, for people.
    pub message: String,
}

/// Why nothing of a body was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// There is nothing in it.
    #[error("the body is empty")]
    Empty,
    /// It is not JSON, or not UTF-8.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// It is JSON, but neither an object nor (for events) an array.
    #[error("the body is neither an object nor an array of objects")]
    NotAnObject,
    /// It holds more events than one request may.
    #[error("the body holds more than {max} events")]
    TooManyEvents {
        /// The most that it may hold.
        max: usize,
    },
    /// It is nested deeper than it may be.
    #[error("the body is nested deeper than {max}")]
    TooDeep {
        /// The deepest that it may be.
        max: usize,
    },
}

impl BodyError {
    /// The stable code: `invalid_json`, `too_many_events` or `too_deep`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::Syntax(_) | Self::NotAnObject => "invalid_json",
            Self::TooManyEvents { .. } => "too_many_events",
            Self::TooDeep { .. } => "too_deep",
        }
    }
}

/// Why a request of an operator was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body as a whole is wrong.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// One of its fields is wrong.
    #[error("{message}")]
    Field {
        /// Why.
        code: Code,
        /// The field.
        field: Option<String>,
        /// Why, for people.
        message: String,
    },
}

/// What is wrong with one object, before it is known where that object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    code: Code,
    field: Option<String>,
    why: Cow<'static, str>,
}

impl Flaw {
    /// Something about the object as a whole.
    pub(crate) fn whole(code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: None, why: why.into() }
    }

    /// Something about a field.
    #[cold]
    pub(crate) fn of(field: Field, code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: Some(String::from(field.name())), why: why.into() }
    }

    /// A name that no object has; what the sender wrote is cut.
    pub(crate) fn unknown(name: &str) -> Self {
        let mut end = name.len().min(limits::ID_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let field = name.get(..end).map(String::from);
        Self { code: Code::UnknownField, field, why: Cow::Borrowed("is no known field") }
    }

    /// The same flaw, seen from the object around it: `quantity` becomes `positions[3].quantity`.
    pub(crate) fn inside(mut self, field: Field, index: usize) -> Self {
        let place = format!("{}[{index}]", field.name());
        self.field = Some(match self.field {
            Some(inner) => format!("{place}.{inner}"),
            None => place,
        });
        self
    }

    fn message(&self) -> String {
        match &self.field {
            Some(field) => format!("{field} {}", self.why),
            None => format!("the event {}", self.why),
        }
    }

    /// The flaw of the event at that place.
    pub(crate) fn at(self, index: usize) -> EventError {
        let message = self.message();
        EventError { index, code: self.code, field: self.field, message }
    }
}

impl From<Flaw> for RequestError {
    fn from(flaw: Flaw) -> Self {
        let message = flaw.message();
        Self::Field { code: flaw.code, field: flaw.field, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_words() {
        let mut texts: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|t| t.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        assert!(Code::ALL.iter().all(|c| c.about().ends_with('.')));
    }

    #[test]
    fn foreign_names_are_cut_at_a_character() {
        let name = format!("{}é", "n".repeat(limits::ID_BYTES_MAX - 1));
        let error = Flaw::unknown(&name).at(0);
        assert_eq!(error.field.expect("a field").len(), limits::ID_BYTES_MAX - 1);
    }
}
