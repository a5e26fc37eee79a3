//! The venue or broker refused the order (FIX ExecType 8).

/// The venue or broker refused the order (FIX ExecType 8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRejected {
    /// Why, in the venue's words.
    pub reason: Option<Box<str>>,
    /// Why, as a code.
    pub code: Option<Box<str>>,
}
