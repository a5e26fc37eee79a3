//! The engine, assembled: log, state, queue, and the thread of the writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::AppError;
use super::snapshots::Snapshotter;
use crate::clock;
use crate::config::{Config, changes};
use crate::domain::monitor::Monitor;
use crate::domain::principal::Principal;
use crate::domain::record::{Decision, Entry};
use crate::domain::settings::Settings;
use crate::engine::{EncodedRequest, EngineError, Handle, Inbox, NotReady, Writer, channel};
use crate::journal::EventLog;
use crate::metrics::Runtime;

/// The running writer, owned by the app.
pub(super) struct EngineThread {
    handle: Handle,
    /// The result of the thread. It includes the log, which keeps the directory locked until it is
    /// dropped. The sender is dropped without a result when the thread panics.
    ended: oneshot::Receiver<Result<Box<dyn EventLog>, AppError>>,
    snapshotter: Option<Snapshotter>,
}

impl EngineThread {
    /// Opens the log and starts the thread, which replays the log first.
    pub(super) fn start(config: &Config, runtime: &Arc<Runtime>) -> Result<Self, AppError> {
        let log = super::log::open(config, runtime)?;
        let snapshotter = Snapshotter::open(&config.storage, runtime)?;
        if snapshotter.is_none() {
            // A log in memory is empty: the replay is complete.
            runtime.snapshots.replay_progress.set(1.0);
        }
        let settings = Arc::clone(&config.settings);
        let monitor = Monitor::new(Arc::clone(&settings));
        let (handle, inbox) = channel(monitor, config.web.queue_requests_max);
        let state_bytes_max = config.state_bytes_max.unwrap_or_else(super::memory::half);
        let writer = inbox.writer(log, state_bytes_max).measured_by(elapsed);
        let (done, ended) = oneshot::channel();
        let own = snapshotter.clone();
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let result = write(inbox, writer, settings, own.as_ref());
                // The receiver is gone if the app stopped waiting for this thread.
                done.send(result).ok();
            })
            .map_err(|source| AppError::SetUp { what: "the writer", source })?;
        Ok(Self { handle, ended, snapshotter })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// `None` if the state is kept only in memory.
    pub(super) fn snapshotter(&self) -> Option<Snapshotter> {
        self.snapshotter.clone()
    }

    /// Stops the writer after it has committed its queue, and takes a last snapshot. Returns the
    /// sequence number of the last record.
    pub(super) async fn stop(self, flush_timeout: Duration) -> Result<u64, AppError> {
        let stop = async {
            self.handle.stop().await;
            self.ended.await
        };
        match tokio::time::timeout(flush_timeout, stop).await {
            Ok(Ok(result)) => {
                let log = result?;
                let failed = self.handle.readiness() == Err(NotReady::JournalFailed);
                if let Some(snapshotter) = self.snapshotter.filter(|_| !failed) {
                    snapshotter.finish(&self.handle).await;
                }
                // Another process may open the journal only now, after the last snapshot.
                drop(log);
                Ok(self.handle.read(Monitor::sequence))
            }
            Ok(Err(_)) => Err(AppError::Writer("panicked")),
            Err(_) => Err(AppError::Writer("did not end in time: the disk does not respond")),
        }
    }
}

/// Records a tick, so that the state has the current time. Without it the first permits after a long
/// pause would be refused. A full disk does not prevent the start, but then the exporter is not ready.
fn catch_up(writer: &mut Writer, inbox: &Inbox) -> Result<(), EngineError> {
    let tick = EncodedRequest::new(vec![Entry::Tick], Vec::new());
    match writer.commit(vec![tick], clock::reading()) {
        Ok(_) => Ok(()),
        Err(EngineError::DiskFull) => {
            inbox.disk_is_full();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Runs the writer: recovers the state, records the settings if they changed, and commits submissions
/// until it is stopped.
fn write(
    inbox: Inbox,
    mut writer: Writer,
    settings: Arc<Settings>,
    snapshotter: Option<&Snapshotter>,
) -> Result<Box<dyn EventLog>, AppError> {
    match snapshotter {
        Some(snapshotter) => snapshotter.recover(&mut writer)?,
        None => writer.recover(&mut |_, _| ())?,
    }
    // Settings are recorded only if they differ from those in force. The batch is committed even if
    // it is empty: it also writes decisions that the fold made before a crash and that were lost.
    let is_under = writer.is_under(&settings);
    let mut entries = Vec::new();
    if !is_under {
        entries.extend(writer.settings().map(|before| changed(&before, &settings)));
        entries.push(Entry::Settings(settings));
    }
    writer.commit(vec![EncodedRequest::new(entries, Vec::new())], clock::reading())?;
    // The settings may have used the reserve; a tick shows whether there is room for events.
    catch_up(&mut writer, &inbox)?;
    // Ready only now: until here a request would have been judged by an old state.
    inbox.open();
    inbox.with_yield(yield_core).with_pace().run(&mut writer, clock::reading);
    Ok(writer.into_log())
}

/// The monotonic time since the first reading of the process.
fn elapsed() -> Duration {
    clock::reading().monotonic.unwrap_or_default()
}

/// The audit entry for settings that changed while the exporter was down.
fn changed(before: &Settings, after: &Settings) -> Entry {
    let change = format!("at the start: {}", changes::of_settings(before, after));
    let by = Principal::exporter();
    Entry::Decision(Decision::Configure { change, is_refused: false, by })
}

/// Offers the core to other threads, and returns how long that took.
fn yield_core() -> Duration {
    let started = clock::monotonic();
    std::thread::yield_now();
    clock::monotonic().saturating_duration_since(started)
}
