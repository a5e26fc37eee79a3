//! The HTTP API: the only code that knows statuses.
//!
//! Input: requests. Output: answers, by [`routes::ROUTES`]. Invariants: the caller is identified
//! before a byte of the body is read; bodies are limited in size and time; every refusal is a
//! problem with a stable code. Deliberately absent: the accept loop and the time limit of heads
//! (see `crate::app`), what events mean (see `crate::wire` and `crate::domain`).
//!
//! ```text
//! id, span, headers, drain, panics > route > admission > decompress > handler > engine
//!                                   \__ plain events: see `service` __/
//! ```

mod problem;
mod auth;
mod passwords;
mod origin;
mod door;
mod query;
mod body;
mod layers;
mod drain;
mod decompress;
mod decide;
mod events;
mod adapters;
mod feed;
mod execution;
mod orders;
mod anomalies;
mod positions;
mod drift;
mod health;
mod accounts;
mod listeners;
mod permit;
mod stream;
mod audit;
mod halts;
mod alertmanager;
mod runbooks;
mod series;
mod scrapes;
mod turns;
mod metrics;
mod probes;
mod html;
mod page;
mod assets;
mod docs;
mod routes;
mod document;
mod front;
mod service;

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use auth::Access;
pub use document::document;
pub(crate) use feed::{FeedDoor, FeedRefusal};
pub(crate) use origin::{BulkAnswer, Lane, Origin, Peer};
pub(crate) use passwords::{CheckSlot, PasswordCheckFn};
pub use problem::ProblemCode;
pub use routes::{ROUTES, Route};
pub(crate) use service::ApiService;

use crate::adapters::AdapterName;
use crate::config::Config;
use crate::domain::principal::Principal;
use crate::engine::Handle;
use crate::metrics::{Runtime, ScrapeSnapshot};
use body::BodyBudget;
use docs::PublishedDocument;
use layers::RequestIds;
use listeners::ListenerSlots;
use metrics::SeriesBudgets;
use scrapes::ScrapePlaces;
use turns::DecodeTurns;

/// Reloads the configuration. The error lists every mistake in the file.
pub(crate) type ReloadFn = Arc<
    dyn Fn(Principal) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync,
>;

/// The state that all handlers share. A clone is another reference to it.
#[derive(Clone)]
pub(crate) struct AppState(Arc<SharedState>);

/// The fields of [`AppState`]. It lives as long as the server. Each field says who changes it.
pub(crate) struct SharedState {
    /// The way to the engine. Handlers submit entries to its queue and read the monitor under its
    /// read lock; only the writer thread changes the monitor.
    engine: Handle,
    /// The configuration in force. The reloader (`crate::app`) stores a new one; a handler loads it
    /// once and uses that copy, so that a reload never changes a request half way. An `ArcSwap`
    /// because every request reads it and hardly anything writes it.
    config: Arc<ArcSwap<Config>>,
    /// The exporter's own metrics. Counters and gauges that every thread updates without a lock.
    runtime: Arc<Runtime>,
    /// Asks the reloader for a reload, and waits until it is done.
    reload: ReloadFn,
    /// Offers the core to another thread. A scrape calls it when a request waits for the writer.
    yield_thread: fn(),
    /// When the process started, on the monotonic clock: for the uptime on the status page.
    started: Instant,
    /// The bytes that all bodies being read or decoded may occupy together. A semaphore: a request
    /// takes permits as its body grows and returns them when its events are committed.
    budget: BodyBudget,
    /// The bytes that the bodies of notifications may occupy: decisions do not share those of events.
    decision_budget: BodyBudget,
    /// The turns to decode large bodies. A semaphore: a request holds a permit while it is decoded.
    turns: DecodeTurns,
    /// The slots for requests that wait for a permit, and for streams. Semaphores as well.
    listeners: ListenerSlots,
    /// The places of scrapes under way. A mutex, held for as long as one is taken or freed.
    scrapes: ScrapePlaces,
    /// Random bits of this process: they distinguish its request ids and in-memory event ids from
    /// those of the process before a restart.
    process: u64,
    /// The rows that one scrape leaves to the next, so that it copies only what changed. `None`
    /// while a scrape uses it, and before the first. The mutex is held to take it and to put it
    /// back, never while a scrape works.
    snapshot: Mutex<Option<ScrapeSnapshot>>,
    /// The budgets of series, one for each view of `/metrics`.
    budgets: SeriesBudgets,
    /// Numbers the requests; an atomic counter.
    request_ids: RequestIds,
    /// The OpenAPI document and its page. The first request for one of them renders all.
    published: LazyLock<PublishedDocument>,
}

impl Deref for AppState {
    type Target = SharedState;

    fn deref(&self) -> &SharedState {
        &self.0
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl AppState {
    /// Builds the state from the parts that the app owns, and the rest from the configuration. The
    /// limits on bodies and listeners are those of this configuration until a restart.
    #[must_use]
    pub(crate) fn new(
        engine: Handle,
        config: Arc<ArcSwap<Config>>,
        runtime: Arc<Runtime>,
        reload: ReloadFn,
        yield_thread: fn(),
        process: u64,
    ) -> Self {
        let codes: Vec<&'static str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        runtime.declare_codes(&codes);
        runtime.declare_adapters(&AdapterName::ALL.map(AdapterName::as_str));
        let budget = BodyBudget::new(config.load().web.body_bytes_max);
        let decision_budget = BodyBudget::new(body::NOTIFICATION_BYTES_MAX);
        let listeners = ListenerSlots::new(config.load().web.connections_max);
        let scrapes = ScrapePlaces::new(Arc::clone(&runtime));
        Self(Arc::new(SharedState {
            engine,
            config,
            runtime,
            reload,
            yield_thread,
            started: crate::clock::monotonic(),
            budget,
            decision_budget,
            turns: DecodeTurns::of_runtime(),
            listeners,
            scrapes,
            process,
            snapshot: Mutex::default(),
            budgets: SeriesBudgets::default(),
            request_ids: RequestIds::new(process),
            published: LazyLock::new(document::publish),
        }))
    }
}
