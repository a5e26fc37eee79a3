//! What became of the events of one request.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::word::{TradingStateWord, WarningWord};
use crate::domain::ids::Account;
use crate::domain::state::TradingState;
use crate::domain::warning::Warning;
use crate::wire::contract::value::write_string;
use crate::wire::json::write::push_u64;

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
    /// The trading state of each account named, in their order.
    #[serde(serialize_with = "map_of_states")]
    #[schema(value_type = std::collections::BTreeMap<String, super::word::TradingStateWord>)]
    pub states: Vec<(Account, TradingState)>,
    /// What there is to say about events that were taken, by index; absent where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<IngestWarning>,
}

impl IngestAnswer {
    /// The answer as JSON. When nothing was refused and there is nothing to say it is written by
    /// hand: the same bytes (a test holds that) for a quarter of the instructions, and every single
    /// event has an answer.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let Self { accepted, duplicates, rejected, sequence, states, warnings } = self;
        if !rejected.is_empty() || !warnings.is_empty() {
            // Plain structs of texts and integers cannot fail.
            return serde_json::to_vec(self).unwrap_or_default();
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
            write_string(account.as_str(), &mut out);
            out.push(b':');
            write_string(TradingStateWord::from(*state).as_str(), &mut out);
        }
        out.extend_from_slice(b"}}");
        out
    }
}

fn map_of_states<S: Serializer>(
    states: &[(Account, TradingState)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let words = states.iter().map(|(account, state)| (account.as_str(), (*state).into()));
    serializer.collect_map::<_, TradingStateWord, _>(words)
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

/// What there is to say about one event that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestWarning {
    /// Its place in the request: 0, 1, 2 ...
    pub index: usize,
    /// The stable code.
    pub code: WarningWord,
    /// What it means, for people.
    pub message: &'static str,
}

impl IngestWarning {
    /// A warning about the event at a place of the request.
    #[must_use]
    pub fn new(index: usize, warning: Warning) -> Self {
        Self { index, code: warning.into(), message: warning.message() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_written_by_hand_is_that_of_serde() {
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
                let answer =
                    IngestAnswer { accepted, duplicates, rejected, sequence, states, warnings };
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
