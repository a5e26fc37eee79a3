//! The budget of series: which symbols, strategies, venues and components fold into `__other__`.
//!
//! Input: the projection of a scrape, with the weight of each row. Output: what is shown of each
//! account. Invariants: up to the budget everything stands under its own name; past it the
//! quietest rows of the account with the most series fold, never one in trouble; a counter of
//! `__other__` never goes down. Deliberately absent: anything that is watched; it folds labels
//! alone.
//!
//! # Design
//! `__other__` is the sum of the rows that are folded, so a row that came and went would be a reset
//! to Prometheus, and a reset counts the whole sum as an increase. Hence a row that is folded stays
//! folded, and its drift or anomaly is shown beside the sum, under its own name, without its
//! counters. When there is room again (below [`ROOMY`]), the loudest come back, and what they had
//! added to the sum stays in it ([`Folds::carried`]). All scrapes share one budget, or two of them
//! would show two sums. It is no part of the state: after a restart the quietest of then fold.

mod components;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};

use crate::domain::execution::counters::Counters;
use crate::domain::ids::{Account, Symbol};
use crate::domain::limits;
use crate::domain::symbols::FixedState;
use crate::metrics::projection::{AccountRow, Projection};
use crate::metrics::shown::{AccountFold, Foldable, Part, Shown};
use crate::metrics::weigh::{weigh_account, weigh_common};
use components::{FoldedComponents, well};

/// Rows come back while less than this part of the budget, in hundredths, is used.
const ROOMY: u64 = 80;
/// Series that the sum of an account may cost: counters, some of them for each currency.
const OTHER_SERIES: u64 = 128;

/// Which rows are folded, of all accounts that a scraper sees.
#[derive(Debug, Default)]
pub struct Budget {
    accounts: BTreeMap<Account, Folded>,
    /// How often a row was folded, by [`Label`], and then components.
    folds: [u64; 4],
}

/// What is folded of one account.
#[derive(Debug, Default)]
struct Folded {
    symbols: Folds,
    strategies: Folds,
    venues: Folds,
    components: FoldedComponents,
}

/// Values of one label that are folded.
#[derive(Debug, Default)]
struct Folds {
    names: HashSet<Box<str>, FixedState>,
    /// What rows that came back had added to the sum.
    carried: BTreeMap<Box<str>, Counters>,
}

/// What folds first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Symbol,
    Strategy,
    Venue,
}

/// A row that may change its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    label: Label,
    is_held: bool,
    /// Orders and executions so far.
    activity: u64,
    /// The one first seen folds last.
    place: Reverse<usize>,
    /// Series that folding it saves.
    saves: u64,
}

/// What an account costs.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// All series.
    series: u64,
    /// Those of rows that may fold.
    foldable: u64,
}

impl Budget {
    /// How often a symbol, a strategy, a venue and a component was folded.
    #[must_use]
    pub(super) const fn folds(&self) -> [u64; 4] {
        self.folds
    }

    /// Chooses what is shown of each account; the sums hold what was carried alone.
    pub(super) fn choose(&mut self, projection: &mut Projection) {
        // The exporter's own series are exposed beside those of the state.
        let limit = projection.common.settings.series.max.saturating_sub(limits::SERIES_OWN);
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let costs: Vec<Cost> = projection.accounts.iter().map(|row| self.cost(row)).collect();
        let series = costs.iter().map(|cost| cost.series).sum::<u64>();
        let series = series + weigh_common(&projection.common);
        if series > limit {
            let over = self.fold(&projection.accounts, &costs, series - limit);
            self.fold_components(&projection.accounts, over);
        } else if series < limit / 100 * ROOMY {
            self.unfold(&projection.accounts, limit / 100 * ROOMY - series);
        }
        for row in &mut projection.accounts {
            let folded = self.accounts.get(&row.control.account);
            show(row, folded);
        }
    }

    fn cost(&self, row: &AccountRow) -> Cost {
        let nothing = Folded::default();
        let folded = self.accounts.get(&row.control.account).unwrap_or(&nothing);
        let series = weigh_account(row) - folded.components.saves(&row.control);
        let own = Cost { series, foldable: 0 };
        let fold = &row.fold;
        let costs = [
            folded.symbols.cost(&row.symbols, fold),
            folded.strategies.cost(&row.strategies, fold),
            folded.venues.cost(&row.venues, fold),
        ];
        costs.into_iter().fold(own, |sum, cost| Cost {
            series: sum.series + cost.series,
            foldable: sum.foldable + cost.foldable,
        })
    }

    /// Folds the quietest rows of the account with the most, until so many series are saved. How many
    /// are left to save.
    fn fold(&mut self, accounts: &[AccountRow], costs: &[Cost], over: u64) -> u64 {
        let mut over = over;
        let mut largest: BinaryHeap<(u64, Reverse<usize>)> =
            costs.iter().enumerate().map(|(at, cost)| (cost.foldable, Reverse(at))).collect();
        let mut quietest: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
        while over > 0
            && let Some((foldable, Reverse(at))) = largest.pop()
        {
            let Some(row) = accounts.get(at) else { continue };
            let folded = self.accounts.entry(row.control.account.clone()).or_default();
            let waiting = quietest.entry(at).or_insert_with(|| folded.candidates(row));
            let Some(candidate) = waiting.pop() else { continue };
            let before = folded.of(candidate.label).cost_of_sum();
            folded.insert(row, candidate);
            let more = folded.of(candidate.label).cost_of_sum() - before;
            over = (over + more).saturating_sub(candidate.saves);
            if let Some(folds) = self.folds.get_mut(candidate.label as usize) {
                *folds += 1;
            }
            largest.push((foldable.saturating_sub(candidate.saves), Reverse(at)));
        }
        over
    }

    /// Folds the components of the accounts with the most, until so many series are saved.
    fn fold_components(&mut self, accounts: &[AccountRow], over: u64) {
        let mut over = over;
        let mut most: Vec<&AccountRow> =
            accounts.iter().filter(|row| well(&row.control) > 1).collect();
        most.sort_by_key(|row| Reverse(well(&row.control)));
        for row in most {
            if over == 0 {
                return;
            }
            let folded = self.accounts.entry(row.control.account.clone()).or_default();
            let components = &mut folded.components;
            let (before, saved) = (components.len(), components.saves(&row.control));
            components.fold(&row.control);
            over = over.saturating_sub(components.saves(&row.control) - saved);
            let [.., folds] = &mut self.folds;
            *folds += (components.len() - before) as u64;
        }
    }

    /// Lets the loudest rows come back while there is room for so many series.
    fn unfold(&mut self, accounts: &[AccountRow], room: u64) {
        let mut loudest: Vec<(Candidate, usize)> = Vec::new();
        for (at, row) in accounts.iter().enumerate() {
            if let Some(folded) = self.accounts.get(&row.control.account) {
                loudest.extend(folded.folded(row).into_iter().map(|candidate| (candidate, at)));
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
            if let Some(folded) = self.accounts.get_mut(&row.control.account) {
                folded.remove(row, candidate);
            }
        }
    }
}

impl Folded {
    const fn of(&self, label: Label) -> &Folds {
        match label {
            Label::Symbol => &self.symbols,
            Label::Strategy => &self.strategies,
            Label::Venue => &self.venues,
        }
    }

    /// Rows that may fold, the quietest last.
    fn candidates(&self, row: &AccountRow) -> Vec<Candidate> {
        let fold = &row.fold;
        let mut all = Vec::new();
        all.extend(self.symbols.candidates(Label::Symbol, &row.symbols, fold, Is::Whole));
        all.extend(self.strategies.candidates(Label::Strategy, &row.strategies, fold, Is::Whole));
        all.extend(self.venues.candidates(Label::Venue, &row.venues, fold, Is::Whole));
        all.sort_unstable_by(|one, other| other.cmp(one));
        all
    }

    /// Rows that are folded.
    fn folded(&self, row: &AccountRow) -> Vec<Candidate> {
        let fold = &row.fold;
        let mut all = Vec::new();
        all.extend(self.symbols.candidates(Label::Symbol, &row.symbols, fold, Is::Folded));
        all.extend(self.strategies.candidates(Label::Strategy, &row.strategies, fold, Is::Folded));
        all.extend(self.venues.candidates(Label::Venue, &row.venues, fold, Is::Folded));
        all
    }

    fn insert(&mut self, row: &AccountRow, candidate: Candidate) {
        let place = candidate.place.0;
        match candidate.label {
            Label::Symbol => self.symbols.insert(row.symbols.get(place)),
            Label::Strategy => self.strategies.insert(row.strategies.get(place)),
            Label::Venue => self.venues.insert(row.venues.get(place)),
        }
    }

    fn remove(&mut self, row: &AccountRow, candidate: Candidate) {
        let place = candidate.place.0;
        match candidate.label {
            Label::Symbol => self.symbols.remove(row.symbols.get(place)),
            Label::Strategy => self.strategies.remove(row.strategies.get(place)),
            Label::Venue => self.venues.remove(row.venues.get(place)),
        }
    }
}

/// Whether a row is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Whole,
    Folded,
}

impl Folds {
    /// Whether there is a sum to show.
    fn has_sum(&self) -> bool {
        !self.names.is_empty() || !self.carried.is_empty()
    }

    fn cost_of_sum(&self) -> u64 {
        if self.has_sum() { OTHER_SERIES } else { 0 }
    }

    /// Whether a row is folded; that of the state's own `__other__` is, where there is a sum.
    fn is(&self, row: &impl Foldable) -> Is {
        let name = row.name();
        let is_folded = self.has_sum() && (self.names.contains(name) || name == Symbol::OTHER);
        if is_folded { Is::Folded } else { Is::Whole }
    }

    fn cost<R: Foldable>(&self, rows: &[R], fold: &AccountFold) -> Cost {
        let mut cost = Cost { series: self.cost_of_sum(), foldable: 0 };
        for row in rows {
            let is_in_trouble = row.is_in_trouble(&fold.subjects);
            let weight = row.weight();
            match self.is(row) {
                Is::Folded if is_in_trouble => cost.series += u64::from(weight.alone),
                Is::Folded => {}
                Is::Whole => {
                    let whole = u64::from(weight.whole);
                    cost.series += whole;
                    cost.foldable += if is_in_trouble { 0 } else { whole };
                }
            }
        }
        cost
    }

    /// Rows that are whole or folded; of the whole, those that may fold.
    fn candidates<'a, R: Foldable>(
        &'a self,
        label: Label,
        rows: &'a [R],
        fold: &'a AccountFold,
        is: Is,
    ) -> impl Iterator<Item = Candidate> + 'a {
        let rows = rows.iter().enumerate().filter(move |(_, row)| {
            let may = is == Is::Folded || !row.is_in_trouble(&fold.subjects);
            row.name() != Symbol::OTHER && self.is(*row) == is && may
        });
        rows.map(move |(place, row)| {
            let counters = row.counters();
            Candidate {
                label,
                is_held: row.is_held(),
                activity: counters.submitted + counters.fills,
                place: Reverse(place),
                saves: u64::from(row.weight().whole),
            }
        })
    }

    fn insert<R: Foldable>(&mut self, row: Option<&R>) {
        let Some(row) = row else { return };
        self.carried.remove(row.name());
        self.names.insert(row.name().into());
    }

    fn remove<R: Foldable>(&mut self, row: Option<&R>) {
        let Some(row) = row else { return };
        if self.names.remove(row.name()) {
            self.carried.insert(row.name().into(), row.counters().clone());
        }
    }

    /// What is shown of rows. The sum holds what was carried.
    fn shown<R: Foldable>(&self, rows: &[R], fold: &AccountFold) -> Shown<R> {
        if !self.has_sum() {
            return Shown::All;
        }
        let (mut whole, mut alone, mut folded) = (Vec::new(), Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            match self.is(row) {
                Is::Whole => whole.push(place),
                Is::Folded => {
                    folded.push(place);
                    if row.is_in_trouble(&fold.subjects) {
                        alone.push(place);
                    }
                }
            }
        }
        let mut other = R::nothing();
        self.carried.values().for_each(|counters| other.add_counters(counters));
        Shown::Some(Box::new(Part { whole, alone, folded, other }))
    }
}

/// Says what is shown of an account.
fn show(row: &mut AccountRow, folded: Option<&Folded>) {
    let (symbols, strategies, venues) = match folded {
        None => (Shown::All, Shown::All, Shown::All),
        Some(folded) => (
            folded.symbols.shown(&row.symbols, &row.fold),
            folded.strategies.shown(&row.strategies, &row.fold),
            folded.venues.shown(&row.venues, &row.fold),
        ),
    };
    if let Some(folded) = folded {
        folded.components.apply(&mut row.control);
    }
    row.fold.symbols = symbols;
    row.fold.strategies = strategies;
    row.fold.venues = venues;
}

/// Adds some of the rows that are folded to the sum, from the `from`th on. The next one; none: all
/// are in it.
pub(super) fn add_some<R: Foldable>(
    rows: &[R],
    shown: &mut Shown<R>,
    from: usize,
    at_once: usize,
) -> Option<usize> {
    let Shown::Some(part) = shown else { return None };
    let Part { folded, other, .. } = &mut **part;
    for place in folded.iter().skip(from).take(at_once) {
        if let Some(row) = rows.get(*place) {
            other.add(row);
        }
    }
    let next = from + at_once;
    (next < folded.len()).then_some(next)
}
