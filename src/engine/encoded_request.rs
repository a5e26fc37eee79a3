//! One request for the writer: its entries, encoded in the request's own task.
//!
//! Encoding costs about as much as decoding. Done before the queue it runs in parallel, the writer only
//! copies bytes, and the queue knows how many bytes it holds.

use std::sync::Arc;

use crate::domain::compact::OneOrMany;
use crate::domain::ids::Account;
use crate::domain::record::{Decision, Entry};
use crate::engine::codec;
use crate::journal::Room;

/// Usual size of an encoded entry.
const ENTRY_BYTES_USUAL: usize = 256;

/// The entries of one request, encoded.
#[derive(Debug)]
pub struct EncodedRequest {
    entries: Vec<Entry>,
    /// Where the bytes of each entry end; most requests have one.
    ends: OneOrMany<usize>,
    bytes: Vec<u8>,
    accounts: Vec<Account>,
    /// The name of the sender's token. None: the exporter itself, or no tokens are configured.
    token: Option<Arc<str>>,
    room: Room,
}

impl EncodedRequest {
    /// Encodes the entries of one request; the receipt holds the trading state of `accounts`.
    #[must_use]
    pub fn new(entries: Vec<Entry>, accounts: Vec<Account>) -> Self {
        let decides = entries.iter().any(|e| matches!(e, Entry::Decision(_) | Entry::Settings(_)));
        let room = if decides { Room::Reserve } else { Room::Ordinary };
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES_USUAL);
        let mut end = |entry: &Entry| {
            codec::encode_entry(entry, &mut bytes);
            bytes.len()
        };
        let ends = entries.iter().map(&mut end).collect();
        Self { entries, ends, bytes, accounts, token: None, room }
    }

    /// The request, sent with the token of that name. `accounts` must be those of all its events.
    #[must_use]
    pub fn from_token(mut self, token: Option<Arc<str>>) -> Self {
        self.token = token;
        self
    }

    /// The name of the sender's token, if it has one.
    pub(super) fn token(&self) -> Option<&Arc<str>> {
        self.token.as_ref()
    }

    /// The accounts that the receipt is asked for.
    pub(super) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Size of the encoded entries.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it consists of halts, alerts and releases, which go before all other requests.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        let is_urgent = |entry: &Entry| match entry {
            Entry::Decision(decision) => match decision {
                Decision::Halt { .. } | Decision::Alert { .. } | Decision::Release { .. } => true,
                Decision::Reconcile { .. }
                | Decision::Retire { .. }
                | Decision::Configure { .. } => false,
            },
            Entry::Event(_)
            | Entry::Opening(_)
            | Entry::Tick
            | Entry::Clock { .. }
            | Entry::Check(_)
            | Entry::Note(_)
            | Entry::Settings(_)
            | Entry::Control(_) => false,
        };
        !self.entries.is_empty() && self.entries.iter().all(is_urgent)
    }

    /// The room of the log that it may use: decisions and settings may use the reserve.
    #[must_use]
    pub const fn room(&self) -> Room {
        self.room
    }

    /// Takes entries off the front, about `events_max` of them, as a request of their own. `None` if
    /// there are no more than that.
    ///
    /// The snapshots of positions of a request stay in one part, with everything between them, because
    /// they are compared together.
    pub(super) fn split(&mut self, events_max: usize) -> Option<Self> {
        if self.entries.len() <= events_max {
            return None;
        }
        let first = self.entries.iter().position(Entry::is_snapshot);
        let last = self.entries.iter().rposition(Entry::is_snapshot);
        let at = match first.zip(last) {
            Some((0, last)) => events_max.max(last + 1),
            Some((first, last)) if (first + 1..=last).contains(&events_max) => first,
            Some(_) | None => events_max,
        };
        if at == 0 || at >= self.entries.len() {
            return None;
        }
        let rest = self.entries.split_off(at);
        let entries = std::mem::replace(&mut self.entries, rest);
        let mut ends = self.ends.iter().copied();
        let head_ends: OneOrMany<usize> = ends.by_ref().take(at).collect();
        let end = head_ends.iter().last().copied().unwrap_or_default();
        let rest_ends: OneOrMany<usize> = ends.map(|rest| rest - end).collect();
        let rest_bytes = self.bytes.split_off(end);
        let bytes = std::mem::replace(&mut self.bytes, rest_bytes);
        self.ends = rest_ends;
        // The writer looks at the accounts of each part: an event may open one.
        let (accounts, token) = (self.accounts.clone(), self.token.clone());
        Some(Self { entries, ends: head_ends, bytes, accounts, token, room: self.room })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes of each entry, in order.
    pub(super) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter()).map(|(start, end)| {
            let encoded = self.bytes.get(start..*end);
            debug_assert!(encoded.is_some(), "each entry ends within the bytes");
            encoded.unwrap_or_default()
        })
    }

    pub(super) fn into_parts(self) -> (Vec<Entry>, Vec<Account>, Option<Arc<str>>) {
        (self.entries, self.accounts, self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::event::{Body, Event, Positions, Source};

    fn snapshot() -> Entry {
        let positions = Positions {
            source: Source::Local,
            rows: Box::default(),
            complete: true,
            failure: None,
        };
        Entry::Event(Event {
            account: Account::default(),
            time: None,
            event_id: None,
            session: None,
            strategy: None,
            venue: None,
            synthetic: false,
            body: Body::Positions(positions),
        })
    }

    fn parts(entries: Vec<Entry>, events_max: usize) -> Vec<usize> {
        let whole = EncodedRequest::new(entries, Vec::new());
        let expect: Vec<Vec<u8>> = whole.encoded().map(<[u8]>::to_vec).collect();
        let mut rest = whole;
        let mut parts = Vec::new();
        while let Some(part) = rest.split(events_max) {
            parts.push(part);
        }
        parts.push(rest);
        let encoded = parts.iter().flat_map(EncodedRequest::encoded).map(<[u8]>::to_vec);
        assert_eq!(encoded.collect::<Vec<_>>(), expect);
        parts.iter().map(EncodedRequest::len).collect()
    }

    #[test]
    fn a_request_is_split_outside_its_snapshots() {
        let ticks = |count: usize| vec![Entry::Tick; count];
        assert_eq!(parts(ticks(10), 4), [4, 4, 2]);
        assert_eq!(parts(ticks(4), 4), [4]);
        let mut entries = ticks(5);
        entries.extend([snapshot(), Entry::Tick, snapshot()]);
        entries.extend(ticks(5));
        assert_eq!(parts(entries.clone(), 6), [5, 6, 2]);
        assert_eq!(parts(entries.clone(), 2), [2, 2, 1, 3, 2, 2, 1]);
        assert_eq!(parts(entries[5..].to_vec(), 2), [3, 2, 2, 1]);
        assert_eq!(parts(entries[5..8].to_vec(), 2), [3]);
    }
}
