//! The rows of the catalogue, one file for each topic.
//!
//! Adding a family is a row in its topic; adding a topic is a file, a `mod` and a line of
//! [`TOPICS`]. Deliberately absent: families whose figures do not exist yet.

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
pub mod runtime;
pub mod process;

use crate::metrics::catalogue::Family;

/// All topics in the order of the exposition. [`exporter`] comes after everything that it counts.
pub const TOPICS: &[&[Family]] = &[
    orders::FAMILIES,
    fills::FAMILIES,
    windows::FAMILIES,
    slippage::FAMILIES,
    latency::FAMILIES,
    accounts::FAMILIES,
    breakdowns::BY_STRATEGY,
    breakdowns::BY_VENUE,
    positions::FAMILIES,
    state::FAMILIES,
    health::FAMILIES,
    anomalies::FAMILIES,
    exporter::FAMILIES,
    runtime::FAMILIES,
    process::FAMILIES,
];

/// Labels of a row of one account.
const ACCOUNT: &[&str] = &["account"];
/// Labels of a row of one symbol.
const SYMBOL: &[&str] = &["account", "symbol"];
