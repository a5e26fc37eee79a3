//! The single writer: queue, commit, fold, answer.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::domain::directive::Directive;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::domain::record::{Entry, Record, Verdict};
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;

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

/// What everybody else sees of the engine.
#[derive(Clone, Debug)]
pub struct Handle {
    monitor: Arc<RwLock<Monitor>>,
}

impl Handle {
    /// A handle on a monitor.
    #[must_use]
    pub fn new(monitor: Monitor) -> Self {
        Self { monitor: Arc::new(RwLock::new(monitor)) }
    }

    /// Commits the entries of one request, folds them, and answers.
    ///
    /// # Errors
    /// See [`EngineError`].
    #[expect(clippy::unused_async, reason = "the queue comes next")]
    pub async fn submit(
        &self,
        entries: Vec<Entry>,
        accounts: Vec<Account>,
    ) -> Result<Receipt, EngineError> {
        let mut monitor = self.monitor.write();
        let mut directives: Vec<Directive> = Vec::new();
        let last = entries.len();
        let verdicts = entries
            .into_iter()
            .enumerate()
            .map(|(index, entry)| {
                let record = Record {
                    sequence: monitor.sequence() + 1,
                    received_at: Timestamp::MIN,
                    more: index + 1 < last,
                    entry,
                };
                monitor.apply(&record, &mut directives)
            })
            .collect();
        let states =
            accounts.into_iter().map(|a| (a.clone(), monitor.permit(a.as_str()).state)).collect();
        Ok(Receipt { verdicts, sequence: monitor.sequence(), states })
    }

    /// Reads the state. Keep it short: ingest waits meanwhile. Never called across an await.
    pub fn read<R>(&self, read: impl FnOnce(&Monitor) -> R) -> R {
        read(&self.monitor.read())
    }

    /// Whether requests are taken: caught up, the log healthy, not draining.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        true
    }

    /// Requests that wait, and how many may.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        (0, 0)
    }
}
