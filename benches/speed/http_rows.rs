//! Rows over HTTP: the exporter as it is shipped, compared with alternatives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::load::{self, Round, Target};
use crate::parse;
use crate::rounds::{median, median_ratio, rate, take_turns};
use crate::servers::{self, Server};
use crate::table::{Goal, Row, per_second};
use crate::traffic::{BATCH_EVENTS, Engine, SYMBOLS, cycle};

/// Duration of the load on each side in a round.
pub(crate) const ROUND: Duration = Duration::from_millis(1_500);
/// Connections with one waiting request each.
pub(crate) const CONNECTIONS: u64 = 64;
/// Connections for batches.
pub(crate) const BATCH_CONNECTIONS: u64 = 4;
/// Rounds of batches before anything is measured: more than a million orders.
const FILL_ROUNDS: usize = 10;
/// Order numbers reserved for one connection in one round.
const NUMBERS: u64 = 1_000_000;

/// An engine whose order numbers were not used before.
pub(crate) fn fresh_engine(symbols: u64) -> Engine {
    static BLOCKS: AtomicU64 = AtomicU64::new(1);
    Engine::new(BLOCKS.fetch_add(1, Ordering::Relaxed) * NUMBERS, symbols)
}

pub(crate) fn events_at(server: &Server) -> Target {
    Target {
        address: server.address,
        path: servers::EVENTS_PATH,
        content_type: "application/json",
        connections: CONNECTIONS,
        pace: Duration::ZERO,
    }
}

pub(crate) fn send_events(server: &Server) -> Round {
    load::run(events_at(server), &server.process, ROUND, |_| {
        let mut engine = fresh_engine(SYMBOLS);
        move |out: &mut Vec<u8>| engine.event(out)
    })
}

pub(crate) fn send_batches(server: &Server) -> Round {
    let content_type = "application/x-ndjson";
    let target = Target { content_type, connections: BATCH_CONNECTIONS, ..events_at(server) };
    load::run(target, &server.process, ROUND, |_| {
        let mut engine = fresh_engine(SYMBOLS);
        move |out: &mut Vec<u8>| engine.batch(out)
    })
}

/// Loads a server until it holds the maximum number of ended orders. From then on each new order
/// replaces an old one, as in an exporter that has run for a while. Before that, much of the time is
/// page faults for new memory.
pub(crate) fn fill_up(server: &Server) {
    for _ in 0..FILL_ROUNDS {
        send_batches(server);
    }
}

/// Writes price and quantity of a fill as two samples of the text format.
fn write_samples(symbol: u64, out: &mut Vec<u8>) {
    for (name, value) in [("price", "187.42"), ("quantity", "100")] {
        let sample = format!(
            "trading_fill_{name}{{account=\"paper\",symbol=\"SYM{symbol:05}\",side=\"buy\"}} {value}\n"
        );
        out.extend_from_slice(sample.as_bytes());
    }
}

fn send_samples(server: &Server, path: &'static str) -> Round {
    let target = Target { path, content_type: "text/plain", ..events_at(server) };
    load::run(target, &server.process, ROUND, |connection| {
        let mut symbol = connection;
        move |out: &mut Vec<u8>| {
            symbol += 1;
            write_samples(symbol % SYMBOLS, out);
        }
    })
}

fn rates(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|round| round.rate).collect()
}

/// A note about how busy both sides were.
pub(crate) fn busy(rounds: &[Round]) -> String {
    let server = median(rounds.iter().map(|round| round.server_busy));
    let load = median(rounds.iter().map(|round| round.load_busy));
    format!("server {:.0} %, load {:.0} % busy", server * 100.0, load * 100.0)
}

/// One event per request, against bare axum and against other servers that get the same facts.
pub(crate) fn single() -> Vec<Row> {
    servers::fetch_peers();
    let exporter = servers::exporter(&["--storage.mode=memory"]);
    fill_up(&exporter);
    let axum = servers::axum();
    let minimal = servers::minimal();
    let victoria = servers::victoria_metrics();
    let gateway = servers::pushgateway();
    let [ours, limit, minimal_rounds, lines, pushes] = take_turns([
        &mut || send_events(&exporter),
        &mut || send_events(&axum),
        &mut || send_events(&minimal),
        &mut || send_samples(&victoria, "/api/v1/import/prometheus"),
        &mut || send_samples(&gateway, "/metrics/job/paper"),
    ]);
    let exporter = format!("single event, memory log, {CONNECTIONS} connections");
    let row = |what: &str, ours: &[Round], against: &str, theirs: &[Round], goal| Row {
        what: what.to_owned(),
        ours: per_second(median(rates(ours))),
        against: against.to_owned(),
        theirs: per_second(median(rates(theirs))),
        ratio: median_ratio(&rates(ours), &rates(theirs)),
        goal,
        note: format!("{}; theirs: {}", busy(ours), busy(theirs)),
    };
    let bare = "bare axum: reads the body and answers";
    let floor = "minimal axum server: parses, waits for one writer thread, same answer";
    let victoria = "VictoriaMetrics, price and quantity as samples";
    vec![
        row(&exporter, &ours, bare, &limit, Goal::AtLeast(0.75)),
        row(&exporter, &ours, floor, &minimal_rounds, Goal::None),
        row(floor, &minimal_rounds, bare, &limit, Goal::None),
        row(&exporter, &ours, victoria, &lines, Goal::AtLeast(2.5)),
        row(&exporter, &ours, "pushgateway, the same samples", &pushes, Goal::AtLeast(20.0)),
    ]
}

/// A thousand events per request, against parsing the same bytes.
pub(crate) fn batch() -> Vec<Row> {
    let exporter = servers::exporter(&["--storage.mode=memory"]);
    fill_up(&exporter);
    let bodies = cycle(fresh_engine(SYMBOLS));
    let parse = || bodies.iter().map(|body| parse::count(body)).sum();
    let mut rounds = Vec::new();
    let [ours, limit] = take_turns([
        &mut || {
            rounds.push(send_batches(&exporter));
            #[expect(clippy::cast_precision_loss, reason = "a thousand")]
            let events = BATCH_EVENTS as f64;
            rounds.last().map_or(0.0, |round| round.rate * events)
        },
        &mut || rate(ROUND / 3, parse),
    ]);
    vec![Row {
        what: format!("NDJSON, {BATCH_EVENTS} events per request, memory log"),
        ours: per_second(median(ours.iter().copied())),
        against: "only parsing the same bytes (serde_json)".to_owned(),
        theirs: per_second(median(limit.iter().copied())),
        ratio: median_ratio(&ours, &limit),
        goal: Goal::AtLeast(0.5),
        note: busy(&rounds),
    }]
}
