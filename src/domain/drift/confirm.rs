//! The life of one difference: pending, unconfirmed, open, reconciling, cleared.
//!
//! Input: one [`Reading`] after the other, with the time each was made. Output: a [`Step`] that
//! says what it came to, and the [`Drift`] moved on. Each comparison is first judged by itself, to
//! the first of these that holds ([`Judgement`]); what follows depends on that and on the state
//! alone (the table in [`Drift::observe`]). Invariants:
//! 1. Only a newer comparison within tolerance ends a difference, whatever explains it meanwhile.
//! 2. What moments at which both lists were true explain never counts. What leaves of open orders
//!    may explain does not for `in_flight.pending_max` of receive time from the first comparison
//!    that needed them; only one that needs none ends that count, whatever its sign or size.
//! 3. A comparison counts only if both snapshots are newer than at the last one that counted, and
//!    their times are close, or the older of the two came after the difference was first seen.
//! 4. Time alone counts nothing: a comparison that knows no more than the last one counts only if
//!    that one waited for the engine's report, and has waited long enough.
//! 5. Stale books and lost flows neither confirm nor clear.
//!
//! Deliberately absent: what is done about it (see `act`).

use serde::{Deserialize, Serialize};

use super::align::ByFills;
use super::classify::{Reading, Size};
use super::judge::{Test, highest};
use super::snapshot::SnapshotTime;
use super::{Action, DriftState, DriftView, Hint, ReconcileOutcome};
use crate::domain::directive::DirectiveId;
use crate::domain::ids::Symbol;
use crate::domain::settings::{DriftRules, DriftSettings, InFlightSettings, SettleMode, Severity};
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
    /// The test that gave the latest severity.
    pub(super) decided_by: Option<Test>,
    /// What keeps it at least MODERATE until it clears: reconciliations failed, or were too many.
    floor: Option<Test>,
    /// The severity by value at the latest comparison that counted and could value it.
    by_value: Option<Severity>,
    /// What it looks like beside another drift.
    pub(super) hint: Option<Hint>,
    /// The severity that was last acted on.
    pub(super) acted: Option<Severity>,
    pub(super) action: Action,
    pub(super) confirmations: u32,
    first: FirstSeen,
    counted: Option<Evidence>,
    /// What the latest comparison knew.
    seen: Option<Evidence>,
    /// The first comparison, since one needed none, that needed the leaves of open orders.
    leaves_since: Option<Timestamp>,
    /// The wait for the engine's report.
    settling: Option<Settling>,
    /// Comparisons that counted and that a slow broker explains.
    slow: u32,
    /// What the latest comparison left to fills in flight, signed (local - broker).
    #[serde(with = "exact")]
    in_flight: Decimal,
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

/// What a comparison knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Evidence {
    local: SnapshotTime,
    broker: SnapshotTime,
    late_flows: u64,
}

/// A difference that would count, were the engine's report known.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Settling {
    /// Receive time of the first comparison that waited.
    since: Timestamp,
    /// The time that the engine has to speak of, by the latest; none: only time ends the wait.
    wanted: Option<Timestamp>,
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
    /// The time up to which the engine has had its say, if it reports in order.
    pub(super) engine: Option<Timestamp>,
}

/// What one comparison is, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// It says nothing: it knows no more than the last one that counted, it is not to be relied on,
    /// or prices cannot be told.
    Nothing,
    /// The books are within tolerance.
    Agrees,
    /// It may be in flight.
    InFlight,
    /// They differ, and something is missing for that to count.
    Waits,
    /// They differ, and that counts.
    Counts,
}

/// Comparisons in a row that only a broker slower than `in_flight.lag_max` explains, and that are
/// MODERATE at most: it alerts before it halts.
const SLOW_MAX: u32 = 3;

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
    pub(super) const fn new(id: u64, reading: &Reading, now: Timestamp) -> Self {
        Self {
            id,
            reading: *reading,
            state: DriftState::Pending,
            severity: None,
            worst: None,
            decided_by: None,
            floor: None,
            by_value: None,
            hint: None,
            acted: None,
            action: Action::None,
            confirmations: 0,
            first: FirstSeen { at: now, local: reading.local_at, broker: reading.broker_at },
            counted: None,
            seen: None,
            leaves_since: None,
            settling: None,
            slow: 0,
            in_flight: Decimal::ZERO,
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
    ///
    /// | it is | pending | unconfirmed | open, reconciling |
    /// |---|---|---|---|
    /// | nothing | stays | stays | stays |
    /// | agreement | gone | gone | cleared |
    /// | in flight | shown | stays, shown as pending | stays, shown as pending |
    /// | waiting | shown | stays | stays |
    /// | counted | unconfirmed | counted | counted |
    ///
    /// Enough that were counted open it: see [`Self::is_confirmed`] and `act`.
    pub(super) fn observe(&mut self, reading: &Reading, around: &Circumstances<'_>) -> Step {
        let judgement = self.judge(reading, around);
        self.seen = Some(Evidence::of(reading, around));
        if judgement != Judgement::Nothing {
            self.in_flight = Decimal::ZERO;
        }
        match judgement {
            Judgement::Nothing => Step::Seen,
            Judgement::Agrees if self.state.is_open() => Step::Cleared,
            Judgement::Agrees => Step::Gone,
            Judgement::InFlight | Judgement::Waits => {
                if judgement == Judgement::InFlight {
                    self.in_flight = reading.size.quantity;
                }
                if self.state == DriftState::Pending {
                    self.reading = *reading;
                }
                Step::Seen
            }
            Judgement::Counts => {
                self.count(reading, around);
                Step::Counted
            }
        }
    }

    /// What a comparison is: the first of these that holds. Keeps the two counts of time, of leaves
    /// and of settling.
    fn judge(&mut self, reading: &Reading, around: &Circumstances<'_>) -> Judgement {
        let is_reliable = reading.is_complete && !around.is_stale;
        if reading.severity.is_none() {
            // Equal quantities say nothing of the averages that differed.
            let is_silent = self.reading.is_price() && !reading.prices_judged;
            if !is_reliable || is_silent || self.counted == Some(Evidence::of(reading, around)) {
                return Judgement::Nothing;
            }
            self.settling = None;
            return Judgement::Agrees;
        }
        if self.is_in_flight(reading, around) {
            self.settling = None;
            return Judgement::InFlight;
        }
        if !is_reliable {
            return Judgement::Nothing;
        }
        let may_count = self.is_news(reading, around)
            && self.is_renewed(reading)
            && self.is_close(reading, around.settings);
        if may_count && self.is_settled(reading, around) {
            return Judgement::Counts;
        }
        Judgement::Waits
    }

    fn count(&mut self, reading: &Reading, around: &Circumstances<'_>) {
        let agrees = self.counted.is_some() && self.reading.drift_type == reading.drift_type;
        self.confirmations = if agrees { self.confirmations.saturating_add(1) } else { 1 };
        self.counted = Some(Evidence::of(reading, around));
        self.settling = None;
        self.reading = *reading;
        let counted = self.counted_severity(reading);
        if !reading.is_unvalued() {
            self.by_value = reading.by_value;
        }
        let judged = highest([
            counted.zip(reading.decided_by),
            // What cannot be valued does not lower what was opened by value.
            self.by_value.filter(|_| reading.is_unvalued()).map(|held| (held, Test::Value)),
            self.floor.map(|test| (Severity::Moderate, test)),
        ]);
        self.severity = judged.map(|(severity, _)| severity);
        self.decided_by = judged.map(|(_, test)| test);
        self.worst = self.worst.max(self.severity);
        if self.state == DriftState::Pending {
            self.state = DriftState::Unconfirmed;
        }
    }

    /// The severity that a comparison counts with. The first ones that a slow broker explains are
    /// MODERATE at most; one that nothing explains ends that.
    fn counted_severity(&mut self, reading: &Reading) -> Option<Severity> {
        let is_slow = matches!(reading.explained.by_fills, ByFills::Slow(_));
        if is_slow && self.slow < SLOW_MAX {
            self.slow += 1;
            return reading.severity.min(Some(Severity::Moderate));
        }
        self.slow = SLOW_MAX;
        reading.severity
    }

    /// Keeps it at least MODERATE until it clears; returns the severity from here on.
    pub(super) fn raise(&mut self, reason: Test) -> Severity {
        self.floor = Some(reason);
        let own = self.severity.zip(self.decided_by);
        let (severity, test) = highest([own, Some((Severity::Moderate, reason))])
            .unwrap_or((Severity::Moderate, reason));
        self.severity = Some(severity);
        self.decided_by = Some(test);
        self.worst = self.worst.max(self.severity);
        severity
    }

    /// Whether enough comparisons in a row agree for the latest severity to be acted on.
    pub(super) fn is_confirmed(&self, rules: &DriftRules) -> bool {
        self.severity.is_some_and(|s| self.confirmations >= (*rules.confirm.get(s)).max(1))
    }

    /// Whether moments at which both lists were true explain it, or the leaves of open orders may
    /// and still have time to.
    fn is_in_flight(&mut self, reading: &Reading, around: &Circumstances<'_>) -> bool {
        let explained = &reading.explained;
        if matches!(explained.by_fills, ByFills::Recent(_)) {
            self.leaves_since = None;
            return true;
        }
        if !explained.by_open_orders {
            return false;
        }
        let since = *self.leaves_since.get_or_insert(around.now);
        around.now.since(since) < nanos(around.settings.in_flight.pending_max)
    }

    /// Whether a comparison knows more than the last one, or that one waited for a report.
    fn is_news(&self, reading: &Reading, around: &Circumstances<'_>) -> bool {
        self.settling.is_some() || self.seen != Some(Evidence::of(reading, around))
    }

    /// Whether the engine has had its say on what the broker's list shows: it was heard of with a
    /// time at or after that list's, or the first comparison that waited for it is long enough ago.
    fn is_settled(&mut self, reading: &Reading, around: &Circumstances<'_>) -> bool {
        let rules = &around.settings.in_flight;
        let wanted = match rules.settle_mode {
            SettleMode::Heard => Some(reading.broker_at.time),
            SettleMode::Always => None,
        };
        let is_heard = wanted.is_some() && around.engine >= wanted;
        if is_heard {
            return true;
        }
        let since = self.settling.map_or(around.now, |settling| settling.since);
        self.settling = Some(Settling { since, wanted });
        around.now.since(since) >= nanos(rules.settle)
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

    /// Whether a fill may still explain it.
    pub(super) const fn is_undecided(&self) -> bool {
        matches!(self.state, DriftState::Pending | DriftState::Unconfirmed)
    }

    /// When the wait for the engine's report ends by time alone; none: nothing waits.
    pub(super) fn settles_at(&self, rules: &InFlightSettings) -> Option<Timestamp> {
        self.settling.map(|settling| settling.since.plus(rules.settle))
    }

    /// The time that the engine has to speak of to end the wait; none: nothing waits for that.
    pub(super) fn waits_for(&self) -> Option<Timestamp> {
        self.settling.and_then(|settling| settling.wanted)
    }

    /// When the first comparison differed (receive time).
    pub(super) const fn first_seen_at(&self) -> Timestamp {
        self.first.at
    }

    /// The part that is not drift yet, signed (local - broker).
    pub(super) const fn pending(&self) -> Decimal {
        match self.state {
            DriftState::Pending => self.reading.size.quantity,
            DriftState::Unconfirmed
            | DriftState::Open
            | DriftState::Reconciling
            | DriftState::Cleared
            | DriftState::WithinTolerance => self.in_flight,
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
            decided_by: self.decided_by.filter(|_| is_judged),
            worst: self.worst,
            hint: self.hint.filter(|_| self.reading.is_one_sided()),
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

impl Evidence {
    const fn of(reading: &Reading, around: &Circumstances<'_>) -> Self {
        Self { local: reading.local_at, broker: reading.broker_at, late_flows: around.late_flows }
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
            decided_by: None,
            worst: None,
            hint: None,
            state: DriftState::WithinTolerance,
            quantity_drift: self.size.quantity,
            value_drift: self.size.value,
            local_quantity: self.local_quantity,
            broker_quantity: self.broker_quantity,
            ledger_quantity: self.ledger_quantity,
            ledger_basis: self.ledger_basis,
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
