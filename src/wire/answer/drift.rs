//! One difference between the books: its current state, or its last one.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::Exact;
use crate::domain::drift::{
    Attribution, DriftAction, DriftHint, DriftState, DriftType, DriftView, LedgerBasis,
    SeverityTest,
};
use crate::domain::settings::Severity;
use crate::wire::time::Rfc3339;

/// One difference between the books of a symbol.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is one field of the answer")]
pub struct Drift {
    /// The account.
    pub account: String,
    /// Number of the drift within its account: 1, 2, 3 ...
    pub id: u64,
    /// The instrument.
    pub symbol: String,
    /// How the books differ.
    #[serde(rename = "type")]
    pub drift_type: DriftType,
    /// The latest severity; null: within tolerance or in flight.
    pub severity: Option<Severity>,
    /// The test that decided the severity; null without one.
    pub decided_by: Option<SeverityTest>,
    /// The worst severity so far.
    pub worst_severity: Option<Severity>,
    /// Its state; the filter `state=open` means `open` and `reconciling`.
    pub state: DriftState,
    /// local - broker, signed and aligned in time; 0 for a price mismatch.
    pub quantity_drift: Exact,
    /// Its absolute value in the account's currency; null: price or exchange rate is unknown.
    pub value_drift: Option<Exact>,
    /// The quantity in the engine's book, aligned in time.
    pub local_quantity: Exact,
    /// The quantity in the broker's book, aligned in time.
    pub broker_quantity: Exact,
    /// The sum of the observed fills, as of the snapshots that differ.
    pub ledger_quantity: Exact,
    /// The starting point of that sum; `assumed_flat` is weaker evidence.
    pub ledger_basis: LedgerBasis,
    /// Average price of the local book.
    pub local_price: Option<Exact>,
    /// Average price of the broker's book.
    pub broker_price: Option<Exact>,
    /// The price used for its value.
    pub price: Option<Exact>,
    /// It has no value because no price is known.
    pub price_unknown: bool,
    /// It has no value because no exchange rate to the account's currency is known.
    pub currency_unknown: bool,
    /// There is no local book, so the ledger is used in its place.
    pub ledger_stands_in: bool,
    /// The side that is probably wrong.
    pub attribution: Attribution,
    /// A resemblance to another drift.
    pub hint: Option<DriftHint>,
    /// The response to it.
    pub action: DriftAction,
    /// Consecutive comparisons that confirmed it.
    pub confirmations: u32,
    /// When it was first observed (receive time).
    pub first_seen_at: Rfc3339,
    /// When it was confirmed (receive time).
    pub opened_at: Option<Rfc3339>,
    /// When it cleared (receive time).
    pub cleared_at: Option<Rfc3339>,
    /// The last reconcile directive.
    pub directive_id: Option<String>,
    /// Number of directives sent.
    pub attempts: u32,
    /// A forced release acknowledged it.
    pub acknowledged: bool,
}

impl Drift {
    /// The answer for one difference of an account.
    #[must_use]
    pub fn new(account: &str, drift: &DriftView) -> Self {
        Self {
            account: account.to_owned(),
            id: drift.id,
            symbol: drift.symbol.to_string(),
            drift_type: drift.drift_type,
            severity: drift.severity,
            decided_by: drift.decided_by,
            worst_severity: drift.worst,
            state: drift.state,
            quantity_drift: Exact(drift.quantity_drift),
            value_drift: drift.value_drift.map(Exact),
            local_quantity: Exact(drift.local_quantity),
            broker_quantity: Exact(drift.broker_quantity),
            ledger_quantity: Exact(drift.ledger_quantity),
            ledger_basis: drift.ledger_basis,
            local_price: drift.local_price.map(Exact),
            broker_price: drift.broker_price.map(Exact),
            price: drift.price.map(Exact),
            price_unknown: drift.price_unknown,
            currency_unknown: drift.currency_unknown,
            ledger_stands_in: drift.ledger_stands_in,
            attribution: drift.attribution,
            hint: drift.hint,
            action: drift.action,
            confirmations: drift.confirmations,
            first_seen_at: Rfc3339(drift.first_seen_at),
            opened_at: drift.opened_at.map(Rfc3339),
            cleared_at: drift.cleared_at.map(Rfc3339),
            directive_id: drift.directive_id.map(|id| id.to_string()),
            attempts: drift.attempts,
            acknowledged: drift.acknowledged,
        }
    }
}
