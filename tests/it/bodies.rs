//! Invalid bodies: each is rejected with a reason and changes nothing.

use std::fmt::Write as _;

use crate::exporter::{Client, Exporter};

/// The exposed state, without the metrics of the exporter's own process.
fn state(exporter: &Exporter) -> String {
    let own = |line: &&str| !line.contains("trading_exporter_") && !line.contains("process_");
    exporter.get("/metrics").body.lines().filter(own).fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

/// A client that sends its whole body before it reads must still receive the answer.
#[test]
fn a_body_that_is_too_large_is_answered() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let before = state(&exporter);
    let symbol = "x".repeat(10 << 20);
    let body = format!(r#"{{"type":"quote","symbol":"{symbol}","price":1}}"#);
    for _ in 0..5 {
        let answer = exporter.post("/api/v1/events", &body);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (413, Some("body_too_large")));
    }
    let answer = exporter.post("/api/v1/nothing", &body);
    assert_eq!(answer.status, 404);
    assert_eq!(state(&exporter), before);
}

/// Each is rejected with its code, and the state is unchanged.
#[test]
fn rejected_bodies_change_nothing() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let before = state(&exporter);
    let mut client = Client::connect(exporter.address);
    let mut check = |body: &str, status: u16, code: &str, field: Option<&str>| {
        let answer = client.send("POST", "/api/v1/events", body);
        let json = answer.json();
        let problem = if status == 400 { &json } else { &json["rejected"][0] };
        let found = (answer.status, problem["code"].as_str(), problem["field"].as_str());
        assert_eq!(
            found,
            (status, Some(code), field),
            "{}: {json}",
            body.get(..200).unwrap_or(body)
        );
    };
    let malformed = ["", "{", "nul", "[1", "\"x\"", "{\"type\":\"quote\",\"symbol\":\"A\",\"pri"];
    for body in malformed {
        check(body, 400, "invalid_json", None);
    }
    check("[1]", 422, "invalid_event", None);
    check(&"[".repeat(100_000), 400, "invalid_json", None);
    let deep = format!(r#"{{"type":"quote","x_a":{}1{}}}"#, "[".repeat(99), "]".repeat(99));
    check(&deep, 400, "too_deep", None);
    check(r#"{"type":"trade"}"#, 422, "unknown_type", Some("type"));
    let submitted = |fields: &str| {
        format!(r#"{{"type":"order_submitted","order_id":"O","symbol":"S","side":"buy",{fields}}}"#)
    };
    let quantities = [
        "0",
        "-1",
        "1e400",
        "1e-29",
        "\"1e-29\"",
        "\"NaN\"",
        "true",
        "[]",
        "\"\"",
        "123456789012345678901234567890",
    ];
    for quantity in quantities {
        let body = submitted(&format!(r#""quantity":{quantity}"#));
        check(&body, 422, "invalid_quantity", Some("quantity"));
    }
    check(&submitted(r#""quantity":NaN"#), 400, "invalid_json", None);
    check(&submitted(r#""quantity":1,"quantity":1"#), 422, "duplicate_field", Some("quantity"));
    let misspelt = submitted(r#""quantity":1,"expected_prise":1"#);
    check(&misspelt, 422, "unknown_field", Some("expected_prise"));
    for id in ["", "a\\u0000b", "a\\nb", "a\\u202eb", &"x".repeat(129)] {
        let body = format!(r#"{{"type":"order_expired","order_id":"{id}"}}"#);
        check(&body, 422, "invalid_identifier", Some("order_id"));
    }
    for time in ["\"yesterday\"", "\"2026-11-22T14:30:00\"", "1e30", "-1e30", "{}"] {
        let body = submitted(&format!(r#""quantity":1,"time":{time}"#));
        check(&body, 422, "invalid_time", Some("time"));
    }
    assert_eq!(state(&exporter), before);
}
