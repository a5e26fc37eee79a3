//! The response to a confirmed drift: reconcile, alert, halt.
//!
//! Input: a [`Drift`] that just counted, cleared or ran out of time. Output: directives, halts,
//! counters. Invariants: only MINOR drift is reconciled, and never an unknown position or one that
//! cannot be valued; a directive that is not confirmed is sent `drift.reconcile_tries` times, then the
//! drift is MODERATE until it clears; so is the next MINOR drift of a symbol that was reconciled as
//! often as `drift.reconcile_budget` allows; one halt for each time that a drift becomes CRITICAL, and
//! after a forced release only when it grew by a further CRITICAL threshold or changed its direction.
//! Deliberately absent: the latch (see `state`), and permission to release it.

use super::books::SymbolBooks;
use super::comparison::{AcceptedOffset, Comparison, DriftSize};
use super::confirm::{Acknowledged, Drift, SentDirective};
use super::history::DriftHistory;
use super::severity::Criteria;
use super::view::{DriftAction, DriftHalt, DriftState, DriftType, ReconcileOutcome, SeverityTest};
use crate::domain::directive::DirectiveKind;
use crate::domain::ids::Symbol;
use crate::domain::settings::{DriftRules, Severity};
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::nanos;
use crate::domain::units::Decimal;

/// Responds to the drift of one symbol.
#[derive(Debug)]
pub(super) struct DriftResponse<'r, 'a, 'out> {
    pub(super) step: &'r mut Step<'a, 'out>,
    pub(super) key: SymbolKey,
    pub(super) criteria: Criteria<'a>,
    pub(super) history: &'r mut DriftHistory,
    pub(super) halts: &'r mut Vec<DriftHalt>,
}

impl DriftResponse<'_, '_, '_> {
    /// Responds to a drift that a comparison just counted. `before` is the severity until then.
    pub(super) fn settle(
        &mut self,
        drift: &mut Drift,
        before: Option<Severity>,
        offset: AcceptedOffset,
    ) {
        self.hold_to_budget(drift);
        let is_confirmed = drift.is_confirmed(self.criteria.rules);
        let opens = is_confirmed && !drift.state.is_open();
        if opens {
            drift.state = DriftState::Open;
            drift.opened_at = Some(self.step.now);
            self.history.open(self.key, &self.criteria.symbol, drift.id);
        }
        if is_confirmed {
            self.act(drift, offset);
        }
        if opens || (drift.state.is_open() && drift.severity != before) {
            self.publish(drift);
        }
    }

    /// Ends a confirmed drift. `resolution` is the reconciliation or adoption that ended it; none: the
    /// books agreed without one.
    pub(super) fn clear(&mut self, line: &mut SymbolBooks, resolution: Option<ReconcileOutcome>) {
        let Some(mut drift) = line.drift.take() else {
            impossible!("only a drift that is there is cleared");
            return;
        };
        drift.state = DriftState::Cleared;
        drift.severity = None;
        drift.cleared_at = Some(self.step.now);
        drift.resolution = resolution;
        if let Some(outcome) = resolution {
            self.history.count_reconciliation(outcome);
        }
        self.publish(&drift);
        self.history.close(drift);
    }

    /// Sends the directive again if it was not confirmed in time, or gives up after the last try.
    pub(super) fn time_out(&mut self, drift: &mut Drift, offset: AcceptedOffset) {
        let timeout = nanos(self.criteria.settings.reconcile_timeout);
        let is_due = drift.sent.is_some_and(|sent| self.step.now.since(sent.at) >= timeout);
        if drift.state != DriftState::Reconciling || !is_due {
            return;
        }
        if drift.attempts < self.criteria.settings.reconcile_tries {
            self.send(drift, offset);
        } else {
            self.escalate(drift);
            self.publish(drift);
        }
    }

    /// Sends a reconcile directive to the engine.
    pub(super) fn send(&mut self, drift: &mut Drift, offset: AcceptedOffset) {
        drift.attempts = drift.attempts.saturating_add(1);
        let latest = &drift.latest;
        // The engine does not know the offset, so quantities are in the engine's own terms.
        let kind = DirectiveKind::Reconcile {
            symbol: self.criteria.symbol.clone(),
            from_quantity: latest.local_quantity.saturating_add(offset.quantity).normalize(),
            to_quantity: latest.broker_quantity.saturating_add(offset.quantity).normalize(),
            from_price: latest.local_price,
            to_price: latest.broker_price,
            drift: latest.drift_type,
            attempt: drift.attempts,
        };
        let id = self.step.emit(kind);
        drift.sent = Some(SentDirective { id, at: self.step.now, is_carried_out: false });
        drift.state = DriftState::Reconciling;
        self.history.count_reconciliation(ReconcileOutcome::Sent);
    }

    fn act(&mut self, drift: &mut Drift, offset: AcceptedOffset) {
        let Some(severity) = drift.severity else {
            impossible!("a confirmed drift has a severity");
            return;
        };
        self.count(drift, severity);
        drift.action = self.action(severity, &drift.latest);
        if severity < Severity::Critical {
            drift.is_halted = false;
        }
        match drift.action {
            DriftAction::Reconcile if drift.state == DriftState::Reconciling => {}
            DriftAction::Reconcile if drift.attempts < self.criteria.settings.reconcile_tries => {
                if drift.attempts == 0 {
                    let budget = &self.criteria.settings.reconcile_budget;
                    self.history.repair(self.key, self.step.now, budget);
                }
                self.send(drift, offset);
            }
            DriftAction::Reconcile => self.escalate(drift),
            DriftAction::Halt => {
                drift.state = DriftState::Open;
                self.halt(drift);
            }
            DriftAction::Alert | DriftAction::None => drift.state = DriftState::Open,
        }
    }

    fn action(&self, severity: Severity, comparison: &Comparison) -> DriftAction {
        let may_reconcile = self.criteria.settings.auto_reconcile
            && comparison.drift_type != DriftType::UnknownPosition
            && !comparison.is_unvalued();
        match severity {
            Severity::Minor if may_reconcile => DriftAction::Reconcile,
            Severity::Minor | Severity::Moderate => DriftAction::Alert,
            Severity::Critical => DriftAction::Halt,
        }
    }

    /// Reconciliation failed: the drift is at least MODERATE from here on.
    fn escalate(&mut self, drift: &mut Drift) {
        drift.resolution = Some(ReconcileOutcome::Escalated);
        let severity = drift.raise(SeverityTest::ReconcileFailed);
        drift.state = DriftState::Open;
        drift.action = self.action(severity, &drift.latest);
        self.count(drift, severity);
        self.history.count_reconciliation(ReconcileOutcome::Escalated);
    }

    /// Raises a new MINOR drift past the budget, so that people look at it: repairs without end would
    /// hide the cause.
    fn hold_to_budget(&self, drift: &mut Drift) {
        let is_new = drift.severity == Some(Severity::Minor) && drift.attempts == 0;
        let budget = &self.criteria.settings.reconcile_budget;
        if is_new && self.history.is_spent(self.key, self.step.now, budget) {
            drift.raise(SeverityTest::ReconcileBudget);
        }
    }

    /// Counts a drift at its confirmation, and each time it becomes more severe.
    fn count(&mut self, drift: &mut Drift, severity: Severity) {
        if drift.acted.is_none_or(|acted| severity > acted) {
            self.history.count_drift(drift.latest.drift_type, severity);
        }
        drift.acted = Some(severity);
    }

    fn halt(&mut self, drift: &mut Drift) {
        let is_due = match drift.acknowledged {
            Some(acknowledged) => acknowledged.is_exceeded_by(drift, &self.criteria),
            None => !drift.is_halted,
        };
        if !is_due {
            return;
        }
        drift.acknowledged = None;
        drift.is_halted = true;
        self.halts.push(DriftHalt {
            drift_id: drift.id,
            symbol: self.criteria.symbol.clone(),
            reason: reason(drift, &self.criteria),
        });
    }

    fn publish(&mut self, drift: &Drift) {
        let view = drift.view(&self.criteria.symbol);
        self.step.emit(DirectiveKind::Drift(Box::new(view)));
    }
}

impl Acknowledged {
    /// Whether a drift has changed its direction since, or grew by a further CRITICAL threshold.
    fn is_exceeded_by(&self, drift: &Drift, criteria: &Criteria<'_>) -> bool {
        let rules = criteria.rules;
        let (then, now) = (&self.size, &drift.latest.size);
        let grew = now.quantity.abs().saturating_sub(then.quantity.abs());
        let by_fraction = rules.relative.as_ref().is_some_and(|relative| {
            !then.position.is_zero() && grew >= relative.critical.saturating_mul(then.position)
        });
        // If the value was unknown at the release, growth by value cannot be judged.
        let by_value = then
            .value
            .zip(now.value)
            .is_some_and(|(then, now)| now.saturating_sub(then) >= rules.value.critical);
        drift.latest.direction != self.direction
            || (criteria.is_counted && grew >= rules.quantity.critical)
            || by_fraction
            || by_value
    }
}

/// The reason of a halt in one sentence: the books, and the test that decided.
fn reason(drift: &Drift, criteria: &Criteria<'_>) -> String {
    let symbol: &Symbol = &criteria.symbol;
    let latest = &drift.latest;
    let local = if latest.ledger_stands_in { "ledger (no local book)" } else { "local" };
    let or_none = |price: Option<Decimal>| price.map_or_else(|| "none".to_owned(), number);
    let books = if latest.is_price() {
        format!(
            "quantity {}, average price {local} {}, broker {}",
            number(latest.local_quantity),
            or_none(latest.local_price),
            or_none(latest.broker_price),
        )
    } else {
        format!(
            "{local} {}, broker {}, difference {}",
            number(latest.local_quantity),
            number(latest.broker_quantity),
            number(latest.size.quantity),
        )
    };
    let value = match latest.size.value {
        Some(value) => number(value),
        None if latest.currency_unknown => "unknown (no rate)".to_owned(),
        None => "unknown (no price)".to_owned(),
    };
    format!(
        "CRITICAL drift {} ({}) of {symbol}: {books}, value {value}; {}",
        drift.id,
        latest.drift_type.as_str(),
        decision(drift, criteria.rules),
    )
}

/// The test that made it CRITICAL, with its threshold.
fn decision(drift: &Drift, rules: &DriftRules) -> String {
    let DriftSize { quantity, value, position } = drift.latest.size;
    let relative = rules.relative.as_ref().map(|relative| relative.critical).unwrap_or_default();
    match drift.decided_by {
        Some(SeverityTest::Quantity) => {
            let (quantity, bound) = (number(quantity.abs()), number(rules.quantity.critical));
            format!("decided by quantity {quantity} (threshold {bound})")
        }
        Some(SeverityTest::Value) => {
            let bound = number(rules.value.critical);
            let earlier = || "of an earlier comparison".to_owned();
            format!("decided by value {} (threshold {bound})", value.map_or_else(earlier, number))
        }
        Some(SeverityTest::Relative) => format!(
            "decided by fraction: {} of a position of {} (threshold {})",
            number(quantity.abs()),
            number(position),
            number(relative),
        ),
        Some(
            SeverityTest::SignFlip
            | SeverityTest::ValueUnknown
            | SeverityTest::ReconcileFailed
            | SeverityTest::ReconcileBudget,
        )
        | None => drift.decided_by.map_or("undecided", SeverityTest::as_str).to_owned(),
    }
}

fn number(number: Decimal) -> String {
    number.normalize().to_string()
}
