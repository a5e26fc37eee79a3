//! An order that the engine sent towards its venue (FIX 35=D).

use crate::domain::units::{Notional, Price, Quantity};

/// An order that the engine sent to its venue (FIX 35=D). On the wire it must name symbol and side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderSubmitted {
    /// How much was ordered.
    pub ordered: Ordered,
    /// The price that the engine expected, `P_e`: the reference `expected`.
    pub expected_price: Option<Price>,
    /// The price when the strategy decided, `P_d`: the base of the shortfall.
    pub decision_price: Option<Price>,
    /// The mid when the order was submitted, `P_0`: the reference `arrival`.
    pub arrival_price: Option<Price>,
    /// The limit price: the reference `limit`.
    pub limit_price: Option<Price>,
    /// `market`, `limit` and so on, as the engine says it.
    pub order_type: Option<Box<str>>,
    /// `day`, `gtc`, `ioc` and so on, as the engine says it.
    pub time_in_force: Option<Box<str>>,
    /// Whether the order may only reduce a position.
    pub reduce_only: Option<bool>,
}

/// How much was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ordered {
    /// So many units, Q.
    Quantity(Quantity),
    /// Units for so much of the quote currency.
    Notional(Notional),
}
