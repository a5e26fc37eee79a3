//! kill -9 under load: a restart and a replay of the same journal reach the same state.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::exporter::{BINARY, Client, Exporter};

/// Rounds of kill -9.
const ROUNDS: usize = 3;
/// Concurrent clients.
const CLIENTS: usize = 4;

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    /// A directory with an exporter that takes a snapshot every second.
    fn new() -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        let text = "storage:\n  segment_bytes: 1MiB\n  snapshot_interval: 1s\n";
        fs::write(home.path("exporter.yml"), text).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An exporter that has read the whole journal. On a busy machine it listens before.
    fn start(&self) -> Exporter {
        let config = format!("--config.file={}", self.path("exporter.yml").display());
        let storage = format!("--storage.path={}", self.path("journal").display());
        let exporter = Exporter::start(&[&config, &storage]);
        wait_until("the end of the replay", || exporter.get("/-/ready").status == 200);
        exporter
    }

    /// The output of `replay`.
    fn replay(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(BINARY);
        command.arg("replay").arg("--journal").arg(self.path("journal")).args(arguments);
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn files(&self, prefix: &str) -> Vec<String> {
        let names = fs::read_dir(self.path("journal")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }
}

/// The series of the monitored state.
fn state(metrics: &str) -> String {
    let own = |line: &str| line.contains("trading_exporter_") || line.contains("process_");
    metrics.lines().filter(|line| !own(line)).collect::<Vec<_>>().join("\n")
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().unwrap()
}

/// One request: an order and its fill.
fn order(id: &str) -> String {
    format!(
        r#"[{{"type":"order_submitted","account":"paper","order_id":"{id}","symbol":"AAPL",
             "side":"buy","quantity":100,"expected_price":187.40,"event_id":"s-{id}"}},
            {{"type":"order_filled","account":"paper","order_id":"{id}","fill_id":"F","quantity":100,
             "price":187.43,"event_id":"f-{id}"}}]"#
    )
}

/// The requests of one client, and those answered with 200.
#[derive(Default)]
struct ClientReport {
    sent: Vec<String>,
    acknowledged: Vec<String>,
}

/// Sends orders until the exporter is gone.
fn send(address: SocketAddr, prefix: &str, report: &Mutex<ClientReport>) {
    let mut client = Client::connect(address);
    for n in 0.. {
        let id = format!("{prefix}-{n}");
        report.lock().unwrap().sent.push(id.clone());
        match client.try_send("POST", "/api/v1/events", &order(&id)) {
            Some(answer) if answer.status == 200 => report.lock().unwrap().acknowledged.push(id),
            Some(answer) => panic!("{answer:?}"),
            None => return,
        }
    }
}

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("{what} did not come");
}

#[test]
fn after_a_kill_under_load_metrics_equal_a_replay_and_nothing_is_lost() {
    let home = Home::new();
    let mut sent = Vec::new();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let mut exporter = home.start();
        let report = Arc::new(Mutex::new(ClientReport::default()));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (report, address) = (Arc::clone(&report), exporter.address);
                std::thread::Builder::new()
                    .spawn(move || send(address, &format!("{round}-{client}"), &report))
                    .unwrap()
            })
            .collect();
        let enough = 150 * (round + 1);
        wait_until("load", || report.lock().unwrap().acknowledged.len() > enough);
        exporter.signal("KILL");
        exporter.wait();
        for client in clients {
            // A client with an incomplete answer has panicked: that request was not acknowledged.
            client.join().ok();
        }
        let report = std::mem::take(&mut *report.lock().unwrap());
        sent.extend(report.sent);
        acknowledged.extend(report.acknowledged);
    }

    let exporter = home.start();
    let metrics = exporter.get("/metrics").body;
    let sequence = value(&metrics, "trading_exporter_sequence").to_string();
    for more in [&["--full"][..], &[]] {
        let arguments = [&["--until", &sequence], more].concat();
        assert_eq!(state(&home.replay(&arguments)), state(&metrics), "{arguments:?}");
    }
    let fills = r#"trading_fills_total{account="paper",symbol="AAPL"}"#;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let [least, most] = [acknowledged.len() as f64, sent.len() as f64];
    assert!((least..=most).contains(&value(&metrics, fills)), "{least} to {most}: {metrics}");

    // When all is sent again, acknowledged events are duplicates, and the rest is accepted once.
    let mut client = Client::connect(exporter.address);
    for id in acknowledged.iter().step_by(7) {
        let answer = client.send("POST", "/api/v1/events", &order(id)).json();
        assert_eq!(answer["duplicates"], 2, "{id}: {answer}");
    }
    for id in sent.iter().filter(|id| !acknowledged.contains(id)) {
        assert_eq!(client.send("POST", "/api/v1/events", &order(id)).status, 200);
    }
    let after = value(&exporter.get("/metrics").body, fills);
    assert!((after - most).abs() < 0.5, "{after} of {most}");
    println!("{ROUNDS} rounds: {least} acknowledged, {after} of {most} in the end, nothing lost");
}

#[test]
fn a_halt_just_before_the_kill_is_kept_with_its_audit_record() {
    let home = Home::new();
    let mut exporter = home.start();
    let body = r#"{"account":"paper","state":"halted","actor":"jo","reason":"just before"}"#;
    let answer = exporter.post("/api/v1/halts", body);
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    exporter.signal("KILL");
    exporter.wait();
    let exporter = home.start();
    let permit = exporter.get("/api/v1/permit?account=paper").json();
    assert_eq!(permit["state"], "halted", "{permit}");
    let audit = exporter.get("/api/v1/audit?account=paper").body;
    assert!(audit.contains("just before"), "{audit}");
}

#[test]
fn snapshots_are_taken_and_a_damaged_one_is_skipped() {
    let home = Home::new();
    let mut exporter = home.start();
    assert_eq!(exporter.post("/api/v1/events", &order("a")).status, 200);
    wait_until("two snapshots", || home.files("snap-").len() == 2);
    let snapshot = || {
        value(&exporter.get("/metrics").body, "trading_exporter_journal_snapshot_timestamp_seconds")
    };
    assert!(snapshot() > 1.7e9);
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0), "{}", exporter.log());
    exporter.wait_for_log(&["a snapshot was taken"]);
    let before = home.replay(&["--full"]);
    let names = home.files("snap-");
    assert_eq!(names.len(), 2);

    let newest = home.path("journal").join(&names[1]);
    let mut bytes = fs::read(&newest).unwrap();
    let middle = 512 + (bytes.len() - 512) / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    assert_eq!(home.replay(&[]), before);
    let exporter = home.start();
    exporter.wait_for_log(&["ERROR", "a snapshot is skipped", &names[1]]);
    exporter.wait_for_log(&["INFO", "the state is recovered"]);
    let metrics = exporter.get("/metrics").body;
    assert!(value(&metrics, "trading_exporter_journal_snapshot_errors_total") >= 1.0);
    assert!(value(&metrics, "trading_exporter_replay_progress_ratio") > 0.99);
    assert!(
        (value(&metrics, r#"trading_fills_total{account="paper",symbol="AAPL"}"#) - 1.0).abs()
            < 0.1
    );
}

#[test]
fn a_journal_that_ends_before_its_snapshot_is_damaged() {
    let home = Home::new();
    let mut exporter = home.start();
    assert_eq!(exporter.post("/api/v1/events", &order("a")).status, 200);
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    for name in home.files("seg-") {
        fs::remove_file(home.path("journal").join(name)).unwrap();
    }
    let mut command = Command::new(BINARY);
    command.arg(format!("--storage.path={}", home.path("journal").display()));
    command.arg("--web.listen-address=127.0.0.1:0");
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("the journal ends at record 0, before the snapshot"), "{err}");
    let mut command = Command::new(BINARY);
    let repaired = command.args(["journal", "repair"]).arg(home.path("journal")).output().unwrap();
    assert!(repaired.status.success(), "{repaired:?}");
    assert_eq!(home.files("snap-").iter().filter(|name| !name.ends_with(".dropped")).count(), 0);
    assert_eq!(home.start().get("/-/ready").status, 200);
}

#[test]
fn replay_shows_a_past_moment_and_the_effect_of_other_thresholds() {
    let home = Home::new();
    let exporter = home.start();
    assert_eq!(exporter.post("/api/v1/events", &order("a")).status, 200);
    let before = value(&exporter.get("/metrics").body, "trading_exporter_sequence").to_string();
    let positions = |source: &str, quantity: u32| {
        format!(
            r#"{{"type":"positions","account":"paper","source":"{source}","positions":
               [{{"symbol":"MSFT","quantity":{quantity},"average_price":187,"market_price":187}}]}}"#
        )
    };
    let both = format!("[{},{}]", positions("local", 100), positions("broker", 60));
    let answer = exporter.post("/api/v1/events", &both).json();
    assert_eq!(answer["states"]["paper"], "halted", "{answer}");

    let halted = r#"trading_state{account="paper"} 2.0"#;
    assert!(home.replay(&[]).contains(halted));
    let until = home.replay(&["--until", &before, "--output", "state"]);
    let until: serde_json::Value = serde_json::from_str(&until).unwrap();
    assert_eq!(until["accounts"][0]["state"], "active", "{until}");
    assert_eq!(until["sequence"].to_string(), before);
    let now: serde_json::Value =
        serde_json::from_str(&home.replay(&["--output", "state"])).unwrap();
    assert_eq!(now["accounts"][0]["drift"][0]["severity"], "critical", "{now}");
    assert_eq!(now["accounts"][0]["standing_causes"][0]["kind"], "drift", "{now}");
    let early = home.replay(&["--until", "1999-01-01T00:00:00Z", "--output", "state"]);
    let early: serde_json::Value = serde_json::from_str(&early).unwrap();
    assert_eq!(early["sequence"], 0);

    let lenient = home.path("lenient.yml");
    let text = "drift:\n  quantity: {minor: 1000, moderate: 5000, critical: 10000}\n  \
                value: {minor: 1000000, moderate: 5000000, critical: 10000000}\n";
    fs::write(&lenient, text).unwrap();
    let config = lenient.display().to_string();
    let other = home.replay(&["--config.file", &config]);
    assert!(other.contains(r#"trading_state{account="paper"} 0.0"#), "{other}");
    assert!(exporter.get("/metrics").body.contains(halted), "the running exporter is not affected");
}
