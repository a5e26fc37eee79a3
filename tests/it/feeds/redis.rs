//! Feeds of streams, from a real Redis with a password, which stops in the middle; and an exporter that is
//! killed in the middle.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use super::servers::{Server, command, free_port};
use super::{FeedHome, health, messages, posted, recording, sample, wait_for, wait_for_orders};

/// A server whose streams outlive it.
struct Redis {
    home: FeedHome,
    port: String,
}

impl Redis {
    fn new() -> Self {
        let (home, port) = (FeedHome::new(), free_port().to_string());
        fs::write(home.path("password"), "s3cret\n").unwrap();
        Self { home, port }
    }

    fn start(&self) -> Server {
        let place = self.home.directory.path().to_str().unwrap();
        let arguments = [
            "--port",
            &self.port,
            "--bind",
            "127.0.0.1",
            "--dir",
            place,
            "--requirepass",
            "s3cret",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ];
        Server::start("redis-server", &arguments, || self.ask(&["PING"], b"").contains("PONG"))
    }

    /// Sends a command, whose last argument is `last` unless that is empty.
    fn ask(&self, arguments: &[&str], last: &[u8]) -> String {
        let mut client = command("redis-cli");
        client.args(["-p", &self.port]).env("REDISCLI_AUTH", "s3cret");
        if !last.is_empty() {
            client.arg("-x");
        }
        client.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = client.spawn().unwrap();
        child.stdin.take().unwrap().write_all(last).unwrap();
        let answer = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    fn add(&self, stream: &str, payload: &[u8]) {
        let arguments = ["XADD", stream, "*", "topic", "events.order.S", "type", "X", "payload"];
        let id = self.ask(&arguments, payload);
        assert!(id.contains('-'), "{id}");
    }

    fn configure(&self, streams: &str, start: &str) {
        self.home.configure(&format!(
            "    account: paper\n    adapter: nautilus\n    redis:\n      address: 127.0.0.1:{}\n      \
             streams: [{streams}]\n      start: {start}\n      password_file: PLACE/password\n",
            self.port,
        ));
    }
}

#[test]
fn entries_survive_a_server_and_an_exporter_that_stop() {
    let lines = recording("nautilus");
    let path = "/api/v1/adapters/nautilus?account=paper";
    let expect = posted(path, &lines);
    let redis = Redis::new();
    redis.configure("trader-1", "all");
    let mut server = redis.start();
    let mut exporter = redis.home.start();
    // What is announced is kept in memory only until it is submitted: cut after both.
    let is_pending = |number: usize| lines[number - 1].contains("OrderInitialized");
    let middle = (lines.len() / 2..lines.len()).find(|number| !is_pending(*number)).unwrap();
    for (number, line) in lines.iter().enumerate() {
        if number == lines.len() / 4 {
            server.stop();
            exporter.wait_for_log(&["the feed fails"]);
            server = redis.start();
        }
        if number == middle {
            wait_for_orders(&exporter, &posted(path, &lines[..middle]));
            exporter = redis.home.restart(exporter);
        }
        // Every other one is MessagePack.
        let packed = rmp_serde::to_vec(&serde_json::from_str::<Value>(line).unwrap()).unwrap();
        redis.add("trader-1", if number % 2 == 0 { line.as_bytes() } else { &packed });
    }
    wait_for_orders(&exporter, &expect);
    assert_eq!(messages(&exporter, "refused"), 0, "{}", exporter.log());
    assert_eq!(sample(&exporter, "missed_total", ""), Some(0), "{}", exporter.log());
    // What is deleted while the exporter is down is a gap, and said so.
    wait_for(&exporter, "the position", || redis.home.path("data/feeds/f.json").exists());
    let settled = redis.ask(&["XINFO", "STREAM", "trader-1"], b"");
    let last = settled.lines().skip_while(|line| *line != "last-generated-id").nth(1).unwrap();
    wait_for(&exporter, "the last position", || {
        fs::read_to_string(redis.home.path("data/feeds/f.json")).unwrap().contains(last)
    });
    let mut down = exporter;
    down.signal("KILL");
    down.wait();
    for _ in 0..5 {
        redis.add("trader-1", b"{\"type\":\"Nothing\"}");
    }
    redis.ask(&["XTRIM", "trader-1", "MAXLEN", "2"], b"");
    let exporter = redis.home.start();
    wait_for(&exporter, "a gap", || sample(&exporter, "missed_total", "") == Some(3));
    wait_for(&exporter, "the rest", || messages(&exporter, "ignored") >= 2);
    exporter.wait_for_log(&["messages were gone", "trader-1"]);
    assert_eq!(sample(&exporter, "missed_total", ""), Some(3));
    server.stop();
}

#[test]
fn a_new_feed_may_begin_now_and_reads_several_streams() {
    let redis = Redis::new();
    let server = redis.start();
    let order = |id: &str| {
        format!(
            "{{\"type\":\"OrderDenied\",\"client_order_id\":\"{id}\",\"instrument_id\":\"A.X\",\
             \"event_id\":\"{id}\",\"ts_event\":1795357800000000000,\"reason\":\"r\"}}"
        )
    };
    redis.add("a", order("old").as_bytes());
    redis.configure("a, b", "new");
    let exporter = redis.home.start();
    wait_for(&exporter, "a connection", || health(&exporter).0 == "healthy");
    redis.add("a", order("1").as_bytes());
    redis.add("b", order("2").as_bytes());
    redis.add("b", b"\x81\xa1a\xc4\x01x");
    redis.ask(&["XADD", "b", "*", "other", "x"], b"");
    wait_for(&exporter, "all", || {
        (messages(&exporter, "accepted"), messages(&exporter, "refused")) == (2, 2)
    });
    // A stream of that name is created anew.
    redis.ask(&["DEL", "a"], b"");
    redis.add("a", order("3").as_bytes());
    wait_for(&exporter, "the next", || messages(&exporter, "accepted") >= 3);
    server.stop();
}
