//! Manual reconciliation, and what engines and operators say about a drift.
//!
//! Input: decisions and the event `reconciled`. Output: a directive, a cleared drift, an accepted
//! offset. Invariants: a decision ends the drift at once; the event alone ends nothing (a local
//! snapshot has to agree), it only gives the engine a fresh `drift.reconcile_timeout`, once for
//! each directive. Deliberately absent: scopes and the audit trail (see `monitor`).

use super::act::Office;
use super::books::{AdoptedBook, Books};
use super::classify::{Offset, Reading, measure};
use super::compare::CompareContext;
use super::confirm::Acknowledged;
use super::{DriftState, ReconcileOutcome};
use crate::domain::directive::{DirectiveId, Outbox};
use crate::domain::record::{Adopt, Refusal};
use crate::domain::settings::Severity;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;

/// Which book an operator takes as the truth, and with what right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The side taken.
    pub adopt: Adopt,
    /// Whether the actor may do more than adopt the broker's side of a MINOR drift.
    pub privileged: bool,
}

impl Books {
    /// Reconciles an open drift by hand and clears it; returns its number.
    ///
    /// `broker` sends the directive, takes the broker's quantity as what local holds until its
    /// next snapshot, and anchors the ledger. `local` accepts the difference as an offset in later
    /// comparisons until the symbol is retired or the broker's side is adopted, and anchors the
    /// ledger to the broker, unless the ledger stands in for local.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when no drift of the symbol is open; [`Refusal::NeedsRelease`] when
    /// the actor may not do this.
    pub fn adopt(
        &mut self,
        key: SymbolKey,
        adoption: Adoption,
        context: &CompareContext<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<u64, Refusal> {
        let pair = self.pair(key).ok_or(Refusal::NotFound)?;
        let symbol = context.symbols.name(key).ok_or(Refusal::NotFound)?;
        let line = self.lines.get_mut(&key).ok_or(Refusal::NotFound)?;
        let terms = context.terms(key);
        // As the books stand now, without the offset accepted earlier.
        let reading = measure(&pair, line, Offset::default(), &terms);
        let drift = line.drift.as_mut().filter(|drift| drift.state.is_open());
        let drift = drift.ok_or(Refusal::NotFound)?;
        let is_minor = drift.severity == Some(Severity::Minor);
        let is_harmless = adoption.adopt == Adopt::Broker && is_minor;
        if !adoption.privileged && !is_harmless {
            return Err(Refusal::NeedsRelease);
        }
        let id = drift.id;
        let sequence = outbox.sequence();
        if is_harmless && drift.attempts == 0 {
            // An engine that repairs itself is held to the budget of automatic repairs. Without tokens
            // nobody can tell it from a person.
            self.history.repair(key, context.now, &terms.settings.reconcile_budget);
        }
        let mut office = Office {
            now: context.now,
            account: context.account,
            key,
            symbol,
            terms,
            history: &mut self.history,
            outbox,
            halts: &mut Vec::new(),
        };
        let resolution = match adoption.adopt {
            Adopt::Broker => {
                drift.reading = Reading { drift_type: drift.reading.drift_type, ..reading };
                office.send(drift, Offset::default());
                line.offset = Offset::default();
                if !pair.ledger_stands_in {
                    line.adopted = Some(AdoptedBook { book: pair.broker, sequence });
                }
                ReconcileOutcome::AdoptedBroker
            }
            Adopt::Local => {
                let prices = reading.local_price.zip(reading.broker_price);
                let is_price = drift.reading.is_price();
                line.offset = Offset {
                    quantity: reading.size.quantity,
                    price: prices
                        .filter(|_| is_price)
                        .map(|(local, broker)| local.saturating_sub(broker))
                        .unwrap_or_default(),
                };
                ReconcileOutcome::AdoptedLocal
            }
        };
        office.clear(line, Some(resolution));
        let is_own_truth = pair.ledger_stands_in && adoption.adopt == Adopt::Local;
        if !is_own_truth {
            line.ledger.anchor(pair.broker.quantity, pair.broker.at.time, &line.flows);
        }
        self.watched.remove(&key);
        Ok(id)
    }

    /// The engine says that it carried out a directive (the last one of the symbol, if it names
    /// none). Returns whether that directive waits for confirmation. Only a local snapshot
    /// confirms: this starts `drift.reconcile_timeout` anew, once for each directive.
    pub fn reconciled(
        &mut self,
        key: SymbolKey,
        directive_id: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let drift = self.lines.get_mut(&key).and_then(|line| line.drift.as_mut());
        let drift = drift.filter(|drift| drift.state == DriftState::Reconciling);
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

    /// A forced release accepts the open drift of a symbol for the time being: it halts again only
    /// after it cleared, grew by a further CRITICAL threshold, or changed its direction. Returns
    /// whether there was one.
    pub fn acknowledge_drift(&mut self, key: SymbolKey) -> bool {
        let drift = self.lines.get_mut(&key).and_then(|line| line.drift.as_mut());
        let Some(drift) = drift.filter(|drift| drift.state.is_open()) else { return false };
        drift.acknowledged =
            Some(Acknowledged { size: drift.reading.size, direction: drift.reading.direction });
        true
    }

    /// Whether a confirmed drift of the symbol has not cleared.
    #[must_use]
    pub fn is_drift_open(&self, key: SymbolKey) -> bool {
        let drift = self.lines.get(&key).and_then(|line| line.drift.as_ref());
        drift.is_some_and(|drift| drift.state.is_open())
    }
}
