//! `TradingView`: alerts of a chart's strategy, whose message is the JSON of `docs/engines/tradingview.md`.
//!
//! Input: one alert. Output: the price at which the strategy decided, as a quote; the position that it
//! believes to have, as a row of the local book. Invariant: never an order and never an execution, because
//! the fills of a chart are simulated. A message that is no JSON says nothing.

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::foreign::{ForeignMessage, ForeignObject, is_zero};
use crate::adapters::translation::Translation;
use crate::domain::event::Source;
use crate::wire::contract::field::Field;

/// Translates one alert.
pub(super) fn read(message: &ForeignMessage<'_>, out: &mut Translation<'_>) {
    let ForeignMessage::Object(alert) = message else { return out.ignore("not an alert") };
    let Some(symbol) = alert.text("ticker").or_else(|| alert.text("symbol")) else {
        return out.ignore("an alert without a ticker");
    };
    let exchange = alert.text("exchange");
    let strategy = alert.text("strategy");
    let time = alert.text("time").filter(|time| time.contains(':'));
    let about = |kind| {
        EventDraft::new(kind)
            .text(Field::Symbol, &symbol)
            .optional(Field::Venue, exchange.as_deref())
            .optional(Field::Strategy, strategy.as_deref())
            .optional(Field::Time, time.as_deref())
    };
    let price = alert.price("close").or_else(|| alert.price("price"));
    let position = position(alert);
    if price.is_none() && position.is_none() {
        return out.ignore("an alert without a price and without a position");
    }
    if let Some(price) = price {
        out.emit(about("quote").number(Field::Price, Some(price)));
    }
    if let Some(quantity) = position {
        let row = DraftRow {
            symbol: symbol.clone().into_owned(),
            quantity,
            average_price: None,
            market_price: None,
        };
        let role = out.role(Source::Local);
        let list = EventDraft::new("positions")
            .optional(Field::Strategy, strategy.as_deref())
            .optional(Field::Time, time.as_deref())
            .text(Field::Source, role.as_str())
            .complete(false)
            .rows(&[row]);
        out.emit(list);
    }
}

/// The signed position: `{{strategy.position_size}}`, or the size with its direction.
fn position(alert: &ForeignObject<'_>) -> Option<String> {
    if let Some(signed) = alert.number("position_size") {
        return Some(signed.into_owned());
    }
    let direction = alert.text("market_position")?;
    let size = alert.number("market_position_size");
    match &*direction {
        "flat" => Some(String::from("0")),
        "long" => size.map(String::from),
        "short" => {
            size.map(|size| if is_zero(&size) { size.into_owned() } else { format!("-{size}") })
        }
        _ => None,
    }
}
