//! An execution was undone by the venue (FIX ExecType H).

use crate::domain::ids::FillId;

/// An execution was undone by the venue (FIX ExecType H).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillBusted {
    /// The execution.
    pub fill_id: FillId,
}
