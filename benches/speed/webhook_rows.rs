//! Webhook rows: how long an engine waits for answers while notifications are sent to targets that
//! accept connections and never answer.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::folders::disk_folder;
use crate::http_rows::{events_at, fresh_engine};
use crate::load::{self, Round, Target};
use crate::rounds::{median, median_ratio, take_turns};
use crate::servers::{self, Server};
use crate::table::{Goal, Row};
use crate::traffic::SYMBOLS;

/// Duration of the load on each side in a round.
const ROUND: Duration = Duration::from_secs(3);
/// Connections, and the interval of requests on each: together 400 events a second. The first
/// connection sends 25 of them, each of which causes a notification.
const CONNECTIONS: u64 = 16;
const PACE: Duration = Duration::from_millis(40);
/// Number of hanging targets.
const TARGETS: usize = 8;
/// Any well-formed secret.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A target that accepts connections and never answers.
fn hanging_target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
    });
    address
}

/// An exporter with a journal in `folder` and a number of hanging targets.
fn exporter(folder: &Path, targets: usize) -> Server {
    fs::create_dir(folder).expect("a folder");
    fs::write(folder.join("secret"), SECRET).expect("a file");
    let target = |number: usize| {
        format!(
            "  - {{name: t{number}, url: 'http://{}/', secret_file: secret, allow_private: true, \
             timeout: 1s}}\n",
            hanging_target()
        )
    };
    let targets: String = (0..targets).map(target).collect();
    let head = if targets.is_empty() { "" } else { "webhooks:\n" };
    let config = folder.join("exporter.yml");
    fs::write(&config, format!("{head}{targets}")).expect("a file");
    servers::exporter(&[
        "--storage.mode=journal",
        &format!("--storage.path={}", folder.join("data").display()),
        &format!("--config.file={}", config.display()),
    ])
}

/// Load of orders, and of heartbeats whose status alternates: each change causes a notification.
fn paced(server: &Server) -> Round {
    let target = Target { connections: CONNECTIONS, pace: PACE, ..events_at(server) };
    load::run(target, &server.process, ROUND, |connection| {
        let mut engine = fresh_engine(SYMBOLS);
        let mut statuses = ["degraded", "unhealthy"].into_iter().cycle();
        move |out: &mut Vec<u8>| {
            if connection > 0 {
                return engine.event(out);
            }
            let status = statuses.next().unwrap_or_default();
            write!(
                out,
                r#"{{"type":"heartbeat","account":"paper","component":"gateway","status":"{status}"}}"#
            )
            .expect("memory");
        }
    })
}

/// Median and 99th percentile of the latency, with hanging targets and without targets.
pub(crate) fn webhooks() -> Vec<Row> {
    let folder = disk_folder();
    let (hanging, alone) = (
        exporter(&folder.path().join("hanging"), TARGETS),
        exporter(&folder.path().join("alone"), 0),
    );
    let [with, without] = take_turns([&mut || paced(&hanging), &mut || paced(&alone)]);
    let row = |name: &str, part: f64, goal| {
        let times = |rounds: &[Round]| -> Vec<f64> {
            rounds.iter().map(|round| round.quantile_us(part)).collect()
        };
        let (with, without) = (times(&with), times(&without));
        let micros = |times: &[f64]| format!("{:.0} µs", median(times.iter().copied()));
        Row {
            what: format!(
                "{name} at 400 events a second, 25 of them notified to {TARGETS} hanging targets"
            ),
            ours: micros(&with),
            against: "the same without targets".to_owned(),
            theirs: micros(&without),
            ratio: median_ratio(&with, &without),
            goal,
            note: "every batch synced".to_owned(),
        }
    };
    vec![row("p50", 0.5, Goal::None), row("p99", 0.99, Goal::AtMost(1.3))]
}
