//! Snapshots of the running state, and the removal of journal segments that they replace.
//!
//! Input: the state, the configuration. Output: a snapshot after a number of records, after an
//! interval, and at a clean shutdown; segments are dropped when two verified snapshots are newer.
//! Invariants: ingest waits only while the state is copied in memory; the log is synced before a
//! snapshot of it gets its name; decisions are archived before their records are dropped; a failure
//! is logged and counted, and ingest continues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{AppError, chain};
use crate::clock;
use crate::config::{StorageConfig, StorageMode};
use crate::domain::monitor::Monitor;
use crate::domain::time::Timestamp;
use crate::engine::{Archive, Handle, RecoverError, SnapshotStore, Writer, recover};
use crate::journal::{
    DiskStorage, JournalReader, LogError, Retention, SnapshotInfo, Snapshots, Storage,
};
use crate::metrics::Runtime;

/// The interval of checks whether a snapshot is due.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a failed snapshot.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// The pause after a snapshot is at least this many times its duration, so that a large state that
/// changes fast is not written all the time. The price is a longer replay at the next start.
const PAUSE_FACTOR: u32 = 20;
/// The interval of log lines about the progress of a replay.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Takes snapshots. Clones share one state.
#[derive(Clone)]
pub(super) struct Snapshotter(Arc<SnapshotterState>);

/// Shared by the writer's thread, which recovers from a snapshot once, the task that takes
/// snapshots, and the blocking threads that write them. No lock is held across an await.
struct SnapshotterState {
    storage: Arc<dyn Storage>,
    /// Locked while a snapshot is read or written, which takes seconds. Only one is at a time.
    states: Mutex<SnapshotStore>,
    config: StorageConfig,
    runtime: Arc<Runtime>,
    last: Mutex<LastSnapshot>,
}

/// The newest snapshot, and the last attempt to take one.
#[derive(Clone, Copy, Default)]
struct LastSnapshot {
    /// The sequence number of the newest snapshot, or 0.
    sequence: u64,
    tried_at: Option<Instant>,
    took: Duration,
    failed: bool,
}

impl Snapshotter {
    /// The snapshots next to the journal. `None` if the state is kept only in memory.
    pub(super) fn open(
        config: &StorageConfig,
        runtime: &Arc<Runtime>,
    ) -> Result<Option<Self>, AppError> {
        if config.mode == StorageMode::Memory {
            return Ok(None);
        }
        let directory = DiskStorage::open(&config.path).map_err(|source| AppError::Journal {
            path: config.path.clone(),
            source: LogError::Failed { doing: "opening the directory", source },
        })?;
        let storage: Arc<dyn Storage> = Arc::new(directory);
        let states = SnapshotStore::new(Snapshots::new(Arc::clone(&storage)));
        Ok(Some(Self(Arc::new(SnapshotterState {
            storage,
            states: Mutex::new(states),
            config: config.clone(),
            runtime: Arc::clone(runtime),
            last: Mutex::default(),
        }))))
    }

    /// Recovers the writer's state from the newest readable snapshot and the log after it.
    pub(super) fn recover(&self, writer: &mut Writer) -> Result<(), RecoverError> {
        let began = clock::monotonic();
        let mut progress = progress(Arc::clone(&self.0.runtime));
        let recovered = recover(writer, &mut self.0.states.lock(), &mut progress)?;
        for unreadable in &recovered.unreadable {
            self.0.runtime.snapshots.errors.inc();
            tracing::error!(error = chain(unreadable), "a snapshot is skipped");
        }
        let from = recovered.snapshot.map(|info| info.sequence);
        if let Some(info) = recovered.snapshot {
            self.note_newest(&info);
        }
        self.0.runtime.snapshots.replay_progress.set(1.0);
        let took = clock::monotonic().saturating_duration_since(began);
        let sequence = writer.sequence();
        let (replayed, seconds) = (sequence - from.unwrap_or(0), took.as_secs_f64());
        tracing::info!(snapshot = from, replayed, sequence, seconds, "the state is recovered");
        Ok(())
    }

    /// Takes snapshots when they are due, until `stop` is cancelled.
    pub(super) async fn run(self, handle: Handle, stop: CancellationToken) {
        let mut checks = tokio::time::interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let began = clock::monotonic();
        while stop.run_until_cancelled(checks.tick()).await.is_some() {
            if handle.is_ready() && self.is_due(handle.read(Monitor::sequence), began) {
                self.take(&handle).await;
            }
        }
    }

    /// Whether enough records, or enough time with at least one record, have passed.
    fn is_due(&self, sequence: u64, began: Instant) -> bool {
        let last = *self.0.last.lock();
        let since = clock::monotonic().saturating_duration_since(last.tried_at.unwrap_or(began));
        let records = sequence.saturating_sub(last.sequence);
        if last.failed {
            return since >= RETRY_AFTER;
        }
        if since < last.took * PAUSE_FACTOR {
            return false;
        }
        records >= self.0.config.snapshot_records
            || records > 0 && since >= self.0.config.snapshot_interval
    }

    /// Takes a snapshot, then drops the segments that are no longer needed.
    async fn take(&self, handle: &Handle) {
        let began = clock::monotonic();
        let kept = self.keep(handle).await;
        let mut last = *self.0.last.lock();
        let ended = clock::monotonic();
        last.tried_at = Some(ended);
        last.took = ended.saturating_duration_since(began);
        last.failed = kept.is_err();
        *self.0.last.lock() = last;
        let retained = match kept {
            Ok(Some(unneeded)) => self.retain(handle, unneeded).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = retained {
            self.0.runtime.snapshots.errors.inc();
            tracing::error!(
                error,
                "the snapshot failed, or segments could not be dropped after it"
            );
        }
    }

    /// Stores the current state. Returns the sequence number up to which records are no longer needed.
    async fn keep(&self, handle: &Handle) -> Result<Option<u64>, String> {
        // The copy needs the read lock for its whole time, so it does not run on a thread of tasks.
        let (state, copy) = {
            let handle = handle.clone();
            blocking(move || {
                let began = clock::monotonic();
                let state = handle.read(Monitor::clone);
                (state, clock::monotonic().saturating_duration_since(began))
            })
            .await?
        };
        // A snapshot must not be newer than the journal: after a power cut it would have records that
        // the journal lost.
        handle.with_log(|log| log.sync()).await.map_err(|error| chain(&error))?;
        let snapshotter = self.clone();
        blocking(move || snapshotter.write(&state, copy)).await?
    }

    /// Writes a state to disk, and decides which older snapshots are kept.
    fn write(&self, state: &Monitor, copy: Duration) -> Result<Option<u64>, String> {
        let began = clock::monotonic();
        let mut states = self.0.states.lock();
        let info = states.keep(state).map_err(|error| chain(&error))?;
        let took = clock::monotonic().saturating_duration_since(began);
        self.note_newest(&info);
        self.0.runtime.snapshots.set_duration(copy, took);
        let SnapshotInfo { sequence, stored_bytes: bytes, state_bytes, .. } = info;
        let (copy_seconds, seconds) = (copy.as_secs_f64(), took.as_secs_f64());
        tracing::info!(sequence, bytes, state_bytes, copy_seconds, seconds, "a snapshot was taken");
        let (unneeded, damaged) = states.prune().map_err(|error| chain(&error))?;
        for error in damaged {
            self.0.runtime.snapshots.errors.inc();
            tracing::error!(error = chain(&error), "an older snapshot cannot be read");
        }
        Ok(unneeded)
    }

    /// Drops the segments that are past their retention, up to that sequence number. The decisions in
    /// them are archived first.
    async fn retain(&self, handle: &Handle, unneeded: u64) -> Result<(), String> {
        let received_after_nanos =
            self.0.config.retention_age.map(|age| clock::now().minus(age).as_nanos());
        let bytes_max = self.0.config.retention_bytes;
        let retention = Retention { bytes_max, received_after_nanos };
        let due = move |log: &mut dyn crate::journal::EventLog| {
            Ok((log.first_sequence(), log.due_before(&retention)?))
        };
        let (first, due) = handle.with_log(due).await.map_err(|error| chain(&error))?;
        let below = due.min(unneeded + 1);
        if below <= first {
            return Ok(());
        }
        let storage = Arc::clone(&self.0.storage);
        // The archive before the segments: a crash in between leaves both, and nothing is lost.
        let copied = blocking(move || {
            let reader = JournalReader::open(Arc::clone(&storage))?;
            Archive::new(storage).copy(&reader, below)
        });
        let decisions = copied.await?.map_err(|error| chain(&error))?;
        let drop = move |log: &mut dyn crate::journal::EventLog| {
            log.drop_before(below).map(|()| log.first_sequence())
        };
        let now_first = handle.with_log(drop).await.map_err(|error| chain(&error))?;
        if now_first > first {
            tracing::info!(
                first,
                now_first,
                decisions,
                "segments older than the snapshots were dropped"
            );
        }
        Ok(())
    }

    /// Takes the last snapshot of a clean shutdown, if there are newer records than the one before. The
    /// caller still holds the lock on the directory.
    pub(super) async fn finish(&self, handle: &Handle) {
        if handle.read(Monitor::sequence) <= self.0.last.lock().sequence {
            return;
        }
        let (snapshotter, handle) = (self.clone(), handle.clone());
        let written =
            blocking(move || handle.read(|state| snapshotter.write(state, Duration::ZERO)));
        if let Err(error) = written.await.and_then(|written| written) {
            tracing::error!(error, "the last snapshot failed");
        }
    }

    /// Notes the newest snapshot, here and as a metric.
    fn note_newest(&self, info: &SnapshotInfo) {
        self.0.last.lock().sequence = info.sequence;
        if let Ok(at) = Timestamp::from_nanos(info.received_at_nanos) {
            let (sequence, bytes) = (info.sequence, info.stored_bytes);
            self.0.runtime.snapshots.set_newest(at, sequence, bytes);
        }
    }
}

/// Reports the progress of a replay: always on /metrics, and regularly in the log.
pub(super) fn progress(runtime: Arc<Runtime>) -> impl FnMut(u64, u64) {
    let mut first = None;
    let mut logged_at = clock::monotonic();
    move |reached, last| {
        let first = *first.get_or_insert(reached);
        let ratio = ratio(reached - first, last.saturating_sub(first));
        runtime.snapshots.replay_progress.set(ratio);
        let now = clock::monotonic();
        if now.saturating_duration_since(logged_at) >= LOG_EVERY {
            logged_at = now;
            tracing::info!(reached, last, ratio, "the journal is being replayed");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a statistic")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Runs a blocking function on a blocking thread, and waits for it.
#[expect(
    clippy::disallowed_methods,
    reason = "the snapshotter waits for it, and the app for the snapshotter"
)]
async fn blocking<R: Send + 'static>(
    run: impl FnOnce() -> R + Send + 'static,
) -> Result<R, String> {
    tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())
}
