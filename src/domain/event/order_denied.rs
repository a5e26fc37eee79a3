//! The engine's own checks refused the order: it never left.

use crate::domain::event::OrderRef;

/// The engine's own checks refused the order: it never left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderDenied {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
    /// Why, in the engine's words.
    pub reason: Option<Box<str>>,
}
