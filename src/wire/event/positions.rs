//! `positions`: fields, decoder, encoder; and its rows.

use crate::domain::event::{Body, PositionRow, Positions, Source};
use crate::domain::ids::Symbol;
use crate::domain::units::{Position, Price};
use crate::wire::contract::error::{Code, Flaw};
use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::reader::{Object, ObjectWriter, Stop, each_element, missing};
use crate::wire::contract::spec::{FieldSpec, Presence, Shape, names};
use crate::wire::contract::value::FetchStatus;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "positions",
    "A snapshot of what one side says that the account holds.",
    r#"{"type":"positions","account":"paper","source":"broker","time":"2026-11-22T14:30:07Z","complete":true,"positions":[{"symbol":"AAPL","quantity":88,"average_price":187.432,"market_price":187.5}]}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Source>(
                Field::Source,
                "Who speaks: the engine (local) or the broker.",
            ),
            FieldSpec {
                field: Field::Positions,
                presence: Presence::Optional,
                shape: Shape::Rows,
                about: "The rows; several of one symbol are added up. Required unless `status` is \
                        `failed`, and ignored then.",
            },
            FieldSpec::optional::<bool>(
                Field::Complete,
                "Whether a symbol that is missing is flat (true, if missing) or unknown (false).",
            ),
            FieldSpec::optional::<FetchStatus>(
                Field::Status,
                "Whether the positions could be fetched: ok (if missing) or failed. A failed \
                 fetch says nothing of any position.",
            ),
            FieldSpec::optional::<Box<str>>(
                Field::Error,
                "Why the fetch failed; only with `status` `failed`.",
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

fn decode(object: &mut Object<'_>) -> Result<Body, Flaw> {
    let source = object.required(Field::Source)?;
    let complete = object.optional(Field::Complete)?.unwrap_or(true);
    let error: Option<Box<str>> = object.optional(Field::Error)?;
    let (rows, failure) = match object.optional(Field::Status)?.unwrap_or(FetchStatus::Ok) {
        FetchStatus::Failed => (Box::default(), Some(error.unwrap_or_default())),
        // Good rows beside an error: one of the two is a mistake, and neither is safe to believe.
        FetchStatus::Ok if error.is_some_and(|e| !e.is_empty()) => {
            return Err(Flaw::of(Field::Error, Code::InvalidValue, "needs status failed"));
        }
        FetchStatus::Ok => (rows(object)?, None),
    };
    Ok(Body::Positions(Positions { source, rows, complete, failure }))
}

fn rows(object: &mut Object<'_>) -> Result<Box<[PositionRow]>, Flaw> {
    let raw = object.raw(Field::Positions).ok_or_else(|| missing(Field::Positions))?;
    let mut row = object.row();
    let mut rows = Vec::new();
    let mut flaw = None;
    let walk = each_element(raw.nested(), |element| {
        match decode_row(&mut row, element) {
            Ok(row) => rows.push(row),
            Err(wrong) => flaw = Some(wrong.inside(Field::Positions, rows.len())),
        }
        if flaw.is_some() { Err(Stop) } else { Ok(()) }
    });
    object.note_of(&row);
    match (flaw, walk) {
        (Some(flaw), _) => Err(flaw),
        (None, Err(_)) => Err(Flaw::of(Field::Positions, Code::InvalidValue, "must be an array")),
        (None, Ok(())) => Ok(rows.into()),
    }
}

fn decode_row<'a>(row: &mut Object<'a>, text: &'a str) -> Result<PositionRow, Flaw> {
    row.read(text).map_err(|_| Flaw::whole(Code::InvalidValue, "must be an object"))?;
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
    let out = object.key(Field::Positions);
    out.push(b'[');
    for (index, row) in body.rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode_row(row, out);
    }
    out.push(b']');
}

fn encode_row(row: &PositionRow, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.field(Field::Symbol, &row.symbol);
    object.field(Field::Quantity, &row.quantity);
    object.optional(Field::AveragePrice, row.average_price.as_ref());
    object.optional(Field::MarketPrice, row.market_price.as_ref());
    object.end();
}
