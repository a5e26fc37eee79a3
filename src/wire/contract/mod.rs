//! The contract of fields, which events and requests share: names, shapes, values, errors.
//!
//! Input: tokens of JSON. Output: checked values of the domain, or which field is wrong and why.
//! Absent: which fields an event or a request has (see `crate::wire::event`, `crate::wire::request`).

pub mod error;
pub mod field;
pub mod time;
pub(crate) mod intern;
pub(crate) mod value;
pub mod spec;
pub(crate) mod reader;
