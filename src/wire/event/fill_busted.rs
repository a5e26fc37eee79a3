//! `fill_busted`: fields, decoder, encoder.

use crate::domain::event::{Body, FillBusted, OrderFact};
use crate::domain::ids::FillId;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "fill_busted",
    "The venue undid an execution (FIX ExecType H).",
    r#"{"type":"fill_busted","account":"paper","order_id":"O-1","fill_id":"F-2","symbol":"AAPL","side":"buy","time":"2026-11-22T15:00:00Z"}"#,
    &[&ENVELOPE, &ORDER, &[FieldSpec::required::<FillId>(Field::FillId, "The execution.")]],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::FillBusted(FillBusted { fill_id: object.required(Field::FillId)? }))
    })
}

pub(super) fn encode(fact: &FillBusted, object: &mut ObjectWriter<'_>) {
    object.field(Field::FillId, &fact.fill_id);
}
