//! Strangers at the door: connections that are kept, slow or busy; web pages; wrong tokens. Decisions,
//! permits and health are answered all the same.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use trading_exporter::clock::monotonic;

use crate::exporter::{Client, Exporter, SOON};

/// Connections that the exporters of these tests accept.
const CONNECTIONS_MAX: usize = 32;
const HALT: &str = r#"{"account":"live","reason":"by hand","actor":"ann"}"#;

fn configured(more: &str) -> Exporter {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    fs::write(&path, format!("web:\n  connections_max: {CONNECTIONS_MAX}\n{more}")).unwrap();
    Exporter::start(&[&format!("--config.file={}", path.display())])
}

fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// Reads the head of an answer.
fn head(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

/// The status of the answer to a request with this head, and the rest of the head.
fn ask(address: SocketAddr, head_of_request: &str) -> (u16, String) {
    let text = head(&mut connect(address, &format!("{head_of_request}\r\n\r\n")));
    (text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), text)
}

fn metric(exporter: &Exporter, series: &str) -> u64 {
    let deadline = monotonic() + SOON;
    // The exporter may not have noticed yet that connections were closed.
    let text = loop {
        let answer = exporter.get("/metrics");
        if answer.status == 200 {
            break answer.body;
        }
        assert!(monotonic() < deadline, "{answer:?}");
    };
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series}")).trim_end_matches(".0").parse().unwrap()
}

#[test]
fn kept_connections_lock_nobody_out() {
    let exporter = configured("");
    let idle: Vec<TcpStream> = (0..2 * CONNECTIONS_MAX)
        .map(|_| {
            let request = "GET /-/healthy HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let mut stream = connect(exporter.address, request);
            assert!(head(&mut stream).starts_with("HTTP/1.1 200"));
            stream
        })
        .collect();
    assert_eq!(exporter.post("/api/v1/halts", HALT).status, 201);
    let series = "trading_exporter_connections_closed_total{reason=\"idle_for_room\"}";
    assert!(metric(&exporter, series) >= 32);
    assert!(metric(&exporter, "trading_exporter_connections{listener=\"main\"}") <= 32);
    assert_eq!(idle.len(), 2 * CONNECTIONS_MAX);
}

#[test]
fn connections_that_send_nothing_lock_nobody_out() {
    let exporter = configured("");
    let silent: Vec<TcpStream> =
        (0..2 * CONNECTIONS_MAX).map(|_| connect(exporter.address, "GET / HT")).collect();
    assert_eq!(exporter.post("/api/v1/halts", HALT).status, 201);
    drop(silent);
    let series = "trading_exporter_connections_closed_total{reason=\"head_for_room\"}";
    assert!(metric(&exporter, series) >= 1);
}

/// Requests in progress are not cut off. They leave places for decisions, and none for the rest.
#[test]
fn busy_connections_leave_room_for_decisions() {
    let exporter = configured("");
    let request = "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\
                   content-type: application/json\r\ncontent-length: 100\r\n\r\n[";
    let busy: Vec<TcpStream> = (0..24).map(|_| connect(exporter.address, request)).collect();
    let deadline = monotonic() + SOON;
    while exporter.get("/api/v1/accounts").status != 503 {
        assert!(monotonic() < deadline, "the peer has all connections");
    }
    let events = exporter.post("/api/v1/events", "[]");
    assert_eq!((events.status, &events.json()["code"]), (503, &json!("overloaded")));
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert_eq!(exporter.get("/api/v1/permit?account=live").json()["state"], "active");
    assert_eq!(exporter.post("/api/v1/halts", HALT).status, 201);
    assert_eq!(exporter.get("/api/v1/permit?account=live").json()["state"], "halted");
    drop(busy);
    while exporter.get("/metrics").status != 200 {
        assert!(monotonic() < deadline, "the places are not freed");
    }
    assert!(metric(&exporter, "trading_exporter_connections_reserve_used_total") >= 5);
    assert!(metric(&exporter, "trading_exporter_requests_refused_total{code=\"overloaded\"}") >= 2);
}

#[test]
fn a_second_listener_serves_decisions_alone() {
    let exporter = configured("  decision_listen: 127.0.0.1:0\n");
    let line = exporter.wait_for_log(&["listening decisions="]);
    let address: SocketAddr = line.rsplit("decisions=").next().unwrap().trim().parse().unwrap();
    let silent: Vec<TcpStream> =
        (0..CONNECTIONS_MAX).map(|_| connect(exporter.address, "GET / HT")).collect();
    let mut client = Client::connect(address);
    assert_eq!(client.send("POST", "/api/v1/halts", HALT).status, 201);
    let permit = client.send("GET", "/api/v1/permit?account=live", "");
    assert_eq!(permit.json()["state"], "halted");
    let release = r#"{"account":"live","epoch":1,"reason":"done","actor":"ann"}"#;
    assert_eq!(client.send("POST", "/api/v1/halts/release", release).status, 200);
    assert_eq!(
        client.send("POST", "/api/v1/alertmanager", r#"{"version":"4","alerts":[]}"#).status,
        200
    );
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(client.send("GET", path, "").status, 200);
    }
    for (method, path) in [("GET", "/metrics"), ("POST", "/api/v1/events"), ("POST", "/-/reload")] {
        let answer = client.send(method, path, "");
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &json!("unknown_path")),
            "{path}"
        );
    }
    drop(silent);
    assert_eq!(
        metric(&exporter, "trading_exporter_connections_limit{listener=\"decisions\"}"),
        128
    );
}

#[test]
fn a_web_page_of_another_host_is_not_served() {
    let exporter = configured("  hosts: [desk.local]\n");
    let check = |method: &str, path: &str, headers: &str, expect: u16| {
        let request = format!("{method} {path} HTTP/1.1\r\n{headers}");
        let (status, text) = ask(exporter.address, &request);
        assert_eq!(status, expect, "{request} {text}");
        text
    };
    let own = format!("host: {}", exporter.address);
    check("GET", "/api/v1/accounts", &own, 200);
    check("GET", "/api/v1/accounts", "host: desk.local:1", 200);
    check("GET", "/api/v1/accounts", "host: evil.example", 421);
    check("GET", "/", "host: evil.example:10471", 421);
    check("GET", "http://evil.example/api/v1/accounts", "host: localhost", 421);
    check("POST", "/-/reload", "host: localhost\r\norigin: http://evil.example", 403);
    check("POST", "/-/reload", "host: localhost\r\norigin: null", 403);
    check("POST", "/-/reload", "host: localhost\r\nsec-fetch-site: cross-site", 403);
    check(
        "DELETE",
        "/api/v1/series?component=x",
        "host: localhost\r\norigin: http://e.example",
        403,
    );
    // The door lets these in. The file of the configuration is gone.
    check("POST", "/-/reload", "host: localhost\r\norigin: http://localhost", 422);
    let form = "host: localhost\r\ncontent-type: text/plain\r\ncontent-length: 0";
    check("POST", "/-/reload", form, 422);
    let text = "host: localhost\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}";
    check("POST", "/-/reload", text, 415);
    check("POST", "/api/v1/halts", text, 415);
    for head in ["x: y", "host: localhost\r\nhost: localhost"] {
        let text = check("GET", "/-/healthy", head, 400);
        assert!(text.contains("connection: close"), "{text}");
    }
    for (code, count) in [("foreign_host", 3), ("foreign_origin", 4), ("invalid_host", 2)] {
        let series = format!("trading_exporter_requests_refused_total{{code=\"{code}\"}}");
        assert_eq!(metric(&exporter, &series), count, "{code}");
    }
}

#[test]
fn refused_tokens_are_counted_and_probes_need_none() {
    // The token is `password`.
    let exporter = configured(
        "tokens:\n  - {name: desk, scopes: [metrics],\n     sha256: \
         5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8}\n",
    );
    let client = |token: &str| Client::connect(exporter.address).with_token(token);
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(client("outdated").send("GET", path, "").status, 200, "{path}");
    }
    for _ in 0..3 {
        assert_eq!(client("guess").send("POST", "/api/v1/events", "[]").status, 401);
    }
    assert_eq!(client("guess").send("GET", "/metrics", "").status, 401);
    assert_eq!(client("password").send("POST", "/api/v1/halts", HALT).status, 403);
    let metrics = client("password").send("GET", "/metrics", "").body;
    for line in ["{code=\"unauthorized\"} 4.0", "{code=\"forbidden\"} 1.0"] {
        let line = format!("trading_exporter_requests_refused_total{line}");
        assert!(metrics.contains(&line), "{line}");
    }
}

/// A halt that arrives while a large body is folded gets in between its records.
#[test]
fn a_halt_does_not_wait_for_a_large_body() {
    let exporter = Exporter::start(&[]);
    let quote = |n: usize| {
        let symbol = n % 500;
        format!(r#"{{"type":"quote","account":"paper","symbol":"S{symbol}","price":1}}"#)
    };
    let body = format!("[{}]", (0..50_000).map(quote).collect::<Vec<_>>().join(","));
    let sequence = |exporter: &Exporter| {
        let permit = exporter.get("/api/v1/permit?account=live").json();
        permit["sequence"].as_u64().unwrap()
    };
    let before = sequence(&exporter);
    let address = exporter.address;
    let engine = std::thread::Builder::new()
        .spawn(move || Client::connect(address).send("POST", "/api/v1/events", &body).json())
        .unwrap();
    let deadline = monotonic() + SOON;
    // More than ticks: parts of the body.
    while sequence(&exporter) < before + 60 {
        assert!(monotonic() < deadline, "the body is never folded");
    }
    let halt = exporter.post("/api/v1/halts", HALT).json()["sequence"].as_u64().unwrap();
    let events = engine.join().unwrap();
    assert_eq!(events["accepted"], 50_000);
    let end = events["sequence"].as_u64().unwrap();
    assert!(halt < end, "the halt is {halt}, the events end at {end}");
}
