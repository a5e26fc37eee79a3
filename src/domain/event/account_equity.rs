//! The value of an account.

use crate::domain::event::{OtherKind, Source};
use crate::domain::ids::{Currency, Symbol};
use crate::domain::units::Amount;

/// The value of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountEquity {
    /// Equity of the account.
    pub equity: Amount,
    /// Its currency; `None` for that of the account.
    pub currency: Option<Currency>,
    /// The part held as cash.
    pub cash: Option<Amount>,
}

impl OtherKind for AccountEquity {
    fn sender(&self) -> Option<Source> {
        None
    }

    fn each_symbol(&mut self, _: &mut dyn FnMut(&mut Symbol)) {}
}
