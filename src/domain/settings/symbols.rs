//! How many symbols of an account are watched, and what follows when there are more.

use crate::domain::limits;
use crate::domain::state::TradingState;

/// Symbols of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolSettings {
    /// Symbols of one account that are watched; books, drift and figures of further ones are not.
    pub max: usize,
    /// What a further one does to its account.
    pub on_not_monitored: OnNotMonitored,
}

impl Default for SymbolSettings {
    fn default() -> Self {
        Self { max: limits::SYMBOLS_MAX, on_not_monitored: OnNotMonitored::Reducing }
    }
}

/// What a symbol that is not monitored does to its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNotMonitored {
    /// The answer, a metric and an alert say so.
    Alert,
    /// And only orders that reduce a position are allowed.
    Reducing,
    /// And no new orders are allowed.
    Halted,
}

impl OnNotMonitored {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alert, Self::Reducing, Self::Halted];

    /// As in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Reducing => "reducing",
            Self::Halted => "halted",
        }
    }

    /// The state that it asks for; none: none.
    #[must_use]
    pub const fn state(self) -> Option<TradingState> {
        match self {
            Self::Alert => None,
            Self::Reducing => Some(TradingState::Reducing),
            Self::Halted => Some(TradingState::Halted),
        }
    }
}
