//! Clients that record which orders were acknowledged, and the check that all of them were kept.
//!
//! Invariant: an order counts as acknowledged when the complete answer 200 has been read. An order
//! without an answer may be kept or not, but at most once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::exporter::{Exporter, SOON, run};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One connection that is kept alive.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects. `None` if nothing listens.
    pub(crate) fn connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, SOON).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the answer. `None` if the connection ends before the answer is complete.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        write!(request, "content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
            .unwrap();
        request.push_str(body);
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        let mut line = String::new();
        self.0.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some(Answer { status, body: String::from_utf8(body).unwrap() })
    }
}

/// Orders by their ids.
pub(crate) type Orders = BTreeSet<String>;

/// The requests of one client until its connection ended.
#[derive(Debug, Default)]
pub(crate) struct ClientReport {
    pub(crate) acknowledged: Orders,
    /// Sent, and not answered with 200.
    pub(crate) unsure: Orders,
    /// Statuses other than 200, and how often.
    pub(crate) refused: BTreeMap<u16, u64>,
}

impl ClientReport {
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.unsure.extend(other.unsure);
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
    }
}

/// How clients post.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Prefix of every id, so that no two plans share one.
    pub(crate) name: String,
    pub(crate) clients: usize,
    pub(crate) orders_per_request: usize,
    /// Number of requests after which each client stops.
    pub(crate) requests_max: usize,
}

/// Clients that post until their connections end.
pub(crate) struct Load {
    clients: Vec<JoinHandle<ClientReport>>,
    acknowledgements: Receiver<()>,
}

impl Load {
    /// Starts the clients.
    pub(crate) fn start(address: SocketAddr, plan: &Plan) -> Self {
        let (acknowledged, acknowledgements) = channel();
        let client = |number: usize| {
            let (plan, acknowledged) = (plan.clone(), acknowledged.clone());
            std::thread::spawn(move || post(address, &plan, number, &acknowledged))
        };
        Self { clients: (0..plan.clients).map(client).collect(), acknowledgements }
    }

    /// Waits until that many requests were acknowledged, or the clients have ended.
    pub(crate) fn wait_for(&self, requests: u64) {
        for _ in 0..requests {
            if self.acknowledgements.recv_timeout(SOON).is_err() {
                return;
            }
        }
    }

    /// Waits for the end of the clients.
    pub(crate) fn ended(self) -> ClientReport {
        let mut all = ClientReport::default();
        for client in self.clients {
            all.add(client.join().unwrap());
        }
        all
    }
}

fn post(
    address: SocketAddr,
    plan: &Plan,
    number: usize,
    acknowledged: &Sender<()>,
) -> ClientReport {
    let mut result = ClientReport::default();
    let Some(mut client) = Client::connect(address) else { return result };
    for request in 0..plan.requests_max {
        let ids: Orders = (0..plan.orders_per_request)
            .map(|n| format!("{}-{number}-{request}-{n}", plan.name))
            .collect();
        let Some(answer) = client.send("POST", "/api/v1/events", &orders(&ids)) else {
            result.unsure.extend(ids);
            break;
        };
        if answer.status == 200 {
            result.acknowledged.extend(ids);
            // The receiver may have stopped waiting.
            acknowledged.send(()).ok();
        } else {
            *result.refused.entry(answer.status).or_default() += 1;
            result.unsure.extend(ids);
            if answer.status != 503 {
                panic!("{answer:?}");
            }
        }
    }
    result
}

/// A request that submits these orders.
pub(crate) fn orders(ids: &Orders) -> String {
    let order = |id: &String| {
        format!(
            r#"{{"type":"order_submitted","account":"a","order_id":"{id}","event_id":"{id}","symbol":"X","side":"buy","quantity":1}}"#
        )
    };
    format!("[{}]", ids.iter().map(order).collect::<Vec<_>>().join(","))
}

/// A directory with a journal and a configuration.
pub(crate) struct Home {
    pub(crate) config: PathBuf,
    pub(crate) journal: PathBuf,
}

impl Home {
    /// In an existing directory. `storage` holds further lines of that section of the configuration.
    pub(crate) fn in_directory(config: &Path, journal: &Path, storage: &str) -> Self {
        let home = Self { config: config.join("exporter.yml"), journal: journal.join("journal") };
        let path = home.journal.display();
        let text = format!("storage:\n  path: {path}\n{storage}ingest:\n  horizon_ids: 10000000\n");
        std::fs::write(&home.config, text).unwrap();
        home
    }

    /// The orders in the journal and the number of times each occurs, read without an exporter.
    pub(crate) fn recorded(&self) -> BTreeMap<String, u64> {
        let directory = self.journal.display().to_string();
        let (well, out, err) =
            run(&["journal", "inspect", &directory, "--type", "order_submitted"]);
        assert!(well, "{err}");
        let mut orders = BTreeMap::new();
        for line in out.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let id = record["record"]["order_id"].as_str().unwrap().to_owned();
            *orders.entry(id).or_default() += 1;
        }
        orders
    }

    /// Compares the orders of a restarted exporter with the orders that clients recorded. Returns the lost
    /// orders.
    pub(crate) fn check(&self, exporter: &Exporter, report: &ClientReport) -> Orders {
        let recorded = self.recorded();
        let twice: Vec<&String> =
            recorded.iter().filter(|(_, n)| **n != 1).map(|(id, _)| id).collect();
        assert!(twice.is_empty(), "more than once: {twice:?}");
        let foreign = recorded
            .keys()
            .find(|id| !report.acknowledged.contains(*id) && !report.unsure.contains(*id));
        assert_eq!(foreign, None, "no client sent it");
        let metrics = exporter.client().send("GET", "/metrics", "").expect("metrics").body;
        assert_eq!(
            figure(&metrics, r#"trading_orders_submitted_total{account="a",symbol="X"}"#),
            recorded.len() as f64,
            "the state is the fold of the journal"
        );
        let lost = report.acknowledged.iter().filter(|id| !recorded.contains_key(*id));
        lost.cloned().collect()
    }
}

/// The value of a sample of a scrape. 0 if there is none.
pub(crate) fn figure(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Pseudo-random numbers, the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) % bound
    }
}
