//! JSON text, scanned and written. Knows nothing of trading.
//!
//! Input: text. Output: the members of a flat object as unparsed tokens; integers, decimals and
//! strings appended to bytes. Absent: which names an object may have, and what a value means (see
//! `crate::wire::contract`).

pub(crate) mod token;
pub(crate) mod swar;
pub(crate) mod scan;
pub(crate) mod write;
