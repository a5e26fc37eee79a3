//! The symbols of one account as small numbers, with a bound.
//!
//! Input: symbols. Output: [`SymbolKey`]s that index flat tables. Invariant: past the bound a new symbol
//! gets the key of [`Symbol::OTHER`], which is not monitored.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::domain::ids::Symbol;

/// A fixed hasher, for maps whose order is never visible.
pub type FixedState = BuildHasherDefault<SipHasher13>;

/// The number of a symbol within its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SymbolKey(u32);

impl SymbolKey {
    /// The index into flat tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The symbols of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "StoredSymbols")]
pub struct SymbolTable {
    #[serde(skip_serializing)]
    keys: HashMap<Symbol, SymbolKey, FixedState>,
    /// By key; none: retired.
    names: Vec<Option<Symbol>>,
    folded: u64,
    /// The key of [`Symbol::OTHER`], once a symbol was folded. Kept because every event needs it.
    #[serde(skip_serializing)]
    other: Option<SymbolKey>,
}

impl SymbolTable {
    /// The key of a known symbol.
    #[must_use]
    pub fn get(&self, symbol: &Symbol) -> Option<SymbolKey> {
        self.keys.get(symbol).copied()
    }

    /// Whether fewer than `max` symbols are watched.
    #[must_use]
    pub fn has_room(&self, max: usize) -> bool {
        self.keys.len() - usize::from(self.other.is_some()) < max
    }

    /// The key of a symbol. A new symbol gets a new key while fewer than `max` are watched; past that it
    /// is folded and counted.
    pub fn intern(&mut self, symbol: &Symbol, max: usize) -> SymbolKey {
        if let Some(key) = self.get(symbol) {
            return key;
        }
        if self.has_room(max) {
            return self.insert(symbol.clone());
        }
        self.folded += 1;
        self.other.unwrap_or_else(|| self.insert(Symbol::other()))
    }

    fn insert(&mut self, symbol: Symbol) -> SymbolKey {
        let key = SymbolKey(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        if symbol.as_str() == Symbol::OTHER {
            self.other = Some(key);
        }
        self.names.push(Some(symbol.clone()));
        self.keys.insert(symbol, key);
        key
    }

    /// The symbol of a key.
    #[must_use]
    pub fn name(&self, key: SymbolKey) -> Option<&Symbol> {
        self.names.get(key.index())?.as_ref()
    }

    /// The key of [`Symbol::OTHER`], once a symbol was folded.
    #[must_use]
    pub const fn other(&self) -> Option<SymbolKey> {
        self.other
    }

    /// Whether the key is that of [`Symbol::OTHER`].
    #[must_use]
    pub fn is_other(&self, key: SymbolKey) -> bool {
        self.other == Some(key)
    }

    /// All keys and symbols, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolKey, &Symbol)> {
        self.iter_from(0)
    }

    /// All keys and symbols but the first `skip` keys.
    pub fn iter_from(&self, skip: usize) -> impl Iterator<Item = (SymbolKey, &Symbol)> {
        let keys = (0..).map(SymbolKey).zip(&self.names).skip(skip);
        keys.filter_map(|(key, name)| Some((key, name.as_ref()?)))
    }

    /// Forgets a symbol. Its key is not used again; if the symbol returns, it gets a new one.
    pub fn retire(&mut self, key: SymbolKey) {
        if let Some(symbol) = self.names.get_mut(key.index()).and_then(Option::take) {
            self.keys.remove(&symbol);
            self.other = self.other.filter(|other| *other != key);
        }
    }

    /// Number of symbols retired so far.
    #[must_use]
    pub fn retired(&self) -> usize {
        self.names.len() - self.keys.len()
    }

    /// Number of symbols, `__other__` included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of events and snapshot rows about symbols past the bound.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }
}

/// The stored form of a table. The keys are the positions of the names.
#[derive(Deserialize)]
struct StoredSymbols {
    names: Vec<Option<Symbol>>,
    folded: u64,
}

impl From<StoredSymbols> for SymbolTable {
    fn from(stored: StoredSymbols) -> Self {
        let StoredSymbols { names, folded } = stored;
        let keys = (0..).map(SymbolKey).zip(&names);
        let keys = keys.filter_map(|(key, name)| Some((name.clone()?, key)));
        let keys: HashMap<Symbol, SymbolKey, FixedState> = keys.collect();
        let other = keys.get(Symbol::OTHER).copied();
        Self { keys, names, folded, other }
    }
}
