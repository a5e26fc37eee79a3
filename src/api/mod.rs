//! The HTTP API: the only code that knows statuses.
//!
//! Input: requests. Output: answers, by [`routes::ROUTES`]. Invariants: whoever calls is known
//! before a byte of the body is read; sizes and times of bodies are bounded; every refusal is a
//! problem with a stable code. Deliberately absent: the accept loop and the time of heads (see
//! `crate::app`), what events mean (see `crate::wire` and `crate::domain`).
//!
//! ```text
//! id, span, headers, drain, panics > route > admission > decompress > handler > engine
//!                                   \__ plain events: see `service` __/
//! ```

mod problem;
mod auth;
mod query;
mod body;
mod layers;
mod drain;
mod decompress;
mod decide;
mod events;
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
mod metrics;
mod probes;
mod html;
mod page;
mod docs;
mod routes;
mod document;
mod service;

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use auth::Access;
pub use body::Budget;
pub use document::document;
pub use listeners::Listeners;
pub use problem::{Code, Problem};
pub use routes::{ROUTES, Route};
pub use service::ApiService;

use crate::config::Config;
use crate::domain::audit::By;
use crate::engine::Handle;
use crate::metrics::{Runtime, ScrapeSnapshot};
use docs::Published;
use layers::RequestIds;
use metrics::Budgets;

/// Reads the configuration again; the error tells every mistake.
pub type Reload =
    Arc<dyn Fn(By) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What the handlers share; clones are the same.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// What the handlers share.
pub struct Shared {
    /// The single writer and its state.
    pub engine: Handle,
    /// The configuration in force; a reload stores another.
    pub config: Arc<ArcSwap<Config>>,
    /// The exporter's own figures.
    pub runtime: Arc<Runtime>,
    /// Reads the configuration again.
    pub reload: Reload,
    /// Lets other threads run.
    pub give_way: fn(),
    /// When the process started.
    pub started: Instant,
    /// The bytes that bodies under way may take together.
    pub budget: Budget,
    /// Places for those who stay connected.
    pub listeners: Listeners,
    /// Random bits that tell this process from another.
    pub process: u64,
    /// What scrapes keep from one to the next; none: one is under way, or there was none yet.
    snapshot: Mutex<Option<ScrapeSnapshot>>,
    budgets: Budgets,
    request_ids: RequestIds,
    published: LazyLock<Published>,
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl AppState {
    /// What the handlers share. Long work calls `give_way` now and then; `process` are random bits
    /// that tell this process' request ids from another's.
    #[must_use]
    pub fn new(
        engine: Handle,
        config: Arc<ArcSwap<Config>>,
        runtime: Arc<Runtime>,
        reload: Reload,
        give_way: fn(),
        process: u64,
    ) -> Self {
        let codes: Vec<&'static str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        runtime.declare_codes(&codes);
        let budget = Budget::new(config.load().web.body_bytes_max);
        let listeners = Listeners::new(config.load().web.connections_max);
        Self(Arc::new(Shared {
            engine,
            config,
            runtime,
            reload,
            give_way,
            started: crate::clock::monotonic(),
            budget,
            listeners,
            process,
            snapshot: Mutex::default(),
            budgets: Budgets::default(),
            request_ids: RequestIds::new(process),
            published: LazyLock::new(document::publish),
        }))
    }
}
