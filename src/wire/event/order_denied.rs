//! `order_denied`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderDenied, OrderFact};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_denied",
    "The engine's own checks refused the order: it was never sent.",
    r#"{"type":"order_denied","account":"paper","order_id":"O-3","symbol":"AAPL","side":"sell","reason":"exceeds max notional","time":"2026-11-22T14:30:00Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[FieldSpec::optional::<Box<str>>(Field::Reason, "The reason, in the engine's words.")],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::Denied(OrderDenied { reason: object.optional(Field::Reason)? }))
    })
}

pub(super) fn encode(fact: &OrderDenied, object: &mut ObjectWriter<'_>) {
    object.optional(Field::Reason, fact.reason.as_ref());
}
