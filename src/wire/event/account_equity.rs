//! `account_equity`: fields, decoder, encoder.

use crate::domain::event::{AccountEquity, Body};
use crate::domain::ids::Currency;
use crate::domain::units::Amount;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "account_equity",
    "The value of an account.",
    r#"{"type":"account_equity","account":"paper","equity":"100250.75","currency":"USD","cash":81507.5,"time":"2026-11-22T14:30:00Z"}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Amount>(Field::Equity, "Equity of the account."),
            FieldSpec::optional::<Currency>(
                Field::Currency,
                "Its currency; that of the account if missing.",
            ),
            FieldSpec::optional::<Amount>(Field::Cash, "The part held as cash."),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    Ok(Body::AccountEquity(AccountEquity {
        equity: object.required(Field::Equity)?,
        currency: object.optional(Field::Currency)?,
        cash: object.optional(Field::Cash)?,
    }))
}

pub(super) fn encode(body: &AccountEquity, object: &mut ObjectWriter<'_>) {
    object.field(Field::Equity, &body.equity);
    object.optional(Field::Currency, body.currency.as_ref());
    object.optional(Field::Cash, body.cash.as_ref());
}
