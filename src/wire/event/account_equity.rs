//! `account_equity`: its fields.

use crate::domain::ids::Currency;
use crate::domain::units::Amount;
use crate::wire::event::kind::kind;

kind! {
    "account_equity": other AccountEquity,
    "The value of an account.",
    r#"{"type":"account_equity","account":"paper","equity":"100250.75","currency":"USD","cash":81507.5,"time":"2026-11-22T14:30:00Z"}"#,
    equity: required Amount as Equity => "Equity of the account.",
    currency: optional Currency as Currency => "Its currency; that of the account if missing.",
    cash: optional Amount as Cash => "The part held as cash.",
}
