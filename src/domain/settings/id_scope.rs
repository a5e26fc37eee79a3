//! Within what an order id is unique.

use serde::{Deserialize, Serialize};

/// Within what an order id is unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdScope {
    /// The account (and the session).
    #[default]
    Account,
    /// A symbol of it: venues that number the orders of each symbol apart.
    Symbol,
}

impl IdScope {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Account, Self::Symbol];

    /// As in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Symbol => "symbol",
        }
    }
}
