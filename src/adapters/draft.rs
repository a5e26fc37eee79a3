//! An event that is being written, in the JSON of the contract.
//!
//! Input: texts and numbers of a message. Output: the members of one event. Invariants: what is missing
//! is left out; a number keeps every digit that it had; a text for people is cut to the limit, since a
//! long reason must not cost the event. Absent: whether the event is valid; the decoder says so.

use crate::adapters::foreign::number_token;
use crate::wire::contract::field::Field;
use crate::wire::json::write::push_string;

/// One event so far.
#[derive(Clone, Debug)]
pub(super) struct EventDraft {
    /// The account that the message names, if it names one.
    pub(super) account: Option<String>,
    /// Names and values, each with a comma before it.
    pub(super) members: Vec<u8>,
}

/// A row of a list of positions.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftRow {
    pub(super) symbol: String,
    pub(super) quantity: String,
    pub(super) average_price: Option<String>,
    pub(super) market_price: Option<String>,
}

impl EventDraft {
    /// An event of this `type`.
    pub(super) fn new(kind: &'static str) -> Self {
        let mut members = Vec::with_capacity(256);
        members.extend_from_slice(br#"{"type":"#);
        push_string(kind, &mut members);
        Self { account: None, members }
    }

    /// The account that the message names.
    pub(super) fn account(mut self, name: Option<&str>) -> Self {
        self.account = name.map(str::to_owned);
        self
    }

    /// A text that is a name or a word.
    pub(super) fn text(mut self, field: Field, value: &str) -> Self {
        push_string(value, self.key(field));
        self
    }

    /// [`Self::text`], if there is one.
    pub(super) fn optional(self, field: Field, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(field, value.as_ref()),
            None => self,
        }
    }

    /// A text for people, without control characters, of at most `bytes_max` bytes.
    pub(super) fn prose(
        self,
        field: Field,
        value: Option<impl AsRef<str>>,
        bytes_max: usize,
    ) -> Self {
        let Some(value) = value else { return self };
        let plain: String = value
            .as_ref()
            .chars()
            .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { ' ' } else { c })
            .collect();
        let end = plain.floor_char_boundary(bytes_max);
        self.text(field, plain.get(..end).unwrap_or_default())
    }

    /// A number, if there is one. What is no number goes on as a text, which the decoder refuses.
    pub(super) fn number(mut self, field: Field, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            push_number(value.as_ref(), self.key(field));
        }
        self
    }

    /// A mark that is set.
    pub(super) fn mark(mut self, field: Field, value: bool) -> Self {
        if value {
            self.key(field).extend_from_slice(b"true");
        }
        self
    }

    /// Whether a list has every symbol.
    pub(super) fn complete(mut self, value: bool) -> Self {
        if !value {
            self.key(Field::Complete).extend_from_slice(b"false");
        }
        self
    }

    /// The rows of a list of positions.
    pub(super) fn rows(mut self, rows: &[DraftRow]) -> Self {
        let out = self.key(Field::Positions);
        out.push(b'[');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"symbol":"#);
            push_string(&row.symbol, out);
            let numbers = [
                (Field::Quantity, Some(&row.quantity)),
                (Field::AveragePrice, row.average_price.as_ref()),
                (Field::MarketPrice, row.market_price.as_ref()),
            ];
            for (field, number) in numbers {
                if let Some(number) = number {
                    out.extend_from_slice(field.key().as_bytes());
                    push_number(number, out);
                }
            }
            out.push(b'}');
        }
        out.push(b']');
        self
    }

    fn key(&mut self, field: Field) -> &mut Vec<u8> {
        self.members.extend_from_slice(field.key().as_bytes());
        &mut self.members
    }
}

fn push_number(text: &str, out: &mut Vec<u8>) {
    match number_token(text) {
        Some(number) => out.extend_from_slice(number.as_bytes()),
        None => push_string(text, out),
    }
}
