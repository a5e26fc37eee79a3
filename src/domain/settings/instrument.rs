//! What is known of an instrument.

use crate::domain::ids::Currency;
use crate::domain::units::Decimal;

/// What is known of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The currency of its prices.
    pub currency: Currency,
    /// Units of the currency for one point and one unit: 50 for ES, 100 for an equity option.
    pub multiplier: Decimal,
    /// A fixed rate from `currency` to the account's currency, if it is another.
    pub rate: Rate,
}

/// How an instrument's currency becomes the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// It is the account's currency.
    Same,
    /// At a fixed rate: one unit is this much of the account's currency.
    Fixed(Decimal),
    /// Not known: value tests are skipped, and the drift says `currency_unknown`.
    Unknown,
}

impl Default for Instrument {
    fn default() -> Self {
        Self { currency: Currency::usd(), multiplier: Decimal::ONE, rate: Rate::Same }
    }
}
