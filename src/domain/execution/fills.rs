//! The executions of one order, with busts and corrections, and what they add up to.
//!
//! Input: executions and amendments in any order of arrival. Output: executions as they stand, and
//! their sums. Invariant: while every execution has a quantity of its own and none was amended,
//! adding one and summing all is O(1). Deliberately absent: the order's quantity.

use serde::{Deserialize, Serialize};

use crate::domain::compact::ThinVec;
use crate::domain::digest::{ByDigest, digest_of};
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
    reported: Executed,
    /// Digest of the id -> place, of executions beyond [`SEARCHED_MAX`]; none: there are none.
    #[serde(with = "boxed")]
    places: Option<Box<ByDigest<usize>>>,
}

/// A fee, and its currency as reported; none: that of the instrument.
pub type Fee = (Decimal, Option<Currency>);

/// One execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fill {
    /// Its id.
    pub id: Option<FillId>,
    /// Event time.
    pub at: Timestamp,
    /// Whether the report told the time; else it is the time of receipt.
    pub is_dated: bool,
    /// Quantity as reported; none: what explicit fills leave.
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
    /// The venue says that nothing of the order is left.
    pub is_final: bool,
    /// What was made of it so far.
    pub done: FillDone,
}

/// What was made of one execution so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing done or not")]
pub struct FillDone {
    /// Signed change that it made to the position.
    #[serde(with = "exact")]
    pub moved: Decimal,
    /// Its quantity in the totals.
    #[serde(with = "exact")]
    pub quantity: Decimal,
    /// An adjustment moved the position by its fee.
    pub fee_adjusted: bool,
    /// Whether it is in the counters.
    pub counted: bool,
    /// Whether its fee is in the totals.
    pub fee: bool,
    /// Whether its slippage is in the histograms, and what it cost in the totals.
    pub measured: bool,
    /// Whether a bust of it is in the counters.
    pub busted: bool,
    /// How many corrections of it are in the counters.
    pub corrected: u32,
    /// The currency and the multiplier that it was counted with.
    pub terms: TermsKey,
    /// What the totals hold of it; none: what it was reported with.
    pub stated: Option<Box<Stated>>,
}

/// What the totals of money and quantity hold of one execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
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
    /// How it stands from now on; none: busted.
    pub corrected: Option<Correction>,
}

/// What a correction puts in the place of what was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Quantity.
    pub quantity: Quantity,
    /// Price.
    pub price: Price,
    /// Fee; none: it stays what it was.
    #[serde(with = "exact")]
    pub fee: Option<Fee>,
}

/// An execution as it stands after busts and corrections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Quantity: 0 when busted; none when it is what explicit fills leave.
    pub quantity: Option<Decimal>,
    /// Price.
    pub price: Decimal,
}

/// What executions add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// F: sum of the quantities.
    #[serde(with = "exact")]
    pub quantity: Decimal,
    /// Sum of quantity x price; none when one has no price (0), or it cannot be held.
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

impl Default for Executed {
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

impl Executed {
    /// Adds one execution; one of nothing is none.
    pub fn add(&mut self, fill: &Fill, effective: Effective) {
        let Some(quantity) = effective.quantity.filter(|quantity| !quantity.is_zero()) else {
            // Of a quantity that is not known it may be the last one, too.
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

    /// Adds a bust or a correction; its execution may come later.
    pub fn amend(&mut self, amendment: Amendment) {
        self.amendments.push(amendment);
    }

    /// Takes over the executions and amendments of another order that became part of this one. An
    /// execution that both have under one id is kept once; the others' reports are returned.
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

    /// Adds to the execution at a place what a second report of it tells and the first did not.
    pub fn complete(&mut self, at: usize, report: Fill) {
        let Some(fill) = self.all.get_mut(at) else { return };
        fill.complete(report);
        self.reported = Executed::default();
        for fill in &self.all {
            self.reported.add(fill, fill.reported());
        }
    }

    /// The executions, in the order of arrival.
    #[must_use]
    pub fn all(&self) -> &[Fill] {
        &self.all
    }

    /// The same, to note what was made of them.
    pub fn all_mut(&mut self) -> &mut [Fill] {
        &mut self.all
    }

    /// Executions, busted ones too.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Busts and corrections, in the order of arrival.
    #[must_use]
    pub fn amendments(&self) -> &[Amendment] {
        &self.amendments
    }

    /// Whether all executions stand as they were reported, each with a quantity of its own.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.amendments.is_empty() && self.rests == 0
    }

    /// The sums over all executions as reported: what they add up to while they are plain.
    #[must_use]
    pub const fn reported(&self) -> Executed {
        self.reported
    }

    /// An execution as it stands: any bust undoes it, else the latest correction stands (by event
    /// time, then by arrival).
    #[must_use]
    pub fn effective(&self, fill: &Fill) -> Effective {
        let Some(id) = fill.id.as_ref().filter(|_| !self.amendments.is_empty()) else {
            return fill.reported();
        };
        let mut latest: Option<(Timestamp, Effective)> = None;
        for amendment in self.amendments.iter().filter(|a| a.fill_id == *id) {
            let Some(Correction { quantity, price, .. }) = amendment.corrected else {
                return Effective { quantity: Some(Decimal::ZERO), ..fill.reported() };
            };
            if latest.is_none_or(|(at, _)| at <= amendment.at) {
                let corrected = Effective { quantity: Some(quantity.get()), price: price.get() };
                latest = Some((amendment.at, corrected));
            }
        }
        latest.map_or_else(|| fill.reported(), |(_, corrected)| corrected)
    }
}

/// The fee of an execution as it stands: none after a bust, else that of the latest correction that
/// gave one, else as reported.
#[must_use]
pub fn standing_fee<'a>(fill: &'a Fill, amendments: &'a [Amendment]) -> Option<&'a Fee> {
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
    /// Takes the text of the currency of its fee from `known`, if it is that: it is held once then.
    pub fn share_currency(&mut self, known: &Currency) {
        if let Some((_, Some(currency))) = &mut self.fee
            && currency == known
        {
            *currency = known.clone();
        }
    }

    /// Whether a second report of it tells what the first did not.
    #[must_use]
    pub fn lacks(&self, report: &Self) -> bool {
        (!self.is_dated && report.is_dated)
            || (self.side.is_none() && report.side.is_some())
            || (self.liquidity.is_none() && report.liquidity.is_some())
            || (!self.is_final && report.is_final)
            || self.lacks_fee(report.fee.as_ref())
    }

    /// Whether a fee tells what this one's does not: how much, or in which currency.
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
    pub fn reported(&self) -> Effective {
        Effective { quantity: self.quantity.map(Quantity::get), price: self.price.get() }
    }
}

/// A map by digest that is mostly empty, stored like one that is there.
mod boxed {
    use serde::{Deserializer, Serializer};

    use crate::domain::digest::{ByDigest, sorted};

    type Boxed = Option<Box<ByDigest<usize>>>;

    pub(super) fn serialize<S: Serializer>(map: &Boxed, serializer: S) -> Result<S::Ok, S::Error> {
        match map {
            Some(map) => sorted::serialize(map, serializer),
            None => sorted::serialize(&ByDigest::<usize>::default(), serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Boxed, D::Error> {
        let map: ByDigest<usize> = sorted::deserialize(from)?;
        Ok((!map.is_empty()).then(|| Box::new(map)))
    }
}
