//! The snapshots of one side: the newest one, and the book of each symbol.
//!
//! Input: `positions` events of one source, each with its time. Output: a [`Book`] for a symbol, or
//! none where no snapshot covers it. Invariants: an older snapshot and a failed one change no book; a
//! symbol missing from a complete snapshot is flat, one missing from a partial snapshot is unchanged.
//! Deliberately absent: comparing sides (see `align`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::event::PositionRow;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, exact};

/// The times of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTime {
    /// The sender's time; the receive time if that is missing or too far ahead.
    pub time: Timestamp,
    /// Receive time.
    pub received: Timestamp,
    /// Sequence of its record: of two snapshots of one time the later one is newer.
    pub sequence: u64,
    /// Sequence of the first snapshot in the request that brought it.
    pub request: u64,
}

impl SnapshotTime {
    /// A snapshot that is alone in its request.
    #[must_use]
    pub const fn new(time: Timestamp, received: Timestamp, sequence: u64) -> Self {
        Self { time, received, sequence, request: sequence }
    }

    /// Whether this snapshot supersedes `other`: a later time, or the same and a higher sequence.
    #[must_use]
    pub fn is_newer_than(self, other: Self) -> bool {
        (self.time, self.sequence) > (other.time, other.sequence)
    }

    /// The time that ages are measured from.
    #[must_use]
    pub fn dated(self) -> Timestamp {
        self.time.min(self.received)
    }
}

/// The result of applying a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotVerdict {
    /// It is the newest of its side.
    Taken,
    /// A newer one arrived before: nothing changed.
    OutOfOrder,
    /// The fetch had failed: neither flat nor agreement, nothing changed.
    Failed,
}

/// The position of one symbol on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    /// The net quantity; short is negative.
    #[serde(with = "exact")]
    pub(super) quantity: Decimal,
    /// The average entry price; none: flat, hedged, 0 or not given.
    #[serde(with = "exact")]
    pub(super) average: Option<Decimal>,
    /// The current price according to that side; none: 0 or not given.
    #[serde(with = "exact")]
    pub(super) market: Option<Decimal>,
    /// The snapshot that it is from.
    pub(super) at: SnapshotTime,
}

/// The books of one side.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SideBooks {
    newest: Option<SnapshotTime>,
    complete: Option<SnapshotTime>,
    /// The content of the newest snapshot, by its digest.
    #[serde(default)]
    content: Option<u128>,
    rows: BTreeMap<SymbolKey, Book>,
    /// Receive time of the first snapshot.
    first_at: Option<Timestamp>,
    failures: FetchFailures,
}

/// Fetches of one side that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFailures {
    /// Number of failures.
    pub total: u64,
    /// Receive time of the last failure, and its error.
    pub last: Option<(Timestamp, String)>,
}

impl SideBooks {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The newest snapshot that was not ignored.
    pub(super) const fn newest(&self) -> Option<SnapshotTime> {
        self.newest
    }

    /// Receive time of the first snapshot.
    pub(super) const fn first_at(&self) -> Option<Timestamp> {
        self.first_at
    }

    /// Failed fetches.
    pub(super) const fn failures(&self) -> &FetchFailures {
        &self.failures
    }

    /// Notes that a fetch failed.
    pub(super) fn fail(&mut self, at: Timestamp, error: &str) {
        self.failures.total = self.failures.total.saturating_add(1);
        self.failures.last = Some((at, error.to_owned()));
    }

    /// Whether a snapshot of that time would be older than the newest one.
    pub(super) fn is_out_of_order(&self, at: SnapshotTime) -> bool {
        self.newest.is_some_and(|newest| !at.is_newer_than(newest))
    }

    /// Whether a snapshot repeats the newest one. `content` is called only if the times are equal.
    pub(super) fn is_repeated(&self, time: Timestamp, content: impl FnOnce() -> u128) -> bool {
        self.newest.is_some_and(|newest| newest.time == time) && self.content == Some(content())
    }

    /// Remembers the content of the newest snapshot.
    pub(super) const fn remember(&mut self, content: u128) {
        self.content = Some(content);
    }

    /// The book of a symbol: its newest row, or flat if a later complete snapshot does not mention it;
    /// none: no snapshot covers it.
    pub(super) fn book(&self, key: SymbolKey) -> Option<Book> {
        let row = self.rows.get(&key).copied();
        let Some(complete) = self.complete else { return row };
        let flat = Book { quantity: Decimal::ZERO, average: None, market: None, at: complete };
        Some(row.filter(|row| !complete.is_newer_than(row.at)).unwrap_or(flat))
    }

    /// Applies the added-up rows of a partial snapshot.
    pub(super) fn take_partial(&mut self, totals: BTreeMap<SymbolKey, RowTotal>, at: SnapshotTime) {
        self.arrived(at);
        self.rows.extend(totals.into_iter().map(|(key, total)| (key, total.book(at))));
    }

    /// Applies the added-up rows of a complete snapshot: symbols that it does not mention are flat.
    pub(super) fn take_complete(
        &mut self,
        totals: BTreeMap<SymbolKey, RowTotal>,
        at: SnapshotTime,
    ) {
        self.arrived(at);
        self.complete = Some(at);
        self.rows = totals.into_iter().map(|(key, total)| (key, total.book(at))).collect();
    }

    fn arrived(&mut self, at: SnapshotTime) {
        self.newest = Some(at);
        self.first_at.get_or_insert(at.received);
    }

    /// Forgets a symbol.
    pub(super) fn retire(&mut self, key: SymbolKey) {
        self.rows.remove(&key);
    }
}

/// Several rows of one symbol added up: hedged positions, strategies, lots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowTotal {
    quantity: Decimal,
    average: EntryAverage,
    market: Option<Decimal>,
}

/// The average entry price of rows so far.
#[derive(Clone, Copy, Debug, Default)]
enum EntryAverage {
    /// No row holds anything.
    #[default]
    Flat,
    /// All rows have one sign and this very price: no division, so no rounding.
    Same { price: Decimal, long: bool },
    /// All rows have one sign; the sum of quantity times price.
    Mixed { cost: Decimal, long: bool },
    /// A price is missing, signs are mixed, or the sum left the range.
    Unknown,
}

impl RowTotal {
    /// Adds a row. A row of quantity 0 holds nothing and weighs nothing.
    pub(super) fn add(&mut self, row: &PositionRow) {
        let quantity = row.quantity.get();
        self.market = known(row.market_price).or(self.market);
        if quantity.is_zero() {
            return;
        }
        let price = known(row.average_price);
        self.average = self.average.with(self.quantity, quantity, price);
        self.quantity = self.quantity.saturating_add(quantity);
    }

    fn book(self, at: SnapshotTime) -> Book {
        let average = match self.average {
            EntryAverage::Flat | EntryAverage::Unknown => None,
            EntryAverage::Same { price, .. } => Some(price),
            EntryAverage::Mixed { cost, .. } => cost.checked_div(self.quantity),
        };
        let average = average.filter(|price| !price.is_zero());
        Book { quantity: self.quantity.normalize(), average, market: self.market, at }
    }
}

/// The price in a row; 0 is no price.
fn known(price: Option<Price>) -> Option<Decimal> {
    price.and_then(Price::known).map(Price::get)
}

impl EntryAverage {
    /// The average with one more row. `held` is the quantity before it.
    fn with(self, held: Decimal, quantity: Decimal, price: Option<Decimal>) -> Self {
        let is_long = quantity.is_sign_positive();
        let Some(row) = price else { return Self::Unknown };
        let mixed = |cost: Option<Decimal>| {
            let added = quantity.checked_mul(row).and_then(|c| cost?.checked_add(c));
            added.map_or(Self::Unknown, |cost| Self::Mixed { cost, long: is_long })
        };
        match self {
            Self::Flat => Self::Same { price: row, long: is_long },
            Self::Same { price, long } if long == is_long && price == row => self,
            Self::Same { price, long } if long == is_long => mixed(held.checked_mul(price)),
            Self::Mixed { cost, long } if long == is_long => mixed(Some(cost)),
            Self::Same { .. } | Self::Mixed { .. } | Self::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Symbol;
    use crate::domain::symbols::SymbolTable;
    use crate::domain::units::{Position, parse_decimal};

    fn decimal(text: &str) -> Decimal {
        parse_decimal(text).expect("a number")
    }

    fn at(seconds: u64, sequence: u64) -> SnapshotTime {
        let time = Timestamp::MIN.plus(std::time::Duration::from_secs(seconds));
        SnapshotTime::new(time, time, sequence)
    }

    fn keys() -> (SymbolKey, SymbolKey) {
        let mut table = SymbolTable::default();
        let mut key = |name| table.intern(&Symbol::new(name).expect("a name"), usize::MAX);
        (key("A"), key("B"))
    }

    fn total(rows: &[(&str, Option<&str>, Option<&str>)]) -> RowTotal {
        let mut total = RowTotal::default();
        for (quantity, average, market) in rows {
            total.add(&PositionRow {
                symbol: Symbol::new("A").expect("a name"),
                quantity: Position::new(decimal(quantity)),
                average_price: average.map(|text| Price::new(decimal(text))),
                market_price: market.map(|text| Price::new(decimal(text))),
            });
        }
        total
    }

    #[test]
    fn rows_of_one_symbol_add_up() {
        let check = |rows: &[(&str, Option<&str>, Option<&str>)], quantity, average| {
            let book = total(rows).book(at(0, 0));
            assert_eq!(book.quantity, decimal(quantity), "{rows:?}");
            assert_eq!(book.average, Option::map(average, decimal), "{rows:?}");
        };
        check(&[("100", Some("10"), None)], "100", Some("10"));
        check(&[("100", None, None)], "100", None);
        check(&[("100", Some("10"), None), ("300", Some("20"), None)], "400", Some("17.5"));
        check(&[("-1", Some("10"), None), ("-3", Some("20"), None)], "-4", Some("17.5"));
        check(&[("100", Some("10"), None), ("300", None, None)], "400", None);
        check(&[("100", None, None), ("300", Some("10"), None)], "400", None);
        // Hedged: drift is judged on the net, and there is no average price.
        check(&[("100", Some("10"), None), ("-40", Some("12"), None)], "60", None);
        check(&[("100", Some("10"), None), ("-100", Some("12"), None)], "0", None);
        check(
            &[("1", Some("10"), None), ("-1", Some("12"), None), ("2", Some("9"), None)],
            "2",
            None,
        );
        // Equal prices need no division: 3 x 0.1 / 3 would do, 7 rows of a third would not.
        check(&[("3", Some("0.1"), None), ("4", Some("0.1"), None)], "7", Some("0.1"));
        check(&[("0", Some("10"), None)], "0", None);
        check(&[("0", Some("10"), None), ("5", Some("3"), None)], "5", Some("3"));
        check(&[("5", Some("-3"), None), ("5", Some("-1"), None)], "10", Some("-2"));
        // 0 is no average, of one row or of all.
        check(&[("5", Some("0"), None)], "5", None);
        check(&[("5", Some("0"), None), ("5", Some("3"), None)], "10", None);
        check(&[("5", Some("-3"), None), ("5", Some("3"), None)], "10", None);
        // Sums that leave the range have no average, and do not panic.
        let huge = "79228162514264337593543950335";
        check(&[(huge, Some(huge), None), (huge, Some("1"), None)], huge, None);
    }

    #[test]
    fn the_last_market_price_counts() {
        let market =
            |rows: &[(&str, Option<&str>, Option<&str>)]| total(rows).book(at(0, 0)).market;
        assert_eq!(market(&[("1", None, Some("9")), ("1", None, None)]), Some(decimal("9")));
        assert_eq!(market(&[("1", None, Some("9")), ("0", None, Some("8"))]), Some(decimal("8")));
        assert_eq!(market(&[("1", Some("9"), None)]), None);
        assert_eq!(market(&[("1", None, Some("9")), ("1", None, Some("0"))]), Some(decimal("9")));
        assert_eq!(market(&[("1", None, Some("0"))]), None);
    }

    #[test]
    fn a_symbol_missing_from_a_complete_snapshot_is_flat() {
        let (a, b) = keys();
        let row = |quantity: &str| total(&[(quantity, None, None)]);
        let mut side = SideBooks::default();
        let quantity = |side: &SideBooks, key| side.book(key).map(|book| book.quantity);

        side.take_partial(BTreeMap::from([(a, row("1"))]), at(1, 1));
        assert_eq!((quantity(&side, a), quantity(&side, b)), (Some(decimal("1")), None));

        side.take_complete(BTreeMap::from([(b, row("2"))]), at(2, 2));
        assert_eq!(quantity(&side, a), Some(Decimal::ZERO));
        assert_eq!(side.book(a).map(|book| book.at), Some(at(2, 2)));

        side.take_partial(BTreeMap::from([(a, row("3"))]), at(3, 3));
        assert_eq!(quantity(&side, a), Some(decimal("3")));
        assert_eq!(
            quantity(&side, b),
            Some(decimal("2")),
            "a partial snapshot leaves it unchanged"
        );
        assert_eq!(side.book(b).map(|book| book.at), Some(at(2, 2)), "and does not renew its time");
    }

    #[test]
    fn newer_is_later_or_the_same_time_and_a_higher_sequence() {
        let (a, _) = keys();
        let mut side = SideBooks::default();
        assert!(!side.is_out_of_order(at(5, 1)));
        side.take_partial(BTreeMap::from([(a, total(&[("1", None, None)]))]), at(5, 10));
        let check = |time, sequence, expect| {
            assert_eq!(side.is_out_of_order(at(time, sequence)), expect, "{time} {sequence}");
        };
        check(4, 11, true);
        check(5, 10, true);
        check(5, 11, false);
        check(6, 11, false);
    }
}
