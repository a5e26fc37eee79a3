//! Lists that are mostly empty, and places that are mostly taken: small, for there are a million
//! orders of them.
//!
//! Input and output: values. Stored as what they stand for: a list, a number.

use std::iter::Chain;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::{option, vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list that is mostly empty: as long as it is, it takes the room of a pointer.
#[derive(Clone, Debug)]
#[expect(clippy::box_collection, reason = "a vector takes three times as much while it is empty")]
pub struct Few<T>(Option<Box<Vec<T>>>);

impl<T> Few<T> {
    /// Adds one at the end.
    pub fn push(&mut self, value: T) {
        // Most that are not empty hold one, and a vector would begin with four.
        let list = self.0.get_or_insert_with(|| Box::new(Vec::with_capacity(1)));
        list.push(value);
    }

    /// Moves all of `other` to the end.
    pub fn append(&mut self, other: &mut Self) {
        if let Some(mut other) = other.0.take() {
            self.0.get_or_insert_default().append(&mut other);
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::deserialize(deserializer)?;
        Ok(Self((!list.is_empty()).then(|| Box::new(list))))
    }
}

/// A list that mostly holds one: as long as it does, nothing is allocated for it.
#[derive(Clone, Debug)]
pub struct MostlyOne<T> {
    first: Option<T>,
    others: Vec<T>,
}

impl<T> MostlyOne<T> {
    /// Adds one at the end.
    #[inline]
    pub fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.others.push(value);
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first.
    #[must_use]
    pub const fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    /// All, from the first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.others)
    }

    /// The same, to change them.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.others)
    }
}

impl<T> Default for MostlyOne<T> {
    fn default() -> Self {
        Self { first: None, others: Vec::new() }
    }
}

impl<T> IntoIterator for MostlyOne<T> {
    type Item = T;
    type IntoIter = Chain<option::IntoIter<T>, vec::IntoIter<T>>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

impl<T> FromIterator<T> for MostlyOne<T> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut values = values.into_iter();
        Self { first: values.next(), others: values.collect() }
    }
}

/// A place in a table: without one, an option of it takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct Place32(NonZeroU32);

impl Place32 {
    /// The place as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get() - 1
    }
}

/// The last number stands for the one before it: no table is as long.
impl From<u32> for Place32 {
    fn from(place: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(place))
    }
}

impl From<Place32> for u32 {
    fn from(place: Place32) -> Self {
        place.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_a_list() {
        let (mut one, mut other) = (Few::default(), Few::default());
        one.append(&mut other);
        assert!(one.is_empty());
        other.push(1);
        other.push(2);
        one.push(0);
        one.append(&mut other);
        assert_eq!((&*one, &*other), ([0, 1, 2].as_slice(), [].as_slice()));
        one.iter_mut().for_each(|number| *number += 1);
        assert_eq!(&*one, [1, 2, 3]);
    }

    #[test]
    fn mostly_one_is_a_list() {
        let mut list = MostlyOne::default();
        for number in 0..3 {
            assert_eq!(list.is_empty(), number == 0);
            list.push(number);
        }
        list.iter_mut().for_each(|number| *number += 1);
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(list.iter().collect::<MostlyOne<_>>().iter().count(), 3);
        assert_eq!(list.first(), Some(&1));
        assert_eq!(list.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn places_are_what_they_were() {
        for place in [0, 1, u32::MAX - 1] {
            assert_eq!(Place32::from(place).get(), place);
        }
        assert_eq!(size_of::<Option<Place32>>(), size_of::<u32>());
    }
}
