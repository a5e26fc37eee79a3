//! Releases, as the permit describes them, and their audit trail.

use serde_json::{Value, json};

use crate::exporter::{Client, Exporter, run};

const BOOKS: &str = r#"[
    {"type":"positions","account":"paper","source":"local","positions":[{"symbol":"AAPL","quantity":100,"average_price":187,"market_price":187}]},
    {"type":"positions","account":"paper","source":"broker","positions":[{"symbol":"AAPL","quantity":60,"average_price":187,"market_price":187}]}
]"#;

fn halt(exporter: &Exporter, account: &str) {
    let body = json!({"account": account, "state": "halted", "actor": "jo", "reason": "incident"});
    assert_eq!(exporter.post("/api/v1/halts", &body.to_string()).status, 201);
}

fn permit(exporter: &Exporter, account: &str) -> Value {
    exporter.get(&format!("/api/v1/permit?account={account}")).json()
}

#[test]
fn each_cause_in_the_permit_shows_how_to_release_it() {
    let exporter = Exporter::start(&[]);
    let beat = r#"{"type":"heartbeat","account":"paper","component":"engine","status":"healthy"}"#;
    exporter.post("/api/v1/events", beat);
    for account in ["paper", "paper", "paper", "*", "*"] {
        halt(&exporter, account);
    }
    let epochs = |permit: &Value| {
        let causes = permit["causes"].as_array().unwrap();
        let of = |cause: &Value| format!("{}@{}", cause["account"], cause["epoch"]);
        causes.iter().map(of).collect::<Vec<_>>()
    };
    let before = permit(&exporter, "paper");
    assert_eq!(before["epoch"], 5);
    let (own, common) = ("\"paper\"@5", "\"*\"@2");
    assert_eq!(epochs(&before), [own, own, own, common, common]);

    // Two mistakes: releasing `*` with the epoch of an account, and releasing an account without own
    // causes. Both errors say what to do instead.
    let release = |account: &str, epoch: &Value| {
        let body = json!({"account": account, "epoch": epoch, "actor": "jo", "reason": "over"});
        exporter.post("/api/v1/halts/release", &body.to_string())
    };
    let stale = release("*", &before["epoch"]);
    assert_eq!((stale.status, &stale.json()["code"]), (409, &json!("stale_epoch")));
    assert_eq!(stale.json()["epochs"], json!({"*": 2}));
    let stale = release("paper", &json!(1)).json();
    assert_eq!(stale["epochs"], json!({"paper": 5, "*": 2}));
    let nothing = release("other", &json!(2)).json();
    assert_eq!(nothing["code"], "unknown_account");

    // The bodies in the permit work. Read each again, because a release makes the others stale.
    for left in (0..5).rev() {
        let body = permit(&exporter, "paper")["causes"][0]["release"].clone();
        let answer = exporter.post("/api/v1/halts/release", &body.to_string());
        assert_eq!(answer.status, 200, "{body} {answer:?}");
        assert_eq!(permit(&exporter, "paper")["causes"].as_array().unwrap().len(), left);
    }
    assert_eq!(permit(&exporter, "paper")["state"], "active");
    let trail = exporter.get("/api/v1/audit").json();
    let last = trail.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["action"], &last["actor"], &last["token"]),
        (&json!("release"), &json!("unnamed"), &json!("none"))
    );

    // If all causes are on `*`, the account has nothing to release, and the answer says so.
    halt(&exporter, "*");
    let epoch = permit(&exporter, "paper")["epoch"].clone();
    let nothing = release("paper", &epoch).json();
    assert_eq!(nothing["code"], "nothing_to_release");
    assert!(nothing["detail"].as_str().unwrap().contains("are set on `*`"), "{nothing}");
    assert_eq!(release("*", &nothing["epochs"]["*"]).status, 200);
}

#[test]
fn an_open_drift_is_only_released_by_force() {
    let exporter = Exporter::start(&[]);
    exporter.post("/api/v1/events", BOOKS);
    let mut body = permit(&exporter, "paper")["causes"][0]["release"].clone();
    let answer = exporter.post("/api/v1/halts/release", &body.to_string());
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("cause_open")));
    body["force"] = json!(true);
    assert_eq!(exporter.post("/api/v1/halts/release", &body.to_string()).status, 200);
}

const ENGINE: &str = "engine-token-for-tests";
const OPERATOR: &str = "operator-token-for-tests";

/// A configuration with tokens, and its directory.
fn with_tokens(more: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let hash = |token: &str| run(&["hash-token"], token).1.trim().to_owned();
    let text = format!(
        "tokens:\n  - {{name: engine-b, sha256: {}, scopes: [ingest], accounts: [b]}}\n  - {{name: \
         desk, sha256: {}, scopes: [read, halt, release]}}\n{more}",
        hash(ENGINE),
        hash(OPERATOR),
    );
    let path = directory.path().join("exporter.yml");
    std::fs::write(&path, text).unwrap();
    let argument = format!("--config.file={}", path.display());
    (directory, argument)
}

fn as_operator(exporter: &Exporter) -> Client {
    Client::connect(exporter.address).with_token(OPERATOR)
}

fn audit(exporter: &Exporter) -> Vec<Value> {
    let answer = as_operator(exporter).send("GET", "/api/v1/audit?limit=10000", "");
    answer.json().as_array().unwrap().clone()
}

#[test]
fn no_engine_displaces_a_decision_from_the_audit_trail() {
    let (_directory, config) = with_tokens("");
    let exporter = Exporter::start(&[&config]);
    let mut engine = Client::connect(exporter.address).with_token(ENGINE);
    let beat = r#"{"type":"heartbeat","account":"b","component":"engine","status":"healthy"}"#;
    assert_eq!(engine.send("POST", "/api/v1/events", beat).status, 200);
    let halt = json!({"account": "a", "actor": "jo", "reason": "incident"}).to_string();
    assert_eq!(as_operator(&exporter).send("POST", "/api/v1/halts", &halt).status, 201);
    let flush =
        json!({"account": "b", "symbol": "X", "adopt": "broker", "actor": "x", "reason": "x"});
    for _ in 0..300 {
        let answer = engine.send("POST", "/api/v1/drift/reconcile", &flush.to_string());
        assert_eq!(answer.status, 404);
    }
    let lines = audit(&exporter);
    assert_eq!(lines.len(), 301);
    let who = |line: &Value| [&line["action"], &line["actor"], &line["token"]].map(Value::clone);
    assert_eq!(who(&lines[0]), [json!("halt"), json!("jo"), json!("desk")]);
    assert_eq!(who(&lines[300]), [json!("reconcile"), json!("x"), json!("engine-b")]);
}

#[test]
fn reloads_are_audited_and_survive_a_restart() {
    let (directory, config) = with_tokens("series: {max: 5000}\n");
    let path = directory.path().join("exporter.yml");
    let storage = format!("--storage.path={}", directory.path().join("data").display());
    let arguments = [config.as_str(), "--storage.mode=journal", storage.as_str()];
    let mut exporter = Exporter::start(&arguments);
    let before = std::fs::read_to_string(&path).unwrap();
    let reload = |exporter: &Exporter, from: &str, to: &str| {
        std::fs::write(&path, before.replace(from, to)).unwrap();
        as_operator(exporter).send("POST", "/-/reload", "").status
    };
    assert_eq!(reload(&exporter, "max: 5000", "max: 6000"), 200);
    assert_eq!(reload(&exporter, "max: 5000", "max: nothing"), 422);
    std::fs::write(&path, before.replace("max: 5000", "max: 7000")).unwrap();
    exporter.signal("HUP");
    exporter.wait_for_log(&["the configuration was reloaded", "SIGHUP"]);
    let expect = |lines: &[Value]| {
        let of = |line: &Value| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}: {}", text("actor"), text("token"), text("refused"), text("reason"))
        };
        let lines_of_reloads: Vec<String> = lines.iter().map(of).collect();
        assert_eq!(lines_of_reloads[0], "desk desk -: series.max: 5000 -> 6000");
        assert!(
            lines_of_reloads[1].starts_with("desk desk invalid_config: "),
            "{}",
            lines_of_reloads[1]
        );
        assert!(lines_of_reloads[1].contains("series.max"), "{}", lines_of_reloads[1]);
        assert_eq!(lines_of_reloads[2], "SIGHUP - -: series.max: 6000 -> 7000");
        lines_of_reloads
    };
    expect(&audit(&exporter));
    exporter.signal("TERM");
    exporter.wait();
    std::fs::write(&path, before.replace("max: 5000", "max: 8000")).unwrap();
    let exporter = Exporter::start(&arguments);
    let lines_of_reloads = expect(&audit(&exporter));
    assert_eq!(lines_of_reloads[3], "trading-exporter - -: at the start: series.max: 7000 -> 8000");
}
