//! `order_rejected`: its fields.

use crate::wire::event::kind::kind;

kind! {
    "order_rejected": order Rejected(OrderRejected),
    "The venue or broker refused the order (FIX ExecType 8).",
    r#"{"type":"order_rejected","account":"paper","order_id":"O-2","symbol":"AAPL","side":"buy","reason":"Insufficient buying power","code":"insufficient_funds","time":"2026-11-22T14:30:00.020Z"}"#,
    reason: optional Box<str> as Reason => "The reason, in the venue's words.",
    code: optional Box<str> as Code => "The reason, as a code.",
}
