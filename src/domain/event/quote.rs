//! A market quote: a bid and an ask, or one price.

use crate::domain::event::{OtherKind, Source};
use crate::domain::ids::Symbol;
use crate::domain::units::Price;

/// A market quote: a bid and an ask, or one price.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quote {
    /// The instrument.
    pub symbol: Symbol,
    /// The mid of bid and ask, or the given price; 0 if a side or the price was 0, which is no price.
    pub mid: Price,
}

impl OtherKind for Quote {
    fn sender(&self) -> Option<Source> {
        None
    }

    fn each_symbol(&mut self, visit: &mut dyn FnMut(&mut Symbol)) {
        visit(&mut self.symbol);
    }
}
