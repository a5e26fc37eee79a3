//! The single writer: queue, commit, fold, answer.
//!
//! Input: entries, request by request. Output: receipts and directives, and the state for reading.
//! Invariants: one writer; what a receipt acknowledges is in the log *and* folded; queue, batch and
//! directives are bounded. Deliberately absent: threads, timers and clocks (see `crate::app`),
//! HTTP, what a record means (see `crate::domain`), and how a log keeps bytes (see
//! `crate::journal`).

mod codec;
mod parts;
mod snapshot;
mod states;
mod replay;
mod archive;
mod submission;
mod writer;
mod feed;
mod pause;
mod queue;
mod handle;

use crate::domain::ids::Account;
use crate::domain::record::Verdict;
use crate::domain::state::TradingState;

pub use archive::{AUDIT_FILE, Archive};
pub use codec::{CodecError, RecordCodec, SettingsCodec};
pub use feed::{Lost, Resumed, Subscription};
pub use handle::{Handle, LogErrand, NotReady};
pub use parts::RecordParts;
pub use queue::{Inbox, channel};
pub use replay::{Replay, Settled};
pub use snapshot::{STATE_VERSION, StateCodec, StateDigest, StateError};
pub use states::{Beginning, Recovered, States, Unreadable, recover};
pub use submission::Submission;
pub use writer::{Committed, RecoverError, Writer};

/// Why the engine did not take a request. Nothing of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The queue is full: try again.
    #[error("the queue is full")]
    Overloaded,
    /// The log failed: nothing more is taken until a restart.
    #[error("the journal failed")]
    JournalFailed,
    /// The disk is full: try again when there is room.
    #[error("the disk is full")]
    DiskFull,
    /// The process is ending, or not ready yet.
    #[error("shutting down")]
    Closed,
}

/// What became of one request: 2xx means that it is in the log and folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// One verdict for each entry, in order.
    pub verdicts: Vec<Verdict>,
    /// Sequence of the newest record folded when it was answered.
    pub sequence: u64,
    /// Trading state of each account asked for, after the request.
    pub states: Vec<(Account, TradingState)>,
}
