//! `order_accepted`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderAccepted, OrderFact};
use crate::domain::ids::OrderId;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_accepted",
    "The venue accepted the order (FIX ExecType 0).",
    r#"{"type":"order_accepted","account":"paper","order_id":"O-1","venue_order_id":"V-77","symbol":"AAPL","side":"buy","time":"2026-11-22T14:30:00.020Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[FieldSpec::optional::<OrderId>(Field::VenueOrderId, "The venue's id of the order.")],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::Accepted(OrderAccepted {
            venue_order_id: object.optional(Field::VenueOrderId)?,
        }))
    })
}

pub(super) fn encode(fact: &OrderAccepted, object: &mut ObjectWriter<'_>) {
    object.optional(Field::VenueOrderId, fact.venue_order_id.as_ref());
}
