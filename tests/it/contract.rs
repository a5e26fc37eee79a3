//! Answers compared with the published OpenAPI document, and with the known books.

use serde_json::{Value, json};

use crate::exporter::Exporter;

/// Each answer has the described shape, list or object, with exactly the described fields.
#[test]
fn answers_are_those_of_the_document() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    exporter.post("/api/v1/events", r#"{"type":"heartbeat","account":"a","component":"broker"}"#);
    exporter.post("/api/v1/halts", r#"{"account":"a","reason":"test","actor":"jo"}"#);
    let document = exporter.get("/api/v1/openapi.json").json();
    let properties = |name: &str| {
        let schema = &document["components"]["schemas"][name];
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        properties.into_iter().map(|(name, _)| name).collect::<Vec<String>>()
    };
    let check = |answer: &Value, name: &str| {
        let mut fields: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        fields.sort_unstable();
        let mut described = properties(name);
        described.sort_unstable();
        assert_eq!(fields, described, "{name}");
    };
    let schema_of = |path: &str| {
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
        let schema = &content["application/json"]["schema"];
        let reference = schema.get("$ref").or_else(|| schema["items"].get("$ref"));
        let reference = reference.and_then(Value::as_str).unwrap_or_default().to_owned();
        reference.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let health = exporter.get("/api/v1/health?account=a").json();
    check(&health, &schema_of("/api/v1/health"));
    check(&health["components"][0], "Component");
    let permit = exporter.get("/api/v1/permit?account=a").json();
    check(&permit, &schema_of("/api/v1/permit"));
    check(&permit["causes"][0], "Cause");
    let history = exporter.get("/api/v1/health/broker/history").json();
    check(&history[0], &schema_of("/api/v1/health/{component}/history"));
    check(&exporter.get("/api/v1/accounts").json()[0], &schema_of("/api/v1/accounts"));
    check(&exporter.get("/api/v1/audit").json()[0], &schema_of("/api/v1/audit"));
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert_eq!(operation["security"], json!([]), "{path}: without tokens none is needed");
        }
    }
}

/// Paths and queries that are not UTF-8 are answered with a problem document.
#[test]
fn paths_and_queries_that_are_not_utf8_are_problems() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let paths = [
        "/api/v1/orders/%ff/1",
        "/api/v1/orders/a/%ff",
        "/api/v1/health/%ff/history",
        "/api/v1/execution?account=%ff",
        "/api/v1/orders/a/%00",
    ];
    for path in paths {
        let answer = exporter.get(path);
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("invalid_parameter"))
        );
    }
}

/// A partial snapshot renews the age of its own symbols only.
#[test]
fn a_book_is_as_old_as_the_last_snapshot_of_the_symbol() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let snapshot = |seconds: u32, complete: bool, symbols: &[&str]| {
        let rows: Vec<Value> =
            symbols.iter().map(|symbol| json!({"symbol": symbol, "quantity": 1})).collect();
        let time = format!("2026-01-01T00:00:{seconds:02}Z");
        let event = json!({"type": "positions", "account": "a", "source": "broker", "time": time,
            "complete": complete, "positions": rows});
        assert_eq!(exporter.post("/api/v1/events", &event.to_string()).status, 200);
    };
    snapshot(10, true, &["X", "Y"]);
    snapshot(50, false, &["X"]);
    let rows = exporter.get("/api/v1/positions?account=a").json();
    let times: Vec<&str> =
        rows.as_array().unwrap().iter().filter_map(|r| r["broker_snapshot_at"].as_str()).collect();
    assert_eq!(times, ["2026-01-01T00:00:50Z", "2026-01-01T00:00:10Z"]);
    let ages: Vec<f64> =
        rows.as_array().unwrap().iter().filter_map(|r| r["broker_age_seconds"].as_f64()).collect();
    assert!((ages[1] - ages[0] - 40.0).abs() < 0.001, "{ages:?}");
    assert!(rows.as_array().unwrap().iter().all(|r| r["local_age_seconds"].is_null()));
}

/// Orders counted as open are listed as open.
#[test]
fn an_accepted_order_is_open_before_its_submission_arrives() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let order = |kind: &str, more: &str| {
        format!(
            r#"{{"type":"{kind}","account":"a","order_id":"O","symbol":"S","side":"buy"{more}}}"#
        )
    };
    let check = |event: &str, open: u64, status: &str| {
        assert_eq!(exporter.post("/api/v1/events", event).status, 200);
        let execution = exporter.get("/api/v1/execution?account=a").json();
        assert_eq!(execution["counters"]["open"], open, "{event}");
        let listed = exporter.get(&format!("/api/v1/orders?account=a&status={status}")).json();
        assert_eq!(listed["orders"][0]["order_id"], "O", "{event}");
    };
    check(&order("order_accepted", ""), 1, "open");
    check(&order("order_filled", r#","quantity":1,"price":1,"fill_id":"F""#), 0, "unknown");
    check(&order("fill_busted", r#","fill_id":"F""#), 0, "unknown");
    check(&order("order_submitted", r#","quantity":2"#), 1, "open");
}

#[test]
fn a_cause_says_for_which_account_it_is_released() {
    let exporter = Exporter::start(&[]);
    for account in ["*", "paper"] {
        let halt = json!({"account": account, "state": "halted", "actor": "jo", "reason": "why"});
        assert_eq!(exporter.post("/api/v1/halts", &halt.to_string()).status, 201);
    }
    let causes = exporter.get("/api/v1/permit?account=paper").json()["causes"].clone();
    assert_eq!((&causes[0]["account"], &causes[1]["account"]), (&json!("*"), &json!("paper")));
    let common = exporter.get("/api/v1/permit?account=*").json()["causes"].clone();
    assert_eq!((&common[0]["account"], &common[1]), (&json!("*"), &json!(null)));
}
