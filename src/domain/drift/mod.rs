//! Three books for each symbol, compared in time: drift, its severity, and what is done about it.
//!
//! Input: snapshots of local and of the broker, flows (fills, busts, adjustments), ticks. Output:
//! differences as values, directives, requests to halt. A comparison goes through one file after
//! the other: `snapshot` and `flows` hold what came, `align` brings both books to one time and
//! looks, with `moments`, for times that explain what differs, `classify` reads type and size,
//! `value` and `judge` the severity, `confirm` decides whether it counts, `act` does what follows.
//! Invariants stand at the head of each. Deliberately absent: clocks, orders (their
//! leaves come in as [`Market`]), the latch (halts go out as [`HaltRequest`]).

mod snapshot;
mod flows;
mod ledger;
mod moments;
mod align;
mod value;
mod judge;
mod classify;
mod confirm;
mod history;
mod act;
mod books;
mod compare;
mod adopt;
mod names;
mod read;

#[cfg(test)]
mod scenario;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::directive::DirectiveId;
use crate::domain::ids::Symbol;
use crate::domain::settings::Severity;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, exact};

pub use act::HaltRequest;
pub use adopt::Adoption;
pub use books::Books;
pub use compare::CompareContext;
pub use judge::Test;
pub use snapshot::{FetchFailures, SnapshotTime, SnapshotVerdict};

closed_set! {
    /// How the local and the broker's book differ.
    pub enum DriftType {
        /// Both hold a position, of different quantities.
        QuantityMismatch = "quantity_mismatch",
        /// Quantities agree, average entry prices differ.
        PriceMismatch = "price_mismatch",
        /// The broker holds a position, local does not.
        UnknownPosition = "unknown_position",
        /// Local holds a position, the broker does not.
        GhostPosition = "ghost_position",
    }
}

closed_set! {
    /// The state of a difference: in flight, seen, confirmed, a directive sent, gone. One that was
    /// never beyond tolerance is no drift.
    pub enum DriftState {
        /// Fills in flight may explain it, or the snapshots do not allow a judgement yet.
        Pending = "pending",
        /// Seen by too few comparisons to act on.
        Unconfirmed = "unconfirmed",
        /// Confirmed.
        Open = "open",
        /// A reconcile directive was sent to the engine.
        Reconciling = "reconciling",
        /// Within tolerance again.
        Cleared = "cleared",
        /// Never beyond tolerance: shown, but no drift.
        WithinTolerance = "within_tolerance",
    }
}

impl DriftState {
    /// Confirmed and not cleared: what the filter `state=open` means.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Reconciling)
    }
}

closed_set! {
    /// The side that is probably wrong, judged by the ledger.
    pub enum Attribution {
        /// The ledger agrees with the broker.
        EngineMissedFill = "engine_missed_fill",
        /// The ledger agrees with local.
        ExternalOrUnreportedTrade = "external_or_unreported_trade",
        /// The ledger agrees with neither side.
        Unexplained = "unexplained",
    }
}

closed_set! {
    /// A resemblance of two drifts, as a hint for people. `same_position_two_names`: a ghost and an
    /// unknown position of equal quantity appeared together, so perhaps the two sides spell one
    /// symbol in two ways.
    pub enum Hint {
        /// One position under two spellings of its symbol.
        SamePositionTwoNames = "same_position_two_names",
    }
}

closed_set! {
    /// The response to a drift of its latest severity.
    pub enum Action {
        /// None: not confirmed.
        None = "none",
        /// A reconcile directive.
        Reconcile = "reconcile",
        /// An alert.
        Alert = "alert",
        /// A halt, and an alert.
        Halt = "halt",
    }
}

/// One difference as it stands, or as it ended: what the API shows of a drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a view: each is one field of the answer")]
pub struct DriftView {
    /// Number of the difference within its account: 1, 2, 3 ...; 0: within tolerance.
    pub id: u64,
    /// The instrument.
    pub symbol: Symbol,
    /// How the books differ.
    pub drift_type: DriftType,
    /// The latest severity; none: within tolerance or in flight.
    pub severity: Option<Severity>,
    /// The test that gave it.
    pub decided_by: Option<Test>,
    /// The worst severity so far.
    pub worst: Option<Severity>,
    /// Its state.
    pub state: DriftState,
    /// Local - broker, signed, aligned in time; 0 for a price mismatch.
    #[serde(with = "exact")]
    pub quantity_drift: Decimal,
    /// Absolute value of it in the account's currency; none: price or currency unknown.
    #[serde(with = "exact")]
    pub value_drift: Option<Decimal>,
    /// Aligned local quantity (of the ledger, if it stands in).
    #[serde(with = "exact")]
    pub local_quantity: Decimal,
    /// Aligned broker quantity.
    #[serde(with = "exact")]
    pub broker_quantity: Decimal,
    /// The ledger's quantity, as it stood before the lists that differ.
    #[serde(with = "exact")]
    pub ledger_quantity: Decimal,
    /// Where that ledger started.
    pub ledger_basis: LedgerBasis,
    /// Local average price.
    #[serde(with = "exact")]
    pub local_price: Option<Decimal>,
    /// Broker average price.
    #[serde(with = "exact")]
    pub broker_price: Option<Decimal>,
    /// The price of the value test.
    #[serde(with = "exact")]
    pub price: Option<Decimal>,
    /// It cannot be valued: no price is known.
    pub price_unknown: bool,
    /// It cannot be valued: no rate to the account's currency is known.
    pub currency_unknown: bool,
    /// The ledger stands in for a missing local book.
    pub ledger_stands_in: bool,
    /// Which side is probably wrong.
    pub attribution: Attribution,
    /// What it looks like beside another drift.
    pub hint: Option<Hint>,
    /// What is done.
    pub action: Action,
    /// Comparisons in a row that agreed.
    pub confirmations: u32,
    /// When the difference was first seen (receive time).
    pub first_seen_at: Timestamp,
    /// When it was confirmed.
    pub opened_at: Option<Timestamp>,
    /// When it cleared.
    pub cleared_at: Option<Timestamp>,
    /// The last reconcile directive.
    pub directive_id: Option<DirectiveId>,
    /// How often a directive was sent.
    pub attempts: u32,
    /// A forced release acknowledged it.
    pub acknowledged: bool,
    /// What ended it beside agreement of the books: a reconciliation, an adoption. Of one that stands:
    /// whether its reconciliation failed.
    pub resolution: Option<ReconcileOutcome>,
}

impl DriftView {
    /// Whether nobody can tell what it is worth.
    #[must_use]
    pub const fn is_unvalued(&self) -> bool {
        self.value_drift.is_none()
    }
}

/// A change of position that the exporter saw, for the ledger and the alignment of snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Event time of the execution or adjustment.
    pub time: Timestamp,
    /// Signed change of the position. A bust is the opposite of its fill, at the fill's time.
    #[serde(with = "exact")]
    pub change: Decimal,
    /// What changed it.
    pub kind: FlowKind,
}

impl Flow {
    /// Whether it takes back what an execution had moved: a bust, a correction downward.
    #[must_use]
    pub const fn is_reversal(&self) -> bool {
        match self.kind {
            FlowKind::Buy => self.change.is_sign_negative(),
            FlowKind::Sell => self.change.is_sign_positive(),
            FlowKind::Adjustment => false,
        }
    }
}

/// What changed a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowKind {
    /// An execution of a buy order (or its bust: then the change is negative).
    Buy,
    /// An execution of a sell order (or its bust: then the change is positive).
    Sell,
    /// A split, transfer, assignment: no execution.
    Adjustment,
}

/// What the comparison asks of the execution side of one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Market {
    /// Leaves of open buy orders, at least 0.
    pub open_buy: Decimal,
    /// Leaves of open sell orders, at least 0.
    pub open_sell: Decimal,
    /// The latest mid, if it is young enough to value a difference.
    pub mid: Option<Price>,
    /// The price of the last fill.
    pub last_fill: Option<Price>,
}

/// The three books of one symbol side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionView {
    /// The instrument.
    pub symbol: Symbol,
    /// What the engine says; none: no local snapshot speaks of it.
    pub local: Option<Decimal>,
    /// What the broker says; none: no broker snapshot speaks of it.
    pub broker: Option<Decimal>,
    /// What the seen fills add up to.
    pub ledger: Decimal,
    /// Whether the ledger was set by a complete broker snapshot or started at 0.
    pub ledger_basis: LedgerBasis,
    /// Average price of the local book.
    pub local_price: Option<Decimal>,
    /// Average price of the broker's book.
    pub broker_price: Option<Decimal>,
    /// What the age of the local book is measured from.
    pub local_at: Option<Timestamp>,
    /// What the age of the broker's book is measured from.
    pub broker_at: Option<Timestamp>,
    /// The difference that may be in flight, signed (local - broker); 0: none.
    pub pending: Decimal,
    /// An accepted difference, signed (local - broker); 0: none.
    pub offset: Decimal,
}

closed_set! {
    /// The starting point of a ledger: 0, or a complete broker snapshot, a reconciliation or an
    /// adoption.
    pub enum LedgerBasis {
        /// At 0: no complete broker snapshot yet.
        AssumedFlat = "assumed_flat",
        /// At a complete broker snapshot, a reconciliation or an adoption.
        Anchored = "anchored",
    }
}

closed_set! {
    /// The outcome of a reconciliation.
    pub enum ReconcileOutcome {
        /// A directive was sent.
        Sent = "sent",
        /// The books agreed after a directive.
        Confirmed = "confirmed",
        /// No directive was confirmed: the drift escalated.
        Escalated = "escalated",
        /// By hand: local takes the broker's side.
        AdoptedBroker = "adopted_broker",
        /// By hand: the difference was accepted.
        AdoptedLocal = "adopted_local",
    }
}
