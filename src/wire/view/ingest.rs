//! What became of the events of one request.

use serde::Serialize;
use utoipa::ToSchema;

use super::state::States;

/// What became of the events of one request: `accepted` + `duplicates` + the length of
/// `rejected` is the number of events sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestAnswer {
    /// Events that are in the journal and folded into the state.
    pub accepted: usize,
    /// Events that were known already.
    pub duplicates: usize,
    /// Events that were refused, by index.
    pub rejected: Vec<Rejection>,
    /// Sequence of the newest record of the state that answered.
    pub sequence: u64,
    /// The trading state of each account named.
    #[schema(value_type = std::collections::BTreeMap<String, super::word::TradingStateWord>)]
    pub states: States,
}

/// Why one event was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rejection {
    /// Its place in the request: 0, 1, 2 ...
    pub index: usize,
    /// The stable code.
    pub code: &'static str,
    /// The field at fault; null: it is no single field's fault.
    pub field: Option<String>,
    /// What is wrong, for people.
    pub message: String,
}
