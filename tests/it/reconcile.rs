//! The reconciliation loop over HTTP: directives by stream and by webhook, confirmation, three attempts,
//! escalation, and manual reconciliation.

use std::fs;

use serde_json::{Value, json};
use trading_exporter::clock::{self, monotonic};
use trading_exporter::domain::time::Timestamp;
use trading_exporter::wire::time::rfc3339;

use crate::events::{Event, Events};
use crate::exporter::{Client, Exporter, SOON, run};
use crate::receiver::Receiver;

/// An exporter with this timeout of directives, and its directory.
struct Site {
    directory: tempfile::TempDir,
    exporter: Exporter,
}

impl Site {
    fn start(reconcile_timeout: &str, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        fs::write(directory.path().join("secret"), secret).unwrap();
        let path = directory.path().join("exporter.yml");
        let text = format!("drift:\n  reconcile_timeout: {reconcile_timeout}\n{more}");
        fs::write(&path, text).unwrap();
        let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
        Self { directory, exporter }
    }

    /// Posts the positions of both sides, as snapshots of now.
    fn books(&self, local: &str, broker: &str) {
        let books = json!([position("local", local), position("broker", broker)]);
        let answer = self.exporter.post("/api/v1/events", &books.to_string());
        assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(2)), "{answer:?}");
    }

    fn drift(&self) -> Value {
        self.exporter.get("/api/v1/drift?account=paper").json()[0].clone()
    }

    fn reconciliations(&self, outcome: &str) -> String {
        let series =
            format!("trading_reconciliations_total{{account=\"paper\",outcome=\"{outcome}\"}} ");
        let text = self.exporter.get("/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    }
}

fn position(source: &str, quantity: &str) -> Value {
    let row = json!({"symbol": "PENNY", "quantity": quantity, "average_price": "2"});
    json!({"type": "positions", "account": "paper", "source": source, "positions": [row]})
}

/// Causes a confirmed MINOR drift (local 102, broker 100). Returns the directive.
fn reconciling(site: &Site, events: &mut Events) -> Event {
    site.books("100", "100");
    site.books("102", "100");
    assert_eq!(site.drift()["state"], "unconfirmed");
    site.books("102", "100");
    let directive = events.wait_for("reconcile");
    assert_eq!(directive.data["account"], "paper");
    assert_eq!(directive.data["symbol"], "PENNY");
    assert_eq!(directive.data["drift_type"], "quantity_mismatch");
    assert_eq!(
        (&directive.data["from_quantity"], &directive.data["to_quantity"]),
        (&json!("102"), &json!("100"))
    );
    assert_eq!(
        (&directive.data["from_price"], &directive.data["to_price"]),
        (&json!("2"), &json!("2"))
    );
    assert_eq!(directive.data["attempt"], 1);
    let drift = site.drift();
    assert_eq!((&drift["state"], &drift["severity"]), (&json!("reconciling"), &json!("minor")));
    assert_eq!(drift["directive_id"], directive.data["id"]);
    directive
}

#[test]
fn a_repeated_snapshot_confirms_nothing() {
    let site = Site::start("1m", "");
    let at = |time: Timestamp, source: &str, quantity: &str| {
        let mut snapshot = position(source, quantity);
        snapshot["time"] = json!(rfc3339(time));
        snapshot
    };
    let post = |books: &[Value]| site.exporter.post("/api/v1/events", &json!(books).to_string());
    let now = clock::now();
    let books = [at(now, "local", "102"), at(now, "broker", "100")];
    assert_eq!(post(&books).json()["accepted"], 2);
    for _ in 0..3 {
        let again = post(&books).json();
        assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(2)), "{again}");
        assert_eq!(site.drift()["state"], "unconfirmed");
    }
    // Two different snapshots of one time: the one received later is newer.
    assert_eq!(post(&[at(now, "local", "103"), at(now, "broker", "101")]).json()["accepted"], 2);
    assert_eq!(site.drift()["state"], "reconciling");
}

#[test]
fn the_next_local_snapshot_confirms() {
    let receiver = Receiver::start();
    let webhooks = format!(
        "webhooks:\n  - name: engine\n    url: http://{}/\n    secret_file: secret\n    \
         allow_private: true\n    events: [reconcile]\n",
        receiver.address
    );
    let site = Site::start("1m", &webhooks);
    let mut events = Events::open(site.exporter.address, "?account=paper", &[]);
    let directive = reconciling(&site, &mut events);
    // The webhook and the stream send the same directive.
    assert_eq!(receiver.wait_for(1)[0].json()["data"], directive.data);
    assert_eq!(events.wait_for("drift").data["drift"]["state"], "reconciling");
    site.books("100", "100");
    let cleared = events.wait_for("drift").data;
    assert_eq!(cleared["drift"]["state"], "cleared");
    assert_eq!(site.drift(), Value::Null);
    assert_eq!(site.reconciliations("sent"), "1.0");
    assert_eq!(site.reconciliations("confirmed"), "1.0");
    assert_eq!(site.reconciliations("escalated"), "0.0");
    assert!(site.directory.path().exists());
}

#[test]
fn a_reconciled_event_gives_the_engine_time_once() {
    let site = Site::start("3s", "permit:\n  valid_for: 1s\n");
    let mut events = Events::open(site.exporter.address, "?account=paper", &[]);
    let directive = reconciling(&site, &mut events);
    let begin = monotonic();
    // After half of the timeout the engine reports that it has reconciled, with the id of the directive.
    while begin.elapsed().as_millis() < 1_500 {
        events.wait_for("permit");
    }
    let done = json!({"type": "reconciled", "account": "paper", "symbol": "PENNY",
        "directive_id": directive.id.unwrap()});
    assert_eq!(site.exporter.post("/api/v1/events", &done.to_string()).status, 200);
    assert_eq!(site.drift()["state"], "reconciling", "the event alone ends nothing");
    let again = events.wait_for("reconcile");
    assert_eq!(again.data["attempt"], 2);
    assert!(begin.elapsed().as_millis() >= 4_000, "{:?}", begin.elapsed());
    site.books("100", "100");
    assert_eq!(site.reconciliations("confirmed"), "1.0");
}

#[test]
fn three_attempts_then_moderate() {
    let site = Site::start("1s", "");
    let mut events = Events::open(site.exporter.address, "?account=paper", &[]);
    reconciling(&site, &mut events);
    assert_eq!(events.wait_for("drift").data["drift"]["state"], "reconciling");
    assert_eq!(events.wait_for("reconcile").data["attempt"], 2);
    assert_eq!(events.wait_for("reconcile").data["attempt"], 3);
    let escalated = events.wait_for("drift").data;
    assert_eq!(escalated["drift"]["severity"], "moderate");
    assert_eq!(escalated["drift"]["state"], "open");
    assert_eq!(escalated["drift"]["action"], "alert");
    let permit = site.exporter.get("/api/v1/permit?account=paper").json();
    assert_eq!(permit["state"], "active", "an alert, and no halt");
    assert_eq!(site.reconciliations("sent"), "3.0");
    assert_eq!(site.reconciliations("escalated"), "1.0");
    site.books("100", "100");
    assert_eq!(events.wait_for("drift").data["drift"]["state"], "cleared");
}

#[test]
fn either_side_can_be_adopted_manually() {
    let hash = |token: &str| run(&["hash-token"], token).1.trim().to_owned();
    let token = |name: &str, scopes: &str| {
        format!("  - {{name: {name}, sha256: {}, scopes: [{scopes}]}}\n", hash(&secret(name)))
    };
    let tokens = token("engine", "ingest, read")
        + &token("broker", "\"ingest:broker\"")
        + &token("desk", "read, release");
    let site = Site::start("1m", &format!("tokens:\n{tokens}"));
    let client = |name: &str| Client::connect(site.exporter.address).with_token(&secret(name));
    let books = |local: &str, broker: &str| {
        for (name, quantity) in [("engine", local), ("broker", broker)] {
            let source = if name == "engine" { "local" } else { "broker" };
            let body = position(source, quantity).to_string();
            assert_eq!(client(name).send("POST", "/api/v1/events", &body).status, 200);
        }
    };
    let adopt = |name: &str, side: &str| {
        let body = json!({"account": "paper", "symbol": "PENNY", "adopt": side, "actor": "ann",
            "reason": "the statement says so"});
        client(name).send("POST", "/api/v1/drift/reconcile", &body.to_string())
    };
    let open = || client("desk").send("GET", "/api/v1/drift?account=paper", "").json()[0].clone();
    let bearer = format!("authorization: Bearer {}", secret("engine"));
    let mut events = Events::open(site.exporter.address, "?account=paper", &[&bearer]);

    books("100", "100");
    assert_eq!(adopt("desk", "broker").status, 404, "nothing is open");
    // MINOR: the engine itself may adopt the broker's side only.
    for _ in 0..3 {
        books("102", "100");
    }
    assert_eq!(events.wait_for("reconcile").data["attempt"], 1);
    let refused = adopt("engine", "local");
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("needs_release")));
    assert_eq!(adopt("engine", "broker").status, 200);
    assert_eq!(events.wait_for("reconcile").data["to_quantity"], "100");
    assert_eq!(open(), Value::Null);

    // MODERATE: only a token that may release.
    for _ in 0..3 {
        books("107", "100");
    }
    assert_eq!(open()["severity"], "moderate");
    assert_eq!(adopt("engine", "broker").status, 403);
    assert_eq!(adopt("broker", "broker").status, 403);
    assert_eq!(adopt("desk", "local").status, 200);
    assert_eq!(open(), Value::Null);
    // The difference is accepted from now on.
    books("107", "100");
    books("108", "101");
    assert_eq!(open(), Value::Null);
    let audit = client("desk").send("GET", "/api/v1/audit?account=paper", "").json();
    let lines = audit.as_array().unwrap();
    let by_hand: Vec<_> = lines.iter().filter(|line| line["action"] == "reconcile").collect();
    assert_eq!(by_hand.len(), 5, "{lines:?}");
    let sent: Vec<_> = lines.iter().filter(|line| line["action"] == "reconcile_sent").collect();
    assert_eq!(sent.len(), 2, "by the exporter, and manually: {lines:?}");
    assert!(sent.iter().all(|line| line["token"] == Value::Null), "{lines:?}");
    let refused: Vec<_> = by_hand.iter().filter_map(|line| line["refused"].as_str()).collect();
    assert_eq!(refused, ["not_found", "needs_release", "needs_release"]);
}

fn secret(name: &str) -> String {
    format!("token-of-the-{name}")
}

#[test]
fn an_unknown_position_is_never_reconciled_automatically() {
    let site = Site::start("1s", "");
    let mut events = Events::open(site.exporter.address, "?account=paper", &[]);
    for _ in 0..4 {
        site.books("0", "2");
    }
    let drift = events.wait_for("drift").data;
    assert_eq!(drift["drift"]["type"], "unknown_position");
    assert_eq!(drift["drift"]["action"], "alert");
    let deadline = monotonic() + SOON;
    let waited = |events: &mut Events| {
        let event = events.next().unwrap();
        assert_ne!(event.name, "reconcile", "{event:?}");
        event.data["waited_ms"].as_u64().unwrap_or(0)
    };
    // Wait longer than the timeout of a directive.
    while waited(&mut events) < 4_000 {
        assert!(monotonic() < deadline);
    }
    assert_eq!(site.reconciliations("sent"), "0.0");
}
