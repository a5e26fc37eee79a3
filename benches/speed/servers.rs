//! The servers of the comparisons, each pinned to the server core.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::post;
use tokio::sync::{mpsc, oneshot};
use trading_exporter::clock;
use trading_exporter::journal::{Batch, EventLog, Room, SyncMode};

use crate::folders::open_journal;
use crate::machine::{PEERS, Process, start_on_server_core};
use crate::parse;

/// The path to which events are posted.
pub(crate) const EVENTS_PATH: &str = "/api/v1/events";

/// Timeout until a server listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    _folder: Option<tempfile::TempDir>,
}

/// The exporter as it is shipped, with these arguments.
pub(crate) fn exporter(arguments: &[&str]) -> Server {
    let address = free_address();
    let listen = format!("--web.listen-address={address}");
    let arguments = [&[listen.as_str()], arguments].concat();
    listening(env!("CARGO_BIN_EXE_trading-exporter"), &arguments, address, None)
}

/// axum with a handler that reads the body and answers: the limit of any server built on axum.
pub(crate) fn axum() -> Server {
    this_program(&["axum"])
}

/// The minimal single-writer server; see [`serve_minimal`].
pub(crate) fn minimal() -> Server {
    this_program(&["minimal"])
}

/// The minimal server, which also appends the events to a journal in `folder` before it answers.
pub(crate) fn minimal_durable(folder: &Path) -> Server {
    this_program(&["minimal", folder.to_str().expect("a path of text")])
}

/// Starts this program as a server in a role.
fn this_program(role: &[&str]) -> Server {
    let address = free_address();
    let this = std::env::current_exe().expect("the path of this program");
    let this = this.to_str().expect("a path of text");
    let address_text = address.to_string();
    let (role, rest) = role.split_first().expect("a role");
    listening(this, &[&["role", role, &address_text], rest].concat(), address, None)
}

/// Fetches the other servers, if that was not done yet.
pub(crate) fn fetch_peers() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");
    assert!(Command::new(script).status().expect("bash").success(), "{script} failed");
}

/// `VictoriaMetrics`, with an empty data folder.
pub(crate) fn victoria_metrics() -> Server {
    let (address, folder) = (free_address(), tempfile::tempdir().expect("a folder"));
    let listen = format!("-httpListenAddr={address}");
    let data = format!("-storageDataPath={}", folder.path().display());
    let program = format!("{PEERS}/victoria-metrics");
    listening(&program, &[&listen, &data], address, Some(folder))
}

/// pushgateway, in memory.
pub(crate) fn pushgateway() -> Server {
    let address = free_address();
    let program = format!("{PEERS}/prometheus-pushgateway");
    listening(&program, &[&format!("--web.listen-address={address}")], address, None)
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

fn listening(
    program: &str,
    arguments: &[&str],
    address: SocketAddr,
    folder: Option<tempfile::TempDir>,
) -> Server {
    let process = start_on_server_core(program, arguments);
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(started.elapsed() < START_TIMEOUT, "{program} does not listen on {address}");
        sleep(Duration::from_millis(20));
    }
    Server { process, address, _folder: folder }
}

/// Serves as described at [`axum`], until it is killed.
pub(crate) fn serve_axum(address: &str) {
    let handler = async |body: Bytes| {
        let answer = if body.is_empty() { "{}" } else { r#"{"accepted":1,"duplicates":0}"# };
        ([(header::CONTENT_TYPE, "application/json")], answer)
    };
    serve_router(address, Router::new().route(EVENTS_PATH, post(handler)));
}

/// The headers of every answer of the exporter, except the request id.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "application/json"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The minimal single-writer server, until it is killed: it parses each event once, sends it to one
/// writer thread, waits for that thread, and answers with the headers and the body of the exporter. It
/// checks nothing and keeps no state. With a folder, the writer appends the events to a journal.
pub(crate) fn serve_minimal(address: &str, folder: Option<&str>) {
    let mut log = folder.map(|folder| open_journal(Path::new(folder), SyncMode::EveryBatch));
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Bytes, oneshot::Sender<u64>)>();
    thread::spawn(move || {
        let mut sequence = 0;
        while let Some(first) = receiver.blocking_recv() {
            // As in the exporter: yield once, so that more requests arrive and share a batch.
            thread::yield_now();
            let mut taken = vec![first];
            taken.extend(std::iter::from_fn(|| receiver.try_recv().ok()));
            if let Some(log) = &mut log {
                let first = log.last_sequence() + 1;
                let mut batch = Batch::new(first, clock::now().as_nanos(), Room::Ordinary);
                for (event, _) in &taken {
                    batch.push(|out| out.extend_from_slice(event));
                }
                log.append(&batch).expect("a batch that is accepted");
            }
            for (event, answer) in taken {
                sequence += std::hint::black_box(u64::from(!event.is_empty()));
                answer.send(sequence).ok();
            }
        }
    });
    let handler = async move |body: Bytes| {
        parse::parse(&body);
        let (answer, taken) = oneshot::channel();
        sender.send((body, answer)).expect("a thread that receives");
        let sequence = taken.await.expect("a thread that answers");
        let id = HeaderValue::try_from(format!("0123456789abcdef-{sequence}")).expect("text");
        let answer = format!(
            r#"{{"accepted":1,"duplicates":0,"rejected":[],"sequence":{sequence},"states":{{"paper":"ACTIVE"}}}}"#
        );
        (HEADERS, [("x-request-id", id)], answer)
    };
    serve_router(address, Router::new().route(EVENTS_PATH, post(handler)));
}

fn serve_router(address: &str, router: Router) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a listener");
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            stream.set_nodelay(true).expect("a socket option");
        });
        axum::serve(listener, router).await.expect("a server");
    });
}
