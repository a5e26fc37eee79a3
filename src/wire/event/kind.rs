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
