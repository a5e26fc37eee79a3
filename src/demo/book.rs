//! What the simulated account holds, and its open orders.
//!
//! Input: the order flow as it is sent. Output: rows of a positions snapshot, ids of open orders.
//! Invariant: quantities are the exact sums of the fills. Deliberately absent: what either side
//! gets wrong (see `plan`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::demo::recording::Recorded;
use crate::domain::units::{Decimal, parse_decimal};

/// Decimals of an average price in a snapshot.
const PRICE_DECIMALS: u32 = 8;

/// A position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Signed: short below 0.
    pub quantity: Decimal,
    /// Average entry price.
    pub average: Decimal,
    /// The last price seen.
    pub price: Decimal,
}

impl Holding {
    /// The position after a fill: an addition averages the prices, a reduction keeps the average,
    /// a turn to the other side begins anew.
    #[must_use]
    pub fn filled(self, change: Decimal, price: Decimal) -> Self {
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

    /// The row of a snapshot.
    #[must_use]
    pub fn row(&self, symbol: &str) -> Value {
        json!({"symbol": symbol, "quantity": self.quantity.normalize().to_string(),
            "average_price": self.average.to_string(), "market_price": self.price.to_string()})
    }
}

fn same_sign(a: Decimal, b: Decimal) -> bool {
    a.is_sign_negative() == b.is_sign_negative()
}

/// The positions of the account and its open orders.
#[derive(Clone, Debug, Default)]
pub struct Book {
    holdings: BTreeMap<String, Holding>,
    /// Open orders by their ids as recorded.
    open: BTreeMap<String, Leaves>,
}

/// How much of an order is ordered, and how much of that is filled.
#[derive(Clone, Copy, Debug, Default)]
struct Leaves {
    ordered: Decimal,
    filled: Decimal,
}

impl Book {
    /// Sets a position that is held already.
    pub fn hold(&mut self, symbol: &str, holding: Holding) {
        self.holdings.insert(symbol.to_owned(), holding);
    }

    /// Moves a position by a fill.
    pub fn fill(&mut self, symbol: &str, change: Decimal, price: Decimal) {
        let holding = self.holdings.entry(symbol.to_owned()).or_default();
        *holding = holding.filled(change, price);
    }

    /// Follows one event of the order flow.
    pub fn follow(&mut self, event: &Recorded) {
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

    /// The positions by symbol.
    #[must_use]
    pub const fn holdings(&self) -> &BTreeMap<String, Holding> {
        &self.holdings
    }

    /// Forgets the open orders and returns their ids, as recorded.
    pub fn take_open(&mut self) -> Vec<String> {
        std::mem::take(&mut self.open).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::recording::Recording;

    fn decimal(text: &str) -> Decimal {
        parse_decimal(text).unwrap()
    }

    #[test]
    fn fills_move_the_average_as_a_broker_books_it() {
        let check = |fills: &[(&str, &str)], quantity: &str, average: &str| {
            let end = fills.iter().fold(Holding::default(), |holding, (change, price)| {
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
    fn the_recording_ends_in_the_positions_and_orders_that_its_model_has() {
        let mut book = Book::default();
        for event in Recording::built_in().unwrap().events() {
            book.follow(event);
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
