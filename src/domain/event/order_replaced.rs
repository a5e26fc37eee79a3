//! The venue accepted a change of the order (FIX ExecType 5).

use crate::domain::ids::OrderId;
use crate::domain::units::{Price, Quantity};

/// The venue accepted a change of the order (FIX ExecType 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderReplaced {
    /// The new total quantity; missing: unchanged.
    pub quantity: Option<Quantity>,
    /// The new limit price; missing: unchanged.
    pub limit_price: Option<Price>,
    /// The id by which the order is known from here on: an alias.
    pub new_order_id: Option<OrderId>,
}
