//! Places for those who stay connected: requests that wait for a permit, and streams.
//!
//! Invariants: at most so many of each, and together at most half of the connections, so that they
//! keep nobody from posting events; a place is free again when its holder ends, however that is;
//! who finds none is answered `overloaded`, and counted.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::AppState;
use crate::api::problem::{Code, Problem};
use crate::domain::limits;
use crate::metrics::{ListenerKind, Runtime};

/// The places.
#[derive(Clone, Debug)]
pub struct Listeners {
    permits: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// One place, held.
#[derive(Debug)]
pub(super) struct Listener {
    kind: ListenerKind,
    runtime: Arc<Runtime>,
    _place: OwnedSemaphorePermit,
}

impl Listeners {
    /// Places beside at most `connections_max` connections.
    #[must_use]
    pub fn new(connections_max: usize) -> Self {
        let share = (connections_max / 4).max(1);
        let places = |max: usize| Arc::new(Semaphore::new(max.min(share)));
        Self { permits: places(limits::PERMIT_WAITS_MAX), streams: places(limits::STREAMS_MAX) }
    }

    /// A place to wait for a permit.
    ///
    /// # Errors
    /// `overloaded` when none is free.
    pub(super) fn permit(&self, app: &AppState) -> Result<Listener, Problem> {
        Listener::take(&self.permits, ListenerKind::Permit, app)
    }

    /// A place for a stream.
    ///
    /// # Errors
    /// `overloaded` when none is free.
    pub(super) fn stream(&self, app: &AppState) -> Result<Listener, Problem> {
        Listener::take(&self.streams, ListenerKind::Stream, app)
    }
}

impl Listener {
    fn take(places: &Arc<Semaphore>, kind: ListenerKind, app: &AppState) -> Result<Self, Problem> {
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| {
            app.runtime.listener_refused(kind);
            let detail = format!("as many listen as may ({}); close some", kind.as_str());
            Problem::new(Code::Overloaded, detail)
        })?;
        app.runtime.listener_came(kind);
        Ok(Self { kind, runtime: Arc::clone(&app.runtime), _place: place })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.runtime.listener_went(self.kind);
    }
}
