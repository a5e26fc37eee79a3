//! One request for the writer: its entries, encoded in the request's own task.
//!
//! Encoding costs about as much as decoding. Done before the queue it runs in parallel, the writer only
//! copies bytes, and the queue knows how many bytes it holds.

use std::sync::Arc;

use crate::domain::compact::OneOrMany;
use crate::domain::ids::Account;
use crate::domain::record::Entry;
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

    /// The room of the log that it may use: decisions and settings may use the reserve.
    #[must_use]
    pub const fn room(&self) -> Room {
        self.room
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
