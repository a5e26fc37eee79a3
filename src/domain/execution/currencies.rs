//! Bounds the number of currencies that the money of one symbol has.
//!
//! Input: an event about an order, and the order. Output: whether the currencies of its fees may be
//! added to those of its symbol. Invariant: no symbol has more than [`limits::CURRENCIES_MAX`].
//! Fees of an order without a known symbol wait with the order, and are counted when an event
//! reports the symbol.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::execution::order::Order;
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::ids::Currency;
use crate::domain::limits;
use crate::domain::record::Refusal;
use crate::domain::symbols::SymbolKey;

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
        let fees = named.flat_map(|order| {
            let corrected = order.fills.amendments().iter().filter_map(|a| a.corrected.as_ref());
            let corrected = corrected.filter_map(|c| c.fee.as_ref());
            order.fills.all().iter().filter_map(|fill| fill.fee.as_ref()).chain(corrected)
        });
        let fees = fees.filter_map(|(_, currency)| currency.as_ref()).chain(report.fee_currency());
        let mut new = fees.filter(|c| money.is_none_or(|money| !money.contains_key(*c)));
        // Usually all currencies are known: do not build a set then.
        let Some(first) = new.next() else { return Ok(()) };
        let new: BTreeSet<&Currency> = std::iter::once(first).chain(new).collect();
        // The currency of the instrument counts too, also before the first fill.
        let held = money.map_or(0, BTreeMap::len).max(1);
        if held + new.len() > limits::CURRENCIES_MAX {
            return Err(Refusal::TooManyCurrencies);
        }
        Ok(())
    }
}
