//! The process: start, arguments, reload and end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;

use crate::exporter::{BINARY, Client, Exporter, SOON, run};

#[test]
fn the_process_becomes_ready_and_drains() {
    for signal in ["TERM", "INT"] {
        let mut exporter = Exporter::start(&[]);
        assert_eq!(exporter.get("/-/healthy").status, 200);
        assert_eq!(exporter.get("/-/ready").status, 200);
        exporter.wait_for_log(&["WARN", "a restart loses everything"]);
        exporter.signal(signal);
        assert_eq!(exporter.wait().code(), Some(0));
        exporter.wait_for_log(&["draining", signal]);
        exporter.wait_for_log(&["ended"]);
    }
}

#[test]
fn serve_can_be_explicit_and_logs_can_be_json() {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--web.listen-address=127.0.0.1:0", "--log.level=warn"]);
    command.arg("--storage.mode=memory");
    command.arg("--log.format=json");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    log.read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "WARN");
}

#[test]
fn wrong_arguments_are_explained() {
    let check = |arguments: &[&str], code: i32, words: &str| {
        let (found, out, err) = run(arguments, "");
        assert_eq!(found, code, "{arguments:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(words), "{arguments:?}: {out}{err}");
    };
    check(&["--version"], 0, concat!("trading-exporter ", env!("CARGO_PKG_VERSION")));
    check(&["version"], 0, concat!("trading-exporter ", env!("CARGO_PKG_VERSION")));
    check(&["--help"], 0, "--web.listen-address");
    check(&["--web.listen_address=127.0.0.1:0"], 2, "unexpected argument");
    check(&["sing"], 2, "unrecognized subcommand");
    check(&["--storage.path=Cargo.toml"], 1, "cannot open the journal in Cargo.toml");
    check(&["--config.file=does-not-exist.yml"], 1, "does-not-exist.yml");
}

#[test]
fn a_public_address_needs_an_explicit_argument() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let address = format!("--web.listen-address={address}");
        let (code, _, err) = run(&[&address, "--storage.mode=memory"], "");
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("--insecure"), "{err}");
    }
    let mut command = Command::new(BINARY);
    command.args(["--web.listen-address=0.0.0.0:0", "--insecure", "--storage.mode=memory"]);
    let exporter = Exporter::spawn(command);
    assert!(exporter.address.ip().is_unspecified());
}

#[test]
fn an_address_in_use_is_reported() {
    let exporter = Exporter::start(&[]);
    let (code, _, err) = run(&[&format!("--web.listen-address={}", exporter.address)], "");
    assert_eq!(code, 1);
    assert!(err.contains(&format!("cannot listen on {}: ", exporter.address)), "{err}");
}

#[test]
fn check_config_reports_every_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.yml", "web:\n  events_max: 10\n");
    let bad = file("bad.yml", "web:\n  events_max: many\n  evnts_max: 1\n");
    assert_eq!(run(&["check-config", &good], ""), (0, format!("{good}: ok\n"), String::new()));
    let (code, out, err) = run(&["check-config", &good, &bad, &good], "");
    assert_eq!((code, out), (1, format!("{good}: ok\n{good}: ok\n")));
    assert!(err.contains("web.events_max") && err.contains("evnts_max"), "{err}");
    let (code, _, err) = run(&["--web.listen-address=127.0.0.1:0", "--config.file", &bad], "");
    assert_eq!(code, 1);
    assert!(err.contains("web.events_max"), "{err}");
}

#[test]
fn tokens_are_hashed_for_the_configuration() {
    let digest = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
    for input in ["0123456789abcdef", "0123456789abcdef\n"] {
        let (code, out, _) = run(&["hash-token"], input);
        assert_eq!((code, out.trim_end()), (0, digest));
    }
    assert_eq!(run(&["hash-token"], "short\n").0, 1);
    let (code, out, err) = run(&["hash-token", "--generate"], "");
    let token = err.strip_prefix("token: ").unwrap().trim_end();
    assert_eq!((code, token.len()), (0, 64));
    assert_eq!(run(&["hash-token"], token).1, out);
}

#[test]
fn a_reload_changes_the_rules_and_a_bad_file_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    let write = |text: &str| fs::write(&path, text).unwrap();
    write("permit:\n  valid_for: 10s\n");
    let exporter = Exporter::start(&["--config.file", path.to_str().unwrap()]);
    let valid_for = || exporter.get("/api/v1/permit?account=paper").json()["valid_for_ms"].clone();
    let reloaded = || {
        let metrics = exporter.get("/metrics").body;
        let name = "trading_exporter_config_last_reload_successful ";
        let line = metrics.lines().find_map(|l| l.strip_prefix(name)).expect(&metrics);
        line.parse::<f64>().unwrap()
    };
    assert_eq!((valid_for(), reloaded()), (10_000.into(), 1.0));

    write("permit:\n  valid_for: 7s\n");
    exporter.signal("HUP");
    exporter.wait_for_log(&["was reloaded"]);
    assert_eq!((valid_for(), reloaded()), (7_000.into(), 1.0));

    write("permit:\n  valid_four: 3s\n");
    exporter.signal("HUP");
    exporter.wait_for_log(&["ERROR", "refused", "valid_four"]);
    assert_eq!((valid_for(), reloaded()), (7_000.into(), 0.0));
    let refused = exporter.post("/-/reload", "");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("valid_four"), "{refused:?}");

    write("permit:\n  valid_for: 3s\nweb:\n  connections_max: 7\n");
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    assert_eq!((valid_for(), reloaded()), (3_000.into(), 1.0));
    exporter.wait_for_log(&["needs a restart", "web.connections_max"]);
}

#[test]
fn a_reload_opens_neither_an_address_nor_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    let hash = "0".repeat(64);
    let token = format!("tokens:\n  - name: a\n    sha256: \"{hash}\"\n    scopes: [read]\n");
    let write = |text: &str| fs::write(&path, text).unwrap();
    write(&token);
    let exporter = Exporter::start(&["--config.file", path.to_str().unwrap()]);
    assert_eq!(exporter.get("/api/v1/accounts").status, 401);
    write("web:\n  listen_address: 0.0.0.0:10471\n");
    exporter.signal("HUP");
    exporter.wait_for_log(&["ERROR", "refused", "tokens: the last token and user need a restart"]);
    assert!(exporter.address.ip().is_loopback());
    assert_eq!(exporter.get("/api/v1/accounts").status, 401);
}

/// Posts until the connection ends. Returns the sequence of each acknowledgement.
fn post_until_the_end(address: SocketAddr, client: usize, acknowledged: &Sender<()>) -> Vec<u64> {
    let mut sequences = Vec::new();
    let mut connection = Client::connect(address);
    for request in 0.. {
        let event = |n: u64| {
            format!(
                r#"{{"type":"quote","symbol":"S{client}","price":1,"event_id":"{client}-{request}-{n}"}}"#
            )
        };
        let events: Vec<String> = (0..PER_REQUEST).map(event).collect();
        let body = format!("[{}]", events.join(","));
        let Some(answer) = connection.try_send("POST", "/api/v1/events", &body) else { break };
        if answer.status != 200 {
            assert_eq!(answer.status, 503, "{answer:?}");
            break;
        }
        let receipt = answer.json();
        assert_eq!(receipt["accepted"], PER_REQUEST, "{receipt}");
        sequences.push(receipt["sequence"].as_u64().unwrap());
        // The receiver may be gone.
        acknowledged.send(()).ok();
    }
    sequences
}

/// Events in a request.
const PER_REQUEST: u64 = 20;

/// Clients post on persistent connections while the process receives SIGTERM. Every answer that begins is
/// complete, and everything acknowledged was applied before the end.
#[test]
fn nothing_acknowledged_is_lost_in_a_drain_under_load() {
    let mut exporter = Exporter::start(&[]);
    let (address, (acknowledged, acknowledgements)) = (exporter.address, mpsc::channel());
    let sequences: Vec<Vec<u64>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let acknowledged = acknowledged.clone();
                scope.spawn(move || post_until_the_end(address, client, &acknowledged))
            })
            .collect();
        for _ in 0..100 {
            acknowledgements.recv_timeout(SOON).unwrap();
        }
        exporter.signal("TERM");
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(exporter.wait().code(), Some(0), "{}", exporter.log());
    let ended = exporter.wait_for_log(&["ended sequence="]);
    let last: u64 = ended.rsplit("sequence=").next().unwrap().trim().parse().unwrap();
    for client in &sequences {
        let apart = |pair: &[u64]| pair[1] >= pair[0] + PER_REQUEST;
        assert!(client.windows(2).all(apart), "{client:?}");
        assert!(client.iter().all(|sequence| *sequence <= last), "{last}: {client:?}");
    }
    let requests: u64 = sequences.iter().map(|client| client.len() as u64).sum();
    assert!(requests >= 100 && requests * PER_REQUEST <= last, "{requests} of {last}");
}

/// A process without a free descriptor for a connection waits, reports it, and continues.
#[test]
fn the_process_recovers_from_a_lack_of_descriptors() {
    let mut command = Command::new("sh");
    let script = format!(
        "ulimit -n 16 && exec {BINARY} --storage.mode=memory --web.listen-address=127.0.0.1:0"
    );
    command.args(["-c", &script]);
    let exporter = Exporter::spawn(command);
    let held: Vec<TcpStream> =
        (0..60).map(|_| TcpStream::connect(exporter.address).unwrap()).collect();
    exporter.wait_for_log(&["cannot accept connections"]);
    drop(held);
    assert_eq!(exporter.get("/-/healthy").status, 200);
    let log = exporter.log();
    assert!(log.matches("cannot accept connections").count() < 5, "{log}");
}

/// The deadlines of heads and bodies are those of the configuration.
#[test]
fn slow_clients_are_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    fs::write(&path, "web:\n  header_timeout: 1s\n  body_timeout: 1s\n").unwrap();
    let exporter = Exporter::start(&["--config.file", path.to_str().unwrap()]);
    let check = |sent: &str, expect: &str| {
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        // A reset counts as an end.
        stream.read_to_string(&mut answer).ok();
        assert_eq!(answer.lines().next().unwrap_or_default(), expect, "{sent}");
    };
    check("", "");
    check("POST /api/v1/events HTTP/1.1\r\nhost: x\r\nx: ", "");
    let head =
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    check(&format!("{head}content-length: 9\r\n\r\n{{"), "HTTP/1.1 408 Request Timeout");
}

/// With few descriptors, connections leave enough for the journal: segments are begun while as many
/// connections are open as the exporter accepts.
#[test]
fn connections_leave_descriptors_for_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("exporter.yml");
    let storage = format!("storage:\n  path: {}\n", directory.path().join("data").display());
    std::fs::write(&config, storage + "  segment_bytes: 4KiB\n").unwrap();
    let mut command = std::process::Command::new("sh");
    let script = "ulimit -n 128; exec \"$0\" \"$@\"";
    command.args(["-c", script, crate::exporter::BINARY, "--web.listen-address=127.0.0.1:0"]);
    command.arg(format!("--config.file={}", config.display()));
    let exporter = Exporter::spawn(command);
    exporter.wait_for_log(&["the limit of open files", "limit=128", "effective=80"]);
    let strangers: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(exporter.address).unwrap()).collect();
    for n in 0..60 {
        let halt = format!(r#"{{"account":"a{n}","reason":"{n:0500}","actor":"ann"}}"#);
        assert_eq!(exporter.post("/api/v1/halts", &halt).status, 201);
    }
    let segments = std::fs::read_dir(directory.path().join("data")).unwrap();
    let is_segment = |name: &str| name.starts_with("seg-");
    let segments =
        segments.filter(|entry| is_segment(entry.as_ref().unwrap().file_name().to_str().unwrap()));
    assert!(segments.count() > 20);
    assert_eq!(exporter.get("/-/ready").status, 200);
    drop(strangers);
}
