//! The general path: any JSON, read by `serde_json`.
//!
//! Input: text. Output: the unparsed members of an object or elements of an array, in order; or the
//! error of `serde_json`. Invariants: nothing recurses, so the stack does not grow with nesting; a
//! value is not copied.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::wire::json::RawJson;

/// Passes name and text of each member of a JSON object to `visit`.
///
/// # Errors
/// When the text is not JSON, or not an object.
pub(crate) fn each_member<'a>(
    text: &'a str,
    visit: impl FnMut(&str, &'a str),
) -> serde_json::Result<()> {
    let mut json = Deserializer::from_str(text);
    json.deserialize_map(Members(visit))?;
    json.end()
}

/// Passes the text of each element of a JSON array to `visit`, until it breaks.
///
/// # Errors
/// When the text is not JSON, or not an array. After a break the rest is not read.
pub(crate) fn each_element<'a, B>(
    text: &'a str,
    visit: impl FnMut(&'a str) -> ControlFlow<B>,
) -> serde_json::Result<ControlFlow<B>> {
    let mut broken = None;
    let mut json = Deserializer::from_str(text);
    let walk = json.deserialize_seq(Elements { visit, broken: &mut broken });
    if let Some(value) = broken {
        return Ok(ControlFlow::Break(value));
    }
    walk?;
    json.end()?;
    Ok(ControlFlow::Continue(()))
}

/// Reads each element of an array with `read`, which gets its index and text, up to the first error.
///
/// # Errors
/// The first error of `read`, or `not_array`.
pub(crate) fn read_elements<'a, T, E>(
    array: RawJson<'a>,
    not_array: E,
    mut read: impl FnMut(usize, &'a str) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let mut values = Vec::new();
    let walk = each_element(array.nested(), |element| match read(values.len(), element) {
        Ok(value) => {
            values.push(value);
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    });
    match walk {
        Ok(ControlFlow::Continue(())) => Ok(values),
        Ok(ControlFlow::Break(error)) => Err(error),
        Err(_) => Err(not_array),
    }
}

/// Checks that a text is one JSON value of any kind.
///
/// # Errors
/// When it is not.
pub(crate) fn check(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// Levels of nesting of a well-formed value: 0 for a scalar, 1 for `[]`.
pub(crate) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Consumes a string to its closing quote.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

/// The name of a member; copied only if it contains an escape.
#[derive(Deserialize)]
struct UnescapedName<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<F>(F);

impl<'a, F: FnMut(&str, &'a str)> Visitor<'a> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<UnescapedName<'a>, &'a RawValue>()? {
            (self.0)(&name.0, value.get());
        }
        Ok(())
    }
}

struct Elements<'b, F, B> {
    visit: F,
    broken: &'b mut Option<B>,
}

impl<'a, B, F: FnMut(&'a str) -> ControlFlow<B>> Visitor<'a> for Elements<'_, F, B> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&'a RawValue>()? {
            if let ControlFlow::Break(value) = (self.visit)(element.get()) {
                *self.broken = Some(value);
                // Only an error ends a visit before the end of the array.
                return Err(A::Error::custom("left early"));
            }
        }
        Ok(())
    }
}
