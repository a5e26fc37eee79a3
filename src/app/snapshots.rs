//! Snapshots of the running state, and what of the journal goes behind them.
//!
//! Input: the state, the configuration. Output: a snapshot after so many records, after so long, and
//! at a clean end; segments dropped behind two that were read back. Invariants: ingest waits for the
//! copy of the state in memory and no longer; the log is synced before a snapshot of it has a name;
//! decisions are copied out before their records go; whatever goes wrong is told and counted, and
//! ingest goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{AppError, chain};
use crate::clock;
use crate::config::{StorageConfig, StorageMode};
use crate::domain::monitor::Monitor;
use crate::domain::time::Timestamp;
use crate::engine::{Archive, Handle, RecoverError, StateCodec, States, Writer, recover};
use crate::journal::{
    DiskStorage, JournalReader, LogError, Retention, SnapshotInfo, Snapshots, Storage,
};
use crate::metrics::{Runtime, SnapshotFigure};

/// How often it is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After one that failed, the next is not tried before this.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// After one that took a second, the next is not taken before so many: a state of gigabytes that grows
/// fast is not written over and over. The next start replays the more.
const REST: u32 = 20;
/// A replay that takes longer tells how far it is, this often.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Takes snapshots; clones are the same.
#[derive(Clone)]
pub(super) struct Keeper(Arc<Shared>);

struct Shared {
    storage: Arc<dyn Storage>,
    states: Mutex<States>,
    config: StorageConfig,
    runtime: Arc<Runtime>,
    last: Mutex<Last>,
}

/// The newest snapshot, and when one was last tried.
#[derive(Clone, Copy, Default)]
struct Last {
    sequence: u64,
    tried_at: Option<Instant>,
    took: Duration,
    failed: bool,
}

impl Keeper {
    /// The snapshots beside the journal; none where nothing is kept on disk.
    pub(super) fn open(
        config: &StorageConfig,
        codec: StateCodec,
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
        let states = States::new(Snapshots::new(Arc::clone(&storage)), codec);
        Ok(Some(Self(Arc::new(Shared {
            storage,
            states: Mutex::new(states),
            config: config.clone(),
            runtime: Arc::clone(runtime),
            last: Mutex::default(),
        }))))
    }

    /// Brings the writer's state to the end of its log.
    pub(super) fn recover(&self, writer: &mut Writer) -> Result<(), RecoverError> {
        let began = clock::monotonic();
        let mut progress = progress(Arc::clone(&self.0.runtime));
        let recovered = recover(writer, &mut self.0.states.lock(), &mut progress)?;
        for unreadable in &recovered.unreadable {
            self.0.runtime.snapshots().error();
            tracing::error!(error = chain(unreadable), "a snapshot is passed over");
        }
        let from = recovered.snapshot.map(|info| info.sequence);
        if let Some(info) = recovered.snapshot {
            self.stands(&info);
        }
        self.0.runtime.snapshots().replayed(1.0);
        let took = clock::monotonic().saturating_duration_since(began);
        let sequence = writer.sequence();
        let (replayed, seconds) = (sequence - from.unwrap_or(0), took.as_secs_f64());
        tracing::info!(snapshot = from, replayed, sequence, seconds, "the state is caught up");
        Ok(())
    }

    /// Takes snapshots when they are due, until told to stop.
    pub(super) async fn run(self, handle: Handle, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let began = clock::monotonic();
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            if handle.is_ready() && self.is_due(handle.read(Monitor::sequence), began) {
                self.take(&handle).await;
            }
        }
    }

    /// Whether there is something new to keep, and enough of it or for long enough.
    fn is_due(&self, sequence: u64, began: Instant) -> bool {
        let last = *self.0.last.lock();
        let since = clock::monotonic().saturating_duration_since(last.tried_at.unwrap_or(began));
        let records = sequence.saturating_sub(last.sequence);
        if last.failed {
            return since >= RETRY_AFTER;
        }
        if since < last.took * REST {
            return false;
        }
        records >= self.0.config.snapshot_records
            || records > 0 && since >= self.0.config.snapshot_interval
    }

    /// Takes one, and drops what is not needed any more behind it.
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
            Ok(Some(needless)) => self.retain(handle, needless).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = retained {
            self.0.runtime.snapshots().error();
            tracing::error!(error, "no snapshot was taken, or nothing could be dropped behind it");
        }
    }

    /// Keeps the state as it is now. Returns up to where records are needless.
    async fn keep(&self, handle: &Handle) -> Result<Option<u64>, String> {
        let (state, copy) = {
            let handle = handle.clone();
            blocking(move || {
                let began = clock::monotonic();
                let state = handle.read(Monitor::clone);
                (state, clock::monotonic().saturating_duration_since(began))
            })
            .await?
        };
        handle.with_log(|log| log.sync()).await.map_err(|error| chain(&error))?;
        let keeper = self.clone();
        blocking(move || keeper.write(&state, copy)).await?
    }

    /// Writes a state down, and looks which snapshots stay.
    fn write(&self, state: &Monitor, copy: Duration) -> Result<Option<u64>, String> {
        let began = clock::monotonic();
        let mut states = self.0.states.lock();
        let info = states.keep(state).map_err(|error| chain(&error))?;
        let took = clock::monotonic().saturating_duration_since(began);
        self.stands(&info);
        self.0.runtime.snapshots().took(copy, took);
        let SnapshotInfo { sequence, stored_bytes: bytes, state_bytes, .. } = info;
        let (copy_seconds, seconds) = (copy.as_secs_f64(), took.as_secs_f64());
        tracing::info!(sequence, bytes, state_bytes, copy_seconds, seconds, "a snapshot was taken");
        let (needless, damaged) = states.settle().map_err(|error| chain(&error))?;
        for error in damaged {
            self.0.runtime.snapshots().error();
            tracing::error!(error = chain(&error), "an older snapshot cannot be read");
        }
        Ok(needless)
    }

    /// Drops the segments that are past their time, up to that sequence, after the decisions in them
    /// were copied out.
    async fn retain(&self, handle: &Handle, needless: u64) -> Result<(), String> {
        let received_after_nanos =
            self.0.config.retention_age.map(|age| clock::now().minus(age).as_nanos());
        let bytes_max = self.0.config.retention_bytes;
        let retention = Retention { bytes_max, received_after_nanos };
        let due = move |log: &mut dyn crate::journal::EventLog| {
            Ok((log.first_sequence(), log.due_before(&retention)?))
        };
        let (first, due) = handle.with_log(due).await.map_err(|error| chain(&error))?;
        let below = due.min(needless + 1);
        if below <= first {
            return Ok(());
        }
        let storage = Arc::clone(&self.0.storage);
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
            tracing::info!(first, now_first, decisions, "segments were dropped behind snapshots");
        }
        Ok(())
    }

    /// Takes the last one of a clean end, if anything happened since the one before. Whoever calls
    /// it still has the directory.
    pub(super) async fn finish(&self, handle: &Handle) {
        if handle.read(Monitor::sequence) <= self.0.last.lock().sequence {
            return;
        }
        let (keeper, handle) = (self.clone(), handle.clone());
        let written = blocking(move || handle.read(|state| keeper.write(state, Duration::ZERO)));
        if let Err(error) = written.await.and_then(|written| written) {
            tracing::error!(error, "no snapshot was taken at the end");
        }
    }

    fn stands(&self, info: &SnapshotInfo) {
        self.0.last.lock().sequence = info.sequence;
        if let Ok(at) = Timestamp::from_nanos(info.received_at_nanos) {
            let (sequence, bytes) = (info.sequence, info.stored_bytes);
            self.0.runtime.snapshots().stands(SnapshotFigure { at, sequence, bytes });
        }
    }
}

/// Tells how far a replay is, on /metrics at once and on the log now and then.
pub(super) fn progress(runtime: Arc<Runtime>) -> impl FnMut(u64, u64) {
    let mut first = None;
    let mut told_at = clock::monotonic();
    move |reached, last| {
        let first = *first.get_or_insert(reached);
        let ratio = ratio(reached - first, last.saturating_sub(first));
        runtime.snapshots().replayed(ratio);
        let now = clock::monotonic();
        if now.saturating_duration_since(told_at) >= TELL_EVERY {
            told_at = now;
            tracing::info!(reached, last, ratio, "the journal is being replayed");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a statistic")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Runs what blocks on a thread of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the keeper waits for it, and the app for the keeper"
)]
async fn blocking<R: Send + 'static>(
    run: impl FnOnce() -> R + Send + 'static,
) -> Result<R, String> {
    tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())
}
