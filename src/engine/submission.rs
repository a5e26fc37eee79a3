//! One request for the writer: entries, and their bytes made beforehand in the request's own task.
//!
//! Encoding costs about as much as decoding, and this way it is done in parallel: the writer only
//! copies. It also tells how many bytes wait in the queue.

use crate::domain::compact::OneOrMany;
use crate::domain::ids::Account;
use crate::domain::record::Entry;
use crate::engine::codec::RecordCodec;
use crate::journal::Room;

/// How long the bytes of an entry usually are.
const ENTRY_BYTES_USUAL: usize = 256;

/// The entries of one request, encoded.
#[derive(Debug)]
pub struct Submission {
    entries: Vec<Entry>,
    /// Where the bytes of each entry end; most requests have one.
    ends: OneOrMany<usize>,
    bytes: Vec<u8>,
    accounts: Vec<Account>,
    room: Room,
}

impl Submission {
    /// Encodes the entries of one request; `accounts` are those whose trading state is answered.
    #[must_use]
    pub fn new(entries: Vec<Entry>, accounts: Vec<Account>, codec: &RecordCodec) -> Self {
        let decides = entries.iter().any(|e| matches!(e, Entry::Decision(_) | Entry::Settings(_)));
        let room = if decides { Room::Reserve } else { Room::Ordinary };
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES_USUAL);
        let mut end = |entry: &Entry| {
            codec.encode_entry(entry, &mut bytes);
            bytes.len()
        };
        let ends = entries.iter().map(&mut end).collect();
        Self { entries, ends, bytes, accounts, room }
    }

    /// How many entries it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the encoded entries.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// From what room of the log it is written: decisions and settings may use the reserve.
    #[must_use]
    pub const fn room(&self) -> Room {
        self.room
    }

    /// The entries in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes of each entry, in order.
    pub(super) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(self.ends.iter())
            .map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }

    /// The entries, and the accounts asked for.
    pub(super) fn into_parts(self) -> (Vec<Entry>, Vec<Account>) {
        (self.entries, self.accounts)
    }
}
