//! The value of an account.

use crate::domain::ids::Currency;
use crate::domain::units::Amount;

/// The value of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountEquity {
    /// Equity of the account.
    pub equity: Amount,
    /// Its currency; missing: that of the account.
    pub currency: Option<Currency>,
    /// The part held as cash.
    pub cash: Option<Amount>,
}
