//! The text of an event stream that is not sent yet.
//!
//! Input: values. Output: lines. Invariant: the data of an event is one line of JSON, which has no
//! line break, so that no text from a client can start an event of its own.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::api::problem::Problem;
use crate::domain::directive::Directive;
use crate::metrics::StreamEnd;
use crate::wire::answer::{self, Permit, States};

/// The pause of a client before it reconnects.
const RETRY_MS: u64 = 1_000;

/// The next bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamChunk(Vec<u8>);

/// The reason why a stream cannot resume after `Last-Event-ID`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResetReason {
    /// Some directives after it are no longer available; the others follow.
    TooOld,
    /// The id does not belong to this journal.
    UnknownId,
}

/// The reason why no permit is issued.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UnreadyNotice {
    code: &'static str,
    detail: String,
}

impl UnreadyNotice {
    pub(super) fn new(problem: &Problem) -> Self {
        Self { code: problem.code().as_str(), detail: problem.detail().to_owned() }
    }
}

impl StreamChunk {
    /// The first lines of a stream.
    pub(super) fn opening() -> Self {
        Self(format!("retry: {RETRY_MS}\n\n").into_bytes())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.0).into()
    }

    pub(super) fn push_heartbeat(&mut self) {
        self.0.extend_from_slice(b": heartbeat\n\n");
    }

    pub(super) fn push_directive(&mut self, directive: &Directive, suffix: &str) {
        self.0.extend_from_slice(format!("id: {}{suffix}\n", directive.id).as_bytes());
        self.push(directive.kind.as_str(), &answer::Directive::new(directive));
    }

    pub(super) fn push_permit(&mut self, permit: &Permit) {
        self.push("permit", permit);
    }

    pub(super) fn push_states(&mut self, states: States, sequence: u64) {
        #[derive(Serialize)]
        struct StatesData {
            states: States,
            sequence: u64,
        }
        self.push("states", &StatesData { states, sequence });
    }

    pub(super) fn push_unready(&mut self, unready: &UnreadyNotice) {
        self.push("unready", unready);
    }

    pub(super) fn push_reset(&mut self, reason: ResetReason) {
        self.push("reset", &json!({ "reason": reason }));
    }

    pub(super) fn push_end(&mut self, reason: StreamEnd) {
        self.push("end", &json!({ "reason": reason.as_str() }));
    }

    fn push(&mut self, event: &str, data: &impl Serialize) {
        self.0.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
        let written = serde_json::to_writer(&mut self.0, data);
        invariant!(written.is_ok(), "plain structs serialize into memory");
        self.0.extend_from_slice(b"\n\n");
    }
}
