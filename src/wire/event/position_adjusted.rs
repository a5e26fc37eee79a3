//! `position_adjusted`: its fields.

use crate::domain::ids::Symbol;
use crate::domain::units::Position;
use crate::wire::event::kind::kind;

kind! {
    "position_adjusted": other PositionAdjusted,
    "A position changed without a trade: split, funding, transfer, assignment, expiry.",
    r#"{"type":"position_adjusted","account":"paper","symbol":"AAPL","quantity":-12,"reason":"transfer out","time":"2026-11-22T14:30:00Z"}"#,
    symbol: required Symbol as Symbol => "The instrument.",
    quantity: required Position as Quantity => "The signed change.",
    reason: optional Box<str> as Reason =>
        "The reason, for people. A `fee` that a fill also reported is applied once.",
}
