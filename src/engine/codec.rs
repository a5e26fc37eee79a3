//! Records as bytes: what the log keeps.
//!
//! A record is a version byte, a flags byte (bit 0: more records of the same request follow), a tag
//! byte, and what the tag says: an event as canonical wire JSON, a check or a decision (of a person,
//! of the fold) or the clock as JSON, the settings as the configuration writes them, nothing for a tick. Sequence
//! and receive time stand in the batch. Invariant: decoding gives an equal entry back, and refuses what it does not know.

mod control;
mod decision;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::control::ControlJson;
use self::decision::DecisionJson;
use crate::domain::event::Event;
use crate::domain::ids::{Component, IdError};
use crate::domain::record::{CheckResult, Entry};
use crate::domain::settings::Settings;
use crate::wire::decode::{DecodeLimits, EventReader, decode_json};
use crate::wire::encode::encode_into;

/// The layout that is written. Earlier ones stay readable.
const VERSION: u8 = 1;
/// More records of the same request follow.
const FLAG_MORE: u8 = 1;

pub(super) const TAG_EVENT: u8 = b'E';
pub(super) const TAG_TICK: u8 = b'T';
pub(super) const TAG_CLOCK: u8 = b'W';
pub(super) const TAG_CHECK: u8 = b'C';
pub(super) const TAG_DECISION: u8 = b'D';
pub(super) const TAG_SETTINGS: u8 = b'S';
pub(super) const TAG_CONTROL: u8 = b'K';

/// How the configuration writes and reads the settings; the engine does not know their form.
#[derive(Clone, Copy, Debug)]
pub struct SettingsCodec {
    /// The settings as bytes.
    pub encode: fn(&Settings) -> Vec<u8>,
    /// The same settings back, or why not.
    pub decode: fn(&[u8]) -> Result<Settings, String>,
}

/// Turns entries into bytes and back.
#[derive(Clone, Copy, Debug)]
pub struct RecordCodec {
    settings: SettingsCodec,
}

/// Why the bytes of a record say nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It ends too early.
    #[error("the record is cut short")]
    Short,
    /// A later version of this program wrote it.
    #[error("the record has version {0}, and only 1 is known")]
    Version(u8),
    /// The flags or the tag are not known.
    #[error("the record has an unknown flag or tag: {0:#04x}")]
    Unknown(u8),
    /// What the tag says cannot be read.
    #[error("the {kind} cannot be read: {reason}")]
    Content {
        /// What should stand there.
        kind: &'static str,
        /// Why it cannot be read.
        reason: String,
    },
}

impl RecordCodec {
    /// A codec that leaves the form of the settings to the configuration.
    #[must_use]
    pub const fn new(settings: SettingsCodec) -> Self {
        Self { settings }
    }

    /// Appends the tag and the content of an entry.
    pub fn encode_entry(&self, entry: &Entry, out: &mut Vec<u8>) {
        match entry {
            Entry::Event(event) => {
                out.push(TAG_EVENT);
                encode_into(event, out);
            }
            Entry::Tick => out.push(TAG_TICK),
            Entry::Clock { behind } => {
                out.push(TAG_CLOCK);
                json(behind, out);
            }
            Entry::Check(check) => {
                out.push(TAG_CHECK);
                json(&CheckJson::from(check), out);
            }
            Entry::Decision(decision) => {
                out.push(TAG_DECISION);
                json(&DecisionJson::from(decision), out);
            }
            Entry::Settings(settings) => {
                out.push(TAG_SETTINGS);
                out.extend_from_slice(&(self.settings.encode)(settings));
            }
            Entry::Control(control) => {
                out.push(TAG_CONTROL);
                json(&ControlJson::from(control), out);
            }
        }
    }

    /// Appends a whole record: the head, and an entry encoded before.
    pub fn frame(more: bool, encoded: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, if more { FLAG_MORE } else { 0 }]);
        out.extend_from_slice(encoded);
    }

    /// What a record that holds a decision is called, and the JSON in it; none for other records.
    #[must_use]
    pub fn decision(bytes: &[u8]) -> Option<(&'static str, &[u8])> {
        let ([version, _, tag], content) = bytes.split_first_chunk::<3>()?;
        match *tag {
            TAG_DECISION if *version == VERSION => Some(("decision", content)),
            TAG_CONTROL if *version == VERSION => Some(("control", content)),
            _ => None,
        }
    }

    /// Reads a whole record: whether more of its request follow, and the entry.
    ///
    /// # Errors
    /// See [`CodecError`].
    pub fn decode(&self, bytes: &[u8]) -> Result<(bool, Entry), CodecError> {
        self.decode_next(bytes, &mut EventReader::for_events(1))
    }

    /// The same of one record of many, whose events a reader is kept for.
    pub(super) fn decode_next(
        &self,
        bytes: &[u8],
        events: &mut EventReader,
    ) -> Result<(bool, Entry), CodecError> {
        let (more, tag, content) = head(bytes)?;
        let entry = match tag {
            TAG_EVENT => Entry::Event(events.read(content).map_or_else(|| event(content), Ok)?),
            TAG_TICK if content.is_empty() => Entry::Tick,
            TAG_CLOCK => Entry::Clock { behind: from_json("clock", content)? },
            TAG_CHECK => {
                let check: CheckJson<'_> = from_json("check", content)?;
                Entry::Check(check.try_into().map_err(|e| content_error("check", &e))?)
            }
            TAG_DECISION => {
                let decision: DecisionJson<'_> = from_json("decision", content)?;
                Entry::Decision(decision.try_into().map_err(|e| content_error("decision", &e))?)
            }
            TAG_SETTINGS => {
                let settings = (self.settings.decode)(content);
                Entry::Settings(Arc::new(settings.map_err(|e| content_error("settings", &e))?))
            }
            TAG_CONTROL => {
                let control: ControlJson<'_> = from_json("decision of the fold", content)?;
                Entry::Control(control.try_into()?)
            }
            other => return Err(CodecError::Unknown(other)),
        };
        Ok((more, entry))
    }
}

/// Reads the head of a record: whether more of its request follow, the tag, and the content.
pub(super) fn head(bytes: &[u8]) -> Result<(bool, u8, &[u8]), CodecError> {
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

/// Reads one event, or says why it cannot be read. What was written was checked when it came, so only
/// the form is checked here: limits may have changed since.
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

fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, value);
    // Plain structs of strings and integers, written into memory.
    debug_assert!(written.is_ok(), "{written:?}");
}

fn from_json<'a, T: Deserialize<'a>>(kind: &'static str, bytes: &'a [u8]) -> Result<T, CodecError> {
    serde_json::from_slice(bytes).map_err(|e| content_error(kind, &e))
}

/// A check as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckJson<'a> {
    component: Cow<'a, str>,
    passed: bool,
    message: Cow<'a, str>,
    latency: Duration,
    interval: Duration,
}

impl<'a> From<&'a CheckResult> for CheckJson<'a> {
    fn from(check: &'a CheckResult) -> Self {
        Self {
            component: check.component.as_str().into(),
            passed: check.passed,
            message: check.message.as_str().into(),
            latency: check.latency,
            interval: check.interval,
        }
    }
}

impl TryFrom<CheckJson<'_>> for CheckResult {
    type Error = IdError;

    fn try_from(check: CheckJson<'_>) -> Result<Self, IdError> {
        Ok(Self {
            component: Component::new(&check.component)?,
            passed: check.passed,
            message: check.message.into_owned(),
            latency: check.latency,
            interval: check.interval,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::By;
    use crate::domain::event::{Body, Heartbeat, Quote};
    use crate::domain::ids::{Account, Actor, Symbol};
    use crate::domain::record::{Adopt, Decision};
    use crate::domain::settings::PermitSettings;
    use crate::domain::state::TradingState;
    use crate::domain::time::Timestamp;
    use crate::domain::units::{Decimal, Price};

    fn codec() -> RecordCodec {
        RecordCodec::new(SettingsCodec {
            encode: |settings| settings.permit.valid_for.as_secs().to_string().into_bytes(),
            decode: |bytes| {
                let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
                let valid_for = Duration::from_secs(text.parse().map_err(|_| "no number")?);
                let permit = PermitSettings { valid_for, ..PermitSettings::default() };
                Ok(Settings { permit, ..Settings::default() })
            },
        })
    }

    fn encoded(more: bool, entry: &Entry) -> Vec<u8> {
        let (mut content, mut record) = (Vec::new(), Vec::new());
        codec().encode_entry(entry, &mut content);
        RecordCodec::frame(more, &content, &mut record);
        record
    }

    /// Whether two entries are equal; [`Entry`] itself has no need of it.
    fn same(one: &Entry, other: &Entry) -> bool {
        format!("{one:?}") == format!("{other:?}")
    }

    fn event(body: Body) -> Entry {
        Entry::Event(Event {
            account: Account::new("paper").unwrap(),
            time: Some(Timestamp::MIN),
            event_id: None,
            session: None,
            strategy: None,
            venue: None,
            synthetic: false,
            body,
        })
    }

    fn alert(account: &Account, state: TradingState) -> Decision {
        Decision::Alert {
            id: "f1@2026-11-22T14:30:00Z".to_owned(),
            account: account.clone(),
            state,
            subject: "f1\"".to_owned(),
            reason: "too few\nfills".to_owned(),
            by: Actor::new("alertmanager").unwrap().into(),
        }
    }

    #[track_caller]
    fn check(entry: &Entry) {
        for more in [true, false] {
            let bytes = encoded(more, entry);
            let (decoded_more, decoded) = codec().decode(&bytes).unwrap();
            assert_eq!(decoded_more, more);
            assert!(same(&decoded, entry), "{decoded:?} is not {entry:?}");
        }
    }

    #[test]
    fn entries_come_back_equal() {
        let (symbol, reason) = (Symbol::new("BTC/USDT").unwrap(), String::from("so\n\u{1}\"ß"));
        let component = Component::new("broker").unwrap();
        check(&Entry::Tick);
        check(&Entry::Clock { behind: Duration::from_millis(600_250) });
        check(&event(Body::Quote(Quote {
            symbol: symbol.clone(),
            mid: Price::new(Decimal::new(-12_345, 3)),
        })));
        check(&event(Body::Heartbeat(Heartbeat {
            component: component.clone(),
            status: None,
            message: Some("x".repeat(100_000).into()),
            latency: Some(Duration::from_millis(5)),
            interval: None,
            source: None,
        })));
        check(&Entry::Check(CheckResult {
            component: component.clone(),
            passed: false,
            message: reason.clone(),
            latency: Duration::from_nanos(1_234_567_891),
            interval: Duration::MAX,
        }));
        let permit =
            PermitSettings { valid_for: Duration::from_secs(77), ..PermitSettings::default() };
        check(&Entry::Settings(Arc::new(Settings { permit, ..Settings::default() })));
    }

    #[test]
    fn decisions_come_back_equal() {
        let (account, by) = (
            Account::new("a\"b").unwrap(),
            By::with_token(Actor::new("op").unwrap(), "desk \"1\""),
        );
        let (symbol, reason) = (Symbol::new("BTC/USDT").unwrap(), String::from("so\n\u{1}\"ß"));
        let component = Component::new("broker").unwrap();
        for state in [TradingState::Reducing, TradingState::Halted, TradingState::Active] {
            check(&Entry::Decision(Decision::Halt {
                account: Account::all(),
                state,
                reason: reason.clone(),
                by: by.clone(),
            }));
            check(&Entry::Decision(alert(&account, state)));
        }
        for causes in [vec![], vec![1, u64::MAX]] {
            check(&Entry::Decision(Decision::Release {
                account: account.clone(),
                epoch: u64::MAX,
                causes,
                force: true,
                reason: String::new(),
                by: by.clone(),
            }));
        }
        for adopt in [Adopt::Broker, Adopt::Local] {
            check(&Entry::Decision(Decision::Reconcile {
                account: account.clone(),
                symbol: symbol.clone(),
                adopt,
                privileged: adopt == Adopt::Local,
                reason: reason.clone(),
                by: by.clone(),
            }));
        }
        for (symbol, component) in [(Some(symbol), None), (None, Some(component))] {
            let (account, by) = (account.clone(), by.clone());
            check(&Entry::Decision(Decision::Retire { account, symbol, component, by }));
        }
        for is_refused in [true, false] {
            let (change, by) = (String::from("series.max: 1 -> 2"), by.clone());
            check(&Entry::Decision(Decision::Configure { change, is_refused, by }));
        }
    }

    #[test]
    fn a_decision_of_an_earlier_version_has_no_token() {
        let bytes = br#"{"kind":"halt","account":"*","state":"halted","reason":"r","actor":"op"}"#;
        let record = [b"\x01\x00D".as_slice(), bytes].concat();
        let (_, entry) = codec().decode(&record).unwrap();
        assert!(format!("{entry:?}").contains("token: None"), "{entry:?}");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let check = |bytes: &[u8], expect: &str| {
            let error = codec().decode(bytes).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{error}");
        };
        check(b"", "the record is cut short");
        check(b"\x01\x00", "the record is cut short");
        check(b"\x02\x00T", "the record has version 2");
        check(b"\x01\x02T", "the record has an unknown flag or tag: 0x02");
        check(b"\x01\x00X", "the record has an unknown flag or tag: 0x58");
        check(b"\x01\x00Tx", "the record has an unknown flag or tag: 0x54");
        check(b"\x01\x00E", "the event cannot be read");
        check(b"\x01\x00E{}", "the event cannot be read");
        check(b"\x01\x00E[]", "the event cannot be read");
        check(b"\x01\x00Sx", "the settings cannot be read: no number");
        check(b"\x01\x00C{\"component\":\"a\"}", "the check cannot be read: missing field");
        check(b"\x01\x00D{\"kind\":\"sing\"}", "the decision cannot be read: unknown variant");
    }

    #[test]
    fn a_record_cut_short_is_never_read_as_another() {
        let decision = Entry::Decision(Decision::Halt {
            account: Account::all(),
            state: TradingState::Halted,
            reason: "x".into(),
            by: Actor::new("op").unwrap().into(),
        });
        let whole = encoded(false, &decision);
        for length in 0..whole.len() {
            assert!(codec().decode(&whole[..length]).is_err(), "{length} bytes of {whole:?}");
        }
    }
}
