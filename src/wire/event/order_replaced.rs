//! `order_replaced`: its fields.

use crate::domain::ids::OrderId;
use crate::domain::units::{Price, Quantity};
use crate::wire::event::kind::kind;

kind! {
    "order_replaced": order Replaced(OrderReplaced),
    "The venue accepted a change of the order (FIX ExecType 5).",
    r#"{"type":"order_replaced","account":"paper","order_id":"O-1","symbol":"AAPL","side":"buy","quantity":120,"limit_price":187.60,"new_order_id":"O-1a","time":"2026-11-22T14:31:00Z"}"#,
    quantity: optional Quantity as Quantity => "The new total quantity; unchanged if missing.",
    limit_price: optional Price as LimitPrice => "The new limit price; unchanged if missing.",
    new_order_id: optional OrderId as NewOrderId =>
        "The id of the order from now on: an alias of the old one.",
}
