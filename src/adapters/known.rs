//! The knowledge of an adapter beside the message: the state.
//!
//! Input: names. Output: values. Invariant: an answer never changes what a message means, only which
//! order it is about and whether a fact was told before.

use crate::domain::units::{Decimal, Side};

/// The state, as far as adapters ask for it.
pub trait KnownState {
    /// An order that is held.
    fn order(&self, account: &str, order_id: &str) -> Option<HeldOrder>;

    /// Whether an event with this id was accepted, within the horizon of ids.
    fn has_event(&self, account: &str, event_id: &str) -> bool;

    /// The text that an adapter kept for this sender.
    fn note(&self, key: &str) -> Option<String>;

    /// The books of a symbol.
    fn book(&self, account: &str, symbol: &str) -> Option<HeldBook>;
}

/// An order that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldOrder {
    /// Whether its submission is known.
    pub is_submitted: bool,
    /// Whether it has ended.
    pub has_ended: bool,
    /// Buy or sell, once known.
    pub side: Option<Side>,
    /// The ordered quantity, once known.
    pub quantity: Option<Decimal>,
    /// The filled quantity.
    pub filled: Decimal,
    /// The average price of its fills.
    pub average_price: Option<Decimal>,
}

/// The books of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBook {
    /// The engine's word; `None`: it never said.
    pub local: Option<Decimal>,
    /// The sum of the fills seen.
    pub ledger: Decimal,
}

/// A state in which nothing happened yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKnown;

impl KnownState for NothingKnown {
    fn order(&self, _: &str, _: &str) -> Option<HeldOrder> {
        None
    }

    fn has_event(&self, _: &str, _: &str) -> bool {
        false
    }

    fn note(&self, _: &str) -> Option<String> {
        None
    }

    fn book(&self, _: &str, _: &str) -> Option<HeldBook> {
        None
    }
}
