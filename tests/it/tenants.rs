//! Two tenants with tokens of their own: whatever one does, the other sees what it would see alone.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::exporter::{Answer, Client, Exporter};
use crate::secrets::hex_digest;

/// Names of tokens, their scopes and their accounts. The name is the secret.
const TOKENS: [(&str, &str, &str); 6] = [
    ("a-engine", "ingest, read", "a-*"),
    ("a-broker", "'ingest:broker'", "a-*"),
    ("a-halt", "halt, read", "a-*"),
    ("b-engine", "ingest, read", "b-*"),
    ("b-broker", "'ingest:broker'", "b-*"),
    ("person", "halt, release, read, metrics", ""),
];

/// Bounds so small that a few requests reach them.
const SMALL: &str = "
orders: {open_max: 20, ended_max: 20, unknown_max: 10}
ingest: {horizon_ids: 50}
symbols: {max: 10}
window: {orders: 10}
limits: {accounts_per_token: 5}
";

fn start(config: &str, directory: &Path) -> Exporter {
    let mut text = format!("{config}\ntokens:\n");
    for (name, scopes, accounts) in TOKENS {
        let hash = hex_digest(name);
        writeln!(text, "  - name: {name}\n    sha256: {hash}\n    scopes: [{scopes}]").unwrap();
        if !accounts.is_empty() {
            writeln!(text, "    accounts: ['{accounts}']").unwrap();
        }
    }
    let path = directory.join("exporter.yml");
    fs::write(&path, text).unwrap();
    let storage = format!("--storage.path={}", directory.join("data").display());
    let exporter = Exporter::start(&[&format!("--config.file={}", path.display()), &storage]);
    exporter.wait_for_log(&["listening"]);
    exporter
}

/// The two sides' requests, on connections that are kept.
struct Sender(Client);

impl Sender {
    fn new(exporter: &Exporter, token: &str) -> Self {
        Self(Client::connect(exporter.address).with_token(token))
    }

    fn events(&mut self, events: &Value) -> Answer {
        self.0.send("POST", "/api/v1/events", &events.to_string())
    }

    fn get(&mut self, path: &str) -> Answer {
        self.0.send("GET", path, "")
    }

    fn halt(&mut self, account: &str) -> Answer {
        let body = json!({"account": account, "state": "halted", "reason": "x", "actor": "x"});
        self.0.send("POST", "/api/v1/halts", &body.to_string())
    }
}

fn submitted(account: &str, order: &str) -> Value {
    json!({"type": "order_submitted", "account": account, "order_id": order, "event_id": format!("s-{order}"),
        "symbol": "X", "side": "buy", "quantity": 100, "time": "2026-11-22T14:30:00Z"})
}

fn filled(account: &str, order: &str) -> Value {
    json!({"type": "order_filled", "account": account, "order_id": order, "fill_id": format!("f-{order}"),
        "symbol": "X", "side": "buy", "quantity": 100, "price": 7, "time": "2026-11-22T14:30:01Z"})
}

fn book(account: &str, source: &str, quantity: i64) -> Value {
    json!({"type": "positions", "account": account, "source": source,
        "positions": [{"symbol": "X", "quantity": quantity, "average_price": 7, "market_price": 7}]})
}

/// The first requests of the second tenant: open and ended orders, books, health, a refused reconcile, a halt.
fn settle(exporter: &Exporter) {
    let mut engine = Sender::new(exporter, "b-engine");
    let orders = json!([
        submitted("b-1", "open"),
        submitted("b-1", "done"),
        filled("b-1", "done"),
        {"type": "heartbeat", "account": "b-1", "component": "engine", "event_id": "h"},
        book("b-1", "local", 100),
    ]);
    assert_eq!(engine.events(&orders).status, 200);
    let broker = Sender::new(exporter, "b-broker").events(&book("b-1", "broker", 100));
    assert_eq!(broker.status, 200);
    refused_reconcile(&mut engine, "b-1");
    assert_eq!(Sender::new(exporter, "person").halt("b-1").status, 201);
}

fn refused_reconcile(engine: &mut Sender, account: &str) {
    let body = json!({"account": account, "symbol": "NONE", "adopt": "broker", "reason": "x", "actor": "x"});
    assert_eq!(engine.0.send("POST", "/api/v1/drift/reconcile", &body.to_string()).status, 404);
}

/// Fills every table that tokens of the first tenant can reach.
fn flood(exporter: &Exporter) {
    let mut engine = Sender::new(exporter, "a-engine");
    let (mut broker, mut halt) =
        (Sender::new(exporter, "a-broker"), Sender::new(exporter, "a-halt"));
    // Accounts, by events and by halts.
    let beat =
        |n: usize| json!({"type": "heartbeat", "account": format!("a-{n}"), "component": "engine"});
    let beats: Vec<Value> = (0..20).map(beat).collect();
    let answer = engine.events(&beats.into()).json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["code"]),
        (&json!(5), &json!("too_many_accounts"))
    );
    let halted: Vec<u16> = (0..10).map(|n| halt.halt(&format!("a-halted-{n}")).status).collect();
    assert_eq!(halted, [[201; 5], [422; 5]].concat());
    // Orders of each class, their fills and ids; symbols, components, results, changes of positions.
    let mut all = Vec::new();
    for n in 0..300 {
        all.push(submitted("a-1", &format!("o{n}")));
        all.push(json!({"type": "order_rejected", "account": "a-1", "order_id": format!("r{n}"), "symbol": "X"}));
        all.push(filled("a-1", &format!("u{n}")));
        all.push(json!({"type": "quote", "account": "a-1", "symbol": format!("S{n}"), "price": 1, "event_id": format!("q{n}")}));
        all.push(json!({"type": "heartbeat", "account": "a-1", "component": format!("c{}", n % 150), "message": "x"}));
        all.push(json!({"type": "position_adjusted", "account": "a-1", "symbol": "X", "quantity": 1, "reason": "transfer"}));
    }
    assert_eq!(engine.events(&all.into()).status, 207, "components past their bound are refused");
    // Differences, halts and lines of the audit trail.
    for n in 0..40 {
        engine.events(&book("a-2", "local", n * 1_000));
        broker.events(&book("a-2", "broker", 0));
        halt.halt("a-2");
        refused_reconcile(&mut engine, "a-2");
    }
}

/// An answer without what depends on the time and on the place in the journal.
fn timeless(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let of_the_moment = |name: &str| {
                ["sequence", "id", "causes", "at", "since"].contains(&name)
                    || name.ends_with("_seconds")
                    || name.ends_with("_at")
                    || name.ends_with("time")
            };
            let kept = fields.into_iter().filter(|(name, _)| !of_the_moment(name));
            kept.map(|(name, value)| (name, timeless(value))).collect()
        }
        Value::Array(all) => all.into_iter().map(timeless).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// The second tenant's view: its reads, and the answers to what it sends again.
fn view(exporter: &Exporter) -> Vec<String> {
    let mut engine = Sender::new(exporter, "b-engine");
    let mut seen = Vec::new();
    for path in [
        "orders?account=b-1",
        "execution?account=b-1",
        "positions?account=b-1",
        "drift?account=b-1",
        "drift/history?account=b-1",
        "anomalies?account=b-1",
        "health?account=b-1",
        "permit?account=b-1",
        "audit?account=b-1",
    ] {
        let answer = engine.get(&format!("/api/v1/{path}"));
        let body = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        seen.push(format!("{path} {} {}", answer.status, timeless(body)));
    }
    let again = json!([
        submitted("b-1", "open"),
        filled("b-1", "done"),
        {"type": "heartbeat", "account": "b-1", "component": "engine", "event_id": "h"},
    ]);
    let answer = engine.events(&again);
    assert_eq!((answer.status, &answer.json()["duplicates"]), (200, &json!(3)), "{answer:?}");
    seen.push(timeless(answer.json()).to_string());
    // Room that the other tenant cannot take.
    for account in ["b-2", "b-3"] {
        let beat = json!({"type": "heartbeat", "account": account, "component": "engine"});
        assert_eq!(engine.events(&beat).status, 200, "{account}");
    }
    let mut person = Sender::new(exporter, "person");
    for account in ["b-4", "live", "a-9", "b-1"] {
        assert_eq!(person.halt(account).status, 201, "{account}");
    }
    assert_eq!(person.get("/api/v1/permit?account=*").json()["state"], "active");
    seen
}

#[test]
fn one_tenant_at_its_bounds_changes_nothing_for_another() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [both, alone] = [0, 1].map(|at| start(SMALL, directories[at].path()));
    for exporter in [&both, &alone] {
        settle(exporter);
    }
    flood(&both);
    assert_eq!(view(&both), view(&alone));
}

#[test]
fn a_full_state_refuses_those_who_use_most() {
    let directory = tempfile::tempdir().unwrap();
    let mut exporter = start("limits: {state_bytes: 1MiB}", directory.path());
    settle(&exporter);
    let mut engine = Sender::new(&exporter, "a-engine");
    let beat = json!({"type": "heartbeat", "account": "a-1", "component": "engine"});
    assert_eq!(engine.events(&beat).status, 200);
    let mut taken = 0;
    let refused = loop {
        let orders =
            (0..100).map(|n| submitted("a-1", &format!("{taken}-{n}"))).collect::<Vec<_>>();
        let answer = engine.events(&orders.into());
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
        assert!(taken < 1_000, "the state is bounded");
    };
    let problem = refused.json();
    assert_eq!((refused.status, &problem["code"]), (503, &json!("state_full")), "{problem}");
    assert_eq!(problem["retryable"], true);
    // Its other accounts share its fate, but what keeps it watched is taken.
    assert_eq!(engine.events(&json!([submitted("a-2", "1")])).status, 503);
    assert_eq!(engine.events(&beat).status, 200, "a heartbeat of a known component");
    let mixed = engine.events(&json!([submitted("a-1", "more"), beat]));
    assert_eq!(mixed.status, 207);
    assert_eq!(mixed.json()["rejected"][0]["code"], "state_full");
    // The other tenant and the person notice nothing.
    let seen = view(&exporter);
    let metrics = Sender::new(&exporter, "person").get("/metrics").body;
    let sample = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect(name).parse().expect(name)
    };
    let limit = sample("trading_exporter_state_bytes_limit");
    assert!((limit - f64::from(1 << 20)).abs() < 0.5, "{limit}");
    let used = sample("trading_exporter_state_bytes") / limit;
    assert!((0.8..1.25).contains(&used), "{used}");
    let refused = sample("trading_exporter_state_full_total");
    assert!((refused - 102.0).abs() < 0.5, "{refused}");
    // The journal holds what was accepted, and a restart needs no room to read it.
    let orders = |exporter: &Exporter| {
        let path = "/api/v1/execution?account=a-1";
        timeless(Sender::new(exporter, "a-engine").get(path).json()).to_string()
    };
    let before = orders(&exporter);
    exporter.signal("TERM");
    exporter.wait();
    let exporter = start("limits: {state_bytes: 1MiB}", directory.path());
    assert_eq!(orders(&exporter), before);
    assert!(!seen.is_empty());
}
