//! The log behind the engine: batches of records as bytes, in sequence, made durable one by one.
//!
//! Input: [`Batch`]es from the single writer. Output: the same bytes at a replay. Invariants:
//! sequences are 1, 2, 3 ... without gaps; what `append` acknowledged comes back in order, or the
//! log says that it does not; a batch is kept whole or not at all. Deliberately absent: what the
//! bytes mean (see `crate::engine::codec`), and anything that reads a clock.

mod batch;
mod memory;

pub use batch::Batch;
pub use memory::MemoryLog;

/// Where batches go. There is one writer, so a log is owned by it and needs no lock.
pub trait EventLog: Send {
    /// Appends a batch. Upon return it survives whatever the log promises to survive.
    ///
    /// # Errors
    /// [`LogError::Full`]: nothing of the batch is kept, and a later append may succeed.
    /// [`LogError::OutOfSequence`]: the caller's mistake, nothing is kept.
    /// Any other error is final: whether the batch is kept is unknown, and the log takes no more.
    fn append(&mut self, batch: &Batch) -> Result<(), LogError>;

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

    /// Sequence of the newest record kept, or 0.
    fn last_sequence(&self) -> u64;

    /// Bytes that the log takes up.
    fn size_bytes(&self) -> u64;
}

/// From what room a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// What is left beside the reserve.
    Ordinary,
    /// The reserve too: halts and releases are recorded although the log is full.
    Reserve,
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
