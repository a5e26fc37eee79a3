//! The table row of a field: its name, its shape on the wire, whether it must be there.
//!
//! Invariant: decoder, encoder and published schema all read these rows. Deliberately absent: how
//! a value is read (see `value`).

use crate::wire::contract::error::Code;
use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::value::Value;

/// A field of a kind.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Its name.
    pub field: Field,
    /// Whether it must be there.
    pub presence: Presence,
    /// What its value looks like.
    pub shape: Shape,
    /// What it means, as one sentence.
    pub about: &'static str,
}

/// Whether a field must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must, and not be `null`.
    Required,
    /// It may be missing or `null`.
    Optional,
}

/// What a value looks like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A name: printable, 1 to 128 bytes.
    Identifier,
    /// A name, or nothing.
    IdentifierOrEmpty,
    /// A name that becomes a label: `*` and `__other__` are reserved.
    Label,
    /// Such a name, or `*`.
    LabelOrAll,
    /// A text for people.
    Text,
    /// Such a text, and not blank.
    Reason,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A quantity of an order or a fill: exact, greater than zero.
    Quantity,
    /// A signed quantity: exact.
    Position,
    /// A price of any sign: exact.
    Price,
    /// A signed amount of money: exact.
    Amount,
    /// An amount of money to trade for: exact, greater than zero.
    Notional,
    /// RFC 3339 with a zone, or Unix seconds.
    Time,
    /// An integer of Unix nanoseconds.
    TimeNs,
    /// Seconds from 0.
    Seconds,
    /// An integer from 0.
    Integer,
    /// An array of integers from 0.
    Integers,
    /// The rows of a snapshot.
    Rows,
}

impl Shape {
    /// The code of a value that does not look like this.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Identifier | Self::IdentifierOrEmpty | Self::Label | Self::LabelOrAll => {
                Code::InvalidIdentifier
            }
            Self::Text | Self::Reason => Code::InvalidText,
            Self::Choice(_) | Self::Boolean | Self::Rows => Code::InvalidValue,
            Self::Quantity | Self::Position => Code::InvalidQuantity,
            Self::Price => Code::InvalidPrice,
            Self::Amount | Self::Notional => Code::InvalidAmount,
            Self::Time | Self::TimeNs => Code::InvalidTime,
            Self::Seconds | Self::Integer | Self::Integers => Code::InvalidNumber,
        }
    }
}

impl FieldSpec {
    /// A field that must be there.
    pub(crate) const fn required<T: Value>(field: Field, about: &'static str) -> Self {
        Self { field, presence: Presence::Required, shape: T::SHAPE, about }
    }

    /// A field that may be missing.
    pub(crate) const fn optional<T: Value>(field: Field, about: &'static str) -> Self {
        Self { field, presence: Presence::Optional, shape: T::SHAPE, about }
    }
}

/// The names of some groups of fields.
pub(crate) const fn names(groups: &[&[FieldSpec]]) -> FieldSet {
    let mut set = FieldSet::EMPTY;
    let mut groups = groups;
    while let [fields, rest @ ..] = groups {
        let mut fields = *fields;
        while let [spec, rest @ ..] = fields {
            set = set.with(spec.field);
            fields = rest;
        }
        groups = rest;
    }
    set
}
