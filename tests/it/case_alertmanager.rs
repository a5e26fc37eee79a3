//! Notifications as Alertmanager, Grafana and compatible senders really send them.

use serde_json::{Value, json};

use crate::exporter::{Answer, Exporter};

fn alert(account: &str, fingerprint: &str, action: &str) -> Value {
    json!({
        "status": "firing",
        "labels": {"alertname": "PositionDrift", "severity": "critical", "account": account, "action": action},
        "annotations": {"summary": "s"},
        "startsAt": "2026-11-22T14:30:00.113904445Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://p:9090/graph?g0.expr=x",
        "fingerprint": fingerprint,
    })
}

fn send(exporter: &Exporter, alerts: &[Value]) -> Answer {
    let body = json!({
        "receiver": "halt", "status": "firing", "alerts": alerts,
        "groupLabels": {"alertname": "PositionDrift"}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://am:9093", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0,
    });
    exporter.post("/api/v1/alertmanager", &body.to_string())
}

fn state(exporter: &Exporter, account: &str) -> Value {
    exporter.get(&format!("/api/v1/permit?account={account}")).json()["state"].clone()
}

fn seen(exporter: &Exporter, account: &str) {
    let beat = json!({"type": "heartbeat", "account": account, "component": "engine", "status": "healthy"});
    assert_eq!(exporter.post("/api/v1/events", &beat.to_string()).status, 200);
}

fn metric(exporter: &Exporter, series: &str) -> String {
    let text = exporter.get("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or("absent").to_owned()
}

#[test]
fn an_action_in_capitals_halts() {
    let exporter = Exporter::start(&[]);
    seen(&exporter, "d");
    assert_eq!(send(&exporter, &[alert("d", "1", "HALT")]).status, 200);
    assert_eq!(state(&exporter, "d"), "halted");
}

#[test]
fn an_unknown_action_is_counted_and_named() {
    let exporter = Exporter::start(&[]);
    let series = "trading_exporter_alertmanager_unknown_actions_total";
    assert_eq!(metric(&exporter, series), "0.0");
    let answer = send(&exporter, &[alert("d", "1", "stop"), alert("d", "2", "none")]);
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!((&answer["unknown_actions"], &answer["ignored"]), (&json!(["stop"]), &json!(1)));
    assert_eq!(metric(&exporter, series), "1.0");
    exporter.wait_for_log(&["unknown action", "stop"]);
    assert_eq!(state(&exporter, "d"), "active");
}

#[test]
fn grafanas_own_payload_halts() {
    let exporter = Exporter::start(&[]);
    seen(&exporter, "f");
    let mut alert = alert("f", "41427831fa75cd25", "halt");
    for (name, value) in [
        ("silenceURL", json!("http://g/s")),
        ("dashboardURL", json!("")),
        ("ruleUID", json!("cfj")),
        ("values", json!({"B": 6.705_084_355_469_54, "C": null})),
        ("valueString", json!("[ var=B labels={} value=6.7 ]")),
        ("orgId", json!(1)),
    ] {
        alert[name] = value;
    }
    let body = json!({
        "receiver": "halt", "status": "firing", "orgId": 1, "alerts": [alert], "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://g/", "version": "1",
        "groupKey": "{}/{}:{}", "truncatedAlerts": 0, "title": "[FIRING:1]", "state": "alerting",
        "message": "**Firing**",
    });
    assert_eq!(exporter.post("/api/v1/alertmanager", &body.to_string()).status, 200);
    let permit = exporter.get("/api/v1/permit?account=f").json();
    assert_eq!(permit["state"], "halted");
    assert_eq!(
        permit["causes"][0]["reason"],
        "PositionDrift (severity critical): s: [ var=B labels={} value=6.7 ]"
    );
}

#[test]
fn a_misspelt_account_is_halted_and_reported() {
    let exporter = Exporter::start(&[]);
    seen(&exporter, "i");
    let answer = send(&exporter, &[alert("I", "1", "halt")]).json();
    assert_eq!(answer["halts"][0]["account"], "I");
    assert_eq!(answer["unknown_accounts"], json!(["I"]));
    assert_eq!((state(&exporter, "I"), state(&exporter, "i")), (json!("halted"), json!("active")));
    let anomaly = exporter.get("/api/v1/anomalies?account=I").json()[0].clone();
    assert_eq!(
        (&anomaly["figure"], &anomaly["severity"]),
        (&json!("halt_of_unknown_account"), &json!("CRITICAL"))
    );
    let series = "trading_anomaly{account=\"I\",symbol=\"\",figure=\"halt_of_unknown_account\"}";
    assert_eq!(metric(&exporter, series), "2.0");
    // White space around a name is ignored.
    let answer = send(&exporter, &[alert(" i ", "2", "halt")]).json();
    assert_eq!(
        (&answer["halts"][0]["account"], &answer["unknown_accounts"]),
        (&json!("i"), &json!([]))
    );
    assert_eq!(state(&exporter, "j"), "active");
}

#[test]
fn the_last_of_many_alerts_is_processed() {
    let exporter = Exporter::start(&[]);
    seen(&exporter, "paper");
    let mut alerts: Vec<Value> =
        (0..2_000).map(|n| alert("paper", &n.to_string(), "none")).collect();
    alerts[1_500] = alert("paper", "halting", "halt");
    let answer = send(&exporter, &alerts).json();
    assert_eq!(answer["halts"].as_array().map(Vec::len), Some(1));
    assert_eq!((&answer["truncated"], &answer["ignored"]), (&json!(0), &json!(1_999)));
    assert_eq!(
        (state(&exporter, "paper"), state(&exporter, "x")),
        (json!("halted"), json!("active"))
    );
}
