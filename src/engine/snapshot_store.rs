//! The snapshots of one directory: which one a restart uses, and which ones are kept.
//!
//! Input: states, and the snapshots of a directory. Output: the newest state that can be read.
//! Invariants: a snapshot that cannot be read is skipped and reported; records are called dispensable
//! only if two snapshots after them were read back. Deliberately absent: when a snapshot is due,
//! threads, clocks.

use std::collections::BTreeSet;
use std::io;

use crate::domain::monitor::Monitor;
use crate::engine::replay::RecoverError;
use crate::engine::state_codec::{StateError, decode_state, encode_state};
use crate::engine::writer::Writer;
use crate::journal::{GENERATIONS, SnapshotError, SnapshotInfo, Snapshots};

/// The snapshots of states in one directory.
#[derive(Debug)]
pub struct SnapshotStore {
    snapshots: Snapshots,
    /// Sequences of the snapshots that were read to the end and found intact.
    verified: BTreeSet<u64>,
}

/// Why a snapshot was skipped.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableSnapshot {
    /// The file is damaged.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The file is intact, but the state in it cannot be decoded.
    #[error("the snapshot {place} cannot be used")]
    State {
        /// The file.
        place: String,
        /// Why.
        #[source]
        source: StateError,
    },
}

/// The state that a replay starts from.
#[derive(Debug, Default)]
pub struct StartingPoint {
    /// The newest state that can be read, with the header of its snapshot. None: there is no
    /// snapshot, and the replay starts at the first record.
    pub state: Option<(Monitor, SnapshotInfo)>,
    /// Snapshots that were skipped, newest first.
    pub unreadable: Vec<UnreadableSnapshot>,
}

/// The snapshot that a recovery started from.
#[derive(Debug, Default)]
pub struct Recovered {
    /// None: it started at the first record of the log.
    pub snapshot: Option<SnapshotInfo>,
    /// Snapshots that were skipped, newest first.
    pub unreadable: Vec<UnreadableSnapshot>,
}

/// Brings the state of a writer to the end of its log, from the newest snapshot that can be read or
/// from the first record. `progress` receives the sequence reached and the last one.
///
/// # Errors
/// See [`RecoverError`]; after an error the writer must not be used.
pub fn recover(
    writer: &mut Writer,
    store: &mut SnapshotStore,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Recovered, RecoverError> {
    store.snapshots.remove_leftovers()?;
    let StartingPoint { state, unreadable } = store.newest(&|_| true)?;
    let snapshot = state.as_ref().map(|(_, info)| *info);
    if let Some((state, _)) = state {
        writer.resume(state)?;
    }
    writer.recover(progress)?;
    Ok(Recovered { snapshot, unreadable })
}

impl SnapshotStore {
    /// The store over the snapshots of a directory.
    #[must_use]
    pub const fn new(snapshots: Snapshots) -> Self {
        Self { snapshots, verified: BTreeSet::new() }
    }

    /// The newest state that can be read and whose header `is_wanted` accepts.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`] when the directory cannot be read.
    pub fn newest(
        &mut self,
        is_wanted: &dyn Fn(&SnapshotInfo) -> bool,
    ) -> Result<StartingPoint, SnapshotError> {
        let mut start = StartingPoint::default();
        for sequence in self.snapshots.sequences()? {
            match self.read(sequence, is_wanted) {
                Ok(None) => {}
                Ok(Some(state)) => {
                    start.state = Some(state);
                    break;
                }
                Err(unreadable) => start.unreadable.push(unreadable),
            }
        }
        Ok(start)
    }

    fn read(
        &mut self,
        sequence: u64,
        is_wanted: &dyn Fn(&SnapshotInfo) -> bool,
    ) -> Result<Option<(Monitor, SnapshotInfo)>, UnreadableSnapshot> {
        let mut reader = self.snapshots.open(sequence)?;
        if !is_wanted(&reader.info()) {
            return Ok(None);
        }
        let state = decode_state(&mut reader);
        // Check the digest before reporting a decoding error: damage can cause any such error.
        let info = reader.finish()?;
        let place = || self.snapshots.place(sequence);
        let state = state.map_err(|source| UnreadableSnapshot::State { place: place(), source })?;
        self.verified.insert(sequence);
        Ok(Some((state, info)))
    }

    /// Writes a snapshot of a state durably and reads it back.
    ///
    /// # Errors
    /// See [`SnapshotError`]; older snapshots are untouched.
    pub fn keep(&mut self, state: &Monitor) -> Result<SnapshotInfo, SnapshotError> {
        let mut write = |out: &mut dyn io::Write| encode_state(state, out);
        let (sequence, at) = (state.sequence(), state.now().as_nanos());
        // A snapshot that is overwritten is unverified until it was read back.
        self.verified.remove(&sequence);
        let info = self.snapshots.write(sequence, at, &mut write)?;
        self.verified.insert(sequence);
        Ok(info)
    }

    /// Removes every snapshot older than the two newest intact ones. Returns the sequence up to which
    /// records are no longer needed (None if there are not two intact snapshots), and the snapshots
    /// that cannot be read.
    ///
    /// # Errors
    /// [`SnapshotError::Storage`] when the directory cannot be read, or a file not removed.
    pub fn prune(&mut self) -> Result<(Option<u64>, Vec<SnapshotError>), SnapshotError> {
        let mut intact = Vec::new();
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
            intact.push(sequence);
            if intact.len() == GENERATIONS {
                break;
            }
        }
        if intact.len() < GENERATIONS {
            return Ok((None, damaged));
        }
        self.snapshots.remove_older(&intact)?;
        self.verified.retain(|sequence| intact.contains(sequence));
        Ok((intact.last().copied(), damaged))
    }
}
