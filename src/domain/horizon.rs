//! The ids of recent events, for the recognition of duplicates.
//!
//! Input: ids, the events under them, receive times. Output: whether an event is new, a duplicate
//! or a conflict. Invariants: at most as many ids as configured, none older than configured; the
//! oldest is forgotten first. Ids and contents are kept as digests of 128 bits.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::digest::{ByDigest, digest_of};
use crate::domain::event::Event;
use crate::domain::ids::EventId;
use crate::domain::settings::IngestSettings;
use crate::domain::time::Timestamp;

/// The result of a look-up of an event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIdStatus {
    /// The id is new (or the event has none).
    New,
    /// This event was received before.
    Duplicate,
    /// A different event arrived before under this id.
    Conflict,
}

/// Ids of one account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "StoredHorizon<Vec<(Timestamp, u128, u128)>>")]
pub struct Horizon {
    /// Digest of the id -> digest of the event.
    contents: ByDigest<u128>,
    /// Ids in the order of receipt.
    queue: VecDeque<(Timestamp, u128)>,
}

impl Horizon {
    /// Looks up the id of an event.
    #[must_use]
    pub fn look_up(&self, event: &Event) -> EventIdStatus {
        let Some(id) = &event.event_id else { return EventIdStatus::New };
        match self.contents.get(&digest_of(id)) {
            None => EventIdStatus::New,
            Some(content) if *content == digest_of(event) => EventIdStatus::Duplicate,
            Some(_) => EventIdStatus::Conflict,
        }
    }

    /// Whether an event with this id is known.
    #[must_use]
    pub fn contains(&self, id: &EventId) -> bool {
        self.contents.contains_key(&digest_of(id))
    }

    /// Remembers the id of an event that was applied at `now`.
    pub fn remember(&mut self, event: &Event, now: Timestamp, settings: &IngestSettings) {
        let Some(id) = &event.event_id else { return };
        let id = digest_of(id);
        if self.contents.insert(id, digest_of(event)).is_none() {
            self.queue.push_back((now, id));
        }
        self.forget_old(now, settings);
    }

    /// Forgets ids past the horizon.
    pub fn forget_old(&mut self, now: Timestamp, settings: &IngestSettings) {
        while let Some((since, id)) = self.queue.front().copied() {
            if self.queue.len() <= settings.horizon_ids && !now.is_past(since, settings.horizon) {
                break;
            }
            self.queue.pop_front();
            self.contents.remove(&id);
        }
    }

    /// Number of ids held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no id is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// The stored form of a horizon: receive time, id and content in the order of receipt.
#[derive(Serialize, Deserialize)]
struct StoredHorizon<T> {
    ids: T,
}

impl From<StoredHorizon<Vec<(Timestamp, u128, u128)>>> for Horizon {
    fn from(stored: StoredHorizon<Vec<(Timestamp, u128, u128)>>) -> Self {
        let contents = stored.ids.iter().map(|(_, id, content)| (*id, *content)).collect();
        let queue = stored.ids.into_iter().map(|(since, id, _)| (since, id)).collect();
        Self { contents, queue }
    }
}

impl Serialize for Horizon {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredHorizon { ids: StoredIds(self) }.serialize(serializer)
    }
}

struct StoredIds<'a>(&'a Horizon);

impl Serialize for StoredIds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Horizon { contents, queue } = self.0;
        let content = |id: &u128| {
            contents.get(id).copied().unwrap_or_else(|| {
                impossible!("every id in the queue has a content");
                0
            })
        };
        serializer.collect_seq(queue.iter().map(|(since, id)| (*since, *id, content(id))))
    }
}
