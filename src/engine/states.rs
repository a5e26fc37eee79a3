//! Snapshots of states: which one a restart begins with, and which ones stay.
//!
//! Input: states, and the snapshots of a directory. Output: the newest state that can be read.
//! Invariants: a snapshot that cannot be read is passed over, and told; records are never said to
//! be dispensable unless two snapshots behind them were read back. Deliberately absent: when a
//! snapshot is due, threads, clocks.

use std::collections::BTreeSet;
use std::io;

use crate::domain::monitor::Monitor;
use crate::engine::snapshot::{StateCodec, StateError};
use crate::engine::writer::{RecoverError, Writer};
use crate::journal::{GENERATIONS, SnapshotError, SnapshotInfo, Snapshots};

/// The snapshots of states in one directory.
#[derive(Debug)]
pub struct States {
    snapshots: Snapshots,
    codec: StateCodec,
    /// Sequences of snapshots that were read to their end, and were whole.
    verified: BTreeSet<u64>,
}

/// Why a snapshot was passed over.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The state in it.
    #[error("the snapshot {place} cannot be used")]
    State {
        /// The file.
        place: String,
        /// Why.
        #[source]
        source: StateError,
    },
}

/// Where a replay begins.
#[derive(Debug, Default)]
pub struct Beginning {
    /// The newest state that can be read, if there is one, and what its snapshot says.
    pub state: Option<(Monitor, SnapshotInfo)>,
    /// What was passed over on the way, newest first.
    pub unreadable: Vec<Unreadable>,
}

/// What a recovery began with.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The snapshot; none: the first record of the log.
    pub snapshot: Option<SnapshotInfo>,
    /// Snapshots that were passed over, newest first.
    pub unreadable: Vec<Unreadable>,
}

/// Brings the state of a writer to the end of its log: from the newest snapshot that can be read, or
/// from the first record. `progress` is told the sequence that was reached, and the last one.
///
/// # Errors
/// See [`RecoverError`]; the writer must not be used then.
pub fn recover(
    writer: &mut Writer,
    states: &mut States,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Recovered, RecoverError> {
    states.snapshots.remove_leftovers()?;
    let Beginning { state, unreadable } = states.newest(&|_| true)?;
    let snapshot = state.as_ref().map(|(_, info)| *info);
    if let Some((state, _)) = state {
        writer.resume(state)?;
    }
    writer.recover(progress)?;
    Ok(Recovered { snapshot, unreadable })
}

impl States {
    /// The states in that directory.
    #[must_use]
    pub const fn new(snapshots: Snapshots, codec: StateCodec) -> Self {
        Self { snapshots, codec, verified: BTreeSet::new() }
    }

    /// The newest state that can be read and that `wanted` takes, by its header.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`] when the directory cannot be read.
    pub fn newest(
        &mut self,
        wanted: &dyn Fn(&SnapshotInfo) -> bool,
    ) -> Result<Beginning, SnapshotError> {
        let mut beginning = Beginning::default();
        for sequence in self.snapshots.sequences()? {
            match self.read(sequence, wanted) {
                Ok(None) => {}
                Ok(Some(state)) => {
                    beginning.state = Some(state);
                    break;
                }
                Err(unreadable) => beginning.unreadable.push(unreadable),
            }
        }
        Ok(beginning)
    }

    fn read(
        &mut self,
        sequence: u64,
        wanted: &dyn Fn(&SnapshotInfo) -> bool,
    ) -> Result<Option<(Monitor, SnapshotInfo)>, Unreadable> {
        let mut reader = self.snapshots.open(sequence)?;
        if !wanted(&reader.info()) {
            return Ok(None);
        }
        let state = self.codec.decode(&mut reader);
        // What the digest says comes first: damage may look like anything.
        let info = reader.finish()?;
        let place = || self.snapshots.place(sequence);
        let state = state.map_err(|source| Unreadable::State { place: place(), source })?;
        self.verified.insert(sequence);
        Ok(Some((state, info)))
    }

    /// Writes a snapshot of a state, durably, and reads it back.
    ///
    /// # Errors
    /// See [`SnapshotError`]; the older ones are untouched.
    pub fn keep(&mut self, state: &Monitor) -> Result<SnapshotInfo, SnapshotError> {
        let codec = self.codec;
        let mut write = |out: &mut dyn io::Write| codec.encode(state, out);
        let (sequence, at) = (state.sequence(), state.now().as_nanos());
        // One that is written again is not verified before it was read again.
        self.verified.remove(&sequence);
        let info = self.snapshots.write(sequence, at, &mut write)?;
        self.verified.insert(sequence);
        Ok(info)
    }

    /// Removes what is older than the two newest snapshots that were read back. Returns the sequence
    /// up to which records are no longer needed, if there are two; and what cannot be read.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`] when the directory cannot be read, or a file not removed.
    pub fn settle(&mut self) -> Result<(Option<u64>, Vec<SnapshotError>), SnapshotError> {
        let mut whole = Vec::new();
        let mut damaged = Vec::new();
        for sequence in self.snapshots.sequences()? {
            if !self.verified.contains(&sequence) {
                match self.snapshots.verify(sequence) {
                    Ok(_) => drop(self.verified.insert(sequence)),
                    Err(error) => {
                        damaged.push(error);
                        continue;
                    }
                }
            }
            whole.push(sequence);
            if whole.len() == GENERATIONS {
                break;
            }
        }
        if whole.len() < GENERATIONS {
            return Ok((None, damaged));
        }
        self.snapshots.remove_older(&whole)?;
        self.verified.retain(|sequence| whole.contains(sequence));
        Ok((whole.last().copied(), damaged))
    }
}
