//! Three books for each symbol, compared in time: drift, its severity, and the response to it.
//!
//! Input: snapshots of local and of the broker, flows (fills, busts, adjustments), ticks. Output:
//! differences as values, directives, requests to halt. A comparison passes through one file after
//! the other: `snapshot` and `flows` hold what was received, `align` brings both books to one time and
//! looks, with `moments`, for times at which fills in flight explain the difference, `classify` reads
//! type and size, `prices` and `severity` the severity, `confirm` decides whether it counts, `act`
//! responds. Invariants are at the head of each file. Deliberately absent: clocks, orders (their leaves
//! are read through [`MarketOf`]), the latch (halts are returned as [`DriftHalt`]).

pub mod view;
mod snapshot;
mod flow_list;
mod flows;
mod ledger;
mod moments;
mod align;
mod prices;
mod severity;
mod comparison;
mod classify;
mod confirm;
mod history;
mod act;
mod books;
mod compare;
mod adopt;
mod hint;
mod recount;
mod read;

#[cfg(test)]
mod scenario;

pub use adopt::Adoption;
pub use books::Books;
pub use snapshot::{FetchFailures, SnapshotTime, SnapshotVerdict};
pub use view::{
    Attribution, DriftAction, DriftHalt, DriftHint, DriftState, DriftType, DriftView, LedgerBasis,
    Market, MarketOf, PositionView, ReconcileOutcome, SeverityTest,
};
