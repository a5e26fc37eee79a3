//! The accounts by name. Every method that hands out a mutable account has bumped its version.
//!
//! Input: names. Output: states. Deliberately absent: what an account is.

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
    /// The state of an account.
    pub(super) fn get<N: Ord + ?Sized>(&self, name: &N) -> Option<&AccountState>
    where
        Account: Borrow<N>,
    {
        self.0.get(name)
    }

    /// The state of an account, to change it.
    pub(super) fn get_mut(&mut self, name: &Account) -> Option<&mut AccountState> {
        self.0.get_mut(name).map(AccountState::bumped)
    }

    /// The state of an account, to change it; made if need be.
    pub(super) fn or_insert_with(
        &mut self,
        name: &Account,
        state: impl FnOnce() -> AccountState,
    ) -> &mut AccountState {
        self.0.entry(name.clone()).or_insert_with(state).bumped()
    }

    /// Forgets an account.
    pub(super) fn remove(&mut self, name: &Account) {
        self.0.remove(name);
    }

    /// The states, in the order of names.
    pub(super) fn values(&self) -> impl Iterator<Item = &AccountState> {
        self.0.values()
    }

    /// The same, to change them.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut AccountState> {
        self.0.values_mut().map(AccountState::bumped)
    }

    /// Whether there is an account of that name.
    pub(super) fn contains_key(&self, name: &Account) -> bool {
        self.0.contains_key(name)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
