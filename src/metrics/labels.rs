//! The label text of every row, escaped once and then copied for each of its series.
//!
//! Input: names. Output: text such as `account="paper",symbol="AAPL"`. Invariant: the labels of an
//! account are in the order of its rows.

use crate::domain::ids::{Account, Symbol};
use crate::metrics::rows::{AccountRow, BreakdownRow, Projection};
use crate::metrics::text::push_label;

/// The labels of a projection.
#[derive(Debug)]
pub(super) struct ProjectionLabels {
    /// The labels of the row of `*`.
    pub(super) common: String,
    pub(super) accounts: Vec<AccountLabels>,
}

/// The labels of an account and of its rows.
#[derive(Debug)]
pub(super) struct AccountLabels {
    pub(super) account: String,
    pub(super) symbols: Vec<String>,
    pub(super) strategies: Vec<String>,
    pub(super) venues: Vec<String>,
    /// The labels of `__other__`, the sums of folded rows.
    pub(super) other_symbol: String,
    pub(super) other_strategy: String,
    pub(super) other_venue: String,
}

impl Default for ProjectionLabels {
    fn default() -> Self {
        Self { common: label(Account::ALL), accounts: Vec::new() }
    }
}

impl ProjectionLabels {
    pub(super) fn of(projection: &Projection) -> Self {
        let accounts = projection.accounts.iter().map(|row| {
            let mut labels = AccountLabels::new(&row.control.account);
            row.symbols.iter().for_each(|row| labels.push_symbol(&row.symbol));
            labels.set_breakdowns(row);
            labels
        });
        Self { accounts: accounts.collect(), ..Self::default() }
    }
}

impl AccountLabels {
    /// The labels of an account without any rows.
    pub(super) fn new(account: &Account) -> Self {
        let account = label(account.as_str());
        let other = |name| under(&account, name, Symbol::OTHER);
        Self {
            other_symbol: other("symbol"),
            other_strategy: other("strategy"),
            other_venue: other("venue"),
            symbols: Vec::new(),
            strategies: Vec::new(),
            venues: Vec::new(),
            account,
        }
    }

    /// Adds the labels of the next symbol.
    pub(super) fn push_symbol(&mut self, symbol: &Symbol) {
        self.symbols.push(self.under("symbol", symbol.as_str()));
    }

    /// Sets the labels of strategies and venues.
    pub(super) fn set_breakdowns(&mut self, row: &AccountRow) {
        let labels = |name: &str, rows: &[BreakdownRow]| {
            rows.iter().map(|row| self.under(name, &row.name)).collect()
        };
        (self.strategies, self.venues) =
            (labels("strategy", &row.strategies), labels("venue", &row.venues));
    }

    fn under(&self, name: &str, value: &str) -> String {
        under(&self.account, name, value)
    }
}

fn under(account: &str, name: &str, value: &str) -> String {
    let mut text = String::with_capacity(account.len() + name.len() + value.len() + 4);
    text.push_str(account);
    push_label(&mut text, name, value);
    text
}

fn label(account: &str) -> String {
    let mut text = String::new();
    push_label(&mut text, "account", account);
    text
}
