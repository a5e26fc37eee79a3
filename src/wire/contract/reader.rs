//! A JSON object, read as fields of the contract.
//!
//! Input: the text of an object. Output: the unparsed value of each field, parsed on demand by the
//! type that the caller asks for. Invariants: one pass, no recursion, nothing copied; `null` is the
//! same as missing. Absent: which fields an object may have (see `event`, `request`).
//!
//! A name that is unknown or given twice is not an error at once: the reader keeps the first such
//! flaw, and the caller asks for it after it knows the type of the event.

use enum_map::EnumMap;

use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::value::{Value, ValueContext};
use crate::wire::json::RawJson;
use crate::wire::json::general::{self, read_elements};
use crate::wire::json::scan::{self, MemberName, ObjectEnd};

/// One JSON object. Reuse it: reading the next object costs no allocation.
pub(crate) struct ObjectReader<'a> {
    /// Values of fields that are not in `given` are left over from an earlier object.
    values: EnumMap<Field, RawJson<'a>>,
    given: FieldSet,
    /// The first name that is unknown or given twice.
    flaw: Option<Box<Flaw>>,
    depth: usize,
    context: ValueContext,
}

impl<'a> ObjectReader<'a> {
    /// An empty object whose values are read within `context`.
    pub(crate) const fn within(context: ValueContext) -> Self {
        let values = EnumMap::from_array([RawJson::Null; Field::ALL.len()]);
        Self { values, given: FieldSet::EMPTY, flaw: None, depth: 0, context }
    }

    pub(crate) fn into_context(self) -> ValueContext {
        self.context
    }

    /// Whether a number was rounded since the last call.
    pub(crate) const fn take_rounded(&mut self) -> bool {
        std::mem::replace(&mut self.context.has_rounded, false)
    }

    /// Reads an object that is the whole of `text`.
    ///
    /// # Errors
    /// When it is not JSON, or not an object.
    pub(crate) fn read(&mut self, text: &'a str) -> serde_json::Result<()> {
        if self.read_flat(text, 0, ObjectEnd::Text).is_some() {
            return Ok(());
        }
        self.clear();
        general::each_member(text, |name, json| {
            if json.starts_with(['{', '[']) {
                self.depth = self.depth.max(1 + general::depth(json));
            }
            self.put_named(name, RawJson::of(json));
        })
    }

    /// Reads the object at `from` and returns the position after it; `None` if it is not flat and
    /// plain. See [`scan::each_member`].
    pub(crate) fn read_flat(
        &mut self,
        text: &'a str,
        from: usize,
        end: ObjectEnd,
    ) -> Option<usize> {
        self.clear();
        scan::each_member(text, from, end, Field::at_head, |name, raw| match name {
            MemberName::Known(field) => self.put(field, raw),
            MemberName::Text(name) => self.put_named(name, raw),
        })
    }

    fn clear(&mut self) {
        self.given = FieldSet::EMPTY;
        self.flaw = None;
        self.depth = 1;
    }

    #[inline(never)]
    fn put_named(&mut self, name: &str, raw: RawJson<'a>) {
        match Field::of(name) {
            Some(field) => self.put(field, raw),
            // The sender's own; ignored.
            None if name.starts_with("x_") => {}
            None => {
                self.flaw.get_or_insert_with(|| Box::new(Flaw::unknown(name)));
            }
        }
    }

    #[inline]
    fn put(&mut self, field: Field, raw: RawJson<'a>) {
        if self.given.insert(field) {
            self.values[field] = raw;
        } else {
            self.note_given_twice(field);
        }
    }

    #[inline(never)]
    fn note_given_twice(&mut self, field: Field) {
        let twice = || Flaw::of(field, FieldCode::DuplicateField, "is given more than once");
        self.flaw.get_or_insert_with(|| Box::new(twice()));
    }

    /// Levels of nesting: 1 for an object of scalars.
    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    /// Checks that each name was known and given once.
    pub(crate) fn check_names(&mut self) -> Result<(), Flaw> {
        self.flaw.take().map_or(Ok(()), |flaw| Err(*flaw))
    }

    /// Checks that no field outside `allowed` has a value.
    pub(crate) fn check_fields(&self, allowed: FieldSet, of: &str) -> Result<(), Flaw> {
        let mut others = self.given.without(allowed);
        while let Some(field) = others.first() {
            if self.has(field) {
                return Err(Flaw::of(
                    field,
                    FieldCode::UnknownField,
                    format!("is no field of {of}"),
                ));
            }
            others = others.without(FieldSet::EMPTY.with(field));
        }
        Ok(())
    }

    /// Whether the field is present and not `null`.
    pub(crate) fn has(&self, field: Field) -> bool {
        self.raw(field).is_some()
    }

    /// The unparsed value of a field; `None` when it is missing or `null`.
    pub(crate) fn raw(&self, field: Field) -> Option<RawJson<'a>> {
        if self.given.has(field) { self.values[field].not_null() } else { None }
    }

    /// The value of a field; `None` when it is missing or `null`.
    #[expect(clippy::inline_always, reason = "most fields are missing: no call for those")]
    #[inline(always)]
    pub(crate) fn optional<T: Value>(&mut self, field: Field) -> Result<Option<T>, Flaw> {
        if self.given.has(field) { self.given_value(field) } else { Ok(None) }
    }

    /// The value of a field that must be present.
    #[inline]
    pub(crate) fn required<T: Value>(&mut self, field: Field) -> Result<T, Flaw> {
        self.optional(field)?.ok_or_else(|| missing(field))
    }

    /// Reads the elements of an array field as objects, each with `read`.
    ///
    /// # Errors
    /// The first flaw in a row, with the index of the row; or the field is missing or not an array.
    pub(crate) fn rows<T>(
        &mut self,
        field: Field,
        read: impl Fn(&mut Self, &'a str) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        let array = self.raw(field).ok_or_else(|| missing(field))?;
        let not_array = Flaw::of(field, FieldCode::InvalidValue, "must be an array");
        // The rows share the context, so they intern and note a rounding like their object.
        let mut row = Self::within(std::mem::take(&mut self.context));
        let rows = read_elements(array, not_array, |index, element| {
            read(&mut row, element).map_err(|flaw| flaw.inside(field, index))
        });
        self.context = row.into_context();
        rows
    }

    #[inline]
    fn given_value<T: Value>(&mut self, field: Field) -> Result<Option<T>, Flaw> {
        let Some(raw) = self.values[field].not_null() else { return Ok(None) };
        match T::decode(raw, &mut self.context) {
            Ok(value) => Ok(Some(value)),
            Err(why) => Err(Flaw::of(field, T::SHAPE.code(), why)),
        }
    }
}

/// A required field is missing.
pub(crate) fn missing(field: Field) -> Flaw {
    Flaw::of(field, FieldCode::MissingField, "is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_object_counts() {
        let mut object = ObjectReader::within(ValueContext::new(512));
        object.read(r#"{"price":1,"x_mine":{"deep":[1]},"symbol":null}"#).expect("an object");
        assert_eq!(object.raw(Field::Price), Some(RawJson::Other("1")));
        assert_eq!(object.raw(Field::Symbol), None);
        assert_eq!(object.depth(), 3);
        object.read(r#" { "\u0073ymbol" : "A" } "#).expect("an object");
        assert_eq!(object.raw(Field::Price), None);
        assert_eq!(object.raw(Field::Symbol), Some(RawJson::Other("\"A\"")));
        assert_eq!(object.depth(), 1);
        assert!(object.read("[]").is_err());
        assert!(object.read("{} {}").is_err());
    }
}
