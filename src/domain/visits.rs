//! A count of the elementary steps of the fold: facts, rows and changes of positions looked at.
//!
//! Input: [`count`], called where a loop or an ordered collection is walked. Output: the number on this
//! thread, for tests and for debug builds. Invariants: a release build counts nothing and pays nothing;
//! nothing in the crate decides by the count. Deliberately absent: time.
//!
//! # Design
//! A limit on time depends on the machine, and a limit on steps does not: `tests/fold/steps.rs` holds
//! the cost of every kind of event with it. Only loops whose length a sender chooses are counted.

use std::cell::Cell;

thread_local! {
    static VISITS: Cell<u64> = const { Cell::new(0) };
}

/// Counts `visits` steps on this thread. Nothing in a release build.
#[inline]
pub fn count(visits: usize) {
    if cfg!(debug_assertions) {
        let visits = u64::try_from(visits).unwrap_or(u64::MAX);
        VISITS.with(|sum| sum.set(sum.get().saturating_add(visits)));
    }
}

/// Counts the steps of one search in an ordered collection of `len` elements.
#[inline]
pub fn search(len: usize) {
    if cfg!(debug_assertions) {
        count(len.checked_ilog2().map_or(1, |log| log as usize + 1));
    }
}

/// Steps on this thread so far; 0 in a release build.
#[must_use]
pub fn counted() -> u64 {
    VISITS.with(Cell::get)
}
