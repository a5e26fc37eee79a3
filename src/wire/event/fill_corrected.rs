//! `fill_corrected`: its fields.

use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};
use crate::wire::event::kind::kind;

kind! {
    "fill_corrected": order FillCorrected(FillCorrected),
    "The venue replaced quantity, price and perhaps fee of an execution (FIX ExecType G).",
    r#"{"type":"fill_corrected","account":"paper","order_id":"O-1","fill_id":"F-1","symbol":"AAPL","side":"buy","quantity":50,"price":187.41,"fee":"0.25","fee_currency":"USD","time":"2026-11-22T15:00:00Z"}"#,
    fill_id: required FillId as FillId => "The execution.",
    quantity: required Quantity as Quantity => "Its new quantity.",
    price: required Price as Price => "Its new price.",
    fee: optional Amount as Fee => "Its new fee, negative is a rebate; unchanged if missing.",
    fee_currency: optional Currency as FeeCurrency =>
        "The currency of the fee; that of the instrument if missing.",
}
