//! A scrape shows one moment, whatever arrives while it is made: the counters of symbols add up to those
//! of their account.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::exporter::{Client, Exporter};

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
