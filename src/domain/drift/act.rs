//! What is done about a drift once enough comparisons agree: reconcile, alert, halt.
//!
//! Input: a [`Drift`] that just counted, cleared or ran out of time. Output: directives, requests
//! to halt, counters. Invariants: MINOR alone is reconciled, and never an unknown position or what
//! cannot be valued; a directive that nobody confirms is sent `drift.reconcile_tries` times, then
//! the drift is MODERATE until it clears; so is the next MINOR drift of a symbol that was reconciled
//! as often as `drift.reconcile_budget` allows; one halt for each time a drift becomes CRITICAL, and after a forced
//! release only when it grew by a further CRITICAL threshold or changed its direction.
//! Deliberately absent: the latch (see `state`), and who may release it.

use super::books::Line;
use super::classify::{Offset, Reading, Size};
use super::confirm::{Acknowledged, Drift, Sent};
use super::history::History;
use super::judge::{Terms, Test};
use super::{Action, DriftState, DriftType, ReconcileOutcome};
use crate::domain::directive::{DirectiveKind, Outbox};
use crate::domain::ids::{Account, Symbol};
use crate::domain::settings::{DriftRules, Severity};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::Decimal;

/// A confirmed CRITICAL drift asks for a halt of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaltRequest {
    /// The drift: its number within the account.
    pub drift_id: u64,
    /// The instrument.
    pub symbol: Symbol,
    /// Type, quantities, value and thresholds, for people.
    pub reason: String,
}

/// Where actions on one symbol go.
#[derive(Debug)]
pub(super) struct Office<'a, 'out> {
    pub(super) now: Timestamp,
    pub(super) account: &'a Account,
    pub(super) key: SymbolKey,
    pub(super) symbol: &'a Symbol,
    pub(super) terms: Terms<'a>,
    pub(super) history: &'a mut History,
    pub(super) outbox: &'a mut Outbox<'out>,
    pub(super) halts: &'a mut Vec<HaltRequest>,
}

impl Office<'_, '_> {
    /// Acts on a drift that a comparison just counted; `before` is the severity until then.
    pub(super) fn settle(&mut self, drift: &mut Drift, before: Option<Severity>, offset: Offset) {
        self.hold_to_budget(drift);
        let is_confirmed = drift.is_confirmed(self.terms.rules);
        let opens = is_confirmed && !drift.state.is_open();
        if opens {
            drift.state = DriftState::Open;
            drift.opened_at = Some(self.now);
            self.history.open(self.key, self.symbol, drift.id);
        }
        if is_confirmed {
            self.act(drift, offset);
        }
        if opens || (drift.state.is_open() && drift.severity != before) {
            self.tell(drift);
        }
    }

    /// Ends a confirmed drift. `resolution` is what ended it, if anything of ours did.
    pub(super) fn clear(&mut self, line: &mut Line, resolution: Option<ReconcileOutcome>) {
        let Some(mut drift) = line.drift.take() else { return };
        drift.state = DriftState::Cleared;
        drift.severity = None;
        drift.cleared_at = Some(self.now);
        drift.resolution = resolution;
        if let Some(outcome) = resolution {
            self.history.count_reconciliation(outcome);
        }
        self.tell(&drift);
        self.history.close(drift);
    }

    /// Sends the directive again when nobody confirmed it in time, or gives up.
    pub(super) fn time_out(&mut self, drift: &mut Drift, offset: Offset) {
        let timeout = nanos(self.terms.settings.reconcile_timeout);
        let is_due = drift.sent.is_some_and(|sent| self.now.since(sent.at) >= timeout);
        if drift.state != DriftState::Reconciling || !is_due {
            return;
        }
        if drift.attempts < self.terms.settings.reconcile_tries {
            self.send(drift, offset);
        } else {
            self.escalate(drift);
            self.tell(drift);
        }
    }

    /// Tells the engine to set its book right.
    pub(super) fn send(&mut self, drift: &mut Drift, offset: Offset) {
        drift.attempts = drift.attempts.saturating_add(1);
        let reading = &drift.reading;
        // The engine knows nothing of the offset: local is told as local says it.
        let kind = DirectiveKind::Reconcile {
            symbol: self.symbol.clone(),
            from_quantity: reading.local_quantity.saturating_add(offset.quantity).normalize(),
            to_quantity: reading.broker_quantity.saturating_add(offset.quantity).normalize(),
            from_price: reading.local_price,
            to_price: reading.broker_price,
            drift: reading.drift_type,
            attempt: drift.attempts,
        };
        let id = self.outbox.push(self.account, kind);
        drift.sent = Some(Sent { id, at: self.now, is_carried_out: false });
        drift.state = DriftState::Reconciling;
        self.history.count_reconciliation(ReconcileOutcome::Sent);
    }

    fn act(&mut self, drift: &mut Drift, offset: Offset) {
        let Some(severity) = drift.severity else { return };
        self.count(drift, severity);
        drift.action = self.action(severity, &drift.reading);
        if severity < Severity::Critical {
            drift.is_halted = false;
        }
        match drift.action {
            Action::Reconcile if drift.state == DriftState::Reconciling => {}
            Action::Reconcile if drift.attempts < self.terms.settings.reconcile_tries => {
                if drift.attempts == 0 {
                    let budget = &self.terms.settings.reconcile_budget;
                    self.history.repair(self.key, self.now, budget);
                }
                self.send(drift, offset);
            }
            Action::Reconcile => self.escalate(drift),
            Action::Halt => {
                drift.state = DriftState::Open;
                self.halt(drift);
            }
            Action::Alert | Action::None => drift.state = DriftState::Open,
        }
    }

    fn action(&self, severity: Severity, reading: &Reading) -> Action {
        let may_reconcile = self.terms.settings.auto_reconcile
            && reading.drift_type != DriftType::UnknownPosition
            && !reading.is_unvalued();
        match severity {
            Severity::Minor if may_reconcile => Action::Reconcile,
            Severity::Minor | Severity::Moderate => Action::Alert,
            Severity::Critical => Action::Halt,
        }
    }

    /// Reconciliation failed: at least MODERATE from here on.
    fn escalate(&mut self, drift: &mut Drift) {
        drift.resolution = Some(ReconcileOutcome::Escalated);
        let severity = drift.raise(Test::ReconcileFailed);
        drift.state = DriftState::Open;
        drift.action = self.action(severity, &drift.reading);
        self.count(drift, severity);
        self.history.count_reconciliation(ReconcileOutcome::Escalated);
    }

    /// A repair that never ends hides its cause: past the budget, MINOR drift is looked at by people.
    fn hold_to_budget(&self, drift: &mut Drift) {
        let is_new = drift.severity == Some(Severity::Minor) && drift.attempts == 0;
        let budget = &self.terms.settings.reconcile_budget;
        if is_new && self.history.is_spent(self.key, self.now, budget) {
            drift.raise(Test::ReconcileBudget);
        }
    }

    /// Counts a drift at its confirmation, and each time it becomes more severe.
    fn count(&mut self, drift: &mut Drift, severity: Severity) {
        if drift.acted.is_none_or(|acted| severity > acted) {
            self.history.count_drift(drift.reading.drift_type, severity);
        }
        drift.acted = Some(severity);
    }

    fn halt(&mut self, drift: &mut Drift) {
        let is_due = match drift.acknowledged {
            Some(acknowledged) => acknowledged.is_exceeded_by(drift, &self.terms),
            None => !drift.is_halted,
        };
        if !is_due {
            return;
        }
        drift.acknowledged = None;
        drift.is_halted = true;
        self.halts.push(HaltRequest {
            drift_id: drift.id,
            symbol: self.symbol.clone(),
            reason: reason(self.symbol, drift, &self.terms),
        });
    }

    fn tell(&mut self, drift: &Drift) {
        self.outbox.push(self.account, DirectiveKind::Drift(Box::new(drift.view(self.symbol))));
    }
}

impl Acknowledged {
    /// Whether a drift changed its direction since, or grew by a further CRITICAL threshold.
    fn is_exceeded_by(&self, drift: &Drift, terms: &Terms<'_>) -> bool {
        let rules = terms.rules;
        let (then, now) = (&self.size, &drift.reading.size);
        let grew = now.quantity.abs().saturating_sub(then.quantity.abs());
        let by_fraction = rules.relative.as_ref().is_some_and(|relative| {
            !then.position.is_zero() && grew >= relative.critical.saturating_mul(then.position)
        });
        // A value that was not known then is no yardstick now.
        let by_value = then
            .value
            .zip(now.value)
            .is_some_and(|(then, now)| now.saturating_sub(then) >= rules.value.critical);
        drift.reading.direction != self.direction
            || (terms.is_counted && grew >= rules.quantity.critical)
            || by_fraction
            || by_value
    }
}

/// Why trading is halted, in one sentence: the books, and the test that decided.
fn reason(symbol: &Symbol, drift: &Drift, terms: &Terms<'_>) -> String {
    let reading = &drift.reading;
    let local = if reading.ledger_stands_in { "ledger (no local book)" } else { "local" };
    let or_none = |price: Option<Decimal>| price.map_or_else(|| "none".to_owned(), number);
    let books = if reading.is_price() {
        format!(
            "quantity {}, average price {local} {}, broker {}",
            number(reading.local_quantity),
            or_none(reading.local_price),
            or_none(reading.broker_price),
        )
    } else {
        format!(
            "{local} {}, broker {}, difference {}",
            number(reading.local_quantity),
            number(reading.broker_quantity),
            number(reading.size.quantity),
        )
    };
    let value = match reading.size.value {
        Some(value) => number(value),
        None if reading.currency_unknown => "unknown (no rate)".to_owned(),
        None => "unknown (no price)".to_owned(),
    };
    format!(
        "CRITICAL drift {} ({}) of {symbol}: {books}, value {value}; {}",
        drift.id,
        reading.drift_type.as_str(),
        decision(drift, terms.rules),
    )
}

/// The test that made it CRITICAL, with its threshold.
fn decision(drift: &Drift, rules: &DriftRules) -> String {
    let Size { quantity, value, position } = drift.reading.size;
    let relative = rules.relative.as_ref().map(|relative| relative.critical).unwrap_or_default();
    match drift.decided_by {
        Some(Test::Quantity) => {
            let (quantity, bound) = (number(quantity.abs()), number(rules.quantity.critical));
            format!("decided by quantity {quantity} (threshold {bound})")
        }
        Some(Test::Value) => {
            let bound = number(rules.value.critical);
            let earlier = || "of an earlier comparison".to_owned();
            format!("decided by value {} (threshold {bound})", value.map_or_else(earlier, number))
        }
        Some(Test::Relative) => format!(
            "decided by fraction: {} of a position of {} (threshold {})",
            number(quantity.abs()),
            number(position),
            number(relative),
        ),
        Some(
            Test::SignFlip | Test::ValueUnknown | Test::ReconcileFailed | Test::ReconcileBudget,
        )
        | None => drift.decided_by.map_or("undecided", Test::as_str).to_owned(),
    }
}

fn number(number: Decimal) -> String {
    number.normalize().to_string()
}
