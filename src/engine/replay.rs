//! Records of the log, folded again.
//!
//! Input: batches, in sequence. Output: the state after them, made in two steps, decoding and folding,
//! which may be done at the same time (see [`Carry`]). Nothing is told to anybody: what the
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
use crate::journal::{Batch, LogError};
use crate::wire::decode::EventReader;

/// Under whose settings records are folded again.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Those that were in force.
    AsRecorded,
    /// Others, throughout: the recorded ones, and what the fold decided by them, are left out.
    By(Arc<Settings>),
}

/// What a batch held of the records that are folded.
#[derive(Debug)]
pub struct Decoded {
    received_at_nanos: i64,
    /// Sequence of the record after the batch.
    next_sequence: u64,
    /// Sequence, whether more of its request follow, and what it says.
    records: Vec<(u64, bool, Entry)>,
    /// Why one could not be decoded.
    broken: Option<RecoverError>,
}

impl Decoded {
    /// Sequence of the record after the batch.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }
}

/// Takes a batch of a log. An error ends the reading.
pub type Visit<'a> = dyn FnMut(&Batch) -> Result<(), LogError> + 'a;
/// Reads a log, and has its batches taken.
pub type Reading<'a> = Box<dyn FnOnce(&mut Visit<'_>) -> Result<(), LogError> + Send + 'a>;
/// Decodes one batch.
pub type Decoding<'a> = dyn Fn(&Batch) -> Decoded + Sync + 'a;
/// Folds what was decoded. An error ends the replay.
pub type Folding<'a> = dyn FnMut(Decoded) -> Result<(), RecoverError> + 'a;
/// How a replay is run: in turn as [`in_turn`] does, or reading and decoding ahead of the fold.
pub type Carry = fn(Reading<'_>, &Decoding<'_>, &mut Folding<'_>) -> Result<(), RecoverError>;

/// Reads, decodes and folds one batch after the other.
///
/// # Errors
/// That of `fold`, or else that of `read`.
pub fn in_turn(
    read: Reading<'_>,
    decode: &Decoding<'_>,
    fold: &mut Folding<'_>,
) -> Result<(), RecoverError> {
    let mut broken = None;
    let read = read(&mut |batch| {
        fold(decode(batch)).map_err(|error| {
            let place = format!("sequence {}", batch.first_sequence());
            let what = error.to_string();
            broken = Some(error);
            LogError::Corrupt { place, what }
        })
    });
    match broken {
        Some(error) => Err(error),
        None => Ok(read?),
    }
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

    /// Gives the records from sequence `from` on, in the batches that `read` visits, to `fold`, in
    /// sequence; see [`Replay::fold`].
    ///
    /// # Errors
    /// Those of `fold`, of `read` and of `carry`.
    pub fn run(
        &self,
        from: u64,
        carry: Carry,
        read: Reading<'_>,
        fold: &mut Folding<'_>,
    ) -> Result<(), RecoverError> {
        carry(read, &|batch| self.decode(batch, from), fold)
    }

    /// The records of a batch from sequence `from` on, up to one that cannot be decoded.
    #[must_use]
    pub fn decode(&self, batch: &Batch, from: u64) -> Decoded {
        let received_at_nanos = batch.received_at_nanos();
        let next_sequence = batch.next_sequence();
        let mut records = Vec::with_capacity(batch.len());
        let mut events = EventReader::for_events(batch.len());
        let wanted = (batch.first_sequence()..=self.until).zip(batch.records());
        for (sequence, bytes) in wanted.filter(|(sequence, _)| *sequence >= from) {
            match self.codec.decode_next(bytes, &mut events) {
                Ok((more, entry)) if self.counts(&entry) => records.push((sequence, more, entry)),
                Ok(_) => {}
                Err(source) => {
                    let broken = Some(RecoverError::Record { sequence, source });
                    return Decoded { received_at_nanos, next_sequence, records, broken };
                }
            }
        }
        Decoded { received_at_nanos, next_sequence, records, broken: None }
    }

    /// Folds what a batch held. Returns how many records.
    ///
    /// # Errors
    /// [`RecoverError::Record`]: one could not be decoded; those before it are folded.
    pub fn fold(decoded: Decoded, state: &mut Monitor) -> Result<u64, RecoverError> {
        let Decoded { received_at_nanos, records, broken, .. } = decoded;
        let received_at = Timestamp::from_nanos(received_at_nanos).unwrap_or(state.now());
        let mut unsent = Vec::new();
        let mut folded = 0;
        for (sequence, more, entry) in records {
            state.apply(&Record { sequence, received_at, more, entry }, &mut unsent);
            unsent.clear();
            folded += 1;
        }
        broken.map_or(Ok(folded), Err)
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
