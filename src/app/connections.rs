//! The open connections of a listener: how many, whose, and which one is closed to make room.
//!
//! Input: accepted peers, and the phases of their connections. Output: the lane of each connection, and
//! signals that close some. Invariants: at most `connections_max` connections are open; a peer has at
//! most three quarters of them in the common lane; the last ones, `kept_back`, carry decisions and
//! health alone.
//!
//! # Design
//!
//! A stranger who opens many connections and keeps them must not lock anybody out. Past three quarters
//! of the maximum, each further connection closes an idle one: of the peer that has the most idle ones,
//! the one that is idle for the longest. If all places of the common lane are taken, a connection that
//! has not sent a whole head gives way too, if its peer has more connections than the new one. If
//! nobody gives way, the connection gets one of the last places, which serve a halt, a permit or a
//! probe, and refuse the rest at once (see `api::service`).
//!
//! A request in progress is never cut off for this. A peer behind a proxy shares the fate of the
//! others there. Rejected: shares by token, because the token is known only after the head, and a
//! stranger has none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::deadlines::{ConnectionPhase, PhaseKind};
use crate::api::{Lane, Peer};
use crate::metrics::{ConnectionClose, ListenerLabel, Runtime};

/// How often a full table looks again for a connection that may be closed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    open: Mutex<BTreeMap<u64, TableEntry>>,
    connections_max: usize,
    kept_back: usize,
    /// Numbers changes of phase, so that the connection that is idle for the longest is known without
    /// reading a clock for every request.
    turns: Arc<AtomicU64>,
    freed: Notify,
    listener: ListenerLabel,
    runtime: Arc<Runtime>,
}

#[derive(Debug)]
struct TableEntry {
    peer: Peer,
    lane: Lane,
    phase: Arc<ConnectionPhase>,
    close: CancellationToken,
}

/// An open connection. Dropping it frees its place.
#[derive(Debug)]
pub(super) struct OpenConnection {
    number: u64,
    table: Arc<ConnectionTable>,
    pub(super) lane: Lane,
    pub(super) phase: Arc<ConnectionPhase>,
    /// Cancelled when the connection has to give way.
    pub(super) close: CancellationToken,
}

impl ConnectionTable {
    /// A table for at most `connections_max` connections, the last `kept_back` of which carry
    /// decisions alone.
    pub(super) fn new(
        connections_max: usize,
        kept_back: usize,
        listener: ListenerLabel,
        runtime: Arc<Runtime>,
    ) -> Arc<Self> {
        let connections_max = connections_max.max(1);
        let limit = i64::try_from(connections_max).unwrap_or(i64::MAX);
        runtime.connections.limit.of(listener).set(limit);
        Arc::new(Self {
            open: Mutex::default(),
            connections_max,
            kept_back,
            turns: Arc::default(),
            freed: Notify::new(),
            listener,
            runtime,
        })
    }

    /// Waits until one more connection may be served.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let open = self.open.lock();
                if open.len() < self.connections_max {
                    return;
                }
                // One at a time: its place is free when its task has ended.
                if !open.values().any(|entry| entry.close.is_cancelled()) {
                    self.close_one(&open, None, PhaseKind::is_waiting);
                }
            }
            // Phases change without a signal.
            tokio::time::timeout(LOOK_AGAIN, freed).await.ok();
        }
    }

    /// Adds a connection, and makes room if there is little.
    pub(super) fn open(self: &Arc<Self>, peer: Peer) -> OpenConnection {
        let mut open = self.open.lock();
        let (mut staying, mut common, mut own) = (0, 0, 0);
        for entry in open.values().filter(|entry| !entry.close.is_cancelled()) {
            staying += 1;
            common += usize::from(entry.lane != Lane::Reserve);
            own += usize::from(entry.peer == peer);
        }
        let three_quarters = self.connections_max - self.connections_max / 4;
        let mut closed = Vec::new();
        if staying >= three_quarters {
            closed.extend(self.close_one(&open, None, |phase| phase == PhaseKind::Idle));
        }
        let left = |closed: &[(Peer, Lane)]| {
            common - closed.iter().filter(|(_, lane)| *lane != Lane::Reserve).count()
        };
        let is_full =
            |closed: &[(Peer, Lane)]| left(closed) + self.kept_back >= self.connections_max;
        if is_full(&closed) {
            closed.extend(self.close_one(&open, Some(own), PhaseKind::is_waiting));
        }
        own -= closed.iter().filter(|(of, _)| *of == peer).count();
        let may_share = self.kept_back == 0 || own < three_quarters;
        let lane = if is_full(&closed) && self.kept_back > 0 || !may_share {
            self.runtime.connections.reserve_used.inc();
            Lane::Reserve
        } else {
            Lane::Common
        };
        let number = self.turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let phase = Arc::new(ConnectionPhase::new(Arc::clone(&self.turns), number));
        let close = CancellationToken::new();
        let entry = TableEntry { peer, lane, phase: Arc::clone(&phase), close: close.clone() };
        open.insert(number, entry);
        drop(open);
        self.runtime.connections.open.of(self.listener).inc();
        OpenConnection { number, table: Arc::clone(self), lane, phase, close }
    }

    /// Closes the connection that is in such a phase for the longest, of the peer that has the most of
    /// those, if that has more than `than`. Returns its peer and lane.
    fn close_one(
        &self,
        open: &BTreeMap<u64, TableEntry>,
        than: Option<usize>,
        is_closable: impl Fn(PhaseKind) -> bool,
    ) -> Option<(Peer, Lane)> {
        let mut peers: BTreeMap<Peer, (usize, (u8, u64), &TableEntry)> = BTreeMap::new();
        for entry in open.values().filter(|entry| !entry.close.is_cancelled()) {
            let (kind, since) = entry.phase.get();
            if !is_closable(kind) {
                continue;
            }
            // Idle ones go before those that may be sending a head.
            let order = (u8::from(kind != PhaseKind::Idle), since);
            let of_peer = peers.entry(entry.peer).or_insert((0, order, entry));
            of_peer.0 += 1;
            if order < of_peer.1 {
                (of_peer.1, of_peer.2) = (order, entry);
            }
        }
        let most =
            peers.into_values().max_by_key(|(count, order, _)| (*count, std::cmp::Reverse(*order)));
        let (count, (head, _), victim) = most?;
        if than.is_some_and(|than| count <= than) {
            return None;
        }
        let why =
            if head == 0 { ConnectionClose::IdleForRoom } else { ConnectionClose::HeadForRoom };
        self.runtime.connections.closed.of(why).inc();
        victim.close.cancel();
        Some((victim.peer, victim.lane))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.table.open.lock().remove(&self.number);
        self.table.freed.notify_one();
        let metrics = &self.table.runtime.connections;
        metrics.open.of(self.table.listener).dec();
        if let Some(why) = self.phase.cut_off() {
            metrics.closed.of(why).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::metrics::Build;

    fn table(connections_max: usize, kept_back: usize) -> Arc<ConnectionTable> {
        let build = Build { version: "0", revision: "0", rustversion: "0" };
        let runtime = Arc::new(Runtime::new(&build).unwrap());
        ConnectionTable::new(connections_max, kept_back, ListenerLabel::Main, runtime)
    }

    fn peer(host: u8) -> Peer {
        Peer::new([10, 0, 0, host].into())
    }

    /// The indices of the connections that have to close.
    fn closing(open: &[OpenConnection]) -> Vec<usize> {
        let closing = open.iter().enumerate().filter(|(_, one)| one.close.is_cancelled());
        closing.map(|(index, _)| index).collect()
    }

    #[test]
    fn past_three_quarters_the_longest_idle_one_of_the_peer_with_most_is_closed() {
        let table = table(16, 2);
        let mut open = vec![table.open(peer(1)), table.open(peer(1))];
        open.extend((0..10).map(|_| table.open(peer(2))));
        for connection in &open {
            connection.phase.begin_request();
        }
        for connection in open.iter().rev() {
            connection.phase.end_request();
        }
        assert_eq!(closing(&open), [0; 0]);
        open.push(table.open(peer(3)));
        assert_eq!(closing(&open), [11], "the first one that became idle");
        open.push(table.open(peer(2)));
        assert_eq!(closing(&open), [10, 11]);
        open.remove(11);
        open.remove(10);
        assert!(open.iter().all(|connection| connection.lane == Lane::Common));
    }

    #[test]
    fn busy_connections_leave_the_last_places_for_decisions() {
        let table = table(16, 2);
        let open = |host: u8| {
            let connection = table.open(peer(host));
            connection.phase.begin_request();
            connection
        };
        let greedy: Vec<OpenConnection> = (0..13).map(|_| open(1)).collect();
        assert_eq!(greedy.iter().filter(|one| one.lane == Lane::Common).count(), 12);
        assert_eq!(greedy.last().map(|one| one.lane), Some(Lane::Reserve));
        let others = [open(2), open(3), open(4)];
        let lanes = others.each_ref().map(|one| one.lane);
        assert_eq!(lanes, [Lane::Common, Lane::Common, Lane::Reserve]);
        assert_eq!(closing(&greedy), [0; 0]);
    }

    #[test]
    fn a_peer_that_sends_no_heads_gives_way_to_one_with_fewer_connections() {
        let table = table(16, 2);
        let strangers: Vec<OpenConnection> =
            (0..7).flat_map(|_| [table.open(peer(1)), table.open(peer(2))]).collect();
        let engine = table.open(peer(3));
        assert_eq!((engine.lane, closing(&strangers).len()), (Lane::Common, 1));
        let more = table.open(peer(2));
        assert_eq!((more.lane, closing(&strangers).len()), (Lane::Reserve, 1), "it has the most");
    }

    #[tokio::test]
    async fn a_full_table_waits_for_a_place() {
        let table = table(2, 0);
        let (busy, idle) = (table.open(peer(1)), table.open(peer(1)));
        busy.phase.begin_request();
        let close = idle.close.clone();
        let leave = async move {
            close.cancelled().await;
            drop(idle);
        };
        tokio::join!(table.room(), leave);
        assert!(!busy.close.is_cancelled());
        drop(busy);
        table.room().await;
    }
}
