//! The answers of the API: what the domain's views look like in JSON.
//!
//! Input: views of the domain. Output: types that serialize, each with its schema. Invariants:
//! exact decimals are strings, statistics are numbers, times are RFC 3339 in UTC; what is not
//! known is `null`, never 0; every field is always present. Deliberately absent: statuses and
//! headers (see `crate::api`).

mod scalar;
mod word;
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
pub use directive::{Directive, Told};
pub use drift::Drift;
pub use evidence::{Book, MissingEvidence};
pub use execution::{
    Counters, Execution, ExecutionSource, MissingReferences, Money, Outcomes, Slippage, Window,
};
pub use health::{CheckResult, Component, Health, WitnessReport};
pub use ingest::{IngestAnswer, IngestWarning, Rejection};
pub use orders::{Fill, Order, OrderPage, ReferencePrices, ReferenceSlippage};
pub use positions::PositionRow;
pub use scalar::{Exact, Time};
pub use series::{AccountSeries, Cardinality};
pub use state::{
    Account, AuditLine, Cause, HaltAnswer, NotificationAnswer, Permit, PermitHealth,
    ReconcileAnswer, ReleaseAnswer, States,
};
pub use whole::{Whole, WholeAccount};
pub use word::{
    ActionWord, AttributionWord, AuditWord, CauseKindWord, DriftStateWord, DriftTypeWord,
    FigureWord, HealthStateWord, LedgerBasisWord, LevelWord, MissingWord, OnExpiryWord,
    OrderStatusWord, ResponseWord, SeverityWord, SideWord, SourceWord, TradingStateWord,
    WitnessWord,
};
