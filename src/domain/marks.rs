//! Tables by symbol that tell which of their rows may have changed.
//!
//! Input: changes of rows. Output: a mark for each row. Whoever keeps a copy of some rows keeps their
//! marks too, and has to copy only those again whose mark is another. Invariants: whoever can change
//! a row has raised its mark; marks only rise. They are no part of the state: not stored, not shown,
//! and a state that was read back begins anew.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::symbols::SymbolKey;

/// A number that is raised with each change of what it stands beside.
#[derive(Clone, Copy, Default)]
pub struct Mark(u64);

impl Mark {
    /// Raises it.
    pub const fn raise(&mut self) {
        self.0 += 1;
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Mark {
    /// Nothing of a state: two that are equal have changed differently often.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

/// A number for each row, raised with each change.
#[derive(Clone, Default)]
struct Marks {
    each: Vec<u64>,
    all: u64,
}

impl Marks {
    fn raise(&mut self, row: usize) {
        if self.each.len() <= row {
            self.each.resize(row + 1, 0);
        }
        if let Some(mark) = self.each.get_mut(row) {
            *mark += 1;
        }
    }

    const fn raise_all(&mut self) {
        self.all += 1;
    }

    fn get(&self, row: usize) -> u64 {
        self.all + self.each.get(row).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Marks {
    /// Nothing, as of one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks")
    }
}

/// A row for each key up to the highest, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkedRows<T> {
    rows: Vec<T>,
    #[serde(skip)]
    marks: Marks,
}

impl<T> Default for MarkedRows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), marks: Marks::default() }
    }
}

impl<T> MarkedRows<T> {
    /// The row at a place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        self.rows.get(at)
    }

    /// The row at a place, to change it.
    #[must_use]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let row = self.rows.get_mut(at);
        if row.is_some() {
            self.marks.raise(at);
        }
        row
    }

    /// All rows, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.marks.raise_all();
        self.rows.iter_mut()
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Makes rows up to that length.
    pub fn grow(&mut self, len: usize, row: impl FnMut() -> T) {
        for at in self.rows.len()..len {
            self.marks.raise(at);
        }
        self.rows.resize_with(len.max(self.rows.len()), row);
    }

    /// The mark of a row, or of where one would be.
    #[must_use]
    pub fn mark(&self, key: SymbolKey) -> u64 {
        self.marks.get(key.index())
    }
}

/// Rows of some keys, in the order of keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkedMap<T> {
    rows: BTreeMap<SymbolKey, T>,
    #[serde(skip)]
    marks: Marks,
}

impl<T> Default for MarkedMap<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), marks: Marks::default() }
    }
}

impl<T> MarkedMap<T> {
    /// The row of a key.
    #[must_use]
    pub fn get(&self, key: &SymbolKey) -> Option<&T> {
        self.rows.get(key)
    }

    /// The row of a key, to change it.
    #[must_use]
    pub fn get_mut(&mut self, key: &SymbolKey) -> Option<&mut T> {
        let row = self.rows.get_mut(key);
        if row.is_some() {
            self.marks.raise(key.index());
        }
        row
    }

    /// The row of a key, to change it; made if need be.
    pub fn or_insert_with(&mut self, key: SymbolKey, row: impl FnOnce() -> T) -> &mut T {
        self.marks.raise(key.index());
        self.rows.entry(key).or_insert_with(row)
    }

    /// Takes the row of a key out.
    pub fn remove(&mut self, key: &SymbolKey) -> Option<T> {
        self.marks.raise(key.index());
        self.rows.remove(key)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &SymbolKey> {
        self.rows.keys()
    }

    /// The rows with their keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&SymbolKey, &T)> {
        self.rows.iter()
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&SymbolKey, &mut T)> {
        self.marks.raise_all();
        self.rows.iter_mut()
    }

    /// Raises all marks: what stands beside the rows has changed.
    pub const fn raise_all(&mut self) {
        self.marks.raise_all();
    }

    /// The mark of a key, whether it has a row or not.
    #[must_use]
    pub fn mark(&self, key: SymbolKey) -> u64 {
        self.marks.get(key.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Symbol;
    use crate::domain::symbols::SymbolTable;

    /// Which of three keys `change` marks.
    fn marked<T>(
        table: &mut T,
        mark: impl Fn(&T, SymbolKey) -> u64,
        change: impl FnOnce(&mut T, [SymbolKey; 3]),
    ) -> [bool; 3] {
        let mut symbols = SymbolTable::default();
        let keys = ["A", "B", "C"].map(|name| symbols.intern(&Symbol::new(name).unwrap(), || true));
        let before = keys.map(|key| mark(table, key));
        change(table, keys);
        let mut keys = keys.into_iter().zip(before);
        [(); 3].map(|()| keys.next().is_some_and(|(key, before)| mark(table, key) > before))
    }

    #[test]
    fn rows_that_can_be_changed_are_marked() {
        let mut rows = MarkedRows::default();
        let mut check = |change: fn(&mut MarkedRows<u8>), expect: [bool; 3]| {
            assert_eq!(marked(&mut rows, MarkedRows::mark, |rows, _| change(rows)), expect);
        };
        check(|rows| assert_eq!(rows.get_mut(0), None), [false; 3]);
        check(|rows| rows.grow(2, || 7), [true, true, false]);
        check(|rows| assert_eq!((rows.get(1), rows.len()), (Some(&7), 2)), [false; 3]);
        check(|rows| *rows.get_mut(1).unwrap() = 8, [false, true, false]);
        check(|rows| rows.grow(1, || 9), [false; 3]);
        check(|rows| rows.grow(3, || 9), [false, false, true]);
        check(|rows| drop(rows.iter_mut()), [true; 3]);
    }

    #[test]
    fn rows_of_a_map_are_marked_too() {
        let mut rows = MarkedMap::default();
        let mut check = |change: fn(&mut MarkedMap<u8>, SymbolKey), expect: [bool; 3]| {
            let change = |rows: &mut MarkedMap<u8>, [_, b, _]: [SymbolKey; 3]| change(rows, b);
            assert_eq!(marked(&mut rows, MarkedMap::mark, change), expect);
        };
        check(|rows, b| assert_eq!(rows.get_mut(&b), None), [false; 3]);
        check(|rows, b| *rows.or_insert_with(b, || 7) = 8, [false, true, false]);
        check(|rows, b| assert_eq!(rows.get(&b), Some(&8)), [false; 3]);
        check(|rows, b| *rows.get_mut(&b).unwrap() = 9, [false, true, false]);
        check(|rows, b| assert_eq!(rows.iter().collect::<Vec<_>>(), [(&b, &9)]), [false; 3]);
        check(|rows, b| assert_eq!(rows.remove(&b), Some(9)), [false, true, false]);
        check(|rows, _| drop(rows.iter_mut()), [true; 3]);
        check(|rows, _| rows.raise_all(), [true; 3]);
    }
}
