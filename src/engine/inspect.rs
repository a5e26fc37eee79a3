//! A record taken apart without being decoded: its kind, its account and its JSON.
//!
//! Input: the bytes of a record. Output: parts of them, for people who look at a journal. The content
//! is not validated, so a journal can be inspected even if this version cannot replay it.

use serde::Deserialize;

use crate::domain::ids::Account;
use crate::engine::codec::{self, CodecError};

/// The parts of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordParts<'b> {
    /// The type of an event; else `tick`, `clock`, `check`, `note`, `decision` (of an operator), `decided` (by
    /// the fold) or `settings`.
    pub kind: String,
    /// The account that the record names; `default` for an event that names none.
    pub account: Option<String>,
    /// The content as JSON; empty for a tick.
    pub json: &'b [u8],
}

/// The fields of any record that say what it is.
#[derive(Deserialize)]
struct RecordLabels {
    #[serde(rename = "type")]
    kind: Option<String>,
    account: Option<String>,
}

impl<'b> RecordParts<'b> {
    /// Takes a record apart.
    ///
    /// # Errors
    /// [`CodecError`] when the record has another version or an unknown tag, or is not JSON where it
    /// should be.
    pub fn of(bytes: &'b [u8]) -> Result<Self, CodecError> {
        let (_, tag, content) = codec::split_head(bytes)?;
        let json = match tag {
            codec::TAG_OPENING => codec::split_opening(content)?.1,
            _ => content,
        };
        let labels = || {
            let labels = serde_json::from_slice::<RecordLabels>(json);
            labels.map_err(|e| CodecError::Content { kind: "record", reason: e.to_string() })
        };
        let (kind, account) = match tag {
            codec::TAG_EVENT | codec::TAG_OPENING => {
                let labels = labels()?;
                let account = labels.account.unwrap_or_else(|| Account::DEFAULT.into());
                (labels.kind.unwrap_or_default(), Some(account))
            }
            codec::TAG_TICK => ("tick".into(), None),
            codec::TAG_CLOCK => ("clock".into(), None),
            codec::TAG_NOTE => ("note".into(), None),
            codec::TAG_CHECK => ("check".into(), None),
            codec::TAG_DECISION => ("decision".into(), labels()?.account),
            codec::TAG_SETTINGS => ("settings".into(), None),
            codec::TAG_CONTROL => ("decided".into(), labels()?.account),
            other => return Err(CodecError::Unknown(other)),
        };
        Ok(Self { kind, account, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_account_and_content_are_found() {
        let check = |bytes: &[u8], kind: &str, account: Option<&str>, json: &[u8]| {
            let parts = RecordParts::of(bytes).unwrap();
            let expect =
                RecordParts { kind: kind.into(), account: account.map(String::from), json };
            assert_eq!(parts, expect);
        };
        check(b"\x01\x00T", "tick", None, b"");
        check(b"\x01\x00N{}", "note", None, b"{}");
        let event = br#"{"type":"quote","account":"paper","price":1}"#;
        check(&[b"\x01\x01E", event.as_slice()].concat(), "quote", Some("paper"), event);
        check(&[b"\x01\x00O\x03abc", event.as_slice()].concat(), "quote", Some("paper"), event);
        let decision = br#"{"kind":"halt","account":"*"}"#;
        check(&[b"\x01\x00D", decision.as_slice()].concat(), "decision", Some("*"), decision);
        check(b"\x01\x00E{\"type\":\"quote\"}", "quote", Some("default"), br#"{"type":"quote"}"#);
        check(b"\x01\x00S{}", "settings", None, b"{}");
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        for bytes in [
            b"".as_slice(),
            b"\x01\x00",
            b"\x02\x00T",
            b"\x01\x00X",
            b"\x01\x00E{",
            b"\x01\x00O\x09{}",
        ] {
            assert!(RecordParts::of(bytes).is_err(), "{bytes:?}");
        }
    }
}
