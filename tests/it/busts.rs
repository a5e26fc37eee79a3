//! Thousands of busts of one order: they are answered, and so is everybody else meanwhile.

use std::thread;

use serde_json::json;

use crate::exporter::Exporter;

/// Orders, and the fills of each: an order holds as many facts as two of each fill.
const ORDERS: usize = 2;
const FILLS: usize = 4_990;

/// A body with an event for each fill of each order.
fn body(event: impl Fn(usize, usize) -> String) -> String {
    let places = (0..ORDERS).flat_map(|order| (0..FILLS).map(move |fill| (order, fill)));
    let events: Vec<String> = places.map(|(order, fill)| event(order, fill)).collect();
    format!("[{}]", events.join(","))
}

#[test]
fn a_halt_is_answered_while_thousands_of_busts_are_applied() {
    let exporter = Exporter::start(&["--storage.mode=memory"]);
    let fills = body(|order, fill| {
        format!(
            r#"{{"type":"order_filled","order_id":"{order}","fill_id":"{fill}","symbol":"X","side":"buy","quantity":1,"price":10}}"#
        )
    });
    let busts = body(|order, fill| {
        format!(r#"{{"type":"fill_busted","order_id":"{order}","fill_id":"{fill}"}}"#)
    });
    let filled = exporter.post("/api/v1/events", &fills);
    assert_eq!(filled.json()["accepted"], ORDERS * FILLS, "{filled:?}");
    thread::scope(|threads| {
        let busted = threads.spawn(|| exporter.post("/api/v1/events", &busts));
        let halt = json!({"account": "other", "state": "halted", "reason": "test", "actor": "op"});
        assert_eq!(exporter.post("/api/v1/halts", &halt.to_string()).status, 201);
        assert_eq!(exporter.get("/-/healthy").status, 200);
        assert_eq!(busted.join().unwrap().json()["accepted"], ORDERS * FILLS);
    });
    for order in 0..ORDERS {
        let order = exporter.get(&format!("/api/v1/orders/default/{order}")).json();
        assert_eq!(order["filled_quantity"], "0");
    }
}
