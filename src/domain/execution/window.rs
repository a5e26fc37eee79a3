//! A rolling window of ended orders with running sums: entering, amending, leaving and every mean
//! are O(1) in its length.
//!
//! Input: entries in the order in which orders ended. Output: [`Figures`]. Invariants: at most as
//! many entries as configured, the oldest leaves first; sums equal those of a fresh fold over the
//! entries. Entries form a linked list inside one flat vector, so that one can leave from the
//! middle (its order was reopened) without a hole that would count against the length.

use serde::{Deserialize, Serialize};

use crate::domain::compact::NonMaxU32;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::figures::{Figures, MeanFigure, SlippageFigures};
use crate::domain::execution::sums::{GridPoint, GridSum, NanoSum, count, ratio};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, decimal_ratio, exact, exact_sum};

/// The place of an entry in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryKey(NonMaxU32);

/// Not a place.
const NONE: u32 = u32::MAX;

/// What a window keeps of one ended order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// How the order ended.
    pub outcome: Outcome,
    /// Whether anything of it was filled.
    pub touched: bool,
    /// Whether the user cancelled it.
    pub user_cancelled: bool,
    /// Q and min(F, Q); none when Q is not known, or too large to be added to the others.
    #[serde(with = "exact")]
    pub quantity: Option<(Decimal, Decimal)>,
    /// Slippage in basis points, positive = worse, by `Reference::ALL`.
    pub slippage_bps: [Option<f64>; 3],
    /// Executed notional in the currency of the window; none when there is no rate to it.
    pub notional: Option<f64>,
    /// Submission to last fill, of a filled order.
    pub fill_nanos: Option<i64>,
    /// Submission to acceptance.
    pub ack_nanos: Option<i64>,
    /// Acceptance to first fill.
    pub first_fill_nanos: Option<i64>,
    /// When the order ended (receive time).
    pub ended_at: Timestamp,
}

/// An entry in its place.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Node {
    entry: Packed,
    /// The order behind it, to tell it that the entry left; opaque to the window.
    owner: u32,
    older: u32,
    newer: u32,
}

/// No duration between two times is as long.
const NO_NANOS: i64 = i64::MIN;

/// An entry in two thirds of the room, for a window holds a thousand: what is not there is a number
/// that cannot be, a float that is none or a duration longer than the range of times. What no sum
/// of floats can hold is not there.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "Entry", into = "Entry")]
pub struct Packed {
    quantity: Decimal,
    filled: Decimal,
    slippage_bps: [f64; 3],
    notional: f64,
    fill_nanos: i64,
    ack_nanos: i64,
    first_fill_nanos: i64,
    ended_at: Timestamp,
    outcome: Outcome,
    touched: bool,
    user_cancelled: bool,
    has_quantity: bool,
}

impl From<Entry> for Packed {
    fn from(entry: Entry) -> Self {
        let (quantity, filled) = entry.quantity.unwrap_or_default();
        let nanos = |nanos: Option<i64>| nanos.unwrap_or(NO_NANOS);
        let mut packed = Self {
            quantity,
            filled,
            slippage_bps: entry.slippage_bps.map(|bps| bps.unwrap_or(f64::NAN)),
            notional: entry.notional.unwrap_or(f64::NAN),
            fill_nanos: nanos(entry.fill_nanos),
            ack_nanos: nanos(entry.ack_nanos),
            first_fill_nanos: nanos(entry.first_fill_nanos),
            ended_at: entry.ended_at,
            outcome: entry.outcome,
            touched: entry.touched,
            user_cancelled: entry.user_cancelled,
            has_quantity: entry.quantity.is_some(),
        };
        packed.drop_what_no_sum_holds();
        packed
    }
}

impl From<Packed> for Entry {
    fn from(packed: Packed) -> Self {
        let number = |number: f64| (!number.is_nan()).then_some(number);
        Self {
            outcome: packed.outcome,
            touched: packed.touched,
            user_cancelled: packed.user_cancelled,
            quantity: packed.has_quantity.then_some((packed.quantity, packed.filled)),
            slippage_bps: packed.slippage_bps.map(number),
            notional: number(packed.notional),
            fill_nanos: some_nanos(packed.fill_nanos),
            ack_nanos: some_nanos(packed.ack_nanos),
            first_fill_nanos: some_nanos(packed.first_fill_nanos),
            ended_at: packed.ended_at,
        }
    }
}

/// Sums over the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    samples: usize,
    outcomes: [usize; 5],
    touched: usize,
    untouched_user_cancels: usize,
    quantity_samples: usize,
    #[serde(with = "exact")]
    quantity: Decimal,
    #[serde(with = "exact")]
    filled: Decimal,
    slippage: [SlippageSums; 3],
    fill: NanoSum,
    ack: NanoSum,
    first_fill: NanoSum,
}

/// Sums of one reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SlippageSums {
    samples: usize,
    sum: GridSum,
    weight: GridSum,
    weighted: GridSum,
    /// Samples without a notional in the window's currency: then there is no weighted mean.
    unweighted: usize,
}

/// A rolling window of ended orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    nodes: Vec<Node>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    sums: Sums,
}

impl Default for Window {
    fn default() -> Self {
        let sums = Sums::default();
        Self { nodes: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE, sums }
    }
}

impl Window {
    /// Adds an entry as the newest. Returns its place.
    pub fn push(&mut self, entry: impl Into<Packed>, owner: u32) -> EntryKey {
        let at = self.place(Node { entry: entry.into(), owner, older: self.newest, newer: NONE });
        if let Some(node) = self.nodes.get_mut(at as usize) {
            self.sums.add(&mut node.entry);
        }
        match self.nodes.get_mut(self.newest as usize) {
            Some(newest) => newest.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        EntryKey(at.into())
    }

    /// Takes the oldest entry out if there are more than `max`, or if it ended before `horizon`.
    /// Returns its owner. Called until it returns none.
    pub fn evict(&mut self, max: usize, horizon: Option<Timestamp>) -> Option<u32> {
        let node = self.nodes.get(self.oldest as usize)?;
        let is_old = horizon.is_some_and(|horizon| node.entry.ended_at < horizon);
        if self.sums.samples <= max && !is_old {
            return None;
        }
        let owner = node.owner;
        self.remove(EntryKey(self.oldest.into()));
        Some(owner)
    }

    /// Takes an entry out, from wherever it stands.
    pub fn remove(&mut self, key: EntryKey) {
        let Some(node) = self.nodes.get(key.0.get() as usize) else { return };
        self.sums.sub(&node.entry);
        let (older, newer) = (node.older, node.newer);
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        self.free.push(key.0.get());
    }

    /// Replaces an entry where it stands.
    pub fn amend(&mut self, key: EntryKey, entry: impl Into<Packed>) {
        if let Some(node) = self.nodes.get_mut(key.0.get() as usize) {
            self.sums.sub(&node.entry);
            node.entry = Packed { ended_at: node.entry.ended_at, ..entry.into() };
            self.sums.add(&mut node.entry);
        }
    }

    /// Tells an entry who owns it from now on (`u32::MAX`: nobody).
    pub fn set_owner(&mut self, key: EntryKey, owner: u32) {
        if let Some(node) = self.nodes.get_mut(key.0.get() as usize) {
            node.owner = owner;
        }
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.sums.samples
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sums.samples == 0
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.nodes().map(|node| node.entry.into())
    }

    /// Who owns the entries.
    pub fn owners(&self) -> impl Iterator<Item = u32> {
        self.nodes().map(|node| node.owner)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.nodes.get(self.oldest as usize), |node| {
            self.nodes.get(node.newer as usize)
        })
    }

    /// What the window says. O(1).
    #[must_use]
    pub fn figures(&self) -> Figures {
        let sums = &self.sums;
        let [filled, rejected, cancelled, expired, _] = sums.outcomes;
        Figures {
            samples: sums.samples,
            filled,
            rejected,
            cancelled,
            expired,
            touched: sums.touched,
            untouched_user_cancels: sums.untouched_user_cancels,
            fills: 0,
            fill_ratio: ratio(filled, sums.samples),
            fill_ratio_ex_user_cancels: ratio(filled, sums.samples - sums.untouched_user_cancels),
            touch_ratio: ratio(sums.touched, sums.samples),
            quantity_fill_ratio: decimal_ratio(sums.filled, sums.quantity),
            quantity_samples: sums.quantity_samples,
            rejection_ratio: ratio(rejected, sums.samples),
            slippage: sums.slippage.map(SlippageSums::figures),
            fill_time: mean(sums.fill),
            ack_time: mean(sums.ack),
            first_fill_time: mean(sums.first_fill),
        }
    }

    /// The figures that rules judge, with the mean slippage against the reference of that index; all
    /// others are left at their default. Every order that ends is judged, and to work out all
    /// figures was a tenth of what it cost.
    #[must_use]
    #[inline]
    pub fn judged(&self, reference: usize) -> Figures {
        let sums = &self.sums;
        let [filled, rejected, ..] = sums.outcomes;
        let mut slippage = [SlippageFigures::default(); 3];
        if let (Some(figures), Some(sums)) =
            (slippage.get_mut(reference), sums.slippage.get(reference))
        {
            *figures = sums.plain_figures();
        }
        Figures {
            samples: sums.samples,
            untouched_user_cancels: sums.untouched_user_cancels,
            fill_ratio: ratio(filled, sums.samples),
            fill_ratio_ex_user_cancels: ratio(filled, sums.samples - sums.untouched_user_cancels),
            rejection_ratio: ratio(rejected, sums.samples),
            slippage,
            fill_time: mean(sums.fill),
            ..Figures::default()
        }
    }

    /// Slippages against the reference of that index, of those entries that have one.
    #[must_use]
    pub fn slippages(&self, reference: usize) -> Vec<f64> {
        let of = |node: &Node| node.entry.slippage_bps.get(reference).copied();
        let slippages = self.nodes().filter_map(of).filter(|bps| !bps.is_nan());
        let mut all = Vec::with_capacity(self.sums.samples);
        all.extend(slippages);
        all
    }

    /// Puts a node into a free place. The vector grows by halves, so that a full window has
    /// little room to spare.
    fn place(&mut self, node: Node) -> u32 {
        if let Some(at) = self.free.pop() {
            if let Some(place) = self.nodes.get_mut(at as usize) {
                *place = node;
            }
            return at;
        }
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact((self.nodes.len() / 2).max(4));
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }
}

impl Sums {
    /// Adds an entry, and leaves of it what was added: a quantity that the sums cannot hold beside the
    /// others is no sample, for it would leave a trace behind.
    fn add(&mut self, entry: &mut Packed) {
        let exact_sums = |sums: &Self| {
            let quantity = exact_sum(sums.quantity, entry.quantity)?;
            Some((quantity, exact_sum(sums.filled, entry.filled)?))
        };
        match entry.has_quantity.then(|| exact_sums(self)).flatten() {
            Some(sums) => {
                self.quantity_samples += 1;
                (self.quantity, self.filled) = sums;
            }
            None => entry.has_quantity = false,
        }
        self.samples += 1;
        if let Some(count) = self.outcomes.get_mut(entry.outcome.index()) {
            *count += 1;
        }
        self.touched += usize::from(entry.touched);
        self.untouched_user_cancels += usize::from(entry.is_untouched_user_cancel());
        let weight = entry.weight();
        for (sums, bps) in self.slippage.iter_mut().zip(entry.slippage_bps) {
            sums.add(bps, weight);
        }
        self.fill.add(some_nanos(entry.fill_nanos));
        self.ack.add(some_nanos(entry.ack_nanos));
        self.first_fill.add(some_nanos(entry.first_fill_nanos));
    }

    fn sub(&mut self, entry: &Packed) {
        self.samples -= 1;
        if let Some(count) = self.outcomes.get_mut(entry.outcome.index()) {
            *count -= 1;
        }
        self.touched -= usize::from(entry.touched);
        self.untouched_user_cancels -= usize::from(entry.is_untouched_user_cancel());
        if entry.has_quantity {
            self.quantity_samples -= 1;
            self.quantity = self.quantity.saturating_sub(entry.quantity);
            self.filled = self.filled.saturating_sub(entry.filled);
        }
        let weight = entry.weight();
        for (sums, bps) in self.slippage.iter_mut().zip(entry.slippage_bps) {
            sums.sub(bps, weight);
        }
        self.fill.sub(some_nanos(entry.fill_nanos));
        self.ack.sub(some_nanos(entry.ack_nanos));
        self.first_fill.sub(some_nanos(entry.first_fill_nanos));
    }
}

impl Entry {
    /// The same with its notional in another currency; none without a rate to it.
    #[must_use]
    pub fn converted(self, rate: Option<f64>) -> Self {
        let notional = self.notional.zip(rate).map(|(notional, rate)| notional * rate);
        Self { notional, ..self }
    }
}

impl Packed {
    /// An order that the user cancelled before anything was filled.
    fn is_untouched_user_cancel(&self) -> bool {
        self.outcome == Outcome::Cancelled && self.user_cancelled && !self.touched
    }

    /// The executed notional, by which each slippage is weighed.
    fn weight(&self) -> Option<Weight> {
        (!self.notional.is_nan()).then(|| Weight::of(self.notional))
    }

    /// Leaves out a slippage that is too large for its sum, and a notional that is, or that makes
    /// a weighted slippage too large.
    fn drop_what_no_sum_holds(&mut self) {
        for bps in &mut self.slippage_bps {
            if !GridSum::holds(*bps) {
                *bps = f64::NAN;
            }
        }
        // A product with none is none.
        let is_held = |bps: &f64| bps.is_nan() || GridSum::holds(self.notional * bps);
        if !GridSum::holds(self.notional) || !self.slippage_bps.iter().all(is_held) {
            self.notional = f64::NAN;
        }
    }
}

/// A duration that is there.
fn some_nanos(nanos: i64) -> Option<i64> {
    (nanos != NO_NANOS).then_some(nanos)
}

/// A notional as a weight: each reference takes it.
#[derive(Clone, Copy, Debug)]
struct Weight {
    value: f64,
    point: GridPoint,
}

impl Weight {
    fn of(value: f64) -> Self {
        Self { value, point: value.into() }
    }
}

impl SlippageSums {
    #[inline]
    fn add(&mut self, bps: f64, weight: Option<Weight>) {
        if bps.is_nan() {
            return;
        }
        self.samples += 1;
        self.sum.add(bps);
        match weight {
            Some(weight) => {
                self.weight.add(weight.point);
                self.weighted.add(weight.value * bps);
            }
            None => self.unweighted += 1,
        }
    }

    #[inline]
    fn sub(&mut self, bps: f64, weight: Option<Weight>) {
        if bps.is_nan() {
            return;
        }
        self.samples -= 1;
        self.sum.sub(bps);
        match weight {
            Some(weight) => {
                self.weight.sub(weight.point);
                self.weighted.sub(weight.value * bps);
            }
            None => self.unweighted -= 1,
        }
    }

    fn figures(self) -> SlippageFigures {
        let weight = self.weight.get();
        let has_weight = self.samples > 0 && self.unweighted == 0 && weight > 0.0;
        let weighted_bps = has_weight.then(|| self.weighted.get() / weight);
        SlippageFigures { weighted_bps, ..self.plain_figures() }
    }

    /// The same without the weighted mean.
    fn plain_figures(self) -> SlippageFigures {
        SlippageFigures {
            samples: self.samples,
            mean_bps: (self.samples > 0).then(|| self.sum.get() / count(self.samples)),
            weighted_bps: None,
        }
    }
}

fn mean(sum: NanoSum) -> MeanFigure {
    MeanFigure { samples: sum.samples(), seconds: sum.mean_seconds() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::execution::anomaly::window_observations;
    use crate::domain::settings::{AnomalyRules, FillRatioBasis, Reference};

    #[test]
    fn packed_entries_are_what_they_were() {
        let none = Entry {
            outcome: Outcome::Expired,
            touched: false,
            user_cancelled: true,
            quantity: None,
            slippage_bps: [None; 3],
            notional: None,
            fill_nanos: None,
            ack_nanos: None,
            first_fill_nanos: None,
            ended_at: Timestamp::MIN,
        };
        let some = Entry {
            quantity: Some((Decimal::TEN, Decimal::ZERO)),
            slippage_bps: [Some(0.0), None, Some(-1.5)],
            notional: Some(0.0),
            fill_nanos: Some(0),
            ack_nanos: Some(-1),
            first_fill_nanos: Some(i64::MAX),
            ..none
        };
        for entry in [none, some] {
            assert_eq!(Entry::from(Packed::from(entry)), entry);
        }
        assert!(3 * size_of::<Packed>() <= 2 * size_of::<Entry>());
    }

    /// What is left out of the judged figures is nothing that a rule looks at.
    #[test]
    fn rules_see_all_figures_that_they_judge() {
        let entry = Entry {
            outcome: Outcome::Filled,
            touched: true,
            user_cancelled: false,
            quantity: Some((Decimal::TEN, Decimal::TEN)),
            slippage_bps: [Some(1.5), Some(-2.0), None],
            notional: Some(1_000.0),
            fill_nanos: Some(5_000_000),
            ack_nanos: Some(1_000_000),
            first_fill_nanos: Some(2_000_000),
            ended_at: Timestamp::MIN,
        };
        let gone = Entry { touched: false, user_cancelled: true, ..entry };
        let mut window = Window::default();
        window.push(entry, 0);
        window.push(Entry { outcome: Outcome::Rejected, ..entry }, 1);
        window.push(Entry { outcome: Outcome::Cancelled, ..gone }, 2);
        for slippage_reference in Reference::ALL {
            for fill_ratio_basis in [FillRatioBasis::All, FillRatioBasis::ExUserCancels] {
                let rules = AnomalyRules {
                    fill_ratio_basis,
                    slippage_reference,
                    ..AnomalyRules::default()
                };
                let judged = window.judged(slippage_reference.index());
                let of_judged = window_observations(&judged, &rules);
                let of_all = window_observations(&window.figures(), &rules);
                assert_eq!(format!("{of_judged:?}"), format!("{of_all:?}"));
            }
        }
    }
}
