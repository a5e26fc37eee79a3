//! Which accounts somebody has named, and whether others are taken.

use std::collections::BTreeSet;

/// Accounts that are known before anything is heard of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// Names that stand without wildcards in the configuration, those of its tokens among them.
    pub named: BTreeSet<String>,
    /// Whether an account that nobody has named is refused.
    pub strict: bool,
}

impl AccountSettings {
    /// Whether the configuration names an account.
    #[must_use]
    pub fn is_named(&self, account: &str) -> bool {
        self.named.contains(account)
    }

    /// Whether the configuration names accounts, and this is none of them: perhaps it is misspelt.
    #[must_use]
    pub fn is_odd(&self, account: &str) -> bool {
        !self.named.is_empty() && !self.is_named(account)
    }
}
