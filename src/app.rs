//! The composition root: it builds the parts, runs them and drains them. The only place that spawns.
//!
//! Every task has an owner and an end:
//!
//! | task | owner | ends |
//! |---|---|---|
//! | writer (a thread) | `EngineThread` | when it is stopped, after it has committed the queue |
//! | preallocator of segments (a thread) | the log | when the writer has ended |
//! | listener for decisions (a thread) | `App` | when the drain begins, within `web.drain_timeout` |
//! | accept loop and connections | `App` | when the drain begins, within `web.drain_timeout` |
//! | ticks, directives, reloads, probes, position sources, feeds, webhooks, snapshots, the supervisor | `App` | when the connections have ended |
//!
//! A shutdown has this order: the exporter reports "not ready"; it accepts no more connections;
//! requests in progress are answered; the outer tasks end; the writer commits its queue and ends;
//! a last snapshot is taken.

mod engine;
mod expressions;
mod feeds;
mod log;
mod memory;
mod position_sources;
mod probes;
mod reload;
mod snapshots;
mod deadlines;
mod listen;
mod tls;
mod connections;
mod descriptors;
mod serve;
mod lane;
mod systemd;
mod tasks;
mod web_files;
mod webhooks;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, AppState, Lane, Origin};
use crate::clock;
use crate::config::{Config, ConfigError, Overrides, WebConfig};
use crate::engine::{EngineError, Handle, NotReady, RecoverError};
use crate::journal::LogError;
use crate::metrics::{Build, ListenerLabel, Runtime, RuntimeError};

use engine::EngineThread;
pub(crate) use expressions::COMMAND as EVALUATE_COMMAND;
use feeds::FeedTasks;
use listen::Listeners;
pub(crate) use position_sources::try_source;
use reload::Reloader;
use serve::{Drained, ServeLimits, serve};
pub use systemd::Supervisor;
use tls::Transport;

/// The version that was built. The commit is known if the build sets `TRADING_EXPORTER_REVISION`.
const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("TRADING_EXPORTER_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
    rustversion: env!("CARGO_PKG_RUST_VERSION"),
};

/// The longest wait for the replay of the journal before connections are accepted. After it they are
/// accepted and answered "not ready".
const START_GRACE: Duration = Duration::from_secs(1);
/// The longest wait for the writer to commit its queue after the last request has ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// The reason why the exporter did not start, or ended with a failure.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The journal cannot be opened. It was not changed.
    #[error("cannot open the journal in {}", path.display())]
    Journal {
        /// The directory of the journal.
        path: PathBuf,
        /// The cause.
        #[source]
        source: LogError,
    },
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Threads, signals or timers cannot be set up.
    #[error("cannot set up {what}")]
    SetUp {
        /// The thing that was being set up.
        what: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The exporter's own metrics cannot be set up.
    #[error(transparent)]
    Metrics(#[from] RuntimeError),
    /// The state cannot be rebuilt from the log.
    #[error("cannot recover")]
    Recover(#[from] RecoverError),
    /// The configuration could not be recorded.
    #[error("cannot record the configuration")]
    Record(#[from] EngineError),
    /// The journal failed while serving. Everything acknowledged before is safe.
    #[error("ended because the journal failed")]
    JournalFailed,
    /// The writer panicked, or did not end.
    #[error("the writer {0}")]
    Writer(&'static str),
}

/// The sources of the configuration, kept for reloads.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file. Without one, all settings have their defaults.
    pub file: Option<PathBuf>,
    /// Command line and environment, which override the file.
    pub overrides: Overrides,
}

impl ConfigSource {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref(), self.overrides.clone())
    }
}

/// Serves with this configuration until SIGTERM or SIGINT, on a runtime of its own. Reports to the
/// supervisor.
///
/// # Errors
/// See [`AppError`].
pub fn main(config: Config, source: ConfigSource, supervisor: Supervisor) -> Result<(), AppError> {
    on_threads(&config.web.clone(), async move |doors, shutdown| {
        run(config, source, supervisor, doors, shutdown).await
    })
}

/// Serves with this configuration while `work` runs, then drains. `work` gets the address of the server
/// and a future that completes on SIGTERM or SIGINT.
///
/// # Errors
/// See [`AppError`]. The result of `work` is returned as it is.
pub fn main_beside<T>(
    config: Config,
    source: ConfigSource,
    work: impl AsyncFnOnce(SocketAddr, Shutdown) -> T,
) -> Result<T, AppError> {
    on_threads(&config.web.clone(), async move |doors, shutdown| {
        let address = doors.main.addresses().first().copied();
        let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable));
        let address = address.map_err(|source| AppError::SetUp { what: "a listener", source })?;
        let (done, over) = oneshot::channel();
        let serving = run(config, source, Supervisor::default(), doors, async move {
            over.await.ok();
            "the work has ended"
        });
        let working = async move {
            let result = work(address, shutdown).await;
            // This fails if the server has ended before, which is fine.
            done.send(()).ok();
            result
        };
        let (served, result) = tokio::join!(serving, working);
        served.map(|()| result)
    })
}

/// Completes on SIGTERM or SIGINT with the name of the signal.
pub type Shutdown = Pin<Box<dyn Future<Output = &'static str>>>;

/// The bound addresses.
struct Doors {
    main: Listeners,
    /// The one that serves decisions, permits and health alone.
    decisions: Option<Listeners>,
}

impl Doors {
    /// Binds the configured addresses.
    fn open(web: &WebConfig) -> Result<Self, AppError> {
        let main = Listeners::bind(&web.listen_addresses, web.connections_max)?;
        let decisions =
            web.decision_listen.map(|address| Listeners::bind(&[address], web.connections_max));
        Ok(Self { main, decisions: decisions.transpose()? })
    }
}

/// Runs `body` on a runtime of its own, with the listeners and the signals that end it.
fn on_threads<T>(
    web: &WebConfig,
    body: impl AsyncFnOnce(Doors, Shutdown) -> Result<T, AppError>,
) -> Result<T, AppError> {
    let set_up = |what| move |source| AppError::SetUp { what, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(set_up("threads"))?;
    let result = runtime.block_on(async {
        // Signal handlers first: without one an early signal would kill the process.
        let shutdown = tasks::shutdown().map_err(set_up("signals"))?;
        let hangup = tasks::hangup().map_err(set_up("signals"))?;
        let result = body(Doors::open(web)?, Box::pin(shutdown)).await;
        drop(hangup);
        result
    });
    // A thread that still blocks (name resolution, a disk that hangs) must not delay the exit.
    runtime.shutdown_background();
    result
}

/// Serves on `doors` until `shutdown` completes (with a name for the log) or the engine ends by
/// itself, then drains.
///
/// # Errors
/// See [`AppError`].
async fn run(
    config: Config,
    source: ConfigSource,
    supervisor: Supervisor,
    doors: Doors,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), AppError> {
    let app = App::build(config, source, supervisor, doors).await?;
    tokio::select! {
        signal = shutdown => tracing::info!(signal, "draining"),
        () = app.handle.ended() => tracing::error!("draining: the journal failed or the writer ended; nothing is recorded"),
    }
    app.drain().await
}

/// The running parts. `run` owns it, and nothing is shared but by clones of the handle.
struct App {
    handle: Handle,
    engine: EngineThread,
    /// The accept loops, the main one first.
    servers: Vec<JoinHandle<Drained>>,
    supervisor: Arc<Supervisor>,
    /// Ends the accept loop and, once they are answered, its connections.
    stop_accepting: CancellationToken,
    /// The tasks around the engine: ticks, directives to the log, reloads, snapshots; and, spawned by
    /// the reloader, probes and webhooks.
    rim: TaskTracker,
    /// Ends the tasks of `rim`. Cancelled after the connections, because requests need some of them.
    stop_rim: CancellationToken,
}

impl App {
    /// Builds the parts and starts them.
    async fn build(
        config: Config,
        source: ConfigSource,
        supervisor: Supervisor,
        doors: Doors,
    ) -> Result<Self, AppError> {
        let set_up = |what| move |source| AppError::SetUp { what, source };
        let runtime = Arc::new(Runtime::new(&BUILD)?);
        let random =
            |error: getrandom::Error| set_up("random bits")(io::Error::other(error.to_string()));
        let process = getrandom::u64().map_err(random)?;
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(random)?;
        let engine = EngineThread::start(&config, &runtime)?;
        let handle = engine.handle();
        runtime.service.config_loaded(clock::now());
        let mut limits = ServeLimits::from(&config.web);
        limits.connections_max = descriptors::connections_for(&config, descriptors::raise_limit());
        let of_decisions = ServeLimits::of_decisions(&config.web);
        let config = Arc::new(ArcSwap::from_pointee(config));

        // The reloader subscribes its webhooks to directives here, before anything can cause one.
        let rim = TaskTracker::new();
        let (stop_accepting, stop_rim) = (CancellationToken::new(), CancellationToken::new());
        let (reloader, reload) =
            Reloader::new(source, Arc::clone(&config), handle.clone(), Arc::clone(&runtime))
                .map_err(set_up("signals"))?;
        let feeds_changed = reloader.feeds_changed();
        rim.spawn(reloader.run(rim.clone(), stop_rim.clone()));
        rim.spawn(tasks::tick(handle.clone(), stop_rim.clone()));
        rim.spawn(tasks::watch_journal(handle.clone(), stop_rim.clone()));
        rim.spawn(tasks::log_directives(handle.directives(), stop_rim.clone()));
        rim.spawn(tasks::recount(handle.clone(), Arc::clone(&runtime), stop_rim.clone()));
        rim.spawn(tasks::watch_invariants(Arc::clone(&runtime), stop_rim.clone()));
        if let Some(snapshotter) = engine.snapshotter() {
            rim.spawn(snapshotter.run(handle.clone(), stop_rim.clone()));
        }

        let (supervisor, informed) = (Arc::new(supervisor), handle.clone());
        let (informing, stop) = (Arc::clone(&supervisor), stop_rim.clone());
        rim.spawn(async move { informing.inform(&informed, stop).await });
        let transport = Transport::new(Arc::clone(&config), Arc::clone(&runtime));

        // After a short replay the first client finds the exporter ready.
        tokio::time::timeout(START_GRACE, handle.opened()).await.ok();
        let reload: api::ReloadFn = Arc::new(move |by| Box::pin(reload.clone().reload(by)));
        let yield_thread = std::thread::yield_now;
        let metrics = Arc::clone(&runtime);
        let (of_feeds, own) = (Arc::clone(&config), Arc::clone(&runtime));
        let state = AppState::new(handle.clone(), config, runtime, reload, yield_thread, process);
        let feeds = FeedTasks::new(state.clone(), handle.clone(), of_feeds, own);
        rim.spawn(feeds.run(rim.clone(), feeds_changed, stop_rim.clone()));
        let check: api::PasswordCheckFn =
            Arc::new(|hash, password, slot| Box::pin(tasks::check_password(hash, password, slot)));
        let service = api::ApiService::new(state, check, salt);
        let mut servers = Vec::new();
        if let Some(listeners) = doors.decisions {
            for address in listeners.addresses() {
                tracing::info!(decisions = %address, "listening");
            }
            let own = service.clone();
            let connect = move |origin| own.for_origin(Origin { lane: Lane::Decisions, ..origin });
            let metrics = (ListenerLabel::Decisions, Arc::clone(&metrics));
            let (transport, stop) = (transport.clone(), stop_accepting.clone());
            let run = |listeners| serve(listeners, transport, connect, of_decisions, metrics, stop);
            let served = lane::serve_apart(listeners, run).map_err(set_up("a thread"))?;
            servers.push(rim.spawn(lane::drained(served)));
        }
        for address in doors.main.addresses() {
            tracing::info!(%address, "listening");
        }
        let connect = move |origin| service.for_origin(origin);
        let metrics = (ListenerLabel::Main, metrics);
        let server = serve(doors.main, transport, connect, limits, metrics, stop_accepting.clone());
        servers.insert(0, rim.spawn(server));
        Ok(Self { handle, engine, servers, supervisor, stop_accepting, rim, stop_rim })
    }

    /// Ends the parts in order.
    async fn drain(self) -> Result<(), AppError> {
        // 1. Not ready: load balancers turn away, waiting permits and streams end.
        self.handle.drain();
        self.supervisor.stopping();
        // 2. No new connections; those with a request get their answer. The engine must still run.
        self.stop_accepting.cancel();
        for server in self.servers {
            match server.await {
                Ok(Drained::Complete) => {}
                Ok(Drained::Dropped(connections)) => {
                    tracing::warn!(connections, "connections were dropped after web.drain_timeout");
                }
                Err(error) => tracing::error!(%error, "the accept loop failed"),
            }
        }
        // 3. The tasks around the engine. Webhooks note what they have not delivered.
        self.stop_rim.cancel();
        self.rim.close();
        self.rim.wait().await;
        // 4. Nobody submits any more: the writer commits the rest, and the last snapshot is complete.
        let sequence = self.engine.stop(FLUSH_TIMEOUT).await?;
        tracing::info!(sequence, "ended");
        if self.handle.readiness() == Err(NotReady::JournalFailed) {
            Err(AppError::JournalFailed)
        } else {
            Ok(())
        }
    }
}

/// The messages of an error and its sources, from the outermost to the cause.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
