//! Compact collections for values of which there are many.
//!
//! A million orders may be held at once, and a batch may hold tens of thousands of events. Most of
//! their lists are empty or have one element, and those must cost next to nothing.
//!
//! Input and output: plain values. Stored as the list or number that they hold.
//!
//! # Design
//! Own code, because no crate fits: `smallvec` keeps its elements inline, so an empty list of orders'
//! facts would be larger than the [`Vec`] that it replaces; `thin-vec` allocates room for four
//! elements with the first, while most of our non-empty lists have one; `nonmax` would save ten lines.
//! Each type here is a few lines of safe code over `Vec` and `Option`.

use std::iter::Chain;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::{option, vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list that is usually empty: then it has the size of one pointer.
#[derive(Clone, Debug)]
#[expect(clippy::box_collection, reason = "an empty Vec is three times as large")]
pub struct ThinVec<T>(Option<Box<Vec<T>>>);

impl<T> ThinVec<T> {
    /// Adds an element at the end.
    pub fn push(&mut self, value: T) {
        // Most non-empty lists have one element. Vec would start with room for four.
        let list = self.0.get_or_insert_with(|| Box::new(Vec::with_capacity(1)));
        list.push(value);
    }

    /// Moves all elements of `other` to the end.
    pub fn append(&mut self, other: &mut Self) {
        if let Some(mut other) = other.0.take() {
            self.0.get_or_insert_default().append(&mut other);
        }
    }
}

impl<T> IntoIterator for ThinVec<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Vec::new, |list| *list).into_iter()
    }
}

impl<T> Default for ThinVec<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for ThinVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> DerefMut for ThinVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl<T: Serialize> Serialize for ThinVec<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ThinVec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::deserialize(deserializer)?;
        Ok(Self((!list.is_empty()).then(|| Box::new(list))))
    }
}

/// A list that usually has one element: then it allocates nothing.
#[derive(Clone, Debug)]
pub struct OneOrMany<T> {
    first: Option<T>,
    others: Vec<T>,
}

impl<T> OneOrMany<T> {
    /// Adds an element at the end.
    #[inline]
    pub fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.others.push(value);
        }
    }

    /// Whether the list is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first element.
    #[must_use]
    pub const fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    /// The elements in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.others)
    }

    /// The elements in order, mutable.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.others)
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self { first: None, others: Vec::new() }
    }
}

impl<T> IntoIterator for OneOrMany<T> {
    type Item = T;
    type IntoIter = Chain<option::IntoIter<T>, vec::IntoIter<T>>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

impl<T> FromIterator<T> for OneOrMany<T> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut values = values.into_iter();
        Self { first: values.next(), others: values.collect() }
    }
}

/// A number below `u32::MAX`. An `Option` of it takes no more room than the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct NonMaxU32(NonZeroU32);

impl NonMaxU32 {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get() - 1
    }
}

/// `u32::MAX` becomes the number before it. The numbers are places in tables, and no table is that
/// long.
impl From<u32> for NonMaxU32 {
    fn from(number: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(number))
    }
}

impl From<NonMaxU32> for u32 {
    fn from(number: NonMaxU32) -> Self {
        number.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_vec_is_a_list() {
        let (mut one, mut other) = (ThinVec::default(), ThinVec::default());
        one.append(&mut other);
        assert!(one.is_empty());
        other.push(1);
        other.push(2);
        one.push(0);
        one.append(&mut other);
        assert_eq!((&*one, &*other), ([0, 1, 2].as_slice(), [].as_slice()));
        one.iter_mut().for_each(|number| *number += 1);
        assert_eq!(&*one, [1, 2, 3]);
        assert_eq!(size_of::<ThinVec<u64>>(), size_of::<usize>());
    }

    #[test]
    fn one_or_many_is_a_list() {
        let mut list = OneOrMany::default();
        for number in 0..3 {
            assert_eq!(list.is_empty(), number == 0);
            list.push(number);
        }
        list.iter_mut().for_each(|number| *number += 1);
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(list.iter().collect::<OneOrMany<_>>().iter().count(), 3);
        assert_eq!(list.first(), Some(&1));
        assert_eq!(list.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_non_max_number_reads_back() {
        for number in [0, 1, u32::MAX - 1] {
            assert_eq!(NonMaxU32::from(number).get(), number);
        }
        assert_eq!(size_of::<Option<NonMaxU32>>(), size_of::<u32>());
    }
}
