//! Manual reconciliation, and the reports of engines and operators about a drift.
//!
//! Input: decisions and the event `reconciled`. Output: a directive, a cleared drift, an accepted
//! offset. Invariants: a decision ends the drift at once; the event alone ends nothing, because a local
//! snapshot has to agree. It only restarts `drift.reconcile_timeout`, once for each directive.
//! Deliberately absent: scopes and the audit trail (see `monitor`).

use super::act::DriftResponse;
use super::books::{AdoptedBook, Books};
use super::classify::measure;
use super::comparison::{AcceptedOffset, Comparison};
use super::confirm::{Acknowledged, Drift};
use super::severity::Criteria;
use super::view::{DriftState, MarketOf, ReconcileOutcome};
use crate::domain::ids::DirectiveId;
use crate::domain::record::{Adopt, Refusal};
use crate::domain::settings::Severity;
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;

/// The book that an operator takes as the truth, and the operator's permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The side taken.
    pub adopt: Adopt,
    /// Whether the actor may do more than adopt the broker's side of a MINOR drift.
    pub privileged: bool,
}

impl Books {
    /// Reconciles an open drift by hand and clears it. Returns its number.
    ///
    /// `broker` sends the directive, takes the broker's quantity as the local book until the next local
    /// snapshot, and anchors the ledger. `local` accepts the difference as an offset in later
    /// comparisons until the symbol is retired or the broker's side is adopted, and anchors the
    /// ledger to the broker, unless the ledger stands in for local.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when no drift of the symbol is open; [`Refusal::NeedsRelease`] when
    /// the actor has no permission.
    pub fn adopt(
        &mut self,
        key: SymbolKey,
        adoption: Adoption,
        step: &mut Step<'_, '_>,
        market: MarketOf<'_>,
    ) -> Result<u64, Refusal> {
        let pair = self.pair(key).ok_or(Refusal::NotFound)?;
        let line = self.lines.get_mut(&key).ok_or(Refusal::NotFound)?;
        let criteria = Criteria::of(step, key, market).ok_or(Refusal::NotFound)?;
        // The books as they are now, without an offset accepted earlier.
        let comparison = measure(&pair, line, AcceptedOffset::default(), &criteria);
        let drift = line.drift.as_mut().filter(|drift| drift.state.is_open());
        let drift = drift.ok_or(Refusal::NotFound)?;
        let is_minor = drift.severity == Some(Severity::Minor);
        let is_harmless = adoption.adopt == Adopt::Broker && is_minor;
        if !adoption.privileged && !is_harmless {
            return Err(Refusal::NeedsRelease);
        }
        let id = drift.id;
        let sequence = step.sequence();
        if is_harmless && drift.attempts == 0 {
            // An engine that repairs itself is held to the budget of automatic repairs. Without tokens
            // it cannot be distinguished from a person.
            self.history.repair(key, step.now, &criteria.settings.reconcile_budget);
        }
        let (history, halts) = (&mut self.history, &mut Vec::new());
        let mut response = DriftResponse { step, key, criteria, history, halts };
        let resolution = match adoption.adopt {
            Adopt::Broker => {
                drift.latest = Comparison { drift_type: drift.latest.drift_type, ..comparison };
                response.send(drift, AcceptedOffset::default());
                line.offset = AcceptedOffset::default();
                if !pair.ledger_stands_in {
                    line.adopted = Some(AdoptedBook { book: pair.broker, sequence });
                }
                ReconcileOutcome::AdoptedBroker
            }
            Adopt::Local => {
                let prices = comparison.local_price.zip(comparison.broker_price);
                let is_price = drift.latest.is_price();
                line.offset = AcceptedOffset {
                    quantity: comparison.size.quantity,
                    price: prices
                        .filter(|_| is_price)
                        .map(|(local, broker)| local.saturating_sub(broker))
                        .unwrap_or_default(),
                };
                ReconcileOutcome::AdoptedLocal
            }
        };
        response.clear(line, Some(resolution));
        let is_own_truth = pair.ledger_stands_in && adoption.adopt == Adopt::Local;
        if !is_own_truth {
            line.ledger.anchor(pair.broker.quantity, pair.broker.at.time, &line.flows);
            self.in_doubt.insert(key);
        }
        self.watched.remove(&key);
        Ok(id)
    }

    /// Applies the engine's report that it carried out a directive (the last one of the symbol, if it
    /// names none). Returns whether that directive waits for confirmation. Only a local snapshot
    /// confirms; the report restarts `drift.reconcile_timeout`, once for each directive.
    pub fn reconciled(
        &mut self,
        key: SymbolKey,
        directive_id: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let drift = self.drift_mut(key).filter(|drift| drift.state == DriftState::Reconciling);
        let Some(sent) = drift.and_then(|drift| drift.sent.as_mut()) else { return false };
        if directive_id.is_some_and(|id| DirectiveId::parse_id(id) != Some(sent.id)) {
            return false;
        }
        if !sent.is_carried_out {
            sent.is_carried_out = true;
            sent.at = now;
        }
        true
    }

    /// Acknowledges the open drift of a symbol at a forced release: it halts again only after it
    /// cleared, grew by a further CRITICAL threshold, or changed its direction. Returns whether there
    /// was one.
    pub fn acknowledge_drift(&mut self, key: SymbolKey) -> bool {
        let Some(drift) = self.drift_mut(key).filter(|drift| drift.state.is_open()) else {
            return false;
        };
        drift.acknowledged =
            Some(Acknowledged { size: drift.latest.size, direction: drift.latest.direction });
        true
    }

    /// Whether the symbol has a confirmed drift that has not cleared.
    #[must_use]
    pub fn is_drift_open(&self, key: SymbolKey) -> bool {
        self.drift(key).is_some_and(|drift| drift.state.is_open())
    }

    pub(super) fn drift(&self, key: SymbolKey) -> Option<&Drift> {
        self.lines.get(&key)?.drift.as_ref()
    }

    pub(super) fn drift_mut(&mut self, key: SymbolKey) -> Option<&mut Drift> {
        self.lines.get_mut(&key)?.drift.as_mut()
    }
}
