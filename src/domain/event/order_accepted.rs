//! The venue took the order (FIX ExecType 0).

use crate::domain::event::OrderRef;
use crate::domain::ids::OrderId;

/// The venue took the order (FIX ExecType 0).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderAccepted {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
    /// The venue's id of the order.
    pub venue_order_id: Option<OrderId>,
}
