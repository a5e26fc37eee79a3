//! Responses to missing evidence: a book that never arrived or is stale, an engine that is silent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::state::TradingState;

/// Responses to missing evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceSettings {
    /// The positions of one side did not arrive within `drift.stale_after` of the first ones of the other.
    pub book_never_came: EvidenceResponse,
    /// Positions that drift is judged by are older than `drift.stale_after`.
    pub book_stale: EvidenceResponse,
    /// An engine without events for longer than this is silent; None: never.
    pub engine_silent_after: Option<Duration>,
    /// An engine is silent.
    pub engine_silent: EvidenceResponse,
}

impl Default for EvidenceSettings {
    fn default() -> Self {
        Self {
            book_never_came: EvidenceResponse::Alert,
            book_stale: EvidenceResponse::Alert,
            engine_silent_after: None,
            engine_silent: EvidenceResponse::Alert,
        }
    }
}

closed_set! {
    /// The response to missing evidence, in addition to the alert: none, only reduce positions, halt.
    pub enum EvidenceResponse {
        /// Only alert.
        Alert = "alert",
        /// Let the account only reduce positions.
        Reduce = "reduce",
        /// Halt the account.
        Halt = "halt",
    }
}

impl EvidenceResponse {
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
