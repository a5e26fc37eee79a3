//! Alerts that were acted on: their ids, so that a notification that is sent again changes nothing.
//!
//! Input: ids of alerts. Output: whether one came before. Invariants: at most
//! [`limits::ALERTS_MAX`] ids, the oldest goes first; one that was forgotten sets its halt again,
//! which is the safe side. Digests of 128 bits stand for ids.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::digest::digest_of;
use crate::domain::limits;

/// Ids of alerts that were acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    known: BTreeSet<u128>,
    /// The same in the order of receipt.
    queue: VecDeque<u128>,
}

impl Alerts {
    /// Whether the alert of that id was acted on.
    #[must_use]
    pub fn is_known(&self, id: &str) -> bool {
        self.known.contains(&digest_of(&id))
    }

    /// Remembers the id of an alert.
    pub fn remember(&mut self, id: &str) {
        let digest = digest_of(&id);
        if self.known.insert(digest) {
            self.queue.push_back(digest);
        }
        while self.queue.len() > limits::ALERTS_MAX {
            if let Some(oldest) = self.queue.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut alerts = Alerts::default();
        for n in 0..limits::ALERTS_MAX {
            alerts.remember(&n.to_string());
        }
        alerts.remember("0");
        assert!(alerts.is_known("0"));
        alerts.remember("new");
        assert!(!alerts.is_known("0"));
        assert!(alerts.is_known("1") && alerts.is_known("new"));
        assert_eq!(
            (alerts.known.len(), alerts.queue.len()),
            (limits::ALERTS_MAX, limits::ALERTS_MAX)
        );
    }
}
