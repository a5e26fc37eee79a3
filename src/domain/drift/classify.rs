//! What one comparison of two books says: the type of the difference, its size, its severity.
//!
//! Input: the aligned pair, the line of the symbol, accepted offsets, the rules of the symbol.
//! Output: a [`Reading`], a plain value. Invariants: quantities that differ by dust are equal; what
//! cannot be valued is not valued, and says so. Deliberately absent: the tests (see `judge`), memory
//! of earlier comparisons (see `confirm`).

use serde::{Deserialize, Serialize};

use super::align::{Aligned, ByFills, Explained, Pair};
use super::books::Line;
use super::flows::Flows;
use super::judge::{Terms, Test, highest};
use super::ledger::Witness;
use super::snapshot::{Book, SnapshotTime};
use super::value::Prices as Known;
use super::{Attribution, DriftType, LedgerBasis};
use crate::domain::settings::{DriftRules, InFlightSettings, Rate, Severity};
use crate::domain::units::{Decimal, Price, agree, exact, is_flat};

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
    /// The test that gave it.
    pub(super) decided_by: Option<Test>,
    /// The severity by value alone.
    pub(super) by_value: Option<Severity>,
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
    /// The ledger as it stood before the lists compared, as of the same time.
    #[serde(with = "exact")]
    pub(super) ledger_quantity: Decimal,
    pub(super) ledger_basis: LedgerBasis,
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
pub(super) fn measure(pair: &Pair, line: &Line, offset: Offset, terms: &Terms<'_>) -> Reading {
    let aligned = pair.align(&line.flows, &terms.settings.in_flight);
    let local = aligned.local.saturating_sub(offset.quantity).normalize();
    let broker = aligned.broker.normalize();
    let is_price = agree(local, broker);
    let difference =
        if is_price { Decimal::ZERO } else { local.saturating_sub(broker).normalize() };
    let averages = judge_averages(pair, &aligned, &line.flows, &terms.settings.in_flight, offset);
    let price = known_prices(pair, line, terms).best();
    let drift_type = type_of(local, broker, is_price);
    let gap = averages.gap(terms.rules);
    let value = if is_price {
        terms.value(gap, local)
    } else {
        price.and_then(|price| terms.value(price, difference))
    };
    let size = Size { quantity: difference, value, position: larger(local, broker) };
    let judged = match (is_price, gap.is_zero()) {
        (true, true) => None,
        (true, false) => terms.of_price(value),
        (false, _) => highest([flip(local, broker), terms.of_size(&size, drift_type)]),
    };
    let by_value = terms.by_value(value).filter(|_| judged.is_some());
    let explained = match judged {
        None => Explained::not_needed(),
        Some(_) if is_price => Explained::default(),
        Some(_) => explain(pair, line, offset, (terms, drift_type, price, [local, broker])),
    };
    let ledger = line.ledger.witness(pair, aligned.time, &line.flows);
    let as_of = || attribute_as_of(pair, line, terms, drift_type, price);
    let attribution = attribute(terms, drift_type, price, (ledger, local, broker), as_of);
    Reading {
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
        currency_unknown: terms.instrument.rate == Rate::Unknown,
        ledger_stands_in: pair.ledger_stands_in,
        attribution,
        prices_judged: averages != Averages::Unjudged,
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

    /// Whether one side alone knows of the position.
    pub(super) fn is_one_sided(&self) -> bool {
        matches!(self.drift_type, DriftType::GhostPosition | DriftType::UnknownPosition)
    }

    /// Whether the books differ and nobody can tell what that is worth.
    pub(super) const fn is_unvalued(&self) -> bool {
        self.differs() && self.size.value.is_none()
    }
}

/// What explains that quantities differ.
fn explain(
    pair: &Pair,
    line: &Line,
    offset: Offset,
    (terms, drift_type, price, [local, broker]): (
        &Terms<'_>,
        DriftType,
        Option<Decimal>,
        [Decimal; 2],
    ),
) -> Explained {
    let difference = pair.local.quantity.saturating_sub(offset.quantity);
    let difference = difference.saturating_sub(pair.broker.quantity);
    let is_flip = flip(local, broker).is_some();
    let is_tolerated = |left: Decimal| {
        let value = price.and_then(|price| terms.value(price, left));
        let size = Size { quantity: left, value, position: larger(local, broker) };
        agree(broker.saturating_add(left), broker)
            || (!is_flip && terms.of_size(&size, drift_type).is_none())
    };
    pair.explain(difference, &line.flows, &terms.market, &terms.settings.in_flight, is_tolerated)
}

/// Every price that is known of a symbol.
fn known_prices(pair: &Pair, line: &Line, terms: &Terms<'_>) -> Known {
    let market = &terms.market;
    Known {
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

/// What the average prices say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Averages {
    /// Nothing: quantities differ, an average is missing, or fills moved or may move one side.
    Unjudged,
    /// Nobody holds anything, so there is no average to differ.
    BothFlat,
    /// local - broker (less the accepted difference), and the broker's average.
    Compared { gap: Decimal, broker: Decimal },
}

/// A price mismatch is judged only when quantities are equal, both averages are given, no fill
/// was used to align and nothing is pending.
fn judge_averages(
    pair: &Pair,
    aligned: &Aligned,
    flows: &Flows,
    in_flight: &InFlightSettings,
    offset: Offset,
) -> Averages {
    let is_equal = agree(aligned.local, aligned.broker) && offset.quantity.is_zero();
    if !is_equal || aligned.flows_used > 0 {
        return Averages::Unjudged;
    }
    if is_flat(aligned.local) {
        return Averages::BothFlat;
    }
    match (pair.local.average, pair.broker.average) {
        _ if !pair.is_quiet(flows, in_flight) => Averages::Unjudged,
        (Some(local), Some(broker)) => Averages::Compared {
            gap: local.saturating_sub(broker).saturating_sub(offset.price),
            broker,
        },
        (None, _) | (_, None) => Averages::Unjudged,
    }
}

impl Averages {
    /// The difference of the averages; 0 when they agree, or cannot be judged.
    fn gap(self, rules: &DriftRules) -> Decimal {
        let Self::Compared { gap, broker } = self else { return Decimal::ZERO };
        let allowed = broker.abs().saturating_mul(rules.price_tolerance_bps);
        let agrees = gap.abs().saturating_mul(Decimal::from(10_000)) <= allowed;
        if agrees { Decimal::ZERO } else { gap }
    }
}

fn type_of(local: Decimal, broker: Decimal, is_price: bool) -> DriftType {
    match (is_flat(local), is_flat(broker)) {
        _ if is_price => DriftType::PriceMismatch,
        (true, _) => DriftType::UnknownPosition,
        (false, true) => DriftType::GhostPosition,
        (false, false) => DriftType::QuantityMismatch,
    }
}

/// Long on one side, short on the other.
fn flip(local: Decimal, broker: Decimal) -> Option<(Severity, Test)> {
    let is_flip = !is_flat(local) && !is_flat(broker) && sign(local) != sign(broker);
    is_flip.then_some((Severity::Moderate, Test::SignFlip))
}

/// Which side the ledger agrees with, within tolerance, and of two the nearer one. Quantities that
/// agree say nothing of average prices.
fn attribute(
    terms: &Terms<'_>,
    drift_type: DriftType,
    price: Option<Decimal>,
    (ledger, local, broker): (Witness, Decimal, Decimal),
    as_of: impl FnOnce() -> Attribution,
) -> Attribution {
    if drift_type == DriftType::PriceMismatch {
        return Attribution::Unexplained;
    }
    // How far the ledger is from a side that it agrees with.
    let distance = |other: Decimal| {
        let quantity = ledger.quantity.saturating_sub(other);
        let value = price.and_then(|price| terms.value(price, quantity));
        let size = Size { quantity, value, position: larger(ledger.quantity, other) };
        let agrees = agree(ledger.quantity, other)
            || terms.of_size(&size, DriftType::QuantityMismatch).is_none();
        agrees.then_some(quantity.abs())
    };
    match (distance(local), distance(broker)) {
        (Some(_), None) => Attribution::ExternalOrUnreportedTrade,
        (None, Some(_)) => Attribution::EngineMissedFill,
        (Some(local), Some(broker)) if local < broker => Attribution::ExternalOrUnreportedTrade,
        (Some(local), Some(broker)) if broker < local => Attribution::EngineMissedFill,
        (Some(_), Some(_)) => Attribution::Unexplained,
        (None, None) => as_of(),
    }
}

/// The same where the ledger agrees with neither side: the broker's list may lag behind it by what
/// is in flight.
fn attribute_as_of(
    pair: &Pair,
    line: &Line,
    terms: &Terms<'_>,
    drift_type: DriftType,
    price: Option<Decimal>,
) -> Attribution {
    let ledger = line.ledger.witness(pair, pair.broker.at.time, &line.flows).quantity;
    let local = Book { quantity: ledger, average: None, market: None, at: pair.broker.at };
    let pair = Pair { local, ledger_stands_in: true, is_adopted: false, ..*pair };
    let quantities = [ledger, pair.broker.quantity];
    let explained = explain(&pair, line, Offset::default(), (terms, drift_type, price, quantities));
    match explained.by_fills {
        ByFills::Recent(_) => Attribution::EngineMissedFill,
        ByFills::Slow(_) | ByFills::Never => Attribution::Unexplained,
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
