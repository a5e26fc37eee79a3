//! The accounts by name, and how many of them each token opened. Every mutable access bumps the
//! version of the account.
//!
//! Input: names, and the tokens that open accounts. Output: states, and whether there is room for one
//! more. Invariant: a token fills only its own share, so that none takes the room of another; accounts
//! that the configuration names use no share. Deliberately absent: the content of an account.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::account::AccountState;
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::principal::NO_TOKEN;
use crate::domain::settings::AccountSettings;

/// The accounts by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "BTreeMap<Account, AccountState>")]
pub(super) struct Accounts {
    by_name: BTreeMap<Account, AccountState>,
    /// Accounts that the configuration does not name, by the token that opened them.
    opened: BTreeMap<Box<str>, OpenedAccounts>,
}

/// Numbers of the accounts that one token opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OpenedAccounts {
    /// An event named them.
    seen: usize,
    /// Only a halt named them.
    unseen: usize,
}

impl Accounts {
    pub(super) fn get<N: Ord + ?Sized>(&self, name: &N) -> Option<&AccountState>
    where
        Account: Borrow<N>,
    {
        self.by_name.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &Account) -> Option<&mut AccountState> {
        self.by_name.get_mut(name).map(AccountState::bumped)
    }

    /// The account, made from `state` if there is none. Call [`Self::opened`] once it is certain that
    /// it stays.
    pub(super) fn or_insert_with(
        &mut self,
        name: &Account,
        state: impl FnOnce() -> AccountState,
    ) -> &mut AccountState {
        self.by_name.entry(name.clone()).or_insert_with(state).bumped()
    }

    pub(super) fn remove(&mut self, name: &Account) {
        self.by_name.remove(name);
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &AccountState> {
        self.by_name.values()
    }

    /// The first account by name within a bound.
    pub(super) fn after(&self, bound: Bound<&Account>) -> Option<&AccountState> {
        self.by_name.range::<Account, _>((bound, Bound::Unbounded)).next().map(|(_, state)| state)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut AccountState> {
        self.by_name.values_mut().map(AccountState::bumped)
    }

    pub(super) fn contains_key(&self, name: &Account) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether an event with that token may be the first one of an account that the configuration does
    /// not name.
    pub(super) fn has_room(&self, token: &str, settings: &AccountSettings) -> bool {
        let max = if token == NO_TOKEN { limits::ACCOUNTS_MAX } else { settings.per_token };
        self.opened_by(token).seen < max
    }

    /// Whether a halt with that token may be the first thing known of an account that the configuration
    /// does not name. Such accounts have a share of their own.
    pub(super) fn has_room_for_halt(&self, token: &str, settings: &AccountSettings) -> bool {
        let max = if token == NO_TOKEN { limits::ACCOUNTS_RESERVE } else { settings.per_token };
        self.opened_by(token).unseen < max
    }

    fn opened_by(&self, token: &str) -> OpenedAccounts {
        self.opened.get(token).copied().unwrap_or_default()
    }

    /// Notes which token opened an account: with its first event, or with a halt before that.
    pub(super) fn open(&mut self, name: &Account, token: &str, settings: &AccountSettings) {
        let Some(account) = self.by_name.get_mut(name) else {
            impossible!("an account that is opened exists");
            return;
        };
        let before = account.opened_by.replace(token.into());
        if settings.is_named(name.as_str()) {
            return;
        }
        if let Some(halted) = before.and_then(|token| self.opened.get_mut(&token)) {
            halted.unseen = halted.unseen.saturating_sub(1);
        }
        count(&mut self.opened, account);
    }

    /// Counts again, because other accounts are named now or the state was just read.
    pub(super) fn recount(&mut self, settings: &AccountSettings) {
        self.opened.clear();
        for account in self.by_name.values() {
            if !settings.is_named(account.name.as_str()) {
                count(&mut self.opened, account);
            }
        }
    }
}

fn count(opened: &mut BTreeMap<Box<str>, OpenedAccounts>, account: &AccountState) {
    let token = account.opened_by.clone().unwrap_or_else(|| NO_TOKEN.into());
    let counts = opened.entry(token).or_default();
    if account.last_event_at.is_some() {
        counts.seen += 1;
    } else {
        counts.unseen += 1;
    }
}

impl From<BTreeMap<Account, AccountState>> for Accounts {
    /// Without the counts: [`Accounts::recount`] needs the settings.
    fn from(by_name: BTreeMap<Account, AccountState>) -> Self {
        Self { by_name, opened: BTreeMap::new() }
    }
}

impl Serialize for Accounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_name.serialize(serializer)
    }
}
