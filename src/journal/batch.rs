//! A batch: encoded records, end to end in one buffer, written as one frame with one sync.
//!
//! Invariants: the sequences of its records have no gap; all records have one receive time.

use crate::journal::Room;

/// Encoded records that are written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    first_sequence: u64,
    received_at_nanos: i64,
    room: Room,
    bytes: Vec<u8>,
    /// End offset of each record in `bytes`.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty batch whose first record will have `first_sequence`. `received_at_nanos` is the
    /// receive time of all its records, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn new(first_sequence: u64, received_at_nanos: i64, room: Room) -> Self {
        Self { first_sequence, received_at_nanos, room, bytes: Vec::new(), ends: Vec::new() }
    }

    /// A batch of records that are end to end in `bytes`. `None` if `lengths` do not add up to the
    /// length of `bytes`.
    pub(super) fn from_parts(
        first_sequence: u64,
        received_at_nanos: i64,
        room: Room,
        lengths: impl Iterator<Item = usize>,
        bytes: Vec<u8>,
    ) -> Option<Self> {
        let mut end = 0_usize;
        let ends: Option<Vec<usize>> = lengths
            .map(|length| {
                end = end.checked_add(length)?;
                Some(end)
            })
            .collect();
        let batch = Self { first_sequence, received_at_nanos, room, bytes, ends: ends? };
        (end == batch.bytes.len()).then_some(batch)
    }

    /// Adds the record that `write` appends to its argument.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Sequence of the first record.
    #[must_use]
    pub const fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// Sequence of the record after the last one.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.first_sequence + self.ends.len() as u64
    }

    /// Receive time of the records, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn received_at_nanos(&self) -> i64 {
        self.received_at_nanos
    }

    /// The room on the disk that it may use.
    #[must_use]
    pub const fn room(&self) -> Room {
        self.room
    }

    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records end to end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The records in sequence.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| {
            let record = self.bytes.get(start..*end);
            invariant!(
                record.is_some(),
                "each record ends within the buffer, after the one before"
            );
            record.unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_returns_the_records_that_were_pushed() {
        let check = |records: &[&[u8]]| {
            let mut batch = Batch::new(7, 1, Room::Ordinary);
            for record in records {
                batch.push(|out| out.extend_from_slice(record));
            }
            assert_eq!(batch.records().collect::<Vec<_>>(), records);
            assert_eq!(batch.len(), records.len());
            assert_eq!(batch.next_sequence(), 7 + records.len() as u64);
        };
        check(&[]);
        check(&[b""]);
        check(&[b"a", b"", b"bc"]);
    }
}
