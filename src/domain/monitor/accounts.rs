//! The accounts by name. Every mutable access bumps the version of the account.
//!
//! Input: names. Output: states. Deliberately absent: the content of an account.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::account::AccountState;
use crate::domain::ids::Account;

/// The accounts by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Accounts(BTreeMap<Account, AccountState>);

impl Accounts {
    pub(super) fn get<N: Ord + ?Sized>(&self, name: &N) -> Option<&AccountState>
    where
        Account: Borrow<N>,
    {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &Account) -> Option<&mut AccountState> {
        self.0.get_mut(name).map(AccountState::bumped)
    }

    pub(super) fn or_insert_with(
        &mut self,
        name: &Account,
        state: impl FnOnce() -> AccountState,
    ) -> &mut AccountState {
        self.0.entry(name.clone()).or_insert_with(state).bumped()
    }

    pub(super) fn remove(&mut self, name: &Account) {
        self.0.remove(name);
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &AccountState> {
        self.0.values()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut AccountState> {
        self.0.values_mut().map(AccountState::bumped)
    }

    pub(super) fn contains_key(&self, name: &Account) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
