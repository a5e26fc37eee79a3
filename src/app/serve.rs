//! The accept loop: one task for each connection, and an orderly shutdown.
//!
//! Input: listeners, a service for each connection, limits, and a cancellation token. Invariants: at
//! most `connections_max` connections are served, and connections that wait give way to new ones (see
//! `connections.rs`); a slow head, an idle connection and a peer that reads nothing of its answer are
//! disconnected (see `deadlines.rs`); after the token is cancelled no connection is accepted, requests in
//! progress are
//! finished within `drain_timeout`, and connections that are left then are dropped. Deliberately
//! absent: routes, statuses and time limits of bodies (see `crate::api`).

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{ConnectionTable, OpenConnection};
use super::deadlines::{ConnectionTimeouts, GuardedIo, PhaseKind, TrackedBody};
use super::listen::Listeners;
use super::tls::Transport;
use crate::api::{BulkAnswer, Lane, Origin, Peer};
use crate::clock;
use crate::config::WebConfig;
use crate::metrics::{ListenerLabel, Runtime};

/// From one byte that a peer reads of a scrape to the next. Scrapes are large, and are read at once.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest time between two warnings that connections cannot be accepted.
const WARNING_PAUSE: Duration = Duration::from_secs(30);
/// Deadlines of a connection that has one of the last places.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections of the listener for decisions.
pub(super) const DECISION_CONNECTIONS_MAX: usize = 128;

/// The limits on connections.
#[derive(Clone, Debug)]
pub(super) struct ServeLimits {
    /// The maximum number of connections.
    pub(super) connections_max: usize,
    /// The last of these, which carry decisions, permits and health alone.
    pub(super) kept_back: usize,
    /// From the first byte of a head to its last. For a new connection it counts from the start.
    pub(super) header_timeout: Duration,
    /// From an answer to the next head, and from one byte that the peer reads of an answer to the next.
    pub(super) idle_timeout: Duration,
    /// From one byte that the peer reads of a scrape to the next.
    pub(super) scrape_timeout: Duration,
    /// From the cancellation to the end of all requests in progress.
    pub(super) drain_timeout: Duration,
}

impl From<&WebConfig> for ServeLimits {
    fn from(web: &WebConfig) -> Self {
        Self {
            connections_max: web.connections_max,
            kept_back: web.connections_max / 16,
            header_timeout: web.header_timeout,
            idle_timeout: web.idle_timeout,
            scrape_timeout: SCRAPE_TIMEOUT.min(web.idle_timeout),
            drain_timeout: web.drain_timeout,
        }
    }
}

impl ServeLimits {
    /// The limits of the listener for decisions.
    pub(super) fn of_decisions(web: &WebConfig) -> Self {
        Self { connections_max: DECISION_CONNECTIONS_MAX, kept_back: 0, ..Self::from(web) }
    }

    const fn timeouts(&self, lane: Lane) -> ConnectionTimeouts {
        let Self { header_timeout: header, idle_timeout: idle, scrape_timeout: scrape, .. } = *self;
        match lane {
            Lane::Common | Lane::Decisions => ConnectionTimeouts { header, idle, scrape },
            Lane::Reserve => ConnectionTimeouts {
                header: RESERVE_TIMEOUT,
                idle: RESERVE_TIMEOUT,
                scrape: RESERVE_TIMEOUT,
            },
        }
    }
}

/// Serves until `stop` is cancelled, then drains the connections. `connect` makes the service of a
/// connection.
pub(super) async fn serve<S, B>(
    mut listeners: Listeners,
    transport: Transport,
    connect: impl Fn(Origin) -> S,
    limits: ServeLimits,
    (label, runtime): (ListenerLabel, Arc<Runtime>),
    stop: CancellationToken,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let table = ConnectionTable::new(limits.connections_max, limits.kept_back, label, runtime);
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    let mut failures: u32 = 0;
    let mut warned: Option<Instant> = None;
    loop {
        let next = async {
            let accepted = listeners.accept().await;
            // Without room it waits here, and further ones in the kernel's queue.
            table.room().await;
            accepted
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, address)) => {
                failures = failures.saturating_sub(1);
                let peer = Peer::new(address.ip());
                let open = table.open(peer);
                let service = connect(Origin { peer, lane: open.lane });
                let timeouts = limits.timeouts(open.lane);
                let stream = (stream, transport.clone());
                let connection = connection(stream, open, service, timeouts, stop.clone());
                let abort = abort.clone();
                connections.spawn(async move {
                    abort.run_until_cancelled(connection).await;
                });
            }
            Err(error) => {
                let pause = pause_after(&error, failures);
                let now = clock::monotonic();
                let is_news = warned.is_none_or(|at| now.duration_since(at) > WARNING_PAUSE);
                if is_news && !pause.is_zero() {
                    warned = Some(now);
                    tracing::warn!(%error, "cannot accept connections");
                }
                failures = failures.saturating_add(u32::from(!pause.is_zero()));
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        }
    }
    drop(listeners);
    drain(&connections, &abort, limits.drain_timeout).await
}

/// The result of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// All requests in progress were answered.
    Complete,
    /// This many connections were dropped after `drain_timeout`.
    Dropped(usize),
}

/// Waits for the connections, and drops those that are left after the timeout.
async fn drain(
    connections: &TaskTracker,
    abort: &CancellationToken,
    drain_timeout: Duration,
) -> Drained {
    connections.close();
    if tokio::time::timeout(drain_timeout, connections.wait()).await.is_ok() {
        return Drained::Complete;
    }
    let left = connections.len();
    abort.cancel();
    connections.wait().await;
    Drained::Dropped(left)
}

/// Serves one connection to its end, beginning with its handshake if it has one.
async fn connection<S, B>(
    (stream, transport): (TcpStream, Transport),
    open: OpenConnection,
    service: S,
    timeouts: ConnectionTimeouts,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was closed before it was served");
        return;
    }
    let opened = tokio::select! {
        opened = transport.open(stream, timeouts.header) => opened,
        () = stop.cancelled() => None,
        () = open.close.cancelled() => None,
    };
    let Some(stream) = opened else { return };
    let phase = Arc::clone(&open.phase);
    let io = GuardedIo::new(stream, Arc::clone(&phase), timeouts);
    let service = service_fn(move |request| {
        phase.begin_request();
        let phase = Arc::clone(&phase);
        let answer = service.call(request);
        async move {
            let answer = answer.await?;
            if answer.extensions().get::<BulkAnswer>().is_some() {
                phase.begin_bulk();
            }
            Ok::<_, S::Error>(answer.map(|body| TrackedBody::new(body, phase)))
        }
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // A second limit, for a head whose first bytes arrived together with the request before
            // it: `GuardedIo` sees no read for those.
            .header_read_timeout(timeouts.header + timeouts.idle)
            .serve_connection(TokioIo::new(io), service)
    );
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = open.close.cancelled() => {
            if open.phase.get().0 == PhaseKind::ReadingHead {
                return;
            }
            // A request that has arrived meanwhile is answered.
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// The pause after an error of `accept` that follows `failures` others. An error of a single
/// connection needs no pause. If the process has no file descriptors or memory left, retrying at once
/// would only burn CPU time.
fn pause_after(error: &io::Error, failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);
    let of_one_connection = matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    );
    if of_one_connection {
        return Duration::ZERO;
    }
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test owns the tasks that it spawns")]
mod tests {
    use super::*;

    use std::convert::Infallible;
    use std::net::SocketAddr;

    use arc_swap::ArcSwap;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use crate::config::Config;
    use crate::metrics::Build;

    const SOON: Duration = Duration::from_secs(10);

    /// A server under test. `/wait` answers when `go` is notified, `/large` answers 64 MiB, all
    /// else answers the length of the body.
    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        entered: Arc<Notify>,
        go: Arc<Notify>,
        served: JoinHandle<Drained>,
    }

    fn limits() -> ServeLimits {
        ServeLimits {
            connections_max: 16,
            kept_back: 0,
            header_timeout: Duration::from_mins(10),
            idle_timeout: Duration::from_mins(10),
            scrape_timeout: Duration::from_mins(10),
            drain_timeout: Duration::from_mins(10),
        }
    }

    async fn answer(
        request: Request<Incoming>,
        entered: Arc<Notify>,
        go: Arc<Notify>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/wait" {
            entered.notify_one();
            go.notified().await;
        }
        let large = request.uri().path() == "/large";
        let length = request.into_body().collect().await.map_or(0, |b| b.to_bytes().len());
        let text = if large { vec![b'x'; 64 << 20] } else { format!("{length}").into_bytes() };
        Ok(Response::new(Full::new(Bytes::from(text))))
    }

    async fn start(limits: ServeLimits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, entered, go) =
            (CancellationToken::new(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let service = {
            let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
            // `service_fn` is Clone when its closure is.
            service_fn(move |r| answer(r, Arc::clone(&entered), Arc::clone(&go)))
        };
        let build = Build { version: "0", revision: "0", rustversion: "0" };
        let config = Arc::new(ArcSwap::from_pointee(Config::default()));
        let runtime = Arc::new(Runtime::new(&build).unwrap());
        let transport = Transport::new(config, Arc::clone(&runtime));
        let listeners = Listeners::from(listener);
        let metrics = (ListenerLabel::Main, runtime);
        let connect = move |_: Origin| service.clone();
        let serving = serve(listeners, transport, connect, limits, metrics, stop.clone());
        let served = tokio::spawn(serving);
        Server { address, stop, entered, go, served }
    }

    async fn connect(server: &Server) -> TcpStream {
        TcpStream::connect(server.address).await.unwrap()
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
    }

    /// Reads until `end` was read.
    async fn read_to(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        let mut buffer = [0; 1024];
        while !text.ends_with(end) {
            let n = tokio::time::timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
            assert_ne!(n, 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        }
        text
    }

    /// Reads until the peer closes, and returns the bytes before that.
    async fn closed(stream: &mut TcpStream) -> Vec<u8> {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        // A reset is an end too.
        end.expect("it stays open").ok();
        rest
    }

    #[tokio::test]
    async fn requests_are_served_one_after_another_on_one_connection() {
        let server = start(limits()).await;
        let mut stream = connect(&server).await;
        for _ in 0..3 {
            send(&mut stream, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde").await;
            let answer = read_to(&mut stream, "\r\n\r\n5").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_slow_head_is_cut_off() {
        let short = ServeLimits { header_timeout: Duration::from_millis(50), ..limits() };
        let check = |before: String, partial: &'static str| {
            let short = short.clone();
            async move {
                let server = start(short).await;
                let mut stream = connect(&server).await;
                if !before.is_empty() {
                    send(&mut stream, &before).await;
                    read_to(&mut stream, "\r\n\r\n0").await;
                }
                send(&mut stream, partial).await;
                assert_eq!(closed(&mut stream).await, b"", "{before:?} {partial:?}");
            }
        };
        check(String::new(), "").await;
        check(String::new(), "GET / HT").await;
        check(String::new(), "GET / HTTP/1.1\r\nhost: x\r\nx-a: ").await;
        check(get("/"), "G").await;
        check(get("/"), "GET / HTTP/1.1\r\nhost: x\r\n").await;
    }

    #[tokio::test]
    async fn a_head_that_trickles_is_cut_off_too() {
        let short = ServeLimits { header_timeout: Duration::from_millis(100), ..limits() };
        let server = start(short).await;
        let (mut reader, mut writer) = connect(&server).await.into_split();
        let trickle = tokio::spawn(async move {
            writer.write_all(b"GET / HTTP/1.1\r\nx: ").await.ok();
            let mut every = tokio::time::interval(Duration::from_millis(10));
            while writer.write_all(b"y").await.is_ok() {
                every.tick().await;
            }
        });
        let mut rest = Vec::new();
        let end = tokio::time::timeout(SOON, reader.read_to_end(&mut rest)).await;
        end.expect("it stays open").ok();
        trickle.abort();
        assert_eq!(rest, b"");
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
        let short = ServeLimits { idle_timeout: Duration::from_millis(50), ..limits() };
        let server = start(short.clone()).await;
        let mut idle = connect(&server).await;
        send(&mut idle, &get("/")).await;
        read_to(&mut idle, "\r\n\r\n0").await;
        let mut busy = connect(&server).await;
        send(&mut busy, &get("/wait")).await;
        server.entered.notified().await;
        assert_eq!(closed(&mut idle).await, b"");
        server.go.notify_one();
        read_to(&mut busy, "\r\n\r\n0").await;
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_cut_off() {
        let short = ServeLimits { idle_timeout: Duration::from_millis(100), ..limits() };
        let server = start(short).await;
        let mut stream = connect(&server).await;
        send(&mut stream, &get("/large")).await;
        // The head has arrived, so the answer is being sent; the rest fills the buffers of the kernel.
        stream.readable().await.unwrap();
        server.stop.cancel();
        assert_eq!(server.served.await.unwrap(), Drained::Complete);
        assert!(closed(&mut stream).await.len() < 64 << 20);
    }

    #[tokio::test]
    async fn past_the_cap_an_idle_connection_gives_way_and_a_busy_one_does_not() {
        let server = start(ServeLimits { connections_max: 1, ..limits() }).await;
        let mut idle = connect(&server).await;
        send(&mut idle, &get("/")).await;
        read_to(&mut idle, "\r\n\r\n0").await;
        let mut busy = connect(&server).await;
        assert_eq!(closed(&mut idle).await, b"");
        send(&mut busy, &get("/wait")).await;
        server.entered.notified().await;
        let mut last = connect(&server).await;
        send(&mut last, &get("/")).await;
        let early = last.try_read(&mut [0; 1]).map_err(|e| e.kind());
        assert_eq!(early, Err(ErrorKind::WouldBlock));
        server.go.notify_one();
        read_to(&mut busy, "\r\n\r\n0").await;
        read_to(&mut last, "\r\n\r\n0").await;
    }

    #[tokio::test]
    async fn a_drain_finishes_what_is_under_way_and_closes_what_is_idle() {
        let server = start(limits()).await;
        let mut idle = connect(&server).await;
        send(&mut idle, &get("/")).await;
        read_to(&mut idle, "\r\n\r\n0").await;
        let mut fresh = connect(&server).await;
        let mut busy = connect(&server).await;
        send(&mut busy, &get("/wait")).await;
        server.entered.notified().await;
        server.stop.cancel();
        closed(&mut idle).await;
        closed(&mut fresh).await;
        assert!(!server.served.is_finished());
        server.go.notify_one();
        let answer = read_to(&mut busy, "\r\n\r\n0").await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(server.served.await.unwrap(), Drained::Complete);
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn a_drain_ends_in_time() {
        let short = ServeLimits { drain_timeout: Duration::from_millis(50), ..limits() };
        let server = start(short).await;
        let mut busy = connect(&server).await;
        send(&mut busy, &get("/wait")).await;
        server.entered.notified().await;
        server.stop.cancel();
        assert_eq!(server.served.await.unwrap(), Drained::Dropped(1));
        assert_eq!(closed(&mut busy).await, b"");
    }

    #[test]
    fn only_errors_of_the_whole_process_pause_the_loop() {
        let check = |error: io::Error, failures: u32, expect_ms: u64| {
            let pause = pause_after(&error, failures);
            assert_eq!(pause, Duration::from_millis(expect_ms), "{error} after {failures}");
        };
        let emfile = || io::Error::from_raw_os_error(24);
        check(ErrorKind::ConnectionAborted.into(), 5, 0);
        check(ErrorKind::Interrupted.into(), 0, 0);
        check(emfile(), 0, 10);
        check(emfile(), 3, 80);
        check(emfile(), 7, 1_000);
        check(emfile(), u32::MAX, 1_000);
    }
}
