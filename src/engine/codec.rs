//! Records as bytes, as the log keeps them.
//!
//! A record is a version byte, a flags byte (bit 0: more records of the same request follow), a tag
//! byte and the content. An event is its canonical wire JSON; the first one of an account follows the
//! name of the token that sent it, with a byte for its length. A check, a decision of a person, a
//! decision of the fold, a note of an adapter, the delay of the clock and the settings are the JSON that serde derives for
//! their domain types. A tick has no content. Sequence and receive time belong to the batch.
//! Invariant: a record that was written is read back equal; an unknown version, flag, tag or field is
//! an error.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::event::Event;
use crate::domain::record::{Entry, Opening};
use crate::wire::decode::{DecodeLimits, EventReader, decode_json};
use crate::wire::encode::encode_into;

/// The only version so far.
const VERSION: u8 = 1;
/// More records of the same request follow.
const FLAG_MORE: u8 = 1;

pub(super) const TAG_EVENT: u8 = b'E';
pub(super) const TAG_OPENING: u8 = b'O';
pub(super) const TAG_TICK: u8 = b'T';
pub(super) const TAG_CLOCK: u8 = b'W';
pub(super) const TAG_CHECK: u8 = b'C';
pub(super) const TAG_DECISION: u8 = b'D';
pub(super) const TAG_SETTINGS: u8 = b'S';
pub(super) const TAG_NOTE: u8 = b'N';
pub(super) const TAG_CONTROL: u8 = b'K';

/// Why the bytes of a record cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The record ends before its tag.
    #[error("the record is cut short")]
    Short,
    /// A later version of this program wrote the record.
    #[error("the record has version {0}, and only 1 is known")]
    Version(u8),
    /// The record has an unknown flag or tag.
    #[error("the record has an unknown flag or tag: {0:#04x}")]
    Unknown(u8),
    /// The content does not match the tag.
    #[error("the {kind} cannot be read: {reason}")]
    Content {
        /// The kind of record that the tag announces.
        kind: &'static str,
        /// Why the content is not one.
        reason: String,
    },
}

/// Appends the tag and the content of an entry.
pub(super) fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Event(event) => {
            out.push(TAG_EVENT);
            encode_into(event, out);
        }
        Entry::Opening(opening) => {
            write_opening(&opening.token, out);
            encode_into(&opening.event, out);
        }
        Entry::Tick => out.push(TAG_TICK),
        Entry::Clock { behind } => write_json(TAG_CLOCK, behind, out),
        Entry::Check(check) => write_json(TAG_CHECK, check, out),
        Entry::Decision(decision) => write_json(TAG_DECISION, decision, out),
        Entry::Settings(settings) => write_json(TAG_SETTINGS, settings, out),
        Entry::Note(note) => write_json(TAG_NOTE, note, out),
        Entry::Control(control) => write_json(TAG_CONTROL, control, out),
    }
}

/// Appends a whole record: the version, the flags, and an entry that was encoded before.
pub(super) fn frame(more: bool, encoded: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, if more { FLAG_MORE } else { 0 }]);
    out.extend_from_slice(encoded);
}

/// Appends a whole record of an event that opens an account, from an event that was encoded before.
pub(super) fn frame_opening(more: bool, token: &str, encoded: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, if more { FLAG_MORE } else { 0 }]);
    write_opening(token, out);
    // Without its own tag.
    out.extend_from_slice(encoded.get(1..).unwrap_or_default());
}

/// Appends the tag of an opening, and its token. A name has at most 128 bytes.
fn write_opening(token: &str, out: &mut Vec<u8>) {
    let length = u8::try_from(token.len());
    invariant!(length.is_ok(), "the name of a token is an identifier");
    let length = length.unwrap_or_default();
    out.extend_from_slice(&[TAG_OPENING, length]);
    out.extend_from_slice(token.as_bytes().get(..usize::from(length)).unwrap_or_default());
}

/// Splits the content of an opening: the token, and the JSON of the event.
pub(super) fn split_opening(content: &[u8]) -> Result<(&str, &[u8]), CodecError> {
    let (length, rest) = content.split_first().ok_or(CodecError::Short)?;
    let split = rest.split_at_checked(usize::from(*length));
    let (token, event) = split.ok_or(CodecError::Short)?;
    let token = std::str::from_utf8(token).map_err(|e| content_error("token", &e))?;
    Ok((token, event))
}

/// The kind and the JSON of a record that holds a decision; None for other records.
pub(super) fn decision(bytes: &[u8]) -> Option<(&'static str, &[u8])> {
    let ([version, _, tag], content) = bytes.split_first_chunk::<3>()?;
    match *tag {
        TAG_DECISION if *version == VERSION => Some(("decision", content)),
        TAG_CONTROL if *version == VERSION => Some(("control", content)),
        _ => None,
    }
}

/// Decodes a whole record: whether more records of its request follow, and the entry.
///
/// # Errors
/// See [`CodecError`].
pub fn decode_record(bytes: &[u8]) -> Result<(bool, Entry), CodecError> {
    decode_next(bytes, &mut EventReader::for_events(1))
}

/// Like [`decode_record`], with an event reader that is kept from one record to the next.
pub(super) fn decode_next(
    bytes: &[u8],
    events: &mut EventReader,
) -> Result<(bool, Entry), CodecError> {
    let (more, tag, content) = split_head(bytes)?;
    let entry = match tag {
        TAG_EVENT => Entry::Event(events.read(content).map_or_else(|| event(content), Ok)?),
        TAG_OPENING => {
            let (token, content) = split_opening(content)?;
            let event = events.read(content).map_or_else(|| event(content), Ok)?;
            Entry::Opening(Box::new(Opening { event, token: token.into() }))
        }
        TAG_TICK if content.is_empty() => Entry::Tick,
        TAG_CLOCK => Entry::Clock { behind: read_json("clock", content)? },
        TAG_NOTE => Entry::Note(read_json("note", content)?),
        TAG_CHECK => Entry::Check(read_json("check", content)?),
        TAG_DECISION => Entry::Decision(read_json("decision", content)?),
        TAG_SETTINGS => Entry::Settings(Arc::new(read_json("settings", content)?)),
        TAG_CONTROL => Entry::Control(read_json("decision of the fold", content)?),
        other => return Err(CodecError::Unknown(other)),
    };
    Ok((more, entry))
}

/// Splits a record: whether more records of its request follow, the tag, and the content.
pub(super) fn split_head(bytes: &[u8]) -> Result<(bool, u8, &[u8]), CodecError> {
    let (head, content) = bytes.split_first_chunk::<3>().ok_or(CodecError::Short)?;
    let [version, flags, tag] = *head;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    if flags & !FLAG_MORE != 0 {
        return Err(CodecError::Unknown(flags));
    }
    Ok((flags & FLAG_MORE != 0, tag, content))
}

/// Decodes an event that the fast reader did not take. Only its form is checked: its size was checked
/// on receipt, and the limits may have changed since.
fn event(content: &[u8]) -> Result<Event, CodecError> {
    let limits = DecodeLimits { events_max: 1, text_bytes_max: usize::MAX, depth_max: usize::MAX };
    let mut decoded = decode_json(content, &limits).map_err(|e| content_error("event", &e))?;
    if let Some(error) = decoded.refused.first() {
        return Err(content_error("event", error));
    }
    let event = decoded.events.pop().map(|(_, event)| event);
    event.ok_or_else(|| content_error("event", &"there is none"))
}

fn content_error(kind: &'static str, reason: &impl ToString) -> CodecError {
    CodecError::Content { kind, reason: reason.to_string() }
}

fn write_json(tag: u8, value: &impl Serialize, out: &mut Vec<u8>) {
    out.push(tag);
    // Derived types without maps of odd keys, written to memory.
    let written = serde_json::to_writer(out, value);
    invariant!(written.is_ok(), "a record can be written as JSON");
}

fn read_json<T: DeserializeOwned>(kind: &'static str, bytes: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(bytes).map_err(|e| content_error(kind, &e))
}

#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod tests;
