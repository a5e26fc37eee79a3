//! `order_submitted`: fields, decoder, encoder.

use crate::domain::event::{Body, OrderEvent, OrderFact, OrderRef, OrderSize, OrderSubmitted};
use crate::domain::ids::{OrderId, Symbol};
use crate::domain::units::{Notional, Price, Quantity, Side};
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::{ObjectReader, missing};
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_submitted",
    "The engine sent an order to its venue (FIX 35=D).",
    r#"{"type":"order_submitted","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","quantity":100,"expected_price":187.40,"decision_price":187.35,"arrival_price":187.395,"order_type":"limit","limit_price":187.50,"time_in_force":"day","reduce_only":false,"time":"2026-11-22T14:30:00.000Z"}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<OrderId>(Field::OrderId, "The engine's id of the order."),
            FieldSpec::required::<Symbol>(Field::Symbol, "The instrument."),
            FieldSpec::required::<Side>(Field::Side, "Buy or sell."),
            FieldSpec::optional::<Quantity>(Field::Quantity, "The ordered quantity."),
            FieldSpec::optional::<Notional>(
                Field::Notional,
                "The amount of the quote currency to trade for, instead of the quantity.",
            ),
            FieldSpec::optional::<Price>(
                Field::ExpectedPrice,
                "The price that the engine expected: the reference `expected` of slippage.",
            ),
            FieldSpec::optional::<Price>(
                Field::DecisionPrice,
                "The price when the strategy decided: the base of the implementation shortfall.",
            ),
            FieldSpec::optional::<Price>(
                Field::ArrivalPrice,
                "The mid quote when the order was submitted: the reference `arrival`.",
            ),
            FieldSpec::optional::<Box<str>>(
                Field::OrderType,
                "`market`, `limit` and so on, in the engine's words.",
            ),
            FieldSpec::optional::<Price>(
                Field::LimitPrice,
                "The limit price: the reference `limit`.",
            ),
            FieldSpec::optional::<Box<str>>(
                Field::TimeInForce,
                "`day`, `gtc`, `ioc` and so on, in the engine's words.",
            ),
            FieldSpec::optional::<bool>(
                Field::ReduceOnly,
                "Whether the order may only reduce a position.",
            ),
        ],
    ],
    decode,
)
.with_either(&[&[Field::Quantity], &[Field::Notional]]);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    Ok(Body::Order(OrderEvent {
        order: OrderRef {
            order_id: object.required(Field::OrderId)?,
            symbol: Some(object.required(Field::Symbol)?),
            side: Some(object.required(Field::Side)?),
        },
        fact: OrderFact::Submitted(OrderSubmitted {
            ordered: ordered(object)?,
            expected_price: object.optional(Field::ExpectedPrice)?,
            decision_price: object.optional(Field::DecisionPrice)?,
            arrival_price: object.optional(Field::ArrivalPrice)?,
            limit_price: object.optional(Field::LimitPrice)?,
            order_type: object.optional(Field::OrderType)?,
            time_in_force: object.optional(Field::TimeInForce)?,
            reduce_only: object.optional(Field::ReduceOnly)?,
        }),
    }))
}

/// Exactly one of quantity and notional.
fn ordered(object: &mut ObjectReader<'_>) -> Result<OrderSize, Flaw> {
    let quantity = object.optional(Field::Quantity)?;
    match (quantity, object.optional(Field::Notional)?) {
        (Some(quantity), None) => Ok(OrderSize::Quantity(quantity)),
        (None, Some(notional)) => Ok(OrderSize::Notional(notional)),
        (None, None) => Err(missing(Field::Quantity)),
        (Some(_), Some(_)) => {
            Err(Flaw::of(Field::Notional, FieldCode::InvalidAmount, "is given beside quantity"))
        }
    }
}

pub(super) fn encode(fact: &OrderSubmitted, object: &mut ObjectWriter<'_>) {
    match &fact.ordered {
        OrderSize::Quantity(quantity) => object.field(Field::Quantity, quantity),
        OrderSize::Notional(notional) => object.field(Field::Notional, notional),
    }
    object.optional(Field::ExpectedPrice, fact.expected_price.as_ref());
    object.optional(Field::DecisionPrice, fact.decision_price.as_ref());
    object.optional(Field::ArrivalPrice, fact.arrival_price.as_ref());
    object.optional(Field::OrderType, fact.order_type.as_ref());
    object.optional(Field::LimitPrice, fact.limit_price.as_ref());
    object.optional(Field::TimeInForce, fact.time_in_force.as_ref());
    object.optional(Field::ReduceOnly, fact.reduce_only.as_ref());
}
