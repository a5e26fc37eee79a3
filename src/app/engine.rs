//! The engine's parts put together: log, state, queue, and the thread that writes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::snapshots::Keeper;
use super::{AppError, chain};
use crate::clock;
use crate::config::{Config, changes, settings_codec};
use crate::domain::audit::By;
use crate::domain::monitor::Monitor;
use crate::domain::record::{Decision, Entry};
use crate::domain::settings::Settings;
use crate::engine::{
    EngineError, Handle, Inbox, NotReady, RecordCodec, SettingsCodec, StateCodec, Submission,
    Writer, channel,
};
use crate::journal::EventLog;
use crate::metrics::Runtime;

/// How settings stand in records and snapshots.
pub(crate) const SETTINGS: SettingsCodec = SettingsCodec {
    encode: settings_codec::encode,
    decode: |bytes| settings_codec::decode(bytes).map_err(|e| chain(&e)),
};

/// The running engine, owned by the app.
pub(super) struct Engine {
    handle: Handle,
    /// How the writer's thread ended, with the log, whose directory is one's own until it is
    /// dropped; dropped when it panicked.
    ended: oneshot::Receiver<Result<Box<dyn EventLog>, AppError>>,
    keeper: Option<Keeper>,
}

impl Engine {
    /// Opens the log and starts the writer, which first catches up with the log.
    pub(super) fn start(config: &Config, runtime: &Arc<Runtime>) -> Result<Self, AppError> {
        let log = super::log::open(config, runtime)?;
        let codec = RecordCodec::new(SETTINGS);
        let keeper = Keeper::open(&config.storage, StateCodec::new(SETTINGS), runtime)?;
        if keeper.is_none() {
            // There is nothing to replay.
            runtime.snapshots().replayed(1.0);
        }
        let settings = Arc::clone(&config.settings);
        let monitor = Monitor::new(Arc::clone(&settings));
        let (handle, inbox) = channel(monitor, codec, config.web.queue_requests_max);
        let writer = Writer::new(inbox.monitor(), log, codec);
        let (done, ended) = oneshot::channel();
        let own = keeper.clone();
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let result = write(inbox, writer, settings, (codec, own.as_ref()));
                // Nobody listens when the app gave up waiting.
                done.send(result).ok();
            })
            .map_err(|source| AppError::SetUp { what: "the writer", source })?;
        Ok(Self { handle, ended, keeper })
    }

    /// A handle for everybody else.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Who takes snapshots, where there are any.
    pub(super) fn keeper(&self) -> Option<Keeper> {
        self.keeper.clone()
    }

    /// Lets the writer commit what waits, waits for its end, and takes a last snapshot. The sequence
    /// of the last record.
    pub(super) async fn stop(self, flush_timeout: Duration) -> Result<u64, AppError> {
        let stop = async {
            self.handle.stop().await;
            self.ended.await
        };
        match tokio::time::timeout(flush_timeout, stop).await {
            Ok(Ok(result)) => {
                let log = result?;
                let failed = self.handle.readiness() == Err(NotReady::JournalFailed);
                if let Some(keeper) = self.keeper.filter(|_| !failed) {
                    keeper.finish(&self.handle).await;
                }
                drop(log);
                Ok(self.handle.read(Monitor::sequence))
            }
            Ok(Err(_)) => Err(AppError::Writer("panicked")),
            Err(_) => Err(AppError::Writer("did not end in time: the disk hangs")),
        }
    }
}

/// Brings the state to the present with a tick: without one the first permits after a pause would
/// be refused. A full disk is no reason not to start.
fn catch_up(writer: &mut Writer, codec: &RecordCodec) -> Result<(), EngineError> {
    let tick = Submission::new(vec![Entry::Tick], Vec::new(), codec);
    match writer.commit(vec![tick], clock::reading()) {
        Ok(_) | Err(EngineError::DiskFull) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The life of the writer: recovers the state, records the settings in force from here on if
/// they are others, and commits what comes.
fn write(
    inbox: Inbox,
    mut writer: Writer,
    settings: Arc<Settings>,
    (codec, keeper): (RecordCodec, Option<&Keeper>),
) -> Result<Box<dyn EventLog>, AppError> {
    match keeper {
        Some(keeper) => keeper.recover(&mut writer)?,
        None => writer.recover(&mut |_, _| ())?,
    }
    // What the configuration says now is a record only where it is not in force already. The batch
    // may be empty: then what the fold decided before a crash is written down, if it was not.
    let is_under = writer.is_under(&settings);
    let mut entries = Vec::new();
    if !is_under {
        entries.extend(writer.settings().map(|before| changed(&before, &settings)));
        entries.push(Entry::Settings(settings));
    }
    writer.commit(vec![Submission::new(entries, Vec::new(), &codec)], clock::reading())?;
    if is_under {
        catch_up(&mut writer, &codec)?;
    }
    inbox.open();
    inbox.with_pause(give_way).run(&mut writer, clock::reading);
    Ok(writer.into_log())
}

/// The line of the audit trail about settings that are others than before the restart.
fn changed(before: &Settings, after: &Settings) -> Entry {
    let change = format!("at the start: {}", changes::of_settings(before, after));
    let by = By::exporter();
    Entry::Decision(Decision::Configure { change, is_refused: false, by })
}

/// Lets other threads run, if any wants this core, and says how long that took.
fn give_way() -> Duration {
    let started = clock::monotonic();
    std::thread::yield_now();
    clock::monotonic().saturating_duration_since(started)
}
