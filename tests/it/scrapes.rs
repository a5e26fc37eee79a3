//! A scrape shows one moment, whatever arrives while it is made: the counters of symbols add up to those
//! of their account.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;
use trading_exporter::clock::monotonic;

use crate::exporter::{Client, Exporter, SOON};

const SYMBOLS: usize = 400;
/// Requests of each engine, and orders of each request, all submitted and rejected.
const REQUESTS: usize = 60;
const ORDERS: usize = 40;

/// Orders of an engine, spread over the symbols.
fn body(engine: usize, request: usize) -> String {
    let mut events = String::new();
    for order in request * ORDERS..(request + 1) * ORDERS {
        let symbol = (order * 7 + engine) % SYMBOLS;
        for (kind, rest) in [("submitted", r#","quantity":1"#), ("rejected", "")] {
            let comma = if events.is_empty() { "" } else { "," };
            write!(
                events,
                r#"{comma}{{"type":"order_{kind}","account":"paper","order_id":"{engine}-{order}","symbol":"S{symbol}","side":"buy"{rest}}}"#
            )
            .unwrap();
        }
    }
    format!("[{events}]")
}

fn send(address: SocketAddr, engine: usize) {
    let mut client = Client::connect(address);
    for request in 0..REQUESTS {
        let answer = client.send("POST", "/api/v1/events", &body(engine, request));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// The sum of a family's series.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn sum(text: &str, family: &str) -> usize {
    let start = format!("{family}{{account=\"paper\",");
    let series = text.lines().filter(|line| line.starts_with(&start));
    let values = series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    values.sum::<f64>() as usize
}

/// The rejections in a scrape, counted in both ways.
fn rejections(client: &mut Client) -> usize {
    let answer = client.send("GET", "/metrics", "");
    assert_eq!(answer.status, 200);
    let of_symbols = sum(&answer.body, "trading_orders_rejected_total");
    assert_eq!(of_symbols, sum(&answer.body, "trading_rejections_by_reason_total"));
    of_symbols
}

#[test]
fn concurrent_scrapes_each_show_one_moment() {
    let exporter = Exporter::start(&[]);
    let (address, ended) = (exporter.address, AtomicBool::new(false));
    thread::scope(|threads| {
        let engines: Vec<_> = (0..2).map(|n| threads.spawn(move || send(address, n))).collect();
        for _ in 0..2 {
            threads.spawn(|| {
                let mut client = Client::connect(address);
                let mut last = 0;
                while !ended.load(Ordering::Relaxed) {
                    let now = rejections(&mut client);
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            });
        }
        // The scrapers must end, even if an engine panicked.
        let sent: Vec<_> = engines.into_iter().map(thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Relaxed);
        assert!(sent.iter().all(Result::is_ok));
    });
    assert_eq!(rejections(&mut Client::connect(address)), 2 * REQUESTS * ORDERS);
}

/// Symbols for an answer that no socket buffer holds.
const MANY_SYMBOLS: usize = 2_500;
const READERS: usize = 200;

/// Clients that ask for `/metrics` and read nothing cost little memory, and do not keep the others out.
#[test]
fn readers_that_take_nothing_cost_little_and_block_nobody() {
    let exporter = Exporter::start(&[]);
    let mut engine = Client::connect(exporter.address);
    for part in 0..MANY_SYMBOLS / 500 {
        let order = |n: usize| {
            let symbol = part * 500 + n;
            format!(
                r#"{{"type":"order_submitted","account":"paper","order_id":"{symbol}","symbol":"S{symbol}","side":"buy","quantity":1,"expected_price":1}},{{"type":"order_filled","account":"paper","order_id":"{symbol}","fill_id":"{symbol}","price":1}}"#
            )
        };
        let orders: Vec<String> = (0..500).map(order).collect();
        let body = format!("[{}]", orders.join(","));
        assert_eq!(engine.send("POST", "/api/v1/events", &body).status, 200);
    }
    let size = exporter.get("/metrics").body.len();
    assert!(size > 5 << 20, "{size} bytes fit into the buffers of a socket");
    let before = exporter.status_kib("VmHWM");
    let readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut reader = TcpStream::connect(exporter.address).unwrap();
            reader.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            reader
        })
        .collect();
    let deadline = monotonic() + SOON;
    loop {
        let answer = exporter.get("/metrics");
        if answer.status == 200 {
            assert!(answer.body.len() > 5 << 20);
            break;
        }
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("overloaded")));
        assert!(monotonic() < deadline, "no scrape is answered");
    }
    assert_eq!(exporter.get("/-/healthy").status, 200);
    let after = exporter.status_kib("VmHWM");
    assert!(after - before < 64 << 10, "{before} KiB before, {after} KiB with {READERS} readers");
    let metrics = exporter.get("/metrics").body;
    for reason in ["full", "gave_way"] {
        let none = format!("trading_exporter_scrapes_refused_total{{reason=\"{reason}\"}} 0.0\n");
        assert!(!metrics.contains(&none), "{reason}");
    }
    drop(readers);
}
