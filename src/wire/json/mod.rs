//! JSON text, scanned and written. Knows nothing of trading.
//!
//! Input: text. Output: the members of an object and the elements of an array as [`RawJson`], not
//! parsed yet; strings, integers and decimals appended to bytes. Absent: which names an object may
//! have, and what a value means (see `crate::wire::contract`).
//!
//! # Design
//!
//! Nearly every event is a flat object of plain scalars: no nesting, no escapes. `scan` reads that
//! form in one pass and looks up each name on the way, through a function that the caller supplies.
//! Whatever it does not recognise goes to `general`, which leaves the grammar to `serde_json`; so
//! the scanner may give up on anything unusual, and only `general` reports errors.
//!
//! - *Assumption:* the two readers agree. Whatever the scanner accepts, `serde_json` accepts too,
//!   with the same names and values: `tests.rs` compares them on generated text, and
//!   `crate::wire::tests::equivalence` compares whole events in both spellings.
//! - *Assumption:* text is UTF-8 in a `&str`. All bytes that mean something to JSON are ASCII, so a
//!   cut next to one of them is always at a character boundary.
//! - *Bit tricks:* `swar` handles eight bytes as one `u64`. `head_table` and `write` build on it and
//!   on 16 bytes as one `u128`. No other room of the crate does this, so the tricks can be reviewed,
//!   and thrown away, as one thing. Each has a test against the obvious loop.
//! - *Rejected:* `serde` derives for events. They report the first error only, without the field,
//!   and read numbers as floats unless every number is buffered as text.
//! - *Rejected:* `serde_json` alone, as raw values. It searches for the end of each string twice and
//!   calls a visitor at every step. Hot path: guarded by benches/instructions.
//! - *Rejected:* SIMD parsers. They need `unsafe` and a mutable copy of the body.

mod token;
pub(crate) mod swar;
pub(crate) mod head_table;
pub(crate) mod scan;
pub(crate) mod general;
pub(crate) mod number;
pub(crate) mod write;
#[cfg(test)]
mod tests;

pub(crate) use token::{RawJson, StringError};
