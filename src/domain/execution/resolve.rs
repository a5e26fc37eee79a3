//! The executions of one order with their quantities resolved, and the ordered quantity.
//!
//! Input: the facts of an order. Output: Q, the sums over its executions, and the executions that may
//! change a counter. Invariant: an order with an index of its executions gives the figures that a look
//! at all of them gives, in O(log n). Deliberately absent: the outcome (see `order`).

use crate::domain::compact::OneOrMany;
use crate::domain::execution::fill_index::FillIndex;
use crate::domain::execution::fills::{EffectiveFill, Fill, FillSums};
use crate::domain::execution::order::{Order, OrderedSize};
use crate::domain::time::Timestamp;
use crate::domain::units::Decimal;
use crate::domain::visits;

impl Order {
    /// The executions with their quantities resolved, in the order of arrival: those without a
    /// quantity of their own take what the explicit ones leave, the earliest takes all.
    #[must_use]
    pub fn resolved(&self) -> Vec<EffectiveFill> {
        let all = self.fills.all();
        visits::count(all.len());
        if let Some(index) = self.fills.indexed() {
            let rest = self.rest(index);
            let all = (0..).zip(all);
            return all.map(|(place, fill)| self.resolve(place, fill, rest)).collect();
        }
        let mut fills: Vec<EffectiveFill> = all.iter().map(|f| self.fills.effective(f)).collect();
        let open = |fill: &EffectiveFill| fill.quantity.is_none();
        if !fills.iter().any(open) {
            return fills;
        }
        let explicit = sum(fills.iter().filter_map(|f| f.quantity));
        let left = self.quantity(&fills).map(|q| q.saturating_sub(explicit).max(Decimal::ZERO));
        let times = all.iter().map(|f| f.at);
        let waiting = times.zip(&fills).enumerate().filter(|(_, (_, fill))| open(fill));
        let earliest = waiting.min_by_key(|(index, (at, _))| (*at, *index)).map(|(index, _)| index);
        for (index, fill) in fills.iter_mut().enumerate().filter(|(_, fill)| open(fill)) {
            fill.quantity = match left {
                Some(left) if Some(index) == earliest => Some(left),
                Some(_) => Some(Decimal::ZERO),
                None => None,
            };
        }
        fills
    }

    /// The rest that the explicit executions leave; `None` while the ordered quantity is not known.
    fn rest(&self, index: &FillIndex) -> Option<Decimal> {
        let quantity = self.quantity_with(|| index.filled_by_replace())?;
        Some(quantity.saturating_sub(index.explicit().quantity).max(Decimal::ZERO))
    }

    /// One execution of many with its quantity resolved.
    fn resolve(&self, place: u32, fill: &Fill, rest: Option<Decimal>) -> EffectiveFill {
        let mut effective = self.fills.effective(fill);
        if effective.quantity.is_none() {
            let takes_rest = self.fills.indexed().and_then(FillIndex::takes_rest);
            let share = |rest| if takes_rest == Some(place) { rest } else { Decimal::ZERO };
            effective.quantity = rest.map(share);
        }
        effective
    }

    /// The fills that may change a counter, with their places. While all fills are plain, those are
    /// the ones that arrived since the order was last counted completely; otherwise all, or of many
    /// those that changed.
    #[must_use]
    #[inline]
    pub fn uncounted_fills(&self) -> OneOrMany<(usize, EffectiveFill)> {
        if self.fills.is_empty() {
            return OneOrMany::default();
        }
        if let Some(index) = self.fills.indexed() {
            return self.changed_fills(index);
        }
        if self.fills.is_plain() {
            let fills = self.fills.all().iter().enumerate().skip(self.counted.fills as usize);
            return fills.map(|(at, fill)| (at, fill.reported())).collect();
        }
        self.resolved().into_iter().enumerate().collect()
    }

    #[cold]
    fn changed_fills(&self, index: &FillIndex) -> OneOrMany<(usize, EffectiveFill)> {
        let Some(places) = index.uncounted() else {
            return self.resolved().into_iter().enumerate().collect();
        };
        visits::count(places.len());
        let rest = self.rest(index);
        let fills = places.into_iter().filter_map(|place| {
            let fill = self.fills.all().get(place as usize)?;
            Some((place as usize, self.resolve(place, fill, rest)))
        });
        fills.collect()
    }

    /// Q: the quantity of the last accepted replace (of several at one instant the largest), raised
    /// to what explicit executions had filled by that time; without one, that of the submission.
    fn quantity(&self, fills: &[EffectiveFill]) -> Option<Decimal> {
        self.quantity_with(|| {
            let at = self.replaced_at();
            let by_then =
                self.fills.all().iter().zip(fills).filter(|(fill, _)| Some(fill.at) <= at);
            sum(by_then.filter_map(|(_, effective)| effective.quantity))
        })
    }

    /// Q, where `filled` is what explicit executions had filled by the last replace.
    fn quantity_with(&self, filled: impl FnOnce() -> Decimal) -> Option<Decimal> {
        if let Some((_, quantity)) = self.replaces.last_quantity() {
            return Some(quantity.get().max(filled()));
        }
        match &self.submission.as_ref()?.ordered {
            OrderedSize::Quantity(quantity) => Some(quantity.get()),
            OrderedSize::Notional(_) => None,
        }
    }

    /// The time of the last replace that gave a quantity.
    pub(super) fn replaced_at(&self) -> Option<Timestamp> {
        self.replaces.last_quantity().map(|(at, _)| at)
    }

    /// Q, and what the executions add up to.
    pub(super) fn executed(&self) -> (Option<Decimal>, FillSums) {
        if let Some(index) = self.fills.indexed() {
            return self.executed_of_many(index);
        }
        if self.fills.is_plain() && self.replaced_at().is_none() {
            return (self.quantity(&[]), self.fills.reported());
        }
        let fills = self.resolved();
        let mut executed = FillSums::default();
        for (fill, effective) in self.fills.all().iter().zip(&fills) {
            executed.add(fill, *effective);
        }
        (self.quantity(&fills), executed)
    }

    #[cold]
    fn executed_of_many(&self, index: &FillIndex) -> (Option<Decimal>, FillSums) {
        let mut executed = index.explicit();
        let rest = self.rest(index);
        let place = index.takes_rest();
        let fill = place.and_then(|place| Some((place, self.fills.all().get(place as usize)?)));
        if let Some((place, fill)) = fill {
            // The other ones without a quantity take nothing.
            executed.add(fill, self.resolve(place, fill, rest));
            executed.is_final |= rest.is_none() && index.is_rest_final();
        }
        // The rest never raises what had been filled by a replace above its quantity.
        (self.quantity_with(|| index.filled_by_replace()), executed)
    }

    /// Whether a final fill still ends the order: the venue accepted no new quantity after it.
    pub(super) fn is_final(&self) -> bool {
        let Some(replaced_at) = self.replaced_at() else { return true };
        if let Some(index) = self.fills.indexed() {
            return index.last_final_at() >= Some(replaced_at);
        }
        let fills = self.fills.all().iter().filter(|fill| fill.is_final);
        let mut not_busted = fills.filter(|fill| {
            self.fills.effective(fill).quantity.is_none_or(|quantity| !quantity.is_zero())
        });
        not_busted.any(|fill| fill.at >= replaced_at)
    }
}

fn sum(values: impl Iterator<Item = Decimal>) -> Decimal {
    values.fold(Decimal::ZERO, Decimal::saturating_add)
}
