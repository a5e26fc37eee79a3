//! Alertmanager notifications: each halts once and releases nothing.

use serde_json::{Value, json};

use crate::exporter::{Answer, Client, Exporter};

fn alert(fingerprint: &str, labels: &Value) -> Value {
    json!({
        "status": "firing",
        "labels": labels,
        "annotations": { "summary": "fill ratio 0.4 of 120 orders" },
        "startsAt": "2026-11-22T14:30:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": fingerprint,
    })
}

fn notification(alerts: &[Value]) -> Value {
    json!({
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "halt",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": alerts,
    })
}

fn send(exporter: &Exporter, body: &Value) -> Answer {
    exporter.post("/api/v1/alertmanager", &body.to_string())
}

fn state(exporter: &Exporter, account: &str) -> Value {
    exporter.get(&format!("/api/v1/permit?account={account}")).json()["state"].clone()
}

fn metric(exporter: &Exporter, series: &str) -> Option<String> {
    let text = exporter.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(str::to_owned)
}

#[test]
fn an_alert_halts_its_account_once() {
    let exporter = Exporter::start(&[]);
    let labels = json!({"alertname": "FillRatioLow", "account": "paper", "action": "halt"});
    let body = notification(&[alert("f1", &labels), alert("f2", &json!({"alertname": "Other"}))]);
    let answer = send(&exporter, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!((&answer["halts"][0]["account"], &answer["ignored"]), (&json!("paper"), &json!(1)));
    let permit = exporter.get("/api/v1/permit?account=paper").json();
    assert_eq!(permit["state"], "halted");
    assert_eq!(permit["causes"][0]["kind"], "alertmanager");
    assert_eq!(permit["causes"][0]["subject"], "f1");
    assert_eq!(permit["causes"][0]["reason"], "FillRatioLow: fill ratio 0.4 of 120 orders");
    assert_eq!(state(&exporter, "live"), "active");

    let again = send(&exporter, &body).json();
    assert_eq!((&again["halts"], &again["duplicates"]), (&json!([]), &json!(1)));

    // A resolved alert releases nothing. After a person's release, the same alert sent again does not
    // halt.
    let mut resolved = body.clone();
    resolved["status"] = json!("resolved");
    resolved["alerts"][0]["status"] = json!("resolved");
    assert_eq!(send(&exporter, &resolved).json()["resolved"], 1);
    assert_eq!(state(&exporter, "paper"), "halted");
    let release = json!({"account": "paper", "epoch": 1, "reason": "checked", "actor": "ann"});
    assert_eq!(exporter.post("/api/v1/halts/release", &release.to_string()).status, 200);
    assert_eq!(send(&exporter, &body).json()["duplicates"], 1);
    assert_eq!(state(&exporter, "paper"), "active");

    // It fires again after it resolved: that is a new alert.
    let mut anew = body;
    anew["alerts"][0]["startsAt"] = json!("2026-11-22T15:00:00Z");
    assert_eq!(send(&exporter, &anew).json()["halts"][0]["epoch"], 3);
    assert_eq!(state(&exporter, "paper"), "halted");
    let audit = exporter.get("/api/v1/audit?account=paper").json();
    let actions: Vec<_> = audit.as_array().unwrap().iter().map(|line| &line["action"]).collect();
    assert_eq!(actions, ["halt", "release", "halt"]);

    for (outcome, count) in
        [("set", "2.0"), ("duplicate", "2.0"), ("nothing", "1.0"), ("refused", "0.0")]
    {
        let series =
            format!("trading_exporter_alertmanager_webhooks_total{{outcome=\"{outcome}\"}}");
        assert_eq!(metric(&exporter, &series).as_deref(), Some(count), "{outcome}");
    }
}

#[test]
fn an_alert_without_a_known_account_halts_all() {
    let exporter = Exporter::start(&[]);
    let labels = json!({"alertname": "FillRatioLow", "account": "paper", "action": "reduce"});
    let mut body = notification(&[alert("f1", &labels)]);
    body["truncatedAlerts"] = json!(7);
    let answer = send(&exporter, &body).json();
    assert_eq!(answer["halts"][0]["account"], "paper");
    assert_eq!(answer["halts"][1]["account"], "*");
    assert_eq!(state(&exporter, "live"), "reducing");
}

#[test]
fn the_watchdog_alert_updates_its_time() {
    let exporter = Exporter::start(&[]);
    let series = "trading_exporter_alertmanager_last_watchdog_timestamp_seconds";
    assert_eq!(metric(&exporter, series), None);
    let body = notification(&[alert("w", &json!({"alertname": "Watchdog"}))]);
    assert_eq!(send(&exporter, &body).json()["watchdog"], true);
    let time: f64 = metric(&exporter, series).unwrap().parse().unwrap();
    let age = trading_exporter::clock::now().as_seconds() - time;
    assert!((0.0..60.0).contains(&age), "{age}");
    assert_eq!(state(&exporter, "paper"), "active");
}

#[test]
fn the_token_needs_the_scope_halt_and_the_account() {
    let directory = tempfile::tempdir().unwrap();
    let hash = |token: &str| crate::exporter::run(&["hash-token"], token).1.trim().to_owned();
    let path = directory.path().join("exporter.yml");
    let text = format!(
        "tokens:\n  - {{name: am, sha256: {}, scopes: [halt, read], accounts: [\"p*\"]}}\n  \
         - {{name: engine, sha256: {}, scopes: [ingest, read]}}\n",
        hash("alertmanager-token"),
        hash("engine-token-0001"),
    );
    std::fs::write(&path, text).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
    let of = |account: &str| {
        let labels = json!({"alertname": "X", "account": account, "action": "halt"});
        alert(account, &labels)
    };
    let post = |token: &str, body: &Value| {
        let mut client = Client::connect(exporter.address).with_token(token);
        client.send("POST", "/api/v1/alertmanager", &body.to_string())
    };
    assert_eq!(send(&exporter, &notification(&[])).status, 401);
    assert_eq!(post("engine-token-0001", &notification(&[of("paper")])).status, 403);
    // Alerts for the token's own account still halt.
    let answer = post("alertmanager-token", &notification(&[of("live"), of("paper")]));
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("forbidden")));
    let mut reader = Client::connect(exporter.address).with_token("engine-token-0001");
    let mut state = |account: &str| {
        let answer = reader.send("GET", &format!("/api/v1/permit?account={account}"), "");
        answer.json()["state"].clone()
    };
    assert_eq!((state("paper"), state("live")), (json!("halted"), json!("active")));
    assert_eq!(post("alertmanager-token", &notification(&[])).status, 200);
    let mut other = notification(&[]);
    other["version"] = json!("5");
    assert_eq!(post("alertmanager-token", &other).status, 400);
}
