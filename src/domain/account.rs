//! Everything known of one account, side by side.

use crate::domain::drift::Books;
use crate::domain::execution::Execution;
use crate::domain::health::Components;
use crate::domain::ids::Account;
use crate::domain::state::Latch;
use crate::domain::symbols::SymbolTable;
use crate::domain::time::Timestamp;

/// Everything known of one account.
#[derive(Clone, Debug)]
pub struct AccountState {
    /// Its name.
    pub name: Account,
    /// Its symbols.
    pub symbols: SymbolTable,
    /// Orders, windows, figures, anomalies.
    pub execution: Execution,
    /// Local, broker, ledger, and their drift.
    pub books: Books,
    /// Components that reported under this account.
    pub components: Components,
    /// The account's own latch.
    pub latch: Latch,
    /// Receive time of the last event.
    pub last_event_at: Option<Timestamp>,
}

impl AccountState {
    /// An account of which nothing is known yet.
    #[must_use]
    pub fn new(name: Account) -> Self {
        Self {
            name,
            symbols: SymbolTable::default(),
            execution: Execution::default(),
            books: Books::default(),
            components: Components::default(),
            latch: Latch::default(),
            last_event_at: None,
        }
    }
}
