//! The faults of the demo: five differences between the engine's book and the broker's.
//!
//! Invariants: every type and every severity of drift occurs; each severity follows from the default
//! thresholds (quantity 1 / 5 / 10, value 10 / 100 / 500). The recording does not trade these symbols,
//! so no fill in flight can explain a difference, except the one fill that the engine loses.

use crate::domain::drift::DriftType;
use crate::domain::settings::Severity;
use crate::domain::units::Decimal;

use crate::demo::book::DemoPosition;

/// A fault: a change of the broker's position, and the error that the engine's book has from then on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DemoFault {
    pub(crate) symbol: &'static str,
    /// The type of drift that the exporter must detect.
    pub(crate) drift: DriftType,
    /// The severity that the exporter must compute.
    pub(crate) severity: Severity,
    /// A sentence about the cause, for people.
    pub(crate) story: &'static str,
    /// Position at the start, on both sides.
    pub(crate) held: i64,
    /// Change of the broker's position when the fault begins.
    pub(crate) broker_change: i64,
    /// The engine's quantity minus the broker's, from then on.
    pub(crate) local_offset: i64,
    /// Price of the instrument, in cents.
    pub(crate) price_cents: i64,
    /// The engine's average price minus the broker's, in cents.
    pub(crate) average_offset_cents: i64,
}

impl DemoFault {
    /// The position at the start.
    #[must_use]
    pub(crate) fn holding(&self) -> DemoPosition {
        DemoPosition { quantity: self.held.into(), average: self.price(), price: self.price() }
    }

    /// Whether the exporter sends a reconcile directive, instead of leaving the drift to a person.
    #[must_use]
    pub(crate) fn is_reconciled(&self) -> bool {
        self.severity == Severity::Minor && self.drift != DriftType::UnknownPosition
    }

    #[must_use]
    pub(crate) fn price(&self) -> Decimal {
        Decimal::new(self.price_cents, 2)
    }
}

/// The small faults, injected together: two are reconciled automatically, two are left to a person.
pub(crate) const SMALL: [DemoFault; 4] = [
    DemoFault {
        symbol: "F.XNYS",
        drift: DriftType::QuantityMismatch,
        severity: Severity::Minor,
        story: "the engine lost 2 of its 300 shares in a restart",
        held: 300,
        broker_change: 0,
        local_offset: -2,
        price_cents: 1_120,
        average_offset_cents: 0,
    },
    DemoFault {
        symbol: "T.XNYS",
        drift: DriftType::GhostPosition,
        severity: Severity::Minor,
        story: "the engine missed the sale of its last 3 shares",
        held: 3,
        broker_change: -3,
        local_offset: 3,
        price_cents: 2_010,
        average_offset_cents: 0,
    },
    DemoFault {
        symbol: "KO.XNYS",
        drift: DriftType::PriceMismatch,
        severity: Severity::Moderate,
        story: "the engine left a fee out of its average price",
        held: 100,
        broker_change: 0,
        local_offset: 0,
        price_cents: 6_210,
        average_offset_cents: -150,
    },
    DemoFault {
        symbol: "PFE.XNYS",
        drift: DriftType::UnknownPosition,
        severity: Severity::Moderate,
        story: "somebody bought 6 shares manually, at the broker",
        held: 0,
        broker_change: 6,
        local_offset: -6,
        price_cents: 2_800,
        average_offset_cents: 0,
    },
];

/// The large fault: the engine reports a fill and does not book it.
pub(crate) const LARGE: DemoFault = DemoFault {
    symbol: "MSFT.XNAS",
    drift: DriftType::QuantityMismatch,
    severity: Severity::Critical,
    story: "the engine reports a fill of 12 shares and does not book it",
    held: 40,
    broker_change: 12,
    local_offset: -12,
    price_cents: 41_500,
    average_offset_cents: 0,
};

/// All faults: the small ones, then the large one.
pub(crate) fn all() -> impl Iterator<Item = &'static DemoFault> {
    SMALL.iter().chain(std::iter::once(&LARGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settings::DriftRules;

    #[test]
    fn every_type_and_every_severity_of_drift_occurs() {
        for drift in DriftType::ALL {
            assert!(all().any(|f| f.drift == drift), "{drift:?}");
        }
        for severity in Severity::ALL {
            assert!(all().any(|f| f.severity == severity), "{severity:?}");
        }
    }

    #[test]
    fn the_severities_follow_from_the_default_thresholds() {
        let rules = DriftRules::default();
        for fault in all() {
            let quantity = Decimal::from(fault.local_offset.abs());
            let value = quantity * fault.price()
                + Decimal::new(fault.average_offset_cents.abs(), 2) * Decimal::from(fault.held);
            let reached = Severity::ALL.into_iter().rev().find(|severity| {
                quantity >= *rules.quantity.get(*severity) || value >= *rules.value.get(*severity)
            });
            assert_eq!(reached, Some(fault.severity), "{}", fault.symbol);
        }
    }
}
