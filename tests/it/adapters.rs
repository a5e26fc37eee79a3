//! Messages of other systems, over HTTP: what they become on `/metrics`, sent once, twice, and with a
//! restart in between; and who may send them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use trading_exporter::clock::monotonic;

use crate::exporter::{Client, Exporter, SOON, run};
use crate::secrets::hex_digest;

/// Adapter and recording. One line is one request.
pub(crate) const RECORDINGS: &[(&str, &str)] = &[
    ("alpaca", include_str!("../fixtures/adapters/alpaca.ndjson")),
    ("fix", include_str!("../fixtures/adapters/fix44.txt")),
    ("freqtrade", include_str!("../fixtures/adapters/freqtrade.ndjson")),
    ("hummingbot", include_str!("../fixtures/adapters/hummingbot.ndjson")),
    ("lean", include_str!("../fixtures/adapters/lean.ndjson")),
    ("nautilus", include_str!("../fixtures/adapters/nautilus.ndjson")),
    ("nautilus", include_str!("../fixtures/adapters/nautilus-redis.ndjson")),
    ("tradingview", include_str!("../fixtures/adapters/tradingview.ndjson")),
];

/// A table, and the configuration that explains it.
const STATEMENT: &str = include_str!("../fixtures/adapters/statement.csv");
const MAPPING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines/csv-mapping.yml");

/// A trade update, and the list of a flat account.
const UPDATE: &str =
    r#"{"event":"new","execution_id":"x","order":{"id":"1","symbol":"A","side":"buy","qty":"1"}}"#;
const FLAT: &str = "[]";

/// Sends each line, as one request. Returns the sums of accepted events, duplicates and ignored messages.
fn send(exporter: &Exporter, adapter: &str, lines: &[&str]) -> [u64; 3] {
    let mut client = Client::connect(exporter.address);
    let path = format!("/api/v1/adapters/{adapter}?account=paper");
    let mut sums = [0; 3];
    for line in lines {
        let answer = client.send("POST", &path, line);
        assert_eq!(answer.status, 200, "{adapter}: {line}: {answer:?}");
        let answer = answer.json();
        for (sum, name) in sums.iter_mut().zip(["accepted", "duplicates", "ignored"]) {
            *sum += answer[name].as_u64().unwrap();
        }
    }
    sums
}

/// The figures that depend on no clock.
pub(crate) fn figures(exporter: &Exporter) -> BTreeMap<String, String> {
    let text = exporter.get("/metrics").body;
    let lines = text.lines().filter(|line| {
        let name = line.split(['{', ' ']).next().unwrap();
        name.starts_with("trading_")
            && !name.starts_with("trading_exporter_")
            && !name.contains("seconds")
    });
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(series, value)| (series.to_owned(), value.to_owned())).collect()
}

fn figure(figures: &BTreeMap<String, String>, name: &str) -> f64 {
    let of_name = figures.iter().filter(|(series, _)| series.split('{').next() == Some(name));
    of_name.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

#[test]
fn recordings_become_figures_and_are_counted_once() {
    let check = |(adapter, text): (&str, &str)| {
        let exporter = Exporter::start(&[]);
        let lines: Vec<&str> = text.lines().collect();
        let [accepted, _, ignored] = send(&exporter, adapter, &lines);
        assert!(accepted > 0, "{adapter}");
        let once = figures(&exporter);
        let metrics = exporter.get("/metrics").body;
        let count = |name: &str| {
            let series =
                format!("trading_exporter_adapter_messages{name}_total{{adapter=\"{adapter}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
            line.unwrap_or_else(|| panic!("no {series}")).parse::<f64>().unwrap()
        };
        let sent = u32::try_from(lines.len()).unwrap();
        let ignored = u32::try_from(ignored).unwrap();
        assert_eq!(
            (count(""), count("_ignored")),
            (f64::from(sent), f64::from(ignored)),
            "{adapter}"
        );
        let [_, duplicates, _] = send(&exporter, adapter, &lines);
        assert!(duplicates > 0 || adapter == "tradingview", "{adapter}");
        let mut twice = figures(&exporter);
        let mut once = once;
        // A snapshot that is sent again is one more snapshot.
        let is_count = |series: &str| series.contains("snapshot") || series.contains("comparisons");
        once.retain(|series, _| !is_count(series));
        twice.retain(|series, _| !is_count(series));
        assert_eq!(once, twice, "{adapter}");
    };
    std::thread::scope(|scope| {
        for recording in RECORDINGS {
            scope.spawn(|| check(*recording));
        }
    });
}

pub(crate) fn wait_until_ready(exporter: &Exporter) {
    let deadline = monotonic() + SOON;
    while exporter.get("/-/ready").status != 200 {
        assert!(monotonic() < deadline, "not ready in time: {}", exporter.log());
    }
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let check = |(adapter, text): (&str, &str)| {
        let lines: Vec<&str> = text.lines().collect();
        let whole = Exporter::start(&[]);
        send(&whole, adapter, &lines);
        let home = tempfile::tempdir().unwrap();
        let storage = format!("--storage.path={}", home.path().display());
        // Nautilus announces an order in one message and submits it in the next: cut between the two.
        let is_announced = |line: &&str| line.contains("OrderInitialized");
        let announced = lines.iter().skip(lines.len() / 2).position(is_announced);
        let middle = lines.len() / 2 + announced.map_or(0, |at| at + 1);
        let (before, after) = lines.split_at(middle);
        let mut first = Exporter::start(&[&storage]);
        send(&first, adapter, before);
        first.signal("KILL");
        first.wait();
        let second = Exporter::start(&[&storage]);
        wait_until_ready(&second);
        send(&second, adapter, after);
        assert_eq!(figures(&second), figures(&whole), "{adapter}");
    };
    std::thread::scope(|scope| {
        for recording in RECORDINGS {
            scope.spawn(|| check(*recording));
        }
    });
}

#[test]
fn a_session_in_one_body_is_the_session_in_single_requests() {
    for (adapter, text) in RECORDINGS {
        let one = Exporter::start(&[]);
        let lines: Vec<&str> = text.lines().collect();
        send(&one, adapter, &lines);
        let all = Exporter::start(&[]);
        send(&all, adapter, &[text]);
        let orders = |exporter| {
            let mut figures = figures(exporter);
            figures.retain(|series, _| series.starts_with("trading_orders_"));
            figures
        };
        assert_eq!(orders(&one), orders(&all), "{adapter}");
    }
}

#[test]
fn figures_of_the_recordings() {
    let check = |adapter: &str, expect: &[(&str, f64)]| {
        let exporter = Exporter::start(&[]);
        let (_, text) = RECORDINGS.iter().find(|(name, _)| *name == adapter).unwrap();
        send(&exporter, adapter, &text.lines().collect::<Vec<_>>());
        let found = figures(&exporter);
        for (name, value) in expect {
            let is_equal = (figure(&found, name) - value).abs() < 1e-9;
            assert!(is_equal, "{adapter}: {name} is not {value}: {found:#?}");
        }
    };
    check(
        "fix",
        &[("trading_orders_submitted_total", 13.0), ("trading_orders_cancelled_total", 2.0)],
    );
    check(
        "lean",
        &[("trading_orders_submitted_total", 2.0), ("trading_orders_rejected_total", 1.0)],
    );
    check(
        "nautilus",
        &[("trading_orders_denied_total", 6.0), ("trading_orders_rejected_total", 6.0)],
    );
    check("freqtrade", &[("trading_orders_rejected_total", 0.0)]);
    check("tradingview", &[("trading_orders_submitted_total", 0.0)]);
}

/// Tokens by name, scopes and accounts. The name is the secret.
fn start_with_tokens(directory: &Path) -> Exporter {
    let mut text = String::from("tokens:\n");
    for (name, scopes, accounts) in [
        ("engine+/=", "ingest", "['*']"),
        ("broker", "'ingest:broker'", "['*']"),
        ("desk-only", "ingest", "['desk-*']"),
        ("reader", "read, metrics", "['*']"),
    ] {
        let hash = hex_digest(name);
        let line = format!(
            "- {{name: '{name}', sha256: {hash}, scopes: [{scopes}], accounts: {accounts}}}"
        );
        writeln!(text, "{line}").unwrap();
    }
    let config = directory.join("exporter.yml");
    fs::write(&config, text).unwrap();
    Exporter::start(&[&format!("--config.file={}", config.display()), "--log.level=trace"])
}

/// Status and body of a POST with these header lines.
fn post(exporter: &Exporter, target: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&exporter.address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn a_token_comes_in_three_ways_and_is_never_logged() {
    let home = tempfile::tempdir().unwrap();
    let exporter = start_with_tokens(home.path());
    let path = "/api/v1/adapters/alpaca?account=desk-1";
    let basic = |pair: &str| format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair));
    let check = |target: &str, headers: &str, body: &str, expect: u16| {
        let (status, answer) = post(&exporter, target, headers, body);
        assert_eq!(status, expect, "{target} {headers}: {answer}");
        answer
    };
    check(path, "", UPDATE, 401);
    check(path, "authorization: Bearer engine+/=\r\n", UPDATE, 200);
    check(path, &basic("freqtrade:engine+/="), UPDATE, 200);
    check(&format!("{path}&token=engine%2B/%3D"), "", UPDATE, 200);
    check(&format!("{path}&token=engine+/="), "", UPDATE, 200);
    check(&format!("{path}&token=unknown"), "", UPDATE, 401);
    check(&format!("{path}&token=reader"), "", UPDATE, 403);
    // A header counts, whatever the query has.
    check(&format!("{path}&token=engine%2B/%3D"), "authorization: Bearer unknown\r\n", UPDATE, 401);
    let page = "origin: https://evil.example\r\nauthorization: Bearer engine+/=\r\n";
    check(path, page, UPDATE, 403);
    // Nowhere else.
    check("/api/v1/events?token=engine%2B/%3D", "content-type: application/json\r\n", "[]", 401);
    let answer = check(&format!("{path}&token=engine%2B/%3D&dry_run=1"), "", UPDATE, 400);
    assert!(!answer.contains("engine"), "{answer}");
    assert!(!exporter.log().contains("engine%2B"), "{}", exporter.log());
    assert!(!exporter.log().contains("engine+/="), "{}", exporter.log());
}

#[test]
fn each_side_sends_its_own_and_a_token_its_own_accounts() {
    let home = tempfile::tempdir().unwrap();
    let exporter = start_with_tokens(home.path());
    let check = |token: &str, query: &str, body: &str, expect: u16| {
        let headers = format!("authorization: Bearer {token}\r\n");
        let target = format!("/api/v1/adapters/alpaca{query}");
        let (status, answer) = post(&exporter, &target, &headers, body);
        assert_eq!(status, expect, "{token} {query} {body}: {answer}");
    };
    check("engine+/=", "", UPDATE, 200);
    check("engine+/=", "", FLAT, 403);
    check("engine+/=", "?role=local", FLAT, 200);
    check("broker", "", FLAT, 200);
    check("broker", "", UPDATE, 403);
    check("broker", "?role=local", FLAT, 403);
    check("desk-only", "?account=desk-1", UPDATE, 200);
    check("desk-only", "?account=other", UPDATE, 403);
    check("desk-only", "", UPDATE, 403);
    // The account that a message names counts as well.
    let report = "8=FIX.4.4|35=D|1=other|11=C1|55=A|54=1|38=1|60=20240304-14:30:24|";
    let own = report.replace("1=other", "1=desk-2");
    let path = "/api/v1/adapters/fix";
    let bearer = "authorization: Bearer desk-only\r\n";
    assert_eq!(post(&exporter, path, bearer, report).0, 403);
    assert_eq!(post(&exporter, path, bearer, &own).0, 200);
    assert_eq!(post(&exporter, path, bearer, &format!("{report}{own}")).0, 207);
    // Nobody learns which orders another account has.
    let engine = "authorization: Bearer engine+/=\r\n";
    assert_eq!(post(&exporter, path, engine, report).0, 200);
    let pending = "8=FIX.4.4|35=8|1=other|11=C1|37=V|17=E|150=A|39=A|55=A|54=1|38=1|";
    assert_eq!(post(&exporter, path, bearer, pending).0, 403);
    let (status, answer) = post(&exporter, path, engine, pending);
    assert!(status == 200 && answer.contains(r#""ignored":1"#), "{answer}");
}

/// Orders that one token announces are not those of another.
#[test]
fn announcements_of_one_token_are_not_those_of_another() {
    let home = tempfile::tempdir().unwrap();
    let exporter = start_with_tokens(home.path());
    let send = |token: &str, body: &str| {
        let headers = format!("authorization: Bearer {token}\r\n");
        let (status, answer) = post(&exporter, "/api/v1/adapters/nautilus", &headers, body);
        assert_eq!(status, 200, "{answer}");
    };
    let announced = |quantity: &str| {
        format!(
            r#"{{"type":"OrderInitialized","client_order_id":"O","instrument_id":"A.X","order_side":"BUY","quantity":"{quantity}"}}"#
        )
    };
    let submitted = r#"{"type":"OrderSubmitted","client_order_id":"O","instrument_id":"A.X","account_id":"desk-1","event_id":"s","ts_event":1709562622288000000}"#;
    send("engine+/=", &announced("5"));
    send("desk-only", &announced("7"));
    send("engine+/=", submitted);
    let mut reader = Client::connect(exporter.address).with_token("reader");
    let order = reader.send("GET", "/api/v1/orders/desk-1/O", "").json();
    assert_eq!((&order["status"], &order["quantity"]), (&json!("open"), &json!("5")), "{order}");
}

#[test]
fn answers_of_adapters() {
    let exporter = Exporter::start(&[]);
    let check = |target: &str, headers: &str, body: &str, (status, expect): (u16, &str)| {
        let (found, answer) = post(&exporter, target, headers, body);
        assert_eq!(found, status, "{target} {body}: {answer}");
        assert!(answer.contains(expect), "{target} {body}: {answer}");
    };
    let freqtrade = "/api/v1/adapters/freqtrade";
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let text = "content-type: text/plain\r\n";
    let entry = include_str!("../fixtures/adapters/freqtrade-form.txt").lines().nth(4).unwrap();
    let raw = include_str!("../fixtures/adapters/freqtrade-raw.ndjson").lines().next().unwrap();
    check(freqtrade, form, entry, (200, r#""accepted":2,"duplicates":0"#));
    check(freqtrade, form, entry, (200, r#""accepted":0,"duplicates":1"#));
    check(freqtrade, text, raw, (200, r#""accepted":2"#));
    check(freqtrade, text, r#"{"type":"wallet"}"#, (200, r#""ignored":1"#));
    check(freqtrade, form, "type=status&status=running", (200, r#""ignored":1"#));
    check(freqtrade, text, "{\"type\":", (400, "invalid_json"));
    check(freqtrade, text, "", (400, "invalid_json"));
    check(freqtrade, text, r#"{"type":"entry"}"#, (422, r#""index":0"#));
    check(freqtrade, text, "{\"type\":\"entry\"}\n{\"type\":\"wallet\"}", (207, r#""ignored":1"#));
    check(&format!("{freqtrade}?role=both"), text, raw, (400, "invalid_parameter"));
    check("/api/v1/adapters/unknown", text, raw, (404, "unknown_path"));
    check("/api/v1/adapters/tradingview", text, "BTCUSD crossed", (200, r#""ignored":1"#));
    let list = include_str!("../fixtures/adapters/alpaca-positions.json");
    check("/api/v1/adapters/alpaca?account=p", text, list, (200, r#""accepted":1"#));
    let positions: Value = exporter.get("/api/v1/positions?account=p").json();
    let row = positions.as_array().unwrap().iter().find(|row| row["symbol"] == "BTC/USD").unwrap();
    assert_eq!(row["broker_quantity"], "-0.528563477", "{row}");
    let wallet = r#"{"type":"wallet"}"#;
    let of_account = |name: &str| format!("{freqtrade}?account={name}");
    check(&of_account("p"), text, wallet, (200, r#""states":{"p":"active"}"#));
    check(&of_account("nobody"), text, wallet, (200, r#""states":{}"#));
    check("/api/v1/adapters/alpaca?account=p", text, FLAT, (200, r#""accepted":1"#));
    let positions: Value = exporter.get("/api/v1/positions?account=p").json();
    assert!(positions.as_array().unwrap().iter().all(|row| row["broker_quantity"] == "0"));
}

#[test]
fn a_table_is_counted_once_across_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", home.path().display());
    let config = format!("--config.file={MAPPING}");
    let path = "/api/v1/adapters/csv?account=paper&mapping=statement";
    let post = |exporter: &Exporter, path: &str, body: &str| {
        let answer = Client::connect(exporter.address).send("POST", path, body);
        (answer.status, answer.json())
    };
    let mut exporter = Exporter::start(&[&storage, &config]);
    for (accepted, duplicates) in [(4, 0), (0, 4)] {
        let (status, answer) = post(&exporter, path, STATEMENT);
        assert_eq!((status, &answer["accepted"]), (207, &json!(accepted)), "{answer}");
        assert_eq!(answer["duplicates"], duplicates, "{answer}");
        let codes: Vec<&Value> =
            answer["rejected"].as_array().unwrap().iter().map(|error| &error["index"]).collect();
        assert_eq!(codes, [3, 4, 5, 6], "{answer}");
        exporter.signal("KILL");
        exporter.wait();
        exporter = Exporter::start(&[&storage, &config]);
        wait_until_ready(&exporter);
        let found = figures(&exporter);
        assert!((figure(&found, "trading_fills_total") - 4.0).abs() < 1e-9, "{found:#?}");
        let positions = exporter.get("/api/v1/positions?account=paper").json();
        assert_eq!(positions[0]["ledger_quantity"], "981.5", "{positions}");
    }
    let unknown = "/api/v1/adapters/csv?mapping=nothing";
    let (status, answer) = post(&exporter, unknown, STATEMENT);
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_parameter")), "{answer}");
    let (status, answer) = post(&exporter, "/api/v1/adapters/csv", STATEMENT);
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_table")), "{answer}");
    let mapped = ["--config.file", MAPPING, "--mapping", "statement"];
    let (code, out, _) = run(&[&["try-adapter", "csv", "-"], &mapped[..]].concat(), STATEMENT);
    assert_eq!((code, out.lines().count()), (1, 4), "{out}");
    let (code, _, err) =
        run(&["try-adapter", "csv", "-", "--config.file", MAPPING, "--mapping", "x"], "");
    assert_eq!(code, 1);
    assert!(err.contains("has no mapping \"x\" under csv"), "{err}");
}

#[test]
fn try_adapter_shows_what_messages_become() {
    let fixture =
        |name: &str| format!("{}/tests/fixtures/adapters/{name}", env!("CARGO_MANIFEST_DIR"));
    let check = |arguments: &[&str], input: &str, expect: (i32, usize, &str)| {
        let (code, out, err) = run(&[&["try-adapter"], arguments].concat(), input);
        let events: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((code, events.len()), (expect.0, expect.1), "{arguments:?}: {out}{err}");
        assert!(err.contains(expect.2), "{arguments:?}: {err}");
        events
    };
    check(&["lean", &fixture("lean.ndjson")], "", (0, 11, ""));
    check(
        &["freqtrade", "--form", &fixture("freqtrade-form.txt")],
        "",
        (0, 17, "message 1: ignored: warning"),
    );
    let events = check(&["alpaca", "-", "--account", "desk", "--role", "local"], FLAT, (0, 1, ""));
    assert_eq!((&events[0]["account"], &events[0]["source"]), (&json!("desk"), &json!("local")));
    check(
        &["alpaca", "-"],
        "{\"event\":\"new\"}\n[]\n{}",
        (1, 1, "message 1: refused: invalid_event"),
    );
    check(&["alpaca", "-"], "{\"event\":\"new\"}\n[]\n{}", (1, 1, "message 3: ignored: "));
    check(&["fix", "-"], "hello", (1, 0, "no message begins with 8=FIX"));
    check(&["fix", "missing.log"], "", (1, 0, "cannot read missing.log"));
    assert_eq!(run(&["try-adapter", "unknown", "-"], "").0, 2);
}
