//! The budget of series: which symbols, strategies, venues and components fold into `__other__`.
//!
//! Input: the projection of a scrape, with the weight of each row. Output: which rows of each account
//! are shown. Invariants: within the budget every row is shown under its own name; above it the
//! quietest rows of the account with the most series fold, never one in trouble; a counter of
//! `__other__` never decreases. Deliberately absent: any effect on monitoring; only labels fold.
//!
//! # Design
//! `__other__` is the sum of the folded rows. If a row left the sum, its counters would decrease;
//! Prometheus takes a decrease for a reset and counts the whole sum as an increase. So a folded row
//! stays folded. When it gets into trouble (a drift, an anomaly, a halt), its gauges are shown under its
//! own name beside the sum, and its counters stay in the sum.
//!
//! When usage falls below [`UNFOLD_BELOW_PERCENT`], the most active rows unfold, and the counts that
//! they had added to the sum stay in it ([`FoldedValues::carried`]). All scrapes share one budget;
//! otherwise two scrapers would see two different sums. The budget is not part of the monitored state:
//! after a restart, the rows that are quietest then fold. `tests/fold/budget.rs` checks that counters
//! never decrease.

mod components;
mod foldable;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};

use enum_map::EnumMap;

use crate::domain::execution::counters::Counters;
use crate::domain::ids::{Account, Symbol};
use crate::domain::limits;
use crate::domain::symbols::FixedState;
use crate::metrics::label_values::FoldLabel;
use crate::metrics::rows::{AccountFold, AccountRow, Projection};
use crate::metrics::selection::{FoldedRows, RowSelection};
use crate::metrics::weigh::{weigh_account, weigh_control};
use components::{FoldedComponents, foldable_components};
use foldable::Foldable;

/// Rows unfold while less than this share of the budget is used.
const UNFOLD_BELOW_PERCENT: u64 = 80;
/// Series of the sum of an account: counters, some of them for each currency.
const OTHER_SERIES: u64 = 128;

/// The folded rows of all accounts that a scraper sees.
#[derive(Debug, Default)]
pub struct SeriesBudget {
    accounts: BTreeMap<Account, FoldedAccount>,
    /// How often a value of each label was folded.
    folds: EnumMap<FoldLabel, u64>,
}

/// The series of one account that are folded.
#[derive(Debug, Default)]
struct FoldedAccount {
    /// Unused for [`FoldLabel::Component`], which folds by `components`.
    values: EnumMap<FoldLabel, FoldedValues>,
    components: FoldedComponents,
}

/// The folded values of one label.
#[derive(Debug, Default)]
struct FoldedValues {
    names: HashSet<Box<str>, FixedState>,
    /// Counts that unfolded rows had added to the sum.
    carried: BTreeMap<Box<str>, Counters>,
}

/// A row that may fold or unfold. The order is the order of folding: the least folds first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FoldCandidate {
    label: FoldLabel,
    is_held: bool,
    /// Orders and executions so far.
    activity: u64,
    /// The index of the row: of two equal rows, the one that was seen first folds last.
    index: Reverse<usize>,
    /// Series that folding it saves.
    saves: u64,
}

/// The series of an account.
#[derive(Clone, Copy, Debug, Default)]
struct AccountCost {
    series: u64,
    /// Series of rows that can fold.
    foldable: u64,
}

impl SeriesBudget {
    /// How often a value of each label was folded.
    #[must_use]
    pub(super) const fn folds(&self) -> &EnumMap<FoldLabel, u64> {
        &self.folds
    }

    /// Chooses which rows of each account are shown. The sums hold the carried counts only;
    /// [`add_some`] adds the folded rows.
    pub(super) fn choose(&mut self, projection: &mut Projection) {
        // The exporter's own series use a part of the budget too.
        let limit = projection.common.settings.series.max.saturating_sub(limits::SERIES_OWN);
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let costs: Vec<AccountCost> =
            projection.accounts.iter().map(|row| self.cost(row)).collect();
        let series = costs.iter().map(|cost| cost.series).sum::<u64>();
        let series = series + weigh_control(&projection.common);
        let roomy = limit / 100 * UNFOLD_BELOW_PERCENT;
        if series > limit {
            let over = self.fold(&projection.accounts, &costs, series - limit);
            self.fold_components(&projection.accounts, over);
        } else if series < roomy {
            self.unfold(&projection.accounts, roomy - series);
        }
        for row in &mut projection.accounts {
            let folded = self.accounts.get(&row.control.account);
            select_rows(row, folded);
        }
    }

    fn cost(&self, row: &AccountRow) -> AccountCost {
        let nothing = FoldedAccount::default();
        let folded = self.accounts.get(&row.control.account).unwrap_or(&nothing);
        let series = weigh_account(row) - folded.components.saves(&row.control);
        let own = AccountCost { series, foldable: 0 };
        let fold = &row.fold;
        let costs = [
            folded.values[FoldLabel::Symbol].cost(&row.symbols, fold),
            folded.values[FoldLabel::Strategy].cost(&row.strategies, fold),
            folded.values[FoldLabel::Venue].cost(&row.venues, fold),
        ];
        costs.into_iter().fold(own, |sum, cost| AccountCost {
            series: sum.series + cost.series,
            foldable: sum.foldable + cost.foldable,
        })
    }

    /// Folds the quietest rows of the account with the most foldable series until `over` series are
    /// saved. Returns how many are left to save.
    fn fold(&mut self, accounts: &[AccountRow], costs: &[AccountCost], over: u64) -> u64 {
        let mut over = over;
        let mut largest: BinaryHeap<(u64, Reverse<usize>)> =
            costs.iter().enumerate().map(|(at, cost)| (cost.foldable, Reverse(at))).collect();
        let mut quietest: BTreeMap<usize, Vec<FoldCandidate>> = BTreeMap::new();
        while over > 0
            && let Some((foldable, Reverse(at))) = largest.pop()
        {
            let Some(row) = accounts.get(at) else { continue };
            let folded = self.accounts.entry(row.control.account.clone()).or_default();
            let waiting = quietest.entry(at).or_insert_with(|| folded.foldable(row));
            let Some(candidate) = waiting.pop() else { continue };
            let values = &mut folded.values[candidate.label];
            let before = values.cost_of_sum();
            if let Some((name, _)) = row_of(row, candidate) {
                values.insert(name);
            }
            let more = values.cost_of_sum() - before;
            over = (over + more).saturating_sub(candidate.saves);
            self.folds[candidate.label] += 1;
            largest.push((foldable.saturating_sub(candidate.saves), Reverse(at)));
        }
        over
    }

    /// Folds the components of the accounts with the most until `over` series are saved.
    fn fold_components(&mut self, accounts: &[AccountRow], over: u64) {
        let mut over = over;
        let mut most: Vec<&AccountRow> =
            accounts.iter().filter(|row| foldable_components(&row.control) > 1).collect();
        most.sort_by_key(|row| Reverse(foldable_components(&row.control)));
        for row in most {
            if over == 0 {
                return;
            }
            let folded = self.accounts.entry(row.control.account.clone()).or_default();
            let components = &mut folded.components;
            let (before, saved) = (components.len(), components.saves(&row.control));
            components.fold(&row.control);
            over = over.saturating_sub(components.saves(&row.control) - saved);
            self.folds[FoldLabel::Component] += (components.len() - before) as u64;
        }
    }

    /// Unfolds components, then the most active rows, while there is room for their series.
    fn unfold(&mut self, accounts: &[AccountRow], room: u64) {
        let mut loudest: Vec<(FoldCandidate, usize)> = Vec::new();
        for (at, row) in accounts.iter().enumerate() {
            if let Some(folded) = self.accounts.get(&row.control.account) {
                let candidates = folded.candidates(row, IsFolded::Yes);
                loudest.extend(candidates.into_iter().map(|candidate| (candidate, at)));
            }
        }
        loudest.sort_unstable_by(|one, other| other.cmp(one));
        let mut room = room;
        for row in accounts {
            let Some(folded) = self.accounts.get_mut(&row.control.account) else { continue };
            let saves = folded.components.saves(&row.control);
            if saves <= room {
                room -= saves;
                folded.components.clear();
            }
        }
        for (candidate, at) in loudest {
            if candidate.saves > room {
                break;
            }
            room -= candidate.saves;
            let Some(row) = accounts.get(at) else { continue };
            let folded = self.accounts.get_mut(&row.control.account);
            if let Some((folded, (name, counters))) = folded.zip(row_of(row, candidate)) {
                folded.values[candidate.label].remove(name, counters);
            }
        }
    }
}

/// The name and the counters of the row that a candidate is about.
fn row_of(row: &AccountRow, candidate: FoldCandidate) -> Option<(&str, &Counters)> {
    fn named<R: Foldable>(row: &R) -> (&str, &Counters) {
        (row.name(), row.counters())
    }
    let index = candidate.index.0;
    match candidate.label {
        FoldLabel::Symbol => row.symbols.get(index).map(named),
        FoldLabel::Strategy => row.strategies.get(index).map(named),
        FoldLabel::Venue => row.venues.get(index).map(named),
        FoldLabel::Component => None,
    }
}

impl FoldedAccount {
    /// The rows that can fold, the quietest last.
    fn foldable(&self, row: &AccountRow) -> Vec<FoldCandidate> {
        let mut all = self.candidates(row, IsFolded::No);
        all.sort_unstable_by(|one, other| other.cmp(one));
        all
    }

    fn candidates(&self, row: &AccountRow, is_folded: IsFolded) -> Vec<FoldCandidate> {
        let values = &self.values;
        let mut all = Vec::new();
        let label = FoldLabel::Symbol;
        all.extend(values[label].candidates(label, &row.symbols, &row.fold, is_folded));
        let label = FoldLabel::Strategy;
        all.extend(values[label].candidates(label, &row.strategies, &row.fold, is_folded));
        let label = FoldLabel::Venue;
        all.extend(values[label].candidates(label, &row.venues, &row.fold, is_folded));
        all
    }
}

/// Whether a row is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsFolded {
    No,
    Yes,
}

impl FoldedValues {
    /// Whether there is a sum to show.
    fn has_sum(&self) -> bool {
        !self.names.is_empty() || !self.carried.is_empty()
    }

    fn cost_of_sum(&self) -> u64 {
        if self.has_sum() { OTHER_SERIES } else { 0 }
    }

    /// Whether a row is folded. The state has an `__other__` of its own; it is folded once there is a
    /// sum.
    fn is_folded(&self, row: &impl Foldable) -> IsFolded {
        let name = row.name();
        let is_folded = self.has_sum() && (self.names.contains(name) || name == Symbol::OTHER);
        if is_folded { IsFolded::Yes } else { IsFolded::No }
    }

    fn cost<R: Foldable>(&self, rows: &[R], fold: &AccountFold) -> AccountCost {
        let mut cost = AccountCost { series: self.cost_of_sum(), foldable: 0 };
        for row in rows {
            let is_in_trouble = row.is_in_trouble(&fold.subjects);
            let weight = row.weight();
            match self.is_folded(row) {
                IsFolded::Yes if is_in_trouble => cost.series += u64::from(weight.in_trouble),
                IsFolded::Yes => {}
                IsFolded::No => {
                    let series = u64::from(weight.unfolded);
                    cost.series += series;
                    cost.foldable += if is_in_trouble { 0 } else { series };
                }
            }
        }
        cost
    }

    /// The rows that are folded, or those that can fold.
    fn candidates<'a, R: Foldable>(
        &'a self,
        label: FoldLabel,
        rows: &'a [R],
        fold: &'a AccountFold,
        is_folded: IsFolded,
    ) -> impl Iterator<Item = FoldCandidate> + 'a {
        let rows = rows.iter().enumerate().filter(move |(_, row)| {
            let may = is_folded == IsFolded::Yes || !row.is_in_trouble(&fold.subjects);
            row.name() != Symbol::OTHER && self.is_folded(*row) == is_folded && may
        });
        rows.map(move |(index, row)| {
            let counters = row.counters();
            FoldCandidate {
                label,
                is_held: row.is_held(),
                activity: counters.submitted + counters.fills,
                index: Reverse(index),
                saves: u64::from(row.weight().unfolded),
            }
        })
    }

    fn insert(&mut self, name: &str) {
        self.carried.remove(name);
        self.names.insert(name.into());
    }

    fn remove(&mut self, name: &str, counters: &Counters) {
        if self.names.remove(name) {
            self.carried.insert(name.into(), counters.clone());
        }
    }

    /// The rows that are shown. The sum holds the carried counts only.
    fn select<R: Foldable>(&self, rows: &[R], fold: &AccountFold) -> RowSelection<R> {
        if !self.has_sum() {
            return RowSelection::All;
        }
        let (mut unfolded, mut in_trouble, mut folded) = (Vec::new(), Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            match self.is_folded(row) {
                IsFolded::No => unfolded.push(index),
                IsFolded::Yes => {
                    folded.push(index);
                    if row.is_in_trouble(&fold.subjects) {
                        in_trouble.push(index);
                    }
                }
            }
        }
        let mut sum = R::empty_sum();
        self.carried.values().for_each(|counters| sum.add_counters(counters));
        RowSelection::Folded(Box::new(FoldedRows { unfolded, in_trouble, folded, sum }))
    }
}

/// Sets which rows of an account are shown.
fn select_rows(row: &mut AccountRow, folded: Option<&FoldedAccount>) {
    let Some(FoldedAccount { values, components }) = folded else {
        row.fold.symbols = RowSelection::All;
        row.fold.strategies = RowSelection::All;
        row.fold.venues = RowSelection::All;
        return;
    };
    row.fold.symbols = values[FoldLabel::Symbol].select(&row.symbols, &row.fold);
    row.fold.strategies = values[FoldLabel::Strategy].select(&row.strategies, &row.fold);
    row.fold.venues = values[FoldLabel::Venue].select(&row.venues, &row.fold);
    components.apply(&mut row.control);
}

/// Adds up to `count` folded rows to the sum, from the `from`th on. Returns where to go on; `None` when
/// all are added.
pub(super) fn add_some<R: Foldable>(
    rows: &[R],
    selection: &mut RowSelection<R>,
    from: usize,
    count: usize,
) -> Option<usize> {
    let RowSelection::Folded(part) = selection else { return None };
    let FoldedRows { folded, sum, .. } = &mut **part;
    for index in folded.iter().skip(from).take(count) {
        if let Some(row) = rows.get(*index) {
            sum.add(row);
        }
    }
    let next = from + count;
    (next < folded.len()).then_some(next)
}
