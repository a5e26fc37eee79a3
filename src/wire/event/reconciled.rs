//! `reconciled`: fields, decoder, encoder.

use crate::domain::event::{Body, Reconciled};
use crate::domain::ids::Symbol;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::value::Identifier;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "reconciled",
    "The engine carried out a reconcile directive.",
    r#"{"type":"reconciled","account":"paper","symbol":"MSFT","directive_id":"1234-0","time":"2026-11-22T14:31:00Z"}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Symbol>(Field::Symbol, "The instrument."),
            FieldSpec::optional::<Identifier>(
                Field::DirectiveId,
                "The directive that was carried out.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    Ok(Body::Reconciled(Reconciled {
        symbol: object.required(Field::Symbol)?,
        directive_id: object.optional::<Identifier>(Field::DirectiveId)?.map(|id| id.0),
    }))
}

pub(super) fn encode(body: &Reconciled, object: &mut ObjectWriter<'_>) {
    object.field(Field::Symbol, &body.symbol);
    object.optional(Field::DirectiveId, body.directive_id.clone().map(Identifier).as_ref());
}
