//! The configured log, with metrics.
//!
//! Input: the configuration. Output: a log for the writer; for a log on disk also a thread that
//! prepares its segments and ends with it. Invariant: a configuration that may lose acknowledged
//! events in a restart or a power cut is reported in the log output and on /metrics.

use std::path::Path;
use std::sync::Arc;

use super::AppError;
use crate::clock;
use crate::config::{Config, StorageConfig, StorageMode, StorageSync};
use crate::domain::limits;
use crate::journal::{
    Batch, DiskStorage, Durability, EventLog, LocalLog, LocalOptions, LogError, MemoryLog,
    Retention, SyncMode, SyncTimer,
};
use crate::metrics::{DurabilityLabel, Runtime};

/// Opens the log.
pub(super) fn open(config: &Config, runtime: &Arc<Runtime>) -> Result<Box<dyn EventLog>, AppError> {
    let log: Box<dyn EventLog> = match config.storage.mode {
        StorageMode::Journal => Box::new(open_local(&config.storage, runtime)?),
        StorageMode::Memory => Box::new(MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX)),
    };
    let durability = match log.durability() {
        Durability::Memory => {
            tracing::warn!("records are kept in memory: a restart loses everything");
            DurabilityLabel::Memory
        }
        Durability::Relaxed => {
            tracing::warn!(
                "events are acknowledged before they are on the disk: a power cut may lose the \
                 newest"
            );
            DurabilityLabel::Relaxed
        }
        Durability::Synced => DurabilityLabel::Synced,
    };
    runtime.journal.durability.of(durability).set(1);
    runtime.journal.bytes.set(log.size_bytes());
    Ok(Box::new(MeteredLog { log, runtime: Arc::clone(runtime) }))
}

fn open_local(storage: &StorageConfig, runtime: &Arc<Runtime>) -> Result<LocalLog, AppError> {
    let path = storage.path.clone();
    let failed = |source| AppError::Journal { path: path.clone(), source };
    let directory = directory(&storage.path).map_err(failed)?;
    let observer = Arc::clone(runtime);
    let timer = SyncTimer {
        now: clock::monotonic,
        observe: Arc::new(move |took| observer.journal.sync_duration.observe(took.as_secs_f64())),
    };
    let sync = match storage.sync {
        StorageSync::EveryBatch => SyncMode::EveryBatch,
        StorageSync::Interval => SyncMode::Interval(storage.sync_interval),
    };
    let segment_bytes = storage.segment_bytes;
    let options = LocalOptions { segment_bytes, sync, timer: Some(timer) };
    let mut log = LocalLog::open(Arc::new(directory), options).map_err(failed)?;
    runtime.journal.torn_tails.set(log.torn_tails().map_err(failed)?);
    if let Some(torn) = log.torn() {
        let (segment, offset, kept_as) = (&torn.segment, torn.offset, &torn.kept_as);
        tracing::warn!(
            segment,
            offset,
            bytes = torn.size_bytes,
            kept_as,
            "a crash cut short a batch that was never acknowledged; it was moved aside"
        );
    }
    let preallocator = log.preallocator();
    std::thread::Builder::new()
        .name("preallocator".into())
        .spawn(move || preallocator.run())
        .map_err(|source| AppError::SetUp { what: "the preallocator of segments", source })?;
    let (first, last) = (log.first_sequence(), log.last_sequence());
    tracing::info!(path = %path.display(), first, last, "the journal is open");
    Ok(log)
}

fn directory(path: &Path) -> Result<DiskStorage, LogError> {
    DiskStorage::open_or_create(path)
        .map_err(|source| LogError::Failed { doing: "opening the directory", source })
}

/// A log with metrics of its size and its errors.
struct MeteredLog {
    log: Box<dyn EventLog>,
    runtime: Arc<Runtime>,
}

impl MeteredLog {
    fn count<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        match &result {
            Ok(_) => self.runtime.journal.bytes.set(self.log.size_bytes()),
            Err(_) => self.runtime.journal.errors.inc(),
        }
        result
    }
}

impl EventLog for MeteredLog {
    fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        let result = self.log.append(batch);
        self.count(result)
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let result = self.log.sync();
        self.count(result)
    }

    fn check_in_place(&mut self) -> Result<(), LogError> {
        let result = self.log.check_in_place();
        self.count(result)
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.log.replay(from, visit)
    }

    fn first_sequence(&self) -> u64 {
        self.log.first_sequence()
    }

    fn last_sequence(&self) -> u64 {
        self.log.last_sequence()
    }

    fn drop_before(&mut self, sequence: u64) -> Result<(), LogError> {
        let result = self.log.drop_before(sequence);
        self.count(result)
    }

    fn due_before(&self, retention: &Retention) -> Result<u64, LogError> {
        self.log.due_before(retention)
    }

    fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    fn durability(&self) -> Durability {
        self.log.durability()
    }
}
