//! Names that came before, so that the same name of the next event shares their text.
//!
//! Input: checked names. Output: clones of them. Invariants: bounded; a name is found by its whole
//! text, so what is given out is what would have been made anew. It is here because most events of a
//! batch are of few accounts and symbols: an event has 2 allocations of its own instead of 4, and as
//! many to free on the writer's side.

use std::borrow::Borrow;

use crate::domain::ids::{Account, Currency, Strategy, Symbol, Venue};

/// The most symbols that are remembered, and the most of each other kind.
const SYMBOLS_MAX: usize = 512;
const OTHERS_MAX: usize = 16;

/// The highest bits of a hash make a place.
const PLACE_SHIFT: u32 = u64::BITS - SYMBOLS_MAX.ilog2();

/// The names of the events before; by default, none is remembered.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) accounts: Known<Account>,
    pub(crate) symbols: Known<Symbol>,
    pub(crate) currencies: Known<Currency>,
    pub(crate) strategies: Known<Strategy>,
    pub(crate) venues: Known<Venue>,
}

impl Names {
    /// For about so many events. For one, nothing is worth remembering.
    pub(crate) fn for_events(events: usize) -> Self {
        if events <= 1 {
            return Self::default();
        }
        let (others, symbols) = (events.min(OTHERS_MAX), events.min(SYMBOLS_MAX));
        Self {
            accounts: Known::new(others),
            symbols: Known::new(symbols),
            currencies: Known::new(others),
            strategies: Known::new(others),
            venues: Known::new(others),
        }
    }
}

/// Names of one kind, each in the place that its text leads to; a newer one takes the place.
#[derive(Debug)]
pub(crate) struct Known<T> {
    places: Vec<Option<T>>,
    places_max: usize,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { places: Vec::new(), places_max: 0 }
    }
}

impl<T: Borrow<str> + Clone> Known<T> {
    const fn new(places_max: usize) -> Self {
        Self { places: Vec::new(), places_max: places_max.next_power_of_two() }
    }

    /// The name of that text, remembered or made.
    #[inline]
    pub(crate) fn get<E>(
        &mut self,
        text: &str,
        make: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.places.is_empty() && self.places_max > 0 {
            self.places.resize(self.places_max, None);
        }
        let at = hash(text.as_bytes()) & self.places.len().wrapping_sub(1);
        let Some(place) = self.places.get_mut(at) else { return make(text) };
        match place {
            Some(known) if Borrow::<str>::borrow(known) == text => Ok(known.clone()),
            _ => {
                let name = make(text)?;
                *place = Some(name.clone());
                Ok(name)
            }
        }
    }
}

/// Spreads the names of one sender: by their first and last bytes.
#[inline]
fn hash(text: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let word = if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>())
    {
        u64::from_le_bytes(*first).wrapping_mul(FACTOR) ^ u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        half(first) << 32 | half(last)
    } else {
        text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    // The highest bits of a product depend on all others; no others do.
    (word.wrapping_mul(FACTOR) >> PLACE_SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_their_text() {
        let mut names = Names::for_events(3);
        let texts = ["A", "B", "é", "SYM00001", "SYM00002", "AAPL  261218C00200000", ""];
        for text in texts.iter().cycle().take(70) {
            assert_eq!(names.symbols.get(text, Symbol::new), Symbol::new(text), "{text}");
        }
        assert!(names.symbols.places.len() <= 4, "it is bounded");
    }

    #[test]
    fn names_that_differ_in_a_digit_have_places_of_their_own() {
        let check = |name: fn(usize) -> String| {
            let mut symbols = Names::for_events(1_000).symbols;
            (0..100).for_each(|n| drop(symbols.get(&name(n), Symbol::new)));
            let kept = symbols.places.iter().flatten().count();
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
    fn what_comes_again_shares_its_text() {
        let shared = |events| {
            let mut known = Names::for_events(events).symbols;
            let [first, again] = [(); 2].map(|()| known.get("A", Symbol::new).expect("a name"));
            std::ptr::eq(first.as_str(), again.as_str())
        };
        assert!(shared(2));
        assert!(!shared(1), "for one event, nothing is kept");
    }
}
