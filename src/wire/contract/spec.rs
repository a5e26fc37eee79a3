//! The table row of a field: its name, its shape on the wire, whether it is required.
//!
//! Invariant: decoder, encoder and published schema read the same rows. Absent: how a value is read
//! (see `value`).

use crate::wire::contract::field::{Field, FieldSet};
use crate::wire::contract::shape::Shape;
use crate::wire::contract::value::Value;

/// One field of an event or a request.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Its name.
    pub field: Field,
    /// Whether it is required.
    pub presence: Presence,
    /// The form of its value.
    pub shape: Shape,
    /// Its meaning, as one sentence for the published document.
    pub about: &'static str,
}

/// Whether a field is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be present and not `null`.
    Required,
    /// It may be missing or `null`.
    Optional,
}

impl FieldSpec {
    pub(crate) const fn required<T: Value>(field: Field, about: &'static str) -> Self {
        Self { field, presence: Presence::Required, shape: T::SHAPE, about }
    }

    pub(crate) const fn optional<T: Value>(field: Field, about: &'static str) -> Self {
        Self { field, presence: Presence::Optional, shape: T::SHAPE, about }
    }
}

/// The fields of all rows of some tables.
pub(crate) const fn names(tables: &[&[FieldSpec]]) -> FieldSet {
    let mut set = FieldSet::EMPTY;
    let mut tables = tables;
    while let [table, others @ ..] = tables {
        let mut rows = *table;
        while let [row, rest @ ..] = rows {
            set = set.with(row.field);
            rows = rest;
        }
        tables = others;
    }
    set
}
