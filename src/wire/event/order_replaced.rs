//! `order_replaced`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderFact, OrderReplaced};
use crate::domain::ids::OrderId;
use crate::domain::units::{Price, Quantity};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_replaced",
    "The venue accepted a change of the order (FIX ExecType 5).",
    r#"{"type":"order_replaced","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","quantity":120,"limit_price":187.60,"new_order_id":"O-1a","time":"2026-11-22T14:31:00Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[
            FieldSpec::optional::<Quantity>(
                Field::Quantity,
                "The new total quantity; unchanged if missing.",
            ),
            FieldSpec::optional::<Price>(
                Field::LimitPrice,
                "The new limit price; unchanged if missing.",
            ),
            FieldSpec::optional::<OrderId>(
                Field::NewOrderId,
                "The id of the order from now on: an alias of the old one.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::Replaced(OrderReplaced {
            quantity: object.optional(Field::Quantity)?,
            limit_price: object.optional(Field::LimitPrice)?,
            new_order_id: object.optional(Field::NewOrderId)?,
        }))
    })
}

pub(super) fn encode(fact: &OrderReplaced, object: &mut ObjectWriter<'_>) {
    object.optional(Field::Quantity, fact.quantity.as_ref());
    object.optional(Field::LimitPrice, fact.limit_price.as_ref());
    object.optional(Field::NewOrderId, fact.new_order_id.as_ref());
}
