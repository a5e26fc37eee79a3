//! A record as it was written: its kind, whose it is, and its JSON, without what it means.
//!
//! Input: the bytes of a record. Output: parts of them, for people who look at a journal. The rest of
//! the record is not checked: a journal can be looked at although this version cannot fold it.

use serde::Deserialize;

use crate::domain::ids::Account;
use crate::engine::codec::{self, CodecError, RecordCodec};

/// A record in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordParts<'b> {
    /// The type of an event; `tick`, `clock`, `check`, `decision` (of an operator), `decided` (by the fold) or
    /// `settings`.
    pub kind: String,
    /// The account that it names; one that an event leaves out is `default`.
    pub account: Option<String>,
    /// What was recorded, as JSON; empty for a tick.
    pub json: &'b [u8],
}

/// What names a record.
#[derive(Deserialize)]
struct Names {
    #[serde(rename = "type")]
    kind: Option<String>,
    account: Option<String>,
}

impl RecordCodec {
    /// Takes a record apart.
    ///
    /// # Errors
    /// [`CodecError`] when it is of another version, unknown, or not JSON where JSON belongs.
    pub fn parts(bytes: &[u8]) -> Result<RecordParts<'_>, CodecError> {
        let (_, tag, json) = codec::head(bytes)?;
        let names = || {
            let names = serde_json::from_slice::<Names>(json);
            names.map_err(|e| CodecError::Content { kind: "record", reason: e.to_string() })
        };
        let (kind, account) = match tag {
            codec::TAG_EVENT => {
                let names = names()?;
                let account = names.account.unwrap_or_else(|| Account::DEFAULT.into());
                (names.kind.unwrap_or_default(), Some(account))
            }
            codec::TAG_TICK => ("tick".into(), None),
            codec::TAG_CLOCK => ("clock".into(), None),
            codec::TAG_CHECK => ("check".into(), None),
            codec::TAG_DECISION => ("decision".into(), names()?.account),
            codec::TAG_SETTINGS => ("settings".into(), None),
            codec::TAG_CONTROL => ("decided".into(), names()?.account),
            other => return Err(CodecError::Unknown(other)),
        };
        Ok(RecordParts { kind, account, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_by_what_they_are() {
        let check = |bytes: &[u8], kind: &str, account: Option<&str>, json: &[u8]| {
            let parts = RecordCodec::parts(bytes).unwrap();
            let expect =
                RecordParts { kind: kind.into(), account: account.map(String::from), json };
            assert_eq!(parts, expect);
        };
        check(b"\x01\x00T", "tick", None, b"");
        let event = br#"{"type":"quote","account":"paper","price":1}"#;
        check(&[b"\x01\x01E", event.as_slice()].concat(), "quote", Some("paper"), event);
        let decision = br#"{"kind":"halt","account":"*"}"#;
        check(&[b"\x01\x00D", decision.as_slice()].concat(), "decision", Some("*"), decision);
        check(b"\x01\x00E{\"type\":\"quote\"}", "quote", Some("default"), br#"{"type":"quote"}"#);
        check(b"\x01\x00S{}", "settings", None, b"{}");
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        for bytes in [b"".as_slice(), b"\x01\x00", b"\x02\x00T", b"\x01\x00X", b"\x01\x00E{"] {
            assert!(RecordCodec::parts(bytes).is_err(), "{bytes:?}");
        }
    }
}
