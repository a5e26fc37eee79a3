//! The forms that a value can have on the wire.

use crate::wire::contract::error::FieldCode;

/// The form of a value on the wire. Numbers are exact: a JSON number or a decimal string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A name: printable, 1 to 128 bytes.
    Identifier,
    /// An identifier or `""`.
    IdentifierOrEmpty,
    /// An identifier that becomes a label value: `*` and `__other__` are reserved.
    Label,
    /// A label or `*`.
    LabelOrAll,
    /// A text for people.
    Text,
    /// A text that is not blank.
    Reason,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// The quantity of an order or a fill, greater than zero.
    Quantity,
    /// A signed quantity.
    Position,
    /// A price of any sign.
    Price,
    /// A signed amount of money.
    Amount,
    /// An amount of money to trade for, greater than zero.
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
    /// The code of a value that has another form.
    #[must_use]
    pub const fn code(self) -> FieldCode {
        match self {
            Self::Identifier | Self::IdentifierOrEmpty | Self::Label | Self::LabelOrAll => {
                FieldCode::InvalidIdentifier
            }
            Self::Text | Self::Reason => FieldCode::InvalidText,
            Self::Choice(_) | Self::Boolean | Self::Rows => FieldCode::InvalidValue,
            Self::Quantity | Self::Position => FieldCode::InvalidQuantity,
            Self::Price => FieldCode::InvalidPrice,
            Self::Amount | Self::Notional => FieldCode::InvalidAmount,
            Self::Time | Self::TimeNs => FieldCode::InvalidTime,
            Self::Seconds | Self::Integer | Self::Integers => FieldCode::InvalidNumber,
        }
    }
}
