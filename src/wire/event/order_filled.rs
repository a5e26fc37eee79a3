//! `order_filled`: fields, decoder, encoder.

use crate::domain::event::{Body, Liquidity, OrderFact, OrderFilled};
use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "order_filled",
    "One execution of an order (FIX ExecType F).",
    r#"{"type":"order_filled","account":"paper","order_id":"O-1","fill_id":"F-1","symbol":"AAPL","side":"buy","quantity":60,"price":187.42,"fee":"0.30","fee_currency":"USD","liquidity":"taker","final":false,"time":"2026-11-22T14:30:00.150Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[
            FieldSpec::required::<Price>(Field::Price, "The price of this execution."),
            FieldSpec::optional::<Quantity>(
                Field::Quantity,
                "The quantity of this execution; the rest of the order if missing.",
            ),
            FieldSpec::optional::<FillId>(
                Field::FillId,
                "The id of this execution, for busts, corrections and deduplication.",
            ),
            FieldSpec::optional::<Amount>(Field::Fee, "The fee; negative is a rebate."),
            FieldSpec::optional::<Currency>(
                Field::FeeCurrency,
                "The currency of the fee; that of the instrument if missing.",
            ),
            FieldSpec::optional::<Liquidity>(
                Field::Liquidity,
                "Whether the execution added (maker) or took (taker) liquidity.",
            ),
            FieldSpec::optional::<bool>(
                Field::Final,
                "Whether the venue reports that the order is completely filled.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::Filled(OrderFilled {
            price: object.required(Field::Price)?,
            quantity: object.optional(Field::Quantity)?,
            fill_id: object.optional(Field::FillId)?,
            fee: object.optional(Field::Fee)?,
            fee_currency: object.optional(Field::FeeCurrency)?,
            liquidity: object.optional(Field::Liquidity)?,
            is_final: object.optional(Field::Final)?.unwrap_or(false),
        }))
    })
}

pub(super) fn encode(fact: &OrderFilled, object: &mut ObjectWriter<'_>) {
    object.field(Field::Price, &fact.price);
    object.optional(Field::Quantity, fact.quantity.as_ref());
    object.optional(Field::FillId, fact.fill_id.as_ref());
    object.optional(Field::Fee, fact.fee.as_ref());
    object.optional(Field::FeeCurrency, fact.fee_currency.as_ref());
    object.optional(Field::Liquidity, fact.liquidity.as_ref());
    if fact.is_final {
        object.field(Field::Final, &true);
    }
}
