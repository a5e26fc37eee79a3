//! The executions of one order, with busts and corrections, and their sums.
//!
//! Input: executions and amendments in any order of arrival. Output: executions after their
//! amendments, and their sums. Invariants: while every execution has a quantity of its own and none
//! was amended, adding one and summing all is O(1); with more facts than `FEW_MAX` every change is
//! O(log n). Deliberately absent: the order's quantity.

use serde::{Deserialize, Serialize};

use crate::domain::digest::digest_of;
use crate::domain::enum_set::EnumSet;
use crate::domain::event::Liquidity;
use crate::domain::execution::amendments::{AmendedFill, Amendment, Amendments};
use crate::domain::execution::fill_index::FillIndex;
use crate::domain::execution::terms::TermsKey;
use crate::domain::ids::{Currency, FillId};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, Quantity, Side, checked_times, exact, plus};
use crate::domain::visits;
use crate::domain::weight;

/// Up to this many facts are looked at one by one; more are indexed.
pub(super) const FEW_MAX: usize = 16;

/// The executions of one order in the order of arrival, busted ones too.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fills {
    all: Vec<Fill>,
    amendments: Amendments,
    /// Executions without a quantity of their own.
    rests: u32,
    /// Sums over all, as reported, while there is no index.
    reported: FillSums,
    /// `None` up to [`FEW_MAX`] facts. Not stored: it follows from the facts.
    #[serde(skip)]
    index: Option<Box<FillIndex>>,
}

/// A fee, and its reported currency; `None` for that of the instrument.
pub type Fee = (Decimal, Option<Currency>);

/// One execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fill {
    /// Its id.
    pub id: Option<FillId>,
    /// Event time.
    pub at: Timestamp,
    /// Whether the report had a time; otherwise `at` is the time of receipt.
    pub is_dated: bool,
    /// Quantity as reported; `None` for the rest that explicit fills leave.
    pub quantity: Option<Quantity>,
    /// Price as reported.
    pub price: Price,
    /// Side as reported.
    pub side: Option<Side>,
    /// Fee as reported.
    #[serde(with = "exact")]
    pub fee: Option<Fee>,
    /// Whether it added or took liquidity.
    pub liquidity: Option<Liquidity>,
    /// Made by the engine to set its books right.
    pub synthetic: bool,
    /// The venue said that nothing of the order is left.
    pub is_final: bool,
    /// The part of it that is counted already.
    pub counted: CountedFill,
}

/// The part of one execution that positions and counters already contain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CountedFill {
    /// Signed change of the position.
    #[serde(with = "exact")]
    pub moved: Decimal,
    /// Its quantity in the totals.
    #[serde(with = "exact")]
    pub quantity: Decimal,
    /// The steps that are done.
    pub steps: EnumSet<FillStep>,
    /// Number of its corrections in the counters.
    pub corrected: u32,
    /// The currency and the multiplier that it was counted with.
    pub terms: TermsKey,
    /// Its amounts in the totals; `None` while they follow from its report.
    pub amounts: Option<Box<FillAmounts>>,
}

/// The steps of one execution, each done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, enum_map::Enum)]
pub enum FillStep {
    /// It is in the counters.
    Counted,
    /// Its fee is in the totals.
    FeeCounted,
    /// An adjustment reported its fee too, and moved the position by it.
    FeeAdjusted,
    /// Its slippage is in the histograms, and its cost in the totals.
    Measured,
    /// Its bust is in the counters.
    BustCounted,
}

/// The amounts of one execution in the totals of money and quantity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillAmounts {
    /// Quantity.
    #[serde(with = "exact")]
    pub quantity: Decimal,
    /// abs(price) x quantity x multiplier.
    #[serde(with = "exact")]
    pub notional: Decimal,
    /// Cost against the reference `expected`; negative is an improvement.
    #[serde(with = "exact")]
    pub cost: Decimal,
    /// Fee.
    #[serde(with = "exact")]
    pub fee: Option<Fee>,
}

/// An execution after its busts and corrections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveFill {
    /// Quantity, 0 when busted; `None` for the rest that explicit fills leave.
    pub quantity: Option<Decimal>,
    /// Price.
    pub price: Decimal,
}

/// The sums over executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillSums {
    /// F: sum of the quantities.
    #[serde(with = "exact")]
    pub quantity: Decimal,
    /// Sum of quantity x price; `None` if an execution has no price (0), or if the sum is out of range.
    #[serde(with = "exact")]
    pub notional: Option<Decimal>,
    /// Event time of the first.
    pub first_at: Option<Timestamp>,
    /// Event time of the last.
    pub last_at: Option<Timestamp>,
    /// Whether a synthetic one is among them.
    pub synthetic: bool,
    /// Whether one is among them after which nothing is left, as the venue says.
    pub is_final: bool,
}

impl Default for FillSums {
    fn default() -> Self {
        Self {
            quantity: Decimal::ZERO,
            notional: Some(Decimal::ZERO),
            first_at: None,
            last_at: None,
            synthetic: false,
            is_final: false,
        }
    }
}

impl FillSums {
    /// Adds one execution. An execution of quantity 0 adds nothing.
    pub fn add(&mut self, fill: &Fill, effective: EffectiveFill) {
        let Some(quantity) = effective.quantity.filter(|quantity| !quantity.is_zero()) else {
            // An execution whose quantity is not known yet may be the last one, too.
            self.is_final |= fill.is_final && effective.quantity.is_none();
            return;
        };
        self.quantity = plus(self.quantity, quantity);
        let price = Price::new(effective.price).known();
        let notional = price.and_then(|price| checked_times(quantity, price.get()));
        self.notional = self.notional.zip(notional).and_then(|(a, b)| a.checked_add(b));
        self.first_at = Some(self.first_at.map_or(fill.at, |at| at.min(fill.at)));
        self.last_at = Some(self.last_at.map_or(fill.at, |at| at.max(fill.at)));
        self.synthetic |= fill.synthetic;
        self.is_final |= fill.is_final;
    }
}

impl Fills {
    /// Adds an execution.
    pub fn push(&mut self, fill: Fill) {
        self.rests += u32::from(fill.quantity.is_none());
        if self.index.is_some() {
            self.enter(&fill);
        } else {
            self.reported.add(&fill, fill.reported());
        }
        if self.all.is_empty() {
            // Most orders have one execution, and a vector would begin with four.
            self.all = Vec::with_capacity(1);
        }
        self.all.push(fill);
    }

    /// Adds an execution, which is pushed next, to the index.
    fn enter(&mut self, fill: &Fill) {
        let effective = self.effective(fill);
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        if let Some(index) = &mut self.index {
            index.name(place, fill);
            index.enter(place, fill, effective);
            index.change(place);
        }
    }

    /// Adds a bust or a correction; its execution may arrive later.
    pub fn amend(&mut self, amendment: Amendment) {
        if self.index.is_none() {
            self.amendments.push(amendment);
            return;
        }
        let place = self.place(&amendment.fill_id);
        self.restate(place, |fills| {
            let corrected = amendment.corrected.as_ref();
            let fee = corrected.and_then(|corrected| corrected.fee.clone());
            let digest = digest_of(&amendment.fill_id);
            let added = fills.amendments.push(amendment);
            if let Some(index) = &mut fills.index {
                index.add_currency(fee.and_then(|(_, currency)| currency).as_ref());
                index.amended.entry(digest).or_default().add(added, &fills.amendments);
            }
        });
    }

    /// Makes a change that may restate the execution at a place, and keeps sums and index true.
    fn restate(&mut self, place: Option<usize>, change: impl FnOnce(&mut Self)) {
        if self.index.is_none() {
            change(self);
            self.reported = FillSums::default();
            for fill in &self.all {
                self.reported.add(fill, fill.reported());
            }
            return;
        }
        let known = place.and_then(|at| self.all.get(at));
        let known = known.map(|fill| (fill, self.effective(fill)));
        let at = place.and_then(|at| u32::try_from(at).ok());
        if let (Some(index), Some((fill, effective)), Some(at)) = (&mut self.index, known, at) {
            index.leave(at, fill, effective);
        }
        change(self);
        let known = place.and_then(|at| self.all.get(at));
        let known = known.map(|fill| (fill, self.effective(fill)));
        if let (Some(index), Some((fill, effective)), Some(at)) = (&mut self.index, known, at) {
            index.name(at, fill);
            index.enter(at, fill, effective);
            index.change(at);
        }
    }

    /// Moves the executions and amendments of a merged order into this one. If both have an execution
    /// under one id, the one here stays, and the other is returned. Costs what the smaller one holds.
    pub(super) fn absorb(&mut self, gone: &mut Self) -> Vec<Fill> {
        let is_smaller = self.facts() < gone.facts() && self.facts() + gone.facts() > FEW_MAX;
        if is_smaller {
            std::mem::swap(self, gone);
        }
        let smaller = std::mem::take(gone);
        visits::count(smaller.facts());
        let mut doubles = Vec::new();
        for fill in smaller.all {
            let known = fill.id.as_ref().and_then(|id| self.place(id));
            match known {
                Some(place) if is_smaller => doubles.extend(self.replace(place, fill)),
                Some(_) => doubles.push(fill),
                None => self.push(fill),
            }
        }
        for amendment in { smaller.amendments }.drain() {
            self.amend(amendment);
        }
        doubles
    }

    /// Puts another execution in the place of one. Returns the one that was there.
    fn replace(&mut self, place: usize, fill: Fill) -> Option<Fill> {
        let mut before = None;
        self.restate(Some(place), |fills| {
            let known = fills.all.get_mut(place);
            before = known.map(|known| std::mem::replace(known, fill));
        });
        let rests = |fill: Option<&Fill>| fill.map_or(0, |fill| u32::from(fill.quantity.is_none()));
        self.rests = self.rests + rests(self.all.get(place)) - rests(before.as_ref());
        before
    }

    /// About the bytes of the facts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.all.len() * weight::FILL + self.amendments.all().len() * weight::AMENDMENT
    }

    /// The execution of that id.
    #[must_use]
    pub fn find(&self, id: &FillId) -> Option<&Fill> {
        self.all.get(self.place(id)?)
    }

    /// The place of the execution of that id.
    #[must_use]
    pub fn place(&self, id: &FillId) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.places.get(&digest_of(id)).map(|place| *place as usize);
        }
        visits::count(self.all.len());
        self.all.iter().position(|fill| fill.id.as_ref() == Some(id))
    }

    /// Completes the execution at a place with the details that only a second report of it has.
    pub fn complete(&mut self, at: usize, report: Fill) {
        self.restate(Some(at), |fills| {
            let Some(fill) = fills.all.get_mut(at) else {
                impossible!("the place of a known fill is outside of the fills");
                return;
            };
            fill.complete(report);
        });
    }

    /// Indexes the facts once they are many. `replaced_at` is the time of the last replace with a
    /// quantity. Nothing of the order counts as counted then.
    pub(super) fn index(&mut self, replaced_at: Option<Timestamp>) {
        if self.facts() <= FEW_MAX || self.index.is_some() {
            return;
        }
        let mut index = FillIndex::of(self.amendments.sums());
        for amendment in self.amendments.all() {
            let fee = amendment.corrected.as_ref().and_then(|corrected| corrected.fee.as_ref());
            index.add_currency(fee.and_then(|(_, currency)| currency.as_ref()));
        }
        self.index = Some(Box::new(index));
        self.reported = FillSums::default();
        for fill in std::mem::take(&mut self.all) {
            self.enter(&fill);
            self.all.push(fill);
        }
        if let Some(index) = &mut self.index {
            index.change_all();
        }
        self.replaced(replaced_at);
    }

    /// Notes the last replace with a quantity.
    pub(super) fn replaced(&mut self, at: Option<Timestamp>) {
        if let (Some(index), Some(at)) = (&mut self.index, at) {
            index.replaced(at);
        }
    }

    /// The index, if there are many facts.
    pub(super) fn indexed(&self) -> Option<&FillIndex> {
        self.index.as_deref()
    }

    /// Notes that every execution has to be counted again.
    pub(super) fn change_all(&mut self) {
        if let Some(index) = &mut self.index {
            index.change_all();
        }
    }

    /// Notes that every execution is counted.
    pub(super) fn counted(&mut self) {
        if let Some(index) = &mut self.index {
            index.counted();
        }
    }

    /// The currencies of all fees, of corrections too. Of many facts, each currency once.
    pub(super) fn fee_currencies(&self) -> impl Iterator<Item = &Currency> {
        let few = self.index.is_none();
        let corrected = self.amendments.all().iter().filter_map(|a| a.corrected.as_ref());
        let fees = self.all.iter().filter_map(|fill| fill.fee.as_ref());
        let fees = fees.chain(corrected.filter_map(|corrected| corrected.fee.as_ref()));
        let of_few = fees.filter_map(|(_, currency)| currency.as_ref()).take_while(move |_| few);
        self.index.iter().flat_map(|index| index.currencies()).chain(of_few)
    }

    /// The executions, in the order of arrival.
    #[must_use]
    pub fn all(&self) -> &[Fill] {
        &self.all
    }

    /// The executions, to mark them as counted.
    pub fn all_mut(&mut self) -> &mut [Fill] {
        &mut self.all
    }

    /// Executions, busted ones too.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no executions.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Executions and amendments.
    #[must_use]
    pub fn facts(&self) -> usize {
        self.all.len() + self.amendments.all().len()
    }

    /// Busts and corrections.
    #[must_use]
    pub const fn amendments(&self) -> &Amendments {
        &self.amendments
    }

    /// Whether no execution was amended and each one reported its own quantity.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.amendments.all().is_empty() && self.rests == 0
    }

    /// The sums over all executions as reported. Right while the executions are few and plain.
    #[must_use]
    pub const fn reported(&self) -> FillSums {
        self.reported
    }

    /// The amendments of the execution of that id.
    #[must_use]
    pub fn amended(&self, id: Option<&FillId>) -> AmendedFill {
        let Some(id) = id.filter(|_| !self.amendments.all().is_empty()) else {
            return AmendedFill::default();
        };
        self.index.as_ref().map_or_else(|| self.amendments.sum_of(id), |index| index.amended(id))
    }

    /// An execution after its amendments.
    #[must_use]
    pub fn effective(&self, fill: &Fill) -> EffectiveFill {
        fill.effective(self.amended(fill.id.as_ref()), &self.amendments)
    }

    /// The fee of an execution after its amendments.
    #[must_use]
    pub fn fee<'a>(&'a self, fill: &'a Fill) -> Option<&'a Fee> {
        self.amendments.fee(fill.fee.as_ref(), self.amended(fill.id.as_ref()))
    }
}

impl Fill {
    /// Shares the text of `known` if that is the currency of the fee, so that it is held once.
    pub fn share_currency(&mut self, known: &Currency) {
        if let Some((_, Some(currency))) = &mut self.fee
            && currency == known
        {
            *currency = known.clone();
        }
    }

    /// Whether a second report of it has details that the first did not have.
    #[must_use]
    pub fn lacks(&self, report: &Self) -> bool {
        (!self.is_dated && report.is_dated)
            || (self.side.is_none() && report.side.is_some())
            || (self.liquidity.is_none() && report.liquidity.is_some())
            || (!self.is_final && report.is_final)
            || self.lacks_fee(report.fee.as_ref())
    }

    /// Whether `other` adds an amount or a currency.
    fn lacks_fee(&self, other: Option<&Fee>) -> bool {
        match (&self.fee, other) {
            (None, Some(_)) => true,
            (Some((fee, None)), Some((other, Some(_)))) => fee == other,
            (_, _) => false,
        }
    }

    fn complete(&mut self, report: Self) {
        if self.lacks_fee(report.fee.as_ref()) {
            self.fee = report.fee;
        }
        if !self.is_dated && report.is_dated {
            (self.at, self.is_dated) = (report.at, true);
        }
        self.side = self.side.or(report.side);
        self.liquidity = self.liquidity.or(report.liquidity);
        self.is_final |= report.is_final;
    }

    /// After its amendments: any bust undoes it, otherwise the latest correction applies.
    fn effective(&self, amended: AmendedFill, amendments: &Amendments) -> EffectiveFill {
        if amended.is_busted {
            return EffectiveFill { quantity: Some(Decimal::ZERO), ..self.reported() };
        }
        amendments.terms(amended).map_or_else(
            || self.reported(),
            |corrected| EffectiveFill {
                quantity: Some(corrected.quantity.get()),
                price: corrected.price.get(),
            },
        )
    }

    /// As it was reported.
    #[must_use]
    pub fn reported(&self) -> EffectiveFill {
        EffectiveFill { quantity: self.quantity.map(Quantity::get), price: self.price.get() }
    }
}
