//! A log in memory: for `--storage.mode=memory` and for tests. A restart loses everything.
//!
//! Invariants: it holds at most `bytes_max` bytes and drops the oldest batches beyond that; it never
//! fails and is never full.

use std::collections::VecDeque;

use crate::journal::{Batch, Durability, EventLog, LogError, Retention};

/// A log that ends with the process.
#[derive(Debug)]
pub struct MemoryLog {
    batches: VecDeque<Batch>,
    bytes: usize,
    bytes_max: usize,
    last_sequence: u64,
}

impl MemoryLog {
    /// An empty log that holds at most `bytes_max` bytes.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, bytes_max, last_sequence: 0 }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.batches.pop_front() {
            self.bytes -= memory_bytes(&oldest);
        }
    }
}

/// Memory of a batch: its records, and the offset of each.
const fn memory_bytes(batch: &Batch) -> usize {
    size_of::<Batch>() + batch.size_bytes() + batch.len() * size_of::<usize>()
}

impl EventLog for MemoryLog {
    fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        if batch.is_empty() {
            return Ok(());
        }
        let expected = self.last_sequence + 1;
        if batch.first_sequence() != expected {
            return Err(LogError::OutOfSequence { expected, found: batch.first_sequence() });
        }
        self.last_sequence = batch.next_sequence() - 1;
        self.bytes += memory_bytes(batch);
        self.batches.push_back(batch.clone());
        while self.bytes > self.bytes_max {
            self.drop_oldest();
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn check_in_place(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let first = self.first_sequence();
        if from < first {
            return Err(LogError::Gone { first });
        }
        let wanted = self.batches.partition_point(|b| b.next_sequence() <= from);
        self.batches.range(wanted..).try_for_each(visit)
    }

    fn first_sequence(&self) -> u64 {
        self.batches.front().map_or(self.last_sequence + 1, Batch::first_sequence)
    }

    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn drop_before(&mut self, sequence: u64) -> Result<(), LogError> {
        let kept = sequence.min(self.last_sequence);
        while self.batches.front().is_some_and(|oldest| oldest.next_sequence() <= kept) {
            self.drop_oldest();
        }
        Ok(())
    }

    fn due_before(&self, retention: &Retention) -> Result<u64, LogError> {
        let mut bytes = self.bytes as u64;
        let is_due = |batch: &&Batch| {
            let too_large = retention.bytes_max.is_some_and(|max| bytes > max);
            let after = retention.received_after_nanos;
            let too_old = after.is_some_and(|after| batch.received_at_nanos() < after);
            bytes -= memory_bytes(batch) as u64;
            too_large || too_old
        };
        let due = self.batches.iter().take_while(is_due).last().map(Batch::next_sequence);
        Ok(due.unwrap_or(self.first_sequence()).min(self.last_sequence.max(1)))
    }

    fn size_bytes(&self) -> u64 {
        self.bytes as u64
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Room;

    fn batch(first: u64, records: &[&[u8]]) -> Batch {
        let mut batch = Batch::new(first, 5, Room::Ordinary);
        for record in records {
            batch.push(|out| out.extend_from_slice(record));
        }
        batch
    }

    fn replayed(log: &MemoryLog, from: u64) -> Result<Vec<u64>, LogError> {
        let mut firsts = Vec::new();
        log.replay(from, &mut |batch| {
            firsts.push(batch.first_sequence());
            Ok(())
        })?;
        Ok(firsts)
    }

    #[test]
    fn a_replay_begins_with_the_batch_that_holds_the_sequence() {
        let mut log = MemoryLog::new(1 << 20);
        log.append(&batch(1, &[b"a", b"b"])).unwrap();
        log.append(&batch(3, &[b"c"])).unwrap();
        log.append(&batch(4, &[b"d", b"e", b"f"])).unwrap();
        let check = |from: u64, expect: &[u64]| {
            assert_eq!(replayed(&log, from).unwrap(), expect, "from {from}");
        };
        check(1, &[1, 3, 4]);
        check(2, &[1, 3, 4]);
        check(3, &[3, 4]);
        check(6, &[4]);
        check(7, &[]);
        assert_eq!(log.last_sequence(), 6);
    }

    #[test]
    fn gaps_and_repetitions_are_rejected() {
        let mut log = MemoryLog::new(1 << 20);
        log.append(&batch(1, &[b"a"])).unwrap();
        for found in [1, 3] {
            let error = log.append(&batch(found, &[b"x"])).unwrap_err();
            assert!(
                matches!(error, LogError::OutOfSequence { expected: 2, found: f } if f == found)
            );
        }
        assert_eq!(log.last_sequence(), 1);
    }

    #[test]
    fn the_oldest_batches_are_dropped_first_and_reported_as_gone() {
        let one = memory_bytes(&batch(1, &[b"0123456789"]));
        let mut log = MemoryLog::new(2 * one);
        for sequence in 1..=5 {
            log.append(&batch(sequence, &[b"0123456789"])).unwrap();
            assert!(log.size_bytes() <= 2 * one as u64);
        }
        assert_eq!(replayed(&log, 4).unwrap(), [4, 5]);
        assert!(matches!(replayed(&log, 3), Err(LogError::Gone { first: 4 })));
        let large = [b'x'; 4096];
        log.append(&batch(6, &[&large])).unwrap();
        assert_eq!((log.size_bytes(), log.last_sequence()), (0, 6));
        assert!(matches!(replayed(&log, 6), Err(LogError::Gone { first: 7 })));
    }
}
