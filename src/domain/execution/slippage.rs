//! Slippage: how much worse than a reference an order was executed.
//!
//! Input: executions as sums, references. Output: basis points, positive = worse. Invariant: one
//! division of exact numbers, so one rounding.

use crate::domain::units::{Decimal, Price, ShortDecimal, Side, decimal_ratio};

/// Basis points of one.
const BPS: i64 = 10_000;

/// Slippage of `quantity` executed for `notional` = sum(q p) against each reference, in basis points,
/// positive = worse: s (P - ref) / abs(ref) x 10^4. Brought to one division of exact numbers:
/// s (sum(q p) - ref F) / (abs(ref) F). None for a zero reference or quantity.
///
/// Nearly all numbers are short, and short ones give the same float in less work. Hot path: guarded
/// by benches/instructions.
#[must_use]
pub(super) fn slippage_bps(
    side: Side,
    notional: Decimal,
    quantity: Decimal,
    references: [Option<Price>; 3],
) -> [Option<f64>; 3] {
    let short = ShortDecimal::of(notional).zip(ShortDecimal::of(quantity));
    let against = |reference: Option<Price>| {
        let reference = reference?.get();
        let bps =
            short.and_then(|(notional, quantity)| of_short(side, notional, quantity, reference));
        bps.or_else(|| of_long(side, notional, quantity, reference))
    };
    let [expected, arrival, limit] = references;
    [against(expected), against(arrival), against(limit)]
}

#[inline]
fn of_short(
    side: Side,
    notional: ShortDecimal,
    quantity: ShortDecimal,
    reference: Decimal,
) -> Option<f64> {
    let at_reference = ShortDecimal::of(reference)?.times(quantity)?;
    let cost = notional.minus(at_reference)?.signed(side)?;
    cost.times_integer(BPS)?.over(at_reference.abs()?)
}

#[cold]
#[inline(never)]
fn of_long(side: Side, notional: Decimal, quantity: Decimal, reference: Decimal) -> Option<f64> {
    let at_reference = reference.checked_mul(quantity)?;
    let cost = side.signed(notional.checked_sub(at_reference)?);
    decimal_ratio(cost.checked_mul(Decimal::from(BPS))?, at_reference.abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Short and long arithmetic give the same float.
        #[test]
        fn slippage_is_that_of_long_decimals(
            (price, quantity, reference) in (any::<i64>(), any::<i64>(), any::<i64>()),
            (a, b, c) in (0_u32..19, 0_u32..19, 0_u32..19),
            (cut, is_buy) in (0_u32..50, any::<bool>()),
        ) {
            let [price, quantity, reference] =
                [(price, a), (quantity, b), (reference, c)].map(|(n, s)| Decimal::new(n >> cut, s));
            let side = if is_buy { Side::Buy } else { Side::Sell };
            let Some(notional) = price.checked_mul(quantity) else { return Ok(()) };
            let long = || {
                let at_reference = reference.checked_mul(quantity)?;
                let cost = side.signed(notional.checked_sub(at_reference)?);
                let cost = cost.checked_mul(Decimal::from(10_000))?;
                decimal_ratio(cost, at_reference.abs()).filter(|_| !at_reference.is_zero())
            };
            let references = [None, Some(Price::new(reference)), None];
            let [_, got, _] = slippage_bps(side, notional, quantity, references);
            prop_assert_eq!(got.map(f64::to_bits), long().map(f64::to_bits));
        }
    }
}
