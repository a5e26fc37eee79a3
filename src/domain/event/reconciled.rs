//! The engine carried out a reconcile directive.

use crate::domain::ids::Symbol;

/// The engine carried out a reconcile directive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reconciled {
    /// The instrument.
    pub symbol: Symbol,
    /// The directive that was carried out.
    pub directive_id: Option<Box<str>>,
}
