//! Hummingbot: payloads of its MQTT topics, alone or in `{"topic": ..., "payload": ...}`.
//!
//! Input: `{"timestamp", "type", "data"}` of `/events`; heartbeats of `/hb` and `/status_updates`. Output:
//! facts of orders, heartbeats. Invariants: a price that is `NaN` (a market order's) is absent; a time of
//! whole seconds stays one. Absent: refusals before the exchange (hummingbot tells one kind of failure),
//! balances and positions, which it does not forward; the connector, which is in no message.
//!
//! # Design
//!
//! - `BuyOrderCreated` is sent when the exchange has confirmed the order. It is the submission, at
//!   `creation_timestamp`, and the acceptance, at the second of the message.
//! - Events may be lost on the way (`QoS` 0). `BuyOrderCompleted` has the totals of the order, so what its
//!   executions lack is one more execution, at the price that brings them to these totals. Totals of 0 say
//!   nothing.
//! - A fee in per cent is one of the quote currency (`AddedToCost`), or is taken out of what the trade
//!   returns (`DeductedFromReturns`): coins of a purchase, money of a sale.

use crate::adapters::draft::EventDraft;
use crate::adapters::foreign::{ForeignMessage, ForeignObject};
use crate::adapters::known::HeldOrder;
use crate::adapters::translation::Translation;
use crate::domain::units::{Decimal, is_flat};
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// The interval of `/hb`.
const HEARTBEAT_SECONDS: &str = "10";

/// Decimal places of a price that is a quotient.
const PRICE_PLACES: u32 = 12;

/// Translates one message.
pub(super) fn read(message: &ForeignMessage<'_>, out: &mut Translation<'_>) {
    let ForeignMessage::Object(object) = message else {
        return out.ignore("not a payload of hummingbot");
    };
    let topic = object.text("topic").unwrap_or_default();
    if object.raw("payload").is_some() {
        let text = object.text("payload");
        let text = text.as_deref().map(crate::adapters::body::without_literals);
        let nested = text.as_deref().and_then(ForeignObject::read);
        return match nested.or_else(|| object.object("payload")) {
            Some(payload) => payload_of(&topic, &payload, out),
            None => out.ignore("the payload is not an object"),
        };
    }
    payload_of(&topic, object, out);
}

fn payload_of(topic: &str, payload: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let kind = payload.text("type");
    if let (Some(kind), Some(data)) = (kind.as_deref(), payload.object("data")) {
        return event(kind, payload, &data, out);
    }
    let message = payload.text("msg");
    match (kind.as_deref(), message.as_deref()) {
        (Some("availability"), Some("online")) => heartbeat(Some("healthy"), out),
        (Some("availability"), Some("offline")) => heartbeat(Some("unhealthy"), out),
        _ if topic.ends_with("/hb") || topic.is_empty() && payload.raw("ts").is_some() => {
            heartbeat(None, out);
        }
        _ => out.ignore("a message that changes no order"),
    }
}

/// Its time would be that of the bot's clock plus half a second: the receipt is nearer.
fn heartbeat(status: Option<&str>, out: &mut Translation<'_>) {
    let draft = EventDraft::new("heartbeat")
        .text(Field::Component, "engine")
        .optional(Field::Status, status)
        .number(Field::IntervalSeconds, Some(HEARTBEAT_SECONDS));
    out.emit(draft);
}

/// One event of an order.
struct BotEvent<'t, 'o> {
    kind: &'o str,
    payload: &'o ForeignObject<'t>,
    data: &'o ForeignObject<'t>,
    order_id: String,
}

fn event(
    kind: &str,
    payload: &ForeignObject<'_>,
    data: &ForeignObject<'_>,
    out: &mut Translation<'_>,
) {
    let is_order = matches!(
        kind,
        "BuyOrderCreated"
            | "SellOrderCreated"
            | "OrderFilled"
            | "BuyOrderCompleted"
            | "SellOrderCompleted"
            | "OrderCancelled"
            | "OrderExpired"
            | "OrderFailure"
    );
    if !is_order {
        return out.ignore(format!("{kind} changes no order"));
    }
    let Some(order_id) = data.text("order_id") else {
        return out.refuse(Flaw::of(Field::OrderId, FieldCode::MissingField, "is required"));
    };
    let event = BotEvent { kind, payload, data, order_id: order_id.into_owned() };
    let text_max = out.text_max();
    match kind {
        "BuyOrderCreated" => event.created("buy", out),
        "SellOrderCreated" => event.created("sell", out),
        "OrderFilled" => event.filled(out),
        "BuyOrderCompleted" => event.completed("buy", out),
        "SellOrderCompleted" => event.completed("sell", out),
        "OrderCancelled" => out.emit(event.fact("order_cancelled")),
        "OrderExpired" => out.emit(event.fact("order_expired")),
        _ => {
            let draft = event.fact("order_rejected");
            let draft = draft.prose(Field::Reason, data.text("error_message"), text_max);
            out.emit(draft.prose(Field::Code, data.text("error_type"), text_max));
        }
    }
}

/// `OrderType.LIMIT` as `limit`.
fn word(text: &str) -> String {
    text.rsplit('.').next().unwrap_or(text).to_ascii_lowercase()
}

impl BotEvent<'_, '_> {
    fn fact(&self, kind: &'static str) -> EventDraft {
        let stamp = self.payload.number("timestamp").unwrap_or_default();
        EventDraft::new(kind)
            .text(Field::OrderId, &self.order_id)
            .text(Field::EventId, &format!("{}:{}:{stamp}", self.order_id, self.kind))
            .optional(Field::Symbol, self.data.text("trading_pair"))
            .number(Field::Time, Some(&stamp).filter(|stamp| !stamp.is_empty()))
    }

    fn created(&self, side: &'static str, out: &mut Translation<'_>) {
        let data = self.data;
        let kind = data.text("type").map(|kind| word(&kind));
        let price = data.price("price");
        let created = data.number("creation_timestamp");
        let created = created.or_else(|| self.payload.number("timestamp"));
        let submission = EventDraft::new("order_submitted")
            .text(Field::OrderId, &self.order_id)
            .text(Field::EventId, &format!("{}:submitted", self.order_id))
            .optional(Field::Symbol, data.text("trading_pair"))
            .text(Field::Side, side)
            .number(Field::Quantity, data.number("amount"))
            .number(Field::LimitPrice, price)
            .optional(Field::OrderType, kind)
            .number(Field::Time, created);
        out.emit(submission);
        let accepted = self.fact("order_accepted").text(Field::Side, side);
        out.emit(accepted.optional(Field::VenueOrderId, data.id("exchange_order_id")));
        let account = out.account(None).to_owned();
        let known = out.order(&account, &self.order_id).unwrap_or_default();
        let known = HeldOrder { quantity: data.decimal("amount"), is_submitted: true, ..known };
        out.set_order(&account, &self.order_id, known);
    }

    fn filled(&self, out: &mut Translation<'_>) {
        let data = self.data;
        let side = data.text("trade_type").map(|side| word(&side));
        let trade = data.id("exchange_trade_id").map(String::from);
        let stamp = self.payload.number("timestamp").unwrap_or_default();
        let named = trade.clone().unwrap_or_else(|| format!("{}:{stamp}", self.kind));
        let (fee, currency) = self.fee(side.as_deref());
        let draft = EventDraft::new("order_filled")
            .text(Field::OrderId, &self.order_id)
            .text(Field::EventId, &format!("{}:fill:{named}", self.order_id))
            .optional(Field::Symbol, data.text("trading_pair"))
            .number(Field::Time, Some(&stamp).filter(|stamp| !stamp.is_empty()))
            .optional(Field::Side, side.as_deref())
            .optional(Field::FillId, trade)
            .number(Field::Quantity, data.number("amount"))
            .number(Field::Price, data.number("price"))
            .number(Field::Fee, fee.map(|fee| fee.normalize().to_string()))
            .optional(Field::FeeCurrency, currency);
        out.emit(draft);
        let account = out.account(None).to_owned();
        let event_id = format!("{}:fill:{named}", self.order_id);
        if out.has_event(&account, &event_id) {
            return;
        }
        out.set_event(&account, &event_id);
        let known = out.order(&account, &self.order_id).unwrap_or_default();
        if let (Some(amount), Some(price)) = (data.decimal("amount"), data.decimal("price")) {
            out.set_order(&account, &self.order_id, with_fill(&known, amount, price));
        }
    }

    /// The fee of an execution and its currency, if it is told exactly.
    fn fee(&self, side: Option<&str>) -> (Option<Decimal>, Option<String>) {
        let Some(fee) = self.data.object("trade_fee") else { return (None, None) };
        let flat = fee.objects("flat_fees");
        if let [only] = flat.as_slice() {
            return (only.decimal("amount"), only.text("token").map(String::from));
        }
        let Some(percent) = fee.decimal("percent").filter(|_| flat.is_empty()) else {
            return (None, None);
        };
        let pair = self.data.text("trading_pair").unwrap_or_default();
        let (Some((base, quote)), Some(amount), Some(price)) =
            (pair.split_once('-'), self.data.decimal("amount"), self.data.decimal("price"))
        else {
            return (None, None);
        };
        let is_deducted = fee.text("fee_type").as_deref() == Some("DeductedFromReturns");
        let (of, token) = if is_deducted && side == Some("buy") {
            (Some(amount), base)
        } else {
            (amount.checked_mul(price), quote)
        };
        let token = fee.text("percent_token").map_or_else(|| token.to_owned(), String::from);
        if token != base && token != quote {
            return (None, None);
        }
        (of.and_then(|of| of.checked_mul(percent)), Some(token))
    }

    /// The totals of an order that is filled.
    fn completed(&self, side: &'static str, out: &mut Translation<'_>) {
        let data = self.data;
        let (Some(base), Some(quote)) =
            (data.decimal("base_asset_amount"), data.decimal("quote_asset_amount"))
        else {
            return out.ignore("a completed order without amounts");
        };
        if base.is_zero() || quote.is_zero() {
            return out.ignore("a completed order without amounts");
        }
        let account = out.account(None).to_owned();
        let event_id = format!("{}:completed", self.order_id);
        if out.has_event(&account, &event_id) {
            return out.known();
        }
        let known = out.order(&account, &self.order_id).unwrap_or_default();
        let cost = known.average_price.unwrap_or_default().checked_mul(known.filled);
        let (left, cost) =
            (base.saturating_sub(known.filled), quote.saturating_sub(cost.unwrap_or_default()));
        let is_dust = is_flat(left) || left < base.saturating_mul(Decimal::new(1, 9));
        let Some(price) = cost.checked_div(left).filter(|_| !is_dust && left > Decimal::ZERO)
        else {
            return out.ignore("the executions of the order are known");
        };
        let price = price.round_dp(PRICE_PLACES);
        let assets = data.text("base_asset").zip(data.text("quote_asset"));
        let draft = EventDraft::new("order_filled")
            .text(Field::OrderId, &self.order_id)
            .text(Field::EventId, &event_id)
            .text(Field::FillId, "completed")
            .optional(Field::Symbol, assets.map(|(base, quote)| format!("{base}-{quote}")))
            .text(Field::Side, side)
            .number(Field::Quantity, Some(left.normalize().to_string()))
            .number(Field::Price, Some(price.normalize().to_string()))
            .mark(Field::Final, true)
            .number(Field::Time, self.payload.number("timestamp"));
        out.emit(draft);
        out.set_event(&account, &event_id);
        out.set_order(&account, &self.order_id, with_fill(&known, left, price));
    }
}

/// An order after one more execution.
fn with_fill(order: &HeldOrder, amount: Decimal, price: Decimal) -> HeldOrder {
    let filled = order.filled.saturating_add(amount);
    let before = order.average_price.unwrap_or_default().saturating_mul(order.filled);
    let cost = before.saturating_add(amount.saturating_mul(price));
    HeldOrder { filled, average_price: cost.checked_div(filled), ..order.clone() }
}
