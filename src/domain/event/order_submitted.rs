//! An order that the engine sent towards its venue (FIX 35=D).

use crate::domain::units::{Notional, Price, Quantity};

/// An order that the engine sent to its venue (FIX 35=D). On the wire it must name symbol and side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderSubmitted {
    /// The ordered quantity or amount.
    pub ordered: OrderSize,
    /// The price that the engine expected, `P_e`: the reference `expected`.
    pub expected_price: Option<Price>,
    /// The price when the strategy decided, `P_d`: the base of the shortfall.
    pub decision_price: Option<Price>,
    /// The mid when the order was submitted, `P_0`: the reference `arrival`.
    pub arrival_price: Option<Price>,
    /// The limit price: the reference `limit`.
    pub limit_price: Option<Price>,
    /// `market`, `limit` and so on, in the words of the engine.
    pub order_type: Option<Box<str>>,
    /// `day`, `gtc`, `ioc` and so on, in the words of the engine.
    pub time_in_force: Option<Box<str>>,
    /// Whether the order may only reduce a position.
    pub reduce_only: Option<bool>,
}

/// The ordered quantity or amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderSize {
    /// A quantity, Q.
    Quantity(Quantity),
    /// An amount of the quote currency to trade for.
    Notional(Notional),
}
