//! The venue accepted the order (FIX ExecType 0).

use crate::domain::ids::OrderId;

/// The venue accepted the order (FIX ExecType 0).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderAccepted {
    /// The venue's id of the order.
    pub venue_order_id: Option<OrderId>,
}
