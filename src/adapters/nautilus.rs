//! NautilusTrader: events of orders and positions, and reports of venues, as its message bus has them.
//!
//! Input: a flat object with `type` (v1), an object in an externally tagged one (`{"Filled": {...}}`, the
//! Rust core), or either as the `payload` of an entry of the stream. Output: facts of orders; the local
//! book from position events; the broker's book from `PositionStatusReport`. Invariants: a message that
//! nautilus made to agree with a venue (`reconciliation`) is synthetic; a denied order was never
//! submitted.
//!
//! # Design
//!
//! - `OrderSubmitted` has ids alone; side, size and type are in `OrderInitialized`, which names no account
//!   and may be followed by a denial, or much later by a release. So the announcement is kept as a note, and
//!   the submission is made of both.
//! - A position event has one position, and an account may have several of one symbol (strategies, hedged
//!   sides). So it moves the local book of the symbol by what it changed, see `positions`.
//! - Expected prices are not part of the format. Tags of the order are: `expected_price=187.5` (or
//!   `xp=187.5`), `decision_price=...`, `arrival_price=...`.

mod positions;
mod reports;

use crate::adapters::draft::EventDraft;
use crate::adapters::foreign::{ForeignMessage, ForeignObject, is_zero};
use crate::adapters::known::HeldOrder;
use crate::adapters::translation::Translation;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// Names of the Rust core without a prefix, and those of version 1.
const ORDER_EVENTS: &[(&str, &str)] = &[
    ("Initialized", "OrderInitialized"),
    ("Denied", "OrderDenied"),
    ("Emulated", "OrderEmulated"),
    ("Released", "OrderReleased"),
    ("Submitted", "OrderSubmitted"),
    ("Accepted", "OrderAccepted"),
    ("Rejected", "OrderRejected"),
    ("Canceled", "OrderCanceled"),
    ("Expired", "OrderExpired"),
    ("Triggered", "OrderTriggered"),
    ("PendingUpdate", "OrderPendingUpdate"),
    ("PendingCancel", "OrderPendingCancel"),
    ("ModifyRejected", "OrderModifyRejected"),
    ("CancelRejected", "OrderCancelRejected"),
    ("Updated", "OrderUpdated"),
    ("Filled", "OrderFilled"),
    ("Order", "OrderStatusReport"),
    ("Fill", "FillReport"),
    ("Position", "PositionStatusReport"),
];

/// Translates one message.
pub(super) fn read(message: &ForeignMessage<'_>, out: &mut Translation<'_>) {
    let ForeignMessage::Object(object) = message else {
        return out.ignore("not an event");
    };
    // An entry of the stream: its payload may be an object, or JSON in a string.
    if object.raw("payload").is_some() {
        let text = object.text("payload");
        let nested = text.as_deref().and_then(ForeignObject::read);
        return match nested.or_else(|| object.object("payload")) {
            Some(payload) => tagged(object.text("type").as_deref(), &payload, out),
            None => out.ignore("the payload is not JSON"),
        };
    }
    tagged(None, object, out);
}

/// The event itself, or the only member of the object that holds it.
fn tagged(outer: Option<&str>, object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    if let Some(kind) = object.text("type") {
        return event(&kind, object, out);
    }
    let mut members = object.members();
    if let (Some((tag, json)), None) = (members.next(), members.next())
        && let Some(inner) = ForeignObject::read(json)
    {
        return event(tag, &inner, out);
    }
    match outer {
        Some(kind) => event(kind, object, out),
        None => out.ignore("an object without a type"),
    }
}

fn event(kind: &str, object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let long = ORDER_EVENTS.iter().find(|(short, _)| *short == kind);
    let kind = long.map_or(kind, |(_, long)| *long);
    match kind {
        "OrderInitialized" => announce(object, out),
        "OrderSubmitted" => submit(object, out),
        "OrderAccepted" | "OrderRejected" | "OrderDenied" | "OrderCanceled" | "OrderExpired"
        | "OrderUpdated" | "OrderFilled" => order_event(kind, object, out),
        "PositionOpened" | "PositionChanged" | "PositionClosed" => {
            positions::event(kind, object, out);
        }
        "PositionStatusReport" => reports::position(object, out),
        "OrderStatusReport" => reports::order(object, out),
        "FillReport" => reports::fill(object, out),
        other => out.ignore(format!("{other} changes neither an order nor a position")),
    }
}

fn order_event(kind: &str, object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = object.text("client_order_id") else {
        return out.refuse(missing_order_id());
    };
    let text_max = out.text_max();
    let fact = |name| head(name, object).text(Field::OrderId, &order_id);
    let reason = |draft: EventDraft| draft.prose(Field::Reason, object.text("reason"), text_max);
    let draft = match kind {
        "OrderAccepted" => {
            fact("order_accepted").optional(Field::VenueOrderId, object.text("venue_order_id"))
        }
        "OrderRejected" => {
            let code = object.flag("due_post_only").then_some("post_only");
            reason(fact("order_rejected")).optional(Field::Code, code)
        }
        "OrderDenied" => reason(fact("order_denied")),
        "OrderCanceled" => fact("order_cancelled"),
        "OrderExpired" => fact("order_expired"),
        "OrderUpdated" => {
            // A quantity of money is none of the instrument.
            let quantity = object.price("quantity").filter(|_| !object.flag("is_quote_quantity"));
            fact("order_replaced")
                .number(Field::Quantity, quantity)
                .number(Field::LimitPrice, object.price("price"))
        }
        _ => execution(fact("order_filled"), object),
    };
    out.emit(draft);
}

fn missing_order_id() -> Flaw {
    Flaw::of(Field::OrderId, FieldCode::MissingField, "is required")
}

/// The members that all events have in common.
fn head(kind: &'static str, object: &ForeignObject<'_>) -> EventDraft {
    let id = object.text("event_id").or_else(|| object.text("id"));
    about(kind, object)
        .optional(Field::EventId, id)
        .mark(Field::Synthetic, object.flag("reconciliation"))
}

/// Account, instrument, strategy and time.
fn about(kind: &'static str, object: &ForeignObject<'_>) -> EventDraft {
    // A list of positions has its symbols in its rows.
    let symbol = object.text("instrument_id").filter(|_| kind != "positions");
    let draft = EventDraft::new(kind)
        .account(object.text("account_id").as_deref())
        .optional(Field::Symbol, symbol)
        .optional(Field::Strategy, object.text("strategy_id"));
    let draft = match object.text("instrument_id") {
        Some(instrument) => {
            draft.optional(Field::Venue, instrument.rsplit_once('.').map(|(_, venue)| venue))
        }
        None => draft,
    };
    let time = ["ts_event", "ts_closed", "ts_init"].iter().find(|name| object.raw(name).is_some());
    dated(draft, object, time.copied().unwrap_or("ts_event"))
}

/// The time of a member: Unix nanoseconds, or ISO 8601.
fn dated(draft: EventDraft, object: &ForeignObject<'_>, name: &str) -> EventDraft {
    match object.text(name) {
        Some(text) if text.contains(':') => draft.text(Field::Time, &text),
        _ => draft.number(Field::TimeNs, object.number(name).filter(|nanos| !is_zero(nanos))),
    }
}

/// The members of an execution, which events and reports share.
fn execution(draft: EventDraft, object: &ForeignObject<'_>) -> EventDraft {
    let side = side_of(object);
    let money = object.text("commission");
    let (fee, currency) = match money.as_deref().map(|money| money.split_once(' ')) {
        Some(Some((amount, currency))) => (Some(amount.to_owned()), Some(currency.to_owned())),
        _ => (None, None),
    };
    let liquidity = object.text("liquidity_side").map(|side| side.to_ascii_lowercase());
    let liquidity = liquidity.filter(|side| matches!(side.as_str(), "maker" | "taker"));
    draft
        .optional(Field::Side, side)
        .optional(Field::FillId, object.id("trade_id"))
        .number(Field::Quantity, object.number("last_qty"))
        .number(Field::Price, object.number("last_px"))
        .number(Field::Fee, fee)
        .optional(Field::FeeCurrency, currency)
        .optional(Field::Liquidity, liquidity)
}

fn side_of(object: &ForeignObject<'_>) -> Option<&'static str> {
    match object.text("order_side").as_deref() {
        Some("BUY" | "Buy" | "buy") => Some("buy"),
        Some("SELL" | "Sell" | "sell") => Some("sell"),
        _ => None,
    }
}

/// The key of the note about an order that was announced. The announcement names no account, so the
/// orders of one `?account=` are apart from those of another, and nothing else is.
fn announcement(order_id: &str, out: &Translation<'_>) -> String {
    format!("nautilus {} {order_id}", out.account(None))
}

/// The members of an announcement that its submission needs.
const ANNOUNCED: &[&str] = &[
    "side",
    "order_side",
    "quantity",
    "quote_quantity",
    "order_type",
    "options",
    "time_in_force",
    "reduce_only",
    "tags",
];

fn announce(object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = object.text("client_order_id") else {
        return out.refuse(missing_order_id());
    };
    let members = object.members().filter(|(name, _)| ANNOUNCED.contains(name));
    let members: Vec<String> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    out.keep(announcement(&order_id, out), format!("{{{}}}", members.join(",")));
}

fn submit(object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = object.text("client_order_id") else {
        return out.refuse(missing_order_id());
    };
    let account = out.account(object.text("account_id").as_deref()).to_owned();
    let announced = out.kept(&announcement(&order_id, out));
    let Some(announced) = announced.as_deref().and_then(ForeignObject::read) else {
        if out.order(&account, &order_id).is_some_and(|order| order.is_submitted) {
            return out.known();
        }
        return out.ignore("OrderInitialized of this order was not received");
    };
    let options = announced.object("options");
    let price = |name| options.as_ref().and_then(|options| options.price(name));
    let tags = tags_of(&announced);
    let tag = |names: &[&str]| {
        let found = tags.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.clone()).filter(|value| !is_zero(value))
    };
    let quantity = announced.number("quantity");
    let of_quote = announced.flag("quote_quantity");
    let draft = head("order_submitted", object)
        .text(Field::OrderId, &order_id)
        .optional(Field::Side, side_of(&announced))
        .number(Field::Quantity, quantity.clone().filter(|_| !of_quote))
        .number(Field::Notional, quantity.filter(|_| of_quote))
        .number(Field::ExpectedPrice, tag(&["expected_price", "xp"]))
        .number(Field::DecisionPrice, tag(&["decision_price"]))
        .number(Field::ArrivalPrice, tag(&["arrival_price"]))
        .optional(Field::OrderType, announced.text("order_type").map(|t| t.to_ascii_lowercase()))
        .number(Field::LimitPrice, price("price"))
        .optional(
            Field::TimeInForce,
            announced.text("time_in_force").map(|t| t.to_ascii_lowercase()),
        )
        .mark(Field::ReduceOnly, announced.flag("reduce_only"));
    out.emit(draft);
    out.set_order(&account, &order_id, HeldOrder { is_submitted: true, ..HeldOrder::default() });
}

/// The tags of an order that have the form `name=number`.
fn tags_of(announced: &ForeignObject<'_>) -> Vec<(String, String)> {
    let Some(json) = announced.raw("tags") else { return Vec::new() };
    let tags: Vec<String> = serde_json::from_str(json).unwrap_or_default();
    let pairs = tags.iter().filter_map(|tag| tag.split_once('='));
    let numbers = pairs.filter(|(_, value)| crate::adapters::foreign::decimal(value).is_some());
    numbers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
