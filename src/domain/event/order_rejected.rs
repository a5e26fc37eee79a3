//! The venue or broker refused the order (FIX ExecType 8).

/// The venue or broker refused the order (FIX ExecType 8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRejected {
    /// The reason, in the venue's words.
    pub reason: Option<Box<str>>,
    /// The venue's code of the reason.
    pub code: Option<Box<str>>,
}
