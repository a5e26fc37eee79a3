//! `fill_corrected`: fields, decoder, encoder.

use crate::domain::event::{Body, FillCorrected, OrderFact};
use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec, ORDER, order_body};

pub(super) const KIND: KindSpec = KindSpec::new(
    "fill_corrected",
    "The venue replaced quantity, price and perhaps fee of an execution (FIX ExecType G).",
    r#"{"type":"fill_corrected","account":"paper","order_id":"O-1","fill_id":"F-1","symbol":"AAPL","side":"buy","quantity":50,"price":187.41,"fee":"0.25","fee_currency":"USD","time":"2026-11-22T15:00:00Z"}"#,
    &[
        &ENVELOPE,
        &ORDER,
        &[
            FieldSpec::required::<FillId>(Field::FillId, "The execution."),
            FieldSpec::required::<Quantity>(Field::Quantity, "Its new quantity."),
            FieldSpec::required::<Price>(Field::Price, "Its new price."),
            FieldSpec::optional::<Amount>(
                Field::Fee,
                "Its new fee, negative is a rebate; unchanged if missing.",
            ),
            FieldSpec::optional::<Currency>(
                Field::FeeCurrency,
                "The currency of the fee; that of the instrument if missing.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    order_body(object, |object| {
        Ok(OrderFact::FillCorrected(FillCorrected {
            fill_id: object.required(Field::FillId)?,
            quantity: object.required(Field::Quantity)?,
            price: object.required(Field::Price)?,
            fee: object.optional(Field::Fee)?,
            fee_currency: object.optional(Field::FeeCurrency)?,
        }))
    })
}

pub(super) fn encode(fact: &FillCorrected, object: &mut ObjectWriter<'_>) {
    object.field(Field::FillId, &fact.fill_id);
    object.field(Field::Quantity, &fact.quantity);
    object.field(Field::Price, &fact.price);
    object.optional(Field::Fee, fact.fee.as_ref());
    object.optional(Field::FeeCurrency, fact.fee_currency.as_ref());
}
