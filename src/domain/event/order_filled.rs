//! One execution of an order (FIX ExecType F).

use crate::domain::event::Liquidity;
use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};

/// One execution of an order (FIX ExecType F).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderFilled {
    /// The price of this execution.
    pub price: Price,
    /// The quantity of this execution; `None` for the rest that the explicit fills of the order leave.
    pub quantity: Option<Quantity>,
    /// The id of this execution, by which it is busted, corrected and deduplicated.
    pub fill_id: Option<FillId>,
    /// The fee; negative is a rebate.
    pub fee: Option<Amount>,
    /// The currency of the fee; `None` for that of the instrument.
    pub fee_currency: Option<Currency>,
    /// Whether the execution added or took liquidity.
    pub liquidity: Option<Liquidity>,
    /// The venue says that nothing of the order is left.
    pub is_final: bool,
}
