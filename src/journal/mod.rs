//! The log behind the engine: batches of records as bytes, in sequence, made durable one by one.
//!
//! Input: [`Batch`]es from the single writer. Output: the same bytes at a replay. Invariants:
//! sequences are 1, 2, 3 ... without gaps; what `append` acknowledged comes back in order, or the
//! log says that it does not; a batch is kept whole or not at all. Deliberately absent: what the
//! bytes mean (see `crate::engine::codec`), and anything that reads a clock or spawns a thread.
//! `docs/journal.md` has the format on disk.

mod batch;
mod memory;
mod storage;
mod disk;
mod sim;
mod frame;
mod segment;
mod tail;
mod preallocate;
mod quarantine;
mod end;
mod local;
mod reader;
mod repair;
mod snapshots;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage;

pub use batch::Batch;
pub use disk::DiskStorage;
pub use frame::{FRAME_BYTES_MIN, SECTOR_BYTES};
pub use local::{LocalLog, LocalOptions, SyncMode, SyncTimer};
pub use memory::MemoryLog;
pub use preallocate::Preallocator;
pub use quarantine::TornTail;
pub use reader::{JournalReader, TailState, Verified};
pub use repair::{Repaired, repair};
pub use sim::{SimStorage, StorageFault, StorageOperation};
pub use snapshots::{GENERATIONS, SnapshotError, SnapshotInfo, SnapshotReader, Snapshots};
pub use storage::{FileId, Lock, Storage, StoredFile};

/// Where batches go. There is one writer, so a log is owned by it and needs no lock.
///
/// Batches come in two kinds of [`Room`]. A full log takes no ordinary batch ([`LogError::Full`]),
/// and still takes those of the reserve, which hold decisions of operators: `append` is all that a
/// caller needs, the log finds the room. A batch of the reserve has its place in the one sequence
/// like any other.
pub trait EventLog: Send {
    /// Appends a batch. Upon return it survives whatever the log promises to survive; see
    /// [`EventLog::durability`]. An empty batch is nothing.
    ///
    /// # Errors
    /// [`LogError::Full`]: nothing of the batch is kept, and a later append may succeed.
    /// [`LogError::OutOfSequence`]: the caller's mistake, nothing is kept.
    /// Any other error is final: whether the batch is kept is unknown, and the log takes no more.
    fn append(&mut self, batch: &Batch) -> Result<(), LogError>;

    /// Makes everything appended as durable as the log can, also where `append` does not wait for
    /// it. Whoever keeps something that must not be newer than the log (a snapshot), or ends, calls
    /// this first.
    ///
    /// # Errors
    /// As [`EventLog::append`], without `Full` and `OutOfSequence`.
    fn sync(&mut self) -> Result<(), LogError>;

    /// Looks whether the log still is where its name says, so that what is appended can be found by
    /// the next start, and nobody else has taken its place.
    ///
    /// # Errors
    /// [`LogError::Failed`], which is final as in [`EventLog::append`].
    fn check_in_place(&mut self) -> Result<(), LogError>;

    /// Visits the batches that hold the records from sequence `from` on, oldest first. The first
    /// batch may begin with earlier records. An error of `visit` ends the replay and is returned.
    ///
    /// # Errors
    /// [`LogError::Gone`] when records from `from` on were dropped; [`LogError::Corrupt`] when
    /// what is kept is not what was written; [`LogError::Failed`] when it cannot be read.
    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
    ) -> Result<(), LogError>;

    /// Sequence of the oldest record kept; of the next one when none is.
    fn first_sequence(&self) -> u64;

    /// Sequence of the newest record kept, or 0.
    fn last_sequence(&self) -> u64;

    /// Drops records before `sequence`, in whole segments and never more than asked: fewer go, or
    /// none, where a segment also holds later records. Whoever calls it has kept what it needs of
    /// them. The newest record always stays.
    ///
    /// # Errors
    /// [`LogError::Failed`], which is final as in [`EventLog::append`].
    fn drop_before(&mut self, sequence: u64) -> Result<(), LogError>;

    /// The sequence before which `retention` wants records dropped: that of the oldest record it
    /// keeps. Nothing is dropped by asking.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] or [`LogError::Failed`] when the age of records cannot be read.
    fn due_before(&self, retention: &Retention) -> Result<u64, LogError>;

    /// Bytes that the log takes up.
    fn size_bytes(&self) -> u64;

    /// What an acknowledged batch survives.
    fn durability(&self) -> Durability;
}

/// From what room a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// What is left beside the reserve.
    Ordinary,
    /// The reserve too: halts and releases are recorded although the log is full.
    Reserve,
}

/// What an acknowledged batch survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: it is in memory.
    Memory,
    /// The end of the process; a power cut may take the newest ones.
    Relaxed,
    /// A power cut.
    Synced,
}

impl Durability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Relaxed, Self::Synced];

    /// As in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Relaxed => "relaxed",
            Self::Synced => "synced",
        }
    }
}

/// How much of the log is kept. A bound that is none does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of all segments.
    pub bytes_max: Option<u64>,
    /// Records received before this, in nanoseconds since the Unix epoch, may go.
    pub received_after_nanos: Option<i64>,
}

/// Why the log did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Writing, syncing or reading failed. Never retried: after a failed sync nobody knows what
    /// the disk holds.
    #[error("the log failed while {doing}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// There is no room.
    #[error("the log is full")]
    Full,
    /// Another process writes to it.
    #[error("the log in {place} is in use by another process")]
    InUse {
        /// Where it is.
        place: String,
    },
    /// What is kept is not what was written.
    #[error("the log is corrupt at {place}: {what}")]
    Corrupt {
        /// Where: a file and an offset, or a sequence.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// Records asked for were dropped.
    #[error("records before {first} are no longer kept")]
    Gone {
        /// Sequence of the oldest record kept.
        first: u64,
    },
    /// A batch does not follow the one before it.
    #[error("a batch begins at {found}, not at {expected}")]
    OutOfSequence {
        /// The sequence that was due.
        expected: u64,
        /// The one found.
        found: u64,
    },
}

/// The failure of something that was being done, for `map_err`.
fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> LogError {
    move |source| LogError::Failed { doing, source }
}
