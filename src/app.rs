//! The composition root: builds the parts, runs them, and drains them. The only place that spawns.
//!
//! Tasks, their owner and their end:
//!
//! | task | owner | ends |
//! |---|---|---|
//! | writer (a thread) | `Engine` | when told to stop, after it committed what waits |
//! | preallocator of segments (a thread) | the log | when the writer has ended |
//! | accept loop and connections | `App` | when the drain begins, within `web.drain_timeout` |
//! | ticks, directives, reloads, probes, webhooks, snapshots | `App` | when the connections have ended |
//!
//! A drain goes in this order: not ready; nothing is accepted; requests under way are answered;
//! the rim's tasks end; the writer commits what waits and ends; a last snapshot is taken.

mod engine;
mod log;
mod probes;
mod reload;
mod snapshots;
pub mod serve;
mod tasks;
mod turns;
mod webhooks;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, AppState};
use crate::clock;
use crate::config::{Config, ConfigError, Overrides};
use crate::engine::{EngineError, Handle, NotReady, RecoverError};
use crate::journal::LogError;
use crate::metrics::{Build, Runtime, RuntimeError};

pub(crate) use engine::SETTINGS;

use engine::Engine;
use reload::Reloader;
use serve::{Drained, ServeLimits, serve};

/// What was built. The commit is known when whoever builds says it.
const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("TRADING_EXPORTER_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
    rustversion: env!("CARGO_PKG_RUST_VERSION"),
};

/// How long the first connection waits for the state to be caught up before it is told that it is
/// not.
const START_GRACE: Duration = Duration::from_secs(1);
/// How long the writer may take to commit what waits, after the requests have ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why serving ended badly, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The journal cannot be opened; nothing of it was changed.
    #[error("cannot open the journal in {}", path.display())]
    Journal {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: LogError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Threads, signals or timers cannot be set up.
    #[error("cannot set up {what}")]
    SetUp {
        /// What was set up.
        what: &'static str,
        /// Why it failed.
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
    /// The log failed while serving; what was acknowledged before is not affected.
    #[error("ended because the journal failed")]
    JournalFailed,
    /// The writer did not end, or not in order.
    #[error("the writer {0}")]
    Writer(&'static str),
}

/// Where the configuration comes from, to read it again.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file; without one every default holds.
    pub file: Option<PathBuf>,
    /// What stands above it.
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

/// Serves with that configuration until SIGTERM or SIGINT, on threads of its own.
///
/// # Errors
/// See [`AppError`].
pub fn main(config: Config, source: ConfigSource) -> Result<(), AppError> {
    on_threads(config.web.listen_address, async move |listener, shutdown| {
        run(config, source, listener, shutdown).await
    })
}

/// Serves with that configuration, on threads of its own, while `work` goes on: it gets the address
/// that is served and a future that completes upon SIGTERM or SIGINT. Drains when it has ended.
///
/// # Errors
/// See [`AppError`]; what `work` says is passed on.
pub fn main_beside<T>(
    config: Config,
    source: ConfigSource,
    work: impl AsyncFnOnce(SocketAddr, Shutdown) -> T,
) -> Result<T, AppError> {
    on_threads(config.web.listen_address, async move |listener, shutdown| {
        let address = listener.local_addr();
        let address = address.map_err(|source| AppError::SetUp { what: "a listener", source })?;
        let (done, over) = oneshot::channel();
        let serving = run(config, source, listener, async move {
            over.await.ok();
            "the work beside it has ended"
        });
        let working = async move {
            let result = work(address, shutdown).await;
            // The server may have ended before.
            done.send(()).ok();
            result
        };
        let (served, result) = tokio::join!(serving, working);
        served.map(|()| result)
    })
}

/// Completes with the name of the signal when SIGTERM or SIGINT has come.
pub type Shutdown = Pin<Box<dyn Future<Output = &'static str>>>;

/// Runs `body` on threads of its own, with a listener on `address` and the signals that end it.
fn on_threads<T>(
    address: SocketAddr,
    body: impl AsyncFnOnce(TcpListener, Shutdown) -> Result<T, AppError>,
) -> Result<T, AppError> {
    let set_up = |what| move |source| AppError::SetUp { what, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(set_up("threads"))?;
    let result = runtime.block_on(async {
        // Signals first: one that comes early must find its handler.
        let shutdown = tasks::shutdown().map_err(set_up("signals"))?;
        let hangup = tasks::hangup().map_err(set_up("signals"))?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| AppError::Listen { address, source })?;
        let result = body(listener, Box::pin(shutdown)).await;
        drop(hangup);
        result
    });
    // What still blocks (a name that is being resolved, a disk that hangs) must not keep us.
    runtime.shutdown_background();
    result
}

/// Serves on `listener` until `shutdown` completes, with a name for the log, or the engine ends by
/// itself; then drains.
///
/// # Errors
/// See [`AppError`].
pub async fn run(
    config: Config,
    source: ConfigSource,
    listener: TcpListener,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), AppError> {
    let app = App::build(config, source, listener).await?;
    tokio::select! {
        signal = shutdown => tracing::info!(signal, "draining"),
        () = app.handle.ended() => tracing::error!("draining: nothing can be recorded any more"),
    }
    app.drain().await
}

/// Everything that runs.
struct App {
    handle: Handle,
    engine: Engine,
    server: JoinHandle<Drained>,
    stop_accepting: CancellationToken,
    /// The tasks of the rim, and what ends them.
    rim: TaskTracker,
    stop_rim: CancellationToken,
}

impl App {
    /// Puts the parts together and starts them.
    async fn build(
        config: Config,
        source: ConfigSource,
        listener: TcpListener,
    ) -> Result<Self, AppError> {
        let set_up = |what| move |source| AppError::SetUp { what, source };
        let runtime = Arc::new(Runtime::new(&BUILD)?);
        let process = getrandom::u64()
            .map_err(|error| set_up("random bits")(io::Error::other(error.to_string())))?;
        let engine = Engine::start(&config, &runtime)?;
        let handle = engine.handle();
        runtime.config_loaded(clock::now());
        let limits = ServeLimits::from(&config.web);
        let config = Arc::new(ArcSwap::from_pointee(config));

        let rim = TaskTracker::new();
        let (stop_accepting, stop_rim) = (CancellationToken::new(), CancellationToken::new());
        let (reloader, reload) =
            Reloader::new(source, Arc::clone(&config), handle.clone(), Arc::clone(&runtime))
                .map_err(set_up("signals"))?;
        rim.spawn(reloader.run(rim.clone(), stop_rim.clone()));
        rim.spawn(tasks::tick(handle.clone(), stop_rim.clone()));
        rim.spawn(tasks::look_after_journal(handle.clone(), stop_rim.clone()));
        rim.spawn(tasks::log_directives(handle.directives(), stop_rim.clone()));
        if let Some(keeper) = engine.keeper() {
            rim.spawn(keeper.run(handle.clone(), stop_rim.clone()));
        }

        // A short start is not seen as one; a long one is answered "not ready".
        tokio::time::timeout(START_GRACE, handle.opened()).await.ok();
        let reload: api::Reload = Arc::new(move |by| Box::pin(reload.clone().reload(by)));
        let give_way = std::thread::yield_now;
        let state = AppState::new(handle.clone(), config, runtime, reload, give_way, process);
        let service = api::ApiService::new(state);
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "listening");
        }
        let server = rim.spawn(serve(listener, service, limits, stop_accepting.clone()));
        Ok(Self { handle, engine, server, stop_accepting, rim, stop_rim })
    }

    /// Ends everything in order, and says how it went.
    async fn drain(self) -> Result<(), AppError> {
        self.handle.drain();
        self.stop_accepting.cancel();
        match self.server.await {
            Ok(Drained::Complete) => {}
            Ok(Drained::Dropped(connections)) => {
                tracing::warn!(connections, "dropped at the end of web.drain_timeout");
            }
            Err(error) => tracing::error!(%error, "the accept loop ended badly"),
        }
        self.stop_rim.cancel();
        self.rim.close();
        self.rim.wait().await;
        let sequence = self.engine.stop(FLUSH_TIMEOUT).await?;
        tracing::info!(sequence, "ended");
        if self.handle.readiness() == Err(NotReady::JournalFailed) {
            Err(AppError::JournalFailed)
        } else {
            Ok(())
        }
    }
}

/// An error and its sources, from the outermost to the cause.
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
