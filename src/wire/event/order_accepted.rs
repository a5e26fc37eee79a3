//! `order_accepted`: its fields.

use crate::domain::ids::OrderId;
use crate::wire::event::kind::kind;

kind! {
    "order_accepted": order Accepted(OrderAccepted),
    "The venue accepted the order (FIX ExecType 0).",
    r#"{"type":"order_accepted","account":"paper","order_id":"O-1","venue_order_id":"V-77","symbol":"AAPL","side":"buy","time":"2026-11-22T14:30:00.020Z"}"#,
    venue_order_id: optional OrderId as VenueOrderId => "The venue's id of the order.",
}
