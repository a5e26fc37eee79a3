//! `order_filled`: its fields.

use crate::domain::event::Liquidity;
use crate::domain::ids::{Currency, FillId};
use crate::domain::units::{Amount, Price, Quantity};
use crate::wire::event::kind::kind;

kind! {
    "order_filled": order Filled(OrderFilled),
    "One execution of an order (FIX ExecType F).",
    r#"{"type":"order_filled","account":"paper","order_id":"O-1","fill_id":"F-1","symbol":"AAPL","side":"buy","quantity":60,"price":187.42,"fee":"0.30","fee_currency":"USD","liquidity":"taker","final":false,"time":"2026-11-22T14:30:00.150Z"}"#,
    price: required Price as Price => "The price of this execution.",
    quantity: optional Quantity as Quantity =>
        "The quantity of this execution; the rest of the order if missing.",
    fill_id: optional FillId as FillId =>
        "The id of this execution, for busts, corrections and deduplication.",
    fee: optional Amount as Fee => "The fee; negative is a rebate.",
    fee_currency: optional Currency as FeeCurrency =>
        "The currency of the fee; that of the instrument if missing.",
    liquidity: optional Liquidity as Liquidity =>
        "Whether the execution added (maker) or took (taker) liquidity.",
    is_final: flag bool as Final =>
        "Whether the venue reports that the order is completely filled.",
}
