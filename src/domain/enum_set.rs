//! A set of members of an enum, one bit each.
//!
//! Invariants: the enum has at most 16 members; a member keeps its bit, because sets are stored: the
//! enum only gets members at the end (see `closed_set`). Absent: other integer widths, set algebra beyond the
//! union.

use std::marker::PhantomData;

use enum_map::Enum;
use serde::{Deserialize, Serialize};

/// A set of members of `E`, one bit each.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct EnumSet<E>(u16, PhantomData<fn() -> E>);

impl<E: Enum> EnumSet<E> {
    fn bit(member: E) -> u16 {
        const { assert!(E::LENGTH <= 16) };
        1 << member.into_usize()
    }

    /// Adds a member. Returns whether it is new.
    pub fn insert(&mut self, member: E) -> bool {
        let before = self.0;
        self.0 |= Self::bit(member);
        self.0 != before
    }

    /// Removes a member. Returns whether it was in the set.
    pub fn remove(&mut self, member: E) -> bool {
        let before = self.0;
        self.0 &= !Self::bit(member);
        self.0 != before
    }

    /// Whether the set has this member.
    #[must_use]
    pub fn contains(self, member: E) -> bool {
        self.0 & Self::bit(member) != 0
    }

    /// Whether the set has no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds every member of another set.
    pub const fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The members, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = E> {
        let members = (0..E::LENGTH).filter(move |at| self.0 & (1 << at) != 0);
        members.map(E::from_usize)
    }
}

// Derived implementations would ask `E` for the same traits.
impl<E> Clone for EnumSet<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for EnumSet<E> {}

impl<E> Default for EnumSet<E> {
    fn default() -> Self {
        Self(0, PhantomData)
    }
}

impl<E> PartialEq for EnumSet<E> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<E> Eq for EnumSet<E> {}

impl<E: Enum + std::fmt::Debug> std::fmt::Debug for EnumSet<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<E: Enum> FromIterator<E> for EnumSet<E> {
    fn from_iter<I: IntoIterator<Item = E>>(members: I) -> Self {
        let mut set = Self::default();
        for member in members {
            set.insert(member);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
    enum Coin {
        Penny,
        Dime,
        Quarter,
    }

    #[test]
    fn members_enter_and_leave_once() {
        let mut set = EnumSet::default();
        assert!(set.is_empty());
        assert!(set.insert(Coin::Quarter) && !set.insert(Coin::Quarter));
        assert!(set.insert(Coin::Penny));
        assert!(set.contains(Coin::Penny) && !set.contains(Coin::Dime));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Coin::Penny, Coin::Quarter]);
        assert_eq!(format!("{set:?}"), "{Penny, Quarter}");
        let other: EnumSet<Coin> = [Coin::Dime].into_iter().collect();
        set.extend(other);
        assert!(set.remove(Coin::Dime) && !set.remove(Coin::Dime));
        assert_eq!(set, [Coin::Quarter, Coin::Penny].into_iter().collect());
    }
}
