//! Records of the log, folded again.
//!
//! Input: batches, in sequence. Output: the state after them. Nothing is told to anybody: what the
//! records led to was told when they were written. Invariant: the state is that of whoever wrote
//! them, unless other settings are asked for; then it is what those would have made of the same
//! events and decisions of people.

use std::sync::Arc;

use crate::domain::monitor::Monitor;
use crate::domain::record::{Entry, Record};
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;
use crate::engine::codec::RecordCodec;
use crate::engine::writer::RecoverError;
use crate::journal::Batch;
use crate::wire::decode::EventReader;

/// Under whose settings records are folded again.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Those that were in force.
    AsRecorded,
    /// Others, throughout: the recorded ones, and what the fold decided by them, are left out.
    By(Arc<Settings>),
}

/// How records are folded again.
#[derive(Clone, Debug)]
pub struct Replay {
    codec: RecordCodec,
    settled: Settled,
    /// Sequence of the last record that is folded.
    until: u64,
}

impl Replay {
    /// All records, under the settings that were in force.
    #[must_use]
    pub const fn new(codec: RecordCodec) -> Self {
        Self { codec, settled: Settled::AsRecorded, until: u64::MAX }
    }

    /// The same, up to the record of that sequence.
    #[must_use]
    pub fn until(self, sequence: u64) -> Self {
        Self { until: sequence, ..self }
    }

    /// The same, under those settings.
    #[must_use]
    pub fn settled(self, settled: Settled) -> Self {
        Self { settled, ..self }
    }

    /// Folds the records of a batch that the state does not know yet. Returns how many.
    ///
    /// # Errors
    /// [`RecoverError::Record`]: the records before it are folded.
    pub fn fold(&self, batch: &Batch, state: &mut Monitor) -> Result<u64, RecoverError> {
        let received_at = Timestamp::from_nanos(batch.received_at_nanos()).unwrap_or(state.now());
        let mut unsent = Vec::new();
        let mut folded = 0;
        let known = state.sequence();
        let mut events = EventReader::for_events(batch.len());
        let records = (batch.first_sequence()..=self.until).zip(batch.records());
        for (sequence, bytes) in records.filter(|(sequence, _)| *sequence > known) {
            let decoded = self.codec.decode_next(bytes, &mut events);
            let (more, entry) =
                decoded.map_err(|source| RecoverError::Record { sequence, source })?;
            if self.counts(&entry) {
                state.apply(&Record { sequence, received_at, more, entry }, &mut unsent);
                unsent.clear();
                folded += 1;
            }
        }
        Ok(folded)
    }

    /// Whether an entry is folded.
    const fn counts(&self, entry: &Entry) -> bool {
        match self.settled {
            Settled::AsRecorded => true,
            Settled::By(_) => !matches!(entry, Entry::Settings(_) | Entry::Control(_)),
        }
    }

    /// The state before the first record.
    #[must_use]
    pub fn beginning(&self) -> Monitor {
        Monitor::new(match &self.settled {
            Settled::AsRecorded => Arc::default(),
            Settled::By(settings) => Arc::clone(settings),
        })
    }
}
