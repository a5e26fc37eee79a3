//! The executions of one order, with busts and corrections, and their sums.
//!
//! Input: executions and amendments in any order of arrival. Output: executions after their
//! amendments, and their sums. Invariant: while every execution has a quantity of its own and none
//! was amended, adding one and summing all is O(1). Deliberately absent: the order's quantity.

use serde::{Deserialize, Serialize};

use crate::domain::compact::ThinVec;
use crate::domain::digest::{ByDigest, digest_of};
use crate::domain::enum_set::EnumSet;
use crate::domain::event::Liquidity;
use crate::domain::execution::terms::TermsKey;
use crate::domain::ids::{Currency, FillId};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, Quantity, Side, exact};

/// Up to this many executions are searched one by one; further ones are indexed by their ids.
const SEARCHED_MAX: usize = 16;

/// The executions of one order in the order of arrival, busted ones too.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fills {
    all: Vec<Fill>,
    amendments: ThinVec<Amendment>,
    /// Executions without a quantity of their own.
    rests: u32,
    /// Sums over all, as reported.
    reported: FillSums,
    /// Digest of the id -> place, for executions beyond [`SEARCHED_MAX`]; `None` without any.
    #[serde(with = "boxed")]
    places: Option<Box<ByDigest<usize>>>,
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

/// A bust or a correction of one execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// The execution.
    pub fill_id: FillId,
    /// Event time.
    pub at: Timestamp,
    /// Its new terms; `None` for a bust.
    pub corrected: Option<Correction>,
}

/// The terms that a correction puts in place of the reported ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Quantity.
    pub quantity: Quantity,
    /// Price.
    pub price: Price,
    /// Fee; `None` if it is unchanged.
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
        self.quantity = self.quantity.saturating_add(quantity);
        let price = Price::new(effective.price).known();
        let notional = price.and_then(|price| quantity.checked_mul(price.get()));
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
        self.reported.add(&fill, fill.reported());
        if let Some(id) = fill.id.as_ref().filter(|_| self.all.len() >= SEARCHED_MAX) {
            let places = self.places.get_or_insert_default();
            places.entry(digest_of(id)).or_insert(self.all.len());
        }
        if self.all.is_empty() {
            // Most orders have one execution, and a vector would begin with four.
            self.all.reserve_exact(1);
        }
        self.all.push(fill);
    }

    /// Adds a bust or a correction; its execution may arrive later.
    pub fn amend(&mut self, amendment: Amendment) {
        self.amendments.push(amendment);
    }

    /// Moves the executions and amendments of a merged order into this one. If both have an execution
    /// under one id, the one here stays, and the other is returned.
    pub fn absorb(&mut self, gone: &mut Self) -> Vec<Fill> {
        let known =
            |fills: &Self, fill: &Fill| fill.id.as_ref().is_some_and(|id| fills.find(id).is_some());
        let mut doubles = Vec::new();
        for fill in std::mem::take(&mut gone.all) {
            if known(self, &fill) {
                doubles.push(fill);
            } else {
                self.push(fill);
            }
        }
        self.amendments.append(&mut gone.amendments);
        doubles
    }

    /// The execution of that id.
    #[must_use]
    pub fn find(&self, id: &FillId) -> Option<&Fill> {
        self.all.get(self.place(id)?)
    }

    /// The place of the execution of that id.
    #[must_use]
    pub fn place(&self, id: &FillId) -> Option<usize> {
        let first = self.all.iter().take(SEARCHED_MAX);
        let first = first.enumerate().find(|(_, fill)| fill.id.as_ref() == Some(id));
        first.map(|(at, _)| at).or_else(|| self.places.as_ref()?.get(&digest_of(id)).copied())
    }

    /// Completes the execution at a place with the details that only a second report of it has.
    pub fn complete(&mut self, at: usize, report: Fill) {
        let Some(fill) = self.all.get_mut(at) else {
            impossible!("the place of a known fill is outside of the fills");
            return;
        };
        fill.complete(report);
        self.reported = FillSums::default();
        for fill in &self.all {
            self.reported.add(fill, fill.reported());
        }
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

    /// Busts and corrections, in the order of arrival.
    #[must_use]
    pub fn amendments(&self) -> &[Amendment] {
        &self.amendments
    }

    /// Whether no execution was amended and each one reported its own quantity.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.amendments.is_empty() && self.rests == 0
    }

    /// The sums over all executions as reported. Right while the executions are plain.
    #[must_use]
    pub const fn reported(&self) -> FillSums {
        self.reported
    }

    /// An execution after its amendments: any bust undoes it, otherwise the latest correction applies
    /// (by event time, then by arrival).
    #[must_use]
    pub fn effective(&self, fill: &Fill) -> EffectiveFill {
        let Some(id) = fill.id.as_ref().filter(|_| !self.amendments.is_empty()) else {
            return fill.reported();
        };
        let mut latest: Option<(Timestamp, EffectiveFill)> = None;
        for amendment in self.amendments.iter().filter(|a| a.fill_id == *id) {
            let Some(Correction { quantity, price, .. }) = amendment.corrected else {
                return EffectiveFill { quantity: Some(Decimal::ZERO), ..fill.reported() };
            };
            if latest.is_none_or(|(at, _)| at <= amendment.at) {
                let corrected =
                    EffectiveFill { quantity: Some(quantity.get()), price: price.get() };
                latest = Some((amendment.at, corrected));
            }
        }
        latest.map_or_else(|| fill.reported(), |(_, corrected)| corrected)
    }
}

/// The fee of an execution after its amendments: none after a bust, otherwise that of the latest
/// correction with a fee, otherwise the reported one.
#[must_use]
pub fn amended_fee<'a>(fill: &'a Fill, amendments: &'a [Amendment]) -> Option<&'a Fee> {
    let Some(id) = fill.id.as_ref().filter(|_| !amendments.is_empty()) else {
        return fill.fee.as_ref();
    };
    let mut latest: Option<(Timestamp, &Fee)> = None;
    for amendment in amendments.iter().filter(|a| a.fill_id == *id) {
        let fee = amendment.corrected.as_ref()?.fee.as_ref();
        if let Some(fee) = fee.filter(|_| latest.is_none_or(|(at, _)| at <= amendment.at)) {
            latest = Some((amendment.at, fee));
        }
    }
    latest.map(|(_, fee)| fee).or(fill.fee.as_ref())
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

    /// As it was reported.
    #[must_use]
    pub fn reported(&self) -> EffectiveFill {
        EffectiveFill { quantity: self.quantity.map(Quantity::get), price: self.price.get() }
    }
}

/// Stores a missing map like an empty one.
mod boxed {
    use serde::{Deserializer, Serializer};

    use crate::domain::digest::{ByDigest, sorted};

    type BoxedPlaces = Option<Box<ByDigest<usize>>>;

    pub(super) fn serialize<S: Serializer>(
        map: &BoxedPlaces,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match map {
            Some(map) => sorted::serialize(map, serializer),
            None => sorted::serialize(&ByDigest::<usize>::default(), serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BoxedPlaces, D::Error> {
        let map: ByDigest<usize> = sorted::deserialize(from)?;
        Ok((!map.is_empty()).then(|| Box::new(map)))
    }
}
