//! `order_cancelled`: fields, decoder, encoder.

use crate::domain::event::{Body, Initiator, OrderCancelled, OrderFact};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_cancelled",
    "The order was cancelled (FIX ExecType 4).",
    r#"{"type":"order_cancelled","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","reason":"end of day","initiator":"user","time":"2026-11-22T20:59:00Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[
            FieldSpec::optional::<Box<str>>(Field::Reason, "The reason, for people."),
            FieldSpec::optional::<Initiator>(
                Field::Initiator,
                "The side that cancelled: the user (or engine), or the venue.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::Cancelled(OrderCancelled {
            reason: object.optional(Field::Reason)?,
            initiator: object.optional(Field::Initiator)?,
        }))
    })
}

pub(super) fn encode(fact: &OrderCancelled, object: &mut ObjectWriter<'_>) {
    object.optional(Field::Reason, fact.reason.as_ref());
    object.optional(Field::Initiator, fact.initiator.as_ref());
}
