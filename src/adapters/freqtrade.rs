//! Freqtrade: the messages of its webhook, in the formats `json`, `form` and `raw`.
//!
//! Input: one object; its values are texts, as Python writes them. Output: submissions, executions and
//! cancels of orders; heartbeats. Invariants: a message that is sent again becomes nothing; a field that
//! is `None` or missing is absent; no event has a time, because `open_date` and `close_date` are those of
//! the trade. Absent: refused orders, of which freqtrade sends nothing; partial fills; fees.
//!
//! # Design
//!
//! A message names the trade, not the order, and no content of `entry` returns in `entry_fill` or
//! `entry_cancel`: prices become averages, amounts lose the fee, a cancel has those of the trade. But
//! freqtrade cancels all open orders of a trade before it places another one (`handle_similar_open_order`
//! in its `freqtradebot.py`; in older versions a trade has a single `open_order_id`). So an execution or a
//! cancel is about the order of the trade that is open, which the state knows.
//!
//! - *Order ids* are `exchange:pair:trade_id:n`; `n` counts the orders of the trade. Trade ids are reused
//!   across pairs and after a trade without a fill was deleted; `n` then goes on. Two bots are two accounts.
//! - *Event ids* are digests of the message. Two equal messages about different orders (a second order
//!   with the same amount, price and market price, cancelled in the same way) count as one; every other
//!   message of freqtrade differs in a price, an amount or a date.
//! - *Another order of the trade* ends an open one, also if its cancel was not received: freqtrade
//!   announces two cancels of exits with one reason once (`_notify_exit_cancel`).
//! - *An execution* ends its order if it is within 1 % of what was left: the amount of an entry is without
//!   the fee that was taken in the coin. Less is an order that was cancelled in part, and the cancel follows.
//! - *An execution without an open order* (a stop on the exchange, an entry before the exporter ran) is an
//!   order of its own, without a submission.

use crate::adapters::draft::EventDraft;
use crate::adapters::foreign::{ForeignMessage, ForeignObject, decimal};
use crate::adapters::known::HeldOrder;
use crate::adapters::translation::Translation;
use crate::domain::digest::digest_of;
use crate::domain::units::{Decimal, Side};
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// The most orders of one trade.
const ORDERS_MAX: usize = 1000;

/// Freqtrade sends no heartbeat. A day without a word of it is silence.
const STATUS_INTERVAL_SECONDS: &str = "86400";

/// `constants.CANCEL_REASON["PARTIALLY_FILLED_KEEP_OPEN"]`: the order was not cancelled.
const KEPT_OPEN: &str = "keeping order open";

/// `constants.CANCEL_REASON["CANCELLED_ON_EXCHANGE"]`.
const BY_EXCHANGE: &str = "cancelled on exchange";

/// Translates one message.
pub(super) fn read(message: &ForeignMessage<'_>, out: &mut Translation<'_>) {
    let ForeignMessage::Object(object) = message else {
        return out.ignore("not a message of the webhook");
    };
    let Some(kind) = object.text("type") else { return out.ignore("a message without a type") };
    // The words of versions before 2022.
    let kind = match &*kind {
        "buy" => "entry",
        "buy_fill" => "entry_fill",
        "buy_cancel" => "entry_cancel",
        "sell" => "exit",
        "sell_fill" => "exit_fill",
        "sell_cancel" => "exit_cancel",
        other => other,
    };
    match kind {
        "entry" | "exit" | "entry_fill" | "exit_fill" | "entry_cancel" | "exit_cancel" => {
            trade_message(kind, object, out);
        }
        "startup" => heartbeat("healthy", object, out),
        "exception" => heartbeat("degraded", object, out),
        "new_candle" => new_candle(object, out),
        other => out.ignore(format!("{other} changes no order")),
    }
}

/// A message about an order of a trade.
struct TradeMessage<'t, 'o> {
    object: &'o ForeignObject<'t>,
    account: String,
    event_id: String,
    /// `exchange:pair:trade_id`
    trade: String,
    side: Side,
}

/// The open order of a trade, and the number for the next one.
struct TradeOrders {
    open: Option<(String, HeldOrder)>,
    next: String,
}

fn trade_message(kind: &str, object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let missing = |field, why| Flaw::of(field, FieldCode::MissingField, why);
    let (Some(pair), Some(trade_id)) = (object.text("pair"), object.id("trade_id")) else {
        return out.refuse(missing(Field::OrderId, "needs pair and trade_id in the template"));
    };
    let is_entry = kind.starts_with("entry");
    let side = match (object.text("direction").as_deref(), is_entry) {
        (Some("Long" | "long"), true) | (Some("Short" | "short"), false) => Side::Buy,
        (Some("Long" | "long"), false) | (Some("Short" | "short"), true) => Side::Sell,
        _ => return out.refuse(missing(Field::Side, "needs direction in the template")),
    };
    let account = out.account(None).to_owned();
    let event_id = format!("freqtrade:{:032x}", digest_of(&object.json()));
    if out.has_event(&account, &event_id) {
        return out.known();
    }
    let exchange = object.text("exchange").unwrap_or_default();
    let trade = format!("{exchange}:{pair}:{trade_id}");
    let message = TradeMessage { object, account, event_id, trade, side };
    let orders = message.orders(out);
    match kind {
        "entry" | "exit" => message.placed(&orders, out),
        "entry_fill" | "exit_fill" => message.filled(kind, &orders, out),
        _ => message.cancelled(&orders, out),
    }
    out.set_event(&message.account, &message.event_id);
}

impl TradeMessage<'_, '_> {
    /// Looks through the orders of the trade that are held.
    fn orders(&self, out: &mut Translation<'_>) -> TradeOrders {
        // An order that has ended stays so: a long body need not ask for it again.
        let first = out.first_numbers.get(&self.trade).copied().unwrap_or(1);
        for n in first..=ORDERS_MAX {
            out.first_numbers.insert(self.trade.clone(), n);
            let id = format!("{}:{n}", self.trade);
            match out.order(&self.account, &id) {
                Some(order) if order.has_ended => {}
                Some(order) => {
                    return TradeOrders { open: Some((id, order)), next: self.next(n + 1, out) };
                }
                None => return TradeOrders { open: None, next: id },
            }
        }
        TradeOrders { open: None, next: self.next(ORDERS_MAX + 1, out) }
    }

    /// The first free number from `n` on. Past the bound, an id that is made from the message.
    fn next(&self, n: usize, out: &Translation<'_>) -> String {
        let free = (n..=ORDERS_MAX).map(|n| format!("{}:{n}", self.trade));
        let mut free = free.filter(|id| out.order(&self.account, id).is_none());
        free.next().unwrap_or_else(|| format!("{}:{}", self.trade, self.event_id))
    }

    /// The event that the digest of the message stands for.
    fn fact(&self, kind: &'static str, order_id: &str) -> EventDraft {
        self.also(kind, order_id, &self.event_id)
    }

    fn also(&self, kind: &'static str, order_id: &str, event_id: &str) -> EventDraft {
        EventDraft::new(kind)
            .text(Field::OrderId, order_id)
            .text(Field::EventId, event_id)
            .optional(Field::Symbol, self.object.text("pair"))
            .text(Field::Side, self.side.as_str())
            .optional(Field::Venue, self.object.text("exchange"))
    }

    /// The price of the order, or of its execution. 0 is none.
    fn rate(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.object.price(name)).map(String::from)
    }

    fn placed(&self, orders: &TradeOrders, out: &mut Translation<'_>) {
        if let Some((id, order)) = &orders.open {
            let side = order.side.unwrap_or(self.side);
            let ended = EventDraft::new("order_cancelled")
                .text(Field::OrderId, id)
                .text(Field::EventId, &format!("{}:ended", self.event_id))
                .optional(Field::Symbol, self.object.text("pair"))
                .text(Field::Side, side.as_str())
                .text(Field::Reason, "freqtrade placed another order of the trade")
                .text(Field::Initiator, "user");
            out.emit(ended);
            out.set_order(&self.account, id, HeldOrder { has_ended: true, ..order.clone() });
        }
        let id = &orders.next;
        let rate = self.rate(&["order_rate", "limit", "open_rate"]);
        let order_type = self.object.text("order_type");
        let is_limit = order_type.as_deref() == Some("limit");
        let draft = self
            .fact("order_submitted", id)
            .number(Field::Quantity, self.object.number("amount"))
            .number(Field::ExpectedPrice, rate.as_ref())
            .number(Field::ArrivalPrice, self.object.price("current_rate"))
            .number(Field::LimitPrice, rate.as_ref().filter(|_| is_limit))
            .optional(Field::OrderType, order_type);
        out.emit(draft);
        // The exchange has answered before the message is sent.
        out.emit(self.also("order_accepted", id, &format!("{}:accepted", self.event_id)));
        let order = HeldOrder {
            is_submitted: true,
            side: Some(self.side),
            quantity: self.object.decimal("amount"),
            ..HeldOrder::default()
        };
        out.set_order(&self.account, id, order);
    }

    fn filled(&self, kind: &str, orders: &TradeOrders, out: &mut Translation<'_>) {
        let names: &[&str] = if kind == "exit_fill" {
            &["close_rate", "order_rate", "limit"]
        } else {
            &["open_rate", "order_rate", "limit"]
        };
        let amount = self.object.number("amount");
        let (id, order) = match self.own(orders) {
            Some((id, order)) => (id, order.clone()),
            None => (orders.next.as_str(), HeldOrder::default()),
        };
        let quantity = amount.as_deref().and_then(decimal).unwrap_or_default();
        let left = order.quantity.map(|ordered| ordered.saturating_sub(order.filled));
        let is_final = left.is_none_or(|left| quantity >= left.saturating_mul(NEARLY_ALL));
        let draft = self
            .fact("order_filled", id)
            .text(Field::FillId, &self.event_id)
            .number(Field::Quantity, amount)
            .number(Field::Price, self.rate(names))
            .mark(Field::Final, is_final);
        out.emit(draft);
        let filled = order.filled.saturating_add(quantity);
        out.set_order(&self.account, id, HeldOrder { has_ended: is_final, filled, ..order });
    }

    fn cancelled(&self, orders: &TradeOrders, out: &mut Translation<'_>) {
        let reason = self.object.text("reason").unwrap_or_default();
        if reason.contains(KEPT_OPEN) {
            return out.ignore("the order is kept open");
        }
        let (id, order) = match self.own(orders) {
            Some((id, order)) => (id, order.clone()),
            // Its execution came before and ended it.
            None if reason.contains("partially filled") => {
                return out.ignore("the order has ended");
            }
            None => (orders.next.as_str(), HeldOrder::default()),
        };
        let initiator = if reason.contains(BY_EXCHANGE) { "venue" } else { "user" };
        let text_max = out.text_max();
        let draft = self
            .fact("order_cancelled", id)
            .prose(Field::Reason, Some(&reason).filter(|text| !text.is_empty()), text_max)
            .text(Field::Initiator, initiator);
        out.emit(draft);
        out.set_order(&self.account, id, HeldOrder { has_ended: true, ..order });
    }

    /// The open order, if it can be that of this message.
    fn own<'s>(&self, orders: &'s TradeOrders) -> Option<(&'s str, &'s HeldOrder)> {
        let (id, order) = orders.open.as_ref()?;
        let is_stop = self.object.text("order_type").as_deref() == Some("stoploss");
        let is_own = order.side.is_none_or(|side| side == self.side) && !is_stop;
        is_own.then_some((id.as_str(), order))
    }
}

/// An execution of this share of an order is all of it: the rest is the fee.
const NEARLY_ALL: Decimal = Decimal::from_parts(99, 0, 0, false, 2);

fn heartbeat(status: &'static str, object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let text_max = out.text_max();
    let draft = EventDraft::new("heartbeat")
        .text(Field::Component, "engine")
        .text(Field::Status, status)
        .prose(Field::Message, object.text("status"), text_max)
        .number(Field::IntervalSeconds, Some(STATUS_INTERVAL_SECONDS));
    out.emit(draft);
}

/// `('BTC/USDT', '5m', <CandleType.SPOT: 'spot'>)`: the feed has delivered a candle, as it will after each
/// timeframe.
fn new_candle(object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let data = object.text("data").unwrap_or_default();
    let timeframe = data.split(',').nth(1).map(|t| t.trim_matches([' ', '\'', '"', ')']));
    let seconds = timeframe.and_then(|text| {
        let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return None,
        };
        count.parse::<u32>().ok()?.checked_mul(unit)
    });
    let Some(seconds) = seconds else { return out.ignore("a candle without a timeframe") };
    let draft = EventDraft::new("heartbeat")
        .text(Field::Component, "data_feed")
        .number(Field::IntervalSeconds, Some(seconds.to_string()));
    out.emit(draft);
}
