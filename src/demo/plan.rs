//! What goes wrong in the demo: five differences between the engine's book and the broker's.
//!
//! Invariants: every type of drift occurs, and every severity; each severity follows from the
//! default thresholds (quantity 1 / 5 / 10, value 10 / 100 / 500). The symbols are held since
//! before the session and are not traded by the recording, so no fill in flight can explain a
//! difference, but for the one that the engine loses.

use crate::domain::drift::DriftType;
use crate::domain::settings::Severity;
use crate::domain::units::Decimal;

use crate::demo::book::Holding;

/// One difference: how the broker's position changes, and how the engine's book misses it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The instrument.
    pub symbol: &'static str,
    /// What the exporter must make of it.
    pub drift: DriftType,
    /// How severe it must be.
    pub severity: Severity,
    /// What happened, for people.
    pub story: &'static str,
    /// Position at the start, on both sides.
    pub held: i64,
    /// How much the broker's position changes when it goes wrong.
    pub broker_change: i64,
    /// How much the engine's book is off the broker's from then on.
    pub local_offset: i64,
    /// Price of the instrument, in cents.
    pub price_cents: i64,
    /// How much the engine's average price is off the broker's, in cents.
    pub average_offset_cents: i64,
}

impl Fault {
    /// The position at the start.
    #[must_use]
    pub fn holding(&self) -> Holding {
        Holding { quantity: self.held.into(), average: self.price(), price: self.price() }
    }

    /// Whether the exporter has the engine set it right, without a person.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.severity == Severity::Minor && self.drift != DriftType::UnknownPosition
    }

    /// The price of the instrument.
    #[must_use]
    pub fn price(&self) -> Decimal {
        Decimal::new(self.price_cents, 2)
    }
}

/// The small differences, all at once: two are set right automatically, two are for a person.
pub const SMALL: [Fault; 4] = [
    Fault {
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
    Fault {
        symbol: "T.XNYS",
        drift: DriftType::GhostPosition,
        severity: Severity::Minor,
        story: "the engine never heard that its last 3 shares were sold",
        held: 3,
        broker_change: -3,
        local_offset: 3,
        price_cents: 2_010,
        average_offset_cents: 0,
    },
    Fault {
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
    Fault {
        symbol: "PFE.XNYS",
        drift: DriftType::UnknownPosition,
        severity: Severity::Moderate,
        story: "somebody bought 6 shares by hand, at the broker",
        held: 0,
        broker_change: 6,
        local_offset: -6,
        price_cents: 2_800,
        average_offset_cents: 0,
    },
];

/// The large one: a fill that the engine reports and then forgets to book.
pub const LARGE: Fault = Fault {
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

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    SMALL.iter().chain(std::iter::once(&LARGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settings::DriftRules;

    #[test]
    fn every_type_and_every_severity_occurs() {
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
