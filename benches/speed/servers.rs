//! The servers of the comparison, each alone on the core of servers.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;

use crate::machine::{Process, start_on_server_core};

/// Where `benches/peers` puts the others' programs.
pub(crate) const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/peers");

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that listens.
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

/// axum with a handler that reads the body and answers: the limit of a server built on it.
pub(crate) fn axum() -> Server {
    let address = free_address();
    let this = std::env::current_exe().expect("the path of this program");
    let this = this.to_str().expect("a path of text");
    listening(this, &["role", "axum", &address.to_string()], address, None)
}

/// Unpacks the others' programs, where that was not done yet.
pub(crate) fn fetch_peers() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");
    assert!(Command::new(script).status().expect("bash").success(), "{script} failed");
}

/// `VictoriaMetrics`, in an empty folder.
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

/// Serves as [`axum`] says, until it is killed.
pub(crate) fn serve_axum(address: &str) {
    let router = Router::new().route(
        "/api/v1/events",
        post(async |body: Bytes| {
            let answer = if body.is_empty() { "{}" } else { r#"{"accepted":1,"duplicates":0}"# };
            ([(header::CONTENT_TYPE, "application/json")], answer)
        }),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a listener");
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            stream.set_nodelay(true).expect("a socket option");
        });
        axum::serve(listener, router).await.expect("a server");
    });
}
