//! The venue replaced quantity, price and perhaps fee of an execution (FIX ExecType G).

use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};

/// The venue replaced quantity, price and perhaps fee of an execution (FIX ExecType G).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillCorrected {
    /// The execution.
    pub fill_id: FillId,
    /// The new quantity.
    pub quantity: Quantity,
    /// The new price.
    pub price: Price,
    /// The new fee; `None` if it is unchanged.
    pub fee: Option<Amount>,
    /// The currency of the fee; `None` for that of the instrument.
    pub fee_currency: Option<Currency>,
}
