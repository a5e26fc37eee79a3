//! Changes of a position that the exporter saw: fills, busts, corrections, adjustments.
//!
//! The execution side makes them, the ledger and the alignment of snapshots use them.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// One change of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Event time of the execution or adjustment.
    pub time: Timestamp,
    /// Signed change of the position, in units of the instrument. A bust has the opposite sign of its
    /// fill, and the fill's time.
    #[serde(with = "exact")]
    pub change: Decimal,
    /// The kind of event behind it.
    pub kind: FlowKind,
}

impl Flow {
    /// Whether it reverses an execution: a bust, or a correction downward.
    #[must_use]
    pub const fn is_reversal(&self) -> bool {
        match self.kind {
            FlowKind::Buy => self.change.is_sign_negative(),
            FlowKind::Sell => self.change.is_sign_positive(),
            FlowKind::Adjustment => false,
        }
    }
}

/// The kind of event that changed a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowKind {
    /// An execution of a buy order, or its bust (then the change is negative).
    Buy,
    /// An execution of a sell order, or its bust (then the change is positive).
    Sell,
    /// A split, transfer or assignment: no execution.
    Adjustment,
}
