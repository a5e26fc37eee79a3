//! The order expired (FIX ExecType C).

use crate::domain::event::OrderRef;

/// The order expired (FIX ExecType C).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderExpired {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
}
