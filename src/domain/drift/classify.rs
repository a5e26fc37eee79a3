//! The comparison of two books: the type of the difference, its size, its severity.
//!
//! Input: the aligned pair, the books of the symbol, accepted offsets, the criteria of the symbol.
//! Output: a [`Comparison`], a plain value. Invariants: quantities that differ by dust are equal; a
//! difference that cannot be valued has no value, and is marked so. Deliberately absent: the tests
//! (see `severity`), memory of earlier comparisons (see `confirm`).

use super::align::{AlignedBooks, BookPair, ByFills, Explained};
use super::books::SymbolBooks;
use super::comparison::{AcceptedOffset, Comparison};
use super::flows::Flows;
use super::ledger::LedgerBalance;
use super::prices::KnownPrices;
use super::severity::{Criteria, highest};
use super::snapshot::Book;
use super::view::{Attribution, DriftType, SeverityTest};
use crate::domain::settings::{DriftRules, InFlightSettings, Rate, Severity};
use crate::domain::units::{Decimal, Price, agree, is_flat};

/// Compares the two books of a pair.
pub(super) fn measure(
    pair: &BookPair,
    line: &SymbolBooks,
    offset: AcceptedOffset,
    criteria: &Criteria<'_>,
) -> Comparison {
    let in_flight = &criteria.settings.in_flight;
    let aligned = pair.align(&line.flows, in_flight);
    let local = aligned.local.saturating_sub(offset.quantity).normalize();
    let broker = aligned.broker.normalize();
    let drift_type = type_of(local, broker);
    let is_price = drift_type == DriftType::PriceMismatch;
    let difference =
        if is_price { Decimal::ZERO } else { local.saturating_sub(broker).normalize() };
    let averages = compare_averages(pair, &aligned, &line.flows, in_flight, offset);
    let gap = averages.gap(criteria.rules);
    let price = known_prices(pair, line, criteria).best();
    let mut size = criteria.size(difference, (local, broker), price);
    if is_price {
        size.value = criteria.value(gap, local);
    }
    let judged = match (is_price, gap.is_zero()) {
        (true, true) => None,
        (true, false) => criteria.of_price(size.value),
        (false, _) => highest([flip(local, broker), criteria.of_size(&size, drift_type)]),
    };
    let by_value = criteria.by_value(size.value).filter(|_| judged.is_some());
    let difference_of = Difference { pair, line, criteria, drift_type, price };
    let explained = match judged {
        None => Explained::not_needed(),
        Some(_) if is_price => Explained::default(),
        Some(_) => difference_of.explain(offset, local, broker),
    };
    let ledger = line.ledger.balance(pair, aligned.time, &line.flows);
    Comparison {
        drift_type,
        severity: judged.map(|(severity, _)| severity),
        decided_by: judged.map(|(_, test)| test),
        by_value: by_value.map(|(severity, _)| severity),
        size,
        direction: sign(if is_price { gap } else { difference }),
        local_quantity: local,
        broker_quantity: broker,
        ledger_quantity: ledger.quantity,
        ledger_basis: ledger.basis,
        local_price: pair.local.average,
        broker_price: pair.broker.average,
        price,
        price_unknown: price.is_none() && !is_price,
        currency_unknown: criteria.instrument.rate == Rate::Unknown,
        ledger_stands_in: pair.ledger_stands_in,
        attribution: difference_of.attribute(ledger, local, broker),
        prices_judged: averages != AverageComparison::Unjudged,
        explained,
        is_complete: aligned.is_complete,
        local_at: pair.local.at,
        broker_at: pair.broker.at,
    }
}

/// A difference of two books, and the values that explain it or attribute it to a side.
#[derive(Clone, Copy)]
struct Difference<'a> {
    pair: &'a BookPair,
    line: &'a SymbolBooks,
    criteria: &'a Criteria<'a>,
    drift_type: DriftType,
    price: Option<Decimal>,
}

impl Difference<'_> {
    /// The explanation of a difference of quantities. `local` and `broker` are the aligned quantities.
    fn explain(&self, offset: AcceptedOffset, local: Decimal, broker: Decimal) -> Explained {
        let Self { pair, criteria, .. } = *self;
        let difference = pair.local.quantity.saturating_sub(offset.quantity);
        let difference = difference.saturating_sub(pair.broker.quantity);
        let is_flip = flip(local, broker).is_some();
        let is_tolerated = |left: Decimal| {
            let size = criteria.size(left, (local, broker), self.price);
            agree(broker.saturating_add(left), broker)
                || (!is_flip && criteria.of_size(&size, self.drift_type).is_none())
        };
        let rules = &criteria.settings.in_flight;
        pair.explain(difference, &self.line.flows, &criteria.market, rules, is_tolerated)
    }

    /// The side that the ledger contradicts. Of two sides within tolerance, the ledger agrees with the
    /// nearer one. Nothing is attributed where only average prices differ.
    fn attribute(&self, ledger: LedgerBalance, local: Decimal, broker: Decimal) -> Attribution {
        if self.drift_type == DriftType::PriceMismatch {
            return Attribution::Unexplained;
        }
        // The distance of the ledger from a side that it agrees with.
        let distance = |side: Decimal| {
            let drift_type = DriftType::QuantityMismatch;
            let agrees = self.criteria.tolerates(ledger.quantity, side, drift_type, self.price);
            agrees.then(|| ledger.quantity.saturating_sub(side).abs())
        };
        match (distance(local), distance(broker)) {
            (Some(_), None) => Attribution::ExternalOrUnreportedTrade,
            (None, Some(_)) => Attribution::EngineMissedFill,
            (Some(local), Some(broker)) if local < broker => Attribution::ExternalOrUnreportedTrade,
            (Some(local), Some(broker)) if broker < local => Attribution::EngineMissedFill,
            (Some(_), Some(_)) => Attribution::Unexplained,
            (None, None) => self.attribute_in_flight(),
        }
    }

    /// The attribution where the ledger agrees with neither side: the broker's list may lag behind the
    /// ledger by fills in flight. If those explain it, the engine missed a fill.
    fn attribute_in_flight(&self) -> Attribution {
        let Self { pair, line, .. } = *self;
        let ledger = line.ledger.balance(pair, pair.broker.at.time, &line.flows).quantity;
        let local = Book { quantity: ledger, average: None, market: None, at: pair.broker.at };
        let pair = BookPair { local, ledger_stands_in: true, is_adopted: false, ..*pair };
        let against_ledger = Difference { pair: &pair, ..*self };
        let explained =
            against_ledger.explain(AcceptedOffset::default(), ledger, pair.broker.quantity);
        match explained.by_fills {
            ByFills::Recent(_) => Attribution::EngineMissedFill,
            ByFills::Slow(_) | ByFills::Never => Attribution::Unexplained,
        }
    }
}

/// Every price that is known of a symbol.
fn known_prices(pair: &BookPair, line: &SymbolBooks, criteria: &Criteria<'_>) -> KnownPrices {
    let market = &criteria.market;
    KnownPrices {
        row: pair.broker.market,
        others: [
            market.mid.map(Price::get),
            market.last_fill.map(Price::get),
            pair.broker.average,
            pair.local.average,
        ],
        earlier: line.valued_at,
    }
}

/// The comparison of the average prices of two books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AverageComparison {
    /// Not possible: quantities differ, an average is missing, or fills moved or may move one side.
    Unjudged,
    /// Both sides are flat, so there is no average to differ.
    BothFlat,
    /// local - broker (less the accepted difference), and the broker's average.
    Compared { gap: Decimal, broker: Decimal },
}

/// Average prices are judged only when quantities are equal, both averages are given, no fill was used
/// to align the books, and nothing is pending.
fn compare_averages(
    pair: &BookPair,
    aligned: &AlignedBooks,
    flows: &Flows,
    in_flight: &InFlightSettings,
    offset: AcceptedOffset,
) -> AverageComparison {
    let is_equal = agree(aligned.local, aligned.broker) && offset.quantity.is_zero();
    if !is_equal || aligned.flows_used > 0 {
        return AverageComparison::Unjudged;
    }
    if is_flat(aligned.local) {
        return AverageComparison::BothFlat;
    }
    match pair.local.average.zip(pair.broker.average) {
        Some((local, broker)) if pair.is_quiet(flows, in_flight) => AverageComparison::Compared {
            gap: local.saturating_sub(broker).saturating_sub(offset.price),
            broker,
        },
        Some(_) | None => AverageComparison::Unjudged,
    }
}

impl AverageComparison {
    /// The difference of the averages; 0 when they agree or cannot be judged.
    fn gap(self, rules: &DriftRules) -> Decimal {
        let Self::Compared { gap, broker } = self else { return Decimal::ZERO };
        let allowed = broker.abs().saturating_mul(rules.price_tolerance_bps);
        let agrees = gap.abs().saturating_mul(Decimal::from(10_000)) <= allowed;
        if agrees { Decimal::ZERO } else { gap }
    }
}

/// The type of a difference. Where quantities agree, only prices can differ.
fn type_of(local: Decimal, broker: Decimal) -> DriftType {
    if agree(local, broker) {
        return DriftType::PriceMismatch;
    }
    match (is_flat(local), is_flat(broker)) {
        (true, _) => DriftType::UnknownPosition,
        (false, true) => DriftType::GhostPosition,
        (false, false) => DriftType::QuantityMismatch,
    }
}

/// Long on one side, short on the other.
fn flip(local: Decimal, broker: Decimal) -> Option<(Severity, SeverityTest)> {
    let is_flip = !is_flat(local) && !is_flat(broker) && sign(local) != sign(broker);
    is_flip.then_some((Severity::Moderate, SeverityTest::SignFlip))
}

fn sign(value: Decimal) -> i8 {
    match value.is_zero() {
        true => 0,
        false if value.is_sign_negative() => -1,
        false => 1,
    }
}
