//! The event stream and the long-polling permit, over HTTP.

use std::fmt::Write as _;
use std::fs;
use std::thread;

use serde_json::{Value, json};
use trading_exporter::clock::monotonic;

use crate::events::Events;
use crate::exporter::{Client, Exporter, SOON, run};

fn halt(exporter: &Exporter, account: &str) {
    let body = json!({"account": account, "reason": "by hand", "actor": "ann"});
    assert_eq!(exporter.post("/api/v1/halts", &body.to_string()).status, 201);
}

/// Posts changes of a component's health, each of which is published.
fn flood(exporter: &Exporter, count: usize) {
    let mut events = String::from("[");
    for n in 0..count {
        let status = if n % 2 == 0 { "unhealthy" } else { "degraded" };
        let comma = if n == 0 { "" } else { "," };
        write!(
            events,
            "{comma}{{\"type\":\"heartbeat\",\"account\":\"paper\",\"component\":\"gateway\",\
             \"status\":\"{status}\"}}"
        )
        .unwrap();
    }
    events.push(']');
    let answer = exporter.post("/api/v1/events", &events);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["accepted"], count);
}

#[test]
fn a_halt_reaches_its_stream_followed_by_the_permit() {
    let exporter = Exporter::start(&[]);
    let mut paper = Events::open(exporter.address, "?account=paper", &[]);
    let mut live = Events::open(exporter.address, "?account=live", &[]);
    let mut all = Events::open(exporter.address, "", &[]);
    let first = paper.next().unwrap();
    assert_eq!((first.name.as_str(), &first.data["state"]), ("permit", &json!("active")));
    assert_eq!(first.data["epoch"], 0);
    assert_eq!(live.next().unwrap().name, "permit");
    let states = all.next().unwrap();
    assert_eq!((states.name.as_str(), &states.data["states"]), ("states", &json!({"*": "active"})));

    halt(&exporter, "paper");
    let directive = paper.wait_for("halt");
    assert_eq!(directive.id.as_deref().unwrap().split('.').next(), directive.data["id"].as_str());
    assert_eq!(directive.data["type"], "halt");
    assert_eq!(directive.data["account"], "paper");
    assert_eq!((&directive.data["state"], &directive.data["epoch"]), (&json!("halted"), &json!(1)));
    assert_eq!(directive.data["reason"], "by hand");
    let permit = paper.next().unwrap();
    assert_eq!((permit.name.as_str(), &permit.data["state"]), ("permit", &json!("halted")));
    assert_eq!(permit.data["epoch"], 1);
    assert_eq!(all.wait_for("halt").data["account"], "paper");

    // A halt of all accounts concerns each; the permit has the epoch of the account.
    halt(&exporter, "*");
    assert_eq!(paper.wait_for("halt").data["account"], "*");
    assert_eq!(paper.next().unwrap().data["epoch"], 2);
    let directive = live.wait_for("halt");
    assert_eq!(
        directive.data["account"], "*",
        "the second stream received another account: {directive:?}"
    );
    assert_eq!(live.next().unwrap().data["epoch"], 1);
    let release = json!({"account": "*", "epoch": 1, "reason": "checked", "actor": "ann"});
    assert_eq!(exporter.post("/api/v1/halts/release", &release.to_string()).status, 200);
    assert_eq!(live.wait_for("release").data["state"], "active");
    assert_eq!(live.next().unwrap().data["state"], "active");
    assert_eq!(paper.wait_for("release").data["account"], "*");
    assert_eq!(paper.next().unwrap().data["state"], "halted");
}

#[test]
fn the_permit_is_sent_regularly() {
    let exporter = configured("permit:\n  valid_for: 300ms\n");
    let mut events = Events::open(exporter.address, "?account=paper", &[]);
    let mut waited = 0;
    for _ in 0..4 {
        let permit = events.wait_for("permit").data;
        assert_eq!(permit["valid_for_ms"], 300);
        let next = permit["waited_ms"].as_u64().unwrap();
        assert!(next >= waited, "{permit}");
        waited = next;
    }
    assert!(waited >= 200, "{waited}");
}

/// An exporter with this configuration.
fn configured(text: &str) -> Exporter {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    fs::write(&path, text).unwrap();
    Exporter::start(&[&format!("--config.file={}", path.display())])
}

#[test]
fn a_stream_resumes_or_reports_that_it_cannot() {
    let exporter = Exporter::start(&[]);
    let mut events = Events::open(exporter.address, "?account=paper", &[]);
    flood(&exporter, 4);
    let ids: Vec<String> = (0..4).map(|_| events.wait_for("health").id.unwrap()).collect();
    drop(events);
    let resume = |id: &str| {
        let header = format!("last-event-id: {id}");
        Events::open(exporter.address, "?account=paper", &[&header])
    };
    let mut again = resume(&ids[1]);
    assert_eq!(again.next().unwrap().name, "permit");
    assert_eq!(again.next().unwrap().id.as_ref(), Some(&ids[2]));
    assert_eq!(again.next().unwrap().id.as_ref(), Some(&ids[3]));
    for unknown in ["999999-0", "1-0", "1-0.00000000", "x", "-", "\u{e9}", "1-0-0"] {
        let reset = resume(unknown).next().unwrap();
        assert_eq!(reset.name, "reset", "{unknown}");
        assert_eq!(reset.data["reason"], "unknown_id", "{unknown}");
    }
    flood(&exporter, 4_096);
    flood(&exporter, 2);
    let mut late = resume(&ids[1]);
    let reset = late.next().unwrap();
    assert_eq!((reset.name.as_str(), &reset.data["reason"]), ("reset", &json!("too_old")));
    // The retained events follow anyway.
    assert_eq!(late.next().unwrap().name, "permit");
    for n in 0..4_096 {
        assert_eq!(late.wait_for("health").data["account"], "paper", "{n}");
    }
}

#[test]
fn a_stream_resumes_after_a_crash_with_a_journal() {
    let directory = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", directory.path().join("data").display());
    let start = || Exporter::start(&["--storage.mode=journal", &storage]);
    let mut exporter = start();
    let mut events = Events::open(exporter.address, "?account=paper", &[]);
    halt(&exporter, "paper");
    let first = events.wait_for("halt");
    halt(&exporter, "paper");
    let second = events.wait_for("halt");
    drop(events);
    exporter.signal("KILL");
    exporter.wait();
    let exporter = start();
    let header = format!("last-event-id: {}", first.id.unwrap());
    let mut again = Events::open(exporter.address, "?account=paper", &[&header]);
    let permit = again.next().unwrap();
    assert_eq!((permit.name.as_str(), &permit.data["state"]), ("permit", &json!("halted")));
    assert_eq!(again.next().unwrap(), second, "the same, byte for byte");
    // A stream from the start of the new process receives no earlier events.
    let mut fresh = Events::open(exporter.address, "?account=paper", &[]);
    halt(&exporter, "paper");
    assert_eq!(fresh.wait_for("halt").data["epoch"], 3);
    exporter.wait_for_log(&["halt", "operator", "epoch=3"]);
    assert!(!exporter.log().contains("epoch=2"), "{}", exporter.log());
}

#[test]
fn a_client_that_does_not_read_is_disconnected_and_reported() {
    let exporter = Exporter::start(&[]);
    let mut slow = Events::open(exporter.address, "?account=paper", &[]);
    let mut quick = Events::open(exporter.address, "?account=live", &[]);
    // More than the socket buffers and the ring can hold.
    for _ in 0..4 {
        flood(&exporter, 50_000);
    }
    halt(&exporter, "*");
    assert_eq!(quick.wait_for("halt").data["account"], "*");
    let end = slow.wait_for("end");
    assert_eq!(end.data["reason"], "slow");
    assert_eq!(slow.next(), None);
    let metrics = exporter.get("/metrics").body;
    assert!(metrics.contains("trading_exporter_streams_ended_total{reason=\"slow\"} 1.0"));
}

#[test]
fn a_drain_ends_streams_and_waits() {
    let mut exporter = Exporter::start(&[]);
    let mut events = Events::open(exporter.address, "?account=paper", &[]);
    let address = exporter.address;
    let waiting = thread::Builder::new()
        .spawn(move || Client::connect(address).send("GET", "/api/v1/permit?wait=60&epoch=0", ""))
        .unwrap();
    wait_for_metric(&exporter, "trading_exporter_listeners{kind=\"permit\"} 1.0");
    exporter.signal("TERM");
    assert_eq!(events.wait_for("end").data["reason"], "draining");
    assert_eq!(events.next(), None);
    let answer = waiting.join().unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("not_ready")));
    assert_eq!(exporter.wait().code(), Some(0));
}

/// Scrapes until the line appears.
fn wait_for_metric(exporter: &Exporter, line: &str) {
    let deadline = monotonic() + SOON;
    let mut client = Client::connect(exporter.address);
    while !client.send("GET", "/metrics", "").body.lines().any(|l| l == line) {
        assert!(monotonic() < deadline, "never: {line}");
    }
}

#[test]
fn a_permit_waits_for_the_next_change() {
    let exporter = Exporter::start(&[]);
    let permit = |query: &str| exporter.get(&format!("/api/v1/permit?account=paper{query}"));
    // The epoch in the request is not the current one: the answer is immediate.
    assert_eq!(permit("&wait=60&epoch=7").json()["epoch"], 0);
    assert_eq!(permit("&epoch=0").json()["epoch"], 0);
    assert_eq!(permit("&wait=0&epoch=0").json()["epoch"], 0);
    let unchanged = permit("&wait=1").json();
    assert_eq!(unchanged["epoch"], 0);
    assert!(unchanged["waited_ms"].as_u64().unwrap() >= 1_000, "{unchanged}");
    assert_eq!(unchanged["health"], json!({"status": "unknown", "watchdog_age_seconds": null}));
    for wait in ["61", "-1", "1.5", "x"] {
        assert_eq!(permit(&format!("&wait={wait}")).status, 400, "{wait}");
    }
    let address = exporter.address;
    let wait = |query: &'static str| {
        let path = format!("/api/v1/permit?account=paper&wait=60{query}");
        thread::Builder::new()
            .spawn(move || Client::connect(address).send("GET", &path, "").json())
            .unwrap()
    };
    let waiting = [wait("&epoch=0"), wait("")];
    wait_for_metric(&exporter, "trading_exporter_listeners{kind=\"permit\"} 2.0");
    // A change of another account does not end the wait.
    halt(&exporter, "live");
    halt(&exporter, "paper");
    for answer in waiting {
        let permit: Value = answer.join().unwrap();
        assert_eq!((&permit["state"], &permit["epoch"]), (&json!("halted"), &json!(1)));
    }
    let watchdog = json!({"version": "4", "alerts": [{"labels": {"alertname": "Watchdog"}}]});
    assert_eq!(exporter.post("/api/v1/alertmanager", &watchdog.to_string()).status, 200);
    let age = permit("").json()["health"]["watchdog_age_seconds"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn the_number_of_streams_is_bounded_and_places_are_freed() {
    let exporter = configured("web:\n  connections_max: 8\n");
    let open = || Events::try_open(exporter.address, "?account=paper", &[]);
    let first = open().unwrap();
    let mut second = open().unwrap();
    let refused = open().err().unwrap();
    assert!(refused.contains("503"), "{refused}");
    drop(first);
    let deadline = monotonic() + SOON;
    let mut third = loop {
        match open() {
            Ok(stream) => break stream,
            Err(_) => assert!(monotonic() < deadline, "the place is never free"),
        }
    };
    halt(&exporter, "paper");
    assert_eq!(second.wait_for("halt").data["account"], "paper");
    assert_eq!(third.wait_for("permit").data["account"], "paper");
    let metrics = exporter.get("/metrics").body;
    assert!(metrics.contains("trading_exporter_listeners{kind=\"stream\"} 2.0"), "{metrics}");
}

#[test]
fn a_stream_shows_what_its_token_may_see_while_it_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let hash = |token: &str| run(&["hash-token"], token).1.trim().to_owned();
    let path = directory.path().join("exporter.yml");
    let engine = format!(
        "tokens:\n  - {{name: engine, sha256: {}, scopes: [read, ingest], accounts: [\"p*\"]}}\n",
        hash("engine-token-0001")
    );
    let desk = format!(
        "  - {{name: desk, sha256: {}, scopes: [halt, release]}}\n",
        hash("desk-token-00001")
    );
    fs::write(&path, format!("{engine}{desk}")).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let open =
        |query: &str, token: &str| Events::try_open(exporter.address, query, &[&bearer(token)]);
    let status = |query: &str, token: &str| open(query, token).err().unwrap();
    assert!(status("", "no-such-token-000").contains("401"));
    assert!(status("", "desk-token-00001").contains("403"));
    assert!(status("?account=live", "engine-token-0001").contains("403"));
    let mut events = open("", "engine-token-0001").unwrap();
    let mut desk_client = Client::connect(exporter.address).with_token("desk-token-00001");
    for account in ["live", "*", "paper"] {
        let body = json!({"account": account, "reason": "by hand", "actor": "ann"});
        assert_eq!(desk_client.send("POST", "/api/v1/halts", &body.to_string()).status, 201);
    }
    assert_eq!(events.wait_for("halt").data["account"], "*");
    assert_eq!(events.wait_for("halt").data["account"], "paper");
    // The token is revoked.
    fs::write(&path, format!("tokens:\n{desk}")).unwrap();
    assert_eq!(desk_client.send("POST", "/-/reload", "{}").status, 200);
    assert_eq!(events.wait_for("end").data["reason"], "token");
    assert_eq!(events.next(), None);
}
