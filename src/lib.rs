//! An independent witness beside any trading engine.
//!
//! Engines send execution events over HTTP; the exporter keeps the monitoring state, exposes it to
//! Prometheus, and halts trading when the engine's books and the broker's disagree.

#![forbid(unsafe_code)]

#[macro_use]
pub mod invariant;
pub mod domain;
pub mod config;
pub mod journal;
pub mod metrics;
pub mod alerting;
pub mod wire;
pub mod notify;
pub mod sources;
pub mod engine;
pub mod api;
pub mod clock;
pub mod demo;
pub mod app;
pub mod cli;
