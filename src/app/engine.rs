//! The engine's parts put together: log, state, queue, and the thread that writes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{AppError, chain};
use crate::clock;
use crate::config::{Config, settings_codec};
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::domain::settings::Settings;
use crate::engine::{Handle, Inbox, RecordCodec, SettingsCodec, Submission, Writer, channel};
use crate::metrics::Runtime;

/// The running engine, owned by the app.
pub(super) struct Engine {
    handle: Handle,
    /// How the writer's thread ended; dropped when it panicked.
    ended: oneshot::Receiver<Result<(), AppError>>,
}

impl Engine {
    /// Opens the log and starts the writer, which first catches up with the log.
    pub(super) fn start(config: &Config, runtime: &Arc<Runtime>) -> Result<Self, AppError> {
        let log = super::log::open(config, runtime)?;
        let codec = RecordCodec::new(SettingsCodec {
            encode: settings_codec::encode,
            decode: |bytes| settings_codec::decode(bytes).map_err(|e| chain(&e)),
        });
        let settings = Arc::clone(&config.settings);
        let monitor = Monitor::new(Arc::clone(&settings));
        let (handle, inbox) = channel(monitor, codec, config.web.queue_requests_max);
        let writer = Writer::new(inbox.monitor(), log, codec);
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let result = write(inbox, writer, settings, codec);
                // Nobody listens when the app gave up waiting.
                done.send(result).ok();
            })
            .map_err(|source| AppError::SetUp { what: "the writer", source })?;
        Ok(Self { handle, ended })
    }

    /// A handle for everybody else.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Lets the writer commit what waits, and waits for its end. The sequence of the last record.
    pub(super) async fn stop(self, flush_timeout: Duration) -> Result<u64, AppError> {
        let stop = async {
            self.handle.stop().await;
            self.ended.await
        };
        match tokio::time::timeout(flush_timeout, stop).await {
            Ok(Ok(result)) => result.map(|()| self.handle.read(Monitor::sequence)),
            Ok(Err(_)) => Err(AppError::Writer("panicked")),
            Err(_) => Err(AppError::Writer("did not end in time: the disk hangs")),
        }
    }
}

/// The life of the writer: recovers the state, records the settings in force from here on if
/// they are others, and commits what comes.
fn write(
    inbox: Inbox,
    mut writer: Writer,
    settings: Arc<Settings>,
    codec: RecordCodec,
) -> Result<(), AppError> {
    writer.recover(&mut |_, _| ())?;
    // What the configuration says now is a record only where it is not in force already. The batch
    // may be empty: then what the fold decided before a crash is written down, if it was not.
    let entries = if writer.is_under(&settings) { vec![] } else { vec![Entry::Settings(settings)] };
    writer.commit(vec![Submission::new(entries, Vec::new(), &codec)], clock::now())?;
    inbox.open();
    inbox.run(&mut writer, clock::now);
    Ok(())
}
