//! A check of running sums: figures that the fold keeps up to date are derived again from the entries
//! that they add up.
//!
//! Input: a state. Output: the sums that differ. Invariants: a turn reads a bounded number of entries
//! and changes nothing; successive turns reach every account and symbol. Deliberately absent: repairs.
//! A difference is a bug, and the state that shows it must not be overwritten.
//!
//! # Design
//! Counters that only rise cannot be derived again, because the orders behind them are forgotten.
//! Everything else that is a sum of held entries is compared here. A sum that has no exact value in
//! another order of addition is left out.

use crate::domain::closed_set::closed_set;
use crate::domain::ids::Account;

/// Entries that one turn reads, about. A turn ends with the symbol that exceeds it.
pub const ENTRIES_MAX: usize = 20_000;

closed_set! {
    /// A kind of running sum.
    pub enum RunningTotal {
        /// The sums of a window.
        Window = "window",
        /// An entry of a window, against its order.
        WindowEntry = "window_entry",
        /// Number and leaves of the open orders of a symbol.
        OpenOrders = "open_orders",
        /// The sums of a symbol's changes of position.
        Flows = "flows",
        /// The ledger of a symbol that no list anchored, against its changes of position.
        Ledger = "ledger",
        /// The bytes of the notes of adapters.
        Notes = "notes",
    }
}

impl RunningTotal {
    /// The message for the log when one of them differs.
    #[must_use]
    pub const fn broken(self) -> &'static str {
        match self {
            Self::Window => "the sums of a window differ from its entries",
            Self::WindowEntry => "an entry of a window differs from its order",
            Self::OpenOrders => "open orders differ from the orders that are open",
            Self::Flows => "the sum of a symbol's flows differs from its flows",
            Self::Notes => "the bytes of a sender's notes differ from its notes",
            Self::Ledger => "a ledger differs from its flows",
        }
    }
}

/// Where the next turn begins. The default is the first account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecountCursor {
    /// The account; the first one without a value.
    pub account: Option<Account>,
    /// The index of its symbol. At 0, the account as a whole is compared as well.
    pub symbol: usize,
}

/// The outcome of one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// Number of sums that were compared.
    pub compared: usize,
    /// Number of entries that were read, and of sums without any.
    pub entries: usize,
    /// Each sum that differs.
    pub differences: Vec<RunningTotal>,
}

impl Recount {
    /// Notes a comparison. `None`: the entries have no exact sum in this order. A sum without entries
    /// counts as one, because it costs a look.
    pub(super) fn note(&mut self, total: RunningTotal, is_equal: Option<bool>, entries: usize) {
        self.entries += entries.max(1);
        self.compared += usize::from(is_equal.is_some());
        if is_equal == Some(false) {
            self.differences.push(total);
        }
    }

    /// Whether the turn has read enough.
    pub(super) const fn is_enough(&self) -> bool {
        self.entries >= ENTRIES_MAX
    }
}
