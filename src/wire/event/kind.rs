//! The table row of a kind of event: its name, its fields, and its decoder.

use crate::domain::event::Body;
use crate::wire::contract::error::Flaw;
use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::reader::ObjectReader;
use crate::wire::contract::spec::{FieldSpec, names};

/// A kind of event.
#[derive(Debug)]
pub struct KindSpec {
    /// The `type` on the wire.
    pub name: &'static str,
    /// Its meaning, as one sentence for the published document.
    pub about: &'static str,
    /// A complete event of this kind, as JSON.
    pub example: &'static str,
    groups: &'static [&'static [FieldSpec]],
    allowed: FieldSet,
    alternatives: &'static [&'static [Field]],
    decode: fn(&mut ObjectReader<'_>) -> Result<Body, Flaw>,
}

impl KindSpec {
    /// A kind with these groups of fields, which include [`super::ENVELOPE`].
    pub(super) const fn new(
        name: &'static str,
        about: &'static str,
        example: &'static str,
        groups: &'static [&'static [FieldSpec]],
        decode: fn(&mut ObjectReader<'_>) -> Result<Body, Flaw>,
    ) -> Self {
        let allowed = names(groups).with(Field::Type);
        Self { name, about, example, groups, allowed, alternatives: &[], decode }
    }

    /// The kind, with at least one of these sets of optional fields required.
    pub(super) const fn with_either(mut self, alternatives: &'static [&'static [Field]]) -> Self {
        self.alternatives = alternatives;
        self
    }

    /// Its fields except `type`; the fields of every event come first.
    pub fn fields(&self) -> impl Iterator<Item = &'static FieldSpec> {
        self.groups.iter().copied().flatten()
    }

    /// Sets of optional fields, one of which must be present. Empty for most kinds.
    #[must_use]
    pub const fn alternatives(&self) -> &'static [&'static [Field]] {
        self.alternatives
    }

    pub(super) const fn allowed(&self) -> FieldSet {
        self.allowed
    }

    pub(super) fn decode(&self, object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
        (self.decode)(object)
    }
}

/// Declares a kind from one table of its fields; its [`KindSpec`], decoder and encoder follow from it.
/// A row names the member of the value, its presence, its type, its field and the description. A
/// `flag` is an optional `bool` that is false if it is missing.
macro_rules! kind {
    ($name:literal: order $Fact:ident($Value:ident), $about:literal, $example:literal,
     $($member:ident: $presence:ident $type:ty as $field:ident => $doc:literal,)+) => {
        kind!(@declare [&$crate::wire::event::ENVELOPE, &$crate::wire::event::ORDER]
            $name, $Value, $about, $example, $($member $presence $type, $field $doc,)+);

        fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
            $crate::wire::event::order_body(object, |object| {
                Ok($crate::domain::event::OrderFact::$Fact($Value {
                    $($member: kind!(@read $presence object, $field),)+
                }))
            })
        }
    };
    ($name:literal: other $Value:ident, $about:literal, $example:literal,
     $($member:ident: $presence:ident $type:ty as $field:ident => $doc:literal,)+) => {
        kind!(@declare [&$crate::wire::event::ENVELOPE]
            $name, $Value, $about, $example, $($member $presence $type, $field $doc,)+);

        fn decode(object: &mut ObjectReader<'_>) -> Result<Body, Flaw> {
            Ok(Body::$Value($Value { $($member: kind!(@read $presence object, $field),)+ }))
        }
    };
    (@declare [$($group:expr),+] $name:literal, $Value:ident, $about:literal, $example:literal,
     $($member:ident $presence:ident $type:ty, $field:ident $doc:literal,)+) => {
        use $crate::domain::event::{Body, $Value};
        use $crate::wire::contract::error::Flaw;
        use $crate::wire::contract::field::Field;
        use $crate::wire::contract::reader::ObjectReader;
        use $crate::wire::contract::spec::FieldSpec;
        use $crate::wire::contract::writer::ObjectWriter;
        use $crate::wire::event::KindSpec;

        pub(super) const KIND: KindSpec = KindSpec::new(
            $name,
            $about,
            $example,
            &[$($group,)+ &[$(kind!(@spec $presence $type, $field, $doc),)+]],
            decode,
        );

        pub(super) fn encode(value: &$Value, object: &mut ObjectWriter<'_>) {
            $(kind!(@write $presence value.$member, object, $field);)+
        }
    };
    (@spec required $type:ty, $field:ident, $doc:literal) => {
        FieldSpec::required::<$type>(Field::$field, $doc)
    };
    (@spec $_optional:ident $type:ty, $field:ident, $doc:literal) => {
        FieldSpec::optional::<$type>(Field::$field, $doc)
    };
    (@read required $object:ident, $field:ident) => { $object.required(Field::$field)? };
    (@read optional $object:ident, $field:ident) => { $object.optional(Field::$field)? };
    (@read flag $object:ident, $field:ident) => {
        $object.optional(Field::$field)?.unwrap_or(false)
    };
    (@write required $value:expr, $object:ident, $field:ident) => {
        $object.field(Field::$field, &$value)
    };
    (@write optional $value:expr, $object:ident, $field:ident) => {
        $object.optional(Field::$field, $value.as_ref())
    };
    (@write flag $value:expr, $object:ident, $field:ident) => {
        if $value {
            $object.field(Field::$field, &true);
        }
    };
}
pub(super) use kind;
