//! Bodies of ingest requests as events.
//!
//! Input: a whole body, decompressed, and its limits. Output: the events in order, and an error for
//! each element that is not one. Invariants: a bad event never costs a good one its place; a broken
//! array or a broken limit refuses the whole body; memory is bounded by the body, and the stack does
//! not grow with it.

use std::ops::ControlFlow;

use simdutf8::basic::from_utf8;

use crate::domain::event::Event;
use crate::domain::warning::Warning;
use crate::wire::contract::error::{BodyError, EventError, FieldCode, Flaw};
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::value::ValueContext;
use crate::wire::event;
use crate::wire::json::general;
use crate::wire::json::scan::ObjectEnd;

pub use crate::wire::contract::limits::DecodeLimits;

/// The events of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The good ones by index in the body, in order.
    pub events: Vec<(usize, Event)>,
    /// The refused ones, in order.
    pub refused: Vec<EventError>,
    /// Warnings about good ones by index, in order: a number was rounded.
    pub warnings: Vec<(usize, Warning)>,
    /// Good and refused ones together.
    pub total: usize,
}

/// Decodes one event or an array of them.
///
/// # Errors
/// See [`BodyError`]. An element of an array that is not an event is refused alone.
pub fn decode_json(body: &[u8], limits: &DecodeLimits) -> Result<Decoded, BodyError> {
    let text = match from_utf8(body) {
        Ok(text) => text,
        // The error of std has the position.
        Err(_) => std::str::from_utf8(body).map_err(|e| BodyError::Syntax(e.to_string()))?,
    };
    let mut collector = EventCollector::new(body.len(), limits);
    match first_sign(text) {
        None => return Err(BodyError::Empty),
        Some(b'{') => {
            collector.object.read(text).map_err(syntax)?;
            collector.event(0)?;
        }
        Some(b'[') => {
            let walk = general::each_element(text, |element| match collector.element(element) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            });
            if let ControlFlow::Break(error) = walk.map_err(syntax)? {
                return Err(error);
            }
        }
        Some(_) => {
            general::check(text).map_err(syntax)?;
            return Err(BodyError::NotAnObject);
        }
    }
    Ok(collector.decoded)
}

/// Decodes a body with one event per line. Blank lines are skipped and have no index; a line that is
/// not JSON is refused alone.
///
/// # Errors
/// [`BodyError::Empty`] when all lines are blank, [`BodyError::TooManyEvents`] and
/// [`BodyError::TooDeep`] when the body breaks a limit.
pub fn decode_ndjson(body: &[u8], limits: &DecodeLimits) -> Result<Decoded, BodyError> {
    let mut collector = EventCollector::new(body.len(), limits);
    if let Ok(text) = from_utf8(body) {
        collector.lines(text)?;
    } else {
        for line in body.split(|b| *b == b'\n') {
            match from_utf8(line) {
                Ok(line) => collector.line(line)?,
                Err(_) => collector.refuse(Flaw::whole(FieldCode::InvalidJson, "is not UTF-8"))?,
            }
        }
    }
    if collector.decoded.total == 0 {
        return Err(BodyError::Empty);
    }
    Ok(collector.decoded)
}

/// Decodes events one at a time: the records of a journal.
#[derive(Debug)]
pub struct EventReader {
    context: ValueContext,
}

impl EventReader {
    /// A reader for about this many events, without a limit on texts.
    #[must_use]
    pub fn for_events(events: usize) -> Self {
        Self { context: ValueContext::for_events(events, usize::MAX) }
    }

    /// The event in `text`. `None`: it is not exactly one event; [`decode_json`] says why.
    pub fn read(&mut self, text: &[u8]) -> Option<Event> {
        let text = from_utf8(text).ok()?;
        let mut object = ObjectReader::within(std::mem::take(&mut self.context));
        let event = object.read(text).ok().and_then(|()| event::decode(&mut object).ok());
        self.context = object.into_context();
        event
    }
}

/// The shortest usual event: a body has about as many events as this fits into it.
const EVENT_BYTES_USUAL: usize = 128;

/// The first byte that is not white space (RFC 8259, section 2).
fn first_sign(text: &str) -> Option<u8> {
    text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

#[expect(clippy::needless_pass_by_value, reason = "used in map_err")]
fn syntax(error: serde_json::Error) -> BodyError {
    BodyError::Syntax(error.to_string())
}

/// Collects the events of a body. A method fails when the whole body has to be refused.
struct EventCollector<'a> {
    limits: DecodeLimits,
    object: ObjectReader<'a>,
    decoded: Decoded,
}

impl<'a> EventCollector<'a> {
    fn new(body_bytes: usize, limits: &DecodeLimits) -> Self {
        // Room for the events of a usual body; it grows for one of very short events.
        let expected = (body_bytes / EVENT_BYTES_USUAL).max(1).min(limits.events_max);
        let object =
            ObjectReader::within(ValueContext::for_events(expected, limits.text_bytes_max));
        let decoded = Decoded { events: Vec::with_capacity(expected), ..Decoded::default() };
        Self { limits: *limits, object, decoded }
    }

    fn lines(&mut self, text: &'a str) -> Result<(), BodyError> {
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            // Fast path: a flat object ends its own line, so we need not search for the newline first.
            if let Some(next) = self.object.read_flat(text, at, ObjectEnd::Line) {
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

    /// A line, without its end.
    fn line(&mut self, line: &'a str) -> Result<(), BodyError> {
        match first_sign(line) {
            None => Ok(()),
            Some(b'{') => self.read(line, 0),
            Some(_) => match general::check(line) {
                Ok(()) => self.not_an_object(line, 0),
                Err(error) => self.refuse(not_json(&error)),
            },
        }
    }

    /// An element of an array. It is known to be JSON, except for escapes that are not a character.
    fn element(&mut self, element: &'a str) -> Result<(), BodyError> {
        if element.starts_with('{') {
            self.read(element, 1)
        } else {
            self.not_an_object(element, 1)
        }
    }

    /// The text of an object, if it is JSON, with `outside` levels of nesting around it.
    fn read(&mut self, text: &'a str, outside: usize) -> Result<(), BodyError> {
        match self.object.read(text) {
            Ok(()) => self.event(outside),
            Err(error) => self.refuse(not_json(&error)),
        }
    }

    /// The object that was read last, with `outside` levels of nesting around it.
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
        self.check_depth(outside + general::depth(text))?;
        self.refuse(Flaw::whole(FieldCode::InvalidEvent, "is not an object"))
    }

    fn check_depth(&self, depth: usize) -> Result<(), BodyError> {
        let max = self.limits.depth_max;
        if depth > max { Err(BodyError::TooDeep { max }) } else { Ok(()) }
    }

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
    Flaw::whole(FieldCode::InvalidJson, format!("is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"type":"quote","symbol":"A","price":1}"#;
    const BAD: &str = r#"{"type":"quote","symbol":"A","price":"NaN"}"#;

    /// The outcome of a body: `index code` per event, or the code of the whole body.
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
        all.into_iter().map(|(index, code)| format!("{index} {code}")).collect()
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
