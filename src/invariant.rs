//! Assertions about states that cannot happen.
//!
//! `invariant!(condition, "message")` checks a condition, `impossible!("message")` marks a branch
//! that cannot be reached. Both panic in debug builds, so that tests and the simulation find a
//! broken assumption where it breaks. A release build must not stop watching an account because of
//! one, so there both only count: `trading_exporter_invariant_violations_total` shows the count,
//! and the log names the first place.
//!
//! Invariants: nothing in the crate decides by the count, so a replay gives the same state. Absent:
//! checks of input. Input that a client can send is validated where it enters and answered with an
//! error; it never reaches an invariant.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static VIOLATIONS: AtomicU64 = AtomicU64::new(0);
static FIRST: OnceLock<&'static str> = OnceLock::new();

/// Checks a condition that always holds. See [`crate::invariant`].
macro_rules! invariant {
    ($condition:expr, $message:literal $(,)?) => {
        if !$condition {
            impossible!($message);
        }
    };
}

/// Marks a branch that cannot be reached. See [`crate::invariant`].
macro_rules! impossible {
    ($message:literal $(,)?) => {{
        debug_assert!(false, $message);
        $crate::invariant::record(concat!(file!(), ":", line!(), ": ", $message));
    }};
}

/// Counts one violation. Called by the macros alone.
#[cold]
pub fn record(place: &'static str) {
    VIOLATIONS.fetch_add(1, Ordering::Relaxed);
    FIRST.get_or_init(|| place);
}

/// Violations since the process started. Zero unless the program has a bug.
#[must_use]
pub fn violations() -> u64 {
    VIOLATIONS.load(Ordering::Relaxed)
}

/// File, line and message of the first violation.
#[must_use]
pub fn first() -> Option<&'static str> {
    FIRST.get().copied()
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "two is two")]
    fn a_broken_invariant_fails_a_test() {
        invariant!(std::hint::black_box(2) == 3, "two is two");
    }

    #[test]
    fn an_invariant_that_holds_is_silent() {
        invariant!(std::hint::black_box(2) == 2, "two is two");
    }
}
