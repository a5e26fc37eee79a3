//! A body, split into its messages.
//!
//! Input: the text of a body. Output: one JSON object (or a list that is one message) after the other.
//! Invariants: a bad line is refused alone; the whole body only if it is one text that is not JSON.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use crate::adapters::ForeignForm;
use crate::adapters::foreign::{ForeignMessage, ForeignObject};
use crate::wire::contract::error::{BodyError, FieldCode, Flaw};
use crate::wire::decode::DecodeLimits;
use crate::wire::json::general;
use crate::wire::json::write::push_string;

/// Words that programs write where JSON has none: Python and its `json` module.
const LITERALS: &[(&str, &str)] = &[
    ("NaN", "null"),
    ("-Infinity", "null"),
    ("Infinity", "null"),
    ("None", "null"),
    ("True", "true"),
    ("False", "false"),
    ("nan", "null"),
    ("-inf", "null"),
    ("inf", "null"),
];

/// # Errors
/// [`BodyError::Syntax`] when the bytes are not UTF-8, [`BodyError::Empty`] when there is nothing.
pub(super) fn text_of(body: &[u8]) -> Result<&str, BodyError> {
    let text = std::str::from_utf8(body).map_err(|e| BodyError::Syntax(e.to_string()))?;
    if text.trim().is_empty() { Err(BodyError::Empty) } else { Ok(text) }
}

/// The text as JSON: URL-encoded fields become one object of strings, for each line.
pub(super) fn as_json(text: &str, form: ForeignForm) -> Cow<'_, str> {
    // curl calls everything URL-encoded fields unless it is told otherwise.
    let is_json = text.trim_start().starts_with(['{', '[']);
    if form == ForeignForm::Text || is_json {
        return Cow::Borrowed(text);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Cow::Owned(lines.map(object_of_fields).collect::<Vec<_>>().join("\n"))
}

fn object_of_fields(fields: &str) -> String {
    let mut out = vec![b'{'];
    for pair in fields.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if out.len() > 1 {
            out.push(b',');
        }
        push_string(&decoded(name), &mut out);
        out.push(b':');
        push_string(&decoded(value), &mut out);
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// A URL-encoded text, decoded. A percent sign that begins no escape stands for itself.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            (other, _) => (*other, tail),
        };
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The text with [`LITERALS`] outside of strings replaced.
pub(super) fn without_literals(text: &str) -> Cow<'_, str> {
    if !LITERALS.iter().any(|(literal, _)| text.contains(literal)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = (!in_string && !out.ends_with(|c: char| c.is_ascii_alphanumeric()))
            .then(|| LITERALS.iter().find(|(literal, _)| begins_with_word(rest, literal)));
        if let Some((literal, json)) = found.flatten() {
            out.push_str(json);
            rest = rest.get(literal.len()..).unwrap_or_default();
            continue;
        }
        match first {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            // A string does not go on in the next line.
            '\n' => in_string = false,
            _ => {}
        }
        out.push(first);
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

fn begins_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

type Split<'t> = Vec<Result<ForeignMessage<'t>, Flaw>>;

/// The messages of a body: one JSON value, an array of them, or one per line.
///
/// # Errors
/// [`BodyError::Syntax`] when a single text is not JSON, [`BodyError::NotAnObject`] when it is neither an
/// object nor an array, [`BodyError::TooDeep`].
pub(super) fn json_messages<'t>(
    text: &'t str,
    takes_lists: fn(&str) -> bool,
    limits: &DecodeLimits,
) -> Result<Split<'t>, BodyError> {
    let depth_max = limits.depth_max;
    let deep = |json: &str| general::depth(json) > depth_max;
    let text = text.trim();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_single = lines.next().is_some() && lines.next().is_none();
    let whole = general::check(text);
    let mut split = Split::new();
    match whole {
        Ok(()) if deep(text) => return Err(BodyError::TooDeep { max: depth_max }),
        Ok(()) if text.starts_with('[') && !takes_lists(text) => {
            let walk = general::each_element(text, |element| {
                split.push(message(element, takes_lists));
                ControlFlow::<()>::Continue(())
            });
            walk.map(drop).map_err(|error| BodyError::Syntax(error.to_string()))?;
        }
        Ok(()) if text.starts_with(['{', '[']) => split.push(message(text, takes_lists)),
        Ok(()) => return Err(BodyError::NotAnObject),
        Err(error) if is_single => return Err(BodyError::Syntax(error.to_string())),
        Err(error) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let mut any_json = false;
            for line in lines {
                let checked = match general::check(line) {
                    Ok(()) if deep(line) => return Err(BodyError::TooDeep { max: depth_max }),
                    Ok(()) => {
                        any_json = true;
                        message(line, takes_lists)
                    }
                    Err(error) => Err(not_json(&error)),
                };
                split.push(checked);
            }
            if !any_json {
                return Err(BodyError::Syntax(error.to_string()));
            }
        }
    }
    Ok(split)
}

fn not_json(error: &serde_json::Error) -> Flaw {
    let mut why = String::from("is not JSON: ");
    // Writing into a string cannot fail.
    write!(why, "{error}").ok();
    Flaw::whole(FieldCode::InvalidJson, why)
}

fn message(json: &str, takes_lists: fn(&str) -> bool) -> Result<ForeignMessage<'_>, Flaw> {
    if json.starts_with('[') && takes_lists(json) {
        return Ok(ForeignMessage::List(json));
    }
    ForeignObject::read(json)
        .map(ForeignMessage::Object)
        .ok_or_else(|| Flaw::whole(FieldCode::InvalidEvent, "is not an object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_other_languages_are_replaced_outside_of_strings() {
        let check = |text: &str, expect: &str| assert_eq!(without_literals(text), expect, "{text}");
        check(
            r#"{"a":NaN,"b":"NaN","c":[-Infinity,None]}"#,
            r#"{"a":null,"b":"NaN","c":[null,null]}"#,
        );
        check(r#"{"a":True,"b":"say \"None\" None"}"#, r#"{"a":true,"b":"say \"None\" None"}"#);
        check(r#"{"a":Nonesuch}"#, r#"{"a":Nonesuch}"#);
        check("{}", "{}");
    }

    #[test]
    fn fields_become_an_object() {
        let check = |text: &str, expect: &str| {
            assert_eq!(as_json(text, ForeignForm::Fields), expect, "{text}");
        };
        check("a=1+2&b=%2Fx%22", r#"{"a":"1 2","b":"/x\""}"#);
        check("a&b=", r#"{"a":"","b":""}"#);
        check("a=100%&b=%zz", r#"{"a":"100%","b":"%zz"}"#);
        check(r#"{"a":"b=c&d"}"#, r#"{"a":"b=c&d"}"#);
        check("a=1\n\nb=2\n", "{\"a\":\"1\"}\n{\"b\":\"2\"}");
        check("&", "{}");
    }

    #[test]
    fn bodies_are_split() {
        let check = |text: &str, expect: Result<&[bool], &str>| {
            let split = json_messages(text, |_| false, &DecodeLimits::default());
            let found = split.map(|split| split.iter().map(Result::is_ok).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(BodyError::code), expect, "{text}");
        };
        check("{}", Ok(&[true]));
        check("{\n}\n", Ok(&[true]));
        check("[{},{},1]", Ok(&[true, true, false]));
        check("[]", Ok(&[]));
        check("{}\n\n{}\n", Ok(&[true, true]));
        check("{}\nnot json\n{}", Ok(&[true, false, true]));
        check("not json", Err("invalid_json"));
        check("not\njson", Err("invalid_json"));
        check("1", Err("invalid_json"));
        check(&format!("{}1{}", "[".repeat(20), "]".repeat(20)), Err("too_deep"));
    }
}
