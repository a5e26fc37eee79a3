//! How many series something costs on /metrics, without writing them.
//!
//! Input: rows of the projection. Output: counts, by the same rows of the catalogue that the encoder
//! walks, so they cannot disagree with it.

use crate::metrics::catalogue::{self, Family, Source};
use crate::metrics::encode::Points;
use crate::metrics::projection::{AccountRow, BreakdownRow, ControlRow, SymbolRow};
use crate::metrics::shown::{Shown, Summed, Weight};

/// Series of a family about one row.
fn count(family: &'static Family, write: impl FnOnce(&mut Points<'_>)) -> u64 {
    let mut nowhere = String::new();
    let mut points = Points::counting(&mut nowhere, family);
    write(&mut points);
    points.series()
}

/// What a symbol costs.
pub(super) fn weigh_symbol(account: &AccountRow, row: &SymbolRow) -> Weight {
    weigh(|family| match family.source {
        Source::Symbol(read) => count(family, |points| read(row, points)),
        Source::Within(_, each) => count(family, |points| each(account, row, points)),
        Source::Account(_)
        | Source::Control(_)
        | Source::Strategy(_)
        | Source::Venue(_)
        | Source::Exporter(_)
        | Source::Runtime => 0,
    })
}

/// What a strategy costs; a venue costs the same.
pub(super) fn weigh_strategy(row: &BreakdownRow) -> Weight {
    weigh(|family| match family.source {
        Source::Strategy(read) => count(family, |points| read(row, points)),
        Source::Symbol(_)
        | Source::Within(..)
        | Source::Account(_)
        | Source::Control(_)
        | Source::Venue(_)
        | Source::Exporter(_)
        | Source::Runtime => 0,
    })
}

fn weigh(series: impl Fn(&'static Family) -> u64) -> Weight {
    let mut weight = Weight::default();
    for family in catalogue::all() {
        let series = u32::try_from(series(family)).unwrap_or(u32::MAX);
        weight.whole += series;
        if family.summed == Summed::No {
            weight.alone += series;
        }
    }
    weight
}

/// What an account costs without its symbols, strategies and venues.
pub(super) fn weigh_account(row: &AccountRow) -> u64 {
    let own = |family: &'static Family| match family.source {
        Source::Account(read) => count(family, |points| read(row, points)),
        Source::Within(own, _) => count(family, |points| own(row, points)),
        Source::Control(read) => count(family, |points| read(&row.control, points)),
        Source::Symbol(_)
        | Source::Strategy(_)
        | Source::Venue(_)
        | Source::Exporter(_)
        | Source::Runtime => 0,
    };
    catalogue::all().map(own).sum()
}

/// What holds for all accounts costs.
pub(super) fn weigh_common(row: &ControlRow) -> u64 {
    catalogue::all().map(|family| count_common(family, row)).sum()
}

/// Series of a family that are shown of what holds for all accounts.
#[must_use]
pub fn count_common(family: &'static Family, row: &ControlRow) -> u64 {
    match family.source {
        Source::Control(read) => count(family, |points| read(row, points)),
        Source::Account(_)
        | Source::Within(..)
        | Source::Symbol(_)
        | Source::Strategy(_)
        | Source::Venue(_)
        | Source::Exporter(_)
        | Source::Runtime => 0,
    }
}

/// Series of a family that are shown of an account.
#[must_use]
pub fn count_family(family: &'static Family, row: &AccountRow) -> u64 {
    let fold = &row.fold;
    count(family, |points| match family.source {
        Source::Symbol(read) => {
            each_shown(family, &row.symbols, &fold.symbols, |row| read(row, points));
        }
        Source::Strategy(read) => {
            each_shown(family, &row.strategies, &fold.strategies, |row| read(row, points));
        }
        Source::Venue(read) => {
            each_shown(family, &row.venues, &fold.venues, |row| read(row, points));
        }
        Source::Within(own, each) => {
            own(row, points);
            each_shown(family, &row.symbols, &fold.symbols, |symbol| each(row, symbol, points));
        }
        Source::Account(read) => read(row, points),
        Source::Control(read) => read(&row.control, points),
        Source::Exporter(_) | Source::Runtime => {}
    })
}

fn each_shown<R>(family: &Family, rows: &[R], shown: &Shown<R>, mut each: impl FnMut(&R)) {
    for n in 0..shown.len(rows.len(), family.summed) {
        if let Some((_, row)) = shown.at(n, rows, family.summed) {
            each(row);
        }
    }
}
