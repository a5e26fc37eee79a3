//! The order expired (FIX ExecType C).

/// The order expired (FIX ExecType C). The event says no more than that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderExpired;
