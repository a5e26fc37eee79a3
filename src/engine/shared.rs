//! The state that the handles and the writer's inbox share, and the messages between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::domain::monitor::Monitor;
use crate::domain::record::Verdict;
use crate::engine::directive_feed::DirectiveFeed;
use crate::engine::encoded_request::EncodedRequest;
use crate::engine::{EngineError, Receipt};
use crate::journal::EventLog;

/// Shared by every handle and the inbox.
pub(super) struct EngineState {
    /// Written by the writer's thread alone, read by all handlers. The lock is a blocking one and is
    /// never held across an await.
    pub(super) monitor: Arc<RwLock<Monitor>>,
    /// Its capacity exceeds `slots_max`, so that a message that is no request always has room.
    pub(super) sender: mpsc::Sender<WriterMessage>,
    /// The places for requests, from before they are decoded until the writer takes them.
    pub(super) slots: Arc<Semaphore>,
    pub(super) slots_max: usize,
    /// Whether a [`WriterMessage::Wake`] is queued. One is enough.
    pub(super) wake_queued: AtomicBool,
    pub(super) budget: ByteBudget,
    /// The queue of halts, alerts and releases.
    pub(super) urgent: mpsc::Sender<QueuedRequest>,
    pub(super) urgent_budget: ByteBudget,
    /// Written by the inbox and by [`super::Handle::drain`]; handlers and the readiness check read it.
    pub(super) status: watch::Sender<EngineStatus>,
    pub(super) feed: Arc<DirectiveFeed>,
    /// A second passed and no record says so yet. Set by the ticker, cleared by the writer.
    pub(super) tick_due: AtomicBool,
    /// When the newest batch was committed, by the monotonic clock.
    pub(super) committed_at: Mutex<Option<Duration>>,
    pub(super) state_size: Arc<StateSize>,
}

/// The size of the state and its ceiling. Set by the writer.
#[derive(Debug, Default)]
pub(super) struct StateSize {
    pub(super) bytes: AtomicU64,
    pub(super) bytes_max: AtomicU64,
}

impl EngineState {
    /// Wakes the writer if it sleeps.
    pub(super) fn wake(&self) {
        if !self.wake_queued.swap(true, Ordering::AcqRel)
            && self.sender.try_send(WriterMessage::Wake).is_err()
        {
            // A full queue means that the writer is awake.
            self.wake_queued.store(false, Ordering::Release);
        }
    }

    pub(super) fn set_phase(&self, phase: EnginePhase) {
        self.status.send_if_modified(|status| {
            let is_later = status.phase < phase;
            status.phase = status.phase.max(phase);
            is_later
        });
    }

    /// Sets the state of the log after a batch.
    pub(super) fn set_log_error(&self, error: Option<&EngineError>) {
        let log = error.cloned();
        self.status.send_if_modified(|status| {
            let is_changed = status.log_error != log;
            status.log_error = log;
            is_changed
        });
    }
}

/// The bytes that a queue may hold.
pub(super) struct ByteBudget {
    left: Arc<Semaphore>,
    /// Bytes that may be queued in all. A single larger request is accepted if it waits alone.
    max: usize,
}

impl ByteBudget {
    pub(super) fn new(max: usize) -> Self {
        Self { left: Arc::new(Semaphore::new(max)), max }
    }

    /// Acquires the size of a request, until it is answered.
    pub(super) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, EngineError> {
        let bytes = u32::try_from(bytes.min(self.max)).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.left).try_acquire_many_owned(bytes);
        share.map_err(|_| EngineError::Overloaded)
    }

    /// Changes a share to the size of its request.
    pub(super) fn resize(
        &self,
        share: &mut OwnedSemaphorePermit,
        bytes: usize,
    ) -> Result<(), EngineError> {
        let (held, bytes) = (share.num_permits(), bytes.min(self.max));
        if held < bytes {
            share.merge(self.take(bytes - held)?);
        } else {
            drop(share.split(held - bytes));
        }
        Ok(())
    }

    /// Whether a request holds a share.
    pub(super) fn is_used(&self) -> bool {
        self.left.available_permits() < self.max
    }
}

/// A message in the writer's queue.
pub(super) enum WriterMessage {
    Submit(QueuedRequest),
    Run(LogTask),
    /// A tick is due: look at [`EngineState::tick_due`].
    Wake,
    /// Commit the queued requests, then end.
    Stop,
}

/// Work on the log between two batches.
pub(super) type LogTask = Box<dyn FnOnce(&mut dyn EventLog) + Send>;

/// A request and the channel for its receipt.
#[derive(Debug)]
pub(super) struct QueuedRequest {
    pub(super) submission: EncodedRequest,
    /// None for ticks.
    pub(super) answer: Option<oneshot::Sender<Result<Receipt, EngineError>>>,
    /// Its share of the budget, released when it is answered.
    pub(super) share: Option<OwnedSemaphorePermit>,
    /// Its place in the queue, released when the writer takes it. `None` for decisions and ticks.
    pub(super) slot: Option<OwnedSemaphorePermit>,
    /// The verdicts of its first part, if it was split.
    pub(super) earlier: Vec<Verdict>,
}

/// The life of the engine; it only moves forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EnginePhase {
    /// Replaying the journal.
    #[default]
    Starting,
    /// Accepting requests.
    Open,
    /// Still accepting requests, but not ready, so that load balancers choose another instance.
    Draining,
    /// Accepting nothing.
    Closed,
}

/// The inputs of the readiness check besides the length of the queue.
#[derive(Clone, Debug, Default)]
pub(super) struct EngineStatus {
    pub(super) phase: EnginePhase,
    /// Why the last batch was refused, if it was.
    pub(super) log_error: Option<EngineError>,
}
