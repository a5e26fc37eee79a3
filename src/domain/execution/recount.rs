//! The check of running sums for the windows and open orders of one account.

use std::collections::BTreeMap;

use crate::domain::execution::Execution;
use crate::domain::execution::order::Order;
use crate::domain::execution::orders::{OrderClass, OrderKey};
use crate::domain::execution::scope::ExecutionScope;
use crate::domain::execution::window::WindowEntry;
use crate::domain::recount::{ENTRIES_MAX, Recount, RunningTotal};
use crate::domain::symbols::SymbolKey;
use crate::domain::units::{Decimal, Side, exact_sum};

/// Number and leaves of the open orders of one symbol, added up again.
#[derive(Default)]
struct OpenSum {
    orders: u64,
    unacknowledged: u64,
    /// By side, buy first; `None` once a sum is not exact.
    leaves: [Option<Decimal>; 2],
}

impl Execution {
    /// Compares the windows of the account, its strategies and venues, and its open orders if these are
    /// not too many for one turn.
    pub fn recount(&self, recount: &mut Recount) {
        let strategies = self.strategies.iter().map(|(_, scope)| scope);
        let venues = self.venues.iter().map(|(_, scope)| scope);
        for scope in std::iter::once(&self.whole).chain(strategies).chain(venues) {
            recount_window(scope, recount);
        }
        if self.orders.len(OrderClass::Open) + self.open.len() <= ENTRIES_MAX {
            self.recount_open(recount);
        }
    }

    /// Compares the window of one symbol, its sums and its entries.
    pub fn recount_symbol(&self, key: SymbolKey, recount: &mut Recount) {
        let Some(scope) = self.symbols.get(key.index()) else { return };
        recount_window(scope, recount);
        let window = &scope.window;
        let differs = window.entries().zip(window.owners()).any(|(entry, owner)| {
            let order = OrderKey::from_owner(owner).and_then(|key| self.orders.get(key));
            order.is_some_and(|order| !is_entry_of(&entry, order))
        });
        recount.note(RunningTotal::WindowEntry, Some(!differs), window.len());
    }

    fn recount_open(&self, recount: &mut Recount) {
        let mut sums: BTreeMap<usize, OpenSum> = BTreeMap::new();
        for order in self.orders.of_class(OrderClass::Open) {
            let Some(symbol) = order.symbol.filter(|_| order.counted.open) else { continue };
            sums.entry(symbol.index()).or_insert_with(OpenSum::zero).add(order);
        }
        for symbol in 0..self.open.len() {
            let Some(open) = self.open.get(symbol) else { continue };
            let sum = sums.remove(&symbol).unwrap_or_else(OpenSum::zero);
            let [bought, sold] = sum.leaves;
            let counts = (open.orders, open.unacknowledged) == (sum.orders, sum.unacknowledged);
            let leaves = bought.zip(sold).map(|sums| sums == (open.buy, open.sell));
            let entries = usize::try_from(sum.orders).unwrap_or(usize::MAX);
            recount.note(RunningTotal::OpenOrders, leaves.map(|leaves| leaves && counts), entries);
        }
    }
}

impl OpenSum {
    fn zero() -> Self {
        Self { leaves: [Some(Decimal::ZERO); 2], ..Self::default() }
    }

    fn add(&mut self, order: &Order) {
        self.orders += 1;
        self.unacknowledged += u64::from(order.counted.unacknowledged);
        let [bought, sold] = &mut self.leaves;
        let total = match order.side {
            Some(Side::Buy) => bought,
            Some(Side::Sell) => sold,
            None => return,
        };
        *total = total.and_then(|total| exact_sum(total, order.counted.leaves));
    }
}

fn recount_window(scope: &ExecutionScope, recount: &mut Recount) {
    let window = &scope.window;
    recount.note(RunningTotal::Window, window.has_right_sums(), window.len());
}

/// Whether the entry says how the order ended.
fn is_entry_of(entry: &WindowEntry, order: &Order) -> bool {
    let state = order.state();
    Some(entry.outcome) == state.outcome
        && entry.touched != state.filled.is_zero()
        && entry.user_cancelled == state.user_cancelled
}
