//! The number of symbols monitored for each account, and the effect of more.

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::limits;
use crate::domain::state::TradingState;

/// The bound on monitored symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymbolSettings {
    /// Symbols monitored for each account; further ones have no books, drift or figures.
    pub max: usize,
    /// The effect of a further symbol on its account.
    pub on_not_monitored: OnNotMonitored,
}

impl Default for SymbolSettings {
    fn default() -> Self {
        Self { max: limits::SYMBOLS_MAX, on_not_monitored: OnNotMonitored::Reducing }
    }
}

closed_set! {
    /// The effect of a symbol that is not monitored on its account.
    pub enum OnNotMonitored {
        /// The answer, a metric and an alert report it.
        Alert = "alert",
        /// Also allow only orders that reduce a position.
        Reducing = "reducing",
        /// Also allow no new orders.
        Halted = "halted",
    }
}

impl OnNotMonitored {
    /// The state that it asks for, if any.
    #[must_use]
    pub const fn state(self) -> Option<TradingState> {
        match self {
            Self::Alert => None,
            Self::Reducing => Some(TradingState::Reducing),
            Self::Halted => Some(TradingState::Halted),
        }
    }
}
