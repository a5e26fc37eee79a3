//! A position changed without a trade: split, funding, transfer, assignment, expiry.

use crate::domain::ids::Symbol;
use crate::domain::units::Position;

/// A position changed without a trade: split, funding, transfer, assignment, expiry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PositionAdjusted {
    /// The instrument.
    pub symbol: Symbol,
    /// The signed change.
    pub quantity: Position,
    /// Why, for people.
    pub reason: Option<Box<str>>,
}
