//! The order was cancelled (FIX ExecType 4).

use crate::domain::event::Initiator;

/// The order was cancelled (FIX ExecType 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderCancelled {
    /// The reason, for people.
    pub reason: Option<Box<str>>,
    /// Who cancelled.
    pub initiator: Option<Initiator>,
}
