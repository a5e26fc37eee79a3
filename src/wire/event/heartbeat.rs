//! `heartbeat`: fields, decoder, encoder.

use std::time::Duration;

use crate::domain::event::{Body, Heartbeat, Source};
use crate::domain::ids::Component;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::value::ReportedHealth;
use crate::wire::contract::writer::ObjectWriter;
use crate::wire::event::{ENVELOPE, KindSpec};

pub(super) const KIND: KindSpec = KindSpec::new(
    "heartbeat",
    "A component reports that it is alive, and its health.",
    r#"{"type":"heartbeat","account":"paper","component":"broker","status":"healthy","message":"session up","latency_seconds":0.012,"interval_seconds":30,"time":"2026-11-22T14:30:00Z"}"#,
    &[
        &ENVELOPE,
        &[
            FieldSpec::required::<Component>(
                Field::Component,
                "The component: `broker`, `data_feed`, `disk`, `memory`, `engine` or any name.",
            ),
            FieldSpec::optional::<ReportedHealth>(
                Field::Status,
                "Its health, applied at once. If missing, the report counts as a passed check.",
            ),
            FieldSpec::optional::<Box<str>>(Field::Message, "A message, for people."),
            FieldSpec::optional::<Duration>(Field::LatencySeconds, "The duration of its check."),
            FieldSpec::optional::<Duration>(
                Field::IntervalSeconds,
                "The interval of its reports, above 0; it is silent after three without a report.",
            ),
            FieldSpec::optional::<Source>(
                Field::Source,
                "The reporting side: the engine (local, if missing) or the broker. A token with \
                 `ingest:broker` always reports for the broker. The worse of the two counts.",
            ),
        ],
    ],
    decode,
);

fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
    let interval = object.optional(Field::IntervalSeconds)?;
    if interval == Some(Duration::ZERO) {
        let why = "must be greater than zero";
        return Err(Flaw::of(Field::IntervalSeconds, FieldCode::InvalidNumber, why));
    }
    Ok(Body::Heartbeat(Heartbeat {
        component: object.required(Field::Component)?,
        status: object.optional(Field::Status)?.map(|ReportedHealth(health)| health),
        message: object.optional(Field::Message)?,
        latency: object.optional(Field::LatencySeconds)?,
        interval,
        source: object.optional(Field::Source)?,
    }))
}

pub(super) fn encode(body: &Heartbeat, object: &mut ObjectWriter<'_>) {
    object.field(Field::Component, &body.component);
    object.optional(Field::Status, body.status.map(ReportedHealth).as_ref());
    object.optional(Field::Message, body.message.as_ref());
    object.optional(Field::LatencySeconds, body.latency.as_ref());
    object.optional(Field::IntervalSeconds, body.interval.as_ref());
    object.optional(Field::Source, body.source.as_ref());
}
