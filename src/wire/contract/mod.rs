//! The contract of fields, which events and requests share: names, shapes, values, errors.
//!
//! Input: unparsed JSON values. Output: checked values of the domain, or the field at fault and why.
//! Absent: which fields an event or a request has (see `crate::wire::event`, `crate::wire::request`).

pub mod error;
pub mod field;
pub(crate) mod limits;
pub mod shape;
pub(crate) mod intern;
pub(crate) mod value;
pub mod spec;
pub(crate) mod reader;
pub(crate) mod writer;
pub mod schema;
