//! The three books of a symbol side by side.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Exact, Time, age_seconds};
use super::word::LedgerBasisWord;
use crate::domain::account::AccountState;
use crate::domain::evidence::{is_unjudged, missing};
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;

/// The three books of one symbol. A quantity is signed: short is below 0.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PositionRow {
    /// The account.
    pub account: String,
    /// The instrument.
    pub symbol: String,
    /// What the engine says; null: no local snapshot speaks of the symbol.
    pub local_quantity: Option<Exact>,
    /// What the broker says; null: no broker snapshot speaks of the symbol.
    pub broker_quantity: Option<Exact>,
    /// What the seen fills add up to.
    pub ledger_quantity: Exact,
    /// Where the ledger starts.
    pub ledger_basis: LedgerBasisWord,
    /// Average price of the local book.
    pub local_price: Option<Exact>,
    /// Average price of the broker's book.
    pub broker_price: Option<Exact>,
    /// The difference that may be in flight, local - broker; 0: none.
    pub pending_quantity: Exact,
    /// The difference that was accepted by hand, local - broker; 0: none.
    pub offset_quantity: Exact,
    /// When the local snapshot that speaks of the symbol was taken; null: none does.
    pub local_snapshot_at: Option<Time>,
    /// When the broker's snapshot that speaks of the symbol was taken; null: none does.
    pub broker_snapshot_at: Option<Time>,
    /// Age of that local snapshot, in seconds.
    pub local_age_seconds: Option<f64>,
    /// Age of that broker's snapshot, in seconds.
    pub broker_age_seconds: Option<f64>,
    /// Drift cannot be judged: a book is too old, or the broker's never came.
    pub stale: bool,
}

impl PositionRow {
    /// The rows of one account, as of `now`.
    pub fn of<'a>(
        account: &'a AccountState,
        now: Timestamp,
        settings: &'a Settings,
    ) -> impl Iterator<Item = Self> + 'a {
        let stale = is_unjudged(&missing(account, now, settings));
        account.books.positions(&account.symbols).map(move |row| Self {
            account: account.name.to_string(),
            symbol: row.symbol.to_string(),
            local_quantity: row.local.map(Exact),
            broker_quantity: row.broker.map(Exact),
            ledger_quantity: Exact(row.ledger),
            ledger_basis: row.ledger_basis.into(),
            local_price: row.local_price.map(Exact),
            broker_price: row.broker_price.map(Exact),
            pending_quantity: Exact(row.pending),
            offset_quantity: Exact(row.offset),
            local_snapshot_at: row.local_at.map(Time),
            broker_snapshot_at: row.broker_at.map(Time),
            local_age_seconds: row.local_at.map(|at| age_seconds(now, at)),
            broker_age_seconds: row.broker_at.map(|at| age_seconds(now, at)),
            stale,
        })
    }
}
