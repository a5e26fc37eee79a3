//! The severity of a difference of the books, and the test that decides it.
//!
//! Input: the size of a difference, and the criteria of its symbol. Output: a severity and the test
//! that decided. Invariants: bounds are inclusive and compared as exact decimals; the highest severity
//! wins, and of equal ones the first in the order of [`SeverityTest`]; a difference that cannot be
//! valued is never within tolerance. Deliberately absent: earlier comparisons (see `confirm`).

use super::comparison::DriftSize;
use super::view::{DriftType, Market, MarketOf, SeverityTest};
use crate::domain::ids::Symbol;
use crate::domain::settings::{DriftRules, DriftSettings, Instrument, PerSeverity, Rate, Severity};
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::units::{Decimal, agree};

/// A severity, and the test that gave it.
pub(super) type Judged = (Severity, SeverityTest);

/// The criteria by which a symbol is judged.
#[derive(Clone, Debug)]
pub(super) struct Criteria<'a> {
    pub(super) symbol: Symbol,
    pub(super) settings: &'a DriftSettings,
    pub(super) rules: &'a DriftRules,
    pub(super) instrument: &'a Instrument,
    /// Whether the quantity test applies: quantities count shares or contracts.
    pub(super) is_counted: bool,
    pub(super) market: Market,
}

/// The highest of several judgements; of equal ones the first.
pub(super) fn highest(tests: impl IntoIterator<Item = Option<Judged>>) -> Option<Judged> {
    tests.into_iter().flatten().fold(None, |highest, judged| match highest {
        Some((severity, _)) if severity >= judged.0 => highest,
        Some(_) | None => Some(judged),
    })
}

impl<'a> Criteria<'a> {
    /// The criteria of a symbol; none: the key has no name.
    pub(super) fn of(step: &Step<'a, '_>, key: SymbolKey, market: MarketOf<'_>) -> Option<Self> {
        let symbol = step.symbols.name(key)?.clone();
        let (account, settings) = (step.account.as_str(), step.settings);
        let instrument = settings.instruments.get(account, symbol.as_str());
        Some(Self {
            settings: &settings.drift,
            rules: settings.drift_rules.get(account, symbol.as_str()),
            instrument,
            is_counted: settings.drift.is_counted(instrument.unit_of(symbol.as_str())),
            market: market(key),
            symbol,
        })
    }
}

impl Criteria<'_> {
    /// abs(price) x abs(quantity) x multiplier in the account's currency; none without a rate. A value
    /// out of range saturates.
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

    /// The size of a difference of quantities between two positions, at `price` if one is known.
    pub(super) fn size(
        &self,
        quantity: Decimal,
        (a, b): (Decimal, Decimal),
        price: Option<Decimal>,
    ) -> DriftSize {
        let value = price.and_then(|price| self.value(price, quantity));
        DriftSize { quantity, value, position: a.abs().max(b.abs()) }
    }

    /// The severity of a difference of quantities, by quantity, value and fraction of the position.
    pub(super) fn of_size(&self, size: &DriftSize, drift_type: DriftType) -> Option<Judged> {
        let quantity = size.quantity.abs();
        let by_quantity =
            || reached(&self.rules.quantity, SeverityTest::Quantity, |bound| quantity >= *bound);
        let by_fraction = self.rules.relative.as_ref().and_then(|relative| {
            // Multiplied, not divided: a bound of a third must be met exactly.
            reached(relative, SeverityTest::Relative, |bound| {
                quantity >= bound.saturating_mul(size.position)
            })
        });
        let value_unknown = || (unvalued_at_least(drift_type), SeverityTest::ValueUnknown);
        highest([
            self.is_counted.then(by_quantity).flatten(),
            self.by_value(size.value),
            by_fraction,
            size.value.is_none().then(value_unknown),
        ])
    }

    /// Whether two quantities agree: but for dust, or within the tolerance for `drift_type`.
    pub(super) fn tolerates(
        &self,
        a: Decimal,
        b: Decimal,
        drift_type: DriftType,
        price: Option<Decimal>,
    ) -> bool {
        let size = || self.size(a.saturating_sub(b), (a, b), price);
        agree(a, b) || self.of_size(&size(), drift_type).is_none()
    }

    /// The severity of a difference of average prices. It is capped, because a wrong average is wrong
    /// bookkeeping, not a wrong position.
    pub(super) fn of_price(&self, value: Option<Decimal>) -> Option<Judged> {
        let unknown = (unvalued_at_least(DriftType::PriceMismatch), SeverityTest::ValueUnknown);
        let judged = if value.is_some() { self.by_value(value) } else { Some(unknown) };
        judged.map(|(severity, test)| (severity.min(self.rules.price_mismatch_max), test))
    }

    /// The severity of a difference of that value.
    pub(super) fn by_value(&self, value: Option<Decimal>) -> Option<Judged> {
        let value = value?;
        reached(&self.rules.value, SeverityTest::Value, |bound| value >= *bound)
    }
}

/// The least severity of a difference without a known value. A position that only one side knows of
/// is not harmless just because it has no price.
const fn unvalued_at_least(drift_type: DriftType) -> Severity {
    match drift_type {
        DriftType::UnknownPosition | DriftType::GhostPosition => Severity::Moderate,
        DriftType::QuantityMismatch | DriftType::PriceMismatch => Severity::Minor,
    }
}

/// The highest severity whose bound is met.
fn reached(
    bounds: &PerSeverity<Decimal>,
    test: SeverityTest,
    is_met: impl Fn(&Decimal) -> bool,
) -> Option<Judged> {
    let severity = Severity::ALL.into_iter().rev().find(|severity| is_met(bounds.get(*severity)));
    severity.map(|severity| (severity, test))
}
