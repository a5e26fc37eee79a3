//! Bodies of ingest requests as events.
//!
//! Input: a whole body, decompressed, and its limits. Output: the events in order, and what is
//! wrong with each of the others. Invariants: one bad event never costs a good one its place; a
//! broken array or a broken limit costs the whole body; memory is bounded by the body, and the
//! stack does not grow with it.

use simdutf8::basic::from_utf8;

use crate::domain::event::Event;
use crate::domain::limits;
use crate::domain::warning::Warning;
use crate::wire::contract::error::{BodyError, Code, EventError, Flaw};
use crate::wire::contract::intern::Names;
use crate::wire::contract::reader::{self, Object, Stop, each_element};
use crate::wire::contract::value::Context;
use crate::wire::event;
use crate::wire::json::scan::End;

/// What a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Events in one body.
    pub events_max: usize,
    /// Bytes of a string that is not an identifier.
    pub text_bytes_max: usize,
    /// Levels of nesting; an event of scalars in an array has 2.
    pub depth_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            events_max: limits::EVENTS_MAX,
            text_bytes_max: limits::TEXT_BYTES_MAX,
            depth_max: limits::DEPTH_MAX,
        }
    }
}

/// The events of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The good ones, each with its place in the body, in order.
    pub events: Vec<(usize, Event)>,
    /// The others, in order.
    pub refused: Vec<EventError>,
    /// What there is to say about good ones, by place, in order: a number that was rounded.
    pub warnings: Vec<(usize, Warning)>,
    /// How many there were of both.
    pub total: usize,
}

/// Decodes one event or an array of them.
///
/// # Errors
/// See [`BodyError`]. An element of an array that is no event is refused alone.
pub fn decode_json(body: &[u8], limits: &DecodeLimits) -> Result<Decoded, BodyError> {
    let text = match from_utf8(body) {
        Ok(text) => text,
        // It tells where.
        Err(_) => std::str::from_utf8(body).map_err(|e| BodyError::Syntax(e.to_string()))?,
    };
    let mut collector = Collector::new(body.len(), limits);
    match text.bytes().find(|b| !is_space(*b)) {
        None => return Err(BodyError::Empty),
        Some(b'{') => {
            collector.read(text, 0)?.map_err(syntax)?;
        }
        Some(b'[') => {
            let mut stopped = None;
            let walk = each_element(text, |element| {
                collector.element(element).map_err(|error| {
                    stopped = Some(error);
                    Stop
                })
            });
            stopped.map_or(Ok(()), Err)?;
            walk.map_err(syntax)?;
        }
        Some(_) => {
            reader::check_json(text).map_err(syntax)?;
            return Err(BodyError::NotAnObject);
        }
    }
    Ok(collector.decoded)
}

/// Decodes a line each. Blank lines are skipped and have no place; a line that is not JSON is
/// refused alone.
///
/// # Errors
/// [`BodyError::Empty`] when all lines are blank, [`BodyError::TooManyEvents`] and
/// [`BodyError::TooDeep`] when the body breaks a limit.
pub fn decode_ndjson(body: &[u8], limits: &DecodeLimits) -> Result<Decoded, BodyError> {
    let mut collector = Collector::new(body.len(), limits);
    if let Ok(text) = from_utf8(body) {
        collector.lines(text)?;
    } else {
        for line in body.split(|b| *b == b'\n') {
            match from_utf8(line) {
                Ok(line) => collector.line(line)?,
                Err(_) => collector.refuse(Flaw::whole(Code::InvalidJson, "is not UTF-8"))?,
            }
        }
    }
    if collector.decoded.total == 0 {
        return Err(BodyError::Empty);
    }
    Ok(collector.decoded)
}

/// Decodes events that stand alone, one after the other: the records of a journal.
#[derive(Debug)]
pub struct EventReader {
    context: Context,
}

impl EventReader {
    /// For about so many events, whose texts may have any length.
    #[must_use]
    pub fn for_events(events: usize) -> Self {
        Self { context: Context::new(usize::MAX, Names::for_events(events)) }
    }

    /// The event of that text. None: it is not one event; [`decode_json`] says why.
    pub fn read(&mut self, text: &[u8]) -> Option<Event> {
        let text = from_utf8(text).ok()?;
        let mut object = Object::within(std::mem::take(&mut self.context));
        let event = object.read(text).ok().and_then(|()| event::decode(&mut object).ok());
        self.context = object.into_context();
        event
    }
}

/// A usual event is not shorter.
const EVENT_BYTES_USUAL: usize = 128;

/// White space of JSON (RFC 8259, section 2).
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn syntax(error: serde_json::Error) -> BodyError {
    BodyError::Syntax(error.to_string())
}

/// Takes one event after the other.
struct Collector<'a> {
    limits: DecodeLimits,
    object: Object<'a>,
    decoded: Decoded,
}

impl<'a> Collector<'a> {
    fn new(body_bytes: usize, limits: &DecodeLimits) -> Self {
        // Room for the events of a usual body; it grows for one of very short events.
        let expected = (body_bytes / EVENT_BYTES_USUAL).max(1).min(limits.events_max);
        let names = Names::for_events(expected);
        let object = Object::within(Context::new(limits.text_bytes_max, names));
        let decoded = Decoded { events: Vec::with_capacity(expected), ..Decoded::default() };
        Self { limits: *limits, object, decoded }
    }

    /// Takes a line after the other.
    fn lines(&mut self, text: &'a str) -> Result<(), BodyError> {
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            // A line of the usual form ends where its object does: nobody need look for that before.
            if let Some(next) = self.object.read_flat(text, at, End::Line) {
                self.event(0)?;
                at = next;
            } else {
                let line = rest.split('\n').next().unwrap_or_default();
                self.line(line)?;
                at += line.len() + 1;
            }
        }
        Ok(())
    }

    /// Takes a line, unless it is blank.
    fn line(&mut self, line: &'a str) -> Result<(), BodyError> {
        match line.bytes().find(|b| !is_space(*b)) {
            None => Ok(()),
            Some(b'{') => match self.read(line, 0)? {
                Ok(()) => Ok(()),
                Err(error) => self.refuse(not_json(&error)),
            },
            Some(_) => match reader::check_json(line) {
                Ok(()) => self.not_an_object(line, 0),
                Err(error) => self.refuse(not_json(&error)),
            },
        }
    }

    /// Takes an element of an array, which is known to be JSON but for escapes that are no
    /// character.
    fn element(&mut self, element: &'a str) -> Result<(), BodyError> {
        if !element.starts_with('{') {
            return self.not_an_object(element, 1);
        }
        match self.read(element, 1)? {
            Ok(()) => Ok(()),
            Err(error) => self.refuse(not_json(&error)),
        }
    }

    /// Takes an object, if it is JSON; `outside` levels are around it.
    fn read(
        &mut self,
        text: &'a str,
        outside: usize,
    ) -> Result<Result<(), serde_json::Error>, BodyError> {
        if let Err(error) = self.object.read(text) {
            return Ok(Err(error));
        }
        self.event(outside).map(Ok)
    }

    /// Takes the object that was read last; `outside` levels are around it.
    fn event(&mut self, outside: usize) -> Result<(), BodyError> {
        self.check_depth(outside + self.object.depth())?;
        let index = self.next_index()?;
        match event::decode(&mut self.object) {
            Ok(event) => self.decoded.events.push((index, event)),
            Err(flaw) => self.decoded.refused.push(flaw.at(index)),
        }
        if self.object.take_rounded() {
            self.decoded.warnings.push((index, Warning::Rounded));
        }
        Ok(())
    }

    fn not_an_object(&mut self, text: &str, outside: usize) -> Result<(), BodyError> {
        self.check_depth(outside + reader::depth(text))?;
        self.refuse(Flaw::whole(Code::InvalidEvent, "is not an object"))
    }

    fn check_depth(&self, depth: usize) -> Result<(), BodyError> {
        let max = self.limits.depth_max;
        if depth > max { Err(BodyError::TooDeep { max }) } else { Ok(()) }
    }

    /// Gives what is no event its place.
    fn refuse(&mut self, flaw: Flaw) -> Result<(), BodyError> {
        let index = self.next_index()?;
        self.decoded.refused.push(flaw.at(index));
        Ok(())
    }

    fn next_index(&mut self) -> Result<usize, BodyError> {
        let index = self.decoded.total;
        let max = self.limits.events_max;
        if index >= max {
            return Err(BodyError::TooManyEvents { max });
        }
        self.decoded.total += 1;
        Ok(index)
    }
}

fn not_json(error: &serde_json::Error) -> Flaw {
    Flaw::whole(Code::InvalidJson, format!("is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"type":"quote","symbol":"A","price":1}"#;
    const BAD: &str = r#"{"type":"quote","symbol":"A","price":"NaN"}"#;

    /// What became of a body: `index code` of each event, or the code of the whole.
    fn outcome(decoded: Result<Decoded, BodyError>) -> Vec<String> {
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return vec![format!("body {}", error.code())],
        };
        assert_eq!(decoded.total, decoded.events.len() + decoded.refused.len());
        let good = decoded.events.iter().map(|(index, _)| (*index, "good"));
        let bad = decoded.refused.iter().map(|e| (e.index, e.code.as_str()));
        let mut all: Vec<(usize, &str)> = good.chain(bad).collect();
        all.sort_unstable();
        assert!(all.iter().enumerate().all(|(place, (index, _))| place == *index));
        all.into_iter().map(|(index, what)| format!("{index} {what}")).collect()
    }

    fn json(body: impl AsRef<[u8]>, expect: &[&str]) {
        let body = body.as_ref();
        let got = outcome(decode_json(body, &DecodeLimits::default()));
        assert_eq!(got, expect, "{}", String::from_utf8_lossy(body.get(..200).unwrap_or(body)));
    }

    fn ndjson(body: impl AsRef<[u8]>, expect: &[&str]) {
        let body = body.as_ref();
        let got = outcome(decode_ndjson(body, &DecodeLimits::default()));
        assert_eq!(got, expect, "{}", String::from_utf8_lossy(body.get(..200).unwrap_or(body)));
    }

    #[test]
    fn bodies_of_json() {
        json(GOOD, &["0 good"]);
        json(BAD, &["0 invalid_price"]);
        json(format!(" \r\n\t{GOOD}\n"), &["0 good"]);
        json("[]", &[]);
        json(format!("[{GOOD},{BAD},{GOOD}]"), &["0 good", "1 invalid_price", "2 good"]);
        json(
            format!(r#"[{GOOD},1,"x",null,true,[],1e400,"\ud800",{GOOD}]"#),
            &[
                "0 good",
                "1 invalid_event",
                "2 invalid_event",
                "3 invalid_event",
                "4 invalid_event",
                "5 invalid_event",
                "6 invalid_event",
                "7 invalid_event",
                "8 good",
            ],
        );
        json(format!(r#"[{{"\ud800":1}},{GOOD}]"#), &["0 invalid_json", "1 good"]);
        let whole = ["body invalid_json"];
        json("", &whole);
        json(" \n", &whole);
        json("hello", &whole);
        json("42", &whole);
        json("\"text\"", &whole);
        json("null", &whole);
        json("NaN", &whole);
        json("{", &whole);
        json("[", &whole);
        json("]", &whole);
        json(&GOOD[..GOOD.len() / 2], &whole);
        json(format!("[{GOOD},{GOOD}"), &whole);
        json(format!("[{GOOD},{GOOD},]"), &whole);
        json(format!("[{GOOD} {GOOD}]"), &whole);
        json(format!("{GOOD}{GOOD}"), &whole);
        json(format!("{GOOD}\n{GOOD}"), &whole);
        json(format!("[{GOOD}] x"), &whole);
        json(r#"{"type":"quote","symbol":"A","price":NaN}"#, &whole);
        json(r#"{"type":"quote","symbol":"A","price":01}"#, &whole);
        json(r#"{"type":"quote","symbol":"A","price":+1}"#, &whole);
        json(r#"{"type":"quote","symbol":"A","price":1,}"#, &whole);
        json("{\"type\":\"quote\",\"symbol\":\"A\nB\",\"price\":1}", &whole);
        json("{'type':'quote'}", &whole);
        json(b"{\"type\":\"quote\",\"symbol\":\"\xff\",\"price\":1}", &whole);
        json(b"\x1f\x8b\x08\x00", &whole);
    }

    #[test]
    fn bodies_of_lines() {
        ndjson(format!("{GOOD}\n{GOOD}\n"), &["0 good", "1 good"]);
        ndjson(format!("{GOOD}\r\n{GOOD}"), &["0 good", "1 good"]);
        ndjson(
            format!("\n\n{GOOD}\n \r\n{BAD}\n\n{GOOD}"),
            &["0 good", "1 invalid_price", "2 good"],
        );
        ndjson(format!("{GOOD}\n{{\"type\":\n{GOOD}"), &["0 good", "1 invalid_json", "2 good"]);
        ndjson(format!("{GOOD}{GOOD}\n{GOOD}"), &["0 invalid_json", "1 good"]);
        ndjson(
            format!("[{GOOD}]\n42\nnot json"),
            &["0 invalid_event", "1 invalid_event", "2 invalid_json"],
        );
        ndjson(b"\xff\xfe\n{}", &["0 invalid_json", "1 missing_field"]);
        ndjson("", &["body invalid_json"]);
        ndjson("\n \n\r\n", &["body invalid_json"]);
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let own = |depth: usize| {
            format!(r#"{{"type":"quote","symbol":"A","price":1,"x_mine":{}}}"#, nested(depth))
        };
        json(own(15), &["0 good"]);
        json(own(16), &["body too_deep"]);
        json(format!("[{}]", own(14)), &["0 good"]);
        json(format!("[{}]", own(15)), &["body too_deep"]);
        json(nested(16), &["0 invalid_event"]);
        json(nested(17), &["body too_deep"]);
        json(nested(100_000), &["body too_deep"]);
        json("[".repeat(100_000), &["body invalid_json"]);
        json("{\"a\":".repeat(100_000), &["body invalid_json"]);
        json(own(100_000), &["body too_deep"]);
        let row = |depth| {
            let mine = nested(depth);
            format!(
                r#"{{"type":"positions","source":"local","positions":[{{"symbol":"A","quantity":1,"x_leg":{mine}}}]}}"#
            )
        };
        json(row(13), &["0 good"]);
        json(row(14), &["body too_deep"]);
        ndjson(format!("{GOOD}\n{}", own(15)), &["0 good", "1 good"]);
        ndjson(format!("{GOOD}\n{}", own(100_000)), &["body too_deep"]);
        ndjson(format!("{GOOD}\n{}", nested(17)), &["body too_deep"]);
        ndjson(format!("{GOOD}\n{}", "[".repeat(100_000)), &["0 good", "1 invalid_json"]);
    }

    #[test]
    fn events_have_a_limit() {
        let limits = DecodeLimits { events_max: 3, ..DecodeLimits::default() };
        let check = |count: usize, expect: Result<usize, BodyError>| {
            let lines = [GOOD, BAD].into_iter().cycle().take(count).collect::<Vec<_>>();
            let total = |decoded: Result<Decoded, BodyError>| decoded.map(|d| d.total);
            let array = format!("[{}]", lines.join(","));
            assert_eq!(total(decode_json(array.as_bytes(), &limits)), expect);
            assert_eq!(total(decode_ndjson(lines.join("\n").as_bytes(), &limits)), expect);
        };
        check(3, Ok(3));
        check(4, Err(BodyError::TooManyEvents { max: 3 }));
        let millions = "1\n".repeat(1_000_000);
        let error = decode_ndjson(millions.as_bytes(), &DecodeLimits::default());
        assert_eq!(error.map_err(|e| e.code()), Err("too_many_events"));
    }

    #[test]
    fn texts_have_the_limit_of_the_configuration() {
        let limits = DecodeLimits { text_bytes_max: 3, ..DecodeLimits::default() };
        let check = |reason: &str, expect: &str| {
            let body =
                format!(r#"{{"type":"order_denied","order_id":"O-123456","reason":"{reason}"}}"#);
            assert_eq!(outcome(decode_json(body.as_bytes(), &limits)), [expect], "{reason}");
        };
        check("abc", "0 good");
        check("abcd", "0 invalid_text");
        check("é", "0 good");
        check("éé", "0 invalid_text");
    }
}
