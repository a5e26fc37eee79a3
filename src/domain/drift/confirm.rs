//! The life of one difference: pending, unconfirmed, open, reconciling, cleared.
//!
//! Input: one [`Comparison`] after the other, each with its receive time. Output: the [`Progress`] of
//! the [`Drift`]. Each comparison is first judged by itself: the first [`Judgement`] that holds. The
//! consequence depends only on that judgement and the state (the table in [`Drift::observe`]).
//! Invariants:
//! 1. Only a newer comparison within tolerance ends a difference, whatever explains it meanwhile.
//! 2. A difference never counts if there are moments at which both lists were true. If leaves of open
//!    orders may explain it, it does not count for `in_flight.pending_max` of receive time after the
//!    first comparison that needed them. Only a comparison that needs no leaves restarts that time,
//!    whatever the sign or size of the difference.
//! 3. A comparison counts only if both snapshots are newer than in the last one that counted, and
//!    their times are close, or the older of the two arrived after the difference was first seen.
//! 4. Time alone counts nothing: a comparison with the same lists as the last one counts only if that
//!    one waited for the engine's report, and the wait is over.
//! 5. Stale books and lost flows neither confirm nor clear.
//!
//! Deliberately absent: the response (see `act`).

use serde::{Deserialize, Serialize};

use super::align::ByFills;
use super::comparison::{Comparison, DriftSize};
use super::severity::highest;
use super::snapshot::SnapshotTime;
use super::view::{DriftAction, DriftHint, DriftState, DriftView, ReconcileOutcome, SeverityTest};
use crate::domain::ids::DirectiveId;
use crate::domain::ids::Symbol;
use crate::domain::settings::{DriftRules, DriftSettings, InFlightSettings, SettleMode, Severity};
use crate::domain::time::{Timestamp, nanos};
use crate::domain::units::{Decimal, exact};

/// A difference beyond tolerance, and the response to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Drift {
    /// Number within the account.
    pub(super) id: u64,
    /// The latest comparison; once one counted, the latest that counted.
    pub(super) latest: Comparison,
    pub(super) state: DriftState,
    /// The latest severity that counted.
    pub(super) severity: Option<Severity>,
    pub(super) worst: Option<Severity>,
    /// The test that set the latest severity.
    pub(super) decided_by: Option<SeverityTest>,
    /// The reason that keeps it at least MODERATE until it clears: reconciliations failed, or were too
    /// many.
    floor: Option<SeverityTest>,
    /// The severity by value at the latest comparison that counted and could value it.
    by_value: Option<Severity>,
    /// A resemblance to another drift.
    pub(super) hint: Option<DriftHint>,
    /// The severity of the last response.
    pub(super) acted: Option<Severity>,
    pub(super) action: DriftAction,
    pub(super) confirmations: u32,
    first: FirstComparison,
    counted: Option<ComparedLists>,
    /// The lists of the latest comparison.
    seen: Option<ComparedLists>,
    /// Receive time of the first comparison that needed the leaves of open orders, since one that did
    /// not.
    leaves_since: Option<Timestamp>,
    /// The wait for the engine's report.
    settling: Option<EngineWait>,
    /// Number of comparisons that counted although a slow broker explains them.
    slow: u32,
    /// The part that the latest comparison attributed to fills in flight, signed (local - broker).
    #[serde(with = "exact")]
    in_flight: Decimal,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) cleared_at: Option<Timestamp>,
    /// The last directive to the engine.
    pub(super) sent: Option<SentDirective>,
    pub(super) attempts: u32,
    /// Whether trading was halted for it since it became CRITICAL.
    pub(super) is_halted: bool,
    /// Its size when a forced release acknowledged it.
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) resolution: Option<ReconcileOutcome>,
}

/// The first comparison that differed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct FirstComparison {
    at: Timestamp,
    local: SnapshotTime,
    broker: SnapshotTime,
}

/// The information in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ComparedLists {
    local: SnapshotTime,
    broker: SnapshotTime,
    late_flows: u64,
}

/// The wait of a difference for the engine's report.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct EngineWait {
    /// Receive time of the first comparison that waited.
    since: Timestamp,
    /// The event time that the engine has to reach; none: only time ends the wait.
    wanted: Option<Timestamp>,
}

/// A reconcile directive that was sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct SentDirective {
    pub(super) id: DirectiveId,
    /// Receive time at which it was sent, or at which the engine reported that it carried it out.
    pub(super) at: Timestamp,
    /// Whether the engine reported so.
    pub(super) is_carried_out: bool,
}

/// The state of a drift at the forced release that acknowledged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    pub(super) size: DriftSize,
    pub(super) direction: i8,
}

/// The circumstances of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) now: Timestamp,
    pub(super) settings: &'a DriftSettings,
    /// Whether one of the books is too old.
    pub(super) is_stale: bool,
    /// Number of late flows of the symbol so far.
    pub(super) late_flows: u64,
    /// The event time up to which the engine has reported, if it reports in order.
    pub(super) engine: Option<Timestamp>,
}

/// The judgement of one comparison by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// No judgement: it has no newer lists than the last one that counted, it is not reliable, or
    /// prices cannot be compared.
    Nothing,
    /// The books are within tolerance.
    Agrees,
    /// It may be in flight.
    InFlight,
    /// They differ, but a condition for counting is not met yet.
    Waits,
    /// They differ, and the comparison counts.
    Counts,
}

/// Comparisons in a row that are capped at MODERATE because a broker slower than `in_flight.lag_max`
/// explains them: a slow broker alerts before it halts.
const SLOW_MAX: u32 = 3;

/// The result of a comparison for a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// No change.
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
    pub(super) const fn new(id: u64, comparison: &Comparison, now: Timestamp) -> Self {
        Self {
            id,
            latest: *comparison,
            state: DriftState::Pending,
            severity: None,
            worst: None,
            decided_by: None,
            floor: None,
            by_value: None,
            hint: None,
            acted: None,
            action: DriftAction::None,
            confirmations: 0,
            first: FirstComparison {
                at: now,
                local: comparison.local_at,
                broker: comparison.broker_at,
            },
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

    /// Applies one comparison.
    ///
    /// | judgement | pending | unconfirmed | open, reconciling |
    /// |---|---|---|---|
    /// | nothing | stays | stays | stays |
    /// | agreement | gone | gone | cleared |
    /// | in flight | shown | stays, shown as pending | stays, shown as pending |
    /// | waiting | shown | stays | stays |
    /// | counted | unconfirmed | counted | counted |
    ///
    /// Enough counted comparisons open it: see [`Self::is_confirmed`] and `act`.
    pub(super) fn observe(
        &mut self,
        comparison: &Comparison,
        around: &Circumstances<'_>,
    ) -> Progress {
        let judgement = self.judge(comparison, around);
        self.seen = Some(ComparedLists::of(comparison, around));
        if judgement != Judgement::Nothing {
            self.in_flight = Decimal::ZERO;
        }
        match judgement {
            Judgement::Nothing => Progress::Seen,
            Judgement::Agrees if self.state.is_open() => Progress::Cleared,
            Judgement::Agrees => Progress::Gone,
            Judgement::InFlight | Judgement::Waits => {
                if judgement == Judgement::InFlight {
                    self.in_flight = comparison.size.quantity;
                }
                if self.state == DriftState::Pending {
                    self.latest = *comparison;
                }
                Progress::Seen
            }
            Judgement::Counts => {
                self.count(comparison, around);
                Progress::Counted
            }
        }
    }

    /// The first judgement that holds. Also keeps the two start times: of needing leaves, and of waiting
    /// for the engine.
    fn judge(&mut self, comparison: &Comparison, around: &Circumstances<'_>) -> Judgement {
        let is_reliable = comparison.is_complete && !around.is_stale;
        if comparison.severity.is_none() {
            // Equal quantities do not show that the averages agree again.
            let is_silent = self.latest.is_price() && !comparison.prices_judged;
            if !is_reliable
                || is_silent
                || self.counted == Some(ComparedLists::of(comparison, around))
            {
                return Judgement::Nothing;
            }
            self.settling = None;
            return Judgement::Agrees;
        }
        if self.is_in_flight(comparison, around) {
            self.settling = None;
            return Judgement::InFlight;
        }
        if !is_reliable {
            return Judgement::Nothing;
        }
        let may_count = self.is_news(comparison, around)
            && self.is_renewed(comparison)
            && self.is_close(comparison, around.settings);
        if may_count && self.is_settled(comparison, around) {
            return Judgement::Counts;
        }
        Judgement::Waits
    }

    fn count(&mut self, comparison: &Comparison, around: &Circumstances<'_>) {
        let agrees = self.counted.is_some() && self.latest.drift_type == comparison.drift_type;
        self.confirmations = if agrees { self.confirmations.saturating_add(1) } else { 1 };
        self.counted = Some(ComparedLists::of(comparison, around));
        self.settling = None;
        self.latest = *comparison;
        let counted = self.counted_severity(comparison);
        if !comparison.is_unvalued() {
            self.by_value = comparison.by_value;
        }
        let judged = highest([
            counted.zip(comparison.decided_by),
            // A comparison without a value does not lower a severity that an earlier value set.
            self.by_value
                .filter(|_| comparison.is_unvalued())
                .map(|held| (held, SeverityTest::Value)),
            self.floor.map(|test| (Severity::Moderate, test)),
        ]);
        self.severity = judged.map(|(severity, _)| severity);
        self.decided_by = judged.map(|(_, test)| test);
        self.worst = self.worst.max(self.severity);
        if self.state == DriftState::Pending {
            self.state = DriftState::Unconfirmed;
        }
    }

    /// The severity with which a comparison counts. The first ones that a slow broker explains are
    /// MODERATE at most; an unexplained comparison ends that cap.
    fn counted_severity(&mut self, comparison: &Comparison) -> Option<Severity> {
        let is_slow = matches!(comparison.explained.by_fills, ByFills::Slow(_));
        if is_slow && self.slow < SLOW_MAX {
            self.slow += 1;
            return comparison.severity.min(Some(Severity::Moderate));
        }
        self.slow = SLOW_MAX;
        comparison.severity
    }

    /// Keeps it at least MODERATE until it clears. Returns the severity from now on.
    pub(super) fn raise(&mut self, reason: SeverityTest) -> Severity {
        self.floor = Some(reason);
        let own = self.severity.zip(self.decided_by);
        let moderate = (Severity::Moderate, reason);
        let (severity, test) = highest([own, Some(moderate)]).unwrap_or(moderate);
        self.severity = Some(severity);
        self.decided_by = Some(test);
        self.worst = self.worst.max(self.severity);
        severity
    }

    /// Whether enough comparisons in a row agree to act on the latest severity.
    pub(super) fn is_confirmed(&self, rules: &DriftRules) -> bool {
        self.severity.is_some_and(|s| self.confirmations >= (*rules.confirm.get(s)).max(1))
    }

    /// Whether there are moments at which both lists were true, or the leaves of open orders may explain
    /// the difference and their time is not over.
    fn is_in_flight(&mut self, comparison: &Comparison, around: &Circumstances<'_>) -> bool {
        let explained = &comparison.explained;
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

    /// Whether a comparison has newer lists than the last one, or that one waited for a report.
    fn is_news(&self, comparison: &Comparison, around: &Circumstances<'_>) -> bool {
        self.settling.is_some() || self.seen != Some(ComparedLists::of(comparison, around))
    }

    /// Whether the engine has had the chance to report the fills in the broker's list: it sent an event
    /// dated at or after that list, or the first comparison that waited for it is long enough ago.
    fn is_settled(&mut self, comparison: &Comparison, around: &Circumstances<'_>) -> bool {
        let rules = &around.settings.in_flight;
        let wanted = match rules.settle_mode {
            SettleMode::Heard => Some(comparison.broker_at.time),
            SettleMode::Always => None,
        };
        let is_heard = wanted.is_some() && around.engine >= wanted;
        if is_heard {
            return true;
        }
        let since = self.settling.map_or(around.now, |settling| settling.since);
        self.settling = Some(EngineWait { since, wanted });
        around.now.since(since) >= nanos(rules.settle)
    }

    /// Invariant 3, first part: both snapshots are newer than in the last comparison that counted.
    fn is_renewed(&self, comparison: &Comparison) -> bool {
        self.counted.is_none_or(|counted| {
            comparison.local_at.is_newer_than(counted.local)
                && comparison.broker_at.is_newer_than(counted.broker)
        })
    }

    /// Invariant 3, second part: the times are close, or the older of the two snapshots arrived after
    /// the difference was first seen, so that its age alone does not explain it.
    fn is_close(&self, comparison: &Comparison, settings: &DriftSettings) -> bool {
        let (local, broker) = (comparison.local_at, comparison.broker_at);
        let is_older_renewed = if local.time <= broker.time {
            local.is_newer_than(self.first.local)
        } else {
            broker.is_newer_than(self.first.broker)
        };
        local.time.is_within(broker.time, settings.apart_max) || is_older_renewed
    }

    /// Whether it is not confirmed yet, so that a fill may still explain it.
    pub(super) const fn is_undecided(&self) -> bool {
        matches!(self.state, DriftState::Pending | DriftState::Unconfirmed)
    }

    /// Receive time at which the wait for the engine's report ends by itself; none: it does not wait.
    pub(super) fn settles_at(&self, rules: &InFlightSettings) -> Option<Timestamp> {
        self.settling.map(|settling| settling.since.plus(rules.settle))
    }

    /// The event time of the engine that ends the wait; none: it does not wait for one.
    pub(super) fn waits_for(&self) -> Option<Timestamp> {
        self.settling.and_then(|settling| settling.wanted)
    }

    /// Receive time of the first comparison that differed.
    pub(super) const fn first_seen_at(&self) -> Timestamp {
        self.first.at
    }

    /// The part that is not drift yet, signed (local - broker).
    pub(super) const fn pending(&self) -> Decimal {
        match self.state {
            DriftState::Pending => self.latest.size.quantity,
            DriftState::Unconfirmed
            | DriftState::Open
            | DriftState::Reconciling
            | DriftState::Cleared
            | DriftState::WithinTolerance => self.in_flight,
        }
    }

    /// The drift for the API.
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
            hint: self.hint.filter(|_| self.latest.is_one_sided()),
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
            ..self.latest.view(symbol, self.first.at)
        }
    }
}

impl ComparedLists {
    const fn of(comparison: &Comparison, around: &Circumstances<'_>) -> Self {
        Self {
            local: comparison.local_at,
            broker: comparison.broker_at,
            late_flows: around.late_flows,
        }
    }
}

impl Comparison {
    /// A difference within tolerance for the API. `at` is the receive time of the comparison.
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
            action: DriftAction::None,
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
