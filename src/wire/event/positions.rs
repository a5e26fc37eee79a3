//! `positions`: fields, decoder, encoder; and its rows.

use crate::domain::event::{Body, PositionRow, Positions, Source};
use crate::domain::ids::Symbol;
use crate::domain::units::{Position, Price};
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::shape::Shape;
use crate::wire::contract::spec::{FieldSpec, Presence, names};
use crate::wire::contract::value::FetchStatus;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};
use crate::wire::json::write::push_array;

pub(super) const KIND: KindSpec = KindSpec::new(
    "positions",
    "A snapshot of the positions of the account, as one side reports them.",
    r#"{"type":"positions","account":"paper","source":"broker","time":"2026-11-22T14:30:07Z","complete":true,"positions":[{"symbol":"AAPL","quantity":88,"average_price":187.432,"market_price":187.5}]}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Source>(
                Field::Source,
                "The reporting side: the engine (local) or the broker.",
            ),
            FieldSpec {
                field: Field::Positions,
                presence: Presence::Optional,
                shape: Shape::Rows,
                about: "The rows; rows with the same symbol are added up. Required unless `status` is \
                        `failed`, and ignored then.",
            },
            FieldSpec::optional::<bool>(
                Field::Complete,
                "Whether a symbol without a row is flat (true, if missing) or unknown (false).",
            ),
            FieldSpec::optional::<FetchStatus>(
                Field::Status,
                "Whether the positions could be fetched: ok (if missing) or failed. A failed \
                 fetch says nothing about any position.",
            ),
            FieldSpec::optional::<Box<str>>(
                Field::Error,
                "The error of the fetch; only with `status` `failed`.",
            ),
        ],
    ],
    decode,
)
.with_either(&[&[Field::Positions], &[Field::Status]]);

/// The fields of a row of `positions`.
pub const ROW: [FieldSpec; 4] = [
    FieldSpec::required::<Symbol>(Field::Symbol, "The instrument."),
    FieldSpec::required::<Position>(
        Field::Quantity,
        "The signed quantity: short is negative, 0 is flat.",
    ),
    FieldSpec::optional::<Price>(Field::AveragePrice, "The average entry price."),
    FieldSpec::optional::<Price>(Field::MarketPrice, "The current price."),
];

const ROW_FIELDS: FieldSet = names(&[&ROW]);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    let source = object.required(Field::Source)?;
    let complete = object.optional(Field::Complete)?.unwrap_or(true);
    let error: Option<Box<str>> = object.optional(Field::Error)?;
    let (rows, failure) = match object.optional(Field::Status)?.unwrap_or(FetchStatus::Ok) {
        FetchStatus::Failed => (Box::default(), Some(error.unwrap_or_default())),
        // Rows and an error contradict each other, and it is not safe to guess which is wrong.
        FetchStatus::Ok if error.is_some_and(|e| !e.is_empty()) => {
            return Err(Flaw::of(Field::Error, FieldCode::InvalidValue, "needs status failed"));
        }
        FetchStatus::Ok => (object.rows(Field::Positions, decode_row)?.into(), None),
    };
    Ok(Body::Positions(Positions { source, rows, complete, failure }))
}

fn decode_row<'a>(row: &mut ObjectReader<'a>, text: &'a str) -> Result<PositionRow, Flaw> {
    row.read(text).map_err(|_| Flaw::whole(FieldCode::InvalidValue, "must be an object"))?;
    row.check_names()?;
    row.check_fields(ROW_FIELDS, "a row")?;
    Ok(PositionRow {
        symbol: row.required(Field::Symbol)?,
        quantity: row.required(Field::Quantity)?,
        average_price: row.optional(Field::AveragePrice)?,
        market_price: row.optional(Field::MarketPrice)?,
    })
}

pub(super) fn encode(body: &Positions, object: &mut ObjectWriter<'_>) {
    object.field(Field::Source, &body.source);
    if !body.complete {
        object.field(Field::Complete, &false);
    }
    if let Some(error) = &body.failure {
        object.field(Field::Status, &FetchStatus::Failed);
        object.field(Field::Error, error);
        return;
    }
    push_array(&body.rows, object.key(Field::Positions), encode_row);
}

fn encode_row(row: &PositionRow, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.field(Field::Symbol, &row.symbol);
    object.field(Field::Quantity, &row.quantity);
    object.optional(Field::AveragePrice, row.average_price.as_ref());
    object.optional(Field::MarketPrice, row.market_price.as_ref());
    object.end();
}
