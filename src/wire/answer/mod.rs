//! The answers of the API: views of the domain as JSON.
//!
//! Input: views of the domain. Output: types that serialize, each with its schema. Invariants: exact
//! decimals are strings, statistics are numbers, times are RFC 3339 in UTC; an unknown value is
//! `null`, never 0; every field is always present. Absent: statuses and headers (see `crate::api`).
//!
//! The doc comments are published: they become the descriptions of the OpenAPI document.

mod scalar;
mod enums;
mod execution;
mod orders;
mod anomaly;
mod positions;
mod drift;
mod directive;
mod health;
mod evidence;
mod state;
mod series;
mod ingest;
mod whole;

pub use anomaly::Anomaly;
pub use directive::{Directive, DirectiveContent};
pub use drift::Drift;
pub use enums::OrderStatus;
pub use evidence::{Book, MissingEvidence};
pub use execution::{
    Counters, Execution, ExecutionSource, MissingReferences, Money, Outcomes, Slippage, Window,
};
pub use health::{CheckResult, Component, Health, WitnessReport};
pub use ingest::{IngestAnswer, IngestWarning, Rejection};
pub use orders::{Fill, Order, OrderPage, ReferencePrices, ReferenceSlippage};
pub use positions::PositionRow;
pub use scalar::Exact;
pub use series::{AccountSeries, Cardinality};
pub use state::{
    Account, AuditLine, Cause, HaltAnswer, NotificationAnswer, Permit, PermitHealth,
    ReconcileAnswer, ReleaseAnswer, States,
};
pub use whole::{Whole, WholeAccount};
