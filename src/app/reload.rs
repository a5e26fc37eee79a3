//! Reading the configuration again: on SIGHUP, and when the API asks.
//!
//! Invariants: one reload at a time; a file with a mistake changes nothing; the settings are in
//! the log before the rest is swapped in; what needs a restart stays as it was, with a warning.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::probes::Probes;
use super::tasks::hangup;
use super::webhooks::Webhooks;
use super::{ConfigSource, chain};
use crate::clock;
use crate::config::{Config, ConfigError, changes};
use crate::domain::audit::By;
use crate::domain::limits;
use crate::domain::record::{Decision, Entry};
use crate::engine::{EngineError, Handle};
use crate::metrics::Runtime;

/// Why the configuration before it stays in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// The file cannot be read, or has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It could not be recorded.
    #[error("the configuration could not be recorded")]
    Record(#[from] EngineError),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

/// Who asks for a reload, and waits for its result.
#[derive(Debug)]
struct Asked {
    by: By,
    answer: Option<oneshot::Sender<Result<(), String>>>,
}

/// Asks the reloader to reload.
#[derive(Clone, Debug)]
pub(super) struct Reload(mpsc::Sender<Asked>);

impl Reload {
    /// Reads the configuration again, and says in full why it was refused.
    pub(super) async fn reload(self, by: By) -> Result<(), String> {
        let (answer, result) = oneshot::channel();
        let asked = self.0.send(Asked { by, answer: Some(answer) }).await;
        asked.map_err(|_| ReloadError::Ending.to_string())?;
        result.await.unwrap_or_else(|_| Err(ReloadError::Ending.to_string()))
    }
}

/// The task that owns the configuration in force.
pub(super) struct Reloader {
    source: ConfigSource,
    config: Arc<ArcSwap<Config>>,
    handle: Handle,
    runtime: Arc<Runtime>,
    hangup: Signal,
    requests: mpsc::Receiver<Asked>,
    probes: Probes,
    webhooks: Webhooks,
}

impl Reloader {
    /// A reloader, and the way to ask it.
    pub(super) fn new(
        source: ConfigSource,
        config: Arc<ArcSwap<Config>>,
        handle: Handle,
        runtime: Arc<Runtime>,
    ) -> io::Result<(Self, Reload)> {
        let hangup = hangup()?;
        let (sender, requests) = mpsc::channel(1);
        let probes = Probes::new(handle.clone());
        let webhooks = Webhooks::new(handle.clone(), &runtime, &config.load());
        let reloader = Self { source, config, handle, runtime, hangup, requests, probes, webhooks };
        Ok((reloader, Reload(sender)))
    }

    /// Runs the probes, and reloads whenever it is asked to, until `stop` falls. The probes are
    /// tasks of `tasks`.
    pub(super) async fn run(mut self, tasks: TaskTracker, stop: CancellationToken) {
        self.carry_out(&tasks).await;
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                request = self.requests.recv() => match request {
                    Some(asked) => asked,
                    None => return,
                },
                _ = self.hangup.recv() => Asked { by: By::signal(), answer: None },
            };
            let result = self.reload(&asked.by).await.map_err(|error| chain(&error));
            match &result {
                Ok(()) => {
                    self.carry_out(&tasks).await;
                    self.runtime.config_loaded(clock::now());
                    tracing::info!(
                        by = asked.by.actor.as_str(),
                        "the configuration was loaded again"
                    );
                }
                Err(error) => {
                    self.runtime.config_refused();
                    tracing::error!(error, "the configuration was refused; the old one stands");
                }
            }
            // Whoever asked may be gone.
            asked.answer.map(|answer| answer.send(result).ok());
        }
    }

    /// Begins what the configuration in force asks for, and ends what it does not.
    async fn carry_out(&mut self, tasks: &TaskTracker) {
        let config = self.config.load_full();
        self.probes.run(&config.probes, tasks);
        self.probes.retire_others(&config.probes).await;
        self.webhooks.run(&config.webhooks, tasks).await;
    }

    async fn reload(&self, by: &By) -> Result<(), ReloadError> {
        let running = self.config.load_full();
        let fresh = match self.load(&running) {
            Ok(fresh) => fresh,
            Err(error) => {
                let refused = configured(chain(&error), Outcome::Refused, by);
                // The trail is not what was asked for: the mistakes are told in any case.
                if let Err(error) = self.handle.submit(vec![refused], Vec::new()).await {
                    tracing::error!(
                        error = chain(&error),
                        "the refused reload is not in the journal"
                    );
                }
                return Err(error.into());
            }
        };
        let change = configured(changes::between(&running, &fresh), Outcome::Taken, by);
        let entries = vec![change, Entry::Settings(fresh.settings.clone())];
        self.handle.submit(entries, Vec::new()).await?;
        self.config.store(Arc::new(fresh));
        Ok(())
    }

    /// Reads the file, and keeps what was bound or sized at start. It is read a second time with
    /// the address in use said above it, so that it is checked for the address that others reach,
    /// not for the one that a restart would take.
    fn load(&self, running: &Config) -> Result<Config, ConfigError> {
        let asked = self.source.load()?;
        let mut source = self.source.clone();
        source.overrides.listen_address = Some(running.web.listen_address);
        let mut fresh = source.load()?;
        let (now, then) = (&running.web, &asked.web);
        let restart = [
            ("web.listen_address", now.listen_address != then.listen_address),
            ("web.header_timeout", now.header_timeout != then.header_timeout),
            ("web.idle_timeout", now.idle_timeout != then.idle_timeout),
            ("web.connections_max", now.connections_max != then.connections_max),
            ("web.drain_timeout", now.drain_timeout != then.drain_timeout),
            ("web.queue_requests_max", now.queue_requests_max != then.queue_requests_max),
            ("storage", running.storage != asked.storage),
        ];
        for (field, _) in restart.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(field, "this change waits for a restart");
        }
        fresh.web.header_timeout = now.header_timeout;
        fresh.web.idle_timeout = now.idle_timeout;
        fresh.web.connections_max = now.connections_max;
        fresh.web.drain_timeout = now.drain_timeout;
        fresh.web.queue_requests_max = now.queue_requests_max;
        fresh.storage = running.storage.clone();
        Ok(fresh)
    }
}

/// What became of a configuration that was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    Refused,
}

/// The line of a reload in the audit trail.
fn configured(mut change: String, outcome: Outcome, by: &By) -> Entry {
    change.truncate(change.floor_char_boundary(limits::TEXT_BYTES_MAX));
    let is_refused = outcome == Outcome::Refused;
    Entry::Decision(Decision::Configure { change, is_refused, by: by.clone() })
}
