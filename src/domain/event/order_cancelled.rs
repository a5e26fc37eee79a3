//! The order was cancelled (FIX ExecType 4).

use crate::domain::event::Initiator;
use crate::domain::event::OrderRef;

/// The order was cancelled (FIX ExecType 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderCancelled {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
    /// Why, for people.
    pub reason: Option<Box<str>>,
    /// Who cancelled.
    pub initiator: Option<Initiator>,
}
