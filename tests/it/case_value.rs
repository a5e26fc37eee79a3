//! Missing prices as real senders report them (zero, absent, dust, coins of many units), and how a drift
//! is still valued and attributed.

use serde_json::{Value, json};
use trading_exporter::clock;

use crate::exporter::Exporter;

/// Posts one event per line, in one request; `time` is in seconds from now.
fn post(exporter: &Exporter, account: &str, lines: &str) {
    let now = clock::now().as_seconds();
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let events: Vec<Value> = lines
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            event["account"] = json!(account);
            let time = now + event["time"].as_f64().unwrap();
            event["time"] = json!(format!("{time:.3}").parse::<f64>().unwrap());
            event
        })
        .collect();
    let answer = exporter.post("/api/v1/events", &json!(events).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Posts a local and a broker's list of one symbol, 2 s and 1 s old.
fn books(symbol: &str, local: &str, broker: &str) -> String {
    let list = |source: &str, time: i32, row: &str| {
        let rows = if row.is_empty() {
            String::new()
        } else {
            format!(r#"{{"symbol":"{symbol}",{row}}}"#)
        };
        format!(r#"{{"type":"positions","source":"{source}","time":{time},"positions":[{rows}]}}"#)
    };
    format!("{}\n{}", list("local", -2, local), list("broker", -1, broker))
}

fn drift(exporter: &Exporter, account: &str) -> Value {
    exporter.get(&format!("/api/v1/drift?account={account}")).json()[0].clone()
}

/// Type, severity, deciding test and price of a drift, as words.
fn says(drift: &Value) -> String {
    if drift.is_null() {
        return "none".to_owned();
    }
    let word = |field: &str| drift[field].as_str().unwrap_or("-").to_owned();
    let words = [word("type"), word("severity"), word("decided_by"), word("price")];
    words.join(" ")
}

fn state(exporter: &Exporter, account: &str) -> Value {
    exporter.get(&format!("/api/v1/permit?account={account}")).json()["state"].clone()
}

/// The value of a series of /metrics, by its prefix. `None` if it is missing.
fn metric(exporter: &Exporter, series: &str) -> Option<String> {
    let text = exporter.get("/metrics").body;
    text.lines().find_map(|line| line.strip_prefix(series)).map(|rest| rest.trim().to_owned())
}

#[test]
fn a_price_of_zero_values_nothing() {
    let exporter = Exporter::start(&[]);
    let check = |account: &str, before: &str, books: &str, expect: &str, halts: bool| {
        post(&exporter, account, &format!("{before}\n{books}"));
        assert_eq!(says(&drift(&exporter, account)), expect, "{account}");
        let expect = if halts { "halted" } else { "active" };
        assert_eq!(state(&exporter, account), expect, "{account}");
    };
    let real = r#"{"type":"quote","symbol":"BTC","bid":59999,"ask":60001,"time":-5}"#;
    let zeros = r#"{"type":"quote","symbol":"BTC","bid":0,"ask":0,"time":-4}"#;
    let no_bid = r#"{"type":"quote","symbol":"BTC","bid":0,"ask":100,"time":-4}"#;
    let tiny = r#"{"type":"quote","symbol":"BTC","price":0.000001,"time":-4}"#;
    let flat = books("BTC", r#""quantity":"0.9""#, "");
    let critical = "ghost_position critical value 60000";
    check("quote", real, &flat, critical, true);
    check("quote-of-zeros", &format!("{real}\n{zeros}"), &flat, critical, true);
    check("no-bid", no_bid, &flat, "ghost_position moderate value_unknown -", false);
    let averages = |broker: &str| {
        let held = r#""quantity":"0.9","average_price":"60000""#;
        books("BTC", held, &format!(r#""quantity":"0.0001",{broker}"#))
    };
    let critical = "quantity_mismatch critical value 60000";
    let zero = r#""average_price":"60000","market_price":"0.00000000""#;
    check("market-price-0", "", &averages(zero), critical, true);
    check("engine-quote", tiny, &averages(r#""average_price":"60000""#), critical, true);
    check("all-0", "", &averages(r#""average_price":0,"market_price":0"#), critical, true);
    let nothing = books("BTC", r#""quantity":"0.9""#, r#""quantity":"0.0001""#);
    check("no-price", "", &nothing, "quantity_mismatch minor value_unknown -", false);
    let series = |account: &str| {
        let name = "trading_position_drift_unvalued";
        metric(&exporter, &format!("{name}{{account=\"{account}\",symbol=\"BTC\"}}"))
    };
    assert_eq!(series("no-price").as_deref(), Some("1.0"));
    assert_eq!(series("market-price-0").as_deref(), Some("0.0"));
}

#[test]
fn a_price_of_zero_ends_no_drift() {
    let exporter = Exporter::start(&[]);
    let lists = |time: i32, price: &str| {
        format!(
            r#"{{"type":"positions","source":"local","time":{time},"positions":[{{"symbol":"BTC","quantity":"0.9"}}]}}
            {{"type":"positions","source":"broker","time":{time},"positions":[{{"symbol":"BTC","quantity":"0.0001","market_price":"{price}"}}]}}"#
        )
    };
    post(&exporter, "a", &lists(-20, "60000"));
    assert_eq!(says(&drift(&exporter, "a")), "quantity_mismatch critical value 60000");
    post(&exporter, "a", &lists(-2, "0.00000000"));
    let drift = drift(&exporter, "a");
    assert_eq!(says(&drift), "quantity_mismatch critical value 60000");
    assert_eq!(drift["state"], "open");
    let history = exporter.get("/api/v1/drift/history?account=a").json();
    assert_eq!((history.as_array().unwrap().len(), &history[0]["cleared_at"]), (1, &Value::Null));
}

#[test]
fn an_average_of_zero_is_ignored_and_a_price_mismatch_halts_nobody() {
    let exporter = Exporter::start(&[]);
    let check = |account: &str, local: &str, broker: &str, expect: &str, value: Value| {
        post(&exporter, account, &books("AAPL", local, broker));
        let drift = drift(&exporter, account);
        assert_eq!((says(&drift), &drift["value_drift"]), (expect.to_owned(), &value), "{account}");
        assert_eq!(state(&exporter, account), "active");
    };
    let held = |average: &str| format!(r#""quantity":100,"average_price":{average}"#);
    check("zero", &held("187"), &held("0"), "none", Value::Null);
    let mismatch = "price_mismatch moderate value 900";
    let dust = r#""quantity":30.000000000000004,"average_price":100"#;
    let row = r#""quantity":30,"average_price":900,"market_price":900"#;
    check("dust", dust, row, mismatch, json!("24000.0000000000032"));
    check("real", r#""quantity":30,"average_price":100"#, row, mismatch, json!("24000"));
    check("flat", r#""quantity":5.6e-17,"average_price":3000"#, "", "none", Value::Null);
}

#[test]
fn a_fill_without_a_price_only_changes_the_position() {
    let exporter = Exporter::start(&[]);
    let order = |account: &str, side: &str, price: &str| {
        let lines = format!(
            r#"{{"type":"order_submitted","order_id":"1","symbol":"SPY","side":"{side}","quantity":100,"expected_price":509,"time":-9}}
            {{"type":"order_filled","order_id":"1","fill_id":"1","quantity":100,"price":{price},"time":-8}}"#
        );
        post(&exporter, account, &lines);
    };
    order("bought", "buy", "0");
    order("sold", "sell", "\"0.00\"");
    for (account, position) in [("bought", "100.0"), ("sold", "-100.0")] {
        let of = |name: &str, labels: &str| {
            let series = format!("{name}{{account=\"{account}\",symbol=\"SPY\"{labels}}}");
            metric(&exporter, &series)
        };
        assert_eq!(of("trading_position_quantity", ",book=\"ledger\"").as_deref(), Some(position));
        assert_eq!(of("trading_slippage_bps", ",reference=\"expected\""), None);
        for total in ["trading_slippage_cost_total", "trading_price_improvement_total"] {
            assert_eq!(of(total, ",currency=\"USD\"").as_deref(), Some("0.0"), "{total}");
        }
    }
    // The price arrives later.
    let correction = r#"{"type":"fill_corrected","order_id":"1","fill_id":"1","quantity":100,"price":509.509,"time":-7}"#;
    post(&exporter, "bought", correction);
    let bps = metric(
        &exporter,
        "trading_slippage_bps{account=\"bought\",symbol=\"SPY\",reference=\"expected\"}",
    );
    assert_eq!(bps.as_deref(), Some("10.0"));
}

#[test]
fn an_arrival_price_of_zero_is_replaced_by_the_quote() {
    let exporter = Exporter::start(&[]);
    let lines = r#"{"type":"quote","symbol":"OTC","bid":99,"ask":101,"time":-9}
        {"type":"quote","symbol":"OTC","bid":0,"ask":100,"time":-8.5}
        {"type":"order_submitted","order_id":"1","symbol":"OTC","side":"buy","quantity":1,"arrival_price":0,"expected_price":0,"limit_price":0,"time":-8}
        {"type":"order_filled","order_id":"1","fill_id":"1","quantity":1,"price":101,"time":-7}"#;
    post(&exporter, "a", lines);
    let bps = |reference: &str| {
        let labels = format!("account=\"a\",symbol=\"OTC\",reference=\"{reference}\"");
        metric(&exporter, &format!("trading_slippage_bps{{{labels}}}"))
    };
    assert_eq!(bps("arrival").as_deref(), Some("100.0"));
    assert_eq!((bps("expected"), bps("limit")), (None, None));
}

#[test]
fn an_order_is_filled_within_dust_of_its_quantity() {
    let exporter = Exporter::start(&[]);
    let check = |account: &str, ordered: &str, fills: &[&str]| {
        let submission = format!(
            r#"{{"type":"order_submitted","order_id":"1","symbol":"ETH","side":"buy","quantity":{ordered},"expected_price":3000,"time":-9}}"#
        );
        let fills = fills.iter().enumerate().map(|(id, quantity)| {
            format!(
                r#"{{"type":"order_filled","order_id":"1","fill_id":"{id}","quantity":{quantity},"price":3000,"time":-8}}"#
            )
        });
        let lines: Vec<String> = std::iter::once(submission).chain(fills).collect();
        post(&exporter, account, &lines.join("\n"));
        let of = |name: &str| {
            metric(&exporter, &format!("{name}{{account=\"{account}\",symbol=\"ETH\"}}")).unwrap()
        };
        assert_eq!(of("trading_orders_filled_total"), "1.0", "{account}");
        assert_eq!(of("trading_overfills_total"), "0.0", "{account}");
        assert_eq!(of("trading_orders_open"), "0.0", "{account}");
        assert_eq!(of("trading_fill_ratio"), "1.0", "{account}");
        assert_eq!(of("trading_quantity_fill_ratio"), "1.0", "{account}");
    };
    check("less", "0.30000000000000004", &["0.1", "0.2"]);
    check("more", "0.19999999999999996", &["0.2"]);
}

#[test]
fn coins_are_judged_by_their_value() {
    let exporter = Exporter::start(&[]);
    let cheap = |quantity: &str| {
        format!(r#""quantity":{quantity},"average_price":"0.00001","market_price":"0.00001""#)
    };
    post(&exporter, "cheap", &books("SHIB/USDT", &cheap("50000000"), &cheap("49950000")));
    assert_eq!(drift(&exporter, "cheap"), Value::Null, "fifty cents");
    let tolerated = exporter.get("/api/v1/drift?account=cheap&state=within_tolerance").json();
    assert_eq!((&tolerated[0]["value_drift"], &tolerated[0]["id"]), (&json!("0.5"), &json!(0)));
    assert_eq!(tolerated[0]["state"], "within_tolerance");
    let dear = |quantity: &str| {
        format!(r#""quantity":"{quantity}","average_price":"60000","market_price":"60000""#)
    };
    post(&exporter, "dear", &books("BTC/USD", &dear("0.5"), &dear("0.49875")));
    assert_eq!(says(&drift(&exporter, "dear")), "quantity_mismatch minor value 60000");
}

#[test]
fn the_list_that_anchors_the_ledger_attributes_nothing() {
    let exporter = Exporter::start(&[]);
    let fill = |symbol: &str, quantity: &str, price: &str| {
        format!(
            r#"{{"type":"order_filled","order_id":"1","fill_id":"1","symbol":"{symbol}","side":"buy","quantity":{quantity},"price":{price},"time":-89}}"#
        )
    };
    let lists = |symbol: &str, local: &str, broker: &str| {
        books(symbol, &format!(r#""quantity":{local}"#), &format!(r#""quantity":{broker}"#))
    };
    let flat = r#"{"type":"positions","source":"broker","time":-120,"positions":[]}"#;
    let check = |account: &str, lines: &str, expect: [&str; 2]| {
        post(&exporter, account, lines);
        let drift = drift(&exporter, account);
        let got = [&drift["attribution"], &drift["ledger_basis"]];
        assert_eq!(got, expect.map(|word| json!(word)).each_ref(), "{account}: {drift}");
    };
    let aapl = fill("AAPL", "100", "187.4");
    let lost = lists("AAPL", "100", "88");
    let external = "external_or_unreported_trade";
    check("at-the-anchor", &format!("{aapl}\n{lost}"), [external, "assumed_flat"]);
    check("anchored", &format!("{flat}\n{aapl}\n{lost}"), [external, "anchored"]);
    check("no-fill", &lost, ["unexplained", "assumed_flat"]);
    let btc = fill("BTC", "12", "60000");
    let nearer = format!("{flat}\n{btc}\n{}", lists("BTC", "12", "11.5"));
    check("nearer", &nearer, [external, "anchored"]);
}

#[test]
fn one_position_under_two_names_gets_a_hint() {
    let exporter = Exporter::start(&[]);
    let row = |symbol: &str| {
        format!(r#"{{"symbol":"{symbol}","quantity":"0.9","average_price":"60000"}}"#)
    };
    let lines = format!(
        r#"{{"type":"positions","source":"local","time":-2,"positions":[{}]}}
        {{"type":"positions","source":"broker","time":-2,"positions":[{}]}}"#,
        row("BTC/USDT"),
        row("BTCUSDT"),
    );
    post(&exporter, "a", &lines);
    let drifts = exporter.get("/api/v1/drift?account=a").json();
    for at in [0, 1] {
        assert_eq!(drifts[at]["hint"], "same_position_two_names", "{drifts}");
    }
}

#[test]
fn a_halt_names_the_test_that_decided() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.yml");
    let text = "drift:\n  quantity: {minor: 1000000, moderate: 1000001, critical: 1000002}\n  \
                value: {minor: 100000000, moderate: 100000001, critical: 100000002}\n  \
                relative: {minor: 0.1, moderate: 0.2, critical: 0.25}\n";
    std::fs::write(&path, text).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", path.display())]);
    let held = |quantity: u32| format!(r#""quantity":{quantity},"average_price":1"#);
    post(&exporter, "a", &books("X", &held(150), &held(100)));
    let permit = exporter.get("/api/v1/permit?account=a").json();
    let reason = permit["causes"][0]["reason"].as_str().unwrap();
    let expect = "decided by fraction: 50 of a position of 150 (threshold 0.25)";
    assert!(reason.ends_with(expect), "{reason}");
}
