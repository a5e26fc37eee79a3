//! `fill_busted`: its fields.

use crate::domain::ids::FillId;
use crate::wire::event::kind::kind;

kind! {
    "fill_busted": order FillBusted(FillBusted),
    "The venue undid an execution (FIX ExecType H).",
    r#"{"type":"fill_busted","account":"paper","order_id":"O-1","fill_id":"F-2","symbol":"AAPL","side":"buy","time":"2026-11-22T15:00:00Z"}"#,
    fill_id: required FillId as FillId => "The execution.",
}
