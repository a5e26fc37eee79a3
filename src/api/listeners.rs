//! Slots for long-lived requests: those that wait for a permit, and streams.
//!
//! Invariants: the number of each kind is limited, and both together use at most half of the
//! connections, so that events can still be posted; a slot is free again when its request ends, in
//! whatever way; a request without a slot is answered `overloaded`, and counted.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::AppState;
use crate::api::problem::{Problem, ProblemCode};
use crate::domain::limits;
use crate::metrics::{ListenerKind, Runtime};

/// The free slots of each kind. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct ListenerSlots {
    permits: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// One slot in use. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ListenerSlot {
    kind: ListenerKind,
    runtime: Arc<Runtime>,
    _permit: OwnedSemaphorePermit,
}

impl ListenerSlots {
    /// Slots for a server that accepts `connections_max` connections: a quarter of them for each
    /// kind, and no more than `limits` allows.
    pub(super) fn new(connections_max: usize) -> Self {
        let share = (connections_max / 4).max(1);
        let slots = |max: usize| Arc::new(Semaphore::new(max.min(share)));
        Self { permits: slots(limits::PERMIT_WAITS_MAX), streams: slots(limits::STREAMS_MAX) }
    }

    /// Acquires a slot.
    ///
    /// # Errors
    /// `overloaded` when no slot is free.
    pub(super) fn acquire(
        &self,
        kind: ListenerKind,
        app: &AppState,
    ) -> Result<ListenerSlot, Problem> {
        let free = match kind {
            ListenerKind::Permit => &self.permits,
            ListenerKind::Stream => &self.streams,
        };
        let permit = Arc::clone(free).try_acquire_owned().map_err(|_| {
            app.runtime.listeners.listeners_refused.of(kind).inc();
            let detail = format!("all slots are in use ({}); close some", kind.as_str());
            Problem::new(ProblemCode::Overloaded, detail)
        })?;
        app.runtime.listeners.listeners.of(kind).inc();
        Ok(ListenerSlot { kind, runtime: Arc::clone(&app.runtime), _permit: permit })
    }
}

impl Drop for ListenerSlot {
    fn drop(&mut self) {
        self.runtime.listeners.listeners.of(self.kind).dec();
    }
}
