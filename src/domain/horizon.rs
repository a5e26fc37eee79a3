//! Ids of events that were taken, for as long as a resend is recognised.
//!
//! Input: ids, the events under them, receive times. Output: whether an event is new, a duplicate
//! or a conflict. Invariants: at most as many ids as configured, none older than configured; the
//! oldest goes first. Digests of 128 bits stand for ids and contents.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::digest::{ByDigest, digest_of};
use crate::domain::event::Event;
use crate::domain::settings::IngestSettings;
use crate::domain::time::Timestamp;

/// What is known of an event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The id is new (or the event has none).
    New,
    /// The same event came before.
    Duplicate,
    /// Another event came before under this id.
    Conflict,
}

/// Ids of one account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Stored<Vec<(Timestamp, u128, u128)>>")]
pub struct Horizon {
    /// Digest of the id -> digest of the event.
    contents: ByDigest<u128>,
    /// Ids in the order of receipt.
    queue: VecDeque<(Timestamp, u128)>,
}

impl Horizon {
    /// What is known of an event's id.
    #[must_use]
    pub fn look_up(&self, event: &Event) -> Known {
        let Some(id) = &event.event_id else { return Known::New };
        match self.contents.get(&digest_of(id)) {
            None => Known::New,
            Some(content) if *content == digest_of(event) => Known::Duplicate,
            Some(_) => Known::Conflict,
        }
    }

    /// Remembers the id of an event that was taken at `now`.
    pub fn remember(&mut self, event: &Event, now: Timestamp, settings: &IngestSettings) {
        let Some(id) = &event.event_id else { return };
        let id = digest_of(id);
        if self.contents.insert(id, digest_of(event)).is_none() {
            self.queue.push_back((now, id));
        }
        self.forget_old(now, settings);
    }

    /// Forgets what is past the horizon.
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

/// A horizon as it is stored: receive time, id and content in the order of receipt.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    ids: T,
}

impl From<Stored<Vec<(Timestamp, u128, u128)>>> for Horizon {
    fn from(stored: Stored<Vec<(Timestamp, u128, u128)>>) -> Self {
        let contents = stored.ids.iter().map(|(_, id, content)| (*id, *content)).collect();
        let queue = stored.ids.into_iter().map(|(since, id, _)| (since, id)).collect();
        Self { contents, queue }
    }
}

impl Serialize for Horizon {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored { ids: Ids(self) }.serialize(serializer)
    }
}

struct Ids<'a>(&'a Horizon);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Horizon { contents, queue } = self.0;
        let content = |id: &u128| contents.get(id).copied().unwrap_or_default();
        serializer.collect_seq(queue.iter().map(|(since, id)| (*since, *id, content(id))))
    }
}
