//! The ids of alerts that were acted on, so that a repeated notification changes nothing.
//!
//! Input: ids of alerts. Output: whether one was acted on before. Invariants: at most
//! [`limits::ALERTS_MAX`] ids, the oldest is forgotten first. A forgotten alert halts again, which is
//! the safe side. Ids are kept as digests of 128 bits.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::digest::digest_of;
use crate::domain::limits;
use crate::domain::visits;

/// The ids of alerts that were acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandledAlerts {
    known: BTreeSet<u128>,
    /// The known ids in the order of receipt.
    queue: VecDeque<u128>,
}

impl HandledAlerts {
    /// Whether the alert with that id was acted on.
    #[must_use]
    pub fn is_known(&self, id: &str) -> bool {
        self.known.contains(&digest_of(&id))
    }

    /// Remembers the id of an alert.
    pub fn remember(&mut self, id: &str) {
        visits::search(self.known.len());
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
    fn the_oldest_id_is_forgotten_first() {
        let mut alerts = HandledAlerts::default();
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
