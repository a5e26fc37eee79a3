//! The third book: the position that follows from the fills that the exporter saw.
//!
//! Input: flows, and the quantities that anchor it. Output: a quantity now or at a time; a
//! [`LedgerBalance`] that shows which side is wrong. Invariants: it starts at 0 (`assumed_flat`) or flat
//! at the account's anchor; a flow dated at or before the anchor never moves it, so the order of arrival
//! does not matter. Deliberately absent: authority. The ledger shows which side is wrong, and stands in
//! where no local book exists.
//!
//! # Design
//!
//! A list may be older or younger than its date, so fills within [`ANCHOR_DOUBT`] of an anchor may be
//! counted twice or not at all. They are kept until a complete list of the broker decides: the list
//! equals the ledger for one moment close to the anchor, and that moment becomes the anchor. Where fills
//! are also close to the date of that later list, its own lag is considered first, and a difference that
//! its lag explains decides nothing. A list that no moment explains decides nothing either: the
//! difference is drift, and judged as such.
//!
//! A fill that is reported after the anchor and dated well before it is either in the anchor's list, or
//! its date is wrong (local time sent as UTC). It is set aside. If a later complete list of the broker
//! differs by the sum of these fills, they happened after the anchor.
//!
//! The list that anchors a ledger cannot testify against a list that it differs from. So the ledger that
//! was assumed flat is kept beside the anchored one until the books agree for the first time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::align::BookPair;
use super::flows::Flows;
use super::view::LedgerBasis;
use crate::domain::flow::Flow;
use crate::domain::limits::ANCHOR_FLOWS_MAX;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, agree, exact, plus};

/// A fill this close to an anchor may be in its list or not.
const ANCHOR_DOUBT: Duration = Duration::from_secs(10);

/// The ledger of one symbol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    #[serde(with = "exact")]
    quantity: Decimal,
    anchor: Option<Timestamp>,
    /// Flows close to the anchor, by time, while the anchor is provisional; none: it is final.
    doubtful: Option<Vec<Flow>>,
    /// The sum of flows reported since the anchor and dated too long before it to be in doubt.
    #[serde(with = "exact", default)]
    late: Decimal,
    /// The quantity without the anchor: the sum of all flows; none: the books have agreed since.
    #[serde(with = "exact")]
    assumed: Option<Decimal>,
}

/// The ledger's quantity, for a difference between the other two books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LedgerBalance {
    /// The quantity without the lists compared.
    pub(super) quantity: Decimal,
    /// Its starting point.
    pub(super) basis: LedgerBasis,
}

impl Ledger {
    /// The ledger of a symbol first seen after the account was anchored: it was flat then.
    pub(super) fn flat_at(anchor: Option<Timestamp>) -> Self {
        let doubtful = anchor.map(|_| Vec::new());
        Self { quantity: Decimal::ZERO, anchor, doubtful, late: Decimal::ZERO, assumed: None }
    }

    /// Applies a flow, unless the anchor includes it already. Returns whether it was set aside because it
    /// is dated well before the anchor.
    pub(super) fn apply(&mut self, flow: &Flow) -> bool {
        if self.anchor.is_none_or(|anchor| flow.time > anchor) {
            self.quantity = plus(self.quantity, flow.change);
        }
        if let Some(assumed) = &mut self.assumed {
            *assumed = plus(*assumed, flow.change);
        }
        if self.anchor.is_some_and(|anchor| flow.time.is_within(anchor, ANCHOR_DOUBT)) {
            self.doubt(*flow);
        }
        let is_late = self.anchor.is_some_and(|anchor| anchor.is_past(flow.time, ANCHOR_DOUBT));
        if is_late {
            self.late = self.late.saturating_add(flow.change);
        }
        is_late
    }

    /// Sets it to `quantity` as of `time`, plus the known flows after that. A later list decides which of
    /// the flows close to `time` this list included.
    pub(super) fn anchor(&mut self, quantity: Decimal, time: Timestamp, flows: &Flows) {
        self.assumed = match self.anchor {
            None => Some(self.quantity),
            Some(_) => None,
        };
        self.quantity = quantity.saturating_add(flows.since(time).change);
        self.anchor = Some(time);
        self.late = Decimal::ZERO;
        self.doubtful = Some(Vec::new());
        for flow in flows.around(time, ANCHOR_DOUBT) {
            self.doubt(flow);
        }
    }

    /// Whether a later complete list of the broker may change it.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubtful.is_some() || !self.late.is_zero()
    }

    /// Applies a later complete list of the broker: if one moment of the anchor explains it, that moment
    /// becomes the anchor.
    pub(super) fn decide(&mut self, quantity: Decimal, time: Timestamp, flows: &Flows) {
        self.decide_doubtful(quantity, time, flows);
        self.decide_late(quantity, time, flows);
    }

    /// Adds the late flows, if a list differs by exactly their sum.
    fn decide_late(&mut self, quantity: Decimal, time: Timestamp, flows: &Flows) {
        if self.late.is_zero() {
            return;
        }
        let difference = quantity.saturating_sub(self.at(time, flows));
        if agree(difference, self.late) {
            self.quantity = self.quantity.saturating_add(self.late);
            self.late = Decimal::ZERO;
        } else if agree(difference, Decimal::ZERO) {
            self.late = Decimal::ZERO;
        }
    }

    fn decide_doubtful(&mut self, quantity: Decimal, time: Timestamp, flows: &Flows) {
        let Some((doubtful, anchor)) = self.doubtful.as_ref().zip(self.anchor) else { return };
        let near: Vec<Flow> = flows.around(time, ANCHOR_DOUBT).take(ANCHOR_FLOWS_MAX).collect();
        let difference = quantity.saturating_sub(self.at(time, flows));
        let lags = moments(&near, time);
        let is_explained = |by: Decimal| {
            let rest = difference.saturating_sub(by);
            agree(rest, Decimal::ZERO) || lags.iter().any(|lag| agree(rest, lag.change))
        };
        if is_explained(Decimal::ZERO) {
            if near.is_empty() {
                self.doubtful = None;
            }
            return;
        }
        let moments = moments(doubtful, anchor);
        if let Some(moment) = moments.iter().find(|moment| is_explained(-moment.change)) {
            self.quantity = self.quantity.saturating_sub(moment.change);
            self.anchor = Some(moment.at);
            self.doubtful = None;
        }
    }

    /// Notes that the books agree: from here on the anchored ledger is the witness. Where the ledger
    /// stands in for local, the list that anchored it always agrees, which proves nothing.
    pub(super) fn agreed(&mut self, pair: &BookPair) {
        if !pair.ledger_stands_in || Some(pair.broker.at.time) > self.anchor {
            self.assumed = None;
        }
    }

    /// Whether it equals the sum of all flows; `None` if a list anchored it, or flows were dropped.
    pub(super) fn has_right_sum(&self, flows: &Flows) -> Option<bool> {
        let whole = flows.whole().filter(|_| self.anchor.is_none())?;
        Some(self.quantity == whole)
    }

    /// The quantity with every flow so far.
    pub(super) const fn quantity(&self) -> Decimal {
        self.quantity
    }

    /// The quantity as of `time` (of the anchor, if that is later).
    pub(super) fn at(&self, time: Timestamp, flows: &Flows) -> Decimal {
        let time = self.anchor.map_or(time, |anchor| anchor.max(time));
        self.quantity.saturating_sub(flows.since(time).change)
    }

    /// The quantity as of `time` without the lists of `pair`. Where the ledger stands in for local, the
    /// quantity that the broker's list is compared with.
    pub(super) fn balance(&self, pair: &BookPair, time: Timestamp, flows: &Flows) -> LedgerBalance {
        let (quantity, basis) = match self.assumed.filter(|_| !pair.ledger_stands_in) {
            Some(assumed) => {
                (assumed.saturating_sub(flows.since(time).change), LedgerBasis::AssumedFlat)
            }
            None => (self.at(time, flows), self.basis()),
        };
        LedgerBalance { quantity: quantity.normalize(), basis }
    }

    /// Its starting point.
    pub(super) const fn basis(&self) -> LedgerBasis {
        if self.anchor.is_some() { LedgerBasis::Anchored } else { LedgerBasis::AssumedFlat }
    }

    /// Keeps a flow close to the anchor at its place in time. Past the bound the anchor becomes final with
    /// its own date.
    fn doubt(&mut self, flow: Flow) {
        let Some(doubtful) = &mut self.doubtful else { return };
        if doubtful.len() >= ANCHOR_FLOWS_MAX {
            self.doubtful = None;
            return;
        }
        let place = doubtful.partition_point(|known| known.time <= flow.time);
        doubtful.insert(place, flow);
    }
}

/// A moment close to the date of a list, at which the list may have been true.
#[derive(Clone, Copy, Debug)]
struct AnchorMoment {
    at: Timestamp,
    /// The position at that moment minus the position at the date.
    change: Decimal,
}

/// The moments other than its date at which a list may have been true, the closest first.
fn moments(flows: &[Flow], date: Timestamp) -> Vec<AnchorMoment> {
    let split = flows.partition_point(|flow| flow.time <= date);
    let (before, after) = flows.split_at_checked(split).unwrap_or((flows, &[]));
    let mut moments = Vec::with_capacity(flows.len());
    let mut change = Decimal::ZERO;
    let mut older = before.iter().rev().peekable();
    while let Some(flow) = older.next() {
        change = change.saturating_sub(flow.change);
        if older.peek().is_none_or(|next| next.time != flow.time) {
            moments.push(AnchorMoment { at: flow.time.minus(Duration::from_nanos(1)), change });
        }
    }
    change = Decimal::ZERO;
    let mut newer = after.iter().peekable();
    while let Some(flow) = newer.next() {
        change = change.saturating_add(flow.change);
        if newer.peek().is_none_or(|next| next.time != flow.time) {
            moments.push(AnchorMoment { at: flow.time, change });
        }
    }
    moments.sort_by_key(|moment| moment.at.since(date).unsigned_abs());
    moments
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::flow::FlowKind;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs(seconds))
    }

    fn moved(ledger: &mut Ledger, flows: &mut Flows, seconds: u64, change: i64) {
        let flow = Flow { time: at(seconds), change: change.into(), kind: FlowKind::Buy };
        ledger.apply(&flow);
        flows.insert(flow, at(seconds));
    }

    #[test]
    fn a_late_report_counts_when_a_later_list_differs_by_it() {
        let check = |lists: &[i64], expect: i64| {
            let (mut ledger, mut flows) = (Ledger::default(), Flows::default());
            ledger.anchor(0.into(), at(1_000), &flows);
            moved(&mut ledger, &mut flows, 10, 60);
            moved(&mut ledger, &mut flows, 11, 40);
            assert_eq!(ledger.quantity(), 0.into(), "the list may include it");
            for (seconds, quantity) in (1_100..).zip(lists) {
                ledger.decide((*quantity).into(), at(seconds), &flows);
            }
            assert_eq!(ledger.quantity(), expect.into(), "{lists:?}");
        };
        check(&[100], 100);
        check(&[100, 100], 100);
        check(&[0, 100], 0);
        check(&[60], 0);
        check(&[60, 100], 100);
    }

    #[test]
    fn flows_up_to_the_anchor_do_not_move_it() {
        let (mut ledger, mut flows) = (Ledger::default(), Flows::default());
        assert_eq!(ledger.basis(), LedgerBasis::AssumedFlat);
        moved(&mut ledger, &mut flows, 10, 5);
        moved(&mut ledger, &mut flows, 20, 7);
        assert_eq!(ledger.quantity(), 12.into());
        ledger.anchor(100.into(), at(15), &flows);
        assert_eq!(ledger.basis(), LedgerBasis::Anchored);
        assert_eq!(ledger.quantity(), 107.into(), "the later fill is not in the snapshot");
        moved(&mut ledger, &mut flows, 14, 1);
        moved(&mut ledger, &mut flows, 15, 1);
        assert_eq!(ledger.quantity(), 107.into(), "late fills that the snapshot includes");
        moved(&mut ledger, &mut flows, 16, 1);
        assert_eq!(ledger.quantity(), 108.into(), "a late fill that it cannot include");
        assert_eq!(ledger.at(at(16), &flows), 101.into());
        assert_eq!(ledger.at(at(15), &flows), 100.into());
        assert_eq!(ledger.at(at(3), &flows), 100.into(), "before the anchor nothing is known");
    }

    #[test]
    fn a_late_symbol_was_flat_at_the_anchor() {
        let (mut ledger, mut flows) = (Ledger::flat_at(Some(at(10))), Flows::default());
        moved(&mut ledger, &mut flows, 9, 5);
        moved(&mut ledger, &mut flows, 11, 3);
        assert_eq!(ledger.quantity(), 3.into());
    }

    /// An anchor of 100 at 100 s, fills, then a list of the broker: what the ledger holds.
    fn decided(fills: &[(u64, i64)], quantity: i64, time: u64) -> (Decimal, bool) {
        let (mut ledger, mut flows) = (Ledger::default(), Flows::default());
        let (before, after) = fills.split_at(fills.len() / 2);
        for (seconds, change) in before {
            moved(&mut ledger, &mut flows, *seconds, *change);
        }
        ledger.anchor(100.into(), at(100), &flows);
        for (seconds, change) in after {
            moved(&mut ledger, &mut flows, *seconds, *change);
        }
        ledger.decide(quantity.into(), at(time), &flows);
        (ledger.quantity(), ledger.doubtful.is_none())
    }

    #[test]
    fn a_later_list_decides_which_fills_the_anchor_had() {
        let check = |fills: &[(u64, i64)], quantity: i64, expect: i64, is_decided: bool| {
            let got = decided(fills, quantity, 160);
            assert_eq!(got, (expect.into(), is_decided), "{fills:?} {quantity}");
        };
        // True at its date: earlier fills are in it, later ones are not.
        check(&[], 100, 100, true);
        check(&[(95, 20), (105, 7)], 107, 107, true);
        // It lacked the fill before its time.
        check(&[(95, 20), (105, 7)], 127, 127, true);
        // It had the fill after its time already.
        check(&[(95, 20), (105, 7)], 100, 100, true);
        // No moment explains it, so it decides nothing.
        check(&[(95, 20), (105, 7)], 150, 107, false);
        // Fills further away are not in doubt.
        check(&[(89, 20), (111, 7)], 100, 107, false);
        check(&[(89, 20), (111, 7)], 127, 107, false);
        // Fills of one instant are included together.
        check(&[(95, 20), (95, 3), (105, 7), (105, 1)], 131, 131, true);
        check(&[(95, 20), (95, 3), (105, 7), (105, 1)], 128, 108, false);
    }

    #[test]
    fn a_difference_that_the_later_list_s_lag_explains_decides_nothing() {
        // 20 after the anchor and 20 just before the later list of 120: either that list lags, or the
        // anchor included its 20 already.
        assert_eq!(decided(&[(105, 20), (155, 20)], 120, 160), (140.into(), false));
        // Only another moment of the anchor explains 125.
        assert_eq!(decided(&[(105, 20), (155, 25)], 125, 160), (125.into(), true));
    }

    #[test]
    fn too_many_fills_close_to_an_anchor_make_its_date_final() {
        let fills = vec![(101, 1); ANCHOR_FLOWS_MAX + 1];
        let expect = Decimal::from(100 + fills.len());
        assert_eq!(decided(&fills, 100, 160), (expect, true));
    }

    proptest! {
        /// Whether a fill arrives before or after the anchoring snapshot: the quantity is the broker's plus
        /// the fills dated later.
        #[test]
        fn the_order_of_arrival_does_not_matter(
            list in prop::collection::vec((0_u64..40, -9_i64..9), 0..20),
            (place, time) in (0_usize..20, 0_u64..40),
        ) {
            let (mut ledger, mut flows) = (Ledger::default(), Flows::default());
            let place = place.min(list.len());
            for (seconds, change) in &list[..place] {
                moved(&mut ledger, &mut flows, *seconds, *change);
            }
            ledger.anchor(100.into(), at(time), &flows);
            for (seconds, change) in &list[place..] {
                moved(&mut ledger, &mut flows, *seconds, *change);
            }
            let later = list.iter().filter(|(seconds, _)| *seconds > time);
            let expect: i64 = 100 + later.map(|(_, change)| change).sum::<i64>();
            prop_assert_eq!(ledger.quantity(), expect.into());
            prop_assert_eq!(ledger.at(at(time), &flows), 100.into());
        }
    }
}
