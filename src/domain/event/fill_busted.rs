//! An execution was undone by the venue (FIX ExecType H).

use crate::domain::event::OrderRef;
use crate::domain::ids::FillId;

/// An execution was undone by the venue (FIX ExecType H).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillBusted {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
    /// The execution.
    pub fill_id: FillId,
}
