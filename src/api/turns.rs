//! Turns to decode: a large body waits until the tasks that are ready have run.
//!
//! Input: the size of a body, and how many requests are queued. Output: a turn, to hold while the body is
//! decoded and encoded. Invariants: at most as many turns as threads; they are given in the order in
//! which they were asked for; before each one, the tasks that are ready run. Deliberately absent: how
//! many requests may wait (see `engine::QueuePlace`).
//!
//! # Design
//! tokio runs ready tasks in turn, whatever they cost. If hundreds of connections have a body to decode,
//! a halt, a probe or a step of a scrape waits for all of them, several times: to be accepted, to be
//! read, to be answered. With turns they wait for the cheap parts of other requests and for one body on
//! each thread. A small body needs no turn while few requests are queued: it would cost as much as its
//! decoding.
//!
//! Rejected: threads of their own for decoding (two hops between threads for each request), and a
//! runtime for each kind of request (a connection says what it carries only after it is read).

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A body of this size takes longer to decode than to receive.
const LARGE_BYTES: usize = 4 * 1024;
/// With this many requests in the queue, every body takes a turn.
const QUEUED_MANY: usize = 64;

/// All turns.
#[derive(Debug)]
pub(super) struct DecodeTurns(Semaphore);

/// A turn. Dropping it gives it to the next.
#[derive(Debug)]
pub(super) struct DecodeTurn<'a>(#[expect(dead_code, reason = "dropped")] SemaphorePermit<'a>);

impl DecodeTurns {
    /// As many turns as this runtime has threads.
    pub(super) fn of_runtime() -> Self {
        Self::new(Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers()))
    }

    fn new(at_once: usize) -> Self {
        Self(Semaphore::new(at_once))
    }

    /// Waits for a turn if the body is large, or if many requests are `queued`.
    pub(super) async fn turn(&self, body_bytes: usize, queued: usize) -> Option<DecodeTurn<'_>> {
        if body_bytes < LARGE_BYTES && queued < QUEUED_MANY {
            return None;
        }
        // It is never closed.
        let turn = self.0.acquire().await.ok().map(DecodeTurn);
        tokio::task::yield_now().await;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::sync::Notify;
    use tokio::task::JoinSet;

    /// The tasks that ran, in order, if three bodies of that size are decoded, and each one makes
    /// another task ready.
    async fn order(body_bytes: usize, queued: usize) -> Vec<&'static str> {
        let (turns, ran) = (Arc::new(DecodeTurns::new(1)), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = JoinSet::new();
        for _ in 0..3 {
            let (ready, turns, of_body, of_halt) =
                (Arc::new(Notify::new()), Arc::clone(&turns), Arc::clone(&ran), Arc::clone(&ran));
            let wait = Arc::clone(&ready);
            tasks.spawn(async move {
                wait.notified().await;
                of_halt.lock().push("halt");
            });
            tasks.spawn(async move {
                let turn = turns.turn(body_bytes, queued).await;
                of_body.lock().push("body");
                ready.notify_one();
                drop(turn);
            });
        }
        tasks.join_all().await;
        Arc::try_unwrap(ran).unwrap().into_inner()
    }

    #[tokio::test]
    async fn between_two_large_bodies_the_tasks_that_are_ready_run() {
        let in_turn = ["body", "halt", "body", "halt", "body", "halt"];
        assert_eq!(order(LARGE_BYTES, 0).await, in_turn);
        assert_eq!(order(1, QUEUED_MANY).await, in_turn);
        assert_ne!(order(1, QUEUED_MANY - 1).await, in_turn, "a control: without turns");
    }
}
