//! Per-symbol tables with a version for each row.
//!
//! Input: changes of rows. Output: a version for each row. A reader that caches rows compares
//! versions, and copies only the rows whose version changed. Invariants: every method that hands out
//! a mutable row has bumped its version; versions only rise. Versions are not part of the state: they
//! are neither stored nor shown, and start again at 0 in a state that was restored.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::symbols::SymbolKey;

/// A number that is bumped with every change of the value beside it.
#[derive(Clone, Copy, Default)]
pub struct Version(u64);

impl Version {
    /// Bumps the version.
    pub const fn bump(&mut self) {
        self.0 += 1;
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Version {
    /// Without the number: equal states may have different versions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Version")
    }
}

/// A version for each row, plus one that counts for all rows.
#[derive(Clone, Default)]
struct RowVersions {
    each: Vec<u64>,
    all: u64,
}

impl RowVersions {
    fn bump(&mut self, row: usize) {
        if self.each.len() <= row {
            self.each.resize(row + 1, 0);
        }
        let Some(version) = self.each.get_mut(row) else {
            impossible!("the table was just resized to hold the row");
            return;
        };
        *version += 1;
    }

    const fn bump_all(&mut self) {
        self.all += 1;
    }

    fn get(&self, row: usize) -> u64 {
        self.all + self.each.get(row).copied().unwrap_or_default()
    }
}

impl fmt::Debug for RowVersions {
    /// Without the numbers, as for a single [`Version`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowVersions")
    }
}

/// A row for every key up to the highest, in one flat table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionedRows<T> {
    rows: Vec<T>,
    #[serde(skip)]
    versions: RowVersions,
}

impl<T> Default for VersionedRows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), versions: RowVersions::default() }
    }
}

impl<T> VersionedRows<T> {
    /// The row at a place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        self.rows.get(at)
    }

    /// The row at a place, mutable.
    #[must_use]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let row = self.rows.get_mut(at);
        if row.is_some() {
            self.versions.bump(at);
        }
        row
    }

    /// All rows, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.versions.bump_all();
        self.rows.iter_mut()
    }

    /// Number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds rows up to `len`.
    pub fn grow(&mut self, len: usize, row: impl FnMut() -> T) {
        for at in self.rows.len()..len {
            self.versions.bump(at);
        }
        self.rows.resize_with(len.max(self.rows.len()), row);
    }

    /// The version of a row, or of the place where it would be.
    #[must_use]
    pub fn version(&self, key: SymbolKey) -> u64 {
        self.versions.get(key.index())
    }
}

/// Rows for some of the keys, in the order of keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionedMap<T> {
    rows: BTreeMap<SymbolKey, T>,
    #[serde(skip)]
    versions: RowVersions,
}

impl<T> Default for VersionedMap<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), versions: RowVersions::default() }
    }
}

impl<T> VersionedMap<T> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of a key.
    #[must_use]
    pub fn get(&self, key: &SymbolKey) -> Option<&T> {
        self.rows.get(key)
    }

    /// The row of a key, mutable.
    #[must_use]
    pub fn get_mut(&mut self, key: &SymbolKey) -> Option<&mut T> {
        let row = self.rows.get_mut(key);
        if row.is_some() {
            self.versions.bump(key.index());
        }
        row
    }

    /// The row of a key, mutable; made from `row` if there is none.
    pub fn or_insert_with(&mut self, key: SymbolKey, row: impl FnOnce() -> T) -> &mut T {
        self.versions.bump(key.index());
        self.rows.entry(key).or_insert_with(row)
    }

    /// Removes the row of a key.
    pub fn remove(&mut self, key: &SymbolKey) -> Option<T> {
        self.versions.bump(key.index());
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

    /// The rows with their keys, in order, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&SymbolKey, &mut T)> {
        self.versions.bump_all();
        self.rows.iter_mut()
    }

    /// Bumps all versions, because a value that the rows depend on has changed.
    pub const fn bump_all(&mut self) {
        self.versions.bump_all();
    }

    /// The version of a key, whether or not it has a row.
    #[must_use]
    pub fn version(&self, key: SymbolKey) -> u64 {
        self.versions.get(key.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Symbol;
    use crate::domain::symbols::SymbolTable;

    /// Whether `change` bumps the version of each of three keys.
    fn bumped<T>(
        table: &mut T,
        version: impl Fn(&T, SymbolKey) -> u64,
        change: impl FnOnce(&mut T, [SymbolKey; 3]),
    ) -> [bool; 3] {
        let mut symbols = SymbolTable::default();
        let keys =
            ["A", "B", "C"].map(|name| symbols.intern(&Symbol::new(name).unwrap(), usize::MAX));
        let before = keys.map(|key| version(table, key));
        change(table, keys);
        let mut keys = keys.into_iter().zip(before);
        [(); 3].map(|()| keys.next().is_some_and(|(key, before)| version(table, key) > before))
    }

    #[test]
    fn a_row_handed_out_mutable_has_a_new_version() {
        let mut rows = VersionedRows::default();
        let mut check = |change: fn(&mut VersionedRows<u8>), expect: [bool; 3]| {
            assert_eq!(bumped(&mut rows, VersionedRows::version, |rows, _| change(rows)), expect);
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
    fn a_mutable_row_of_a_map_has_a_new_version() {
        let mut rows = VersionedMap::default();
        let mut check = |change: fn(&mut VersionedMap<u8>, SymbolKey), expect: [bool; 3]| {
            let change = |rows: &mut VersionedMap<u8>, [_, b, _]: [SymbolKey; 3]| change(rows, b);
            assert_eq!(bumped(&mut rows, VersionedMap::version, change), expect);
        };
        check(|rows, b| assert_eq!(rows.get_mut(&b), None), [false; 3]);
        check(|rows, b| *rows.or_insert_with(b, || 7) = 8, [false, true, false]);
        check(|rows, b| assert_eq!(rows.get(&b), Some(&8)), [false; 3]);
        check(|rows, b| *rows.get_mut(&b).unwrap() = 9, [false, true, false]);
        check(|rows, b| assert_eq!(rows.iter().collect::<Vec<_>>(), [(&b, &9)]), [false; 3]);
        check(|rows, b| assert_eq!(rows.remove(&b), Some(9)), [false, true, false]);
        check(|rows, _| drop(rows.iter_mut()), [true; 3]);
        check(|rows, _| rows.bump_all(), [true; 3]);
    }
}
