//! `order_cancelled`: its fields.

use crate::domain::event::Initiator;
use crate::wire::event::kind::kind;

kind! {
    "order_cancelled": order Cancelled(OrderCancelled),
    "The order was cancelled (FIX ExecType 4).",
    r#"{"type":"order_cancelled","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","reason":"end of day","initiator":"user","time":"2026-11-22T20:59:00Z"}"#,
    reason: optional Box<str> as Reason => "The reason, for people.",
    initiator: optional Initiator as Initiator =>
        "The side that cancelled: the user (or engine), or the venue.",
}
