//! Fees in coins that are reported twice: by a fill, and as an adjustment of the position.
//!
//! Input: both reports, in any order of arrival. Output: whether the other report arrived before; then
//! the position has moved already. Invariants: each report is paired once; at most [`KEPT_MAX`]
//! reports of a symbol wait for their pair, for [`APART_MAX`] of event time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::units::{Amount, Decimal, agree};

/// The largest difference between the event times of the two reports.
const APART_MAX: Duration = Duration::from_mins(1);
/// Unpaired reports kept of a symbol and kind; the oldest is dropped first.
const KEPT_MAX: usize = 64;

/// Fees of an account that were reported once so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CoinFees {
    by_symbol: BTreeMap<SymbolKey, UnpairedFees>,
    /// Number of reports that wait.
    waiting: usize,
}

/// Fees of one symbol that were reported once so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct UnpairedFees {
    by_fills: VecDeque<(Timestamp, Amount)>,
    by_adjustments: VecDeque<(Timestamp, Amount)>,
}

impl UnpairedFees {
    fn len(&self) -> usize {
        self.by_fills.len() + self.by_adjustments.len()
    }
}

impl CoinFees {
    /// Adds the fee of a fill. Returns whether an adjustment reported it before.
    pub(super) fn fill(&mut self, symbol: SymbolKey, at: Timestamp, fee: Decimal) -> bool {
        self.change(symbol, |UnpairedFees { by_fills, by_adjustments }| {
            pair((at, fee), by_fills, by_adjustments)
        })
    }

    /// Adds a fee from an adjustment. Returns whether a fill reported it before.
    pub(super) fn adjustment(&mut self, symbol: SymbolKey, at: Timestamp, fee: Decimal) -> bool {
        self.change(symbol, |UnpairedFees { by_fills, by_adjustments }| {
            pair((at, fee), by_adjustments, by_fills)
        })
    }

    fn change(
        &mut self,
        symbol: SymbolKey,
        change: impl FnOnce(&mut UnpairedFees) -> bool,
    ) -> bool {
        let fees = self.by_symbol.entry(symbol).or_default();
        let before = fees.len();
        let is_paired = change(fees);
        self.waiting = self.waiting + fees.len() - before;
        is_paired
    }

    /// Forgets a symbol.
    pub(super) fn retire(&mut self, symbol: SymbolKey) {
        self.waiting -= self.by_symbol.remove(&symbol).map_or(0, |fees| fees.len());
    }

    /// About the bytes of all of it.
    pub(super) fn bytes(&self) -> usize {
        self.waiting * size_of::<(Timestamp, Amount)>()
            + self.by_symbol.len() * size_of::<(SymbolKey, UnpairedFees)>()
    }
}

/// Pairs a report with one of the other kind; without a match it waits.
fn pair(
    (at, fee): (Timestamp, Decimal),
    own: &mut VecDeque<(Timestamp, Amount)>,
    others: &mut VecDeque<(Timestamp, Amount)>,
) -> bool {
    let is_same = |(time, other): &(Timestamp, Amount)| {
        time.is_within(at, APART_MAX) && agree(other.get(), fee)
    };
    if let Some(place) = others.iter().position(is_same) {
        others.remove(place);
        return true;
    }
    own.retain(|(time, _)| time.is_within(at, APART_MAX));
    if own.len() >= KEPT_MAX {
        own.pop_front();
    }
    own.push_back((at, Amount::new(fee)));
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Symbol;
    use crate::domain::symbols::SymbolTable;

    #[test]
    fn each_is_paired_once_and_few_wait() {
        let mut symbols = SymbolTable::default();
        let symbol = symbols.intern(&Symbol::new("BTC/USD").expect("a symbol"), usize::MAX);
        let at = |seconds: u64| Timestamp::MIN.plus(Duration::from_secs(1_000 + seconds));
        let mut fees = CoinFees::default();
        let fee = |number: i64| Decimal::new(number, 5);
        assert!(!fees.fill(symbol, at(0), fee(125)));
        assert!(!fees.adjustment(symbol, at(0), fee(126)), "another fee");
        assert!(!fees.adjustment(symbol, at(61), fee(125)), "too late");
        assert!(fees.adjustment(symbol, at(60), fee(125)));
        assert!(!fees.adjustment(symbol, at(60), fee(125)), "paired already");
        assert!(fees.fill(symbol, at(60), fee(125)), "the adjustment came first");
        for number in 0..200 {
            assert!(!fees.fill(symbol, at(100), fee(1_000 + number)));
        }
        assert!(fees.by_symbol.values().all(|unpaired| unpaired.by_fills.len() == KEPT_MAX));
    }
}
