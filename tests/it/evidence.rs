//! Missing evidence over HTTP: books that never arrived, silent engines, silent components, failed
//! fetches, and two reporters of one component.

use std::fs;

use serde_json::{Value, json};
use trading_exporter::clock::monotonic;

use crate::exporter::{Answer, Client, Exporter, SOON, run};

/// An exporter with this configuration, and its directory.
fn start(config: &str) -> (tempfile::TempDir, Exporter) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    fs::write(&path, config).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
    (directory, exporter)
}

/// Repeats a request until the answer is as expected.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = monotonic() + SOON;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(monotonic() < deadline, "{what}");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

fn positions(source: &str) -> Value {
    json!({"type": "positions", "account": "paper", "source": source, "positions": []})
}

fn metric(exporter: &Exporter, series: &str) -> String {
    let text = exporter.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("{series}\n{text}")).trim().to_owned()
}

fn permit(exporter: &Exporter) -> Value {
    exporter.get("/api/v1/permit?account=paper").json()
}

fn missing_kinds(exporter: &Exporter) -> Vec<String> {
    let health = exporter.get("/api/v1/health?account=paper").json();
    let kinds = health["missing_evidence"].as_array().unwrap().iter();
    kinds.map(|missing| missing["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_broker_without_positions_is_detected_and_restricts_if_configured() {
    let (_directory, exporter) =
        start("drift: {stale_after: 1s}\nmissing_evidence: {book_never_came: reduce}\n");
    let both = json!([
        positions("local"),
        {"type": "positions", "account": "paper", "source": "broker", "status": "failed",
            "error": "session expired"},
    ]);
    assert_eq!(exporter.post("/api/v1/events", &both.to_string()).status, 200);
    let permit = wait_for("the account is restricted", || {
        // The local side keeps sending, so its book is never old.
        exporter.post("/api/v1/events", &positions("local").to_string());
        Some(permit(&exporter)).filter(|permit| permit["state"] == "reducing")
    });
    let cause = &permit["causes"][0];
    assert_eq!(
        (&cause["kind"], &cause["subject"]),
        (&json!("missing_evidence"), &json!("broker_book_never_came"))
    );

    assert!(missing_kinds(&exporter).contains(&"broker_book_never_came".to_owned()));
    let health = exporter.get("/api/v1/health?account=paper").json();
    let missing = &health["missing_evidence"][0];
    assert_eq!((&missing["account"], &missing["response"]), (&json!("paper"), &json!("reduce")));
    let broker = &health["books"][1];
    assert_eq!((&broker["source"], &broker["snapshot_at"]), (&json!("broker"), &Value::Null));
    assert_eq!(broker["fetch_failures_total"], 1);
    assert_eq!(broker["last_error"], "session expired");

    let account = r#"account="paper""#;
    let never_came =
        format!("trading_missing_evidence{{{account},kind=\"broker_book_never_came\"}}");
    assert_eq!(metric(&exporter, &never_came), "1.0");
    assert_eq!(metric(&exporter, &format!("trading_position_drift_stale{{{account}}}")), "1.0");
    let failures = format!("trading_position_fetch_failures_total{{{account},book=\"broker\"}}");
    assert_eq!(metric(&exporter, &failures), "1.0");
}

#[test]
fn an_engine_without_events_is_silent() {
    let (_directory, exporter) =
        start("missing_evidence: {engine_silent_after: 1s, engine_silent: halt}\n");
    let beat = json!({"type": "heartbeat", "account": "paper", "component": "engine"});
    exporter.post("/api/v1/events", &beat.to_string());
    let permit = wait_for("the account is halted", || {
        // Data from the broker's side does not count as the engine's.
        exporter.post("/api/v1/events", &positions("broker").to_string());
        Some(permit(&exporter)).filter(|permit| permit["state"] == "halted")
    });
    assert_eq!(permit["causes"][0]["subject"], "engine_silent");
    assert!(missing_kinds(&exporter).contains(&"engine_silent".to_owned()));
    exporter.post("/api/v1/events", &beat.to_string());
    assert_eq!(self::permit(&exporter)["state"], "halted", "it latches");
}

#[test]
fn an_unhealthy_component_does_not_improve_by_falling_silent() {
    let (_directory, exporter) = start("health: {silent_min: 0s, halt_on_unhealthy: [engine]}\n");
    let beat = |component: &str, status: &str| {
        json!({"type": "heartbeat", "account": "paper", "component": component, "status": status,
            "interval_seconds": 0.1})
    };
    let both = json!([beat("broker", "unhealthy"), beat("engine", "healthy")]);
    exporter.post("/api/v1/events", &both.to_string());
    let of = |name: &str, component: &str| {
        format!("{name}{{account=\"paper\",component=\"{component}\"}}")
    };
    wait_for("the broker is silent", || {
        let silent = metric(&exporter, &of("trading_component_silent", "broker"));
        (silent == "1.0").then_some(())
    });
    assert_eq!(metric(&exporter, &of("trading_component_health", "broker")), "3.0");
    assert_eq!(metric(&exporter, "trading_system_health{account=\"paper\"}"), "3.0");
    let permit = wait_for("the silent engine halts", || {
        Some(permit(&exporter)).filter(|permit| permit["state"] == "halted")
    });
    assert_eq!(permit["causes"][0]["subject"], "engine");
    assert_eq!(metric(&exporter, &of("trading_component_health", "engine")), "3.0");
    let history = exporter.get("/api/v1/health/engine/history?account=paper").json();
    let states: Vec<&str> =
        history.as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["healthy", "unknown", "unhealthy"]);
}

#[test]
fn the_engine_cannot_overrule_the_broker_s_token() {
    let hash = |token: &str| run(&["hash-token"], token).1.trim().to_owned();
    let (engine, broker) = ("engine-token-0001", "broker-token-0001");
    let (_directory, exporter) = start(&format!(
        "tokens:\n  - {{name: engine, sha256: {}, scopes: [ingest, read]}}\n  \
         - {{name: broker, sha256: {}, scopes: [\"ingest:broker\"]}}\n",
        hash(engine),
        hash(broker),
    ));
    let send = |token: &str, method: &str, path: &str, body: &str| -> Answer {
        Client::connect(exporter.address).with_token(token).send(method, path, body)
    };
    let beat = |token: &str, status: &str, source: Option<&str>| {
        let mut beat = json!({"type": "heartbeat", "account": "paper", "component": "broker", "status": status});
        if let Some(source) = source {
            beat["source"] = source.into();
        }
        send(token, "POST", "/api/v1/events", &beat.to_string()).status
    };
    let component =
        || send(engine, "GET", "/api/v1/health?account=paper", "").json()["components"][0].clone();
    assert_eq!(beat(broker, "unhealthy", None), 200);
    for _ in 0..3 {
        assert_eq!(beat(engine, "healthy", None), 200);
    }
    let found = component();
    assert_eq!(found["status"], "unhealthy");
    let witnesses: Vec<(&str, &str)> = found["witnesses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (w["source"].as_str().unwrap(), w["status"].as_str().unwrap()))
        .collect();
    assert_eq!(witnesses, [("local", "healthy"), ("broker", "unhealthy")]);
    // A token cannot report for the other side.
    assert_eq!(beat(engine, "healthy", Some("broker")), 403);
    assert_eq!(beat(broker, "healthy", Some("local")), 403);
    assert_eq!(component()["status"], "unhealthy");
    for _ in 0..2 {
        assert_eq!(beat(broker, "healthy", Some("broker")), 200);
    }
    assert_eq!(component()["status"], "healthy");
}

#[test]
fn a_removed_probe_is_not_silent() {
    let probe = "health: {silent_min: 0s}\nprobes:\n  - component: memory\n    interval: 100ms\n    \
                 memory: {available_ratio_min: 0}\n";
    let (directory, exporter) = start(probe);
    let names = || {
        let health = exporter.get("/api/v1/health").json();
        let components = health["components"].as_array().unwrap().iter();
        components.map(|c| c["component"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_for("the probe reports", || (names() == ["memory"]).then_some(()));
    fs::write(directory.path().join("exporter.yml"), "health: {silent_min: 0s}\n").unwrap();
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    wait_for("the component is retired", || names().is_empty().then_some(()));
}
