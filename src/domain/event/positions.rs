//! A snapshot of what one side says that the account holds.

use crate::domain::event::Source;
use crate::domain::ids::Symbol;
use crate::domain::units::{Position, Price};

/// A snapshot of what one side says that the account holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Positions {
    /// Which side speaks.
    pub source: Source,
    /// The rows; several of one symbol are added up.
    pub rows: Box<[PositionRow]>,
    /// Whether a symbol that is missing is flat (true) or unknown (false).
    pub complete: bool,
    /// The error, when the fetch failed: such a snapshot says nothing of any position.
    pub failure: Option<Box<str>>,
}

/// One row of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PositionRow {
    /// The instrument.
    pub symbol: Symbol,
    /// The signed quantity; short is negative, 0 is flat.
    pub quantity: Position,
    /// The average entry price.
    pub average_price: Option<Price>,
    /// The current price.
    pub market_price: Option<Price>,
}
