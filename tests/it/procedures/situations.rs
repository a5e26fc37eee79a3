//! The situations of the documents' sections, set up on a machine.

use std::fs;

use serde_json::json;

use super::machine::Machine;

/// Posts both lists of AAPL in one request. Returns the resulting trading state.
pub(super) fn lists(machine: &Machine, local: i64, broker: i64) -> String {
    let list = |source: &str, quantity: i64| {
        json!({"type": "positions", "account": "paper", "source": source, "positions": [
            {"symbol": "AAPL", "quantity": quantity, "average_price": 187.4, "market_price": 187.5}]})
    };
    let body = json!([list("local", local), list("broker", broker)]).to_string();
    let answer = machine.post("/api/v1/events", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["states"]["paper"].as_str().unwrap().to_owned()
}

/// A critical drift has halted the account, and is open.
pub(super) fn drifted(machine: &mut Machine) {
    assert_eq!(lists(machine, 100, 88), "halted");
}

/// As above, and the books agree again.
pub(super) fn agreed(machine: &mut Machine) {
    drifted(machine);
    assert_eq!(lists(machine, 100, 100), "halted", "agreement releases nothing");
    assert_eq!(open_drifts(machine), 0);
}

/// Somebody has halted all accounts.
pub(super) fn all_halted(machine: &mut Machine) {
    assert_eq!(lists(machine, 100, 100), "active");
    let halt = r#"{"account": "*", "state": "halted", "actor": "jo", "reason": "an incident"}"#;
    assert_eq!(machine.post("/api/v1/halts", halt).status, 201);
}

/// An account that trades and whose books agree.
pub(super) fn trading(machine: &mut Machine) {
    order(machine, "O-1");
    assert_eq!(lists(machine, 100, 100), "active");
}

/// An account with a journal of several batches. Somebody has halted it.
pub(super) fn halted_by_hand(machine: &mut Machine) {
    trading(machine);
    let halt = r#"{"account": "paper", "state": "halted", "actor": "jo", "reason": "a drill"}"#;
    assert_eq!(machine.post("/api/v1/halts", halt).status, 201);
}

/// The journal is damaged, and there is a copy of it.
pub(super) fn damaged_with_a_copy(machine: &mut Machine) {
    halted_by_hand(machine);
    machine.systemctl("stop");
    assert!(machine.bash("cp -a data backup").status().unwrap().success());
    damage(machine);
}

/// The journal is damaged, and there is no copy: the exporter does not start.
pub(super) fn damaged(machine: &mut Machine) {
    halted_by_hand(machine);
    machine.systemctl("kill");
    damage(machine);
    let start = machine.bash("systemctl start trading-exporter").output().unwrap();
    assert!(String::from_utf8_lossy(&start.stderr).contains("corrupt at"), "{start:?}");
}

/// The file has new thresholds, which are not in force yet.
pub(super) fn edited(machine: &mut Machine) {
    trading(machine);
    let path = machine.path("trading-exporter.yml");
    let old = fs::read_to_string(&path).unwrap();
    let new = "drift: {quantity: {minor: 2, moderate: 7, critical: 13}}\n";
    fs::write(path, old + new).unwrap();
}

/// Alertmanager runs.
pub(super) fn with_alertmanager(machine: &mut Machine) {
    machine.start_alertmanager();
}

/// One account with the causes of all alerts: drift, halt, orders that were rejected, overfilled or left
/// open, an unhealthy broker.
pub(super) fn troubled(machine: &mut Machine) {
    let rejected = (1..=5).flat_map(|n| {
        let id = format!("R-{n}");
        [
            json!({"type": "order_submitted", "account": "paper", "order_id": id, "symbol": "XYZ",
                   "side": "buy", "quantity": 1}),
            json!({"type": "order_rejected", "account": "paper", "order_id": id,
                   "reason": "insufficient funds"}),
        ]
    });
    let heartbeat = json!({"type": "heartbeat", "account": "paper", "component": "broker",
                           "status": "unhealthy", "message": "no route to the broker"});
    let open = json!({"type": "order_submitted", "account": "paper", "order_id": "O-1",
                      "symbol": "XYZ", "side": "buy", "quantity": 1});
    let events: Vec<_> = rejected.chain([heartbeat, open]).collect();
    let answer = machine.post("/api/v1/events", &json!(events).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    drifted(machine);
}

/// Number of open drifts of the account.
pub(super) fn open_drifts(machine: &Machine) -> usize {
    machine.json("/api/v1/drift?account=paper&state=open").as_array().unwrap().len()
}

/// The trading state in the permit of an account.
pub(super) fn state(machine: &Machine, account: &str) -> String {
    let permit = machine.json(&format!("/api/v1/permit?account={account}"));
    permit["state"].as_str().unwrap().to_owned()
}

fn order(machine: &Machine, id: &str) {
    for event in [
        json!({"type": "order_submitted", "order_id": id, "symbol": "AAPL", "side": "buy",
               "quantity": 100, "account": "paper"}),
        json!({"type": "order_filled", "order_id": id, "fill_id": "F-1", "quantity": 100,
               "price": 187.4, "account": "paper"}),
    ] {
        let answer = machine.post("/api/v1/events", &event.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Flips a bit of acknowledged data, with intact batches after it.
fn damage(machine: &Machine) {
    let path = machine.path("data/seg-00000000000000000001");
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(4).position(|window| window == b"AAPL").unwrap();
    bytes[place] ^= 1;
    fs::write(&path, &bytes).unwrap();
}
