//! The venue replaced quantity and price of an execution (FIX ExecType G).

use crate::domain::event::OrderRef;
use crate::domain::ids::FillId;
use crate::domain::units::{Price, Quantity};

/// The venue replaced quantity and price of an execution (FIX ExecType G).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillCorrected {
    /// The order, and what the event says of its symbol and side.
    pub order: OrderRef,
    /// The execution.
    pub fill_id: FillId,
    /// Its quantity from now on.
    pub quantity: Quantity,
    /// Its price from now on.
    pub price: Price,
}
