//! The life of one difference: pending, unconfirmed, open, reconciling, cleared.
//!
//! Input: one [`Reading`] after the other, with the time each was made. Output: a [`Step`] that
//! says what it came to, and the [`Drift`] moved on. Invariants:
//! 1. A comparison counts only if both snapshots are newer than at the last one that counted,
//!    and their times are close, or the older of the two came after the difference was first
//!    seen. What does not count never changes a confirmed drift.
//! 2. What fills in flight may explain does not count, for at most `drift.pending_max` of receive
//!    time from the first comparison that differed (of a difference that already counted: that
//!    differed from the one that counted). A newer snapshot does not restart that clock; a
//!    difference that changed its direction before it ever counted is another one, and does.
//! 3. Stale books and lost flows neither confirm nor clear.
//! 4. Only a newer comparison within tolerance clears a confirmed drift.
//!
//! Deliberately absent: what is done about it (see `act`).

use serde::{Deserialize, Serialize};

use super::classify::{Reading, Size};
use super::snapshot::SnapshotTime;
use super::{Action, DriftState, DriftView, ReconcileOutcome};
use crate::domain::directive::DirectiveId;
use crate::domain::ids::Symbol;
use crate::domain::settings::{DriftRules, DriftSettings, Severity};
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::{Decimal, exact};

/// A difference beyond tolerance, and what was done about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Drift {
    /// Number within the account.
    pub(super) id: u64,
    /// The latest comparison; once one counted, the latest that counted.
    pub(super) reading: Reading,
    pub(super) state: DriftState,
    /// The latest severity that counted.
    pub(super) severity: Option<Severity>,
    pub(super) worst: Option<Severity>,
    /// A reconciliation that failed keeps it at least this severe.
    pub(super) floor: Option<Severity>,
    /// The severity that was last acted on.
    pub(super) acted: Option<Severity>,
    pub(super) action: Action,
    pub(super) confirmations: u32,
    first: FirstSeen,
    counted: Option<Counted>,
    waiting_since: Option<Timestamp>,
    /// What the latest comparison left to fills in flight, signed (local - broker).
    #[serde(with = "exact")]
    in_flight: Option<Decimal>,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) cleared_at: Option<Timestamp>,
    /// The last directive to the engine.
    pub(super) sent: Option<Sent>,
    pub(super) attempts: u32,
    /// Trading was halted for it since it became CRITICAL.
    pub(super) is_halted: bool,
    /// Its size when a forced release acknowledged it.
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) resolution: Option<ReconcileOutcome>,
}

/// The first comparison that differed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct FirstSeen {
    at: Timestamp,
    local: SnapshotTime,
    broker: SnapshotTime,
}

/// The last comparison that counted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Counted {
    local: SnapshotTime,
    broker: SnapshotTime,
    #[serde(with = "exact")]
    difference: Decimal,
    late_flows: u64,
}

/// A directive that went to the engine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) id: DirectiveId,
    /// When it was sent, or when the engine said that it carried it out.
    pub(super) at: Timestamp,
    /// The engine said so.
    pub(super) is_carried_out: bool,
}

/// What a forced release accepted for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    pub(super) size: Size,
    pub(super) direction: i8,
}

/// What surrounds a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) now: Timestamp,
    pub(super) settings: &'a DriftSettings,
    /// A needed book is too old.
    pub(super) is_stale: bool,
    /// How many late flows moved what is compared, so far.
    pub(super) late_flows: u64,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was looked at, no more.
    Seen,
    /// It counted.
    Counted,
    /// The difference is gone before it was confirmed.
    Gone,
    /// A confirmed drift is within tolerance again.
    Cleared,
}

impl Drift {
    /// A difference seen for the first time.
    pub(super) const fn new(id: u64, reading: Reading, now: Timestamp) -> Self {
        Self {
            id,
            reading,
            state: DriftState::Pending,
            severity: None,
            worst: None,
            floor: None,
            acted: None,
            action: Action::None,
            confirmations: 0,
            first: FirstSeen { at: now, local: reading.local_at, broker: reading.broker_at },
            counted: None,
            waiting_since: None,
            in_flight: None,
            opened_at: None,
            cleared_at: None,
            sent: None,
            attempts: 0,
            is_halted: false,
            acknowledged: None,
            resolution: None,
        }
    }

    /// Moves on by one comparison.
    pub(super) fn observe(&mut self, reading: &Reading, around: &Circumstances<'_>) -> Step {
        match reading.severity {
            None => self.observe_agreement(reading, around),
            Some(severity) => self.observe_difference(reading, severity, around),
        }
    }

    fn observe_agreement(&mut self, reading: &Reading, around: &Circumstances<'_>) -> Step {
        let is_reliable = !around.is_stale && reading.is_complete;
        if self.reading.is_price() && !reading.prices_judged {
            // Equal quantities say nothing of the averages that differed.
            return Step::Seen;
        }
        self.in_flight = None;
        match self.state {
            DriftState::Pending if reading.is_complete => Step::Gone,
            DriftState::Unconfirmed if is_reliable => Step::Gone,
            DriftState::Open | DriftState::Reconciling
                if is_reliable && self.is_news(reading, around) =>
            {
                Step::Cleared
            }
            DriftState::Pending
            | DriftState::Unconfirmed
            | DriftState::Open
            | DriftState::Reconciling
            | DriftState::Cleared => Step::Seen,
        }
    }

    fn observe_difference(
        &mut self,
        reading: &Reading,
        severity: Severity,
        around: &Circumstances<'_>,
    ) -> Step {
        if self.counted.is_none() && self.is_another(reading) {
            *self = Self::new(self.id, *reading, around.now);
        }
        let is_in_flight = self.is_in_flight(reading, around);
        let counts = !is_in_flight
            && !around.is_stale
            && reading.is_complete
            && self.is_renewed(reading)
            && self.is_close(reading, around.settings);
        if counts {
            self.count(reading, severity, around);
            return Step::Counted;
        }
        if self.state == DriftState::Pending && reading.is_complete {
            self.reading = *reading;
        }
        Step::Seen
    }

    fn count(&mut self, reading: &Reading, severity: Severity, around: &Circumstances<'_>) {
        let agrees = self.counted.is_some() && self.reading.drift_type == reading.drift_type;
        self.confirmations = if agrees { self.confirmations.saturating_add(1) } else { 1 };
        self.counted = Some(Counted {
            local: reading.local_at,
            broker: reading.broker_at,
            difference: reading.size.quantity,
            late_flows: around.late_flows,
        });
        self.waiting_since = None;
        self.reading = *reading;
        self.severity = Some(severity).max(self.floor);
        self.worst = self.worst.max(self.severity);
        if self.state == DriftState::Pending {
            self.state = DriftState::Unconfirmed;
        }
    }

    /// Whether enough comparisons in a row agree for the latest severity to be acted on.
    pub(super) fn is_confirmed(&self, rules: &DriftRules) -> bool {
        self.severity.is_some_and(|s| self.confirmations >= (*rules.confirm.get(s)).max(1))
    }

    /// A difference that never counted and changed sides (or is suddenly about prices) passed
    /// through agreement: it is another one.
    fn is_another(&self, reading: &Reading) -> bool {
        self.reading.direction != reading.direction || self.reading.is_price() != reading.is_price()
    }

    /// Whether fills in flight may explain it, or the change since the last one that counted, and
    /// still have time to.
    fn is_in_flight(&mut self, reading: &Reading, around: &Circumstances<'_>) -> bool {
        self.in_flight = None;
        let difference = reading.size.quantity;
        let reference = self.counted.map_or(Decimal::ZERO, |counted| counted.difference);
        if reading.is_price() || difference == reference {
            self.waiting_since = None;
            return false;
        }
        let since = *self.waiting_since.get_or_insert(around.now);
        let change = difference.saturating_sub(reference);
        let is_explained = reading.reach.explains(difference) || reading.reach.explains(change);
        let has_time = around.now.since(since) < nanos(around.settings.pending_max);
        if is_explained && has_time {
            self.in_flight = Some(change);
        }
        self.in_flight.is_some()
    }

    /// Rule (a): both snapshots are newer than at the last comparison that counted.
    fn is_renewed(&self, reading: &Reading) -> bool {
        self.counted.is_none_or(|counted| {
            reading.local_at.is_newer_than(counted.local)
                && reading.broker_at.is_newer_than(counted.broker)
        })
    }

    /// Rule (b): the times are close, or the older of the two snapshots came after the difference
    /// was first seen, so that its age alone does not explain it.
    fn is_close(&self, reading: &Reading, settings: &DriftSettings) -> bool {
        let (local, broker) = (reading.local_at, reading.broker_at);
        let is_older_renewed = if local.time <= broker.time {
            local.is_newer_than(self.first.local)
        } else {
            broker.is_newer_than(self.first.broker)
        };
        local.time.is_within(broker.time, settings.apart_max) || is_older_renewed
    }

    /// Whether a comparison knows more than the last one that counted.
    fn is_news(&self, reading: &Reading, around: &Circumstances<'_>) -> bool {
        self.counted.is_none_or(|counted| {
            reading.local_at.is_newer_than(counted.local)
                || reading.broker_at.is_newer_than(counted.broker)
                || around.late_flows != counted.late_flows
        })
    }

    /// Whether a fill may still explain it.
    pub(super) const fn is_undecided(&self) -> bool {
        matches!(self.state, DriftState::Pending | DriftState::Unconfirmed)
    }

    /// When fills in flight will have had their time; none: nothing waits for it.
    pub(super) fn waits_until(&self, settings: &DriftSettings) -> Option<Timestamp> {
        self.in_flight.and(self.waiting_since).map(|since| since.plus(settings.pending_max))
    }

    /// The part that is not drift yet, signed (local - broker).
    pub(super) fn pending(&self) -> Decimal {
        match self.state {
            DriftState::Pending => self.reading.size.quantity,
            DriftState::Unconfirmed
            | DriftState::Open
            | DriftState::Reconciling
            | DriftState::Cleared => self.in_flight.unwrap_or_default(),
        }
    }

    /// What the API shows of it.
    pub(super) fn view(&self, symbol: &Symbol) -> DriftView {
        let is_judged = matches!(
            self.state,
            DriftState::Unconfirmed | DriftState::Open | DriftState::Reconciling
        );
        DriftView {
            id: self.id,
            severity: self.severity.filter(|_| is_judged),
            worst: self.worst,
            state: self.state,
            action: self.action,
            confirmations: self.confirmations,
            first_seen_at: self.first.at,
            opened_at: self.opened_at,
            cleared_at: self.cleared_at,
            directive_id: self.sent.map(|sent| sent.id),
            attempts: self.attempts,
            acknowledged: self.acknowledged.is_some(),
            resolution: self.resolution,
            ..self.reading.view(symbol, self.first.at)
        }
    }
}

impl Reading {
    /// What the API shows of a difference within tolerance, looked at `at`.
    pub(super) fn view(&self, symbol: &Symbol, at: Timestamp) -> DriftView {
        DriftView {
            id: 0,
            symbol: symbol.clone(),
            drift_type: self.drift_type,
            severity: None,
            worst: None,
            state: DriftState::Cleared,
            quantity_drift: self.size.quantity,
            value_drift: self.size.value,
            local_quantity: self.local_quantity,
            broker_quantity: self.broker_quantity,
            ledger_quantity: self.ledger_quantity,
            local_price: self.local_price,
            broker_price: self.broker_price,
            price: self.price,
            price_unknown: self.price_unknown,
            currency_unknown: self.currency_unknown,
            ledger_stands_in: self.ledger_stands_in,
            attribution: self.attribution,
            action: Action::None,
            confirmations: 0,
            first_seen_at: at,
            opened_at: None,
            cleared_at: None,
            directive_id: None,
            attempts: 0,
            acknowledged: false,
            resolution: None,
        }
    }
}
