//! The result of one comparison of two books, as a value.
//!
//! Deliberately absent: how it is reached (see `classify`) and what follows (see `confirm`).

use serde::{Deserialize, Serialize};

use super::align::Explained;
use super::snapshot::SnapshotTime;
use super::view::{Attribution, DriftType, LedgerBasis, SeverityTest};
use crate::domain::settings::Severity;
use crate::domain::units::{Decimal, exact};

/// A difference that an operator accepted (`adopt: "local"`). Later differences are measured from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AcceptedOffset {
    /// local - broker, in units of the instrument.
    #[serde(with = "exact")]
    pub(super) quantity: Decimal,
    /// local - broker, of the average prices.
    #[serde(with = "exact")]
    pub(super) price: Decimal,
}

/// The size of a difference, by each test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DriftSize {
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

/// The result of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each one field of the answer"
)]
pub(super) struct Comparison {
    pub(super) drift_type: DriftType,
    /// None: equal, or within tolerance.
    pub(super) severity: Option<Severity>,
    pub(super) decided_by: Option<SeverityTest>,
    /// The severity by value alone.
    pub(super) by_value: Option<Severity>,
    pub(super) size: DriftSize,
    /// The sign of local - broker: of the quantities, or for a price mismatch of the averages.
    pub(super) direction: i8,
    /// Aligned, less the accepted offset.
    #[serde(with = "exact")]
    pub(super) local_quantity: Decimal,
    /// Aligned.
    #[serde(with = "exact")]
    pub(super) broker_quantity: Decimal,
    /// The ledger without the lists compared, as of the same time.
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
    /// The explanation of the difference, if there is one.
    pub(super) explained: Explained,
    /// Whether every flow that the comparison needed is still held.
    pub(super) is_complete: bool,
    pub(super) local_at: SnapshotTime,
    pub(super) broker_at: SnapshotTime,
}

impl Comparison {
    /// Whether the books differ at all, even within tolerance.
    pub(super) const fn differs(&self) -> bool {
        self.direction != 0
    }

    /// Whether average prices differ, not quantities.
    pub(super) fn is_price(&self) -> bool {
        self.drift_type == DriftType::PriceMismatch
    }

    /// Whether only one side knows of the position.
    pub(super) fn is_one_sided(&self) -> bool {
        matches!(self.drift_type, DriftType::GhostPosition | DriftType::UnknownPosition)
    }

    /// Whether the books differ by an unknown value.
    pub(super) const fn is_unvalued(&self) -> bool {
        self.differs() && self.size.value.is_none()
    }
}
