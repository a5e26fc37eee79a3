//! Replay: records of the log applied again.
//!
//! Input: batches, in sequence. Output: the state after them. Directives are dropped, because they
//! were published when the records were written. Invariant: the state equals that of the process that
//! wrote the records, unless other settings are given; then it is the state that those settings would
//! have made of the same events and the same decisions of people.

use std::sync::Arc;

use crate::domain::monitor::Monitor;
use crate::domain::record::{Entry, Record};
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;
use crate::engine::codec::{self, CodecError};
use crate::journal::{Batch, LogError, SnapshotError};
use crate::wire::decode::EventReader;

/// Why the state could not be rebuilt from the log.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log cannot be read.
    #[error("the journal cannot be replayed")]
    Log(#[from] LogError),
    /// The snapshots cannot be listed.
    #[error("the snapshots cannot be listed")]
    Snapshots(#[from] SnapshotError),
    /// A snapshot contains records that the log does not have: the log lost acknowledged records, or
    /// the snapshot belongs to another log.
    #[error(
        "the journal ends at record {last}, before the snapshot of record {snapshot}: records are \
         missing. `journal repair` sets the snapshot aside, to continue with the records of the \
         journal"
    )]
    Shorter {
        /// Sequence of the snapshot.
        snapshot: u64,
        /// Sequence of the newest record of the log.
        last: u64,
    },
    /// A record of the log cannot be decoded.
    #[error("record {sequence} cannot be decoded")]
    Record {
        /// Its sequence.
        sequence: u64,
        /// Why.
        #[source]
        source: CodecError,
    },
}

/// The settings that a replay applies.
#[derive(Clone, Debug)]
pub enum ReplaySettings {
    /// The recorded ones.
    AsRecorded,
    /// These, throughout. Recorded settings, and decisions that the fold based on them, are left out.
    Fixed(Arc<Settings>),
}

/// How records are replayed.
#[derive(Clone, Debug)]
pub struct Replay {
    settings: ReplaySettings,
    /// Sequence of the last record that is applied.
    until: u64,
}

impl Replay {
    /// A replay of all records.
    #[must_use]
    pub const fn new(settings: ReplaySettings) -> Self {
        Self { settings, until: u64::MAX }
    }

    /// A replay of the records up to that sequence.
    #[must_use]
    pub fn until(self, sequence: u64) -> Self {
        Self { until: sequence, ..self }
    }

    /// Applies the records of a batch that are newer than the state. Returns how many.
    ///
    /// # Errors
    /// [`RecoverError::Record`]; the records before it are applied.
    pub fn apply(&self, batch: &Batch, state: &mut Monitor) -> Result<u64, RecoverError> {
        let received_at = Timestamp::from_nanos(batch.received_at_nanos()).unwrap_or(state.now());
        let mut unsent = Vec::new();
        let mut applied = 0;
        let known = state.sequence();
        let mut events = EventReader::for_events(batch.len());
        let records = (batch.first_sequence()..=self.until).zip(batch.records());
        for (sequence, bytes) in records.filter(|(sequence, _)| *sequence > known) {
            let decoded = codec::decode_next(bytes, &mut events);
            let (more, entry) =
                decoded.map_err(|source| RecoverError::Record { sequence, source })?;
            if self.includes(&entry) {
                state.apply(&Record { sequence, received_at, more, entry }, &mut unsent);
                unsent.clear();
                applied += 1;
            }
        }
        Ok(applied)
    }

    const fn includes(&self, entry: &Entry) -> bool {
        match self.settings {
            ReplaySettings::AsRecorded => true,
            ReplaySettings::Fixed(_) => !matches!(entry, Entry::Settings(_) | Entry::Control(_)),
        }
    }

    /// The state before the first record.
    #[must_use]
    pub fn initial_state(&self) -> Monitor {
        Monitor::new(match &self.settings {
            ReplaySettings::AsRecorded => Arc::default(),
            ReplaySettings::Fixed(settings) => Arc::clone(settings),
        })
    }
}
