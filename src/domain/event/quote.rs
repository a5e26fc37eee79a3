//! A market quote: a bid and an ask, or one price.

use crate::domain::ids::Symbol;
use crate::domain::units::Price;

/// A market quote: a bid and an ask, or one price.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quote {
    /// The instrument.
    pub symbol: Symbol,
    /// The mid of bid and ask, or the price given; 0: none, a side or the price was 0.
    pub mid: Price,
}
