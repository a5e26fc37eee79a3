//! Drift as values: types, states, and what the API and the metrics show of books and drifts.
//!
//! Deliberately absent: how any of them comes about.

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::ids::{DirectiveId, Symbol};
use crate::domain::settings::Severity;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, exact};

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
    /// Whether the drift is confirmed and not cleared. The filter `state=open` selects these.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Reconciling)
    }
}

closed_set! {
    /// The test that set the severity of a drift: by quantity, by value, by fraction of the position;
    /// long against short; no known value; no directive confirmed; a symbol reconciled too often.
    pub enum SeverityTest {
        /// The quantity by which the books differ.
        Quantity = "quantity",
        /// The value of that quantity; for a price mismatch, of the difference of the averages.
        Value = "value",
        /// The quantity as a fraction of the larger position.
        Relative = "relative",
        /// Long on one side, short on the other: at least MODERATE.
        SignFlip = "sign_flip",
        /// No value is known: at least MODERATE for an unknown or a ghost position, else MINOR.
        ValueUnknown = "value_unknown",
        /// No reconcile directive was confirmed: at least MODERATE until it clears.
        ReconcileFailed = "reconcile_failed",
        /// The symbol was reconciled too often: at least MODERATE until it clears.
        ReconcileBudget = "reconcile_budget",
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
    pub enum DriftHint {
        /// One position under two spellings of its symbol.
        SamePositionTwoNames = "same_position_two_names",
    }
}

closed_set! {
    /// The response to a drift of its latest severity.
    pub enum DriftAction {
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

/// A difference as the API shows it: current, or as it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a view: each is one field of the answer")]
pub struct DriftView {
    /// Number of the difference within its account: 1, 2, 3 ...; 0: within tolerance.
    pub id: u64,
    /// The instrument.
    pub symbol: Symbol,
    /// Its type.
    pub drift_type: DriftType,
    /// The latest severity; none: within tolerance or in flight.
    pub severity: Option<Severity>,
    /// The test that set the severity.
    pub decided_by: Option<SeverityTest>,
    /// The worst severity so far.
    pub worst: Option<Severity>,
    /// Its state.
    pub state: DriftState,
    /// Local - broker, signed, aligned in time; 0 for a price mismatch.
    #[serde(with = "exact")]
    pub quantity_drift: Decimal,
    /// Absolute value of the difference in the account's currency; none: price or rate unknown.
    #[serde(with = "exact")]
    pub value_drift: Option<Decimal>,
    /// Aligned local quantity, or the ledger's if that stands in.
    #[serde(with = "exact")]
    pub local_quantity: Decimal,
    /// Aligned broker quantity.
    #[serde(with = "exact")]
    pub broker_quantity: Decimal,
    /// The ledger's quantity without the lists that differ.
    #[serde(with = "exact")]
    pub ledger_quantity: Decimal,
    /// The starting point of that ledger.
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
    /// No price is known, so it cannot be valued.
    pub price_unknown: bool,
    /// No rate to the account's currency is known, so it cannot be valued.
    pub currency_unknown: bool,
    /// The ledger stands in for a missing local book.
    pub ledger_stands_in: bool,
    /// The side that is probably wrong.
    pub attribution: Attribution,
    /// A resemblance to another drift.
    pub hint: Option<DriftHint>,
    /// The response.
    pub action: DriftAction,
    /// Comparisons in a row that agreed.
    pub confirmations: u32,
    /// Receive time of the first comparison that differed.
    pub first_seen_at: Timestamp,
    /// Receive time of its confirmation.
    pub opened_at: Option<Timestamp>,
    /// Receive time of its end.
    pub cleared_at: Option<Timestamp>,
    /// The last reconcile directive.
    pub directive_id: Option<DirectiveId>,
    /// Number of directives sent.
    pub attempts: u32,
    /// Whether a forced release acknowledged it.
    pub acknowledged: bool,
    /// The reconciliation or adoption that ended it; none: the books agreed by themselves. For a drift
    /// that has not ended: `escalated` if its reconciliation failed.
    pub resolution: Option<ReconcileOutcome>,
}

impl DriftView {
    /// Whether its value is unknown.
    #[must_use]
    pub const fn is_unvalued(&self) -> bool {
        self.value_drift.is_none()
    }
}

/// The execution side of one symbol, as far as a comparison needs it.
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

/// Looks up the execution side of a symbol.
pub type MarketOf<'m> = &'m dyn Fn(SymbolKey) -> Market;

/// The three books of one symbol side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionView {
    /// The instrument.
    pub symbol: Symbol,
    /// Quantity of the local book; none: no local snapshot covers the symbol.
    pub local: Option<Decimal>,
    /// Quantity of the broker's book; none: no broker snapshot covers the symbol.
    pub broker: Option<Decimal>,
    /// Quantity of the ledger: the sum of the fills seen.
    pub ledger: Decimal,
    /// The starting point of the ledger.
    pub ledger_basis: LedgerBasis,
    /// Average price of the local book.
    pub local_price: Option<Decimal>,
    /// Average price of the broker's book.
    pub broker_price: Option<Decimal>,
    /// The time from which the age of the local book is measured.
    pub local_at: Option<Timestamp>,
    /// The time from which the age of the broker's book is measured.
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

/// A request to halt the account for a confirmed CRITICAL drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftHalt {
    /// The drift: its number within the account.
    pub drift_id: u64,
    /// The instrument.
    pub symbol: Symbol,
    /// Type, quantities, value and thresholds, for people.
    pub reason: String,
}
