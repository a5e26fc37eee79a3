//! The rows that can fold, and how they are added to the sum of the folded ones.

use std::collections::BTreeSet;

use enum_map::EnumMap;

use crate::domain::execution::counters::{Counters, Total};
use crate::domain::execution::figures::Figures;
use crate::domain::ids::Symbol;
use crate::metrics::rows::{BreakdownRow, SymbolRow};
use crate::metrics::selection::SeriesWeight;

/// A row that can fold.
pub(crate) trait Foldable {
    /// The value of its label.
    fn name(&self) -> &str;
    fn counters(&self) -> &Counters;
    fn weight(&self) -> SeriesWeight;
    /// Whether it must not fold. `subjects` are the subjects of the account's halts.
    fn is_in_trouble(&self, subjects: &BTreeSet<String>) -> bool;
    /// Whether it has a position or an open order.
    fn is_held(&self) -> bool;
    /// The sum of no rows, named `__other__`.
    fn empty_sum() -> Self;
    /// Adds the figures of a row that can be added.
    fn add(&mut self, row: &Self);
    fn add_counters(&mut self, more: &Counters);
}

impl Foldable for SymbolRow {
    fn name(&self) -> &str {
        self.symbol.as_str()
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn weight(&self) -> SeriesWeight {
        self.weight
    }

    fn is_in_trouble(&self, subjects: &BTreeSet<String>) -> bool {
        self.drift.as_ref().is_some_and(|drift| drift.severity.is_some())
            || self.anomalies.values().any(|level| *level > 0)
            || (!subjects.is_empty() && subjects.contains(self.name()))
    }

    fn is_held(&self) -> bool {
        let holds = self.position.as_ref().is_some_and(|position| {
            let books = [position.local, position.broker, Some(position.ledger)];
            books.into_iter().flatten().any(|quantity| !quantity.is_zero())
        });
        holds || self.open > 0
    }

    fn empty_sum() -> Self {
        Self {
            symbol: Symbol::other(),
            counters: Counters::default(),
            figures: Figures::default(),
            open: 0,
            unacknowledged: 0,
            anomalies: EnumMap::default(),
            position: None,
            drift: None,
            weight: SeriesWeight::default(),
        }
    }

    fn add(&mut self, row: &Self) {
        self.open += row.open;
        self.unacknowledged += row.unacknowledged;
        self.add_counters(&row.counters);
    }

    fn add_counters(&mut self, more: &Counters) {
        add(&mut self.counters, more);
    }
}

impl Foldable for BreakdownRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn weight(&self) -> SeriesWeight {
        self.weight
    }

    fn is_in_trouble(&self, _subjects: &BTreeSet<String>) -> bool {
        false
    }

    fn is_held(&self) -> bool {
        false
    }

    fn empty_sum() -> Self {
        Self {
            name: Symbol::OTHER.to_owned(),
            counters: Counters::default(),
            figures: Figures::default(),
            weight: SeriesWeight::default(),
        }
    }

    fn add(&mut self, row: &Self) {
        self.add_counters(&row.counters);
    }

    fn add_counters(&mut self, more: &Counters) {
        add(&mut self.counters, more);
    }
}

/// Adds the counters that /metrics shows of a row.
fn add(sum: &mut Counters, more: &Counters) {
    sum.submitted += more.submitted;
    sum.accepted += more.accepted;
    for (outcome, count) in more.outcomes {
        sum.outcomes[outcome] += count;
    }
    sum.outcome_changes += more.outcome_changes;
    sum.fills += more.fills;
    sum.busted += more.busted;
    sum.corrected += more.corrected;
    sum.overfills += more.overfills;
    sum.ordered_quantity = sum.ordered_quantity.saturating_add(more.ordered_quantity);
    add_total(&mut sum.filled_quantity, more.filled_quantity);
    for (currency, more) in &more.money {
        let Some(money) = sum.money.get_mut(currency) else {
            sum.money.insert(currency.clone(), *more);
            continue;
        };
        add_total(&mut money.notional, more.notional);
        add_total(&mut money.fees, more.fees);
        add_total(&mut money.rebates, more.rebates);
        add_total(&mut money.slippage_cost, more.slippage_cost);
        add_total(&mut money.price_improvement, more.price_improvement);
    }
}

fn add_total(sum: &mut Total, more: Total) {
    sum.sum = sum.sum.saturating_add(more.sum);
    sum.reversed = sum.reversed.saturating_add(more.reversed);
}
