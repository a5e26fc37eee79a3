//! The venue or broker refused the order (FIX ExecType 8).

use crate::domain::event::OrderRef;

/// The venue or broker refused the order (FIX ExecType 8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRejected {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
    /// Why, in the venue's words.
    pub reason: Option<Box<str>>,
    /// Why, as a code.
    pub code: Option<Box<str>>,
}
