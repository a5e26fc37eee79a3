//! A small interner: ids that are repeated within a batch share one allocation.
//!
//! Input: the text of an id. Output: the id, made now or cloned from an earlier one. Invariants:
//! bounded; an id is found by its whole text, so the result is the one that `make` would give.
//!
//! Most events of a batch are about few accounts and symbols, and the writer's thread frees each id,
//! so a shared text saves an allocation here and its release there.

use std::borrow::Borrow;

use crate::domain::ids::{Account, Currency, Strategy, Symbol, Venue};
use crate::wire::json::swar::hash_ends;

/// Slots for symbols, and for ids of each other kind, at most.
const SYMBOLS_MAX: usize = 512;
const OTHERS_MAX: usize = 16;

/// Leaves as many of the highest bits of a hash as a slot number has.
const SLOT_SHIFT: u32 = u64::BITS - SYMBOLS_MAX.ilog2();

/// The tables of one batch; the default ones keep nothing.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    pub(super) accounts: InternTable<Account>,
    pub(super) symbols: InternTable<Symbol>,
    pub(super) currencies: InternTable<Currency>,
    pub(super) strategies: InternTable<Strategy>,
    pub(super) venues: InternTable<Venue>,
}

impl Interner {
    /// For about this many events. For a single one nothing is worth keeping.
    pub(crate) fn for_events(events: usize) -> Self {
        if events <= 1 {
            return Self::default();
        }
        let (others, symbols) = (events.min(OTHERS_MAX), events.min(SYMBOLS_MAX));
        Self {
            accounts: InternTable::new(others),
            symbols: InternTable::new(symbols),
            currencies: InternTable::new(others),
            strategies: InternTable::new(others),
            venues: InternTable::new(others),
        }
    }
}

/// Ids of one kind, each in the slot that its hash chooses; a new id replaces the one in its slot.
#[derive(Debug)]
pub(super) struct InternTable<T> {
    slots: Vec<Option<T>>,
    /// A power of two; 0: nothing is kept.
    slots_max: usize,
}

impl<T> Default for InternTable<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), slots_max: 0 }
    }
}

impl<T: Borrow<str> + Clone> InternTable<T> {
    const fn new(slots_max: usize) -> Self {
        Self { slots: Vec::new(), slots_max: slots_max.next_power_of_two() }
    }

    /// The id with this text.
    ///
    /// # Errors
    /// Those of `make`.
    #[inline]
    pub(super) fn get<E>(
        &mut self,
        text: &str,
        make: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.slots.is_empty() && self.slots_max > 0 {
            self.slots.resize(self.slots_max, None);
        }
        let hash = (hash_ends(text.as_bytes()) >> SLOT_SHIFT) as usize;
        let at = hash & self.slots.len().wrapping_sub(1);
        let Some(slot) = self.slots.get_mut(at) else { return make(text) };
        match slot {
            Some(id) if Borrow::<str>::borrow(id) == text => Ok(id.clone()),
            _ => {
                let id = make(text)?;
                *slot = Some(id.clone());
                Ok(id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_by_its_whole_text() {
        let mut symbols = Interner::for_events(3).symbols;
        let texts = ["A", "B", "é", "SYM00001", "SYM00002", "AAPL  261218C00200000", ""];
        for text in texts.iter().cycle().take(70) {
            assert_eq!(symbols.get(text, Symbol::new), Symbol::new(text), "{text}");
        }
        assert!(symbols.slots.len() <= 4, "it is bounded");
    }

    #[test]
    fn ids_that_differ_in_a_digit_have_slots_of_their_own() {
        let check = |name: fn(usize) -> String| {
            let mut symbols = Interner::for_events(1_000).symbols;
            (0..100).for_each(|n| drop(symbols.get(&name(n), Symbol::new)));
            let kept = symbols.slots.iter().flatten().count();
            assert!(kept > 80, "{kept} of 100 like {}", name(0));
        };
        check(|n| format!("S{n:02}"));
        check(|n| format!("SY{n:02}"));
        check(|n| format!("SYM{n:05}"));
        check(|n| format!("SYM{n:02}-PERP"));
        check(|n| format!("COIN{n:02}/USDT:USDT"));
        check(|n| format!("{n:02}.XNAS"));
    }

    #[test]
    fn a_repeated_id_shares_its_text() {
        let shared = |events| {
            let mut symbols = Interner::for_events(events).symbols;
            let [first, again] = [(); 2].map(|()| symbols.get("A", Symbol::new).expect("a symbol"));
            std::ptr::eq(first.as_str(), again.as_str())
        };
        assert!(shared(2));
        assert!(!shared(1), "for one event, nothing is kept");
    }
}
