//! A snapshot of the positions that one side reports for the account.

use crate::domain::event::{OtherKind, Source};
use crate::domain::ids::Symbol;
use crate::domain::units::{Position, Price};

/// A snapshot of the positions that one side reports for the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Positions {
    /// The reporting side.
    pub source: Source,
    /// The rows. Several rows of one symbol are added up.
    pub rows: Box<[PositionRow]>,
    /// Whether a symbol that is missing is flat (true) or unknown (false).
    pub complete: bool,
    /// The error, if the fetch failed. Such a snapshot has no information about any position.
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

impl OtherKind for Positions {
    fn sender(&self) -> Option<Source> {
        Some(self.source)
    }

    fn each_symbol(&mut self, visit: &mut dyn FnMut(&mut Symbol)) {
        self.rows.iter_mut().for_each(|row| visit(&mut row.symbol));
    }
}
