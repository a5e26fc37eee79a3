//! About how many bytes the state takes, and who is refused when that is too much.
//!
//! Input: the bytes of each account. Output: [`Pressure`], which tells what may still be recorded.
//! Invariants: below the ceiling nobody is refused; above it, those who use most are refused first, and
//! nobody is refused for what others use while he uses less than an equal share. The estimate follows
//! from the records, but the ceiling is that of the machine: so the fold never looks at it, and an
//! event is refused before it is recorded. `tests/fold/weight.rs` compares the estimate with memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::Account;

/// An account without anything in it.
pub const ACCOUNT: usize = 12 << 10;
/// A name in the table of symbols.
pub const SYMBOL: usize = 160;
/// Figures of a symbol, a strategy or a venue.
pub const SCOPE: usize = 1_100;
/// Books of a symbol, without flows.
pub const BOOKS: usize = 1_900;
/// A row of a snapshot.
pub const ROW: usize = 120;
/// A change of position.
pub const FLOW: usize = 48;
/// A drift of the history.
pub const DRIFT: usize = 500;
/// The id of an event, with the digest of its content.
pub const EVENT_ID: usize = 160;
/// An order, its place and its first id.
pub const ORDER: usize = 620;
/// Another id of an order.
pub const ORDER_ID: usize = 180;
/// A terminal fact of an order.
pub const ORDER_END: usize = 110;
/// An execution of an order.
pub const FILL: usize = 300;
/// A bust or a correction.
pub const AMENDMENT: usize = 130;
/// An entry in a window.
pub const WINDOW_ENTRY: usize = 150;
/// A strategy, a venue, a type of order.
pub const WORD: usize = 120;
/// A component and its witnesses.
pub const COMPONENT: usize = 500;
/// A result of a component, without its message.
pub const RESULT: usize = 72;
/// A cause on a latch.
pub const CAUSE: usize = 400;
/// A line of the audit trail, without its texts.
pub const AUDIT_LINE: usize = 300;
/// A note of an adapter, without its texts.
pub const NOTE: usize = 140;
/// The id of an alert.
pub const ALERT: usize = 80;

/// Everything that is held for one sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// An account that the configuration names, or that a sender without a token opened.
    Account(Account),
    /// All accounts that one token opened.
    Token(Box<str>),
}

/// The bytes of one [`Holder`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HeldBytes {
    bytes: u64,
    /// The configuration names it: room is kept back for it.
    is_named: bool,
}

/// About the bytes of the state, by holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateWeight {
    bytes: u64,
    holders: BTreeMap<Holder, HeldBytes>,
}

/// The effect of a state above its ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressure {
    over: BTreeSet<Holder>,
    is_hard: bool,
}

/// The events that a holder may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Everything.
    All,
    /// Facts of known orders, and what [`Self::Vital`] admits.
    KnownOrders,
    /// Heartbeats of known components, snapshots of known symbols.
    Vital,
    /// Nothing. Decisions are never refused.
    Nothing,
}

impl StateWeight {
    /// Adds bytes of a holder.
    pub fn add(&mut self, holder: Holder, bytes: usize, is_named: bool) {
        let bytes = bytes as u64;
        self.bytes += bytes;
        let held = self.holders.entry(holder).or_default();
        held.bytes += bytes;
        held.is_named |= is_named;
    }

    /// Adds bytes that no holder is charged for.
    pub const fn add_common(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// About the bytes of the whole state.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pressure under a ceiling. An eighth of it is kept back for accounts that the configuration
    /// names; beyond a quarter more than it, the pressure is hard.
    #[must_use]
    pub fn pressure(&self, bytes_max: u64) -> Option<Pressure> {
        let for_others = bytes_max - bytes_max / 8;
        if self.bytes <= for_others {
            return None;
        }
        let others = self.equal_share(for_others);
        let named = if self.bytes > bytes_max { self.equal_share(bytes_max) } else { u64::MAX };
        let is_over = |held: &HeldBytes| held.bytes > if held.is_named { named } else { others };
        let over = self.holders.iter().filter(|(_, held)| is_over(held));
        let over = over.map(|(holder, _)| holder.clone()).collect();
        Some(Pressure { over, is_hard: self.bytes > bytes_max + bytes_max / 4 })
    }

    /// The most that a holder may have so that all fit: what those with less leave over is shared by
    /// the others.
    fn equal_share(&self, bytes_max: u64) -> u64 {
        let mut held: Vec<u64> = self.holders.values().map(|held| held.bytes).collect();
        held.sort_unstable();
        let mut left = bytes_max;
        let mut sharing = held.len() as u64;
        for bytes in held {
            let share = left / sharing.max(1);
            if bytes > share {
                return share;
            }
            left -= bytes;
            sharing -= 1;
        }
        u64::MAX
    }
}

impl Pressure {
    /// A few of the holders that use most, whose events are refused.
    #[must_use]
    pub fn refused(&self) -> Vec<&Holder> {
        self.over.iter().take(8).collect()
    }

    /// The events that a holder may still send.
    #[must_use]
    pub fn admission(&self, holder: &Holder) -> Admission {
        match (self.over.contains(holder), self.is_hard) {
            (false, false) => Admission::All,
            (false, true) => Admission::KnownOrders,
            (true, false) => Admission::Vital,
            (true, true) => Admission::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Admission::{All, KnownOrders, Nothing, Vital};

    fn token(name: &str) -> Holder {
        Holder::Token(name.into())
    }

    fn named(name: &str) -> Holder {
        Holder::Account(Account::new(name).expect("an account"))
    }

    #[test]
    fn those_who_use_most_are_refused_first() {
        let check = |held: &[(&str, usize)], expect: &[Admission]| {
            let mut weight = StateWeight::default();
            for (name, bytes) in held {
                match name.strip_prefix('@') {
                    Some(name) => weight.add(named(name), *bytes, true),
                    None => weight.add(token(name), *bytes, false),
                }
            }
            let found: Vec<Admission> = held
                .iter()
                .map(|(name, _)| {
                    let holder = name.strip_prefix('@').map_or_else(|| token(name), named);
                    let pressure = weight.pressure(800);
                    pressure.map_or(Admission::All, |pressure| pressure.admission(&holder))
                })
                .collect();
            assert_eq!(found, expect, "{held:?}");
        };
        check(&[("a", 700)], &[All]);
        check(&[("a", 701)], &[Vital]);
        check(&[("@live", 800)], &[All]);
        check(&[("@live", 801)], &[Vital]);
        // A small one is not refused for a large one.
        check(&[("a", 690), ("b", 20)], &[Vital, All]);
        check(&[("a", 690), ("b", 20), ("@live", 90)], &[Vital, All, All]);
        check(&[("a", 690), ("b", 20), ("@live", 300)], &[Nothing, KnownOrders, KnownOrders]);
        check(&[("a", 400), ("b", 380), ("c", 10)], &[Vital, Vital, All]);
        check(&[("a", 400), ("b", 300), ("c", 10)], &[Vital, All, All]);
        check(&[("@live", 500), ("a", 301)], &[Vital, All]);
    }
}
