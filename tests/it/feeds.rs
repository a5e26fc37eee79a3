//! Feeds: messages that the exporter fetches itself, from real files and real servers. They end in the
//! figures that the same messages have when they are posted, whatever happens in between.
//!
//! Invariants: no test sleeps; a missing server fails.

#[path = "feeds/files.rs"]
mod files;
#[path = "feeds/mqtt.rs"]
mod mqtt;
#[path = "feeds/redis.rs"]
mod redis;
#[path = "feeds/servers.rs"]
pub(crate) mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use trading_exporter::clock::monotonic;

use crate::adapters::{RECORDINGS, figures, wait_until_ready};
use crate::exporter::{Client, Exporter, SOON};

/// A directory with a configuration and a journal.
struct FeedHome {
    directory: tempfile::TempDir,
}

impl FeedHome {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Configures one feed, `f`. `PLACE` is this directory.
    fn configure(&self, feed: &str) {
        let text = format!("health: {{interval: 1s}}\nfeeds:\n  - name: f\n{feed}");
        let text = text.replace("PLACE", &self.directory.path().display().to_string());
        fs::write(self.path("exporter.yml"), text).unwrap();
    }

    fn start(&self) -> Exporter {
        let config = format!("--config.file={}", self.path("exporter.yml").display());
        let storage = format!("--storage.path={}", self.path("data").display());
        let exporter = Exporter::start(&[&config, &storage]);
        wait_until_ready(&exporter);
        exporter
    }

    /// Kills the exporter, and starts it again.
    fn restart(&self, mut exporter: Exporter) -> Exporter {
        exporter.signal("KILL");
        exporter.wait();
        self.start()
    }
}

/// The lines of a recording.
fn recording(adapter: &str) -> Vec<&'static str> {
    let (_, text) = RECORDINGS.iter().find(|(name, _)| *name == adapter).unwrap();
    text.lines().collect()
}

/// Orders and fills, which depend on no clock and not on how messages are grouped.
fn orders(exporter: &Exporter) -> BTreeMap<String, String> {
    let mut figures = figures(exporter);
    figures.retain(|series, _| {
        // How many wait for an answer depends on the time.
        !series.starts_with("trading_orders_unacknowledged")
            && (series.starts_with("trading_orders_") || series.starts_with("trading_fills_"))
    });
    figures
}

/// The orders that these messages make when they are posted.
fn posted(path: &str, lines: &[impl AsRef<str>]) -> BTreeMap<String, String> {
    let exporter = Exporter::start(&[]);
    let mut client = Client::connect(exporter.address);
    for line in lines {
        let answer = client.send("POST", path, line.as_ref());
        assert!(answer.status < 300, "{answer:?}");
    }
    let orders = orders(&exporter);
    assert!(!orders.is_empty());
    orders
}

/// A sample of the feed: a number without places.
fn sample(exporter: &Exporter, name: &str, labels: &str) -> Option<u64> {
    let series = format!("trading_exporter_feed_{name}{{feed=\"f\"{labels}}} ");
    let text = exporter.get("/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.map(|value| value.trim_end_matches(".0").parse().unwrap())
}

fn messages(exporter: &Exporter, result: &str) -> u64 {
    sample(exporter, "messages_total", &format!(",result=\"{result}\"")).unwrap_or_default()
}

/// Waits for a condition.
fn wait_for(exporter: &Exporter, what: &str, is_so: impl Fn() -> bool) {
    let deadline = monotonic() + SOON;
    while !is_so() {
        let metrics = exporter.get("/metrics").body;
        let feed: Vec<&str> = metrics
            .lines()
            .filter(|line| line.contains("feed") && !line.starts_with('#'))
            .collect();
        assert!(
            monotonic() < deadline,
            "not in time: {what}\n{}\n{}",
            feed.join("\n"),
            exporter.log()
        );
        std::thread::yield_now();
    }
}

/// Waits until the orders are these.
fn wait_for_orders(exporter: &Exporter, expect: &BTreeMap<String, String>) {
    let deadline = monotonic() + SOON;
    while orders(exporter) != *expect {
        if monotonic() > deadline {
            assert_eq!(orders(exporter), *expect, "{}", exporter.log());
        }
        std::thread::yield_now();
    }
}

/// The health of the feed's component and its message.
fn health(exporter: &Exporter) -> (String, String) {
    let answer = exporter.get("/api/v1/health").json();
    let found = answer["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|component| component["component"] == "feed:f" && component["account"] == "*");
    let Some(found) = found else { return Default::default() };
    let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (word("status"), word("message"))
}

fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
