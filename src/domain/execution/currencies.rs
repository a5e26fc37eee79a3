//! Bounds the number of currencies that the money of one symbol has.
//!
//! Input: an event about an order, and the order. Output: whether the currencies of its fees may be
//! added to those of its symbol. Invariant: no symbol has more than [`limits::CURRENCIES_MAX`].
//! Fees of an order without a known symbol wait with the order, and are counted when an event
//! reports the symbol.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::execution::order::Order;
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::limits;
use crate::domain::record::Refusal;
use crate::domain::symbols::SymbolKey;
use crate::domain::visits;

impl Execution {
    /// Refuses an event that would add one currency too many to `symbol`. `named` are the orders whose
    /// symbol this event reports first: all of their fees are added too. O(1) without them.
    pub(super) fn check_currencies<'a>(
        &self,
        symbol: Option<SymbolKey>,
        named: impl Iterator<Item = &'a Order>,
        report: &OrderReport<'a>,
    ) -> Result<(), Refusal> {
        let scope = symbol.and_then(|at| self.symbols.get(at.index()));
        let money = scope.map(|scope| &scope.counters.money);
        let fees = named.flat_map(|order| order.fills.fee_currencies());
        let fees = fees.chain(report.fee_currency());
        let new = fees.filter(|c| money.is_none_or(|money| !money.contains_key(*c)));
        // The currency of the instrument counts too, also before the first fill.
        let held = money.map_or(0, BTreeMap::len).max(1);
        // Usually all currencies are known, and the set stays empty.
        let mut distinct = BTreeSet::new();
        for currency in new {
            visits::count(1);
            distinct.insert(currency);
            if held + distinct.len() > limits::CURRENCIES_MAX {
                return Err(Refusal::TooManyCurrencies);
            }
        }
        Ok(())
    }
}
