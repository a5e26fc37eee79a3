//! The venue accepted a change of the order (FIX ExecType 5).

use crate::domain::ids::OrderId;
use crate::domain::units::{Price, Quantity};

/// The venue accepted a change of the order (FIX ExecType 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderReplaced {
    /// The new total quantity; `None` if it is unchanged.
    pub quantity: Option<Quantity>,
    /// The new limit price; `None` if it is unchanged.
    pub limit_price: Option<Price>,
    /// A new id of the order. The old one stays valid.
    pub new_order_id: Option<OrderId>,
}
