//! `position_adjusted`: fields, decoder, encoder.

use crate::domain::event::{Body, PositionAdjusted};
use crate::domain::ids::Symbol;
use crate::domain::units::Position;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "position_adjusted",
    "A position changed without a trade: split, funding, transfer, assignment, expiry.",
    r#"{"type":"position_adjusted","account":"paper","symbol":"AAPL","quantity":-12,"reason":"transfer out","time":"2026-11-22T14:30:00Z"}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Symbol>(Field::Symbol, "The instrument."),
            FieldSpec::required::<Position>(Field::Quantity, "The signed change."),
            FieldSpec::optional::<Box<str>>(
                Field::Reason,
                "The reason, for people. A `fee` that a fill also reported is applied once.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    Ok(Body::PositionAdjusted(PositionAdjusted {
        symbol: object.required(Field::Symbol)?,
        quantity: object.required(Field::Quantity)?,
        reason: object.optional(Field::Reason)?,
    }))
}

pub(super) fn encode(body: &PositionAdjusted, object: &mut ObjectWriter<'_>) {
    object.field(Field::Symbol, &body.symbol);
    object.field(Field::Quantity, &body.quantity);
    object.optional(Field::Reason, body.reason.as_ref());
}
