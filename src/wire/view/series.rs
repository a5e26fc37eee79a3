//! How many things are labelled, against the bounds.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::account::AccountState;
use crate::domain::limits;
use crate::domain::monitor::Monitor;

/// What stands in labels, against the series budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cardinality {
    /// Series that /metrics may carry; past it new symbols fold into `__other__`.
    pub series_max: usize,
    /// Symbols of one account that are watched at most.
    pub symbols_max: usize,
    /// Accounts that are kept at most.
    pub accounts_max: usize,
    /// Components of one account that are kept at most.
    pub components_max: usize,
    /// Strategies (and venues) of one account that are broken down at most.
    pub breakdowns_max: usize,
    /// Symbols of all accounts listed.
    pub symbols: usize,
    /// How many times a new symbol was folded, in all accounts listed.
    pub folded: u64,
    /// The accounts, those with the most symbols first.
    pub accounts: Vec<AccountSeries>,
}

/// What one account puts into labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountSeries {
    /// The account.
    pub account: String,
    /// Its symbols, `__other__` among them.
    pub symbols: usize,
    /// How many times a new symbol was folded into `__other__`.
    pub folded: u64,
    /// Its components.
    pub components: usize,
    /// Strategies that are broken down.
    pub strategies: usize,
    /// Venues that are broken down.
    pub venues: usize,
}

impl Cardinality {
    /// The answer for the accounts of a monitor that `may_see` lets through.
    #[must_use]
    pub fn new(monitor: &Monitor, may_see: impl Fn(&AccountState) -> bool) -> Self {
        let health = &monitor.settings().health;
        let accounts = monitor.accounts().filter(|a| may_see(a)).map(|a| AccountSeries {
            account: a.name.to_string(),
            symbols: a.symbols.len(),
            folded: a.symbols.folded(),
            components: a.components.views(health).count(),
            strategies: a.execution.strategies().count(),
            venues: a.execution.venues().count(),
        });
        let mut accounts: Vec<AccountSeries> = accounts.collect();
        accounts.sort_by(|a, b| b.symbols.cmp(&a.symbols).then_with(|| a.account.cmp(&b.account)));
        Self {
            series_max: monitor.settings().series.max,
            symbols_max: monitor.settings().symbols.max,
            accounts_max: limits::ACCOUNTS_MAX,
            components_max: limits::COMPONENTS_MAX,
            breakdowns_max: limits::BREAKDOWNS_MAX,
            symbols: accounts.iter().map(|a| a.symbols).sum(),
            folded: accounts.iter().map(|a| a.folded).sum(),
            accounts,
        }
    }
}
