//! Equality of quantities that ignores dust.
//!
//! Engines compute sizes in floats: 0.1 + 0.2 gives 0.30000000000000004 while the venue reports 0.3.
//! Invariant: only quantities are compared here; prices and amounts of money are compared exactly.

use crate::domain::units::Decimal;

/// A difference below this is dust, however small the quantities are: 1e-12.
const ABSOLUTE: Decimal = Decimal::from_parts(1, 0, 0, false, 12);
/// A difference below one part in this many of the larger quantity is dust: 1e9.
const PARTS: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

/// Whether two quantities are equal except for dust: they differ by less than 1e-9 of the larger one, or
/// by less than 1e-12.
#[must_use]
pub fn agree(a: Decimal, b: Decimal) -> bool {
    let difference = a.saturating_sub(b).abs();
    difference < ABSOLUTE || difference.saturating_mul(PARTS) < a.abs().max(b.abs())
}

/// Whether a quantity is 0 except for dust.
#[must_use]
pub fn is_flat(quantity: Decimal) -> bool {
    quantity.abs() < ABSOLUTE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::parse_decimal;

    #[test]
    fn dust_is_below_a_billionth_of_the_larger_or_a_trillionth() {
        let check = |a: &str, b: &str, expect: bool| {
            let number = |text| parse_decimal(text).expect("a number");
            for sign in [Decimal::ONE, -Decimal::ONE] {
                let (a, b) = (number(a) * sign, number(b) * sign);
                assert_eq!(agree(a, b), expect, "{a} {b}");
                assert_eq!(agree(b, a), expect, "{b} {a}");
            }
        };
        check("0.3", "0.30000000000000004", true);
        check("0.2", "0.19999999999999996", true);
        check("30", "30.000000000000004", true);
        check("1000000000", "1000000000.999999999", true);
        check("1000000000", "1000000001", true);
        check("1000000000", "1000000001.1", false);
        check("1", "1.0000000009", true);
        check("1", "1.000000002", false);
        check("0", "0.000000000000999999", true);
        check("0", "0.000000000001", false);
        check("0.000000000001", "0.000000000002", false);
        check("1", "-1", false);
        check("0", "0", true);
        let huge = "79228162514264337593543950335";
        check(huge, huge, true);
        check(huge, "1", false);
        check(huge, &format!("-{huge}"), false);
    }

    #[test]
    fn only_dust_is_flat() {
        let check = |quantity: &str, expect: bool| {
            let quantity = parse_decimal(quantity).expect("a number");
            assert_eq!((is_flat(quantity), is_flat(-quantity)), (expect, expect), "{quantity}");
        };
        check("0", true);
        check("0.000000000000000056", true);
        check("0.000000000001", false);
        check("1", false);
    }
}
