//! The three books of a symbol side by side.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Exact, age_seconds};
use crate::domain::account::AccountState;
use crate::domain::drift::LedgerBasis;
use crate::domain::evidence::is_unjudged;
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;
use crate::wire::time::Rfc3339;

/// The three books of one symbol. A quantity is signed: short is below 0.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PositionRow {
    /// The account.
    pub account: String,
    /// The instrument.
    pub symbol: String,
    /// The quantity in the engine's book; null: no local snapshot covers the symbol.
    pub local_quantity: Option<Exact>,
    /// The quantity in the broker's book; null: no broker snapshot covers the symbol.
    pub broker_quantity: Option<Exact>,
    /// The sum of the observed fills.
    pub ledger_quantity: Exact,
    /// Where the ledger starts.
    pub ledger_basis: LedgerBasis,
    /// Average price of the local book.
    pub local_price: Option<Exact>,
    /// Average price of the broker's book.
    pub broker_price: Option<Exact>,
    /// The difference that may be in flight, local - broker; 0: none.
    pub pending_quantity: Exact,
    /// The difference that was accepted by hand, local - broker; 0: none.
    pub offset_quantity: Exact,
    /// When the local snapshot that covers the symbol was taken; null: none does.
    pub local_snapshot_at: Option<Rfc3339>,
    /// When the broker's snapshot that covers the symbol was taken; null: none does.
    pub broker_snapshot_at: Option<Rfc3339>,
    /// Age of that local snapshot, in seconds.
    pub local_age_seconds: Option<f64>,
    /// Age of that broker's snapshot, in seconds.
    pub broker_age_seconds: Option<f64>,
    /// Drift cannot be measured: a book is too old, or there is no broker book yet.
    pub stale: bool,
}

impl PositionRow {
    /// The rows of one account, as of `now`.
    pub fn of<'a>(
        account: &'a AccountState,
        now: Timestamp,
        settings: &'a Settings,
    ) -> impl Iterator<Item = Self> + 'a {
        let stale = is_unjudged(&account.missing(now, settings));
        account.books.positions(&account.symbols).map(move |row| Self {
            account: account.name.to_string(),
            symbol: row.symbol.to_string(),
            local_quantity: row.local.map(Exact),
            broker_quantity: row.broker.map(Exact),
            ledger_quantity: Exact(row.ledger),
            ledger_basis: row.ledger_basis,
            local_price: row.local_price.map(Exact),
            broker_price: row.broker_price.map(Exact),
            pending_quantity: Exact(row.pending),
            offset_quantity: Exact(row.offset),
            local_snapshot_at: row.local_at.map(Rfc3339),
            broker_snapshot_at: row.broker_at.map(Rfc3339),
            local_age_seconds: row.local_at.map(|at| age_seconds(now, at)),
            broker_age_seconds: row.broker_at.map(|at| age_seconds(now, at)),
            stale,
        })
    }
}
