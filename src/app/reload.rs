//! Reloads of the configuration: on SIGHUP, and on request of the API. The web configuration file and
//! its certificates are also read again when they change.
//!
//! Invariants: one reload at a time; a file with a mistake changes nothing; the settings are in the
//! journal before the rest of the configuration is replaced; values that need a restart keep their
//! old value, with a warning; a change of the web configuration file replaces nothing else; no reload
//! adds or removes TLS, or removes the last token and user.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::feeds::FeedsChanged;
use super::position_sources::PositionSourceTasks;
use super::probes::ProbeTasks;
use super::tasks::hangup;
use super::web_files::FileWatch;
use super::webhooks::WebhookTasks;
use super::{ConfigSource, chain};
use crate::clock;
use crate::config::{Config, ConfigError, WebFile, changes};
use crate::domain::limits;
use crate::domain::principal::Principal;
use crate::domain::record::{Decision, Entry};
use crate::engine::{EngineError, Handle};
use crate::metrics::Runtime;

/// The reason why the current configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// The file cannot be read, or has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The settings could not be recorded in the journal.
    #[error("the configuration could not be recorded")]
    Record(#[from] EngineError),
    /// The reloader has ended.
    #[error("the process is shutting down")]
    ShuttingDown,
}

/// A reload to carry out, and the way to return its result. SIGHUP waits for none.
#[derive(Debug)]
struct ReloadRequest {
    by: Principal,
    answer: Option<oneshot::Sender<Result<(), String>>>,
}

/// Sends requests to the reloader. Clones send to the same one.
#[derive(Clone, Debug)]
pub(super) struct ReloadSender(mpsc::Sender<ReloadRequest>);

impl ReloadSender {
    /// Reloads the configuration, and waits for it. The error is the full text of the refusal.
    pub(super) async fn reload(self, by: Principal) -> Result<(), String> {
        let (answer, result) = oneshot::channel();
        let sent = self.0.send(ReloadRequest { by, answer: Some(answer) }).await;
        sent.map_err(|_| ReloadError::ShuttingDown.to_string())?;
        result.await.unwrap_or_else(|_| Err(ReloadError::ShuttingDown.to_string()))
    }
}

/// The task that replaces the configuration, and the only one that does.
pub(super) struct Reloader {
    source: ConfigSource,
    /// Shared with the API, which only reads it.
    config: Arc<ArcSwap<Config>>,
    handle: Handle,
    runtime: Arc<Runtime>,
    hangup: Signal,
    requests: mpsc::Receiver<ReloadRequest>,
    probes: ProbeTasks,
    position_sources: PositionSourceTasks,
    webhooks: WebhookTasks,
    feeds_changed: FeedsChanged,
    web_files: FileWatch,
    /// Why the web configuration file was refused the last time; None after it was accepted.
    refusal: Option<String>,
}

impl Reloader {
    /// A reloader and the sender of its requests.
    pub(super) fn new(
        source: ConfigSource,
        config: Arc<ArcSwap<Config>>,
        handle: Handle,
        runtime: Arc<Runtime>,
    ) -> io::Result<(Self, ReloadSender)> {
        let hangup = hangup()?;
        let (sender, requests) = mpsc::channel(1);
        let probes = ProbeTasks::new(handle.clone());
        let position_sources = PositionSourceTasks::new(handle.clone(), Arc::clone(&runtime));
        let webhooks = WebhookTasks::new(handle.clone(), &runtime, &config.load());
        let web_files = FileWatch::new(config.load().web_file.files.clone());
        let reloader = Self {
            source,
            config,
            handle,
            runtime,
            hangup,
            requests,
            probes,
            position_sources,
            webhooks,
            feeds_changed: FeedsChanged::default(),
            web_files,
            refusal: None,
        };
        Ok((reloader, ReloadSender(sender)))
    }

    /// Tells the feeds that the configuration may have changed.
    pub(super) fn feeds_changed(&self) -> FeedsChanged {
        Arc::clone(&self.feeds_changed)
    }

    /// Starts probes, position sources and webhooks as tasks of `tasks`, and carries out reloads until `stop` is
    /// cancelled.
    pub(super) async fn run(mut self, tasks: TaskTracker, stop: CancellationToken) {
        self.carry_out(&tasks).await;
        loop {
            let request = tokio::select! {
                () = stop.cancelled() => return,
                request = self.requests.recv() => match request {
                    Some(request) => request,
                    None => return,
                },
                _ = self.hangup.recv() => ReloadRequest { by: Principal::signal(), answer: None },
                () = self.web_files.changed() => {
                    self.reload_web_file().await;
                    continue;
                }
            };
            let result = self.reload(&request.by).await.map_err(|error| chain(&error));
            match &result {
                Ok(()) => {
                    self.carry_out(&tasks).await;
                    self.runtime.service.config_loaded(clock::now());
                    self.accept_web_file(&self.config.load_full().web_file.files);
                    tracing::info!(
                        by = request.by.actor.as_str(),
                        "the configuration was reloaded"
                    );
                }
                Err(error) => {
                    self.runtime.service.reload_successful.set(0);
                    tracing::error!(
                        error,
                        "the configuration was refused; the old one stays in force"
                    );
                }
            }
            // The client of the request may have disconnected.
            request.answer.map(|answer| answer.send(result).ok());
        }
    }

    /// Starts and stops probes, position sources, feeds and webhooks to match the configuration in force.
    async fn carry_out(&mut self, tasks: &TaskTracker) {
        let config = self.config.load_full();
        self.probes.run(&config.probes, tasks);
        self.feeds_changed.notify_one();
        self.probes.retire_others(&config).await;
        self.position_sources.run(&config.position_sources, tasks).await;
        self.webhooks.run(&config.webhooks, tasks).await;
    }

    /// Reads the web configuration file and the files that it names. With a mistake in one of them the
    /// old ones stay in force.
    async fn reload_web_file(&mut self) {
        let overrides = &self.source.overrides;
        let Some(path) = &overrides.web_config_file else { return };
        let running = self.config.load_full();
        let (loaded, files) = WebFile::load_and_name(path);
        let fresh = loaded.map_err(ConfigError::Mistakes);
        let fresh = match fresh.and_then(|file| running.with_web_file(file, overrides)) {
            Ok(fresh) => fresh,
            Err(error) => return self.refuse_web_file(chain(&error), &running, files).await,
        };
        if fresh.web_file != running.web_file {
            // The journal first, as for any reload.
            let change = changes::between(&running, &fresh);
            let change = configured(change, ReloadOutcome::Accepted, &Principal::exporter());
            if let Err(error) = self.handle.submit(vec![change], Vec::new()).await {
                let error = chain(&ReloadError::from(error));
                return self.refuse_web_file(error, &running, files).await;
            }
            self.config.store(Arc::new(fresh));
            tracing::info!("the web configuration file and its certificates were reloaded");
        } else if self.refusal.is_some() {
            tracing::info!("the web configuration file and its certificates were reloaded");
        }
        self.accept_web_file(&files);
    }

    fn accept_web_file(&mut self, files: &[PathBuf]) {
        self.refusal = None;
        self.runtime.web.file_reload_successful.set(1);
        self.web_files.settle();
        self.web_files.follow(files);
    }

    /// Follows the files that are in force and those that were refused, and tries again later. A refusal
    /// that repeats the last one is neither logged nor counted.
    async fn refuse_web_file(&mut self, error: String, running: &Config, refused: Vec<PathBuf>) {
        let mut files = running.web_file.files.clone();
        for file in refused {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        self.web_files.follow(&files);
        self.web_files.retry();
        self.runtime.web.file_reload_successful.set(0);
        if self.refusal.as_ref() == Some(&error) {
            return;
        }
        self.runtime.web.file_reloads_failed.inc();
        tracing::error!(
            error,
            "the web configuration file was refused; the old one and its certificates stay in force"
        );
        self.record_refusal(error.clone(), &Principal::exporter()).await;
        self.refusal = Some(error);
    }

    async fn record_refusal(&self, error: String, by: &Principal) {
        let refused = configured(error, ReloadOutcome::Refused, by);
        // The log and the client get the mistakes even if the audit entry cannot be written.
        if let Err(error) = self.handle.submit(vec![refused], Vec::new()).await {
            tracing::error!(error = chain(&error), "the refused reload could not be recorded");
        }
    }

    async fn reload(&self, by: &Principal) -> Result<(), ReloadError> {
        let running = self.config.load_full();
        let fresh = match self.load(&running) {
            Ok(fresh) => fresh,
            Err(error) => {
                self.record_refusal(chain(&error), by).await;
                return Err(error.into());
            }
        };
        // The journal first: a replay must judge by these settings from the same record on.
        let change = configured(changes::between(&running, &fresh), ReloadOutcome::Accepted, by);
        let entries = vec![change, Entry::Settings(fresh.settings.clone())];
        self.handle.submit(entries, Vec::new()).await?;
        self.config.store(Arc::new(fresh));
        Ok(())
    }

    /// Reads the file, and keeps the values that were bound or sized at the start. The file is read a
    /// second time with the current address as an override: the checks (a public address needs tokens)
    /// must hold for the address in use, not only for the one that a restart would use.
    fn load(&self, running: &Config) -> Result<Config, ConfigError> {
        let asked = self.source.load()?;
        let mut source = self.source.clone();
        source.overrides.listen_addresses.clone_from(&running.web.listen_addresses);
        source.overrides.decision_listen = running.web.decision_listen;
        let mut fresh = source.load()?;
        let (now, then) = (&running.web, &asked.web);
        let restart = [
            ("web.listen_address", now.listen_addresses != then.listen_addresses),
            ("web.decision_listen", now.decision_listen != then.decision_listen),
            ("web.header_timeout", now.header_timeout != then.header_timeout),
            ("web.idle_timeout", now.idle_timeout != then.idle_timeout),
            ("web.connections_max", now.connections_max != then.connections_max),
            ("web.drain_timeout", now.drain_timeout != then.drain_timeout),
            ("web.queue_requests_max", now.queue_requests_max != then.queue_requests_max),
            ("storage", running.storage != asked.storage),
        ];
        for (field, _) in restart.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(field, "this change needs a restart");
        }
        fresh.web.decision_listen = now.decision_listen;
        fresh.web.header_timeout = now.header_timeout;
        fresh.web.idle_timeout = now.idle_timeout;
        fresh.web.connections_max = now.connections_max;
        fresh.web.drain_timeout = now.drain_timeout;
        fresh.web.queue_requests_max = now.queue_requests_max;
        fresh.storage = running.storage.clone();
        running.check_replacement(&fresh, &self.source.overrides)?;
        Ok(fresh)
    }
}

/// The result of a reload, for the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReloadOutcome {
    Accepted,
    Refused,
}

/// The audit entry of a reload.
fn configured(mut change: String, outcome: ReloadOutcome, by: &Principal) -> Entry {
    change.truncate(change.floor_char_boundary(limits::TEXT_BYTES_MAX));
    let is_refused = outcome == ReloadOutcome::Refused;
    Entry::Decision(Decision::Configure { change, is_refused, by: by.clone() })
}
