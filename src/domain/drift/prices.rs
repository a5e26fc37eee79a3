//! The price that values a difference of the books.
//!
//! Input: every known price of the symbol. Output: the one that counts. Invariants: 0 is no price; the
//! broker's own price wins; without it the highest known price counts, because a low price would hide a
//! difference, and the engine under supervision sends the quotes. Deliberately absent: currencies and
//! multipliers (see `severity`).

use crate::domain::units::Decimal;

/// The prices that are known of a symbol.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KnownPrices {
    /// The broker's row: if it has a price, only that one counts.
    pub(super) row: Option<Decimal>,
    /// A recent mid, the last fill, the broker's average, the local average.
    pub(super) others: [Option<Decimal>; 4],
    /// The price of an earlier comparison.
    pub(super) earlier: Option<Decimal>,
}

impl KnownPrices {
    /// The price that counts; none: no price is known at all.
    pub(super) fn best(self) -> Option<Decimal> {
        let known = |price: &Decimal| !price.is_zero();
        let others = self.others.into_iter().flatten();
        let highest = || others.filter(known).max_by_key(Decimal::abs);
        self.row.filter(known).or_else(highest).or(self.earlier.filter(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_wins_then_the_highest_then_an_earlier_price() {
        let check = |row: Option<i64>, others: [Option<i64>; 4], earlier: Option<i64>, expect| {
            let price = |p: Option<i64>| p.map(Decimal::from);
            let prices =
                KnownPrices { row: price(row), others: others.map(price), earlier: price(earlier) };
            assert_eq!(prices.best(), price(expect), "{prices:?}");
        };
        check(Some(3), [Some(9); 4], Some(8), Some(3));
        check(Some(-3), [Some(9); 4], Some(8), Some(-3));
        check(Some(0), [Some(1), Some(2), Some(4), Some(3)], Some(8), Some(4));
        check(None, [Some(1), Some(-5), Some(4), None], Some(8), Some(-5));
        check(None, [Some(0), None, Some(0), None], Some(8), Some(8));
        check(Some(0), [Some(0); 4], Some(0), None);
        check(None, [None; 4], None, None);
    }
}
