//! `order_rejected`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderFact, OrderRejected};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_rejected",
    "The venue or broker refused the order (FIX ExecType 8).",
    r#"{"type":"order_rejected","account":"paper","order_id":"O-2","symbol":"AAPL","side":"buy","reason":"Insufficient buying power","code":"insufficient_funds","time":"2026-11-22T14:30:00.020Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[
            FieldSpec::optional::<Box<str>>(Field::Reason, "The reason, in the venue's words."),
            FieldSpec::optional::<Box<str>>(Field::Code, "The reason, as a code."),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::Rejected(OrderRejected {
            reason: object.optional(Field::Reason)?,
            code: object.optional(Field::Code)?,
        }))
    })
}

pub(super) fn encode(fact: &OrderRejected, object: &mut ObjectWriter<'_>) {
    object.optional(Field::Reason, fact.reason.as_ref());
    object.optional(Field::Code, fact.code.as_ref());
}
