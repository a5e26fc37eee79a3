//! The kinds of events: one file for each, with its table of fields, its decoder and its encoder.
//!
//! Input: an object that was read. Output: an [`Event`]; and canonical JSON of one. Invariants: the
//! decoder accepts exactly the fields of the table, and the published schema is made from the same
//! table (tests check both). A new kind is one more file here and a `mod` line; the list of kinds is in
//! `crate::domain::event`.

mod kind;
mod account_equity;
mod fill_busted;
mod fill_corrected;
mod heartbeat;
mod order_accepted;
mod order_cancelled;
mod order_denied;
mod order_expired;
mod order_filled;
mod order_rejected;
mod order_replaced;
mod order_submitted;
mod position_adjusted;
mod positions;
mod quote;
mod reconciled;
#[cfg(test)]
mod tests;

use crate::domain::event::{self, Body, Event, OrderEvent, OrderFact, OrderRef};
use crate::domain::ids::{Account, EventId, OrderId, Strategy, Symbol, Venue};
use crate::domain::limits;
use crate::domain::time::Timestamp;
use crate::domain::units::Side;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;
use crate::wire::contract::reader::{ObjectReader, missing};
use crate::wire::contract::spec::FieldSpec;
use crate::wire::contract::value::{SessionName, TimeNanos, TimeText, string};
use crate::wire::contract::writer::ObjectWriter;

pub use kind::KindSpec;
pub use positions::ROW;

macro_rules! declare_table {
    (order { $($fact:ident => $Fact:ident($_fact:ident),)+ }
     other { $($other:ident => $Other:ident($_other:ident),)+ }) => {
        /// All kinds of events, in the order of the contract.
        pub const KINDS: [&KindSpec; event::KINDS.len()] =
            [$(&$fact::KIND,)+ $(&$other::KIND,)+];

        fn encode_body(body: &Body, object: &mut ObjectWriter<'_>) {
            match body {
                Body::Order(OrderEvent { order, fact }) => {
                    encode_order(order, object);
                    match fact {
                        $(OrderFact::$Fact(fact) => $fact::encode(fact, object),)+
                    }
                }
                $(Body::$Other(body) => $other::encode(body, object),)+
            }
        }
    };
}
event::for_each_kind!(declare_table);

/// The fields of every event, beside `type`.
pub const ENVELOPE: [FieldSpec; 8] = [
    FieldSpec::optional::<Account>(Field::Account, "The account; `default` if missing."),
    FieldSpec::optional::<TimeText>(
        Field::Time,
        "The time of the event by the sender's clock; the time of receipt if missing.",
    ),
    FieldSpec::optional::<TimeNanos>(
        Field::TimeNs,
        "The time as Unix nanoseconds, instead of `time`.",
    ),
    FieldSpec::optional::<EventId>(Field::EventId, "The idempotency key within the account."),
    FieldSpec::optional::<SessionName>(
        Field::Session,
        "The run of an engine that reuses order ids; empty: the session without a name.",
    ),
    FieldSpec::optional::<Strategy>(Field::Strategy, "The strategy that the event belongs to."),
    FieldSpec::optional::<Venue>(Field::Venue, "The execution venue."),
    FieldSpec::optional::<bool>(
        Field::Synthetic,
        "The engine made it to correct its book: it moves positions and is left out of every \
         quality figure.",
    ),
];

/// The fields that identify the order in every order event except its submission.
const ORDER: [FieldSpec; 3] = [
    FieldSpec::required::<OrderId>(Field::OrderId, "The engine's id of the order."),
    FieldSpec::optional::<Symbol>(Field::Symbol, "The instrument."),
    FieldSpec::optional::<Side>(Field::Side, "The side of the order."),
];

/// Decodes the event in an object.
#[expect(clippy::inline_always, reason = "an event is large, and each call would copy it")]
#[inline(always)]
pub(crate) fn decode(object: &mut ObjectReader<'_>) -> Result<Event, Flaw> {
    let kind = kind(object)?;
    object.check_names()?;
    object.check_fields(kind.allowed(), kind.name)?;
    Ok(Event {
        account: object.optional(Field::Account)?.unwrap_or_default(),
        time: event_time(object)?,
        event_id: object.optional(Field::EventId)?,
        session: object.optional::<SessionName>(Field::Session)?.and_then(|s| s.0),
        strategy: object.optional(Field::Strategy)?,
        venue: object.optional(Field::Venue)?,
        synthetic: object.optional(Field::Synthetic)?.unwrap_or(false),
        body: kind.decode(object)?,
    })
}

#[inline]
fn kind(object: &ObjectReader<'_>) -> Result<&'static KindSpec, Flaw> {
    let raw = object.raw(Field::Type).ok_or_else(|| missing(Field::Type))?;
    string(raw, limits::TEXT_BYTES_MAX)
        .ok()
        .and_then(|name| KINDS.into_iter().find(|kind| kind.name == name))
        .ok_or_else(|| Flaw::of(Field::Type, FieldCode::UnknownType, "is none of the known ones"))
}

#[inline]
fn event_time(object: &mut ObjectReader<'_>) -> Result<Option<Timestamp>, Flaw> {
    if object.has(Field::Time) && object.has(Field::TimeNs) {
        return Err(Flaw::of(Field::TimeNs, FieldCode::InvalidTime, "is given beside time"));
    }
    if let Some(TimeNanos(time)) = object.optional(Field::TimeNs)? {
        return Ok(Some(time));
    }
    Ok(object.optional::<TimeText>(Field::Time)?.map(|t| t.0))
}

/// Decodes the order that an event is about, then its fact.
#[expect(clippy::inline_always, reason = "the body is built in place instead of being copied")]
#[inline(always)]
fn order_body(
    object: &mut ObjectReader<'_>,
    fact: impl FnOnce(&mut ObjectReader<'_>) -> Result<OrderFact, Flaw>,
) -> Result<Body, Flaw> {
    let order = OrderRef {
        order_id: object.required(Field::OrderId)?,
        symbol: object.optional(Field::Symbol)?,
        side: object.optional(Field::Side)?,
    };
    Ok(Body::Order(OrderEvent { order, fact: fact(object)? }))
}

/// Writes an event as one canonical JSON object.
pub(crate) fn encode(event: &Event, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.key(Field::Type).extend_from_slice(event.body.quoted_kind().as_bytes());
    object.field(Field::Account, &event.account);
    object.optional(Field::TimeNs, event.time.map(TimeNanos).as_ref());
    object.optional(Field::EventId, event.event_id.as_ref());
    if event.session.is_some() {
        object.field(Field::Session, &SessionName(event.session.clone()));
    }
    object.optional(Field::Strategy, event.strategy.as_ref());
    object.optional(Field::Venue, event.venue.as_ref());
    if event.synthetic {
        object.field(Field::Synthetic, &true);
    }
    encode_body(&event.body, &mut object);
    object.end();
}

fn encode_order(order: &OrderRef, object: &mut ObjectWriter<'_>) {
    object.field(Field::OrderId, &order.order_id);
    object.optional(Field::Symbol, order.symbol.as_ref());
    object.optional(Field::Side, order.side.as_ref());
}
