//! Events as canonical JSON.
//!
//! Input: an [`Event`] whose values the decoder would take. Output: one JSON object without white
//! space, its time as `time_ns`, its numbers as decimal strings, and nothing that is a default but
//! the account. Invariants: it decodes to an equal event; equal events give equal bytes.

use crate::domain::event::Event;
use crate::wire::event;

/// The canonical JSON of an event.
#[must_use]
pub fn encode(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    encode_into(event, &mut out);
    out
}

/// Appends the canonical JSON of an event.
pub fn encode_into(event: &Event, out: &mut Vec<u8>) {
    event::encode(event, out);
}
