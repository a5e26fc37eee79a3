//! How severe a difference of the books is, and by which test.
//!
//! Input: the size of a difference, what the symbol is judged by. Output: a severity and the test
//! that decided. Invariants: bounds are inclusive and compared as exact decimals; the highest test
//! wins, and of equal ones the first by [`Test`]; what cannot be valued is never within tolerance.
//! Deliberately absent: what earlier comparisons said (see `confirm`).

use super::classify::Size;
use super::{DriftType, Market};
use crate::domain::closed_set::closed_set;
use crate::domain::settings::{DriftRules, DriftSettings, Instrument, PerSeverity, Rate, Severity};
use crate::domain::units::Decimal;

closed_set! {
    /// The test that set the severity of a drift: by quantity, by value, by fraction of the position;
    /// long against short; no known value; no directive confirmed; a symbol reconciled too often.
    pub enum Test {
        /// The quantity by which the books differ.
        Quantity = "quantity",
        /// The value of that quantity; for a price mismatch, of the difference of the averages.
        Value = "value",
        /// The quantity as a fraction of the larger position.
        Relative = "relative",
        /// Long on one side, short on the other: at least MODERATE.
        SignFlip = "sign_flip",
        /// No value is known: at least MODERATE for an unknown or a ghost position, else MINOR.
        ValueUnknown = "value_unknown",
        /// No reconcile directive was confirmed: at least MODERATE until it clears.
        ReconcileFailed = "reconcile_failed",
        /// The symbol was reconciled too often: at least MODERATE until it clears.
        ReconcileBudget = "reconcile_budget",
    }
}

/// A severity, and the test that gave it.
pub(super) type Judged = (Severity, Test);

/// What a symbol is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) settings: &'a DriftSettings,
    pub(super) rules: &'a DriftRules,
    pub(super) instrument: &'a Instrument,
    /// Whether the quantity test is made: quantities count shares or contracts.
    pub(super) is_counted: bool,
    pub(super) market: Market,
}

/// The highest of several tests; of equal ones the first.
pub(super) fn highest(tests: impl IntoIterator<Item = Option<Judged>>) -> Option<Judged> {
    tests.into_iter().flatten().fold(None, |highest, judged| match highest {
        Some((severity, _)) if severity >= judged.0 => highest,
        Some(_) | None => Some(judged),
    })
}

impl Terms<'_> {
    /// abs(price) x abs(quantity) x multiplier in the account's currency; none without a rate.
    /// What leaves the range is as large as can be held.
    pub(super) fn value(&self, price: Decimal, quantity: Decimal) -> Option<Decimal> {
        let rate = match self.instrument.rate {
            Rate::Same => Decimal::ONE,
            Rate::Fixed(rate) => rate,
            Rate::Unknown => return None,
        };
        let amount = quantity.abs().saturating_mul(price.abs());
        let amount = amount.saturating_mul(self.instrument.multiplier.abs());
        Some(amount.saturating_mul(rate.abs()).normalize())
    }

    /// How severe a difference of quantities is, by quantity, value and fraction of the position.
    pub(super) fn of_size(&self, size: &Size, drift_type: DriftType) -> Option<Judged> {
        let quantity = size.quantity.abs();
        let by_quantity =
            || reached(&self.rules.quantity, Test::Quantity, |bound| quantity >= *bound);
        let by_fraction = self.rules.relative.as_ref().and_then(|relative| {
            // Multiplied, not divided: a bound of a third must be met exactly.
            reached(relative, Test::Relative, |bound| {
                quantity >= bound.saturating_mul(size.position)
            })
        });
        let value_unknown = || (unvalued_at_least(drift_type), Test::ValueUnknown);
        highest([
            self.is_counted.then(by_quantity).flatten(),
            self.by_value(size.value),
            by_fraction,
            size.value.is_none().then(value_unknown),
        ])
    }

    /// How severe a difference of average prices is; bookkeeping has a cap.
    pub(super) fn of_price(&self, value: Option<Decimal>) -> Option<Judged> {
        let unknown = (unvalued_at_least(DriftType::PriceMismatch), Test::ValueUnknown);
        let judged = if value.is_some() { self.by_value(value) } else { Some(unknown) };
        judged.map(|(severity, test)| (severity.min(self.rules.price_mismatch_max), test))
    }

    /// How severe a difference of that value is.
    pub(super) fn by_value(&self, value: Option<Decimal>) -> Option<Judged> {
        value.and_then(|value| reached(&self.rules.value, Test::Value, |bound| value >= *bound))
    }
}

/// A position that one side alone knows of is not harmless for want of a price.
const fn unvalued_at_least(drift_type: DriftType) -> Severity {
    match drift_type {
        DriftType::UnknownPosition | DriftType::GhostPosition => Severity::Moderate,
        DriftType::QuantityMismatch | DriftType::PriceMismatch => Severity::Minor,
    }
}

/// The highest severity whose bound is met.
fn reached(
    bounds: &PerSeverity<Decimal>,
    test: Test,
    is_met: impl Fn(&Decimal) -> bool,
) -> Option<Judged> {
    let severity = Severity::ALL.into_iter().rev().find(|severity| is_met(bounds.get(*severity)));
    severity.map(|severity| (severity, test))
}
