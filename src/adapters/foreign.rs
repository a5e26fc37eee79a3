//! A message of another system: its members by name, not parsed yet.
//!
//! Input: JSON. Output: texts, numbers as they are written, nested objects. Invariants: a number never
//! passes through a float; `null` is missing, and so is a text that Python writes for it.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::domain::units::{Decimal, parse_decimal, rounded};
use crate::wire::json::{RawJson, general};

/// The most bytes of one text that an adapter reads.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One message.
#[derive(Debug)]
pub(super) enum ForeignMessage<'t> {
    /// An object.
    Object(ForeignObject<'t>),
    /// The text of an array that is one message.
    List(&'t str),
}

/// The members of an object, in order.
#[derive(Debug)]
pub(super) struct ForeignObject<'t> {
    json: &'t str,
    members: Vec<(String, &'t str)>,
}

impl<'t> ForeignObject<'t> {
    /// `None`: it is not an object.
    pub(super) fn read(json: &'t str) -> Option<Self> {
        if !json.starts_with('{') {
            return None;
        }
        let mut members = Vec::new();
        general::each_member(json, |name, value| members.push((name.to_owned(), value))).ok()?;
        Some(Self { json, members })
    }

    /// Its text.
    pub(super) const fn json(&self) -> &'t str {
        self.json
    }

    /// Names and values, in order.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'t str)> {
        self.members.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The JSON of a member; `None` if it is missing or `null`. The last one of a name counts.
    pub(super) fn raw(&self, name: &str) -> Option<&'t str> {
        let (_, value) = self.members.iter().rev().find(|(known, _)| known == name)?;
        (*value != "null").then_some(*value)
    }

    /// A string without white space around it; `None` if it is empty, `None` or another kind of value.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'t, str>> {
        text(self.raw(name)?)
    }

    /// A number, written as a number or as a string. `None` for one that is no number: `NaN`, empty.
    pub(super) fn number(&self, name: &str) -> Option<Cow<'t, str>> {
        let raw = self.raw(name)?;
        let text = if raw.starts_with('"') { text(raw)? } else { Cow::Borrowed(raw) };
        let is_number =
            text.contains(|c: char| c.is_ascii_digit()) && !text.starts_with(['{', '[']);
        is_number.then_some(text)
    }

    /// A number other than 0: venues write 0 for a price that is not known.
    pub(super) fn price(&self, name: &str) -> Option<Cow<'t, str>> {
        self.number(name).filter(|number| !is_zero(number))
    }

    /// A number to calculate with.
    pub(super) fn decimal(&self, name: &str) -> Option<Decimal> {
        decimal(&self.number(name)?)
    }

    /// A string or an integer, as the text of an id.
    pub(super) fn id(&self, name: &str) -> Option<Cow<'t, str>> {
        let raw = self.raw(name)?;
        if raw.starts_with('"') {
            return text(raw);
        }
        raw.bytes().all(|b| b.is_ascii_digit() || b == b'-').then_some(Cow::Borrowed(raw))
    }

    /// Whether a member says yes: `true`, `1`, `"True"`.
    pub(super) fn flag(&self, name: &str) -> bool {
        let Some(raw) = self.raw(name) else { return false };
        matches!(raw.trim_matches('"'), "true" | "True" | "1")
    }

    /// A nested object. One that is written into a string counts, too.
    pub(super) fn object(&self, name: &str) -> Option<ForeignObject<'t>> {
        ForeignObject::read(self.raw(name)?)
    }

    /// The objects of a nested array.
    pub(super) fn objects(&self, name: &str) -> Vec<ForeignObject<'t>> {
        self.raw(name).map(objects).unwrap_or_default()
    }
}

/// The objects of an array; other elements are left out.
pub(super) fn objects(json: &str) -> Vec<ForeignObject<'_>> {
    let mut found = Vec::new();
    let walk = general::each_element(json, |element| {
        found.extend(ForeignObject::read(element));
        ControlFlow::<()>::Continue(())
    });
    if walk.is_err() { Vec::new() } else { found }
}

/// The objects of an array; `None` if an element is none.
pub(super) fn every_object(json: &str) -> Option<Vec<ForeignObject<'_>>> {
    let mut found = Vec::new();
    let walk = general::each_element(json, |element| match ForeignObject::read(element) {
        Some(object) => {
            found.push(object);
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    });
    matches!(walk, Ok(ControlFlow::Continue(()))).then_some(found)
}

/// The value of a string, trimmed.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let value = RawJson::of(raw).string(TEXT_BYTES_MAX).ok()?;
    let value = match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!value.is_empty() && value != "None" && value != "null").then_some(value)
}

/// The number in a text, rounded to the places that are held.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let number = number_token(text)?;
    parse_decimal(&number).or_else(|_| rounded(&number)).ok()
}

/// Whether a number is 0, however it is written.
pub(super) fn is_zero(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    !mantissa.is_empty() && mantissa.bytes().all(|b| matches!(b, b'0' | b'.' | b'-' | b'+'))
}

/// A number in the grammar of JSON. FIX and others also write `+1`, `007`, `.5` and `5.`. `None`: it is
/// no number.
pub(super) fn number_token(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && places.is_empty() || !digits(whole) || !digits(places) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let mut out = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
    if !places.is_empty() {
        out.push('.');
        out.push_str(places);
    }
    if let Some(exponent) = exponent {
        let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if unsigned.is_empty() || !digits(unsigned) {
            return None;
        }
        out.push('e');
        out.push_str(exponent);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_json_has_them() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(number_token(text).as_deref(), expect, "{text}");
        };
        check("1", Some("1"));
        check(" -1.50 ", Some("-1.50"));
        check("+0023.23", Some("23.23"));
        check(".5", Some("0.5"));
        check("5.", Some("5"));
        check("000", Some("0"));
        check("9.61e-06", Some("9.61e-06"));
        check("1E+5", Some("1e+5"));
        for text in ["", ".", "-", "1e", "1e+", "1,5", "0x10", "NaN", "1.2.3", "one"] {
            check(text, None);
        }
    }

    #[test]
    fn members_are_read_as_they_are_written() {
        let object = ForeignObject::read(
            r#"{"a":"1.50","b":2.0,"c":null,"d":"None","e":" x ","f":0.0,"g":true,"h":"NaN","i":7,"i":8}"#,
        )
        .expect("an object");
        let number = |name: &str| object.number(name);
        assert_eq!(number("a").as_deref(), Some("1.50"));
        assert_eq!(number("b").as_deref(), Some("2.0"));
        assert_eq!((number("c"), number("d"), number("h"), number("z")), (None, None, None, None));
        assert_eq!(object.text("e").as_deref(), Some("x"));
        assert_eq!((object.text("d"), object.text("b")), (None, None));
        assert_eq!((object.price("f"), object.flag("g"), object.flag("a")), (None, true, false));
        assert_eq!(object.id("i").as_deref(), Some("8"));
        assert!(ForeignObject::read("[]").is_none());
    }
}
