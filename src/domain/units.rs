//! Exact numbers with a meaning: prices, quantities, positions, amounts, sides.
//!
//! Input: decimal text or [`Decimal`] values. Output: newtypes whose constructors check the sign
//! and the range. Invariants: money and quantities are exact decimals with at most
//! [`DECIMALS_MAX`] places; a bare `f64` appears in statistics alone. Deliberately absent: currency
//! conversion (see `settings::Instrument`). Input is rounded in `rounding` alone.

mod dust;
pub(crate) mod exact;
mod rounding;
pub(in crate::domain) mod short;

pub use dust::{agree, is_flat};
pub use rust_decimal::Decimal;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use rounding::rounded;
use short::Short;

/// The most decimal places that a quantity or a price may have.
pub const DECIMALS_MAX: u32 = 18;

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not a decimal number (`NaN`, `Infinity`, words).
    #[error("is not a decimal number")]
    NotANumber,
    /// The number has more digits or places than can be held exactly.
    #[error("cannot be held exactly: at most {DECIMALS_MAX} decimal places and 28 digits")]
    NotExact,
    /// The number must be greater than zero.
    #[error("must be greater than zero")]
    NotPositive,
}

/// Parses decimal text exactly: `-12.50`, `9.61e-06`, `1E3`.
///
/// Trailing zeros after the point do not count as places. The result is normalized, so equal
/// numbers are equal in every representation.
///
/// # Errors
/// [`NumberError::NotANumber`] for anything but a decimal number, [`NumberError::NotExact`] when
/// the value has more than [`DECIMALS_MAX`] places or does not fit 96 bits. Nothing is rounded.
pub fn parse_decimal(text: &str) -> Result<Decimal, NumberError> {
    if let Some(value) = parse_short(text) {
        return Ok(value);
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        None => (text, 0),
        Some(at) => {
            let (mantissa, tail) = text.split_at(at);
            (mantissa, parse_exponent(tail.get(1..).unwrap_or_default())?)
        }
    };
    let (negative, digits) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, mantissa.get(1..).unwrap_or_default()),
        Some(b'+') => (false, mantissa.get(1..).unwrap_or_default()),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumberError::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    let mut value: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(NumberError::NotANumber);
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i128::from(byte - b'0')))
            .ok_or(NumberError::NotExact)?;
    }
    let places = i64::try_from(fraction.len()).map_err(|_| NumberError::NotExact)? - exponent;
    scaled(if negative { -value } else { value }, places)
}

/// The same for nearly every number there is: at most 18 digits and no exponent. 64 bits hold it,
/// which is a sixth of the work that 128 checked ones are.
fn parse_short(text: &str) -> Option<Decimal> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut value, mut places, mut point) = (0_i64, 0_u32, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                places += u32::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if digits.len() == usize::from(point) {
        return None;
    }
    Some(from_digits(if negative { -value } else { value }, places))
}

/// `digits x 10^-places`, normalized; of at most 28 places.
#[must_use]
pub fn from_digits(mut digits: i64, mut places: u32) -> Decimal {
    while places > 0 && digits % 10 == 0 {
        digits /= 10;
        places -= 1;
    }
    Decimal::new(digits, places)
}

/// The exponent's digits, bounded so that arithmetic on it cannot overflow.
fn parse_exponent(text: &str) -> Result<i64, NumberError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    text.parse::<i32>().map(i64::from).map_err(|_| NumberError::NotExact)
}

/// `value x 10^-places`, normalized, or refused.
fn scaled(mut value: i128, mut places: i64) -> Result<Decimal, NumberError> {
    if value == 0 {
        return Ok(Decimal::ZERO);
    }
    while places > 0 && value % 10 == 0 {
        value /= 10;
        places -= 1;
    }
    while places < 0 {
        value = value.checked_mul(10).ok_or(NumberError::NotExact)?;
        places += 1;
    }
    let scale = u32::try_from(places).map_err(|_| NumberError::NotExact)?;
    if scale > DECIMALS_MAX {
        return Err(NumberError::NotExact);
    }
    Decimal::try_from_i128_with_scale(value, scale).map_err(|_| NumberError::NotExact)
}

/// The nearest `f64` of a decimal, for statistics and the exposition.
#[must_use]
pub fn to_f64(value: Decimal) -> f64 {
    // The scaled integer is at most 96 bits and the power of ten at most 10^28: both convert, and
    // one correctly rounded division follows for every number below 2^53 x 10^-22.
    let power = POWERS_OF_TEN.get(value.scale() as usize);
    let mantissa = i64::try_from(value.mantissa()).ok().filter(|m| m.unsigned_abs() < (1 << 53));
    if let Some((mantissa, power)) = mantissa.zip(power) {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 the conversion is exact")]
        return mantissa as f64 / power;
    }
    // Rare: so many digits that the shortcut would round twice. The parser rounds once.
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// `part / whole` rounded to 28 digits and then to the nearest float; none when `whole` is 0.
///
/// Where both fit 53 bits on one scale, as nearly all do, one division of floats rounds the exact
/// quotient once: the same float (but for a quotient within 10^-28 of the middle between two), for
/// a fiftieth of the work.
#[must_use]
pub fn decimal_ratio(part: Decimal, whole: Decimal) -> Option<f64> {
    let short = Short::of(part).zip(Short::of(whole)).and_then(|(part, whole)| part.over(whole));
    short.or_else(|| part.checked_div(whole).map(to_f64))
}

/// `a + b`, if it is held exactly: what was added can then be taken off again without a trace.
#[must_use]
#[inline]
pub fn exact_sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    if a.is_zero() || b.is_zero() {
        return Some(if a.is_zero() { b } else { a });
    }
    // A sum that does not fit is rounded to fewer places, or does not exist.
    a.checked_add(b).filter(|sum| sum.scale() >= a.scale().max(b.scale()))
}

/// Powers of ten that an `f64` holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The side of an order or a fill (FIX tag 54).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// Adds to the position.
    Buy,
    /// Takes from the position (short sales too).
    Sell,
}

impl Side {
    /// +1 for a buy, -1 for a sell: the `s` of every formula.
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

    /// `buy` or `sell`, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
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
    /// A price for one unit in the instrument's currency. May be negative: spreads and some futures
    /// are. 0 is no price: see [`Price::known`].
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
    /// A signed amount of money; its currency stands beside it.
    Amount
}
decimal_newtype! {
    /// An amount of money to trade for: greater than zero.
    Notional
}

impl Price {
    /// A price as it is.
    #[must_use]
    pub const fn new(value: Decimal) -> Self {
        Self(value)
    }

    /// The price, if it is one: venues and feeds send 0 for "not known".
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
    /// A signed quantity as it is.
    #[must_use]
    pub const fn new(value: Decimal) -> Self {
        Self(value)
    }
}

impl Amount {
    /// An amount as it is.
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
    fn decimal_text_is_exact_or_refused() {
        let check = |text: &str, expect: Result<&str, NumberError>| {
            let got = parse_decimal(text).map(|d| d.to_string());
            assert_eq!(got, expect.map(String::from), "{text}");
        };
        check("0.1", Ok("0.1"));
        check("-0.10", Ok("-0.1"));
        check("100.0", Ok("100"));
        check("9.61e-06", Ok("0.00000961"));
        check("1E3", Ok("1000"));
        check("1e-18", Ok("0.000000000000000001"));
        check("0e999", Ok("0"));
        check("1e-19", Err(NumberError::NotExact));
        check("1e-29", Err(NumberError::NotExact));
        check("1e400", Err(NumberError::NotExact));
        check("1e99999999999", Err(NumberError::NotExact));
        check("123456789012345678901234567890", Err(NumberError::NotExact));
        check("NaN", Err(NumberError::NotANumber));
        check("Infinity", Err(NumberError::NotANumber));
        check("", Err(NumberError::NotANumber));
        check("-", Err(NumberError::NotANumber));
        check(".", Err(NumberError::NotANumber));
        check("1.2.3", Err(NumberError::NotANumber));
        check("1e", Err(NumberError::NotANumber));
        check("1e+-2", Err(NumberError::NotANumber));
        check("0x10", Err(NumberError::NotANumber));
        check("None", Err(NumberError::NotANumber));
    }

    #[test]
    fn floats_are_the_nearest() {
        for text in ["0.1", "187.432", "0.00000961", "-5", "123456789.123456789"] {
            let exact = parse_decimal(text).expect("a number");
            assert!((to_f64(exact) - text.parse::<f64>().expect("a float")).abs() == 0.0, "{text}");
        }
    }

    proptest! {
        #[test]
        fn short_numbers_are_read_as_long_ones_are(text in "-?[0-9]{0,10}[.]?[0-9]{0,10}") {
            let spelled_out = format!("{text}e0");
            prop_assert_eq!(parse_decimal(&text), parse_decimal(&spelled_out), "{}", text);
        }

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
