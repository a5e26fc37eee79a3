//! Metric families of the monitored state, one file for each topic.
//!
//! A family is a row in its topic: name, HELP, labels, and how its samples are read off a row of
//! [`crate::metrics::rows`]. A new topic is a file, and a line in [`crate::metrics::catalogue`]. The
//! exporter's own metrics are in `runtime`. Deliberately absent: figures that do not exist yet.

pub mod orders;
pub mod fills;
pub mod windows;
pub mod slippage;
pub mod latency;
pub mod accounts;
pub mod breakdowns;
pub mod positions;
pub mod state;
pub mod health;
pub mod anomalies;
pub mod exporter;
pub mod process;

/// Labels of a row of one account.
const ACCOUNT: &[&str] = &["account"];
/// Labels of a row of one symbol.
const SYMBOL: &[&str] = &["account", "symbol"];
