//! Slots for long-lived requests: those that wait for a permit, and streams.
//!
//! Invariants: the number of each kind is limited, and both together use at most half of the
//! connections, so that events can still be posted; the last quarter of the slots is for clients that
//! use few, so no client keeps the others out; a slot is free again when its request ends, in whatever
//! way; a request without a slot is answered `overloaded`, and counted. A client is a token, or a peer
//! without one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::api::AppState;
use crate::api::origin::Client;
use crate::api::problem::{Problem, ProblemCode};
use crate::domain::limits;
use crate::metrics::{ListenerKind, Runtime};

/// The free slots of each kind. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct ListenerSlots {
    permits: Arc<KindSlots>,
    streams: Arc<KindSlots>,
}

/// The slots of one kind.
#[derive(Debug)]
struct KindSlots {
    max: usize,
    used: Mutex<UsedSlots>,
}

#[derive(Debug, Default)]
struct UsedSlots {
    all: usize,
    by_client: BTreeMap<Client, usize>,
}

impl KindSlots {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: Mutex::default() })
    }

    /// Takes a slot for a client. False if there is none for it.
    fn take(&self, client: &Client) -> bool {
        let mut used = self.used.lock();
        let own = used.by_client.get(client).copied().unwrap_or_default();
        let has_few = own < (self.max / 16).max(1);
        let kept_back = if has_few { 0 } else { self.max / 4 };
        if used.all + kept_back >= self.max {
            return false;
        }
        used.all += 1;
        used.by_client.insert(client.clone(), own + 1);
        true
    }

    fn free(&self, client: &Client) {
        let mut used = self.used.lock();
        used.all -= 1;
        match used.by_client.get_mut(client) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => {
                used.by_client.remove(client);
            }
        }
    }
}

/// One slot in use. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ListenerSlot {
    kind: ListenerKind,
    runtime: Arc<Runtime>,
    client: Client,
    of: Arc<KindSlots>,
}

impl ListenerSlots {
    /// Slots for a server that accepts `connections_max` connections: a quarter of them for each
    /// kind, and no more than `limits` allows.
    pub(super) fn new(connections_max: usize) -> Self {
        let share = (connections_max / 4).max(1);
        let slots = |max: usize| KindSlots::new(max.min(share));
        Self { permits: slots(limits::PERMIT_WAITS_MAX), streams: slots(limits::STREAMS_MAX) }
    }

    /// Acquires a slot for a client.
    ///
    /// # Errors
    /// `overloaded` when no slot is free, or only those kept for clients with fewer.
    pub(super) fn acquire(
        &self,
        kind: ListenerKind,
        client: Client,
        app: &AppState,
    ) -> Result<ListenerSlot, Problem> {
        let of = match kind {
            ListenerKind::Permit => &self.permits,
            ListenerKind::Stream => &self.streams,
        };
        if !of.take(&client) {
            app.runtime.listeners.listeners_refused.of(kind).inc();
            let detail = format!("all slots are in use ({}); close some", kind.as_str());
            return Err(Problem::new(ProblemCode::Overloaded, detail));
        }
        app.runtime.listeners.listeners.of(kind).inc();
        let (runtime, of) = (Arc::clone(&app.runtime), Arc::clone(of));
        Ok(ListenerSlot { kind, runtime, client, of })
    }
}

impl Drop for ListenerSlot {
    fn drop(&mut self) {
        self.of.free(&self.client);
        self.runtime.listeners.listeners.of(self.kind).dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_is_for_clients_with_few_slots() {
        let slots = KindSlots::new(32);
        let client = |name: &str| Client::Token(name.into());
        let take = |name: &str| (0..32).take_while(|_| slots.take(&client(name))).count();
        assert_eq!(take("greedy"), 24);
        assert_eq!(take("second"), 2);
        assert_eq!(take("third"), 2);
        assert_eq!(take("greedy"), 0);
        slots.free(&client("second"));
        assert_eq!((take("greedy"), take("second")), (0, 1));
        for _ in 0..24 {
            slots.free(&client("greedy"));
        }
        assert_eq!(slots.used.lock().by_client.len(), 2);
        assert_eq!(slots.used.lock().all, 4);
    }
}
