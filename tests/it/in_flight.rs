//! A real engine's order flow through the real program, with lists every 5, 20 and 60 s that are 0,
//! 2 and 8 s old, and reports up to 3 s late: no drift is reported without a fault, and each fault halts.
//!
//! The flow is that of a fixture, shifted to end now. It is sent as fast as possible: differences are
//! explained by the times of events and lists, not by their receive times. So no setting may depend on
//! receive time here: only later events of the engine end the wait for its reports, and open orders
//! explain nothing.

use std::fs;

use serde_json::{Value, json};
use trading_exporter::clock;

use crate::delivery::{
    Delivery, Fault, LEAD, Random, SECOND, Ways, Wrong, begins, deliver, time_of,
};
use crate::exporter::{Client, Exporter};
use crate::session;

/// The part of the recorded hour that is sent.
const LENGTH: i64 = 20 * 60 * SECOND;

const CONFIGURATION: &str = "
drift:
  stale_after: 1d
  in_flight: {settle: 5m, pending_max: 0}
";

struct Site {
    _directory: tempfile::TempDir,
    exporter: Exporter,
    events: Vec<Value>,
}

impl Site {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("exporter.yml");
        fs::write(&path, CONFIGURATION).unwrap();
        let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
        let mut events: Vec<Value> =
            session::recorded().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let first = time_of(&events[0]);
        events.truncate(events.partition_point(|event| time_of(event) < first + LENGTH));
        let later = clock::now().as_nanos() - LENGTH - LEAD - first;
        for event in &mut events {
            event["time_ns"] = json!(time_of(event) + later);
        }
        Self { _directory: directory, exporter, events }
    }

    /// Sends the deliveries of an account, each list in its own request. Returns the time of the halt, on the
    /// clock of the events.
    fn send(&self, account: &str, deliveries: &[Delivery]) -> Option<i64> {
        let mut client = Client::connect(self.exporter.address);
        let requests = deliveries.chunk_by(|a, b| !a.is_list && !b.is_list);
        for request in requests {
            let events: Vec<Value> = request.iter().map(|d| named(&d.event, account)).collect();
            let body = Value::Array(events).to_string();
            let answer = client.send("POST", "/api/v1/events", &body);
            assert_eq!(answer.status, 200, "{answer:?}");
            if answer.json()["states"][account] == "halted" {
                return request.last().map(|delivery| delivery.at);
            }
        }
        None
    }

    fn drifts(&self, account: &str) -> Value {
        self.exporter.get(&format!("/api/v1/drift?account={account}")).json()
    }

    /// The sum of a family's samples of one account.
    fn sum(&self, family: &str, account: &str) -> f64 {
        let prefix = format!("{family}{{account=\"{account}\"");
        let text = self.exporter.get("/metrics").body;
        let samples = text.lines().filter(|line| line.starts_with(&prefix));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

fn named(event: &Value, account: &str) -> Value {
    let mut event = event.clone();
    event["account"] = json!(account);
    event
}

fn ways(period: i64, lag: i64, seed: u64) -> Ways {
    Ways {
        periods: [period * SECOND, period * SECOND],
        lag_max: lag * SECOND,
        delay_max: 3 * SECOND,
        in_order: true,
        seed,
    }
}

#[test]
fn no_drift_is_reported_without_a_fault() {
    let site = Site::start();
    let mut seed = 0;
    for (period, lag) in [5, 20, 60].into_iter().flat_map(|p| [0, 2, 8].map(|lag| (p, lag))) {
        let account = format!("every-{period}-old-{lag}");
        seed += 1;
        let halted = site.send(&account, &deliver(&site.events, &ways(period, lag, seed), None, 0));
        assert_eq!(halted, None, "{account}: {}", site.drifts(&account));
        let called = site.sum("trading_position_drifts_total", &account);
        assert!(called.abs() < f64::EPSILON, "{account}: {}", site.drifts(&account));
        // The lag of each list is exposed.
        let lags = format!("trading_position_book_lag_seconds{{account=\"{account}\"");
        let text = site.exporter.get("/metrics").body;
        assert_eq!(text.lines().filter(|line| line.starts_with(&lags)).count(), 2, "{account}");
    }
}

#[test]
fn each_fault_is_found_while_the_engine_trades() {
    let site = Site::start();
    let (external, missed) = ("external_or_unreported_trade", "engine_missed_fill");
    let faults = [
        ("external-12", Fault::External(12.into()), "quantity_mismatch", external),
        ("external-37", Fault::External(37.into()), "quantity_mismatch", external),
        ("missing", Fault::MissingFill, "quantity_mismatch", external),
        ("forgotten", Fault::ForgottenFill, "quantity_mismatch", missed),
        ("lost", Fault::LostSymbol, "unknown_position", missed),
    ];
    let mut random = Random(3);
    for (period, (name, fault, kind, attribution)) in
        [5, 20, 60].into_iter().flat_map(|period| faults.map(|fault| (period, fault)))
    {
        let account = format!("{name}-every-{period}");
        let at = time_of(&site.events[0]) + (300 + random.below(200)) * SECOND;
        let wrong = Wrong { fault, symbol: "AAPL.XNAS", at };
        let all = deliver(&site.events, &ways(period, 2, 5), Some(&wrong), 0);
        let halted = site.send(&account, &all);
        let begins = begins(&site.events, &wrong);
        // Two list intervals until it is confirmed, four more if it could be the lag of a slow broker.
        let took = halted.map(|halted| (halted - begins) / SECOND);
        let in_time = took.is_some_and(|took| (0..=6 * period + 6).contains(&took));
        let drifts = site.drifts(&account);
        assert!(in_time, "{account}: {took:?}, {drifts}");
        let open: Vec<&Value> =
            drifts.as_array().unwrap().iter().filter(|drift| drift["state"] == "open").collect();
        assert_eq!(open.len(), 1, "{account}: {drifts}");
        let field_of = |field: &str| open[0][field].as_str().unwrap_or_default();
        assert_eq!(
            [field_of("symbol"), field_of("type"), field_of("severity"), field_of("attribution")],
            ["AAPL.XNAS", kind, "critical", attribution],
            "{account}: {drifts}"
        );
    }
}
