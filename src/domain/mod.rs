//! The pure domain: values in, values out, time passed in.
//!
//! No I/O, clock, randomness, tokio, axum, prometheus or tracing. State is a fold over records:
//! the same records give the same state on any machine.

pub mod closed_set;
pub mod enum_set;
pub mod units;
pub mod time;
pub mod ids;
pub mod limits;
pub mod weight;
pub mod recount;
pub mod digest;
pub mod horizon;
pub mod notes;
pub mod symbols;
pub mod compact;
pub mod visits;
pub mod versions;
pub mod pattern;
pub mod settings;
pub mod clock;
pub mod event;
pub mod warning;
pub mod record;
pub mod directive;
pub mod step;
pub mod flow;
pub mod execution;
pub mod drift;
pub mod health;
pub mod evidence;
pub mod principal;
pub mod state;
pub mod audit;
pub mod alerts;
pub mod control;
pub mod account;
pub mod monitor;
