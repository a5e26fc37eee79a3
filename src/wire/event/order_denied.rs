//! `order_denied`: its fields.

use crate::wire::event::kind::kind;

kind! {
    "order_denied": order Denied(OrderDenied),
    "The engine's own checks refused the order: it was never sent.",
    r#"{"type":"order_denied","account":"paper","order_id":"O-3","symbol":"AAPL","side":"sell","reason":"exceeds max notional","time":"2026-11-22T14:30:00Z"}"#,
    reason: optional Box<str> as Reason => "The reason, in the engine's words.",
}
