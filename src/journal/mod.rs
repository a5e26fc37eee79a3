//! The write-ahead log of the engine: batches of records as bytes, in sequence, each made durable
//! before it is acknowledged.
//!
//! Input: [`Batch`]es from the single writer. Output: the same bytes in a replay. Invariants:
//! sequences are 1, 2, 3 ... without gaps; a replay returns every acknowledged batch in order, or
//! reports the damage; a batch is kept whole or not at all. Deliberately absent: the meaning of the
//! bytes (see `crate::engine::codec`), and anything that reads a clock or spawns a thread.
//! `docs/journal.md` describes the format on disk.

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

/// A log of batches. The single writer owns it, so it needs no lock.
///
/// Each batch says which [`Room`] it may use. A full log refuses ordinary batches with
/// [`LogError::Full`] and still accepts batches of the reserve, which hold decisions of operators.
/// Callers only call `append`; the log finds the room. Batches of both kinds share one sequence.
pub trait EventLog: Send {
    /// Appends a batch. When this returns, the batch is as durable as [`EventLog::durability`]
    /// says. An empty batch is ignored.
    ///
    /// # Errors
    /// [`LogError::Full`]: nothing of the batch is kept, and a later append may succeed.
    /// [`LogError::OutOfSequence`]: a bug of the caller, nothing is kept.
    /// Any other error is final: it is unknown whether the batch is kept, and every later append
    /// fails.
    fn append(&mut self, batch: &Batch) -> Result<(), LogError>;

    /// Syncs everything that was appended, also where `append` does not wait for a sync. Call it
    /// before the process ends, and before writing anything that must not be newer than the log,
    /// such as a snapshot.
    ///
    /// # Errors
    /// As [`EventLog::append`], without `Full` and `OutOfSequence`.
    fn sync(&mut self) -> Result<(), LogError>;

    /// Checks that the directory, its lock and the last segment still have their names. If somebody
    /// moved or replaced them, the next start would not find the batches appended now.
    ///
    /// # Errors
    /// [`LogError::Failed`], which is final as in [`EventLog::append`].
    fn check_in_place(&mut self) -> Result<(), LogError>;

    /// Visits the batches that hold the records from sequence `from` on, oldest first. The first
    /// batch may begin with earlier records. An error of `visit` ends the replay and is returned.
    ///
    /// # Errors
    /// [`LogError::Gone`] if records from `from` on were dropped; [`LogError::Corrupt`] if the log
    /// does not hold what was written; [`LogError::Failed`] if it cannot be read.
    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
    ) -> Result<(), LogError>;

    /// Sequence of the oldest record kept. If the log is empty, the sequence of the next record.
    fn first_sequence(&self) -> u64;

    /// Sequence of the newest record kept. If nothing was ever appended, 0.
    fn last_sequence(&self) -> u64;

    /// Drops whole segments that hold only records before `sequence`. A segment that also holds
    /// later records stays, and so does the newest record. The caller must have saved what it needs
    /// of the dropped records.
    ///
    /// # Errors
    /// [`LogError::Failed`], which is final as in [`EventLog::append`].
    fn drop_before(&mut self, sequence: u64) -> Result<(), LogError>;

    /// Sequence of the oldest record that `retention` keeps: pass it to [`EventLog::drop_before`].
    ///
    /// # Errors
    /// [`LogError::Corrupt`] or [`LogError::Failed`] if the receive time of records cannot be read.
    fn due_before(&self, retention: &Retention) -> Result<u64, LogError>;

    /// Bytes that the log occupies, preallocated files included.
    fn size_bytes(&self) -> u64;

    /// The worst failure that an acknowledged batch survives.
    fn durability(&self) -> Durability;
}

/// The room on the disk that a batch may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Everything but the reserve.
    Ordinary,
    /// The reserve too, so that halts and releases are recorded although the log is full.
    Reserve,
}

/// The worst failure that an acknowledged batch survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// None: batches are in memory.
    Memory,
    /// A crash of the process. A power cut may lose the newest batches.
    Relaxed,
    /// A power cut.
    Synced,
}

impl Durability {
    /// From the weakest to the strongest.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Relaxed, Self::Synced];

    /// The word in labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Relaxed => "relaxed",
            Self::Synced => "synced",
        }
    }
}

/// How much of the log is kept. A bound of `None` does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of all segments; the oldest are dropped first.
    pub bytes_max: Option<u64>,
    /// Records received before this time may be dropped. Nanoseconds since the Unix epoch.
    pub received_after_nanos: Option<i64>,
}

/// Why an operation of the log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A write, a sync or a read failed. Never retried: after a failed sync it is unknown what the
    /// disk holds.
    #[error("the log failed while {doing}")]
    Failed {
        /// The operation, as a gerund: "syncing a batch".
        doing: &'static str,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full.
    #[error("the log is full")]
    Full,
    /// Another process has locked the directory.
    #[error("the log in {place} is in use by another process")]
    InUse {
        /// The directory.
        place: String,
    },
    /// The log does not hold what was written.
    #[error("the log is corrupt at {place}: {what}")]
    Corrupt {
        /// A file and an offset, or a sequence.
        place: String,
        /// The defect.
        what: String,
    },
    /// The requested records were dropped.
    #[error("records before {first} are no longer kept")]
    Gone {
        /// Sequence of the oldest record kept.
        first: u64,
    },
    /// A batch does not follow the one before it.
    #[error("a batch begins at record {found}, expected record {expected}")]
    OutOfSequence {
        /// The sequence after the newest record.
        expected: u64,
        /// First sequence of the batch.
        found: u64,
    },
}

/// [`LogError::Failed`] while `doing`. For `map_err`.
fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> LogError {
    move |source| LogError::Failed { doing, source }
}

/// The names of all files in the directory, in no order.
fn file_names(storage: &dyn Storage) -> Result<Vec<String>, LogError> {
    storage.names().map_err(failed("reading the directory"))
}

/// Digits of a sequence in a file name. Padded with zeros, names sort like sequences.
const SEQUENCE_DIGITS: usize = 20;

/// The sequence that exactly [`SEQUENCE_DIGITS`] digits of a file name spell.
fn parse_sequence(digits: &str) -> Option<u64> {
    let plain = digits.len() == SEQUENCE_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
