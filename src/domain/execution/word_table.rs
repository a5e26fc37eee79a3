//! Interned words of the orders of an account: strategies, venues, types of orders, times in force.
//!
//! Input: a word. Output: its place, 4 bytes instead of a string for each order. Invariants: a word
//! has one place; at most [`limits::WORDS_MAX`] are kept, and further ones are shown as
//! [`Symbol::OTHER`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::compact::NonMaxU32;
use crate::domain::ids::Symbol;
use crate::domain::limits;

/// The interned words of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "StoredWordTable")]
pub(super) struct WordTable {
    all: Vec<Box<str>>,
    #[serde(skip_serializing)]
    places: BTreeMap<Box<str>, u32>,
}

impl WordTable {
    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The place of a word; a new word gets one.
    pub(super) fn place(&mut self, word: &str) -> NonMaxU32 {
        if let Some(place) = self.places.get(word) {
            return (*place).into();
        }
        let is_full = self.all.len() + 1 >= limits::WORDS_MAX;
        if is_full && word != Symbol::OTHER {
            return self.place(Symbol::OTHER);
        }
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(word.into());
        self.places.insert(word.into(), place);
        place.into()
    }

    /// The word at a place.
    #[must_use]
    pub(super) fn get(&self, place: NonMaxU32) -> Option<&str> {
        self.all.get(place.get() as usize).map(|word| &**word)
    }
}

/// The stored form: words in the order of their places.
#[derive(Deserialize)]
struct StoredWordTable {
    all: Vec<Box<str>>,
}

impl From<StoredWordTable> for WordTable {
    fn from(stored: StoredWordTable) -> Self {
        let places = stored.all.iter().cloned().zip(0..).collect();
        Self { all: stored.all, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_place_and_their_number_is_bounded() {
        let mut words = WordTable::default();
        let limit = words.place("limit");
        assert_eq!((words.place("limit"), words.get(limit)), (limit, Some("limit")));
        for number in 0..2 * limits::WORDS_MAX {
            words.place(&number.to_string());
        }
        let further = words.place("further");
        assert_eq!(words.get(further), Some(Symbol::OTHER));
        assert_eq!((words.all.len(), words.get(limit)), (limits::WORDS_MAX, Some("limit")));
        let again = WordTable::from(StoredWordTable { all: words.all.clone() });
        assert_eq!(again.places, words.places);
    }
}
