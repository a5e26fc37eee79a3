//! What follows when evidence is missing: a book that never came or grew old, an engine gone quiet.

use std::time::Duration;

use crate::domain::state::TradingState;

/// What follows when evidence is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceSettings {
    /// The list of one side never came within `drift.stale_after` of the first list of the other.
    pub book_never_came: Response,
    /// A list that drift is judged by is older than `drift.stale_after`.
    pub book_stale: Response,
    /// An engine of which nothing came for longer than this is silent; none: it never is.
    pub engine_silent_after: Option<Duration>,
    /// An engine is silent.
    pub engine_silent: Response,
}

impl Default for EvidenceSettings {
    fn default() -> Self {
        Self {
            book_never_came: Response::Alert,
            book_stale: Response::Alert,
            engine_silent_after: None,
            engine_silent: Response::Alert,
        }
    }
}

/// What is done beside telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Response {
    /// Nothing.
    Alert,
    /// The account may only reduce positions.
    Reduce,
    /// The account is halted.
    Halt,
}

impl Response {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alert, Self::Reduce, Self::Halt];

    /// As in the configuration and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Reduce => "reduce",
            Self::Halt => "halt",
        }
    }

    /// The state that it asks for: `active` asks for nothing.
    #[must_use]
    pub const fn state(self) -> TradingState {
        match self {
            Self::Alert => TradingState::Active,
            Self::Reduce => TradingState::Reducing,
            Self::Halt => TradingState::Halted,
        }
    }
}
