//! Repeated reports of fills by venues, and their effect on totals and positions.

use serde_json::{Value, json};
use trading_exporter::clock;

use crate::exporter::{Answer, Exporter};

fn exporter() -> Exporter {
    Exporter::start(&["--storage.mode=memory"])
}

fn post(exporter: &Exporter, events: &Value) -> Answer {
    exporter.post("/api/v1/events", &events.to_string())
}

/// The Unix time a number of seconds ago.
fn ago(seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are enough")]
    let now = clock::now().as_nanos() as f64;
    now / 1e9 - seconds
}

/// The value of one series. `None` if it is missing.
fn sample(exporter: &Exporter, series: &str) -> Option<f64> {
    let text = exporter.get("/metrics").body;
    let mut samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    samples.find(|(name, _)| *name == series).map(|(_, value)| value.parse().unwrap())
}

/// A total in USD minus its reversals.
fn standing(exporter: &Exporter, stem: &str, labels: &str) -> Option<f64> {
    let labels = format!("{{{labels},currency=\"USD\"}}");
    let sum = sample(exporter, &format!("trading_{stem}_total{labels}"))?;
    Some(sum - sample(exporter, &format!("trading_{stem}_reversed_total{labels}"))?)
}

#[test]
fn a_commission_that_comes_later_is_counted_once_and_can_be_corrected() {
    let exporter = exporter();
    let fill = |kind: &str, at: f64, fee: Option<&str>| {
        json!({"type": kind, "account": "a", "order_id": "7", "fill_id": "0000e215.01.01",
            "quantity": 10, "price": 600, "time": ago(at), "fee": fee,
            "fee_currency": fee.map(|_| "USD")})
    };
    let submitted = json!({"type": "order_submitted", "account": "a", "order_id": "7",
        "symbol": "SPY", "side": "buy", "quantity": 10, "expected_price": 600, "time": ago(40.0)});
    let first = fill("order_filled", 39.0, None);
    let mut again = first.clone();
    again["fee"] = json!("1.05");
    again["fee_currency"] = json!("USD");
    let answer = post(&exporter, &json!([submitted, first, again])).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(3), &json!(0)), "{answer}");
    let labels = r#"account="a",symbol="SPY""#;
    let fees = || standing(&exporter, "fees", labels);
    assert_eq!(fees(), Some(1.05));
    post(&exporter, &json!([again, fill("fill_corrected", 38.0, Some("1.05"))]));
    assert_eq!(fees(), Some(1.05));
    post(&exporter, &fill("fill_corrected", 37.0, Some("0.80")));
    assert_eq!(fees(), Some(0.8));
    assert_eq!(sample(&exporter, &format!("trading_fills_total{{{labels}}}")), Some(1.0));
}

#[test]
fn a_fee_out_of_the_decimal_range_is_rejected_with_its_field() {
    let exporter = exporter();
    let body = r#"{"type":"order_filled","order_id":"7","symbol":"SPY","side":"buy","fill_id":"1","quantity":10,"price":600,"fee":1.7976931348623157e+308,"fee_currency":"USD"}"#;
    let answer = exporter.post("/api/v1/events", body);
    assert_eq!(answer.status, 422, "{answer:?}");
    let rejected = answer.json()["rejected"][0].take();
    assert_eq!((&rejected["code"], &rejected["field"]), (&json!("invalid_amount"), &json!("fee")));
}

#[test]
fn socket_and_history_may_report_the_same_fill() {
    let exporter = exporter();
    let fill = |account: &str, id: &str, quantity: &str, price: &str| {
        json!({"type": "order_filled", "account": account, "event_id": id, "order_id": "1",
            "symbol": "DOGE", "side": "buy", "fill_id": "99", "quantity": quantity, "price": price})
    };
    let twice =
        json!([fill("d", "ws", "55", "0.20621"), fill("d", "rest", "55.00000000", "0.2062100")]);
    let answer = post(&exporter, &twice).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)), "{answer}");
    let rounded = json!([fill("e", "ws", "55", "0.20621"), fill("e", "rest", "55", "0.2062")]);
    let answer = post(&exporter, &rounded).json();
    assert_eq!(answer["rejected"][0]["code"], "conflict", "{answer}");
}

#[test]
fn corrections_of_price_and_quantity_lead_to_the_executed_values() {
    let exporter = exporter();
    let events = |account: &str, fills: &[(&str, f64, u32, u32)]| {
        let mut events = vec![json!({"type": "order_submitted", "account": account,
            "order_id": "1", "symbol": "X", "side": "buy", "quantity": 100, "expected_price": 10,
            "time": ago(40.0)})];
        events.extend(fills.iter().map(|(kind, at, quantity, price)| {
            json!({"type": kind, "account": account, "order_id": "1", "fill_id": "T1",
                "quantity": quantity, "price": price, "time": ago(*at)})
        }));
        Value::from(events)
    };
    let (filled, corrected) = ("order_filled", "fill_corrected");
    post(
        &exporter,
        &events(
            "a",
            &[(filled, 39.0, 60, 10), (corrected, 30.0, 30, 11), (corrected, 29.0, 50, 12)],
        ),
    );
    post(&exporter, &events("b", &[(filled, 39.0, 100, 10), (corrected, 30.0, 100, 12)]));
    for (account, notional, cost) in [("a", 600.0, 100.0), ("b", 1200.0, 200.0)] {
        let labels = format!("account=\"{account}\",symbol=\"X\"");
        assert_eq!(standing(&exporter, "executed_notional", &labels), Some(notional), "{account}");
        assert_eq!(standing(&exporter, "slippage_cost", &labels), Some(cost), "{account}");
        assert_eq!(sample(&exporter, &format!("trading_window_fills{{{labels}}}")), Some(1.0));
    }
    let money = exporter.get("/api/v1/execution?account=a&symbol=X").json();
    let money = &money["counters"]["money"]["USD"];
    assert_eq!((&money["notional"], &money["notional_reversed"]), (&json!("870"), &json!("270")));
}

#[test]
fn a_fee_in_the_bought_coin_is_no_drift() {
    let exporter = exporter();
    let broker = |account: &str, at: f64, quantity: Option<&str>| {
        let row = |quantity| {
            json!({"symbol": "BTC/USD", "quantity": quantity, "average_price": "60000",
                "market_price": "60000"})
        };
        let rows: Vec<Value> = quantity.map(row).into_iter().collect();
        json!({"type": "positions", "account": account, "source": "broker", "time": ago(at),
            "positions": rows})
    };
    let fill = |account: &str| {
        json!({"type": "order_filled", "account": account, "order_id": "1", "symbol": "BTC/USD",
            "side": "buy", "fill_id": "f", "quantity": "0.5", "price": "60000",
            "fee": "0.00125", "fee_currency": "BTC", "time": ago(39.0)})
    };
    let adjusted = |account: &str| {
        json!({"type": "position_adjusted", "account": account, "symbol": "BTC/USD",
            "quantity": "-0.00125", "reason": "fee", "time": ago(39.0)})
    };
    // Reported by the fill, also as an adjustment, and as an adjustment before the fill.
    let reports = [
        ("b", vec![fill("b")]),
        ("c", vec![fill("c"), adjusted("c")]),
        ("d", vec![adjusted("d"), fill("d")]),
    ];
    for (account, lines) in reports {
        let mut events = vec![broker(account, 60.0, None)];
        events.extend(lines);
        events.push(broker(account, 20.0, Some("0.49875")));
        post(&exporter, &Value::from(events));
        post(&exporter, &broker(account, 2.0, Some("0.49875")));
        let labels = format!("account=\"{account}\",symbol=\"BTC/USD\",book=\"ledger\"");
        let ledger = sample(&exporter, &format!("trading_position_quantity{{{labels}}}"));
        assert_eq!(ledger, Some(0.49875), "{account}");
        let drifts = exporter.get(&format!("/api/v1/drift?account={account}")).json();
        assert_eq!(drifts, json!([]), "{drifts}");
    }
}

#[test]
fn quantities_of_different_symbols_are_never_added() {
    let exporter = exporter();
    let events = json!([
        {"type": "order_submitted", "order_id": "1", "symbol": "M1", "side": "buy", "quantity": 1_000_000},
        {"type": "order_cancelled", "order_id": "1"},
        {"type": "order_submitted", "order_id": "2", "symbol": "M2", "side": "buy", "quantity": 1},
        {"type": "order_filled", "order_id": "2", "quantity": 1, "price": 1},
    ]);
    post(&exporter, &events);
    let window =
        |query: &str| exporter.get(&format!("/api/v1/execution{query}")).json()["window"].take();
    assert_eq!(window("")["quantity_fill_ratio"], Value::Null);
    assert_eq!(window("?symbol=M2")["quantity_fill_ratio"], json!(1.0));
}
