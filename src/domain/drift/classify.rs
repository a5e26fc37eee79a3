//! What one comparison of two books says: the type of the difference, its size, its severity.
//!
//! Input: the aligned pair, the ledger, accepted offsets, the rules of the symbol. Output: a
//! [`Reading`], a plain value. Invariants: bounds are inclusive and compared as exact decimals;
//! what cannot be valued is not valued, and says so. Deliberately absent: memory of earlier
//! comparisons (see `confirm`).

use serde::{Deserialize, Serialize};

use super::align::{Aligned, Explained, Pair};
use super::flows::Flows;
use super::ledger::Ledger;
use super::snapshot::SnapshotTime;
use super::{Attribution, DriftType, Market};
use crate::domain::settings::{
    DriftRules, DriftSettings, InFlightSettings, Instrument, PerSeverity, Rate, Severity,
};
use crate::domain::units::{Decimal, Price, exact};

/// What a symbol is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) settings: &'a DriftSettings,
    pub(super) rules: &'a DriftRules,
    pub(super) instrument: &'a Instrument,
    pub(super) market: Market,
}

/// A difference that somebody accepted (`adopt: "local"`): later ones are measured from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offset {
    /// local - broker, in units of the instrument.
    #[serde(with = "exact")]
    pub(super) quantity: Decimal,
    /// local - broker, of the average prices.
    #[serde(with = "exact")]
    pub(super) price: Decimal,
}

/// How large a difference is, by each test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Size {
    /// local - broker, signed; 0 for a price mismatch.
    #[serde(with = "exact")]
    pub(super) quantity: Decimal,
    /// Absolute value in the account's currency; none: not known.
    #[serde(with = "exact")]
    pub(super) value: Option<Decimal>,
    /// The larger of the two positions, for the relative test.
    #[serde(with = "exact")]
    pub(super) position: Decimal,
}

/// What one comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent remarks, each shown by itself")]
pub(super) struct Reading {
    /// How the books differ, if they do.
    pub(super) drift_type: DriftType,
    /// None: equal, or within tolerance.
    pub(super) severity: Option<Severity>,
    /// How large the difference is.
    pub(super) size: Size,
    /// -1, 0 or 1: which side has more (of the quantity, else of the average price).
    pub(super) direction: i8,
    /// Aligned, less the accepted offset.
    #[serde(with = "exact")]
    pub(super) local_quantity: Decimal,
    /// Aligned.
    #[serde(with = "exact")]
    pub(super) broker_quantity: Decimal,
    /// As of the same time.
    #[serde(with = "exact")]
    pub(super) ledger_quantity: Decimal,
    #[serde(with = "exact")]
    pub(super) local_price: Option<Decimal>,
    #[serde(with = "exact")]
    pub(super) broker_price: Option<Decimal>,
    /// The price of the value test.
    #[serde(with = "exact")]
    pub(super) price: Option<Decimal>,
    pub(super) price_unknown: bool,
    pub(super) currency_unknown: bool,
    pub(super) ledger_stands_in: bool,
    pub(super) attribution: Attribution,
    /// Whether average prices could be judged at all.
    pub(super) prices_judged: bool,
    /// What explains the difference, if anything does.
    pub(super) explained: Explained,
    /// Whether every flow that this needed is still held.
    pub(super) is_complete: bool,
    /// Snapshots that were compared.
    pub(super) local_at: SnapshotTime,
    pub(super) broker_at: SnapshotTime,
}

/// Compares the two books of a pair.
pub(super) fn measure(
    pair: &Pair,
    ledger: &Ledger,
    flows: &Flows,
    offset: Offset,
    terms: &Terms<'_>,
) -> Reading {
    let in_flight = &terms.settings.in_flight;
    let aligned = pair.align(flows, in_flight);
    let local = aligned.local.saturating_sub(offset.quantity).normalize();
    let broker = aligned.broker.normalize();
    let difference = local.saturating_sub(broker).normalize();
    let prices = judge_prices(pair, &aligned, flows, in_flight, offset);
    let mid = terms.market.mid.map(Price::get);
    let (local_price, broker_price) = (pair.local.average, pair.broker.average);
    let price = pair.broker.market.or(mid).or(broker_price).or(local_price);
    let is_price = difference.is_zero();
    let (value, severity, direction) = if is_price {
        let gap = prices.gap(terms.rules);
        let value = terms.value(gap.abs(), local);
        (value, price_severity(terms.rules, gap, value), sign(gap))
    } else {
        let value = price.and_then(|price| terms.value(price, difference));
        let size = Size { quantity: difference, value, position: larger(local, broker) };
        (value, quantity_severity(terms.rules, size, local, broker), sign(difference))
    };
    let explained = match severity {
        None => Explained::not_needed(),
        Some(_) if is_price => Explained::default(),
        Some(_) => {
            let difference = pair.local.quantity.saturating_sub(offset.quantity);
            let difference = difference.saturating_sub(pair.broker.quantity);
            let is_tolerated = |left: Decimal| {
                let value = price.and_then(|price| terms.value(price, left));
                let size = Size { quantity: left, value, position: larger(local, broker) };
                quantity_severity(terms.rules, size, local, broker).is_none()
            };
            pair.explain(difference, flows, &terms.market, in_flight, is_tolerated)
        }
    };
    let drift_type = type_of(local, broker, is_price);
    let ledger_quantity = ledger.at(aligned.time, flows).normalize();
    Reading {
        drift_type,
        severity,
        size: Size { quantity: difference, value, position: larger(local, broker) },
        direction,
        local_quantity: local,
        broker_quantity: broker,
        ledger_quantity,
        local_price,
        broker_price,
        price,
        price_unknown: price.is_none() && !is_price,
        currency_unknown: terms.instrument.rate == Rate::Unknown,
        ledger_stands_in: pair.ledger_stands_in,
        attribution: attribute(terms, drift_type, price, [ledger_quantity, local, broker]),
        prices_judged: prices != Prices::Unjudged,
        explained,
        is_complete: aligned.is_complete,
        local_at: pair.local.at,
        broker_at: pair.broker.at,
    }
}

impl Reading {
    /// Whether the books differ at all, be it within tolerance.
    pub(super) const fn differs(&self) -> bool {
        self.direction != 0
    }

    /// Whether this is about average prices.
    pub(super) fn is_price(&self) -> bool {
        self.drift_type == DriftType::PriceMismatch
    }
}

impl Terms<'_> {
    /// abs(price) x abs(quantity) x multiplier in the account's currency; none without a rate.
    /// What leaves the range is as large as can be held.
    fn value(&self, price: Decimal, quantity: Decimal) -> Option<Decimal> {
        let rate = match self.instrument.rate {
            Rate::Same => Decimal::ONE,
            Rate::Fixed(rate) => rate,
            Rate::Unknown => return None,
        };
        let amount = quantity.abs().saturating_mul(price.abs());
        let amount = amount.saturating_mul(self.instrument.multiplier.abs());
        Some(amount.saturating_mul(rate.abs()).normalize())
    }
}

/// What the average prices say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prices {
    /// Nothing: quantities differ, an average is missing, or fills moved or may move one side.
    Unjudged,
    /// Nobody holds anything, so there is no average to differ.
    BothFlat,
    /// local - broker (less the accepted difference), and the broker's average.
    Compared { gap: Decimal, broker: Decimal },
}

/// A price mismatch is judged only when quantities are equal, both averages are given, no fill
/// was used to align and nothing is pending.
fn judge_prices(
    pair: &Pair,
    aligned: &Aligned,
    flows: &Flows,
    in_flight: &InFlightSettings,
    offset: Offset,
) -> Prices {
    if aligned.local != aligned.broker || !offset.quantity.is_zero() || aligned.flows_used > 0 {
        return Prices::Unjudged;
    }
    if aligned.local.is_zero() {
        return Prices::BothFlat;
    }
    match (pair.local.average, pair.broker.average) {
        _ if !pair.is_quiet(flows, in_flight) => Prices::Unjudged,
        (Some(local), Some(broker)) => Prices::Compared {
            gap: local.saturating_sub(broker).saturating_sub(offset.price),
            broker,
        },
        (None, _) | (_, None) => Prices::Unjudged,
    }
}

impl Prices {
    /// The difference of the averages; 0 when they agree, or cannot be judged.
    fn gap(self, rules: &DriftRules) -> Decimal {
        let Self::Compared { gap, broker } = self else { return Decimal::ZERO };
        let allowed = broker.abs().saturating_mul(rules.price_tolerance_bps);
        let agrees = gap.abs().saturating_mul(Decimal::from(10_000)) <= allowed;
        if agrees { Decimal::ZERO } else { gap }
    }
}

fn type_of(local: Decimal, broker: Decimal, is_price: bool) -> DriftType {
    match (local.is_zero(), broker.is_zero()) {
        _ if is_price => DriftType::PriceMismatch,
        (true, _) => DriftType::UnknownPosition,
        (false, true) => DriftType::GhostPosition,
        (false, false) => DriftType::QuantityMismatch,
    }
}

fn quantity_severity(
    rules: &DriftRules,
    size: Size,
    local: Decimal,
    broker: Decimal,
) -> Option<Severity> {
    let is_flip = !local.is_zero() && !broker.is_zero() && sign(local) != sign(broker);
    severity_of(rules, size).max(is_flip.then_some(Severity::Moderate))
}

fn price_severity(rules: &DriftRules, gap: Decimal, value: Option<Decimal>) -> Option<Severity> {
    if gap.is_zero() {
        return None;
    }
    let severity = value.and_then(|value| reached(&rules.value, |bound| value >= *bound));
    severity.map(|severity| severity.min(rules.price_mismatch_max))
}

/// The highest of the tests by quantity, by value and by fraction of the position.
pub(super) fn severity_of(rules: &DriftRules, size: Size) -> Option<Severity> {
    let quantity = size.quantity.abs();
    let by_quantity = reached(&rules.quantity, |bound| quantity >= *bound);
    let by_value = size.value.and_then(|value| reached(&rules.value, |bound| value >= *bound));
    let by_fraction = rules.relative.as_ref().and_then(|relative| {
        // Multiplied, not divided: a bound of a third must be met exactly.
        reached(relative, |bound| quantity >= bound.saturating_mul(size.position))
    });
    by_quantity.max(by_value).max(by_fraction)
}

/// The highest severity whose bound is met.
fn reached(bounds: &PerSeverity<Decimal>, is_met: impl Fn(&Decimal) -> bool) -> Option<Severity> {
    Severity::ALL.into_iter().rev().find(|severity| is_met(bounds.get(*severity)))
}

/// Which side the ledger agrees with, within tolerance. Quantities that agree say nothing of
/// average prices.
fn attribute(
    terms: &Terms<'_>,
    drift_type: DriftType,
    price: Option<Decimal>,
    [ledger, local, broker]: [Decimal; 3],
) -> Attribution {
    let agrees_with = |other: Decimal| {
        let quantity = ledger.saturating_sub(other);
        let value = price.and_then(|price| terms.value(price, quantity));
        let size = Size { quantity, value, position: larger(ledger, other) };
        quantity.is_zero() || severity_of(terms.rules, size).is_none()
    };
    if drift_type == DriftType::PriceMismatch {
        Attribution::Unexplained
    } else if agrees_with(broker) {
        Attribution::EngineMissedFill
    } else if agrees_with(local) {
        Attribution::ExternalOrUnreportedTrade
    } else {
        Attribution::Unexplained
    }
}

fn larger(a: Decimal, b: Decimal) -> Decimal {
    a.abs().max(b.abs())
}

fn sign(value: Decimal) -> i8 {
    match value.is_zero() {
        true => 0,
        false if value.is_sign_negative() => -1,
        false => 1,
    }
}
