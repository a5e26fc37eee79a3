//! The single writer: queue, commit, apply, answer.
//!
//! Input: entries, request by request. Output: receipts and directives, and the state for reading.
//! Invariants: one writer; every record that a receipt acknowledges is in the log *and* applied; queue,
//! batch and directives are bounded. Deliberately absent: threads, timers and clocks (see
//! `crate::app`), HTTP, the meaning of a record (see `crate::domain`), and the storage of bytes (see
//! `crate::journal`).

mod codec;
mod inspect;
mod state_codec;
mod replay;
mod encoded_request;
mod writer;
mod snapshot_store;
mod archive;
mod directive_feed;
pub mod fairness;
mod shared;
mod place;
mod handle;
mod queue;

use crate::domain::ids::Account;
use crate::domain::record::Verdict;
use crate::domain::state::TradingState;

pub use archive::{AUDIT_FILE, Archive};
pub use codec::{CodecError, decode_record};
pub use directive_feed::{LostDirectives, Resumed, Subscription};
pub use encoded_request::EncodedRequest;
pub use handle::{Handle, LogTaskError, NotReady};
pub use inspect::RecordParts;
pub use place::{PendingReceipt, QueuePlace};
pub use queue::{Inbox, channel};
pub use replay::{RecoverError, Replay, ReplaySettings};
pub use snapshot_store::{Recovered, SnapshotStore, StartingPoint, UnreadableSnapshot, recover};
pub use state_codec::{
    STATE_VERSION, StateDigest, StateError, decode_state, digest_state, encode_state,
};
pub use writer::{CommittedBatch, Writer};

/// Why the engine refused a request. No part of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The queue is full; a retry may succeed.
    #[error("the queue is full")]
    Overloaded,
    /// The log failed; nothing is accepted until a restart.
    #[error("the journal failed")]
    JournalFailed,
    /// The disk is full; a retry succeeds once there is room.
    #[error("the disk is full")]
    DiskFull,
    /// The process is shutting down, or not ready yet.
    #[error("shutting down")]
    Closed,
}

/// The result of one request, which is now in the log and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// One verdict for each entry, in order.
    pub verdicts: Vec<Verdict>,
    /// Sequence of the newest record applied when the request was answered.
    pub sequence: u64,
    /// Trading state after the request of each account it asked for.
    pub states: Vec<(Account, TradingState)>,
}
