//! The accounts that the configuration names, and whether others are accepted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::limits;

/// Accounts that are known before their first event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Names without wildcards anywhere in the configuration, including its tokens.
    pub named: BTreeSet<String>,
    /// Whether other accounts are refused.
    pub strict: bool,
    /// Accounts, not named here, that one token may open by events, and as many again by halts.
    #[serde(default = "per_token")]
    pub per_token: usize,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self { named: BTreeSet::new(), strict: false, per_token: per_token() }
    }
}

impl AccountSettings {
    /// Whether the configuration names the account.
    #[must_use]
    pub fn is_named(&self, account: &str) -> bool {
        self.named.contains(account)
    }

    /// Whether the configuration names accounts but not this one: its name may be misspelled.
    #[must_use]
    pub fn is_odd(&self, account: &str) -> bool {
        !self.named.is_empty() && !self.is_named(account)
    }
}

const fn per_token() -> usize {
    limits::ACCOUNTS_PER_TOKEN
}
