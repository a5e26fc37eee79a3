//! A position changed without a trade: split, funding, transfer, assignment, expiry.

use crate::domain::event::{OtherKind, Source};
use crate::domain::ids::Symbol;
use crate::domain::units::Position;

/// A position changed without a trade: split, funding, transfer, assignment, expiry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PositionAdjusted {
    /// The instrument.
    pub symbol: Symbol,
    /// The signed change.
    pub quantity: Position,
    /// The reason, for people.
    pub reason: Option<Box<str>>,
}

impl PositionAdjusted {
    /// Whether it reports a fee, which a fill may report too.
    #[must_use]
    pub fn is_fee(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default().trim();
        ["fee", "fees", "commission"].iter().any(|word| reason.eq_ignore_ascii_case(word))
    }
}

impl OtherKind for PositionAdjusted {
    fn sender(&self) -> Option<Source> {
        None
    }

    fn each_symbol(&mut self, visit: &mut dyn FnMut(&mut Symbol)) {
        visit(&mut self.symbol);
    }
}
