//! One message: the body as it is signed, and what it is about.

use serde::{Deserialize, Serialize};

use crate::domain::directive::{Directive, DirectiveId};
use crate::domain::time::Timestamp;
use crate::wire::answer;
use crate::wire::time::Rfc3339;

/// One message to one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The directive.
    pub(super) id: DirectiveId,
    /// When it was decided.
    pub(super) at: Timestamp,
    /// Whether it tells of the trading state, which goes first.
    pub(super) of_latch: bool,
    /// The body, byte for byte the same at each attempt.
    pub(super) body: String,
}

/// The payload that Standard Webhooks recommends.
#[derive(Serialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Rfc3339,
    data: answer::Directive,
}

impl Message {
    /// The message about a directive.
    pub(super) fn new(directive: &Directive) -> Self {
        let payload = Payload {
            kind: directive.kind.as_str(),
            timestamp: Rfc3339(directive.at),
            data: answer::Directive::new(directive),
        };
        Self {
            id: directive.id,
            at: directive.at,
            of_latch: directive.kind.is_of_latch(),
            // Plain structs of strings and numbers always serialize.
            body: serde_json::to_string(&payload).unwrap_or_default(),
        }
    }
}
