//! The scope within which an order id is unique.

use crate::domain::closed_set::closed_set;

closed_set! {
    /// The scope within which an order id is unique.
    pub enum IdScope {
        /// The account (and the session).
        Account = "account",
        /// One symbol of the account, for venues that number the orders of each symbol separately.
        Symbol = "symbol",
    }
}

#[expect(clippy::derivable_impls, reason = "closed_set! takes no derive")]
impl Default for IdScope {
    fn default() -> Self {
        Self::Account
    }
}
