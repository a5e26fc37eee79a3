//! Every kind against its table of fields; good and bad events of each kind.

use super::*;
use crate::domain::ids::Session;
use crate::wire::contract::spec::Presence;
use crate::wire::decode::{DecodeLimits, decode_json};
use crate::wire::encode::encode;
use serde_json::Value as Json;

/// Decodes one event, good or bad.
fn decode_one(text: &str) -> Result<Event, (&'static str, String, String)> {
    let mut decoded = decode_json(text.as_bytes(), &DecodeLimits::default()).expect("a body");
    assert_eq!(decoded.total, 1);
    match (decoded.events.pop(), decoded.refused.pop()) {
        (Some((0, event)), None) => Ok(event),
        (None, Some(e)) => Err((e.code.as_str(), e.field.unwrap_or_default(), e.message)),
        other => panic!("neither good nor bad: {other:?}"),
    }
}

/// Checks the outcome: `""` is good, else `code field`.
fn check(text: &str, expect: &str) {
    let got = match decode_one(text) {
        Ok(event) => {
            let bytes = encode(&event);
            let again = decode_one(std::str::from_utf8(&bytes).expect("UTF-8")).expect("an event");
            assert_eq!(again, event, "{text}");
            String::new()
        }
        Err((code, field, _)) => format!("{code} {field}"),
    };
    assert_eq!(got, expect, "{text}");
}

/// The example of a kind as a JSON object.
fn example(kind: &KindSpec) -> serde_json::Map<String, Json> {
    serde_json::from_str(kind.example).expect("a JSON object")
}

fn text(object: &serde_json::Map<String, Json>) -> String {
    serde_json::to_string(object).expect("JSON")
}

#[test]
fn the_table_names_the_kinds_of_the_domain() {
    assert_eq!(KINDS.map(|k| k.name), crate::domain::event::KINDS);
    for kind in KINDS {
        assert_eq!(decode_one(kind.example).expect(kind.name).body.kind(), kind.name);
        check(kind.example, "");
    }
}

#[test]
fn the_decoder_accepts_exactly_the_fields_of_the_table() {
    for kind in KINDS {
        let specs: Vec<&FieldSpec> = kind.fields().collect();
        for field in Field::ALL.iter().filter(|f| **f != Field::Type) {
            let mut object = example(kind);
            object.remove("time");
            object.insert(field.name().into(), Json::Null);
            let name = field.name();
            match specs.iter().find(|s| s.field == *field) {
                // `null` is the same as missing, also for fields of other kinds.
                None => {
                    check(&text(&object), "");
                    object.insert(name.into(), 1.into());
                    check(&text(&object), &format!("unknown_field {name}"));
                }
                Some(spec) => {
                    if spec.presence == Presence::Required {
                        check(&text(&object), &format!("missing_field {name}"));
                    }
                    // No shape accepts an object: this shows that the field is read, and its code.
                    object.insert(name.into(), serde_json::json!({}));
                    check(&text(&object), &format!("{} {name}", spec.shape.code().as_str()));
                }
            }
        }
    }
}

#[test]
fn only_required_fields_are_required() {
    for kind in KINDS {
        let required: Vec<&str> = kind
            .fields()
            .filter(|s| s.presence == Presence::Required)
            .map(|s| s.field.name())
            .collect();
        let mut object = example(kind);
        object.retain(|name, _| name == "type" || required.contains(&&**name));
        let either = kind.alternatives().first().and_then(|fields| fields.first());
        let missing = either.map(|field| format!("missing_field {}", field.name()));
        check(&text(&object), &missing.unwrap_or_default());
    }
}

#[test]
fn envelopes() {
    let with = |field: &str| format!(r#"{{"type":"quote","symbol":"A","price":1,{field}}}"#);
    let event = decode_one(&with(
        r#""account":"paper","time":1795357800.5,"event_id":"E","session":"S","strategy":"T","venue":"V","synthetic":true,"x_mine":{"a":[1,{}]}"#,
    ))
    .expect("an event");
    assert_eq!(event.account.as_str(), "paper");
    assert_eq!(event.time.map(Timestamp::as_nanos), Some(1_795_357_800_500_000_000));
    assert_eq!(event.event_id.as_ref().map(EventId::as_str), Some("E"));
    assert_eq!(event.session.as_ref().map(Session::as_str), Some("S"));
    assert_eq!(event.strategy.as_ref().map(Strategy::as_str), Some("T"));
    assert_eq!(event.venue.as_ref().map(Venue::as_str), Some("V"));
    assert!(event.synthetic);

    let bare = decode_one(&with(r#""session":"","x_":1"#)).expect("an event");
    assert_eq!(bare.account, Account::default());
    assert_eq!((bare.time, bare.session, bare.synthetic), (None, None, false));

    check(&with(r#""account":"*""#), "invalid_identifier account");
    check(&with(r#""account":"__other__""#), "invalid_identifier account");
    check(&with(r#""account":"""#), "invalid_identifier account");
    check(&with(r#""account":7"#), "invalid_identifier account");
    check(&with(r#""account":null"#), "");
    check(&with(r#""event_id":"""#), "invalid_identifier event_id");
    check(&with(r#""strategy":"a\u0000b""#), "invalid_identifier strategy");
    check(&with(r#""venue":"a\u202eb""#), "invalid_identifier venue");
    check(&with(r#""venue":"\ud800""#), "invalid_identifier venue");
    check(&with(r#""venue":"\ud83d\ude00""#), "");
    check(&with(&format!(r#""venue":"{}""#, "v".repeat(128))), "");
    check(&with(&format!(r#""venue":"{}""#, "v".repeat(129))), "invalid_identifier venue");
    check(&with(&format!(r#""venue":"{}""#, r"\u0076".repeat(128))), "");
    check(&with(&format!(r#""venue":"{}""#, r"\u0076".repeat(129))), "invalid_identifier venue");
    check(&with(&format!(r#""venue":"{}\n""#, "v".repeat(10_000_000))), "invalid_identifier venue");
    check(&with(r#""synthetic":"true""#), "invalid_value synthetic");
    check(&with(r#""synthetic":1"#), "invalid_value synthetic");
    check(&with(r#""time":"yesterday""#), "invalid_time time");
    check(&with(r#""time":"2026-11-22T14:30:00""#), "invalid_time time");
    check(&with(r#""time":1795357800123"#), "invalid_time time");
    check(&with(r#""time":"1795357800.25""#), "");
    check(&with(r#""time":1e400"#), "invalid_time time");
    check(&with(r#""time":true"#), "invalid_time time");
    check(&with(r#""time":"""#), "invalid_time time");
    check(&with(r#""time_ns":1795357800000000001"#), "");
    check(&with(r#""time_ns":"1795357800000000001""#), "");
    check(&with(r#""time_ns":1795357800"#), "invalid_time time_ns");
    check(&with(r#""time_ns":1795357800000000000.5"#), "invalid_time time_ns");
    check(&with(r#""time":1795357800,"time_ns":1795357800000000000"#), "invalid_time time_ns");
    check(&with(r#""time":1795357800,"time_ns":null"#), "");
}

#[test]
fn identifiers() {
    check("{}", "missing_field type");
    check(r#"{"type":null}"#, "missing_field type");
    check(r#"{"type":7}"#, "unknown_type type");
    check(r#"{"type":"Quote"}"#, "unknown_type type");
    check(r#"{"type":"order_fileld","expected_pirce":1}"#, "unknown_type type");
    check(r#"{"t\u0079pe":"quote","symbol":"A","price":1}"#, "");
    check(r#"{"type":"quote","symbol":"A","price":1,"pirce":1}"#, "unknown_field pirce");
    check(r#"{"type":"quote","symbol":"A","price":1,"pirce":null}"#, "unknown_field pirce");
    check(r#"{"type":"quote","symbol":"A","price":1,"X_a":1}"#, "unknown_field X_a");
    check(r#"{"type":"quote","symbol":"A","price":1,"":1}"#, "unknown_field ");
    check(r#"{"type":"quote","symbol":"A","price":1,"quantity":1}"#, "unknown_field quantity");
    check(r#"{"type":"quote","symbol":"A","price":1,"price":1}"#, "duplicate_field price");
    check(r#"{"type":"quote","symbol":"A","price":null,"price":1}"#, "duplicate_field price");
    check(r#"{"type":"quote","symbol":"A","price":1,"pric\u0065":1}"#, "duplicate_field price");
    check(r#"{"type":"quote","type":"quote","symbol":"A","price":1}"#, "duplicate_field type");
    check(r#"{"type":"quote","symbol":"A","price":1,"x_a":1,"x_a":2}"#, "");
}

#[test]
fn numbers() {
    let quantity = |q: &str| {
        let side = r#""type":"order_submitted","order_id":"O","symbol":"A","side":"buy""#;
        format!("{{{side},\"quantity\":{q}}}")
    };
    for good in [
        "1",
        "0.1",
        "\"0.1\"",
        "1e3",
        "1E-18",
        "\"9.61e-06\"",
        "100.000000000000000000000",
        "0.1234567890123456789",
    ] {
        check(&quantity(good), "");
    }
    for bad in [
        "0",
        "-1",
        "-0.0",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-inf\"",
        "\"None\"",
        "\"\"",
        "\" 1\"",
        "\"1 \"",
        "1e400",
        "1e-29",
        "1e-19",
        "\"0.1234567890123456789\"",
        "true",
        "[]",
        "{}",
        "123456789012345678901234567890",
        "\"1,000\"",
        "\"1_000\"",
        "\"0x10\"",
        "\"1.23 USD\"",
        "\"\\ud800\"",
        "\"\u{661}\"",
    ] {
        check(&quantity(bad), "invalid_quantity quantity");
    }
    check(&quantity("null"), "missing_field quantity");
    check(&quantity(&format!("\"{}\"", "9".repeat(10_000_000))), "invalid_quantity quantity");
    check(&quantity(&"9".repeat(10_000_000)), "invalid_quantity quantity");
    let tenths = decode_one(&quantity("0.10")).expect("an event");
    assert_eq!(tenths, decode_one(&quantity("\"1e-1\"")).expect("an event"));
}

#[test]
fn orders() {
    let order = |kind: &str, rest: &str| {
        format!(r#"{{"type":"{kind}","order_id":"O-1","symbol":"ES-SPREAD","side":"sell"{rest}}}"#)
    };
    for price in ["expected_price", "decision_price", "arrival_price", "limit_price"] {
        let with = |value| order("order_submitted", &format!(r#","quantity":1,"{price}":{value}"#));
        check(&with("-0.25"), "");
        check(&with("0"), "");
        check(&with("null"), "");
        check(&with("\"NaN\""), &format!("invalid_price {price}"));
        check(&with("1e-29"), &format!("invalid_price {price}"));
    }
    check(&order("order_submitted", r#","quantity":1,"side":"sell""#), "duplicate_field side");
    check(
        &order("order_submitted", r#","quantity":1,"reduce_only":"no""#),
        "invalid_value reduce_only",
    );
    check(r#"{"type":"order_expired","order_id":"O","side":"Buy"}"#, "invalid_value side");
    check(r#"{"type":"order_expired","order_id":"O","symbol":"*"}"#, "invalid_identifier symbol");
    check(
        r#"{"type":"order_expired","order_id":"O","symbol":"__other__"}"#,
        "invalid_identifier symbol",
    );
    check(&order("order_filled", r#","price":1"#), "");
    check(&order("order_filled", r#","price":1,"quantity":0"#), "invalid_quantity quantity");
    check(&order("order_filled", r#","price":1,"fee":"-0.02","fee_currency":"BNB""#), "");
    check(&order("order_filled", r#","price":1,"fee":"1.23 USD""#), "invalid_amount fee");
    check(&order("order_filled", r#","price":1,"liquidity":"MAKER""#), "invalid_value liquidity");
    check(&order("order_cancelled", r#","initiator":"engine""#), "invalid_value initiator");
    check(&order("order_rejected", r#","reason":"line\none\ttab ünïcode \"q\" \\""#), "");
    check(&order("order_rejected", r#","reason":"""#), "");
    check(&order("order_rejected", r#","reason":"\u001b[31m""#), "invalid_text reason");
    check(&order("order_rejected", r#","reason":"\u0085""#), "invalid_text reason");
    check(&order("order_rejected", r#","code":201"#), "invalid_text code");
    let long = |n| format!(r#","reason":"{}""#, "r".repeat(n));
    check(&order("order_rejected", &long(512)), "");
    check(&order("order_rejected", &long(513)), "invalid_text reason");
    check(&order("order_rejected", &long(10_000_000)), "invalid_text reason");
    check(&order("order_replaced", r#","quantity":-5"#), "invalid_quantity quantity");
    check(
        &order("fill_corrected", r#","fill_id":"F","quantity":0,"price":1"#),
        "invalid_quantity quantity",
    );
}

#[test]
fn quotes() {
    let quote = |rest: &str| format!(r#"{{"type":"quote","symbol":"A",{rest}}}"#);
    let mid = |rest: &str| {
        let Body::Quote(quote) = decode_one(&quote(rest)).expect("an event").body else {
            panic!("no quote");
        };
        quote.mid.to_string()
    };
    assert_eq!(mid(r#""bid":187.39,"ask":"187.40""#), "187.395");
    assert_eq!(mid(r#""price":-3"#), "-3");
    check(&quote(r#""bid":2,"ask":1"#), "");
    check(&quote(r#""bid":2"#), "missing_field ask");
    check(&quote(r#""ask":2,"bid":null"#), "missing_field bid");
    check(&quote(r#""bid":1,"ask":2,"price":1"#), "invalid_price price");
    check(&quote(r#""bid":"x","ask":2"#), "invalid_price bid");
    check(&quote(r#""bid":1e-18,"ask":2e-18"#), "invalid_price ask");
}

#[test]
fn snapshots() {
    let with = |rest: &str| format!(r#"{{"type":"positions","source":"local",{rest}}}"#);
    let rows = |rows: &str| with(&format!(r#""positions":[{rows}]"#));
    check(&rows(""), "");
    check(&rows(r#"{"symbol":"A","quantity":-5},{"symbol":"A","quantity":0,"x_leg":[1]}"#), "");
    check(
        &rows(r#"{"symbol":"A","quantity":1},{"symbol":"B"}"#),
        "missing_field positions[1].quantity",
    );
    check(&rows(r#"{"symbol":"A","quantity":"NaN"}"#), "invalid_quantity positions[0].quantity");
    check(
        &rows(r#"{"symbol":"A","quantity":1,"market_price":"x"}"#),
        "invalid_price positions[0].market_price",
    );
    check(&rows(r#"{"symbol":"*","quantity":1}"#), "invalid_identifier positions[0].symbol");
    check(&rows(r#"{"symbol":"A","quantity":1,"qty":1}"#), "unknown_field positions[0].qty");
    check(&rows(r#"{"symbol":"A","quantity":1,"side":"buy"}"#), "unknown_field positions[0].side");
    check(
        &rows(r#"{"symbol":"A","quantity":1,"quantity":1}"#),
        "duplicate_field positions[0].quantity",
    );
    check(&rows("5"), "invalid_value positions[0]");
    check(&with(r#""positions":{}"#), "invalid_value positions");
    check(&with(r#""positions":null"#), "missing_field positions");
    check(&with(r#""positions":[],"complete":"yes""#), "invalid_value complete");
    check(&with(r#""positions":[],"status":"ok","error":"""#), "");
    check(&with(r#""positions":[],"error":"timeout""#), "invalid_value error");
    check(&with(r#""positions":[],"status":"FAILED""#), "invalid_value status");
    check(r#"{"type":"positions","source":"ledger","positions":[]}"#, "invalid_value source");

    let failed = |rest: &str| {
        let Body::Positions(positions) = decode_one(&with(rest)).expect("an event").body else {
            panic!("no snapshot");
        };
        (positions.rows.len(), positions.failure)
    };
    assert_eq!(failed(r#""status":"failed""#), (0, Some(Box::from(""))));
    assert_eq!(
        failed(r#""status":"failed","error":"timeout","positions":[{"symbol":"A","quantity":1}]"#),
        (0, Some(Box::from("timeout")))
    );
    check(&with(r#""status":"failed","complete":false"#), "");
}

#[test]
fn heartbeats() {
    let beat = |rest: &str| format!(r#"{{"type":"heartbeat","component":"broker",{rest}}}"#);
    check(&beat(r#""latency_seconds":0.00023031234741210938"#), "");
    check(&beat(r#""latency_seconds":"0""#), "");
    check(&beat(r#""latency_seconds":-0.1"#), "invalid_number latency_seconds");
    check(&beat(r#""latency_seconds":"NaN""#), "invalid_number latency_seconds");
    check(&beat(r#""latency_seconds":1e400"#), "invalid_number latency_seconds");
    check(&beat(r#""interval_seconds":0.1"#), "");
    check(&beat(r#""interval_seconds":0"#), "invalid_number interval_seconds");
    check(&beat(r#""interval_seconds":1e-10"#), "invalid_number interval_seconds");
    check(&beat(r#""interval_seconds":1e9"#), "invalid_number interval_seconds");
    check(&beat(r#""status":"unknown""#), "invalid_value status");
    check(&beat(r#""status":"Healthy""#), "invalid_value status");
    check(r#"{"type":"heartbeat","component":""}"#, "invalid_identifier component");
}

#[test]
fn messages_name_the_field_and_never_the_value() {
    let check = |text: &str, expect: &str| {
        assert_eq!(decode_one(text).expect_err("refused").2, expect);
    };
    check(
        r#"{"type":"order_filled","order_id":"O","price":1,"quantity":-3}"#,
        "quantity must be greater than zero",
    );
    check(
        r#"{"type":"order_expired","order_id":"O","side":"<script>"}"#,
        "side must be one of: buy sell",
    );
    check(
        r#"{"type":"positions","source":"local","positions":[{"symbol":"A","quantity":"1e-30"}]}"#,
        "positions[0].quantity cannot be held exactly: at most 18 decimal places and 28 digits",
    );
}

#[test]
fn an_order_has_a_quantity_or_a_notional() {
    let with = |ordered: &str| {
        format!(r#"{{"type":"order_submitted","order_id":"1","symbol":"X","side":"buy"{ordered}}}"#)
    };
    check(&with(r#","quantity":1"#), "");
    check(&with(r#","notional":"100.5""#), "");
    check(&with(""), "missing_field quantity");
    check(&with(r#","quantity":1,"notional":1"#), "invalid_amount notional");
    check(&with(r#","notional":0"#), "invalid_amount notional");
    check(&with(r#","quantity":null,"notional":-1"#), "invalid_amount notional");
}
