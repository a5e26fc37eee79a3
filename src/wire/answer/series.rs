//! What `/metrics` exposes, against the bounds.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// What `/metrics` exposes, against the budget of series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cardinality {
    /// Series exposed of all accounts listed and of `*`, without the exporter's own.
    pub series: u64,
    /// Series past which the quietest symbols of the account with the most fold into `__other__`.
    pub series_max: usize,
    /// Accounts that are kept at most.
    pub accounts_max: usize,
    /// Symbols of one account that are watched at most.
    pub symbols_max: usize,
    /// Components of one account that are kept at most.
    pub components_max: usize,
    /// Strategies (and venues) of one account that are broken down at most.
    pub breakdowns_max: usize,
    /// Symbols, strategies and venues that are folded, in all accounts listed.
    pub folded: usize,
    /// Series exposed by family.
    pub families: BTreeMap<&'static str, u64>,
    /// The accounts, those with the most series first.
    pub accounts: Vec<AccountSeries>,
}

/// What is exposed of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountSeries {
    /// The account.
    pub account: String,
    /// Series exposed.
    pub series: u64,
    /// Its symbols, all of them watched.
    pub symbols: usize,
    /// How many of them are folded.
    pub symbols_folded: usize,
    /// Names of those, the first 1000.
    pub folded: Vec<String>,
    /// Events and rows of positions about symbols beyond `symbols_max`, which nothing watches.
    pub not_monitored: u64,
    /// Its components.
    pub components: usize,
    /// Strategies that are broken down.
    pub strategies: usize,
    /// How many of them are folded.
    pub strategies_folded: usize,
    /// Venues that are broken down.
    pub venues: usize,
    /// How many of them are folded.
    pub venues_folded: usize,
    /// Series exposed by family.
    pub families: BTreeMap<&'static str, u64>,
}
