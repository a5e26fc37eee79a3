//! The ids of alerts that were acted on, so that a repeated notification changes nothing.
//!
//! Input: ids of alerts. Output: whether one was acted on before. Invariants: at most
//! [`limits::ALERTS_MAX`] ids of an account (`*` is one), the oldest is forgotten first. A forgotten
//! alert halts again, which is the safe side. Ids are kept as digests of 128 bits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::digest::digest_of;
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::visits;

/// The ids of alerts that were acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandledAlerts(BTreeMap<Account, AccountAlerts>);

/// The ids of alerts that halted one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct AccountAlerts {
    known: BTreeSet<u128>,
    /// The known ids in the order of receipt.
    queue: VecDeque<u128>,
}

impl HandledAlerts {
    /// Whether the alert with that id about that account was acted on.
    #[must_use]
    pub fn is_known(&self, account: &Account, id: &str) -> bool {
        self.0.get(account).is_some_and(|alerts| alerts.known.contains(&digest_of(&id)))
    }

    /// Remembers the id of an alert about an account.
    pub fn remember(&mut self, account: &Account, id: &str) {
        let digest = digest_of(&id);
        let AccountAlerts { known, queue } = self.0.entry(account.clone()).or_default();
        visits::search(known.len());
        if known.insert(digest) {
            queue.push_back(digest);
        }
        while queue.len() > limits::ALERTS_MAX {
            if let Some(oldest) = queue.pop_front() {
                known.remove(&oldest);
            }
        }
    }

    /// Number of ids that are remembered of an account.
    #[must_use]
    pub fn len(&self, account: &Account) -> usize {
        self.0.get(account).map_or(0, |alerts| alerts.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_id_of_an_account_is_forgotten_first() {
        let [a, b] = ["a", "b"].map(|name| Account::new(name).expect("an account"));
        let mut alerts = HandledAlerts::default();
        alerts.remember(&b, "0");
        for n in 0..limits::ALERTS_MAX {
            alerts.remember(&a, &n.to_string());
        }
        alerts.remember(&a, "0");
        assert!(alerts.is_known(&a, "0"));
        alerts.remember(&a, "new");
        assert!(!alerts.is_known(&a, "0"));
        assert!(alerts.is_known(&a, "1") && alerts.is_known(&a, "new"));
        assert!(!alerts.is_known(&b, "1"), "another account");
        assert!(alerts.is_known(&b, "0"), "no account displaces ids of another");
        assert_eq!([&a, &b].map(|account| alerts.len(account)), [limits::ALERTS_MAX, 1]);
    }
}
