//! Numbers, names, bodies and times as people, shells, libraries and venues write them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use trading_exporter::clock;
use trading_exporter::wire::time::rfc3339;

use crate::exporter::{Answer, Exporter, SOON};

const EVENTS: &str = "/api/v1/events";

fn exporter() -> Exporter {
    Exporter::start(&["--storage.mode=memory"])
}

fn post(exporter: &Exporter, events: &Value) -> Answer {
    exporter.post(EVENTS, &events.to_string())
}

/// The senders' time a number of seconds from now.
fn from_now(seconds: i64) -> String {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let now = clock::now();
    rfc3339(if seconds < 0 { now.minus(by) } else { now.plus(by) })
}

/// Sends bytes. Returns status and body.
fn send(exporter: &Exporter, kind: &str, encoding: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect_timeout(&exporter.address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, body: body.to_owned() }
}

/// The sum of a family of the exporter's own counters, over series with these labels.
fn sample(exporter: &Exporter, series: &str) -> f64 {
    let text = exporter.get("/metrics").body;
    let mut samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    samples.find(|(name, _)| *name == series).map_or(0.0, |(_, value)| value.parse().unwrap())
}

/// The value of a counter series.
fn count(exporter: &Exporter, series: &str) -> i64 {
    let value = sample(exporter, series);
    #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
    let count = value as i64;
    count
}

fn submitted(order: &str) -> String {
    format!(
        r#"{{"type":"order_submitted","account":"z","order_id":"{order}","symbol":"S","side":"buy","quantity":1}}"#
    )
}

#[test]
fn a_long_float_is_rounded_and_a_string_is_exact_or_rejected() {
    let exporter = exporter();
    let mut account = 0;
    let mut check = |number: &str, expect: Result<(&str, bool), ()>| {
        account += 1;
        let body = format!(
            r#"{{"type":"positions","account":"n{account}","source":"broker","positions":[{{"symbol":"S","quantity":1,"average_price":{number}}}]}}"#
        );
        let answer = exporter.post(EVENTS, &body);
        let json = answer.json();
        let Ok((price, is_rounded)) = expect else {
            assert_eq!(answer.status, 422, "{number}: {json}");
            return;
        };
        assert_eq!(answer.status, 200, "{number}: {json}");
        let rows = exporter.get(&format!("/api/v1/positions?account=n{account}")).json();
        let text = rows.to_string();
        assert!(text.contains(&format!(r#""broker_price":"{price}""#)), "{number}: {text}");
        assert_eq!(json["warnings"][0]["code"] == "rounded", is_rounded, "{number}: {json}");
    };
    check("1.0142037391099999e-05", Ok(("0.0000101420373911", true)));
    check("9.876543209876543e-06", Ok(("0.000009876543209877", true)));
    check("0.1234567890123456789", Ok(("0.123456789012345679", true)));
    check("5.0e-8", Ok(("0.00000005", false)));
    check("0.30000000000000004", Ok(("0.30000000000000004", false)));
    check("65000.100000000006", Ok(("65000.100000000006", false)));
    check("1e-18", Ok(("0.000000000000000001", false)));
    check("\"1.0142037391099999e-05\"", Err(()));
    check("\"-20000966.0227737993648251\"", Ok(("-20000966.0227737993648251", false)));
    check("\"0.1000000000000000000000000000000\"", Ok(("0.1", false)));
    check("1e-19", Err(()));
    check("1e-29", Err(()));
    check("1e400", Err(()));
    check("123456789012345678901234567890", Err(()));
    for text in
        ["NaN", "nan", "Infinity", "-inf", "1,000.50", "1.000,50", "１２", "٣", "−5", " 5", ""]
    {
        check(&format!("\"{text}\""), Err(()));
    }
    let rounded = r#"trading_exporter_ingest_warnings_total{code="rounded"}"#;
    assert!(sample(&exporter, rounded) >= 3.0, "{}", exporter.get("/metrics").body);
}

#[test]
fn lookalike_names_are_rejected() {
    let exporter = exporter();
    let check = |symbol: &str, status: u16| {
        let answer = post(
            &exporter,
            &json!({"type": "positions", "account": "u", "source": "broker", "complete": false,
                "positions": [{"symbol": symbol, "quantity": 1}]}),
        );
        assert_eq!(answer.status, status, "{symbol:?}: {}", answer.body);
    };
    for symbol in ["币安人生USDT", "🚀USDT", "caf\u{e9}", "BTC\u{2011}USDT", "A  B", "a{b=\"1\"}"]
    {
        check(symbol, 200);
    }
    for symbol in [
        "BTCUSDT ",
        " BTCUSDT",
        " ",
        "BTCUSDT\u{3000}",
        "BTCUSDT\u{200b}",
        "BTCUSDT\u{feff}",
        "BTC\u{ad}USDT",
        "BTC\u{180e}USDT",
        "BTC\u{3164}USDT",
        "\u{e0041}BTC",
        "BTC\u{fe0f}USDT",
        "BTC\u{34f}USDT",
        "BTC\u{202e}USDT",
        "BTC\u{85}USDT",
        "BTC\nUSDT",
    ] {
        check(symbol, 422);
    }
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let exporter = exporter();
    let bodies = [
        ("application/json", format!("\u{feff}{}", submitted("1"))),
        ("application/x-ndjson", format!("\u{feff}{}\r\n{}\n", submitted("2"), submitted("3"))),
    ];
    for (kind, body) in bodies {
        let answer = send(&exporter, kind, "identity", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[test]
fn a_compressed_body_of_several_members_is_accepted_whole_or_not_at_all() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 0).unwrap();
    let line = |order: &str| submitted(order) + "\n";
    let exporter = exporter();
    let check = |encoding: &str, pieces: &[Vec<u8>], accepted: Option<u64>| {
        let answer = send(&exporter, "application/x-ndjson", encoding, &pieces.concat());
        let json = answer.json();
        let found = (answer.status, json["accepted"].as_u64(), json["code"].as_str());
        let refused = (400, None, Some("invalid_encoding"));
        let expect = accepted.map_or(refused, |accepted| (200, Some(accepted), None));
        assert_eq!(found, expect, "{answer:?}");
    };
    check("gzip", &[gzip(&(line("g1") + &line("g2")))], Some(2));
    check("gzip", &[gzip(&line("g3")), gzip(&line("g4"))], Some(2));
    // A member may end anywhere, and may be empty.
    let (head, tail) = ("{\"type\":\"quote\",\"sym", "bol\":\"S\",\"price\":1}\n");
    check("gzip", &[gzip(head), gzip(""), gzip(tail)], Some(1));
    check("gzip", &[gzip(&line("g5")), line("g6").into_bytes()], None);
    check("gzip", &[gzip(&line("g7")), b"garbage".to_vec()], None);
    check("gzip", &[gzip(&line("g8")), vec![0]], None);
    let mut cut = gzip(&line("g9"));
    cut.truncate(cut.len() - 4);
    check("gzip", &[gzip(&line("g10")), cut], None);
    check("zstd", &[zstd(&line("z1")), zstd(&line("z2"))], Some(2));
    check("zstd", &[zstd(&line("z3")), line("z4").into_bytes()], None);
    let orders = exporter.get("/api/v1/orders?account=z&limit=100").body;
    for order in ["g1", "g2", "g3", "g4", "z1", "z2"] {
        assert!(orders.contains(&format!("\"{order}\"")), "{order} in {orders}");
    }
    for order in ["g5", "g6", "g7", "g8", "g9", "g10", "z3", "z4"] {
        assert!(!orders.contains(&format!("\"{order}\"")), "{order} in {orders}");
    }
    // The decompressed size of each member counts for the limit.
    let bomb = gzip(&" ".repeat(5 << 20));
    let answer = send(&exporter, "application/x-ndjson", "gzip", &[bomb.clone(), bomb].concat());
    assert_eq!(answer.json()["code"], "body_too_large");
}

/// A trade of an engine whose clock is wrong, and the broker's lists before and after it.
fn trade(wrong_by: i64, account: &str) -> Vec<Value> {
    vec![
        json!({"type": "order_submitted", "account": account, "order_id": "1", "symbol": "ES",
            "side": "buy", "quantity": 100, "expected_price": 50, "time": from_now(wrong_by - 10)}),
        json!({"type": "order_filled", "account": account, "order_id": "1", "fill_id": "1",
            "quantity": 100, "price": 50, "time": from_now(wrong_by - 9)}),
    ]
}

fn book(account: &str, source: &str, at: i64, quantity: i64) -> Value {
    let row = json!({"symbol": "ES", "quantity": quantity, "average_price": 50});
    let rows = if quantity == 0 { vec![] } else { vec![row] };
    json!({"type": "positions", "account": account, "source": source, "time": from_now(at),
        "positions": rows})
}

#[test]
fn a_fill_of_a_wrong_clock_halts_nobody() {
    let exporter = exporter();
    let [submission, fill] = trade(3_600, "a").try_into().unwrap();
    let events =
        json!([book("a", "broker", -120, 0), submission, fill, book("a", "broker", -5, 100)]);
    let answer = post(&exporter, &events).json();
    assert_eq!(answer["states"]["a"], "active", "{answer}");
    let codes: Vec<(Value, Value)> = answer["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| (warning["index"].clone(), warning["code"].clone()))
        .collect();
    let skew = || json!("clock_skew");
    assert_eq!(codes, [(json!(1), skew()), (json!(2), skew())], "{answer}");
    let skews = r#"trading_exporter_ingest_warnings_total{code="clock_skew"}"#;
    assert_eq!(count(&exporter, skews), 2);
    // Dated an hour later it would be in flight; here a later list includes it.
    post(&exporter, &book("a", "broker", 0, 100));
    let ledger = r#"trading_position_quantity{account="a",symbol="ES",book="ledger"}"#;
    assert_eq!(count(&exporter, ledger), 100);

    // The clock of another engine is hours behind: its report is late, and counts when a list includes it.
    let [submission, fill] = trade(-14_400, "b").try_into().unwrap();
    let events =
        json!([book("b", "broker", -120, 0), submission, fill, book("b", "broker", -5, 100)]);
    let answer = post(&exporter, &events).json();
    assert_eq!(answer["states"]["b"], "active", "{answer}");
    assert_eq!(answer["warnings"][0]["index"], 2, "{answer}");
    assert_eq!(answer["warnings"][0]["code"], "stale", "{answer}");
    let answer = post(&exporter, &book("b", "broker", 0, 100)).json();
    assert_eq!(answer["states"]["b"], "active", "{answer}");
    for account in ["a", "b"] {
        let drift = exporter.get(&format!("/api/v1/drift?account={account}")).body;
        let is_open = drift.contains("\"open\"") || drift.contains("\"unconfirmed\"");
        assert!(!is_open, "{account}: {drift}");
    }

    // Both lists include it, and agree.
    let [submission, fill] = trade(3_600, "d").try_into().unwrap();
    let lists = [book("d", "local", -6, 100), book("d", "broker", -5, 100)];
    let answer = post(&exporter, &json!([submission, fill, lists[0], lists[1]])).json();
    assert_eq!(answer["states"]["d"], "active", "{answer}");
    let ledger = r#"trading_position_quantity{account="d",symbol="ES",book="ledger"}"#;
    assert_eq!(count(&exporter, ledger), 100);

    for time in ["1989-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2300-01-01T00:00:00Z"] {
        let event = json!({"type": "quote", "symbol": "ES", "price": 1, "time": time});
        let answer = post(&exporter, &event);
        let code = answer.json()["rejected"][0]["code"].clone();
        assert_eq!((answer.status, code), (422, json!("invalid_time")), "{time}");
    }
}

/// The engine's times have milliseconds and the venue's only seconds, so a fill in the same second is
/// dated before its submission.
#[test]
fn times_truncated_to_seconds_are_no_clock_skew() {
    let exporter = exporter();
    let second = clock::now().as_nanos() / 1_000_000_000 - 100;
    let event = |kind: &str, order: &str, time: Value| json!({"type": kind, "account": "a", "order_id": order, "time": time});
    let submission = |order: &str| {
        let mut event = event("order_submitted", order, json!(format!("{second}.507")));
        event["symbol"] = json!("AVAX-USDT");
        event["side"] = json!("buy");
        event["quantity"] = json!("0.74");
        event
    };
    let fill = |order: &str, time: i64| {
        let mut event = event("order_filled", order, json!(time));
        event["quantity"] = json!("0.74");
        event["price"] = json!("26.33");
        event
    };
    let events = json!([
        submission("1"),
        event("order_accepted", "1", json!(second)),
        fill("1", second),
        submission("2"),
        fill("2", second + 1),
        // A second or more is clock skew.
        submission("3"),
        fill("3", second - 1),
    ]);
    assert_eq!(post(&exporter, &events).json()["accepted"], 7);
    let series = |name: &str| format!("trading_{name}{{account=\"a\"}}");
    let figure = |name: &str| sample(&exporter, &series(name));
    let counted = |name: &str| count(&exporter, &series(name));
    assert_eq!(counted("order_ack_duration_seconds_count"), 1);
    assert!(figure("order_ack_duration_seconds_sum").abs() < 1e-9);
    assert_eq!(counted("order_fill_duration_seconds_count"), 2);
    assert!((figure("order_fill_duration_seconds_sum") - 0.493).abs() < 1e-6);
    let anomalies = exporter.get("/api/v1/anomalies?account=a").body;
    assert_eq!(anomalies.matches("clock_skew").count(), 1, "{anomalies}");
}

#[test]
fn events_of_old_sessions_are_no_delays() {
    let exporter = exporter();
    let quote = |time: &str| json!({"type": "quote", "symbol": "ES", "price": 1, "time": time});
    let events = json!([quote("2024-02-29T12:00:00Z"), quote(&from_now(-60))]);
    assert_eq!(post(&exporter, &events).json()["accepted"], 2);
    post(&exporter, &quote("2024-02-29T12:00:01Z"));
    assert_eq!(count(&exporter, "trading_exporter_events_old_total"), 2);
    assert_eq!(count(&exporter, "trading_exporter_event_delay_seconds_count"), 1);
    assert!(sample(&exporter, "trading_exporter_event_delay_seconds_sum") < 120.0);
}

#[test]
fn two_names_of_one_symbol_are_merged_if_configured() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    let aliases = "symbols: {aliases: [{from: '*USDT', to: '$1/USDT', source: broker}]}\n";
    std::fs::write(&path, aliases).unwrap();
    let config = format!("--config.file={}", path.display());
    let exporter = Exporter::start(&["--storage.mode=memory", &config]);
    let book = |source: &str, symbol: &str, quantity: i64| {
        json!({"type": "positions", "source": source, "time": from_now(0),
            "positions": [{"symbol": symbol, "quantity": quantity, "average_price": 65_000}]})
    };
    let events = json!([book("local", "BTC/USDT", 2), book("broker", "BTCUSDT", 2)]);
    let answer = post(&exporter, &events).json();
    assert_eq!(answer["states"]["default"], "active", "{answer}");
    let quantity = |book: &str| {
        let labels = format!(r#"account="default",symbol="BTC/USDT",book="{book}""#);
        count(&exporter, &format!("trading_position_quantity{{{labels}}}"))
    };
    assert_eq!((quantity("local"), quantity("broker")), (2, 2));
    assert!(!exporter.get("/metrics").body.contains("BTCUSDT"));
    let again = post(&exporter, &book("broker", "BTCUSDT", 2)).json();
    assert_eq!(again["states"]["default"], "active", "{again}");
}
