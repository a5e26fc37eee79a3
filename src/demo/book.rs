//! Positions and open orders of the simulated account.
//!
//! Input: the order flow as it is sent. Output: rows of a positions snapshot, ids of open orders.
//! Invariant: quantities are the exact sums of the fills. Deliberately absent: the faults (see
//! `plan`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::demo::recording::RecordedEvent;
use crate::domain::units::{Decimal, parse_decimal};

/// Decimals of an average price in a snapshot.
const PRICE_DECIMALS: u32 = 8;

/// A position of the simulated account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DemoPosition {
    /// Signed: short below 0.
    pub(crate) quantity: Decimal,
    /// Average entry price.
    pub(crate) average: Decimal,
    /// The last price seen.
    pub(crate) price: Decimal,
}

impl DemoPosition {
    /// The position after a fill. A fill that adds averages the prices, one that reduces keeps the
    /// average, and one that reverses the position starts a new average at its own price.
    #[must_use]
    pub(crate) fn filled(self, change: Decimal, price: Decimal) -> Self {
        let quantity = self.quantity + change;
        let adds = self.quantity.is_zero() || same_sign(self.quantity, change);
        let average = if quantity.is_zero() {
            Decimal::ZERO
        } else if adds {
            let cost = self.quantity * self.average + change * price;
            (cost / quantity).round_dp(PRICE_DECIMALS).normalize()
        } else if same_sign(self.quantity, quantity) {
            self.average
        } else {
            price
        };
        Self { quantity, average, price }
    }

    /// The row of a positions snapshot.
    #[must_use]
    pub(crate) fn row(&self, symbol: &str) -> Value {
        json!({"symbol": symbol, "quantity": self.quantity.normalize().to_string(),
            "average_price": self.average.to_string(), "market_price": self.price.to_string()})
    }
}

fn same_sign(a: Decimal, b: Decimal) -> bool {
    a.is_sign_negative() == b.is_sign_negative()
}

/// Positions and open orders of the account.
#[derive(Clone, Debug, Default)]
pub(crate) struct DemoBook {
    holdings: BTreeMap<String, DemoPosition>,
    /// Open orders by recorded id.
    open: BTreeMap<String, DemoOrder>,
}

/// Ordered and filled quantity of an open order.
#[derive(Clone, Copy, Debug, Default)]
struct DemoOrder {
    ordered: Decimal,
    filled: Decimal,
}

impl DemoBook {
    /// Sets a position that exists before the session.
    pub(crate) fn hold(&mut self, symbol: &str, holding: DemoPosition) {
        self.holdings.insert(symbol.to_owned(), holding);
    }

    /// Applies a fill of an order that is not in the recording.
    pub(crate) fn fill(&mut self, symbol: &str, change: Decimal, price: Decimal) {
        let holding = self.holdings.entry(symbol.to_owned()).or_default();
        *holding = holding.filled(change, price);
    }

    /// Applies one event of the order flow.
    pub(crate) fn apply(&mut self, event: &RecordedEvent) {
        let order = event.text("order_id");
        let number = |field: &str| parse_decimal(event.text(field)).unwrap_or_default();
        match event.text("type") {
            "order_submitted" | "order_replaced" => {
                self.open.entry(order.to_owned()).or_default().ordered = number("quantity");
            }
            "order_filled" => {
                let quantity = number("quantity");
                let sign = if event.text("side") == "sell" { -Decimal::ONE } else { Decimal::ONE };
                self.fill(event.text("symbol"), sign * quantity, number("price"));
                self.reduce(order, quantity);
            }
            "order_cancelled" | "order_expired" | "order_rejected" | "order_denied" => {
                self.open.remove(order);
            }
            _ => {}
        }
    }

    fn reduce(&mut self, order: &str, quantity: Decimal) {
        let Some(leaves) = self.open.get_mut(order) else { return };
        leaves.filled += quantity;
        if leaves.filled >= leaves.ordered {
            self.open.remove(order);
        }
    }

    /// Positions by symbol.
    #[must_use]
    pub(crate) const fn holdings(&self) -> &BTreeMap<String, DemoPosition> {
        &self.holdings
    }

    /// Removes all open orders. Returns their recorded ids.
    pub(crate) fn take_open(&mut self) -> Vec<String> {
        std::mem::take(&mut self.open).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::recording::RecordedSession;

    fn decimal(text: &str) -> Decimal {
        parse_decimal(text).unwrap()
    }

    #[test]
    fn fills_change_the_average_price_as_brokers_book_it() {
        let check = |fills: &[(&str, &str)], quantity: &str, average: &str| {
            let end = fills.iter().fold(DemoPosition::default(), |holding, (change, price)| {
                holding.filled(decimal(change), decimal(price))
            });
            assert_eq!((end.quantity, end.average), (decimal(quantity), decimal(average)));
        };
        check(&[("10", "100"), ("10", "110")], "20", "105");
        check(&[("10", "100"), ("-4", "110")], "6", "100");
        check(&[("10", "100"), ("-10", "110")], "0", "0");
        check(&[("10", "100"), ("-15", "110")], "-5", "110");
        check(&[("-10", "100"), ("-10", "90")], "-20", "95");
    }

    #[test]
    fn the_recording_ends_with_the_positions_and_orders_of_the_naive_model() {
        let mut book = DemoBook::default();
        for event in RecordedSession::built_in().unwrap().events() {
            book.apply(event);
        }
        let held = |symbol: &str| book.holdings()[symbol].quantity.normalize().to_string();
        assert_eq!(held("1000RATSUSDT-PERP.BINANCE"), "15655");
        assert_eq!(held("AAPL.XNAS"), "102");
        assert_eq!(held("AUD/USD.SIM"), "16229");
        assert_eq!(held("BRK.B.XNAS"), "52");
        assert_eq!(book.take_open().len(), 10);
        assert!(book.take_open().is_empty());
    }
}
