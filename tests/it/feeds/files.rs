//! Feeds of files: growing, rotated, truncated, rewritten, and an exporter that is killed in between.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{
    FeedHome, append, health, messages, orders, posted, recording, sample, wait_for,
    wait_for_orders,
};
use crate::exporter::{Client, run};
use crate::session::recorded;

const EVENTS: &str =
    "    account: paper\n    adapter: events\n    file: {path: PLACE/events.ndjson, poll: 50ms}\n";

fn submitted(number: usize) -> String {
    let event = json!({
        "type": "order_submitted", "account": "paper", "order_id": format!("o-{number}"),
        "symbol": "A", "side": "buy", "quantity": 1,
    });
    format!("{event}\n")
}

/// The number of orders that were submitted.
fn count(exporter: &crate::exporter::Exporter) -> u64 {
    let orders = orders(exporter);
    let of = |name: &&String| name.starts_with("trading_orders_submitted_total");
    orders
        .iter()
        .filter(|(name, _)| of(name))
        .map(|(_, n)| n.trim_end_matches(".0").parse::<u64>().unwrap())
        .sum()
}

#[test]
fn a_session_is_read_through_kills() {
    let lines = recorded();
    let expect = posted(
        "/api/v1/events",
        &lines.chunks(500).map(|l| format!("[{}]", l.join(","))).collect::<Vec<_>>(),
    );
    let home = FeedHome::new();
    home.configure(EVENTS);
    let (before, after) = lines.split_at(lines.len() / 2);
    let path = home.path("events.ndjson");
    append(&path, &(before.join("\n") + "\n"));
    let exporter = home.start();
    wait_for(&exporter, "a part", || messages(&exporter, "accepted") > 100);
    let exporter = home.restart(exporter);
    append(&path, &(after.join("\n") + "\n"));
    wait_for(&exporter, "more", || messages(&exporter, "accepted") > 100);
    let exporter = home.restart(exporter);
    wait_for_orders(&exporter, &expect);
    assert_eq!(messages(&exporter, "refused"), 0, "{}", exporter.log());
    // What was taken is not taken again.
    wait_for(&exporter, "the end", || sample(&exporter, "lag_bytes", "") == Some(0));
    wait_for(&exporter, "the position", || home.path("data/feeds/f.json").exists());
    let mut exporter = exporter;
    exporter.signal("TERM");
    assert_eq!(exporter.wait().code(), Some(0));
    let exporter = home.start();
    append(&path, &submitted(1));
    wait_for(&exporter, "one more", || messages(&exporter, "accepted") >= 1);
    assert_eq!((messages(&exporter, "accepted"), messages(&exporter, "duplicate")), (1, 0));
}

/// Ends the threads that look at it, also when a test fails.
struct EndsThem<'a>(&'a AtomicBool);

impl Drop for EndsThem<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_full_queue_is_waited_for() {
    let lines = recorded();
    let lines = &lines[..1_500];
    let bodies: Vec<String> =
        lines.chunks(500).map(|lines| format!("[{}]", lines.join(","))).collect();
    let expect = posted("/api/v1/events", &bodies);
    let home = FeedHome::new();
    home.configure(EVENTS);
    let config = fs::read_to_string(home.path("exporter.yml")).unwrap();
    let config = format!("web: {{queue_requests_max: 1}}\n{config}");
    fs::write(home.path("exporter.yml"), config).unwrap();
    let exporter = home.start();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = EndsThem(&is_over);
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(exporter.address);
                let beat = r#"{"type":"heartbeat","account":"paper","component":"engine"}"#;
                while !is_over.load(Ordering::Relaxed) {
                    // Some of them are refused: so is the feed.
                    client.send("POST", "/api/v1/events", beat);
                }
            });
        }
        append(&home.path("events.ndjson"), &(lines.join("\n") + "\n"));
        wait_for_orders(&exporter, &expect);
    });
    assert_eq!(messages(&exporter, "refused"), 0, "{}", exporter.log());
}

#[test]
fn a_part_of_a_line_waits_and_a_long_one_is_left_out() {
    let home = FeedHome::new();
    home.configure(EVENTS);
    let config = fs::read_to_string(home.path("exporter.yml")).unwrap();
    fs::write(home.path("exporter.yml"), format!("web: {{body_bytes_max: 1KiB}}\n{config}"))
        .unwrap();
    let path = home.path("events.ndjson");
    let (line, second) = (submitted(0), submitted(1));
    let (half, rest) = second.split_at(20);
    append(&path, &format!("{line}{half}"));
    let exporter = home.start();
    wait_for(&exporter, "the first line", || messages(&exporter, "accepted") >= 1);
    wait_for(&exporter, "the rest", || sample(&exporter, "lag_bytes", "") == Some(20));
    append(&path, rest);
    append(&path, &format!("{}\nno JSON\n{}", "x".repeat(5_000), submitted(2)));
    wait_for(&exporter, "all", || messages(&exporter, "accepted") >= 3);
    assert_eq!((count(&exporter), messages(&exporter, "refused")), (3, 2));
    wait_for(&exporter, "health", || {
        let (health, message) = health(&exporter);
        health == "healthy" && message.contains("last message")
    });
}

#[test]
fn a_file_is_rotated_and_truncated() {
    let home = FeedHome::new();
    home.configure(EVENTS);
    let path = home.path("events.ndjson");
    append(&path, &(submitted(0) + &submitted(1)));
    let exporter = home.start();
    wait_for(&exporter, "two", || count(&exporter) >= 2);
    // The program that writes keeps the old file open for a while.
    fs::rename(&path, home.path("events.ndjson.1")).unwrap();
    append(&path, &submitted(3));
    append(&home.path("events.ndjson.1"), &submitted(2));
    wait_for(&exporter, "four", || count(&exporter) >= 4);
    // While the exporter is down, the rest of a file is renamed.
    append(&path, &submitted(4));
    let mut down = exporter;
    down.signal("KILL");
    down.wait();
    append(&path, &submitted(5));
    fs::rename(&path, home.path("events.ndjson.2")).unwrap();
    append(&path, &submitted(6));
    let exporter = home.start();
    wait_for(&exporter, "seven", || count(&exporter) >= 7);
    // Copied and truncated. A line that is the first one again is another message.
    let beat = "{\"type\":\"quote\",\"symbol\":\"A\",\"bid\":1,\"ask\":2}\n";
    fs::write(&path, "").unwrap();
    append(&path, &(beat.to_owned() + &submitted(7)));
    wait_for(&exporter, "eight", || count(&exporter) >= 8);
    fs::write(&path, beat.to_owned() + &submitted(8)).unwrap();
    wait_for(&exporter, "nine", || count(&exporter) >= 9);
    assert_eq!(count(&exporter), 9);
    assert_eq!(messages(&exporter, "refused"), 0, "{}", exporter.log());
}

#[test]
fn leans_file_is_written_again_and_again() {
    let events: Vec<Value> =
        recording("lean").iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let events: Vec<Value> =
        events.into_iter().filter(|event| event.get("orderEventId").is_some()).collect();
    assert!(events.len() > 3);
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let expect = posted("/api/v1/adapters/lean?account=lean", &lines);
    let home = FeedHome::new();
    home.configure(
        "    account: lean\n    adapter: lean\n    file: {path: PLACE/out/*-order-events.json, content: whole, poll: 50ms}\n",
    );
    fs::create_dir(home.path("out")).unwrap();
    let path = home.path("out/L-1-2026-11-22-order-events.json");
    let mut exporter = home.start();
    for length in 1..=events.len() {
        // Pretty or compact, and caught while it is being written.
        let whole = serde_json::to_string_pretty(&events[..length]).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        fs::write(&path, &whole).unwrap();
        if length == events.len() / 2 {
            exporter = home.restart(exporter);
        }
        wait_for(&exporter, "the file", || sample(&exporter, "lag_bytes", "") == Some(0));
    }
    wait_for_orders(&exporter, &expect);
    assert_eq!(messages(&exporter, "refused"), 0, "{}", exporter.log());
}

#[test]
fn a_log_of_fix_is_followed() {
    let lines = recording("fix");
    let expect = posted("/api/v1/adapters/fix?account=paper", &lines);
    let home = FeedHome::new();
    home.configure(
        "    account: paper\n    adapter: fix\n    file: {path: PLACE/fix, poll: 50ms}\n",
    );
    fs::create_dir(home.path("fix")).unwrap();
    let path = home.path("fix/messages.log");
    let mut exporter = home.start();
    for (number, line) in lines.iter().enumerate() {
        append(&path, &format!("20240304-14:30:22.288 : {line}\n"));
        if number == lines.len() / 2 {
            exporter = home.restart(exporter);
        }
    }
    wait_for_orders(&exporter, &expect);
}

#[test]
fn a_feed_that_cannot_read_says_so() {
    let home = FeedHome::new();
    home.configure(EVENTS);
    let exporter = home.start();
    wait_for(&exporter, "a failure", || health(&exporter).0 == "unhealthy");
    assert!(health(&exporter).1.contains("No such file"), "{:?}", health(&exporter));
    append(&home.path("events.ndjson"), &submitted(0));
    wait_for(&exporter, "health", || health(&exporter).0 == "healthy");
    assert_eq!(count(&exporter), 1);
}

#[test]
fn a_feed_acts_for_its_account_and_its_role() {
    let order = |account: &str| {
        json!({
            "type": "order_submitted", "account": account, "order_id": "x", "symbol": "A",
            "side": "buy", "quantity": 1,
        })
    };
    let positions = json!({
        "type": "positions", "account": "paper", "source": "broker", "positions": [], "complete": true,
    });
    let mut without = order("default");
    without.as_object_mut().unwrap().remove("account");
    let check = |role: &str, submitted: u64| {
        let home = FeedHome::new();
        home.configure(&format!("{EVENTS}{role}"));
        append(
            &home.path("events.ndjson"),
            &format!("{}\n{positions}\n{without}\n", order("other")),
        );
        let exporter = home.start();
        wait_for(&exporter, "the events", || messages(&exporter, "refused") >= 2);
        assert_eq!(
            (messages(&exporter, "accepted"), count(&exporter)),
            (1, submitted),
            "{role}: {}",
            exporter.log()
        );
        exporter.wait_for_log(&["messages of the feed were refused", "forbidden"]);
    };
    check("", 1);
    check("    role: local\n", 1);
    check("    role: broker\n", 0);
}

#[test]
fn a_reload_adds_and_removes_a_feed() {
    let home = FeedHome::new();
    fs::write(home.path("exporter.yml"), "").unwrap();
    let exporter = home.start();
    append(&home.path("events.ndjson"), &submitted(0));
    home.configure(EVENTS);
    exporter.signal("HUP");
    wait_for(&exporter, "an event", || messages(&exporter, "accepted") >= 1);
    fs::write(home.path("exporter.yml"), "").unwrap();
    exporter.signal("HUP");
    wait_for(&exporter, "no feed", || sample(&exporter, "errors_total", "").is_none());
    append(&home.path("events.ndjson"), &submitted(1));
    home.configure(EVENTS);
    exporter.signal("HUP");
    wait_for(&exporter, "the next event", || messages(&exporter, "accepted") >= 1);
    assert_eq!((count(&exporter), messages(&exporter, "duplicate")), (2, 0));
}

#[test]
fn mistakes_are_told_with_their_lines() {
    let check = |feed: &str, expect: &str| {
        let home = FeedHome::new();
        home.configure(feed);
        let config = home.path("exporter.yml");
        let (code, out, err) = run(&["check-config", config.to_str().unwrap()], "");
        assert_ne!(code, 0, "{feed}");
        assert!(format!("{out}{err}").contains(expect), "{feed}: {out}{err}");
    };
    check("    account: a\n    adapter: events\n", "must have exactly one of file");
    check(
        "    account: a\n    adapter: lean\n    mqtt: {address: a:1, topics: ['a/#/b']}\n",
        "a filter of topics",
    );
    check(
        "    account: a\n    adapter: lean\n    mqtt: {address: a:1, topics: [a], password_file: nope}\n",
        "cannot read",
    );
    check(
        "    account: a\n    adapter: nope\n    file: {path: x}\n",
        "nautilus, tradingview (line 5)",
    );
    check("    account: 'a*'\n    adapter: lean\n    file: {path: x}\n", "one account");
    check(
        "    account: a\n    adapter: lean\n    file: {path: 'a*/x'}\n",
        "wildcards only in its last part",
    );
    check(
        "    account: a\n    adapter: lean\n    file: {path: x, content: nope}\n",
        "lines or whole",
    );
}
