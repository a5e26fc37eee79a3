//! Validation errors of bodies, events and requests: a stable code, and the field at fault.
//!
//! Invariants: the set of codes is closed; no message quotes a value of the body, and a field's name
//! is cut to [`limits::ID_BYTES_MAX`] bytes. Absent: HTTP statuses.

use std::borrow::Cow;

use crate::domain::closed_set::closed_set;
use crate::domain::limits;
use crate::wire::contract::field::Field;

closed_set! {
    /// Why an event (or the field of a request) was refused. Answers and metrics contain the word.
    pub enum FieldCode {
        /// The line is not JSON.
        InvalidJson = "invalid_json",
        /// It is JSON, but not an object.
        InvalidEvent = "invalid_event",
        /// `type` is none of the known ones.
        UnknownType = "unknown_type",
        /// The type has no field of this name. Names of the sender's own begin with `x_`.
        UnknownField = "unknown_field",
        /// The field is given more than once.
        DuplicateField = "duplicate_field",
        /// A required field is missing or `null`.
        MissingField = "missing_field",
        /// Not an identifier: empty, over 128 bytes, reserved, or with control or bidi characters.
        InvalidIdentifier = "invalid_identifier",
        /// Not a text: no string, too long, or with control characters.
        InvalidText = "invalid_text",
        /// None of the values that the field takes.
        InvalidValue = "invalid_value",
        /// Not a number, or outside the range of the field.
        InvalidNumber = "invalid_number",
        /// Not a number, not exact, or not greater than zero where it must be.
        InvalidQuantity = "invalid_quantity",
        /// Not a number, or not exact.
        InvalidPrice = "invalid_price",
        /// Not a number, not exact, or not greater than zero where it must be.
        InvalidAmount = "invalid_amount",
        /// Neither RFC 3339 with a zone nor a number, outside the years 1990 to 2200, or given twice.
        InvalidTime = "invalid_time",
    }
}

/// One refused event of a body. It does not affect the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: {message}")]
pub struct EventError {
    /// Its index in the body, from 0. In NDJSON blank lines are not counted.
    pub index: usize,
    /// The reason, for programs.
    pub code: FieldCode,
    /// The field as a path: `quantity`, `positions[3].quantity`. `None`: the event as a whole.
    pub field: Option<String>,
    /// The reason, for people.
    pub message: String,
}

/// Why a whole body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It contains nothing but white space.
    #[error("the body is empty")]
    Empty,
    /// It is not JSON, or not UTF-8.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// It is no table of comma-separated values, or its header does not fit.
    #[error("the table cannot be read: {0}")]
    Table(String),
    /// It is JSON, but neither an object nor (for events) an array.
    #[error("the body is neither an object nor an array of objects")]
    NotAnObject,
    /// It holds more events than one request may.
    #[error("the body holds more than {max} events")]
    TooManyEvents {
        /// The limit.
        max: usize,
    },
    /// It is nested too deep.
    #[error("the body is nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
}

impl BodyError {
    /// The stable code: `invalid_json`, `invalid_table`, `too_many_events` or `too_deep`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::Syntax(_) | Self::NotAnObject => "invalid_json",
            Self::Table(_) => "invalid_table",
            Self::TooManyEvents { .. } => "too_many_events",
            Self::TooDeep { .. } => "too_deep",
        }
    }
}

/// Why a request that is not events was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body as a whole is wrong.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// One of its fields is wrong.
    #[error("{message}")]
    Field {
        /// The reason, for programs.
        code: FieldCode,
        /// The field. `None`: the body as a whole.
        field: Option<String>,
        /// The reason, for people.
        message: String,
    },
}

/// A validation error inside one object; the caller adds the index of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    code: FieldCode,
    field: Option<String>,
    why: Cow<'static, str>,
}

impl Flaw {
    pub(crate) fn whole(code: FieldCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: None, why: why.into() }
    }

    #[cold]
    pub(crate) fn of(field: Field, code: FieldCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: Some(String::from(field.name())), why: why.into() }
    }

    /// No object has a field of this name. The error quotes the name, cut to a bounded length.
    pub(crate) fn unknown(name: &str) -> Self {
        let end = name.floor_char_boundary(limits::ID_BYTES_MAX);
        let field = name.get(..end).map(String::from);
        Self { code: FieldCode::UnknownField, field, why: Cow::Borrowed("is no known field") }
    }

    /// The flaw as seen from the enclosing object: `quantity` becomes `positions[3].quantity`.
    pub(crate) fn inside(mut self, field: Field, index: usize) -> Self {
        let row = format!("{}[{index}]", field.name());
        self.field = Some(match self.field {
            Some(inner) => format!("{row}.{inner}"),
            None => row,
        });
        self
    }

    fn message(&self) -> String {
        match &self.field {
            Some(field) => format!("{field} {}", self.why),
            None => format!("the event {}", self.why),
        }
    }

    /// The error of the event with this index.
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
        let mut texts: Vec<&str> = FieldCode::ALL.iter().map(|c| c.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), FieldCode::ALL.len());
        assert!(texts.iter().all(|t| t.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    #[test]
    fn unknown_names_are_cut_at_a_character() {
        let name = format!("{}é", "n".repeat(limits::ID_BYTES_MAX - 1));
        let error = Flaw::unknown(&name).at(0);
        assert_eq!(error.field.expect("a field").len(), limits::ID_BYTES_MAX - 1);
    }
}
