//! The latency row: how long an engine waits for answers while Prometheus scrapes.
//!
//! The request rate is far below the capacity of the server, as that of engines is: at its limit, the
//! latency would only show the length of the queue. A scraper sends the request of Prometheus every
//! second.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::http_rows::{events_at, fresh_engine};
use crate::load::{self, Round, Target};
use crate::rounds::{median, median_ratio, take_turns};
use crate::servers::{self, Server};
use crate::table::{Goal, Row, thousands};

/// Duration of the load on each side in a round: some scrapes.
const ROUND: Duration = Duration::from_secs(4);
/// Connections, and the interval of requests on each: together 2,000 events a second.
const CONNECTIONS: u64 = 16;
const PACE: Duration = Duration::from_millis(8);
const SCRAPE_EVERY: Duration = Duration::from_secs(1);
/// Symbols of the state: more than a hundred thousand series.
const SYMBOLS: u64 = 3_000;

/// The request of Prometheus.
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
    Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";

fn scrape(address: SocketAddr, head: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(SCRAPE.as_bytes()).expect("a sent request");
    stream.write_all(head.as_bytes()).expect("a sent request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "a scrape that succeeds");
    answer
}

fn paced(server: &Server) -> Round {
    let target = Target { connections: CONNECTIONS, pace: PACE, ..events_at(server) };
    load::run(target, &server.process, ROUND, |_| {
        let mut engine = fresh_engine(SYMBOLS);
        move |out: &mut Vec<u8>| engine.event(out)
    })
}

fn paced_while_scraped(server: &Server) -> Round {
    let (address, ended) = (server.address, Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&ended);
    let scraper = thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            let started = Instant::now();
            scrape(address, "Accept-Encoding: gzip\r\n\r\n");
            thread::sleep(SCRAPE_EVERY.saturating_sub(started.elapsed()));
        }
    });
    let round = paced(server);
    ended.store(true, Ordering::Relaxed);
    scraper.join().expect("a scraper that ends");
    round
}

/// Fills the state of the server.
fn feed(server: &Server) {
    let content_type = "application/x-ndjson";
    let target = Target { content_type, connections: 1, ..events_at(server) };
    load::run(target, &server.process, ROUND, |_| {
        let mut engine = fresh_engine(SYMBOLS);
        move |out: &mut Vec<u8>| engine.batch(out)
    });
}

/// The 99th percentile of the latency, with and without a scrape each second.
pub(crate) fn latency() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("series.yml");
    fs::write(&file, "series:\n  max: 1000000\n").expect("a file");
    let file = file.to_str().expect("a path of text");
    let server = servers::exporter(&["--storage.mode=memory", &format!("--config.file={file}")]);
    feed(&server);
    let exposition = scrape(server.address, "\r\n");
    let series = exposition.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    let [with, without] =
        take_turns([&mut || paced_while_scraped(&server), &mut || paced(&server)]);
    let p99 = |rounds: &[Round]| -> Vec<f64> {
        rounds.iter().map(|round| round.quantile_us(0.99)).collect()
    };
    let (with, without) = (p99(&with), p99(&without));
    let micros = |times: &[f64]| format!("{:.0} µs", median(times.iter().copied()));
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let series = thousands(series.count() as f64);
    vec![Row {
        what: format!("p99 at 2,000 single events a second, {series} series scraped each second"),
        ours: micros(&with),
        against: "the same without scraping".to_owned(),
        theirs: micros(&without),
        ratio: median_ratio(&with, &without),
        goal: Goal::AtMost(1.3),
        note: String::new(),
    }]
}
