//! The handle on the engine: for everything but the writer.
//!
//! Input: entries. Output: receipts, the state for reading, readiness, directives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::clock::ClockReading;
use crate::domain::ids::Account;
use crate::domain::ids::DirectiveId;
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::domain::recount::{Recount, RecountCursor};
use crate::engine::directive_feed::{Resumed, Subscription};
use crate::engine::encoded_request::EncodedRequest;
use crate::engine::place::{QueuePlace, refused};
use crate::engine::shared::{
    EnginePhase, EngineState, EngineStatus, LogTask, QueuedRequest, WriterMessage,
};
use crate::engine::{EngineError, Receipt};
use crate::journal::{EventLog, LogError};

/// A handle on the engine; clones share the engine.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<EngineState>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("ready", &self.readiness()).finish_non_exhaustive()
    }
}

/// Why the exporter is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The journal is being replayed.
    #[error("starting: the journal is being replayed")]
    Starting,
    /// The queue of requests is full.
    #[error("overloaded: the queue of requests is full")]
    Overloaded,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The journal failed.
    #[error("the journal failed")]
    JournalFailed,
    /// The process is shutting down.
    #[error("draining: the process is shutting down")]
    Draining,
}

/// Why a task on the log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogTaskError {
    /// The writer has ended.
    #[error(transparent)]
    Engine(EngineError),
    /// The log failed.
    #[error(transparent)]
    Log(LogError),
}

impl Handle {
    pub(super) const fn new_with(shared: Arc<EngineState>) -> Self {
        Self { shared }
    }

    /// Commits and applies the entries of one request; `accounts` are those whose trading state is
    /// returned. Encoding is done here, in the caller's task. If the caller is dropped, the request is
    /// committed all the same.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn submit(
        &self,
        entries: Vec<Entry>,
        accounts: Vec<Account>,
    ) -> Result<Receipt, EngineError> {
        self.submit_from(None, entries, accounts).await
    }

    /// Like [`Self::submit`], for a sender with the token of that name. `accounts` must be those of all
    /// events: each token has a share of accounts that it may open.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn submit_from(
        &self,
        token: Option<Arc<str>>,
        entries: Vec<Entry>,
        accounts: Vec<Account>,
    ) -> Result<Receipt, EngineError> {
        self.check_open()?;
        let submission = EncodedRequest::new(entries, accounts).from_token(token);
        if !submission.is_urgent() {
            let place = QueuePlace::take(&self.shared, submission.size_bytes())?;
            return place.submit(submission)?.received().await;
        }
        let share = Some(self.shared.urgent_budget.take(submission.size_bytes())?);
        let (answer, receipt) = oneshot::channel();
        let (answer, slot, earlier) = (Some(answer), None, Vec::new());
        let request = QueuedRequest { submission, answer, share, slot, earlier };
        self.shared.urgent.try_send(request).map_err(|error| refused(&error))?;
        self.shared.wake();
        receipt.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Takes a place in the queue for a request of events whose body has that many bytes. Do this before
    /// the body is decoded.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] when the queue is full; see [`EngineError`] for the others.
    pub fn reserve(&self, body_bytes: usize) -> Result<QueuePlace, EngineError> {
        self.check_open()?;
        QueuePlace::take(&self.shared, body_bytes)
    }

    /// Refuses a request before it is encoded.
    fn check_open(&self) -> Result<(), EngineError> {
        let status = self.shared.status.borrow();
        if status.log_error == Some(EngineError::JournalFailed) {
            return Err(EngineError::JournalFailed);
        }
        match status.phase {
            EnginePhase::Open | EnginePhase::Draining => Ok(()),
            EnginePhase::Starting | EnginePhase::Closed => Err(EngineError::Closed),
        }
    }

    /// Reads the state under the read lock. Keep it short, because ingest waits.
    pub fn read<R>(&self, read: impl FnOnce(&Monitor) -> R) -> R {
        read(&self.shared.monitor.read())
    }

    /// The age of the state: the time since the newest record, by the wall clock or by the monotonic
    /// clock, whichever shows more. A wall clock that was set back shows too little, and the monotonic
    /// clock stops while the machine sleeps.
    #[must_use]
    pub fn age(&self, now: ClockReading) -> Duration {
        let received_at = self.shared.monitor.read().now();
        let by_wall = u64::try_from(now.wall.since(received_at)).map(Duration::from_nanos);
        let committed_at = *self.shared.committed_at.lock();
        let passed = now.monotonic.zip(committed_at).map(|(now, then)| now.saturating_sub(then));
        by_wall.unwrap_or_default().max(passed.unwrap_or_default())
    }

    /// Whether requests are accepted: caught up, the log healthy, not draining, the queue not full.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ok()
    }

    /// Like [`Handle::is_ready`], with the reason.
    ///
    /// # Errors
    /// Why requests are not accepted.
    pub fn readiness(&self) -> Result<(), NotReady> {
        let status = self.shared.status.borrow().clone();
        match status.log_error {
            Some(EngineError::JournalFailed) => return Err(NotReady::JournalFailed),
            Some(EngineError::DiskFull) => return Err(NotReady::DiskFull),
            Some(EngineError::Overloaded | EngineError::Closed) | None => {}
        }
        match status.phase {
            EnginePhase::Starting => Err(NotReady::Starting),
            EnginePhase::Draining | EnginePhase::Closed => Err(NotReady::Draining),
            EnginePhase::Open if self.shared.slots.available_permits() == 0 => {
                Err(NotReady::Overloaded)
            }
            EnginePhase::Open => Ok(()),
        }
    }

    /// Requests in the queue, those that are still being decoded too, and its capacity.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        let max = self.shared.slots_max;
        (max - self.shared.slots.available_permits(), max)
    }

    /// Derives a sample of the running sums again. Also returns where the next turn begins. The writer
    /// waits meanwhile, so a turn is bounded.
    #[must_use]
    pub fn recount(&self, from: &RecountCursor) -> (Recount, RecountCursor) {
        self.shared.monitor.read().recount(from)
    }

    /// About the bytes of the state as of the last second, and their ceiling.
    #[must_use]
    pub fn state_bytes(&self) -> (u64, u64) {
        let size = &self.shared.state_size;
        (size.bytes.load(Ordering::Relaxed), size.bytes_max.load(Ordering::Relaxed))
    }

    /// Whether a request waits for the writer. See [`super::fairness`].
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.shared.budget.is_used() || self.shared.urgent_budget.is_used()
    }

    /// Subscribes to the directives published from now on. A subscriber that falls behind loses the
    /// oldest ones and learns how many.
    #[must_use]
    pub fn directives(&self) -> Subscription {
        self.shared.feed.subscribe()
    }

    /// Subscribes to the directives after that id, as far as they are still held.
    #[must_use]
    pub fn directives_after(&self, id: DirectiveId) -> (Subscription, Resumed) {
        self.shared.feed.subscribe_after(id)
    }

    /// Waits until permits must no longer be issued: the process is shutting down, or the log failed.
    pub async fn closing(&self) {
        let mut status = self.shared.status.subscribe();
        let closing = |s: &EngineStatus| s.phase > EnginePhase::Open || has_failed(s);
        // The sender lives in `self`, so the wait cannot fail.
        status.wait_for(closing).await.ok();
    }

    /// Reports that a second passed. Never waits and is never refused: if the writer is busy, the tick
    /// goes into the next batch.
    pub fn tick(&self) {
        self.shared.tick_due.store(true, Ordering::Release);
        self.shared.wake();
    }

    /// Runs a task on the log between two batches. Ingest waits for it.
    ///
    /// # Errors
    /// [`EngineError::Closed`] when the writer has ended; the error of the log.
    pub async fn with_log<R: Send + 'static>(
        &self,
        run: impl FnOnce(&mut dyn EventLog) -> Result<R, LogError> + Send + 'static,
    ) -> Result<R, LogTaskError> {
        let (answer, result) = oneshot::channel();
        let task: LogTask = Box::new(move |log| {
            // The caller may be gone.
            answer.send(run(log)).ok();
        });
        let sent = self.shared.sender.send(WriterMessage::Run(task)).await;
        sent.map_err(|_| LogTaskError::Engine(EngineError::Closed))?;
        let result = result.await.map_err(|_| LogTaskError::Engine(EngineError::Closed))?;
        result.map_err(LogTaskError::Log)
    }

    /// Makes the engine not ready; it still accepts requests until [`Handle::stop`].
    pub fn drain(&self) {
        self.shared.set_phase(EnginePhase::Draining);
    }

    /// Tells the writer to commit the queued requests and end. Later requests are answered
    /// [`EngineError::Closed`].
    pub async fn stop(&self) {
        self.shared.sender.send(WriterMessage::Stop).await.ok();
    }

    /// Waits until the replay is done, or the writer has ended.
    pub async fn opened(&self) {
        let mut status = self.shared.status.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        status.wait_for(|s| s.phase > EnginePhase::Starting).await.ok();
    }

    /// Whether the replay is done and the process is not shutting down.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.status.borrow().phase == EnginePhase::Open
    }

    /// Waits until the log has failed or the writer has ended, whichever comes first.
    pub async fn ended(&self) {
        let mut status = self.shared.status.subscribe();
        let dead = |s: &EngineStatus| s.phase == EnginePhase::Closed || has_failed(s);
        // The sender lives in `self`, so the wait cannot fail.
        status.wait_for(dead).await.ok();
    }
}

fn has_failed(status: &EngineStatus) -> bool {
    status.log_error == Some(EngineError::JournalFailed)
}

/// An engine for the tests of other modules: a log in memory, a stopped clock, a running writer.
#[cfg(test)]
mod testing {
    use std::sync::Arc;

    use super::Handle;
    use crate::domain::clock::ClockReading;
    use crate::domain::limits;
    use crate::domain::monitor::Monitor;
    use crate::domain::time::Timestamp;
    use crate::engine::{Writer, channel};
    use crate::journal::{EventLog, LocalLog, LocalOptions, LogError, MemoryLog, SimStorage};

    /// Room for a few records.
    const SEGMENT_BYTES: u64 = 64 * 1024;

    /// 2026-11-22T15:00:00Z, the receive time of everything.
    const NOW_NANOS: i64 = 1_795_359_600_000_000_000;

    impl Handle {
        /// An engine whose writer runs until the test ends.
        #[must_use]
        pub fn new(monitor: Monitor) -> Self {
            let now = Timestamp::from_nanos(NOW_NANOS).unwrap_or(Timestamp::MIN);
            let log = Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX));
            Self::running(monitor, log, move || now.into())
        }

        /// An engine whose journal is on a simulated disk, and the disk.
        ///
        /// # Errors
        /// See [`LocalLog::open`].
        pub fn on_sim_disk(
            now: impl Fn() -> ClockReading + Send + 'static,
        ) -> Result<(Self, SimStorage), LogError> {
            let disk = SimStorage::new(0);
            let options = LocalOptions { segment_bytes: SEGMENT_BYTES, ..LocalOptions::default() };
            let log = LocalLog::open(Arc::new(disk.clone()), options)?;
            let monitor = Monitor::new(Arc::default());
            Ok((Self::running(monitor, Box::new(log), now), disk))
        }

        #[expect(clippy::disallowed_methods, reason = "a test has no app that owns the writer")]
        fn running(
            monitor: Monitor,
            log: Box<dyn EventLog>,
            now: impl Fn() -> ClockReading + Send + 'static,
        ) -> Self {
            let (handle, inbox) = channel(monitor, limits::QUEUE_REQUESTS_MAX);
            let mut writer = Writer::new(inbox.monitor(), log);
            inbox.open();
            std::thread::spawn(move || inbox.run(&mut writer, now));
            handle
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::limits;
    use crate::domain::time::Timestamp;
    use crate::engine::{Writer, channel};
    use crate::journal::MemoryLog;

    #[test]
    fn the_age_of_the_state_is_the_larger_of_both_clocks() {
        let (handle, inbox) = channel(Monitor::new(Arc::default()), 10);
        let log = Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX));
        let mut writer = Writer::new(inbox.monitor(), log);
        let at = |wall: u64, monotonic: u64| ClockReading {
            wall: Timestamp::MIN.plus(Duration::from_secs(wall)),
            monotonic: Some(Duration::from_secs(monotonic)),
        };
        assert_eq!(handle.age(at(0, 500)), Duration::ZERO, "nothing was committed");
        handle.tick();
        let tasks = tokio::runtime::Runtime::new().unwrap();
        tasks.block_on(handle.stop());
        inbox.run(&mut writer, || at(600, 1));
        let check = |now: ClockReading, seconds: u64| {
            assert_eq!(handle.age(now), Duration::from_secs(seconds), "{now:?}");
        };
        check(at(601, 2), 1);
        check(at(2, 13), 12);
        check(at(660, 2), 60);
    }
}
