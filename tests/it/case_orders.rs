//! Orders as venues and engines report them: ids shared by several symbols, sizes by amount or from
//! floats, and all facts as they read back.

use serde_json::{Value, json};

use crate::exporter::Exporter;

fn exporter(configuration: &str) -> (tempfile::TempDir, Exporter) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trading-exporter.yml");
    std::fs::write(&file, configuration).unwrap();
    let argument = format!("--config.file={}", file.display());
    let exporter = Exporter::start(&["--storage.mode=memory", &argument]);
    (directory, exporter)
}

fn post(exporter: &Exporter, events: &Value) -> Value {
    exporter.post("/api/v1/events", &events.to_string()).json()
}

/// The value of one series. 0 if it is missing.
fn sample(exporter: &Exporter, series: &str) -> f64 {
    let text = exporter.get("/metrics").body;
    let mut samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = samples.find(|(name, _)| *name == series);
    found.map_or(0.0, |(_, value)| value.parse().unwrap())
}

fn ledger(exporter: &Exporter, account: &str, symbol: &str) -> f64 {
    let labels = format!("account=\"{account}\",symbol=\"{symbol}\",book=\"ledger\"");
    sample(exporter, &format!("trading_position_quantity{{{labels}}}"))
}

const ID: &str = "512726567";

fn submitted(account: &str, symbol: &str, quantity: &str) -> Value {
    json!({"type": "order_submitted", "account": account, "order_id": ID, "symbol": symbol,
        "side": "buy", "quantity": quantity})
}

fn filled(account: &str, symbol: Option<&str>, fill: &str, quantity: &str) -> Value {
    json!({"type": "order_filled", "account": account, "order_id": ID, "symbol": symbol,
        "fill_id": fill, "quantity": quantity, "price": 3001})
}

#[test]
fn an_id_of_two_symbols_is_a_conflict_that_explains_the_setting() {
    let (_directory, exporter) = exporter("");
    let events = json!([submitted("a", "BTCUSDT", "0.01"), submitted("a", "ETHUSDT", "2")]);
    let rejected = post(&exporter, &events)["rejected"].take();
    assert_eq!((&rejected[0]["index"], &rejected[0]["code"]), (&json!(1), &json!("conflict")));
    let message = rejected[0]["message"].as_str().unwrap();
    for part in [ID, "BTCUSDT", "orders.id_scope"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // A fill without a symbol could belong to either order, and changes nothing.
    let rejected = post(&exporter, &filled("a", None, "12", "2"))["rejected"].take();
    assert_eq!(rejected[0]["code"], json!("conflict"), "{rejected}");
    let message = rejected[0]["message"].as_str().unwrap();
    assert!(message.contains("another symbol"), "{message}");
    assert_eq!(post(&exporter, &filled("a", Some("BTCUSDT"), "11", "0.01"))["accepted"], 1);
    assert_eq!(ledger(&exporter, "a", "BTCUSDT").to_string(), "0.01");
    // Using the symbol as the session is the other solution.
    let mut events = json!([
        submitted("b", "BTCUSDT", "0.01"),
        submitted("b", "ETHUSDT", "2"),
        filled("b", None, "12", "2"),
        filled("b", None, "12", "0.01")
    ]);
    for (at, session) in [(0, "BTCUSDT"), (1, "ETHUSDT"), (2, "ETHUSDT"), (3, "BTCUSDT")] {
        events[at]["session"] = json!(session);
    }
    assert_eq!(post(&exporter, &events)["accepted"], 4);
    assert_eq!((ledger(&exporter, "b", "BTCUSDT"), ledger(&exporter, "b", "ETHUSDT")), (0.01, 2.0));
}

#[test]
fn if_ids_are_unique_per_symbol_both_orders_are_kept() {
    let (_directory, exporter) =
        exporter("orders: {overrides: [{account: 'a*', id_scope: symbol}]}");
    let events = json!([
        submitted("a", "BTCUSDT", "0.01"),
        submitted("a", "ETHUSDT", "2"),
        filled("a", Some("BTCUSDT"), "11", "0.01"),
        filled("a", Some("ETHUSDT"), "12", "2"),
    ]);
    assert_eq!(post(&exporter, &events)["accepted"], 4);
    assert_eq!((ledger(&exporter, "a", "BTCUSDT"), ledger(&exporter, "a", "ETHUSDT")), (0.01, 2.0));
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let path = format!("/api/v1/orders/a/{ID}?symbol={symbol}");
        let order = exporter.get(&path).json();
        assert_eq!((&order["symbol"], &order["status"]), (&json!(symbol), &json!("filled")));
    }
    let answer = exporter.get(&format!("/api/v1/orders/a/{ID}"));
    assert_eq!((answer.status, &answer.json()["field"]), (400, &json!("symbol")), "{answer:?}");

    // An event that could belong to either order belongs to neither, and changes nothing.
    let events = json!([submitted("a2", "BTCUSDT", "0.01"), submitted("a2", "ETHUSDT", "2")]);
    assert_eq!(post(&exporter, &events)["accepted"], 2);
    let rejected = post(&exporter, &filled("a2", None, "12", "2"))["rejected"].take();
    assert_eq!(rejected[0]["code"], "conflict", "{rejected}");
    let message = rejected[0]["message"].as_str().unwrap();
    assert!(message.contains("BTCUSDT and ETHUSDT"), "{message}");
    assert_eq!(
        (ledger(&exporter, "a2", "BTCUSDT"), ledger(&exporter, "a2", "ETHUSDT")),
        (0.0, 0.0)
    );
    let open = |symbol| format!("trading_orders_open{{account=\"a2\",symbol=\"{symbol}\"}}");
    let both = (sample(&exporter, &open("BTCUSDT")), sample(&exporter, &open("ETHUSDT")));
    assert_eq!(both, (1.0, 1.0));
}

#[test]
fn placeholder_ids_never_join_two_symbols() {
    let (_directory, exporter) = exporter("");
    for id in ["0", "-1"] {
        let fill = |symbol: &str, quantity: u32| {
            json!({"type": "order_filled", "account": "ib", "order_id": id, "symbol": symbol,
                "side": "buy", "fill_id": format!("{id}{symbol}"), "quantity": quantity, "price": 1})
        };
        let answer = post(&exporter, &json!([fill("SPY", 1), fill("QQQ", 2), fill("SPY", 1)]));
        assert_eq!(
            (&answer["accepted"], &answer["duplicates"]),
            (&json!(2), &json!(1)),
            "{answer}"
        );
    }
    assert_eq!((ledger(&exporter, "ib", "SPY"), ledger(&exporter, "ib", "QQQ")), (2.0, 4.0));
}

#[test]
fn an_order_reads_back_with_every_fact_that_was_sent() {
    let (_directory, exporter) = exporter("");
    let events = json!([
        {"type": "order_submitted", "account": "a", "order_id": "1", "symbol": "SPY",
            "side": "buy", "quantity": 10, "expected_price": 600, "decision_price": 599,
            "order_type": "limit", "limit_price": 601, "time_in_force": "day",
            "reduce_only": false, "strategy": "s1", "venue": "NYSE"},
        {"type": "order_accepted", "account": "a", "order_id": "1", "venue_order_id": "V-7"},
        {"type": "order_filled", "account": "a", "order_id": "1", "fill_id": "f1",
            "quantity": 4, "price": 600, "fee": "0.4", "liquidity": "maker"},
        {"type": "order_filled", "account": "a", "order_id": "1", "fill_id": "f2",
            "quantity": 1, "price": 600, "fee": "0.1", "fee_currency": "EUR"},
        {"type": "fill_busted", "account": "a", "order_id": "1", "fill_id": "f2"},
        {"type": "fill_corrected", "account": "a", "order_id": "1", "fill_id": "f1",
            "quantity": 3, "price": 601},
        {"type": "order_cancelled", "account": "a", "order_id": "1", "initiator": "user",
            "reason": "end of day"},
        {"type": "order_submitted", "account": "a", "order_id": "2", "symbol": "SPY",
            "side": "buy", "notional": 1000},
        {"type": "order_rejected", "account": "a", "order_id": "2", "code": "201",
            "reason": "insufficient buying power"},
    ]);
    let answer = post(&exporter, &events);
    assert_eq!(answer["accepted"], 9, "{answer}");
    let check = |id: &str, expect: &Value| {
        let order = exporter.get(&format!("/api/v1/orders/a/{id}")).json();
        for (field, value) in expect.as_object().unwrap() {
            assert_eq!(order[field], *value, "{field} of {order:#}");
        }
        order
    };
    let order = check(
        "1",
        &json!({"strategy": "s1", "venue": "NYSE", "venue_order_id": "V-7", "order_type": "limit",
            "time_in_force": "day", "reduce_only": false, "limit_price": "601",
            "decision_price": "599", "status": "cancelled", "reason": "end of day",
            "initiator": "user", "code": null, "reject_reason": null, "notional": null,
            "fees": {"USD": "0.4"}}),
    );
    let [first, second] = [0, 1].map(|at| &order["fills"][at]);
    let facts = |fill: &Value| {
        ["quantity", "price", "reported_quantity", "fee", "fee_currency", "liquidity"]
            .map(|field| fill[field].clone())
    };
    let expect = ["3", "601", "4", "0.4", "USD", "maker"].map(Value::from);
    assert_eq!((facts(first), &first["corrected"]), (expect, &json!(true)));
    assert_eq!((&second["busted"], &second["quantity"]), (&json!(true), &json!("0")));
    let rejected = check(
        "2",
        &json!({"status": "rejected", "reason": "insufficient buying power", "code": "201",
            "reject_reason": "insufficient_funds", "notional": "1000", "quantity": null}),
    );
    assert_eq!(rejected["ends"][0]["outcome"], "rejected");
}
