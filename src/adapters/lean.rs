//! LEAN (QuantConnect): order events, orders and holdings, as its packets and files have them.
//!
//! Input: one order event; an order with its submission data; holdings; a packet with any of them. Output:
//! facts of orders, the local book. Invariants: a quantity that LEAN signs becomes a side and an amount; a
//! key that is left out is 0; an execution at assignment is the engine's own booking and synthetic.
//!
//! # Design
//!
//! - Names begin with a small letter in LEAN's files and with a capital in its packets; both are read.
//! - Order ids begin at 1 in every deployment, so `algorithmId` is the session.
//! - `submitted` is sent when the brokerage has accepted the order. It is the submission too, unless an
//!   event `new` came before.
//! - Symbols are the tickers (`symbolValue`), as brokers spell them. Holdings are keyed by LEAN's security
//!   id; its ticker is the part before the space, but for options and futures, which keep the id unless a
//!   `symbol` beside the quantity has the ticker.

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::foreign::{ForeignMessage, ForeignObject, is_zero};
use crate::adapters::known::HeldOrder;
use crate::adapters::translation::Translation;
use crate::domain::event::Source;
use crate::domain::units::Decimal;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// `OrderStatus` of LEAN, by its numbers.
const STATUSES: &[(&str, &str)] = &[
    ("0", "new"),
    ("1", "submitted"),
    ("2", "partiallyfilled"),
    ("3", "filled"),
    ("5", "canceled"),
    ("6", "none"),
    ("7", "invalid"),
    ("8", "cancelpending"),
    ("9", "updatesubmitted"),
];

/// The keys of a holding, short and long.
const HOLDING_KEYS: &[&str] = &[
    "a",
    "q",
    "p",
    "v",
    "u",
    "up",
    "r",
    "c",
    "symbol",
    "type",
    "averagePrice",
    "quantity",
    "marketPrice",
    "marketValue",
    "unrealizedPnL",
    "unrealizedPnLPercent",
    "conversionRate",
    "currencySymbol",
];

/// A message whose names may begin with a capital.
struct LeanObject<'t>(ForeignObject<'t>);

impl<'t> LeanObject<'t> {
    /// The name as this message spells it.
    fn spelled(&self, name: &str) -> String {
        if self.0.raw(name).is_some() {
            return name.to_owned();
        }
        let mut letters = name.chars();
        letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.text(&self.spelled(name)).map(String::from)
    }

    fn id(&self, name: &str) -> Option<String> {
        self.0.id(&self.spelled(name)).map(String::from)
    }

    fn number(&self, name: &str) -> Option<String> {
        self.0.number(&self.spelled(name)).map(String::from)
    }

    fn price(&self, name: &str) -> Option<String> {
        self.0.price(&self.spelled(name)).map(String::from)
    }

    fn decimal(&self, name: &str) -> Option<Decimal> {
        self.0.decimal(&self.spelled(name))
    }

    fn flag(&self, name: &str) -> bool {
        self.0.flag(&self.spelled(name))
    }

    fn object(&self, name: &str) -> Option<LeanObject<'t>> {
        self.0.object(&self.spelled(name)).map(LeanObject)
    }

    fn objects(&self, name: &str) -> Vec<LeanObject<'t>> {
        self.0.objects(&self.spelled(name)).into_iter().map(LeanObject).collect()
    }
}

/// Translates one message.
pub(super) fn read(message: &ForeignMessage<'_>, out: &mut Translation<'_>) {
    let ForeignMessage::Object(object) = message else {
        return out.ignore("not a message of LEAN");
    };
    let Some(object) = ForeignObject::read(object.json()).map(LeanObject) else { return };
    if !packet(&object, out) {
        out.ignore("neither an order event, an order nor holdings");
    }
}

/// Whether the message, or one that it holds, was understood.
fn packet(object: &LeanObject<'_>, out: &mut Translation<'_>) -> bool {
    if object.id("orderId").is_some() && object.0.raw(&object.spelled("status")).is_some() {
        order_event(object, out);
        return true;
    }
    if object.object("orderSubmissionData").is_some() && object.number("quantity").is_some() {
        order(object, out);
        return true;
    }
    let mut any = false;
    if let Some(results) = object.object("results") {
        any |= packet(&results, out);
    }
    if let Some(event) = object.object("event") {
        any |= packet(&event, out);
    }
    for event in object.objects("orderEvents") {
        order_event(&event, out);
        any = true;
    }
    if let Some(held) = object.object("holdings") {
        holdings(&held, out);
        return true;
    }
    if !any && is_holdings(object) {
        holdings(object, out);
        return true;
    }
    any
}

/// Whether every member is a holding. An object without a member is not: it may be anything.
fn is_holdings(object: &LeanObject<'_>) -> bool {
    let mut members = object.0.members().peekable();
    members.peek().is_some()
        && members.all(|(_, json)| {
            let holding = ForeignObject::read(json);
            holding.is_some_and(|h| {
                h.members().all(|(name, _)| {
                    HOLDING_KEYS.iter().any(|known| known.eq_ignore_ascii_case(name))
                })
            })
        })
}

fn holdings(held: &LeanObject<'_>, out: &mut Translation<'_>) {
    let mut rows = Vec::new();
    for (key, json) in held.0.members() {
        let Some(holding) = ForeignObject::read(json).map(LeanObject) else {
            let flaw = Flaw::of(Field::Positions, FieldCode::InvalidValue, "must be objects");
            return out.refuse(flaw);
        };
        let named = holding.object("symbol").and_then(|symbol| symbol.text("value"));
        let first = |names: [&str; 2]| names.iter().find_map(|name| holding.number(name));
        let price = |names| first(names).filter(|price| !is_zero(price));
        rows.push(DraftRow {
            symbol: named.unwrap_or_else(|| ticker(key)),
            quantity: first(["q", "quantity"]).unwrap_or_else(|| String::from("0")),
            average_price: price(["a", "averagePrice"]),
            market_price: price(["p", "marketPrice"]),
        });
    }
    let role = out.role(Source::Local);
    out.emit(EventDraft::new("positions").text(Field::Source, role.as_str()).rows(&rows));
}

/// The ticker of a security id like `SPY R735QTJ8XC9X`.
fn ticker(id: &str) -> String {
    match id.split_once(' ') {
        Some((ticker, hash)) if !hash.contains([' ', '|']) => ticker.to_owned(),
        _ => id.to_owned(),
    }
}

fn order_event(event: &LeanObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = event.id("orderId") else {
        return out.refuse(Flaw::of(Field::OrderId, FieldCode::MissingField, "is required"));
    };
    let status = event.id("status").unwrap_or_default().to_ascii_lowercase();
    let named = STATUSES.iter().find(|(number, _)| *number == status);
    let status = named.map_or(status.as_str(), |(_, name)| *name);
    let text_max = out.text_max();
    let fact = |kind| head(kind, event, &order_id);
    let why = event.text("message");
    match status {
        "new" => submission(event, &order_id, out),
        "submitted" => {
            submission(event, &order_id, out);
            out.emit(fact("order_accepted"));
        }
        "partiallyfilled" | "filled" => out.emit(execution(event, fact("order_filled"), status)),
        "canceled" => out.emit(fact("order_cancelled").prose(Field::Reason, why, text_max)),
        "invalid" => out.emit(fact("order_rejected").prose(Field::Reason, why, text_max)),
        "updatesubmitted" => {
            let draft = fact("order_replaced").number(Field::Quantity, amount(event, "quantity"));
            out.emit(draft.number(Field::LimitPrice, event.price("limitPrice")));
        }
        other => out.ignore(format!("the status {other} changes no order")),
    }
}

/// The execution of an event; incremental, as `fillQuantity` is.
fn execution(event: &LeanObject<'_>, draft: EventDraft, status: &str) -> EventDraft {
    let event_id = event.id("orderEventId").or_else(|| event.id("id"));
    draft
        .optional(Field::FillId, event_id)
        .number(Field::Quantity, amount(event, "fillQuantity"))
        .number(Field::Price, event.number("fillPrice").or_else(|| Some(String::from("0"))))
        .number(Field::Fee, event.number("orderFeeAmount"))
        .optional(Field::FeeCurrency, event.text("orderFeeCurrency"))
        .mark(Field::Final, status == "filled")
        .mark(Field::Synthetic, event.flag("isAssignment"))
}

fn head(kind: &'static str, event: &LeanObject<'_>, order_id: &str) -> EventDraft {
    let session = event.text("algorithmId");
    let id = event.text("id").or_else(|| {
        let number = event.id("orderEventId").or_else(|| event.id("id"))?;
        Some(format!("{}-{order_id}-{number}", session.as_deref().unwrap_or_default()))
    });
    about(kind, event, order_id).optional(Field::EventId, id)
}

fn about(kind: &'static str, event: &LeanObject<'_>, order_id: &str) -> EventDraft {
    let named = event.object("symbol").and_then(|symbol| symbol.text("value"));
    let symbol =
        event.text("symbolValue").or(named).or_else(|| event.text("symbol").map(|id| ticker(&id)));
    let written = event.text("time").or_else(|| event.text("createdTime"));
    let written = written.filter(|time| time.contains(':'));
    EventDraft::new(kind)
        .text(Field::OrderId, order_id)
        .optional(Field::Session, event.text("algorithmId"))
        .optional(Field::Symbol, symbol)
        .optional(Field::Side, side(event))
        .number(Field::Time, event.number("time").filter(|time| !time.contains(':')))
        .optional(Field::Time, written)
}

/// The side by the sign of a quantity, or else by the direction.
fn side(event: &LeanObject<'_>) -> Option<&'static str> {
    let signed = ["fillQuantity", "quantity"].iter().filter_map(|name| event.decimal(name));
    let mut signed = signed.filter(|quantity| !quantity.is_zero());
    if let Some(quantity) = signed.next() {
        return Some(if quantity.is_sign_negative() { "sell" } else { "buy" });
    }
    match event.id("direction")?.to_ascii_lowercase().as_str() {
        "buy" | "0" => Some("buy"),
        "sell" | "1" => Some("sell"),
        _ => None,
    }
}

/// A quantity without its sign.
fn amount(event: &LeanObject<'_>, name: &str) -> Option<String> {
    let quantity = event.price(name)?;
    Some(quantity.strip_prefix('-').map_or(quantity.clone(), str::to_owned))
}

/// The submission of an order that the state does not know yet.
fn submission(event: &LeanObject<'_>, order_id: &str, out: &mut Translation<'_>) {
    let account = out.account(None).to_owned();
    // Orders of LEAN have a session, so what this body said of them is under both names.
    let key = format!("{}\n{order_id}", event.text("algorithmId").unwrap_or_default());
    if out.order(&account, &key).is_some() {
        return;
    }
    let id = format!("{}-{order_id}-submitted", event.text("algorithmId").unwrap_or_default());
    if out.has_event(&account, &id) {
        return;
    }
    let draft = about("order_submitted", event, order_id)
        .text(Field::EventId, &id)
        .number(Field::Quantity, amount(event, "quantity"))
        .number(Field::LimitPrice, event.price("limitPrice"));
    out.emit(draft);
    out.set_order(&account, &key, HeldOrder { is_submitted: true, ..HeldOrder::default() });
}

/// An order with the quotes at its submission.
fn order(order: &LeanObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = order.id("id") else {
        return out.refuse(Flaw::of(Field::OrderId, FieldCode::MissingField, "is required"));
    };
    let account = out.account(None).to_owned();
    let session = order.text("algorithmId").unwrap_or_default();
    let id = format!("{session}-{order_id}-submitted");
    let key = format!("{session}\n{order_id}");
    if out.has_event(&account, &id) || out.order(&account, &key).is_some() {
        return out.ignore("the submission of the order is known");
    }
    let quotes = order.object("orderSubmissionData");
    let price = |name| quotes.as_ref().and_then(|quotes| quotes.0.decimal(&quotes.spelled(name)));
    let price = |name| price(name).filter(|price| !price.is_zero());
    let mid = match (price("bidPrice"), price("askPrice")) {
        (Some(bid), Some(ask)) => Some(bid.saturating_add(ask) / Decimal::TWO),
        _ => price("lastPrice"),
    };
    let draft = about("order_submitted", order, &order_id)
        .text(Field::EventId, &id)
        .number(Field::Quantity, amount(order, "quantity"))
        .number(Field::ArrivalPrice, mid.map(|mid| mid.normalize().to_string()))
        .number(Field::LimitPrice, order.price("limitPrice"));
    out.emit(draft);
    out.set_order(&account, &key, HeldOrder { is_submitted: true, ..HeldOrder::default() });
}
