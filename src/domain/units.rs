//! Exact numbers with a meaning: prices, quantities, positions, amounts, sides.
//!
//! Input: decimal text or [`Decimal`] values. Output: newtypes whose constructors check the sign
//! and the range. Invariants: money and quantities are exact decimals; input has at most
//! [`DECIMALS_MAX`] places; `f64` appears only in statistics; only `rounding` rounds input.
//! Deliberately absent: currency conversion (see `settings::Instrument`).

mod text;
mod rounding;
mod short;
mod aligned;
mod dust;
mod exact_total;
pub(crate) mod exact;

pub use aligned::{checked_times, compare, exact_sum, minus, plus, times};
pub use dust::{agree, is_flat};
pub use exact_total::ExactTotal;
pub use rust_decimal::Decimal;
pub use short::{POWERS_OF_TEN, ShortDecimal};
pub use text::{from_digits, parse_decimal, truncated};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
pub use rounding::rounded;

/// The most decimal places that a quantity or a price received may have.
pub const DECIMALS_MAX: u32 = 18;

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not a decimal number (`NaN`, `Infinity`, words).
    #[error("is not a decimal number")]
    NotANumber,
    /// The number has more digits or places than a [`Decimal`] holds exactly.
    #[error("cannot be held exactly: at most {DECIMALS_MAX} decimal places and 28 digits")]
    NotExact,
    /// The number must be greater than zero.
    #[error("must be greater than zero")]
    NotPositive,
}

/// The nearest `f64` of a decimal, for statistics and the exposition.
#[must_use]
pub fn to_f64(value: Decimal) -> f64 {
    // Floats hold a mantissa below 2^53 and a power of ten up to 10^18 exactly, so the division is
    // the only rounding.
    let power = POWERS_OF_TEN.get(value.scale() as usize);
    let mantissa = i64::try_from(value.mantissa()).ok().filter(|m| m.unsigned_abs() < (1 << 53));
    if let Some((mantissa, power)) = mantissa.zip(power) {
        #[expect(clippy::cast_precision_loss, reason = "both conversions are exact, see above")]
        return mantissa as f64 / *power as f64;
    }
    // Rare: with more digits the shortcut would round twice. The parser rounds once.
    let nearest = value.to_string().parse();
    invariant!(nearest.is_ok(), "the text of a decimal is the text of a float");
    nearest.unwrap_or(f64::NAN)
}

/// `part / whole`, rounded to 28 digits and then to the nearest float. None when `whole` is 0.
///
/// Hot path: guarded by benches/instructions. Nearly all operands fit 53 bits on a common scale;
/// then one division of floats rounds the exact quotient once. The result is the same float, except
/// for a quotient within 10^-28 of the midpoint between two floats.
#[must_use]
pub fn decimal_ratio(part: Decimal, whole: Decimal) -> Option<f64> {
    let short = ShortDecimal::of(part)
        .zip(ShortDecimal::of(whole))
        .and_then(|(part, whole)| part.over(whole));
    short.or_else(|| part.checked_div(whole).map(to_f64))
}

closed_set! {
    /// The side of an order or a fill (FIX tag 54).
    pub enum Side {
        /// Adds to the position.
        Buy = "buy",
        /// Reduces the position (short sales too).
        Sell = "sell",
    }
}

impl Side {
    /// +1 for a buy, -1 for a sell: the `s` in the formulas of docs/figures.md.
    #[must_use]
    pub const fn sign(self) -> i32 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }

    /// `quantity` with the sign of this side.
    #[must_use]
    pub fn signed(self, quantity: Decimal) -> Decimal {
        match self {
            Self::Buy => quantity,
            Self::Sell => -quantity,
        }
    }
}

macro_rules! decimal_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(#[serde(with = "exact")] Decimal);

        impl $name {
            /// The exact decimal.
            #[must_use]
            pub const fn get(self) -> Decimal {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.normalize(), f)
            }
        }
    };
}

decimal_newtype! {
    /// A price of one unit in the instrument's currency. Spreads and some futures have negative prices.
    /// 0 means unknown: see [`Price::known`].
    Price
}
decimal_newtype! {
    /// The quantity of an order or of a fill: greater than zero, in units of the instrument.
    Quantity
}
decimal_newtype! {
    /// A signed quantity: a position (short < 0) or a change of one.
    Position
}
decimal_newtype! {
    /// A signed amount of money in a currency that is stored next to it.
    Amount
}
decimal_newtype! {
    /// An amount of money to trade for: greater than zero.
    Notional
}

impl Price {
    /// Any decimal is a price.
    #[must_use]
    pub const fn new(value: Decimal) -> Self {
        Self(value)
    }

    /// The price, or None for 0: venues and feeds send 0 for an unknown price.
    #[must_use]
    pub fn known(self) -> Option<Self> {
        (!self.0.is_zero()).then_some(self)
    }
}

impl Quantity {
    /// Checks that the quantity is greater than zero.
    ///
    /// # Errors
    /// [`NumberError::NotPositive`] for zero and below.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        if value.is_sign_negative() || value.is_zero() {
            return Err(NumberError::NotPositive);
        }
        Ok(Self(value))
    }
}

impl Notional {
    /// Checks that the amount is greater than zero.
    ///
    /// # Errors
    /// [`NumberError::NotPositive`] for zero and below.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        Quantity::new(value).map(|quantity| Self(quantity.get()))
    }
}

impl Position {
    /// Any decimal is a position.
    #[must_use]
    pub const fn new(value: Decimal) -> Self {
        Self(value)
    }
}

impl Amount {
    /// Any decimal is an amount.
    #[must_use]
    pub const fn new(value: Decimal) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_are_the_nearest() {
        for text in ["0.1", "187.432", "0.00000961", "-5", "123456789.123456789"] {
            let exact = parse_decimal(text).expect("a number");
            assert!((to_f64(exact) - text.parse::<f64>().expect("a float")).abs() == 0.0, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ratios_are_those_of_decimals(
            (part, whole) in (-1_000_000_000_000_i64..1_000_000_000_000, -1_000_000_i64..1_000_000),
            (a, b) in (0_u32..9, 0_u32..9),
        ) {
            let (part, whole) = (Decimal::new(part, a), Decimal::new(whole, b));
            // Of smaller ones, 28 decimal places hold too few digits to round well.
            prop_assume!(part.abs() * Decimal::from(1_000) >= whole.abs());
            let expect = part.checked_div(whole).map(to_f64);
            prop_assert_eq!(decimal_ratio(part, whole), expect, "{} / {}", part, whole);
        }
    }

    #[test]
    fn quantities_are_positive() {
        assert_eq!(Quantity::new(Decimal::ZERO), Err(NumberError::NotPositive));
        assert_eq!(Quantity::new(-Decimal::ONE), Err(NumberError::NotPositive));
        assert!(Quantity::new(Decimal::ONE).is_ok());
    }
}
