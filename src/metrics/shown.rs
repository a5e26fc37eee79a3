//! Which rows of a label stand under their own name, and the sum of those that do not.
//!
//! Input: rows, and places of those that are folded. Output: for each family the rows to write.
//! Invariants: every row is counted once in a family that is summed; one that is folded and in
//! trouble stands under its own name in the families that are not. Deliberately absent: which rows
//! are folded (see `budget`).

use std::collections::BTreeSet;

use crate::domain::execution::anomaly::Figure;
use crate::domain::execution::counters::{Counters, Total};
use crate::domain::ids::Symbol;
use crate::metrics::projection::{BreakdownRow, SymbolRow};

/// What is folded of one account.
#[derive(Clone, Debug, Default)]
pub struct AccountFold {
    /// What causes of its latch are about: a symbol among them never folds.
    pub subjects: BTreeSet<String>,
    /// Its symbols.
    pub symbols: Shown<SymbolRow>,
    /// Its strategies.
    pub strategies: Shown<BreakdownRow>,
    /// Its venues.
    pub venues: Shown<BreakdownRow>,
}

impl AccountFold {
    /// Whether anything is folded, or was.
    pub(super) const fn is_partial(&self) -> bool {
        matches!(self.symbols, Shown::Some(_))
            || matches!(self.strategies, Shown::Some(_))
            || matches!(self.venues, Shown::Some(_))
    }
}

/// How many series a row costs; 0: not counted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Under its own name, in all families.
    pub whole: u32,
    /// Under its own name, in those that are not summed.
    pub alone: u32,
}

/// The rows of one label that are written.
#[derive(Clone, Debug, Default)]
pub enum Shown<R> {
    /// All of them.
    #[default]
    All,
    /// Some of them, and the sum of the others.
    Some(Box<Part<R>>),
}

/// Rows that are written, by place, and the sum of the others.
#[derive(Clone, Debug)]
pub struct Part<R> {
    /// Those that stand whole.
    pub whole: Vec<usize>,
    /// Of those that are folded, those in trouble.
    pub alone: Vec<usize>,
    /// All that are folded.
    pub folded: Vec<usize>,
    /// Their sum.
    pub other: R,
}

impl<R> Shown<R> {
    /// How many rows a family writes.
    #[must_use]
    pub(super) fn len(&self, rows: usize, is_summed: Summed) -> usize {
        match self {
            Self::All => rows,
            Self::Some(part) => match is_summed {
                Summed::Yes => part.whole.len() + 1,
                Summed::No => part.whole.len() + part.alone.len(),
            },
        }
    }

    /// The row of a family at a number below [`Self::len`]: its place, or none for the sum.
    pub(super) fn at<'a>(
        &'a self,
        n: usize,
        rows: &'a [R],
        is_summed: Summed,
    ) -> Option<(Option<usize>, &'a R)> {
        let place = match self {
            Self::All => n,
            Self::Some(part) => match (part.whole.get(n), is_summed) {
                (Some(place), _) => *place,
                (None, Summed::Yes) => return Some((None, &part.other)),
                (None, Summed::No) => *part.alone.get(n.checked_sub(part.whole.len())?)?,
            },
        };
        Some((Some(place), rows.get(place)?))
    }

    /// Places of the rows that are folded.
    #[must_use]
    pub fn folded(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        let folded: &[usize] = match self {
            Self::All => &[],
            Self::Some(part) => &part.folded,
        };
        folded.iter().copied()
    }
}

/// Whether a family adds up the rows that are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summed {
    /// It shows their sum as `__other__`.
    Yes,
    /// It leaves them out: a ratio, a mean or a position of several instruments says nothing.
    No,
}

/// A row that can be folded.
pub(super) trait Foldable {
    /// The value of its label.
    fn name(&self) -> &str;
    /// What is counted of it for ever.
    fn counters(&self) -> &Counters;
    /// How many series it costs.
    fn weight(&self) -> Weight;
    /// Whether it must not fold; `subjects` are what causes of halts are about.
    fn is_in_trouble(&self, subjects: &BTreeSet<String>) -> bool;
    /// Whether anything is held or open under it.
    fn is_held(&self) -> bool;
    /// A sum of none.
    fn nothing() -> Self;
    /// Adds what can be added up.
    fn add(&mut self, more: &Self);
    /// Adds counters.
    fn add_counters(&mut self, more: &Counters);
}

impl Foldable for SymbolRow {
    fn name(&self) -> &str {
        self.symbol.as_str()
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn is_in_trouble(&self, subjects: &BTreeSet<String>) -> bool {
        self.drift.as_ref().is_some_and(|drift| drift.severity.is_some())
            || self.anomalies.iter().any(|level| *level > 0)
            || (!subjects.is_empty() && subjects.contains(self.name()))
    }

    fn is_held(&self) -> bool {
        let holds = self.position.as_ref().is_some_and(|position| {
            let books = [position.local, position.broker, Some(position.ledger)];
            books.into_iter().flatten().any(|quantity| !quantity.is_zero())
        });
        holds || self.open > 0
    }

    fn nothing() -> Self {
        Self {
            symbol: Symbol::other(),
            counters: Counters::default(),
            figures: crate::domain::execution::figures::Figures::default(),
            open: 0,
            unacknowledged: 0,
            anomalies: [0; Figure::ALL.len()],
            position: None,
            drift: None,
            weight: Weight::default(),
        }
    }

    fn add(&mut self, more: &Self) {
        self.open += more.open;
        self.unacknowledged += more.unacknowledged;
        self.add_counters(&more.counters);
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

    fn weight(&self) -> Weight {
        self.weight
    }

    fn is_in_trouble(&self, _subjects: &BTreeSet<String>) -> bool {
        false
    }

    fn is_held(&self) -> bool {
        false
    }

    fn nothing() -> Self {
        Self {
            name: Symbol::OTHER.to_owned(),
            counters: Counters::default(),
            figures: crate::domain::execution::figures::Figures::default(),
            weight: Weight::default(),
        }
    }

    fn add(&mut self, more: &Self) {
        self.add_counters(&more.counters);
    }

    fn add_counters(&mut self, more: &Counters) {
        add(&mut self.counters, more);
    }
}

/// Adds what /metrics shows of the counters of a row.
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
