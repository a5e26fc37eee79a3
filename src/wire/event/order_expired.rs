//! `order_expired`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderExpired, OrderFact};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_expired",
    "The order expired (FIX ExecType C).",
    r#"{"type":"order_expired","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","time":"2026-11-22T21:00:00Z"}"#,
    &[&ENVELOPE, &ORDER],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |_| Ok(OrderFact::Expired(OrderExpired)))
}

pub(super) const fn encode(_: &OrderExpired, _: &mut ObjectWriter<'_>) {}
