//! What everybody else sees of the engine.
//!
//! Input: entries. Output: receipts, the state for reading, readiness, directives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use crate::domain::clock::Reading;
use crate::domain::directive::DirectiveId;
use crate::domain::ids::Account;
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::engine::feed::{Resumed, Subscription};
use crate::engine::queue::{Errand, Message, Request, Shared};
use crate::engine::submission::Submission;
use crate::engine::{EngineError, Receipt};
use crate::journal::{EventLog, LogError};

/// A handle on the engine; clones are the same engine.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
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
    /// As many requests wait as may.
    #[error("overloaded: as many requests wait as may")]
    Overloaded,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The journal failed.
    #[error("the journal failed")]
    JournalFailed,
    /// The process is ending.
    #[error("draining: the process is ending")]
    Draining,
}

/// Why something was not done with the log.
#[derive(Debug, thiserror::Error)]
pub enum LogErrand {
    /// The writer does not take it.
    #[error(transparent)]
    Engine(EngineError),
    /// The log failed.
    #[error(transparent)]
    Log(LogError),
}

/// How far the engine is; it only moves on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Replaying.
    #[default]
    Starting,
    /// Requests are taken.
    Open,
    /// Requests are still taken, but whoever chooses where to send them should choose another.
    Draining,
    /// Nothing is taken.
    Closed,
}

/// What readiness is made of, beside the queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    pub(super) phase: Phase,
    /// Why the last batch was not taken, if it was not.
    pub(super) log: Option<EngineError>,
}

impl Handle {
    pub(super) const fn new_with(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Commits the entries of one request, folds them, and answers. Encoding is done here, in the
    /// caller's task. If the caller goes away, the request is committed all the same.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn submit(
        &self,
        entries: Vec<Entry>,
        accounts: Vec<Account>,
    ) -> Result<Receipt, EngineError> {
        self.check_open()?;
        let submission = Submission::new(entries, accounts, &self.shared.codec);
        let size = submission.size_bytes().min(self.shared.bytes_max);
        let budget = Arc::clone(&self.shared.budget);
        let share = budget
            .try_acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX))
            .map_err(|_| EngineError::Overloaded)?;
        let (answer, receipt) = oneshot::channel();
        let request = Request { submission, answer: Some(answer), share: Some(share) };
        self.shared.sender.try_send(Message::Submit(request)).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Overloaded,
            TrySendError::Closed(_) => EngineError::Closed,
        })?;
        receipt.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Whether it makes sense to encode a request at all.
    fn check_open(&self) -> Result<(), EngineError> {
        let status = self.shared.status.borrow();
        if status.log == Some(EngineError::JournalFailed) {
            return Err(EngineError::JournalFailed);
        }
        match status.phase {
            Phase::Open | Phase::Draining => Ok(()),
            Phase::Starting | Phase::Closed => Err(EngineError::Closed),
        }
    }

    /// Reads the state. Keep it short: ingest waits meanwhile. Never called across an await.
    pub fn read<R>(&self, read: impl FnOnce(&Monitor) -> R) -> R {
        read(&self.shared.monitor.read())
    }

    /// How old the state is: the time since the newest record, by the clock that says more. A wall
    /// clock that is behind would say nothing, and the monotonic one stands while a machine sleeps.
    #[must_use]
    pub fn age(&self, now: Reading) -> Duration {
        let received_at = self.shared.monitor.read().now();
        let by_wall = u64::try_from(now.wall.since(received_at)).map(Duration::from_nanos);
        let committed_at = *self.shared.committed_at.lock();
        let passed = now.monotonic.zip(committed_at).map(|(now, then)| now.saturating_sub(then));
        by_wall.unwrap_or_default().max(passed.unwrap_or_default())
    }

    /// Whether requests are taken: caught up, the log healthy, not draining, the queue not full.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ok()
    }

    /// The same as [`Handle::is_ready`], with the reason.
    ///
    /// # Errors
    /// Why requests are not taken.
    pub fn readiness(&self) -> Result<(), NotReady> {
        let status = self.shared.status.borrow().clone();
        match status.log {
            Some(EngineError::JournalFailed) => return Err(NotReady::JournalFailed),
            Some(EngineError::DiskFull) => return Err(NotReady::DiskFull),
            Some(EngineError::Overloaded | EngineError::Closed) | None => {}
        }
        match status.phase {
            Phase::Starting => Err(NotReady::Starting),
            Phase::Draining | Phase::Closed => Err(NotReady::Draining),
            Phase::Open if self.shared.sender.capacity() == 0 => Err(NotReady::Overloaded),
            Phase::Open => Ok(()),
        }
    }

    /// Requests that wait, and how many may.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        let max = self.shared.sender.max_capacity();
        (max - self.shared.sender.capacity(), max)
    }

    /// Whether a request waits for the writer.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.shared.budget.available_permits() < self.shared.bytes_max
    }

    /// What the fold tells the world from now on. A subscriber that falls behind loses the oldest,
    /// and learns how many.
    #[must_use]
    pub fn directives(&self) -> Subscription {
        self.shared.feed.subscribe()
    }

    /// The same after the directive of that id, as far as it is still held.
    #[must_use]
    pub fn directives_after(&self, id: DirectiveId) -> (Subscription, Resumed) {
        self.shared.feed.subscribe_after(id)
    }

    /// Waits until no permit is issued any more: the process is ending, or the log has failed.
    pub async fn closing(&self) {
        let mut status = self.shared.status.subscribe();
        let closing =
            |s: &Status| s.phase > Phase::Open || s.log == Some(EngineError::JournalFailed);
        // The sender lives in `self`, so the wait cannot fail.
        status.wait_for(closing).await.ok();
    }

    /// Says that a second passed. Never waits and is never refused: a tick that finds the writer
    /// busy goes with the next batch.
    pub fn tick(&self) {
        self.shared.tick_due.store(true, Ordering::Release);
        // A full queue means that the writer is awake.
        self.shared.sender.try_send(Message::Wake).ok();
    }

    /// Does something with the log, between two batches. Ingest waits meanwhile.
    ///
    /// # Errors
    /// [`EngineError::Closed`] when the writer has ended; the error of the log.
    pub async fn with_log<R: Send + 'static>(
        &self,
        run: impl FnOnce(&mut dyn EventLog) -> Result<R, LogError> + Send + 'static,
    ) -> Result<R, LogErrand> {
        let (answer, result) = oneshot::channel();
        let errand: Errand = Box::new(move |log| {
            // Whoever asked may be gone.
            answer.send(run(log)).ok();
        });
        let sent = self.shared.sender.send(Message::Errand(errand)).await;
        sent.map_err(|_| LogErrand::Engine(EngineError::Closed))?;
        let result = result.await.map_err(|_| LogErrand::Engine(EngineError::Closed))?;
        result.map_err(LogErrand::Log)
    }

    /// Not ready from now on; requests are still taken until [`Handle::stop`].
    pub fn drain(&self) {
        self.shared.set_phase(Phase::Draining);
    }

    /// Lets the writer commit what waits, and end. Later requests are answered
    /// [`EngineError::Closed`].
    pub async fn stop(&self) {
        self.shared.sender.send(Message::Stop).await.ok();
    }

    /// Waits until the state is caught up with the log, or the writer has ended.
    pub async fn opened(&self) {
        let mut status = self.shared.status.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        status.wait_for(|s| s.phase > Phase::Starting).await.ok();
    }

    /// Waits until the log has failed or the writer has ended, whichever comes first.
    pub async fn ended(&self) {
        let mut status = self.shared.status.subscribe();
        let dead =
            |s: &Status| s.phase == Phase::Closed || s.log == Some(EngineError::JournalFailed);
        // The sender lives in `self`, so the wait cannot fail.
        status.wait_for(dead).await.ok();
    }
}

/// An engine for the tests of others: a log in memory, a clock that stands, a writer that runs.
#[cfg(test)]
mod testing {
    use super::Handle;
    use crate::domain::limits;
    use crate::domain::monitor::Monitor;
    use crate::domain::settings::Settings;
    use crate::domain::time::Timestamp;
    use crate::engine::{RecordCodec, SettingsCodec, Writer, channel};
    use crate::journal::MemoryLog;

    /// 2026-11-22T15:00:00Z, the time at which everything is received.
    const NOW_NANOS: i64 = 1_795_359_600_000_000_000;

    impl Handle {
        /// A handle on an engine whose writer runs until the test ends.
        #[must_use]
        #[expect(clippy::disallowed_methods, reason = "a test has no app that owns the writer")]
        pub fn new(monitor: Monitor) -> Self {
            let settings =
                SettingsCodec { encode: |_| Vec::new(), decode: |_| Ok(Settings::default()) };
            let codec = RecordCodec::new(settings);
            let (handle, inbox) = channel(monitor, codec, limits::QUEUE_REQUESTS_MAX);
            let log = Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX));
            let mut writer = Writer::new(inbox.monitor(), log, codec);
            inbox.open();
            let now = Timestamp::from_nanos(NOW_NANOS).unwrap_or(Timestamp::MIN);
            std::thread::spawn(move || inbox.run(&mut writer, || now));
            handle
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::limits;
    use crate::domain::settings::Settings;
    use crate::domain::time::Timestamp;
    use crate::engine::{RecordCodec, SettingsCodec, Writer, channel};
    use crate::journal::MemoryLog;

    #[test]
    fn the_age_of_the_state_is_told_by_the_clock_that_says_more() {
        let settings =
            SettingsCodec { encode: |_| Vec::new(), decode: |_| Ok(Settings::default()) };
        let codec = RecordCodec::new(settings);
        let (handle, inbox) = channel(Monitor::new(Arc::default()), codec, 10);
        let log = Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX));
        let mut writer = Writer::new(inbox.monitor(), log, codec);
        let at = |wall: u64, monotonic: u64| Reading {
            wall: Timestamp::MIN.plus(Duration::from_secs(wall)),
            monotonic: Some(Duration::from_secs(monotonic)),
        };
        assert_eq!(handle.age(at(0, 500)), Duration::ZERO, "nothing was committed");
        handle.tick();
        let tasks = tokio::runtime::Runtime::new().unwrap();
        tasks.block_on(handle.stop());
        inbox.run(&mut writer, || at(600, 1));
        let check = |now: Reading, seconds: u64| {
            assert_eq!(handle.age(now), Duration::from_secs(seconds), "{now:?}");
        };
        check(at(601, 2), 1);
        check(at(2, 13), 12);
        check(at(660, 2), 60);
    }
}
