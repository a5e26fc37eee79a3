//! `order_accepted`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderAccepted};
use crate::domain::ids::OrderId;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::{Object, ObjectWriter};
use crate::wire::contract::spec::FieldSpec;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, decode_order, encode_order};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_accepted",
    "The venue took the order (FIX ExecType 0).",
    r#"{"type":"order_accepted","account":"paper","order_id":"O-1","venue_order_id":"V-77","symbol":"AAPL","side":"buy","time":"2026-11-22T14:30:00.020Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[FieldSpec::optional::<OrderId>(Field::VenueOrderId, "The venue's id of the order.")],
    ],
    decode,
);

fn decode(object: &mut Object<'_>) -> Result<Body, Flaw> {
    Ok(Body::OrderAccepted(OrderAccepted {
        order: decode_order(object)?,
        venue_order_id: object.optional(Field::VenueOrderId)?,
    }))
}

pub(super) fn encode(body: &OrderAccepted, object: &mut ObjectWriter<'_>) {
    encode_order(&body.order, object);
    object.optional(Field::VenueOrderId, body.venue_order_id.as_ref());
}
