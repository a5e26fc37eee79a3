//! One JSON object, taken apart into the fields of the contract; and the writer of one.
//!
//! Input: text of an object. Output: the raw text of each field, read by the type that the caller
//! asks for. Invariants: one pass, no recursion, nothing copied; a name given twice or unknown is
//! remembered as the object's flaw; `null` is the same as missing. Deliberately absent: which
//! fields an object may have (see `event`, `operate`).

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::wire::contract::error::{Code, Flaw};
use crate::wire::contract::field::{FIELDS, Field, FieldSet};
use crate::wire::contract::intern::Names;
use crate::wire::contract::value::{Context, Value};
use crate::wire::json::scan::{self, End, Name};
use crate::wire::json::token::Raw;

/// One JSON object. It is meant to be reused: reading the next one costs no allocation.
pub(crate) struct Object<'a> {
    /// Raw values; what is not in `given` is left over from an earlier object.
    values: [Raw<'a>; FIELDS],
    given: FieldSet,
    flaw: Option<Flaw>,
    depth: usize,
    context: Context,
}

impl<'a> Object<'a> {
    /// An empty object; its texts may have `text_bytes_max` bytes.
    pub(crate) fn new(text_bytes_max: usize) -> Self {
        Self::within(Context::new(text_bytes_max, Names::default()))
    }

    /// An empty object with these limits and names.
    pub(crate) const fn within(context: Context) -> Self {
        Self { values: [Raw::Null; FIELDS], given: FieldSet::EMPTY, flaw: None, depth: 0, context }
    }

    /// The limits and names, for another object.
    pub(crate) fn into_context(self) -> Context {
        self.context
    }

    /// An empty object with the same limits, for the rows of this one.
    pub(crate) fn row<'b>(&self) -> Object<'b> {
        Object::new(self.context.text_bytes_max)
    }

    /// Whether a number was rounded since this was last asked.
    pub(crate) const fn take_rounded(&mut self) -> bool {
        std::mem::replace(&mut self.context.has_rounded, false)
    }

    /// Takes over what was noted of the rows of this one.
    pub(crate) const fn note_of(&mut self, rows: &Object<'_>) {
        self.context.has_rounded |= rows.context.has_rounded;
    }

    /// Takes `text` apart.
    ///
    /// # Errors
    /// When it is not JSON, or not an object.
    pub(crate) fn read(&mut self, text: &'a str) -> serde_json::Result<()> {
        if self.read_flat(text, 0, End::Text).is_some() {
            return Ok(());
        }
        self.clear();
        let mut json = Deserializer::from_str(text);
        json.deserialize_map(Fill(self))?;
        json.end()
    }

    /// Takes the object apart that begins at `from`, if it is flat and plain, and gives the place
    /// behind its end.
    pub(crate) fn read_flat(&mut self, text: &'a str, from: usize, end: End) -> Option<usize> {
        self.clear();
        scan::each_pair(text, from, end, |name, raw| match name {
            Name::Known(field) => self.put(field, raw),
            Name::Text(name) => self.take_named(name, raw),
        })
    }

    /// Levels of nesting: 1 for an object of scalars.
    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    /// Checks that each name was known and given once.
    pub(crate) fn check_names(&mut self) -> Result<(), Flaw> {
        if self.flaw.is_none() { Ok(()) } else { self.flaw.take().map_or(Ok(()), Err) }
    }

    /// Checks that no field outside `allowed` has a value.
    pub(crate) fn check_fields(&self, allowed: FieldSet, of: &str) -> Result<(), Flaw> {
        let mut others = self.given.without(allowed);
        while let Some(field) = others.first() {
            if self.has(field) {
                return Err(Flaw::of(field, Code::UnknownField, format!("is no field of {of}")));
            }
            others = others.without(FieldSet::EMPTY.with(field));
        }
        Ok(())
    }

    /// Whether the field has a value.
    pub(crate) fn has(&self, field: Field) -> bool {
        self.raw(field).is_some()
    }

    /// The raw value of a field.
    pub(crate) fn raw(&self, field: Field) -> Option<Raw<'a>> {
        match self.values.get(field as usize) {
            Some(Raw::Null) => None,
            Some(raw) if self.given.has(field) => Some(*raw),
            _ => None,
        }
    }

    /// The value of a field; none when it is missing or `null`.
    #[expect(clippy::inline_always, reason = "most fields are missing: no call for those")]
    #[inline(always)]
    pub(crate) fn optional<T: Value>(&mut self, field: Field) -> Result<Option<T>, Flaw> {
        if self.given.has(field) { self.value(field) } else { Ok(None) }
    }

    /// The value of a field that must be there.
    #[inline]
    pub(crate) fn required<T: Value>(&mut self, field: Field) -> Result<T, Flaw> {
        self.optional(field)?.ok_or_else(|| missing(field))
    }

    /// The same of a field that was given.
    fn value<T: Value>(&mut self, field: Field) -> Result<Option<T>, Flaw> {
        let raw = match self.values.get(field as usize) {
            None | Some(Raw::Null) => return Ok(None),
            Some(raw) => *raw,
        };
        match T::decode(raw, &mut self.context) {
            Ok(value) => Ok(Some(value)),
            Err(why) => Err(Flaw::of(field, T::SHAPE.code(), why)),
        }
    }
}

/// A required field is missing.
pub(crate) fn missing(field: Field) -> Flaw {
    Flaw::of(field, Code::MissingField, "is missing")
}

/// Hands the raw text of each element of a JSON array to `visit`, until it breaks off with `Err`.
///
/// # Errors
/// When the text is not JSON or not an array, and when `visit` broke off: the caller knows which.
pub(crate) fn each_element<'a>(
    text: &'a str,
    visit: impl FnMut(&'a str) -> Result<(), Stop>,
) -> serde_json::Result<()> {
    let mut json = Deserializer::from_str(text);
    json.deserialize_seq(Elements(visit))?;
    json.end()
}

/// Breaks off [`each_element`].
pub(crate) struct Stop;

struct Elements<F>(F);

impl<'a, F: FnMut(&'a str) -> Result<(), Stop>> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&'a RawValue>()? {
            self.0(element.get()).map_err(|Stop| A::Error::custom("stopped"))?;
        }
        Ok(())
    }
}

/// Fills an object from a map.
struct Fill<'o, 'a>(&'o mut Object<'a>);

impl<'a> Visitor<'a> for Fill<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let object = self.0;
        while let Some(key) =
            map.next_key_seed(KeySeed { unknown_wanted: object.flaw.is_none() })?
        {
            let raw = map.next_value::<&'a RawValue>()?.get();
            if raw.starts_with(['{', '[']) {
                object.depth = object.depth.max(1 + depth(raw));
            }
            object.take(key, Raw::of(raw));
        }
        Ok(())
    }
}

impl<'a> Object<'a> {
    fn clear(&mut self) {
        self.given = FieldSet::EMPTY;
        self.flaw = None;
        self.depth = 1;
    }

    #[inline(never)]
    fn take_named(&mut self, name: &str, raw: Raw<'a>) {
        self.take(Key::of(name, self.flaw.is_none()), raw);
    }

    fn take(&mut self, key: Key, raw: Raw<'a>) {
        match key {
            Key::Own => {}
            Key::Unknown(flaw) => self.flaw = self.flaw.take().or(flaw),
            Key::Known(field) => self.put(field, raw),
        }
    }

    #[inline]
    fn put(&mut self, field: Field, raw: Raw<'a>) {
        if !self.given.insert(field) {
            self.given_twice(field);
        } else if let Some(value) = self.values.get_mut(field as usize) {
            *value = raw;
        }
    }

    #[inline(never)]
    fn given_twice(&mut self, field: Field) {
        let twice = || Flaw::of(field, Code::DuplicateField, "is given more than once");
        self.flaw.get_or_insert_with(twice);
    }
}

/// What a name stands for.
enum Key {
    /// A field of the contract.
    Known(Field),
    /// The sender's own; ignored.
    Own,
    /// Nothing; the flaw, if none came before.
    Unknown(Option<Flaw>),
}

impl Key {
    /// What a name stands for; a flaw is made only if one is wanted.
    fn of(name: &str, unknown_wanted: bool) -> Self {
        match Field::of(name) {
            Some(field) => Self::Known(field),
            None if name.starts_with("x_") => Self::Own,
            None => Self::Unknown(unknown_wanted.then(|| Flaw::unknown(name))),
        }
    }
}

/// Reads a name without copying it; only the first unknown one is wanted.
struct KeySeed {
    unknown_wanted: bool,
}

impl<'a> DeserializeSeed<'a> for KeySeed {
    type Value = Key;

    fn deserialize<D: serde::Deserializer<'a>>(self, name: D) -> Result<Key, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Key::of(name, self.unknown_wanted))
    }
}

/// Levels of nesting of a well-formed JSON value: 0 for a scalar, 1 for `[]`. Does not recurse.
pub(crate) fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = raw.bytes();
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

/// Moves behind the closing quote.
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

/// Checks that a text is one JSON value of any kind. Does not recurse.
pub(crate) fn check_json(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// Writes one JSON object, field by field.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> ObjectWriter<'o> {
    /// Begins an object.
    pub(crate) const fn begin(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Writes a field.
    #[inline]
    pub(crate) fn field<T: Value>(&mut self, field: Field, value: &T) {
        value.encode(self.key(field));
    }

    /// Writes a field if it has a value.
    #[inline]
    pub(crate) fn optional<T: Value>(&mut self, field: Field, value: Option<&T>) {
        if let Some(value) = value {
            self.field(field, value);
        }
    }

    /// Writes a name; the caller writes the value.
    #[inline]
    pub(crate) fn key(&mut self, field: Field) -> &mut Vec<u8> {
        self.out.extend_from_slice(field.key().as_bytes());
        self.out
    }

    /// Ends the object; at least one field was written, whose comma becomes the brace.
    pub(crate) fn end(self) {
        if let Some(comma) = self.out.get_mut(self.start) {
            *comma = b'{';
        }
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let check = |raw: &str, expect: usize| assert_eq!(depth(raw), expect, "{raw}");
        check("1", 0);
        check("[]", 1);
        check("{\"a\":[{}]}", 3);
        check("[\"[[[[\",\"\\\"[[\",[]]", 2);
        check("[[],[],[[]]]", 3);
        check(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), 100_000);
    }

    #[test]
    fn the_newest_object_alone_counts() {
        let mut object = Object::new(512);
        object.read(r#"{"price":1,"x_mine":{"deep":[1]},"symbol":null}"#).expect("an object");
        assert_eq!(object.raw(Field::Price), Some(Raw::Json("1")));
        assert_eq!(object.raw(Field::Symbol), None);
        assert_eq!(object.depth(), 3);
        object.read(r#" { "\u0073ymbol" : "A" } "#).expect("an object");
        assert_eq!(object.raw(Field::Price), None);
        assert_eq!(object.raw(Field::Symbol), Some(Raw::Json("\"A\"")));
        assert_eq!(object.depth(), 1);
        assert!(object.read("[]").is_err());
        assert!(object.read("{} {}").is_err());
    }
}
