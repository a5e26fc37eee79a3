//! The text of an event stream, as far as it is not sent yet.
//!
//! Input: values. Output: lines. Invariant: the data of an event is one line of JSON, which holds
//! no line end, so that no text of others can begin an event.

use bytes::Bytes;
use serde::Serialize;

use crate::api::problem::Problem;
use crate::domain::directive::Directive;
use crate::metrics::StreamEnd;
use crate::wire::answer::{self, Permit, States};

/// A client that lost its stream waits so long before it comes back.
const RETRY_MS: u64 = 1_000;

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Chunk(Vec<u8>);

/// Why a stream cannot go on where it was asked to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reset {
    /// Events after that one are not held any more; those that are follow.
    TooOld,
    /// The id is none of this journal, and nothing can be said of what came after it.
    UnknownId,
}

/// Why no permit is issued.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Unready {
    code: &'static str,
    detail: String,
}

impl Unready {
    pub(super) fn new(problem: &Problem) -> Self {
        Self { code: problem.code().as_str(), detail: problem.detail().to_owned() }
    }
}

impl Chunk {
    /// The first lines.
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
        struct Body {
            states: States,
            sequence: u64,
        }
        self.push("states", &Body { states, sequence });
    }

    pub(super) fn push_unready(&mut self, unready: &Unready) {
        self.push("unready", unready);
    }

    pub(super) fn push_reset(&mut self, reason: Reset) {
        #[derive(Serialize)]
        struct Body {
            reason: Reset,
        }
        self.push("reset", &Body { reason });
    }

    pub(super) fn push_end(&mut self, reason: StreamEnd) {
        #[derive(Serialize)]
        struct Body {
            reason: &'static str,
        }
        self.push("end", &Body { reason: reason.as_str() });
    }

    fn push(&mut self, event: &str, data: &impl Serialize) {
        self.0.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
        let written = serde_json::to_writer(&mut self.0, data);
        // Plain structs, written into memory.
        debug_assert!(written.is_ok(), "{written:?}");
        self.0.extend_from_slice(b"\n\n");
    }
}
