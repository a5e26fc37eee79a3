//! An independent witness beside any trading engine.
//!
//! Engines post execution events over HTTP. The exporter folds them into a monitoring state, exposes
//! it to Prometheus, and halts trading when the engine's and the broker's positions disagree.
//!
//! The modules are declared in reading order. `ARCHITECTURE.md` has the map and the layers.

#![forbid(unsafe_code)]

#[macro_use]
pub mod invariant;
pub mod domain;
pub mod expression;
pub mod config;
pub mod journal;
pub mod metrics;
pub mod alerting;
pub mod wire;
pub mod adapters;
mod outbound;
pub mod notify;
mod sources;
mod feeds;
pub mod engine;
pub mod api;
pub mod clock;
mod demo;
pub mod app;
pub mod cli;
