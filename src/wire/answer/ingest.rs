//! The outcome of the events of one request.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::closed_set::ClosedSet;
use crate::domain::ids::Account;
use crate::domain::state::TradingState;
use crate::domain::warning::Warning;
use crate::wire::json::write::{push_string, push_u64};

/// The outcome of the events of one request: `accepted` + `duplicates` + the length of `rejected` is
/// the number of events sent. An adapter may make several events, or none, of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestAnswer {
    /// Events that were written to the journal and applied to the state.
    pub accepted: usize,
    /// Events that were already known.
    pub duplicates: usize,
    /// Events that were refused, by index.
    pub rejected: Vec<Rejection>,
    /// Sequence of the newest record of the state that answered.
    pub sequence: u64,
    /// The trading state of each account that the events name.
    #[serde(serialize_with = "map_of_states")]
    #[schema(value_type = std::collections::BTreeMap<String, TradingState>)]
    pub states: Vec<(Account, TradingState)>,
    /// Warnings about accepted events, by index; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<IngestWarning>,
    /// Messages of another system that say nothing here; only in answers of adapters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub ignored: Option<usize>,
}

impl IngestAnswer {
    /// The answer as JSON. Without rejections and warnings it is written by hand: every request with a
    /// single event has such an answer, and `serde_json` costs several times as much. The bytes are
    /// the same, which a test checks.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let Self { accepted, duplicates, rejected, sequence, states, warnings, ignored } = self;
        if !rejected.is_empty() || !warnings.is_empty() || ignored.is_some() {
            return serde_json::to_vec(self).unwrap_or_else(|_| {
                impossible!("structs of texts and integers can be written");
                Vec::new()
            });
        }
        let mut out = Vec::with_capacity(128);
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (name, value) in [
            ("{\"accepted\":", whole(*accepted)),
            (",\"duplicates\":", whole(*duplicates)),
            (",\"rejected\":[],\"sequence\":", *sequence),
        ] {
            out.extend_from_slice(name.as_bytes());
            push_u64(value, &mut out);
        }
        out.extend_from_slice(b",\"states\":{");
        for (place, (account, state)) in states.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            push_string(account.as_str(), &mut out);
            out.push(b':');
            out.extend_from_slice(state.quoted().as_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }
}

fn map_of_states<S: Serializer>(
    states: &[(Account, TradingState)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(states.iter().map(|(account, state)| (account.as_str(), state)))
}

/// One refused event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rejection {
    /// Its index in the request, from 0.
    pub index: usize,
    /// The stable code.
    pub code: &'static str,
    /// The field at fault; null: the event as a whole.
    pub field: Option<String>,
    /// The error, for people.
    pub message: String,
}

/// A warning about one accepted event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestWarning {
    /// Its index in the request, from 0.
    pub index: usize,
    /// The stable code.
    pub code: Warning,
    /// The meaning, for people.
    pub message: &'static str,
}

impl IngestWarning {
    /// A warning about the event with this index.
    #[must_use]
    pub fn new(index: usize, warning: Warning) -> Self {
        Self { index, code: warning, message: warning.message() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_written_by_hand_equals_that_of_serde() {
        let refused = |index| Rejection {
            index,
            code: "conflict",
            field: Some("price".into()),
            message: "\"\n".into(),
        };
        let check = |rejected: Vec<Rejection>, accounts: &[(&str, TradingState)]| {
            let states = accounts.iter().map(|(name, state)| (Account::new(name).unwrap(), *state));
            let states: Vec<_> = states.collect();
            for warnings in [vec![], vec![IngestWarning::new(3, Warning::Stale)]] {
                let (rejected, states) = (rejected.clone(), Vec::clone(&states));
                let (accepted, duplicates, sequence) = (1_000, 0, 42);
                let mut answer = IngestAnswer {
                    accepted,
                    duplicates,
                    rejected,
                    sequence,
                    states,
                    warnings,
                    ignored: None,
                };
                assert_eq!(answer.to_json(), serde_json::to_vec(&answer).unwrap());
                answer.ignored = Some(2);
                assert_eq!(answer.to_json(), serde_json::to_vec(&answer).unwrap());
            }
        };
        let two = [("b\"\\", TradingState::Halted), ("a/ü", TradingState::Active)];
        check(vec![], &[]);
        check(vec![], &two[..1]);
        check(vec![], &two);
        check(vec![refused(0), refused(7)], &two);
    }
}
