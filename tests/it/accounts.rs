//! Unknown accounts, and warnings in the answers to accepted events.

use std::fs;

use serde_json::{Value, json};

use crate::exporter::Exporter;

/// Paths of reads of one account.
const READS: [&str; 10] = [
    "/api/v1/execution?",
    "/api/v1/orders?",
    "/api/v1/anomalies?",
    "/api/v1/positions?",
    "/api/v1/drift?",
    "/api/v1/drift?state=open&",
    "/api/v1/drift/history?",
    "/api/v1/health?",
    "/api/v1/health/engine/history?",
    "/api/v1/audit?",
];

/// An exporter with this configuration, and its directory.
fn start(config: &str) -> (tempfile::TempDir, Exporter) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    fs::write(&path, config).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
    (directory, exporter)
}

fn heartbeat(account: &str) -> Value {
    json!({"type": "heartbeat", "account": account, "component": "engine"})
}

fn codes(answer: &Value) -> Vec<(u64, &str)> {
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    let code = |w: &'_ Value| w["index"].as_u64().unwrap();
    warnings.map(|w| (code(w), w["code"].as_str().unwrap())).collect()
}

#[test]
fn every_read_of_an_unknown_account_is_rejected_alike() {
    let exporter = Exporter::start(&[]);
    for path in READS {
        let answer = exporter.get(&format!("{path}account=papr"));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &json!("unknown_account")),
            "{path}"
        );
        assert!(answer.body.contains("papr"), "{path}: {}", answer.body);
    }
    let permit = exporter.get("/api/v1/permit?account=papr").json();
    assert_eq!((&permit["known"], &permit["state"]), (&json!(false), &json!("active")));
    assert_eq!(exporter.get("/api/v1/permit?account=*").json()["known"], true);
    // A halt does not make an account known. The permit of a misspelt account can be read, and warns.
    let halt = json!({"account": "papr", "state": "halted", "reason": "test", "actor": "op"});
    assert_eq!(exporter.post("/api/v1/halts", &halt.to_string()).status, 201);
    let permit = exporter.get("/api/v1/permit?account=papr").json();
    assert_eq!((&permit["known"], &permit["state"]), (&json!(false), &json!("halted")));
    assert_eq!(exporter.get("/api/v1/drift?account=papr").status, 200);
    let taken = exporter.post("/api/v1/events", &heartbeat("papr").to_string());
    assert_eq!((taken.status, taken.json().get("warnings")), (200, None));
    assert_eq!(exporter.get("/api/v1/permit?account=papr").json()["known"], true);
    for path in READS {
        assert_eq!(exporter.get(&format!("{path}account=papr")).status, 200, "{path}");
    }
}

#[test]
fn configured_accounts_are_known_and_others_are_reported() {
    let (_directory, exporter) = start("accounts: [{account: live}]\n");
    assert_eq!(exporter.get("/api/v1/permit?account=live").json()["known"], true);
    assert_eq!(exporter.get("/api/v1/drift?account=live").body, "[]");
    assert_eq!(exporter.get("/api/v1/execution?account=live").status, 200);
    let body = json!([heartbeat("live"), heartbeat("lvie"), heartbeat("lvie"), heartbeat("live")]);
    let answer = exporter.post("/api/v1/events", &body.to_string()).json();
    assert_eq!(answer["accepted"], 4);
    assert_eq!(codes(&answer), [(1, "unknown_account")]);
    let answer = exporter.post("/api/v1/events", &heartbeat("lvie").to_string()).json();
    assert_eq!(codes(&answer), []);
}

#[test]
fn strict_accounts_reject_unknown_accounts_everywhere() {
    let (_directory, exporter) = start("accounts: [{account: live}]\nstrict_accounts: true\n");
    let body = json!([heartbeat("live"), heartbeat("papr")]);
    let answer = exporter.post("/api/v1/events", &body.to_string());
    assert_eq!(answer.status, 207);
    let refused = &answer.json()["rejected"][0];
    assert_eq!((&refused["index"], &refused["code"]), (&json!(1), &json!("unknown_account")));
    let halt = json!({"account": "papr", "state": "halted", "reason": "test", "actor": "op"});
    assert_eq!(exporter.post("/api/v1/halts", &halt.to_string()).status, 404);
    for path in READS.iter().chain(&["/api/v1/permit?", "/api/v1/stream?"]) {
        let answer = exporter.get(&format!("{path}account=papr"));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &json!("unknown_account")),
            "{path}"
        );
    }
    assert_eq!(exporter.get("/api/v1/permit?account=live").json()["known"], true);
}

#[test]
fn warnings_are_in_the_answer() {
    let (_directory, exporter) = start("symbols: {max: 1}\n");
    let positions = |time: Value, rows: Value| json!({"type": "positions", "source": "local", "time": time, "positions": rows});
    let body = json!([
        positions(json!("2020-01-01T00:00:00Z"), json!([])),
        heartbeat("default"),
        {"type": "heartbeat", "component": "engine", "time": "2199-01-01T00:00:00Z"},
        {"type": "quote", "symbol": "A", "price": 1},
        {"type": "quote", "symbol": "B", "price": 1},
        positions(Value::Null, json!([{"symbol": "A", "quantity": 1}, {"symbol": "C", "quantity": 1}])),
        {"type": "quote", "symbol": "A", "price": 0.5, "bid": "x"},
    ]);
    let answer = exporter.post("/api/v1/events", &body.to_string());
    assert_eq!(answer.status, 207);
    let answer = answer.json();
    let expected = [(0, "stale"), (2, "clock_skew"), (4, "not_monitored"), (5, "not_monitored")];
    assert_eq!(codes(&answer), expected, "{answer}");
    assert_eq!(answer["states"]["default"], "reducing");
    assert!(answer["warnings"][2]["message"].as_str().unwrap().contains("symbols.max"));
    let permit = exporter.get("/api/v1/permit").json();
    assert_eq!(permit["causes"][0]["kind"], "not_monitored");
    let metrics = exporter.get("/metrics").body;
    for line in [
        "trading_not_monitored_total{account=\"default\"} 2.0",
        "trading_exporter_ingest_warnings_total{code=\"not_monitored\"} 2.0",
        "trading_exporter_ingest_warnings_total{code=\"rounded\"} 0.0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn the_cardinality_shows_exposed_and_folded_series() {
    let (_directory, exporter) = start("series: {max: 1500}\n");
    let quotes = |account: &str, count: usize| -> Vec<Value> {
        let quote =
            |n| json!({"type": "quote", "account": account, "symbol": format!("S{n}"), "price": 1});
        (0..count).map(quote).collect()
    };
    let body = json!([quotes("large", 100), quotes("small", 3)].concat());
    assert_eq!(exporter.post("/api/v1/events", &body.to_string()).status, 200);
    let metrics = exporter.get("/metrics").body;
    let gauge = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap().trim_end_matches(".0").to_owned()
    };
    let answer = exporter.get("/api/v1/status/cardinality").json();
    assert_eq!(answer["series"].to_string(), gauge("trading_exporter_series"));
    assert!(answer["series"].as_u64().unwrap() <= 1_500);
    let exposed = metrics.lines().filter(|line| !line.starts_with('#')).count();
    assert!(exposed <= 1_500, "{exposed}: the exporter's own series count, too");
    assert_eq!(answer["series_max"].to_string(), gauge("trading_exporter_series_limit"));
    let [large, small] = [&answer["accounts"][0], &answer["accounts"][1]];
    assert_eq!((&large["account"], &large["symbols"]), (&json!("large"), &json!(100)));
    let folded = large["symbols_folded"].as_u64().unwrap();
    assert!(folded > 50, "{large}");
    assert_eq!(large["folded"].as_array().unwrap().len() as u64, folded);
    assert_eq!(large["folded"].as_array().unwrap().last(), Some(&json!("S99")));
    assert_eq!((&small["symbols_folded"], &small["folded"]), (&json!(0), &json!([])));
    assert_eq!(answer["folded"], large["symbols_folded"]);
    assert_eq!(small["families"]["trading_fills_total"], 3);
    let shown = 100 - folded + 1;
    assert_eq!(large["families"]["trading_fills_total"], shown);
    assert_eq!(answer["families"]["trading_fills_total"], shown + 3);
}
