//! Bodies of ingest requests as events.
//!
//! Input: a whole body, decompressed, and its limits. Output: the events in order, and what is
//! wrong with each of the others. Invariants: one bad event never costs a good one its place; a
//! broken array or a broken limit costs the whole body; memory is bounded by the body, and the
//! stack does not grow with it.

use crate::domain::event::Event;
use crate::domain::limits;
use crate::wire::error::{BodyError, Code, EventError, Flaw};
use crate::wire::event;
use crate::wire::object::{self, Object, Stop, each_element};

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
    /// How many there were of both.
    pub total: usize,
}

/// Decodes one event or an array of them.
///
/// # Errors
/// See [`BodyError`]. An element of an array that is no event is refused alone.
pub fn decode_json(body: &[u8], limits: &DecodeLimits) -> Result<Decoded, BodyError> {
    let text = std::str::from_utf8(body).map_err(|e| BodyError::Syntax(e.to_string()))?;
    let mut collector = Collector::new(limits);
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
            object::check_json(text).map_err(syntax)?;
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
    let mut collector = Collector::new(limits);
    for line in body.split(|b| *b == b'\n') {
        if !line.iter().all(|b| is_space(*b)) {
            collector.line(line)?;
        }
    }
    if collector.decoded.total == 0 {
        return Err(BodyError::Empty);
    }
    Ok(collector.decoded)
}

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
    fn new(limits: &DecodeLimits) -> Self {
        let object = Object::new(limits.text_bytes_max);
        Self { limits: *limits, object, decoded: Decoded::default() }
    }

    /// Takes a line.
    fn line(&mut self, line: &'a [u8]) -> Result<(), BodyError> {
        let Ok(text) = std::str::from_utf8(line) else {
            return self.take(Err(Flaw::whole(Code::InvalidJson, "is not UTF-8")));
        };
        if line.iter().find(|b| !is_space(**b)) == Some(&b'{') {
            return match self.read(text, 0)? {
                Ok(()) => Ok(()),
                Err(error) => self.take(Err(not_json(&error))),
            };
        }
        match object::check_json(text) {
            Ok(()) => self.not_an_object(text, 0),
            Err(error) => self.take(Err(not_json(&error))),
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
            Err(error) => self.take(Err(not_json(&error))),
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
        self.check_depth(outside + self.object.depth())?;
        let event = event::decode(&mut self.object);
        self.take(event).map(Ok)
    }

    fn not_an_object(&mut self, text: &str, outside: usize) -> Result<(), BodyError> {
        self.check_depth(outside + object::depth(text))?;
        self.take(Err(Flaw::whole(Code::InvalidEvent, "is not an object")))
    }

    fn check_depth(&self, depth: usize) -> Result<(), BodyError> {
        let max = self.limits.depth_max;
        if depth > max { Err(BodyError::TooDeep { max }) } else { Ok(()) }
    }

    /// Gives an event its place.
    fn take(&mut self, event: Result<Event, Flaw>) -> Result<(), BodyError> {
        let index = self.decoded.total;
        let max = self.limits.events_max;
        if index >= max {
            return Err(BodyError::TooManyEvents { max });
        }
        self.decoded.total += 1;
        match event {
            Ok(event) => self.decoded.events.push((index, event)),
            Err(flaw) => self.decoded.refused.push(flaw.at(index)),
        }
        Ok(())
    }
}

fn not_json(error: &serde_json::Error) -> Flaw {
    Flaw::whole(Code::InvalidJson, format!("is not JSON: {error}"))
}
