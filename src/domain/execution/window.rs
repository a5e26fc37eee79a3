//! A rolling window of ended orders with running sums. Adding, amending and removing an entry, and
//! reading a mean, are O(1) in its length.
//!
//! Input: entries in the order in which orders ended. Output: [`Figures`]. Invariants: at most as
//! many entries as configured, the oldest is evicted first; the sums equal those of a fresh fold over
//! the entries.
//!
//! # Design
//! Entries form a linked list inside one flat vector. An entry can then be removed from the middle
//! (its order was reopened) without leaving a hole that would count against the length.

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::by_word;
use crate::domain::compact::NonMaxU32;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::figures::{Figures, MeanFigure, SlippageFigures};
use crate::domain::execution::sums::{GridPoint, GridSum, NanoSum, count, ratio};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, decimal_ratio, exact, exact_sum, minus};

/// The place of an entry in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryKey(NonMaxU32);

/// Marks the end of the list; never a place.
const NONE: u32 = u32::MAX;

/// One ended order in a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowEntry {
    /// How the order ended.
    pub outcome: Outcome,
    /// Whether anything of it was filled.
    pub touched: bool,
    /// Whether the user cancelled it.
    pub user_cancelled: bool,
    /// Q and min(F, Q); `None` when Q is not known, or too large to be added to the sums.
    #[serde(with = "exact")]
    pub quantity: Option<(Decimal, Decimal)>,
    /// Slippage in basis points, positive = worse, by `Reference::ALL`.
    pub slippage_bps: [Option<f64>; 3],
    /// Executed notional in the currency of the window; `None` without a rate to it.
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
struct WindowNode {
    entry: PackedEntry,
    /// The order of the entry, which is informed when the entry is evicted. Opaque to the window.
    owner: u32,
    older: u32,
    newer: u32,
}

/// Stands for a missing duration: longer than any between two timestamps.
const NO_NANOS: i64 = i64::MIN;

/// A compact entry: a window holds a thousand of them. Missing values are NaN or `NO_NANOS` instead
/// of an `Option`, which takes two thirds of the memory. Values that a sum cannot hold are missing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "WindowEntry", into = "WindowEntry")]
pub struct PackedEntry {
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

impl From<WindowEntry> for PackedEntry {
    fn from(entry: WindowEntry) -> Self {
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
        packed.drop_oversized();
        packed
    }
}

impl From<PackedEntry> for WindowEntry {
    fn from(packed: PackedEntry) -> Self {
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

/// Sums over the entries of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct WindowSums {
    samples: usize,
    #[serde(with = "by_word")]
    outcomes: EnumMap<Outcome, usize>,
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

/// Sums of the slippage against one reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SlippageSums {
    samples: usize,
    sum: GridSum,
    weight: GridSum,
    weighted: GridSum,
    /// Samples without a notional in the currency of the window. Any such sample disables the
    /// weighted mean.
    unweighted: usize,
}

/// A rolling window of ended orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderWindow {
    nodes: Vec<WindowNode>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    sums: WindowSums,
}

impl Default for OrderWindow {
    fn default() -> Self {
        let sums = WindowSums::default();
        Self { nodes: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE, sums }
    }
}

impl OrderWindow {
    /// Adds an entry as the newest. Returns its place.
    pub fn push(&mut self, entry: impl Into<PackedEntry>, owner: u32) -> EntryKey {
        let at =
            self.place(WindowNode { entry: entry.into(), owner, older: self.newest, newer: NONE });
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

    /// Removes the oldest entry if there are more than `max`, or if it ended before `horizon`. Returns
    /// its owner. Call it until it returns `None`.
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

    /// Removes an entry from any place.
    pub fn remove(&mut self, key: EntryKey) {
        let Some(node) = self.nodes.get(key.0.get() as usize) else {
            impossible!("a window entry to remove is missing");
            return;
        };
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

    /// Replaces an entry. It keeps its place and the time at which the order ended.
    pub fn amend(&mut self, key: EntryKey, entry: impl Into<PackedEntry>) {
        let Some(node) = self.nodes.get_mut(key.0.get() as usize) else {
            impossible!("a window entry to amend is missing");
            return;
        };
        self.sums.sub(&node.entry);
        node.entry = PackedEntry { ended_at: node.entry.ended_at, ..entry.into() };
        self.sums.add(&mut node.entry);
    }

    /// Sets the owner of an entry (`u32::MAX`: none).
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

    /// Whether it has no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sums.samples == 0
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = WindowEntry> {
        self.nodes().map(|node| node.entry.into())
    }

    /// The owners of the entries, oldest first.
    pub fn owners(&self) -> impl Iterator<Item = u32> {
        self.nodes().map(|node| node.owner)
    }

    /// Whether the running sums equal those of a fresh fold over the entries; `None` if that fold has no
    /// exact sum on the way.
    pub(super) fn has_right_sums(&self) -> Option<bool> {
        let mut fresh = WindowSums::default();
        for node in self.nodes() {
            let mut entry = node.entry;
            fresh.add(&mut entry);
            if entry.has_quantity != node.entry.has_quantity {
                return None;
            }
        }
        Some(fresh == self.sums)
    }

    fn nodes(&self) -> impl Iterator<Item = &WindowNode> {
        std::iter::successors(self.nodes.get(self.oldest as usize), |node| {
            self.nodes.get(node.newer as usize)
        })
    }

    /// All figures. O(1).
    #[must_use]
    pub fn figures(&self) -> Figures {
        let sums = &self.sums;
        let (filled, rejected) = (sums.outcomes[Outcome::Filled], sums.outcomes[Outcome::Rejected]);
        Figures {
            samples: sums.samples,
            filled,
            rejected,
            cancelled: sums.outcomes[Outcome::Cancelled],
            expired: sums.outcomes[Outcome::Expired],
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

    /// The figures that rules judge, with the mean slippage against the reference of that index. All
    /// other figures keep their default. Hot path, since every ended order is judged: guarded by
    /// benches/instructions.
    #[must_use]
    #[inline]
    pub fn judged(&self, reference: usize) -> Figures {
        let sums = &self.sums;
        let (filled, rejected) = (sums.outcomes[Outcome::Filled], sums.outcomes[Outcome::Rejected]);
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

    /// The slippages against the reference of that index; entries without one are left out.
    #[must_use]
    pub fn slippages(&self, reference: usize) -> Vec<f64> {
        let of = |node: &WindowNode| node.entry.slippage_bps.get(reference).copied();
        let slippages = self.nodes().filter_map(of).filter(|bps| !bps.is_nan());
        let mut all = Vec::with_capacity(self.sums.samples);
        all.extend(slippages);
        all
    }

    /// Stores a node in a free place. The vector grows by half its length, so that a full window has
    /// little unused capacity.
    fn place(&mut self, node: WindowNode) -> u32 {
        if let Some(at) = self.free.pop() {
            if let Some(place) = self.nodes.get_mut(at as usize) {
                *place = node;
            } else {
                impossible!("a free place lies outside of the window");
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

impl WindowSums {
    /// Adds an entry. A quantity that the sums cannot hold exactly is removed from the entry: subtracting
    /// it later would leave a remainder.
    fn add(&mut self, entry: &mut PackedEntry) {
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
        self.outcomes[entry.outcome] += 1;
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

    fn sub(&mut self, entry: &PackedEntry) {
        self.samples -= 1;
        self.outcomes[entry.outcome] -= 1;
        self.touched -= usize::from(entry.touched);
        self.untouched_user_cancels -= usize::from(entry.is_untouched_user_cancel());
        if entry.has_quantity {
            self.quantity_samples -= 1;
            self.quantity = minus(self.quantity, entry.quantity);
            self.filled = minus(self.filled, entry.filled);
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

impl WindowEntry {
    /// Converts the notional into another currency; without a rate it is missing.
    #[must_use]
    pub fn converted(self, rate: Option<f64>) -> Self {
        let notional = self.notional.zip(rate).map(|(notional, rate)| notional * rate);
        Self { notional, ..self }
    }
}

impl PackedEntry {
    /// An order that the user cancelled before anything was filled.
    fn is_untouched_user_cancel(&self) -> bool {
        self.outcome == Outcome::Cancelled && self.user_cancelled && !self.touched
    }

    /// The executed notional as the weight of each slippage.
    fn weight(&self) -> Option<NotionalWeight> {
        (!self.notional.is_nan()).then(|| NotionalWeight::of(self.notional))
    }

    /// Removes a slippage that is too large for its sum, and a notional that is too large itself or
    /// makes a weighted slippage too large.
    fn drop_oversized(&mut self) {
        for bps in &mut self.slippage_bps {
            if !GridSum::holds(*bps) {
                *bps = f64::NAN;
            }
        }
        // A product with NaN is NaN.
        let is_held = |bps: &f64| bps.is_nan() || GridSum::holds(self.notional * bps);
        if !GridSum::holds(self.notional) || !self.slippage_bps.iter().all(is_held) {
            self.notional = f64::NAN;
        }
    }
}

fn some_nanos(nanos: i64) -> Option<i64> {
    (nanos != NO_NANOS).then_some(nanos)
}

/// A notional as a weight, rounded to the grid once for all references.
#[derive(Clone, Copy, Debug)]
struct NotionalWeight {
    value: f64,
    point: GridPoint,
}

impl NotionalWeight {
    fn of(value: f64) -> Self {
        Self { value, point: value.into() }
    }
}

impl SlippageSums {
    #[inline]
    fn add(&mut self, bps: f64, weight: Option<NotionalWeight>) {
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
    fn sub(&mut self, bps: f64, weight: Option<NotionalWeight>) {
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

    /// The figures without the weighted mean.
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
    fn packing_keeps_every_value() {
        let none = WindowEntry {
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
        let some = WindowEntry {
            quantity: Some((Decimal::TEN, Decimal::ZERO)),
            slippage_bps: [Some(0.0), None, Some(-1.5)],
            notional: Some(0.0),
            fill_nanos: Some(0),
            ack_nanos: Some(-1),
            first_fill_nanos: Some(i64::MAX),
            ..none
        };
        for entry in [none, some] {
            assert_eq!(WindowEntry::from(PackedEntry::from(entry)), entry);
        }
        assert!(3 * size_of::<PackedEntry>() <= 2 * size_of::<WindowEntry>());
    }

    /// Rules give the same result on the judged figures as on all figures.
    #[test]
    fn judged_figures_suffice_for_rules() {
        let entry = WindowEntry {
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
        let gone = WindowEntry { touched: false, user_cancelled: true, ..entry };
        let mut window = OrderWindow::default();
        window.push(entry, 0);
        window.push(WindowEntry { outcome: Outcome::Rejected, ..entry }, 1);
        window.push(WindowEntry { outcome: Outcome::Cancelled, ..gone }, 2);
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
