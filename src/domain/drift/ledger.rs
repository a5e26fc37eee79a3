//! What the exporter derives from the fills that it saw: the third book.
//!
//! Input: flows, and the quantities it is anchored to. Output: a quantity now, or at a time.
//! Invariants: starts at 0 (`assumed_flat`) or flat at the account's anchor; a flow dated at or
//! before the anchor never moves it, so the order of arrival does not matter. Deliberately
//! absent: being the truth. It says which side is wrong, and stands in where local never spoke.

use serde::{Deserialize, Serialize};

use super::flows::Flows;
use super::{Flow, LedgerBasis};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, exact};

/// The ledger of one symbol.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    #[serde(with = "exact")]
    quantity: Decimal,
    anchor: Option<Timestamp>,
}

impl Ledger {
    /// The ledger of a symbol first seen after the account was anchored: it was flat then.
    pub(super) const fn flat_at(anchor: Option<Timestamp>) -> Self {
        Self { quantity: Decimal::ZERO, anchor }
    }

    /// Moves by a flow, unless the anchor holds it already.
    pub(super) fn apply(&mut self, flow: &Flow) {
        if self.anchor.is_none_or(|anchor| flow.time > anchor) {
            self.quantity = self.quantity.saturating_add(flow.change);
        }
    }

    /// Sets it to `quantity` as of `time`, plus the known flows later than that.
    pub(super) fn anchor(&mut self, quantity: Decimal, time: Timestamp, flows: &Flows) {
        self.quantity = quantity.saturating_add(flows.since(time).change);
        self.anchor = Some(time);
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

    /// Where it starts.
    pub(super) const fn basis(&self) -> LedgerBasis {
        if self.anchor.is_some() { LedgerBasis::Anchored } else { LedgerBasis::AssumedFlat }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::FlowKind;
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::MIN.plus(Duration::from_secs(seconds))
    }

    fn moved(ledger: &mut Ledger, flows: &mut Flows, seconds: u64, change: i64) {
        let flow = Flow { time: at(seconds), change: change.into(), kind: FlowKind::Buy };
        ledger.apply(&flow);
        flows.insert(flow, at(seconds));
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
        assert_eq!(ledger.quantity(), 107.into(), "late fills that the snapshot holds");
        moved(&mut ledger, &mut flows, 16, 1);
        assert_eq!(ledger.quantity(), 108.into(), "a late fill that it cannot hold");
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

    proptest! {
        /// Whatever came before the anchoring snapshot and whatever after it: the quantity is the
        /// broker's plus what is dated later.
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
