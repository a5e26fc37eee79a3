//! The real binary with a clock that was ahead, or is set back (Debian's faketime).
//!
//! A file sets the exporter's wall clock; the senders' clocks are always right.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use trading_exporter::clock::{monotonic, now};
use trading_exporter::wire::time::rfc3339;

use crate::exporter::{Answer, BINARY, Exporter, SOON};

const MINUTES_10: i64 = 600;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// A component is silent after one interval.
const CONFIGURATION: &str = "health: {silent_intervals: 1, silent_min: 0s, failures: 1}\n";

/// A component that sends a healthy heartbeat every second.
const BEAT: &str =
    r#"{"type":"heartbeat","component":"feed","status":"healthy","interval_seconds":1}"#;

/// A directory for a journal, and the file of the clock.
struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(machine.path("exporter.yml"), CONFIGURATION).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sets how far the exporter's wall clock is ahead of all others.
    fn set_clock(&self, ahead_seconds: i64) {
        let ahead_seconds = ahead_seconds + everybody_ahead_seconds();
        let next = self.path("clock.next");
        fs::write(&next, format!("{ahead_seconds:+}\n")).unwrap();
        fs::rename(next, self.path("clock")).unwrap();
    }

    fn start(&self) -> Exporter {
        let mut command = Command::new(BINARY);
        command
            .env("LD_PRELOAD", faketime_library())
            .env("FAKETIME_TIMESTAMP_FILE", self.path("clock"))
            .envs([("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")])
            .env_remove("FAKETIME")
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(format!("--config.file={}", self.path("exporter.yml").display()))
            .arg(format!("--storage.path={}", self.path("journal").display()));
        let exporter = Exporter::spawn(command);
        until("it accepts events", || post(&exporter, BEAT).status == 200);
        exporter
    }
}

/// The library that changes the clock of a program. The wrapper `faketime` is not used: if it is killed
/// it leaves a semaphore, and the next process with the same pid fails.
fn faketime_library() -> PathBuf {
    let directories = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = directories.map(|path| path.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.exists()).expect("faketime is missing: tests/run tools installs it")
}

/// How far ahead the clock of these tests is (`tests/run later`).
#[expect(clippy::disallowed_methods, reason = "the environment configures the test")]
fn everybody_ahead_seconds() -> i64 {
    let days = std::env::var("FAKETIME").ok();
    let days = days.as_deref().and_then(|ahead| ahead.strip_prefix('+')?.strip_suffix('d'));
    days.map_or(0, |days| days.parse::<i64>().unwrap() * DAY)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = monotonic() + SOON;
    while !is_so() {
        assert!(monotonic() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn post(exporter: &Exporter, events: &str) -> Answer {
    exporter.post("/api/v1/events", events)
}

/// Both books, dated now by the senders' clocks.
fn books(local: i64, broker: i64) -> String {
    let time = rfc3339(now());
    let book = |source: &str, quantity: i64| {
        format!(
            r#"{{"type":"positions","source":"{source}","time":"{time}","positions":[{{"symbol":"ES","quantity":{quantity},"average_price":50}}]}}"#
        )
    };
    format!("[{},{}]", book("local", local), book("broker", broker))
}

fn sample(exporter: &Exporter, series: &str) -> f64 {
    let metrics = exporter.get("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} in {metrics}")).parse().unwrap()
}

fn health(exporter: &Exporter) -> String {
    let answer = exporter.get("/api/v1/health").json();
    let components = answer["components"].as_array().unwrap().clone();
    let feed = components.into_iter().find(|one| one["component"] == "feed").unwrap();
    feed["status"].as_str().unwrap().to_owned()
}

/// The clock is behind: all protection still works, and the skew is reported.
fn check(exporter: &Exporter, behind_seconds: i64) {
    exporter.wait_for_log(&["the clock is behind the newest record"]);
    let behind = sample(exporter, "trading_exporter_clock_behind_seconds");
    let least = Duration::from_secs(behind_seconds.unsigned_abs() - 60);
    assert!(Duration::from_secs_f64(behind) > least, "{behind}");

    assert_eq!(post(exporter, BEAT).status, 200);
    let answer = post(exporter, &books(100, 1_100)).json();
    assert_eq!(answer["states"]["default"], "halted", "{answer}");
    until("the silent component is seen", || health(exporter) != "healthy");

    let permit = exporter.get("/api/v1/permit");
    assert_eq!((permit.status, permit.json()["code"].as_str()), (503, Some("not_ready")));
    let ready = exporter.get("/-/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("the clock is "), "{}", ready.body);
}

#[test]
fn ten_minutes_ahead_for_three_seconds() {
    let machine = Machine::new();
    machine.set_clock(0);
    let exporter = machine.start();
    assert_eq!(post(&exporter, &books(100, 100)).json()["states"]["default"], "active");
    assert_eq!(exporter.get("/api/v1/permit").status, 200);
    machine.set_clock(MINUTES_10);
    let ahead_since = monotonic();
    until("a record of the wrong time", || {
        post(&exporter, BEAT);
        let last = sample(&exporter, r#"trading_last_event_timestamp_seconds{account="default"}"#);
        last > now().as_seconds() + 500.0
    });
    until("three seconds", || monotonic() - ahead_since > Duration::from_secs(3));
    assert_eq!(exporter.get("/api/v1/permit").status, 200, "ahead is not behind");
    machine.set_clock(0);
    check(&exporter, MINUTES_10);
}

#[test]
fn an_hour_back() {
    let machine = Machine::new();
    machine.set_clock(0);
    let exporter = machine.start();
    assert_eq!(post(&exporter, &books(100, 100)).json()["states"]["default"], "active");
    machine.set_clock(-HOUR);
    check(&exporter, HOUR);
    machine.set_clock(60);
    exporter.wait_for_log(&["the clock is no longer behind"]);
    until("permits again", || exporter.get("/api/v1/permit").status == 200);
}

#[test]
fn ahead_at_one_start() {
    for ahead in [MINUTES_10, DAY, 70 * 365 * DAY] {
        let machine = Machine::new();
        machine.set_clock(0);
        drop(machine.start());
        machine.set_clock(ahead);
        let mut exporter = machine.start();
        post(&exporter, &books(100, 100));
        if ahead > HOUR {
            exporter.wait_for_log(&[
                "the clock is far ahead of the newest record",
                "last=",
                "next=",
            ]);
        }
        exporter.signal("TERM");
        assert!(exporter.wait().success());
        machine.set_clock(0);
        check(&machine.start(), ahead);
    }
}
