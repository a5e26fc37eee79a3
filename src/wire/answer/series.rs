//! The series on `/metrics`, and their bounds.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// The series on `/metrics`, and the limits that bound them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cardinality {
    /// Series of all accounts listed and of `*`, without the exporter's own.
    pub series: u64,
    /// Above this number of series, the quietest symbols of the account with the most series are
    /// folded into `__other__`.
    pub series_max: usize,
    /// The most accounts that are kept.
    pub accounts_max: usize,
    /// The most symbols of one account that are monitored.
    pub symbols_max: usize,
    /// The most components of one account that are kept.
    pub components_max: usize,
    /// The most strategies (and venues) of one account that have series of their own.
    pub breakdowns_max: usize,
    /// Symbols, strategies and venues that are folded, in all accounts listed.
    pub folded: usize,
    /// Series by family.
    pub families: BTreeMap<&'static str, u64>,
    /// The accounts; the one with the most series first.
    pub accounts: Vec<AccountSeries>,
}

/// The series of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountSeries {
    /// The account.
    pub account: String,
    /// Its series.
    pub series: u64,
    /// Its monitored symbols.
    pub symbols: usize,
    /// How many of them are folded.
    pub symbols_folded: usize,
    /// Names of the folded symbols, the first 1000.
    pub folded: Vec<String>,
    /// Events and position rows about symbols beyond `symbols_max`, which are not monitored.
    pub not_monitored: u64,
    /// Its components.
    pub components: usize,
    /// Strategies with series of their own.
    pub strategies: usize,
    /// How many of them are folded.
    pub strategies_folded: usize,
    /// Venues with series of their own.
    pub venues: usize,
    /// How many of them are folded.
    pub venues_folded: usize,
    /// Series by family.
    pub families: BTreeMap<&'static str, u64>,
}
