//! The number of series that rows cost on /metrics, without writing them.
//!
//! Input: rows. Output: counts, from the same functions of the catalogue that the encoder calls, so the
//! two cannot disagree.

use crate::metrics::catalogue;
use crate::metrics::family::{Family, SampleSource};
use crate::metrics::points::Points;
use crate::metrics::rows::{AccountRow, BreakdownRow, ControlRow, SymbolRow};
use crate::metrics::selection::{RowSelection, SeriesWeight, Summed};

fn count(family: &'static Family, write: impl FnOnce(&mut Points<'_>)) -> u64 {
    let mut unused = String::new();
    let mut points = Points::counting(&mut unused, &family.descriptor);
    write(&mut points);
    points.series()
}

pub(super) fn weigh_symbol(account: &AccountRow, row: &SymbolRow) -> SeriesWeight {
    weigh(|family| match family.source {
        SampleSource::Symbol(read) => count(family, |points| read(row, points)),
        SampleSource::Within(_, each) => count(family, |points| each(account, row, points)),
        SampleSource::Account(_)
        | SampleSource::Control(_)
        | SampleSource::Strategy(_)
        | SampleSource::Venue(_)
        | SampleSource::Exporter(_)
        | SampleSource::Runtime => 0,
    })
}

/// The weight of a strategy. A venue has the same families, and so the same weight.
pub(super) fn weigh_strategy(row: &BreakdownRow) -> SeriesWeight {
    weigh(|family| {
        let SampleSource::Strategy(read) = family.source else { return 0 };
        count(family, |points| read(row, points))
    })
}

fn weigh(series: impl Fn(&'static Family) -> u64) -> SeriesWeight {
    let mut weight = SeriesWeight::default();
    for family in catalogue::all() {
        let series = u32::try_from(series(family)).unwrap_or(u32::MAX);
        weight.unfolded += series;
        if family.summed == Summed::No {
            weight.in_trouble += series;
        }
    }
    weight
}

/// Series of an account without its symbols, strategies and venues.
pub(super) fn weigh_account(row: &AccountRow) -> u64 {
    let own = |family: &'static Family| match family.source {
        SampleSource::Account(read) => count(family, |points| read(row, points)),
        SampleSource::Within(own, _) => count(family, |points| own(row, points)),
        SampleSource::Control(read) => count(family, |points| read(&row.control, points)),
        SampleSource::Symbol(_)
        | SampleSource::Strategy(_)
        | SampleSource::Venue(_)
        | SampleSource::Exporter(_)
        | SampleSource::Runtime => 0,
    };
    catalogue::all().map(own).sum()
}

/// Series of a control row, in all families.
pub(super) fn weigh_control(row: &ControlRow) -> u64 {
    catalogue::all().map(|family| count_control(family, row)).sum()
}

/// Series of a family for the row of `*`.
#[must_use]
pub fn count_control(family: &'static Family, row: &ControlRow) -> u64 {
    let SampleSource::Control(read) = family.source else { return 0 };
    count(family, |points| read(row, points))
}

/// Series of a family for an account, its symbols, strategies and venues; folded rows count as they
/// are written.
#[must_use]
pub fn count_account(family: &'static Family, row: &AccountRow) -> u64 {
    let fold = &row.fold;
    count(family, |points| match family.source {
        SampleSource::Symbol(read) => {
            each_selected(family, &row.symbols, &fold.symbols, |row| read(row, points));
        }
        SampleSource::Strategy(read) => {
            each_selected(family, &row.strategies, &fold.strategies, |row| read(row, points));
        }
        SampleSource::Venue(read) => {
            each_selected(family, &row.venues, &fold.venues, |row| read(row, points));
        }
        SampleSource::Within(own, each) => {
            own(row, points);
            each_selected(family, &row.symbols, &fold.symbols, |symbol| each(row, symbol, points));
        }
        SampleSource::Account(read) => read(row, points),
        SampleSource::Control(read) => read(&row.control, points),
        SampleSource::Exporter(_) | SampleSource::Runtime => {}
    })
}

fn each_selected<R>(
    family: &Family,
    rows: &[R],
    selection: &RowSelection<R>,
    mut each: impl FnMut(&R),
) {
    for n in 0..selection.len(rows.len(), family.summed) {
        if let Some((_, row)) = selection.at(n, rows, family.summed) {
            each(row);
        }
    }
}
