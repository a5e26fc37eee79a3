//! What one unit of a symbol is worth, to value a difference of the books.
//!
//! Input: every price that is known of the symbol. Output: the one that counts. Invariants: 0 is no
//! price; what cannot be asked of the broker is valued cautiously, by the highest of what is known,
//! for a low price hides a difference and the engine itself sends quotes. Deliberately absent:
//! currencies and multipliers (see `judge`).

use crate::domain::units::Decimal;

/// The prices that are known of a symbol.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prices {
    /// The broker's row: it stands alone.
    pub(super) row: Option<Decimal>,
    /// A mid that is young, the last fill, the broker's average, the local one.
    pub(super) others: [Option<Decimal>; 4],
    /// What valued the symbol at an earlier comparison.
    pub(super) earlier: Option<Decimal>,
}

impl Prices {
    /// The price that values a difference; none: no price is known at all.
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
    fn the_row_stands_alone_then_the_highest_then_what_was_known_before() {
        let check = |row: Option<i64>, others: [Option<i64>; 4], earlier: Option<i64>, expect| {
            let price = |p: Option<i64>| p.map(Decimal::from);
            let prices =
                Prices { row: price(row), others: others.map(price), earlier: price(earlier) };
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
