//! The venue replaced quantity, price and perhaps fee of an execution (FIX ExecType G).

use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};

/// The venue replaced quantity, price and perhaps fee of an execution (FIX ExecType G).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillCorrected {
    /// The execution.
    pub fill_id: FillId,
    /// Its quantity from now on.
    pub quantity: Quantity,
    /// Its price from now on.
    pub price: Price,
    /// Its fee from now on; missing: as before.
    pub fee: Option<Amount>,
    /// The currency of the fee; missing: that of the instrument.
    pub fee_currency: Option<Currency>,
}
