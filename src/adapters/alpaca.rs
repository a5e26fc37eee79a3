//! Alpaca: messages of the stream `trade_updates`, and the list that `GET /v2/positions` answers.
//!
//! Input: `{"stream": "trade_updates", "data": {...}}` or its `data` alone; an array of positions, which
//! is the complete list of the broker. Output: the facts of orders; the list. Invariants: `price` and
//! `qty` beside the order are this execution, and what the order has of both is cumulative and not used; a
//! symbol that is not in the list is flat, so an empty list is a flat account.
//!
//! # Design
//!
//! - An order is known by its `id`, because `replaces` and `replaced_by` name that one. Its
//!   `client_order_id` is not sent as an order id.
//! - Every message repeats the whole order. So the first message of an order that the state does not know
//!   also becomes its submission, dated `submitted_at`. An order that replaces another one is part of that
//!   one and has no submission.
//! - A multi-leg order has no symbol. Its legs are orders of their own here: a message about the order
//!   becomes one about each leg. What a leg has filled is told when the order ends, as one execution.
//! - Streams name coins `BTC/USD`, the list of positions `BTCUSD`. The list is spelled like the stream.
//! - `position_qty` is left out: it is the broker's word in a message about executions, and one token may
//!   not send both.

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::foreign::{ForeignMessage, ForeignObject, every_object, objects};
use crate::adapters::known::HeldOrder;
use crate::adapters::translation::Translation;
use crate::domain::event::Source;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// The currencies in which Alpaca quotes coins, longer names first.
const COIN_QUOTES: [&str; 4] = ["USDT", "USDC", "USD", "BTC"];

/// Whether an array is a list of positions: it has no message of the stream.
pub(super) fn is_position_list(json: &str) -> bool {
    objects(json).iter().all(|row| row.raw("event").is_none() && row.raw("stream").is_none())
}

/// Translates one message.
pub(super) fn read(message: &ForeignMessage<'_>, out: &mut Translation<'_>) {
    let object = match message {
        ForeignMessage::List(json) => return positions(json, out),
        ForeignMessage::Object(object) => object,
    };
    let data = object.object("data");
    match (object.text("stream").as_deref(), &data) {
        (Some("trade_updates"), Some(data)) => update(data, out),
        (Some(stream), _) => out.ignore(format!("the stream {stream} has no orders")),
        (None, _) if object.raw("event").is_some() => update(object, out),
        (None, _) if object.raw("code").is_some() && object.raw("message").is_some() => {
            failed(object, out);
        }
        (None, _) => out.ignore("neither a trade update nor a list of positions"),
    }
}

/// The list of positions could not be fetched: Alpaca answered an error instead.
fn failed(error: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let text_max = out.text_max();
    let draft = EventDraft::new("positions")
        .text(Field::Source, out.role(Source::Broker).as_str())
        .text(Field::Status, "failed")
        .prose(Field::Error, error.text("message"), text_max);
    out.emit(draft);
}

fn positions(json: &str, out: &mut Translation<'_>) {
    let Some(rows) = every_object(json) else {
        // A list that is not understood as a whole must not make a symbol flat.
        return out.refuse(Flaw::of(
            Field::Positions,
            FieldCode::InvalidValue,
            "has rows that are no objects",
        ));
    };
    let mut list = Vec::with_capacity(rows.len());
    for row in &rows {
        let (Some(symbol), Some(quantity)) = (row.text("symbol"), row.number("qty")) else {
            return out.refuse(Flaw::of(
                Field::Positions,
                FieldCode::InvalidValue,
                "needs symbol and qty in every row",
            ));
        };
        let is_short = row.text("side").as_deref() == Some("short") && !quantity.starts_with('-');
        let is_coin = row.text("asset_class").as_deref() == Some("crypto");
        list.push(DraftRow {
            symbol: if is_coin { coin_pair(&symbol) } else { symbol.into_owned() },
            quantity: if is_short { format!("-{quantity}") } else { quantity.into_owned() },
            average_price: row.price("avg_entry_price").map(Into::into),
            market_price: row.price("current_price").map(Into::into),
        });
    }
    let draft = EventDraft::new("positions")
        .text(Field::Source, out.role(Source::Broker).as_str())
        .rows(&list);
    out.emit(draft);
}

/// `BTCUSD` as `BTC/USD`.
fn coin_pair(symbol: &str) -> String {
    let split = COIN_QUOTES.iter().find_map(|quote| {
        let base = symbol.strip_suffix(quote)?;
        (!base.is_empty() && !symbol.contains('/')).then(|| format!("{base}/{quote}"))
    });
    split.unwrap_or_else(|| symbol.to_owned())
}

/// A message about one order.
struct TradeUpdate<'t, 'o> {
    event: &'o str,
    data: &'o ForeignObject<'t>,
    order: &'o ForeignObject<'t>,
    /// The id of this message; empty if it has none.
    execution: String,
    is_leg: bool,
}

fn update(data: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let (Some(event), Some(order)) = (data.text("event"), data.object("order")) else {
        return out.refuse(Flaw::whole(FieldCode::InvalidEvent, "needs event and order"));
    };
    let execution = data.text("execution_id").unwrap_or_default().into_owned();
    let update = TradeUpdate { event: &event, data, order: &order, execution, is_leg: false };
    if !is_handled(&event) {
        return out.ignore(format!("the event {event} changes no order"));
    }
    if order.text("symbol").is_some() {
        return update.emit(out);
    }
    let legs = order.objects("legs");
    if legs.is_empty() {
        return out.ignore("an order without a symbol and without legs");
    }
    for leg in &legs {
        let execution = format!("{}:{}", update.execution, leg.text("id").unwrap_or_default());
        let leg = TradeUpdate { event: &event, data, order: leg, execution, is_leg: true };
        if event != "partial_fill" {
            leg.emit(out);
        }
    }
    if event == "partial_fill" {
        out.ignore("the legs of a multi-leg order are told when it ends");
    }
}

fn is_handled(event: &str) -> bool {
    matches!(
        event,
        "new"
            | "accepted"
            | "pending_new"
            | "partial_fill"
            | "fill"
            | "canceled"
            | "expired"
            | "rejected"
            | "replaced"
            | "restated"
            | "trade_bust"
            | "trade_correct"
    )
}

impl TradeUpdate<'_, '_> {
    fn emit(&self, out: &mut Translation<'_>) {
        let Some(id) = self.order.text("id") else {
            return out.refuse(Flaw::of(Field::OrderId, FieldCode::MissingField, "is required"));
        };
        self.opening(&id, out);
        let text_max = out.text_max();
        match self.event {
            "new" | "accepted" => out.emit(self.fact("order_accepted", &id)),
            "partial_fill" | "fill" if !self.is_leg => out.emit(self.execution(&id)),
            "fill" => self.leg_fill(&id, out),
            "canceled" => {
                self.leg_fill(&id, out);
                out.emit(self.fact("order_cancelled", &id));
            }
            "expired" => {
                self.leg_fill(&id, out);
                out.emit(self.fact("order_expired", &id));
            }
            "rejected" => {
                let why = self.data.text("reason").or_else(|| self.order.text("reject_reason"));
                out.emit(self.fact("order_rejected", &id).prose(Field::Reason, why, text_max));
            }
            "replaced" => {
                let new_id = self.order.text("replaced_by");
                let fact = self.fact("order_replaced", &id);
                out.emit(fact.optional(Field::NewOrderId, new_id));
            }
            "restated" => {
                let fact = self.fact("order_replaced", &id);
                let fact = fact.number(Field::Quantity, self.order.number("qty"));
                out.emit(fact.number(Field::LimitPrice, self.order.price("limit_price")));
            }
            "trade_bust" => {
                out.emit(self.fact("fill_busted", &id).text(Field::FillId, &self.corrected()));
            }
            "trade_correct" => {
                let fact = self.fact("fill_corrected", &id).text(Field::FillId, &self.corrected());
                let fact = fact.number(Field::Quantity, self.data.number("qty"));
                out.emit(fact.number(Field::Price, self.data.number("price")));
            }
            // `pending_new` only opens the order.
            _ => {}
        }
    }

    /// The submission of an order that is not known yet, or its place in a chain of replaces.
    fn opening(&self, id: &str, out: &mut Translation<'_>) {
        let account = out.account(None).to_owned();
        let replaces = self.order.text("replaces");
        // A replaced order is known under its new id as soon as the replace is.
        let replace_id = format!("{id}:replaces");
        let is_known = if replaces.is_some() {
            out.has_event(&account, &replace_id)
        } else {
            out.order(&account, id).is_some_and(|order| order.is_submitted)
        };
        if is_known || matches!(self.event, "trade_bust" | "trade_correct") {
            return;
        }
        let submitted_at =
            self.order.text("submitted_at").or_else(|| self.order.text("created_at"));
        let known = HeldOrder { is_submitted: true, ..HeldOrder::default() };
        let draft = if let Some(replaced) = replaces {
            EventDraft::new("order_replaced")
                .text(Field::OrderId, &replaced)
                .text(Field::NewOrderId, id)
                .text(Field::EventId, &replace_id)
                .number(Field::Quantity, self.order.number("qty"))
        } else {
            EventDraft::new("order_submitted")
                .text(Field::OrderId, id)
                .text(Field::EventId, &format!("{id}:submitted"))
                .optional(Field::OrderType, self.order.text("type"))
                .optional(Field::TimeInForce, self.order.text("time_in_force"))
                .number(Field::Quantity, self.order.price("qty"))
                .number(Field::Notional, self.notional())
        };
        let draft = self
            .instrument(draft)
            .number(Field::LimitPrice, self.order.price("limit_price"))
            .optional(Field::Time, submitted_at);
        out.emit(draft);
        out.set_event(&account, &replace_id);
        out.set_order(&account, id, known);
    }

    /// The ordered amount of money, of an order that has no quantity.
    fn notional(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.order.price("notional").filter(|_| self.order.price("qty").is_none())
    }

    fn instrument(&self, draft: EventDraft) -> EventDraft {
        let side = self.order.text("side");
        let side = side.as_deref().map(|side| match side {
            "sell" | "sell_short" => "sell",
            "buy" | "buy_minus" => "buy",
            other => other,
        });
        draft.optional(Field::Symbol, self.order.text("symbol")).optional(Field::Side, side)
    }

    /// A fact of this message about the order.
    fn fact(&self, kind: &'static str, id: &str) -> EventDraft {
        let draft = EventDraft::new(kind).text(Field::OrderId, id);
        let draft = if self.execution.is_empty() {
            draft
        } else {
            draft.text(Field::EventId, &self.execution)
        };
        let time = self.data.text("timestamp").or_else(|| self.data.text("at"));
        self.instrument(draft).optional(Field::Time, time)
    }

    fn execution(&self, id: &str) -> EventDraft {
        self.fact("order_filled", id)
            .optional(Field::FillId, Some(&self.execution).filter(|id| !id.is_empty()))
            .number(Field::Quantity, self.data.number("qty"))
            .number(Field::Price, self.data.number("price"))
            .mark(Field::Final, self.event == "fill")
    }

    /// All that a leg has filled, once its order ends.
    fn leg_fill(&self, id: &str, out: &mut Translation<'_>) {
        let (Some(quantity), Some(price)) =
            (self.order.price("filled_qty"), self.order.price("filled_avg_price"))
        else {
            return;
        };
        if self.is_leg {
            let fill = EventDraft::new("order_filled")
                .text(Field::OrderId, id)
                .text(Field::EventId, &format!("{id}:filled"))
                .text(Field::FillId, "all")
                .number(Field::Quantity, Some(quantity))
                .number(Field::Price, Some(price))
                .mark(Field::Final, self.event == "fill")
                .optional(Field::Time, self.data.text("timestamp"));
            out.emit(self.instrument(fill));
        }
    }

    /// The execution that a bust or a correction is about.
    fn corrected(&self) -> String {
        let earlier = self.data.text("previous_execution_id");
        earlier.map_or_else(|| self.execution.clone(), Into::into)
    }
}
