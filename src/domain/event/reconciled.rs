//! The engine carried out a reconcile directive.

use crate::domain::event::{OtherKind, Source};
use crate::domain::ids::Symbol;

/// The engine carried out a reconcile directive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reconciled {
    /// The instrument.
    pub symbol: Symbol,
    /// The directive that was carried out.
    pub directive_id: Option<Box<str>>,
}

impl OtherKind for Reconciled {
    fn sender(&self) -> Option<Source> {
        Some(Source::Local)
    }

    fn each_symbol(&mut self, visit: &mut dyn FnMut(&mut Symbol)) {
        visit(&mut self.symbol);
    }
}
