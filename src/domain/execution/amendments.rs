//! Busts and corrections of executions, and what those of one execution add up to.
//!
//! Input: amendments in any order of arrival. Output: [`AmendedFill`]. Invariants: any bust undoes an
//! execution; otherwise its latest correction applies (by event time, then by arrival), and the fee of
//! the latest correction that has one. Deliberately absent: the executions.

use serde::{Deserialize, Serialize};

use crate::domain::compact::ThinVec;
use crate::domain::digest::{ByDigest, digest_of};
use crate::domain::execution::fills::Fee;
use crate::domain::ids::FillId;
use crate::domain::time::Timestamp;
use crate::domain::units::{Price, Quantity, exact};
use crate::domain::visits;

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

/// The amendments of one order in the order of arrival.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amendments(ThinVec<Amendment>);

/// The sum of the amendments of one execution. Corrections are named by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmendedFill {
    /// Whether the venue undid it.
    pub is_busted: bool,
    /// Number of its corrections.
    pub corrections: u32,
    /// The correction that applies.
    terms: Option<u32>,
    /// The latest correction with a fee.
    fee: Option<u32>,
    /// The amendment that arrived last.
    last: Option<u32>,
}

/// The [`AmendedFill`] of every execution, by the digest of its id.
pub(super) type AmendedFills = ByDigest<AmendedFill>;

impl Amendments {
    /// The amendments, in the order of arrival.
    #[must_use]
    pub fn all(&self) -> &[Amendment] {
        &self.0
    }

    /// Adds one. Returns its place.
    pub(super) fn push(&mut self, amendment: Amendment) -> u32 {
        self.0.push(amendment);
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Amendment> {
        std::mem::take(&mut self.0).into_iter()
    }

    /// The sum for one execution, found by a search through all amendments.
    pub(super) fn sum_of(&self, id: &FillId) -> AmendedFill {
        visits::count(self.0.len());
        let mut sum = AmendedFill::default();
        for (place, amendment) in (0..).zip(self.all()) {
            if amendment.fill_id == *id {
                sum.add(place, self);
            }
        }
        sum
    }

    /// The sums for all executions.
    pub(super) fn sums(&self) -> AmendedFills {
        let mut sums = AmendedFills::default();
        for (place, amendment) in (0..).zip(self.all()) {
            sums.entry(digest_of(&amendment.fill_id)).or_default().add(place, self);
        }
        sums
    }

    /// The correction that applies to an execution; `None` if it is busted, and without one.
    #[must_use]
    pub fn terms(&self, of: AmendedFill) -> Option<&Correction> {
        self.correction(of.terms.filter(|_| !of.is_busted))
    }

    /// The fee of an execution: none after a bust, otherwise that of the latest correction with a fee,
    /// otherwise the reported one.
    #[must_use]
    pub fn fee<'a>(&'a self, reported: Option<&'a Fee>, of: AmendedFill) -> Option<&'a Fee> {
        if of.is_busted {
            return None;
        }
        self.correction(of.fee).and_then(|corrected| corrected.fee.as_ref()).or(reported)
    }

    /// The amendment of an execution that arrived last.
    #[must_use]
    pub fn last(&self, of: AmendedFill) -> Option<&Amendment> {
        self.all().get(of.last? as usize)
    }

    fn correction(&self, place: Option<u32>) -> Option<&Correction> {
        self.all().get(place? as usize)?.corrected.as_ref()
    }

    fn at(&self, place: u32) -> Option<Timestamp> {
        self.all().get(place as usize).map(|amendment| amendment.at)
    }
}

impl AmendedFill {
    /// Adds the amendment at a place, which arrived after those before.
    pub(super) fn add(&mut self, place: u32, to: &Amendments) {
        let Some(amendment) = to.all().get(place as usize) else {
            impossible!("an amendment that was just added is missing");
            return;
        };
        self.last = Some(place);
        let Some(corrected) = &amendment.corrected else {
            self.is_busted = true;
            return;
        };
        self.corrections = self.corrections.saturating_add(1);
        let is_latest = |known: Option<u32>| known.is_none_or(|k| to.at(k) <= Some(amendment.at));
        if is_latest(self.terms) {
            self.terms = Some(place);
        }
        if corrected.fee.is_some() && is_latest(self.fee) {
            self.fee = Some(place);
        }
    }
}
