//! Enums whose members each have one word: on the wire, as a label value and in stored records.
//!
//! `closed_set!` declares such an enum from one list. Everything that depends on the list comes
//! from it: `ALL`, `as_str`, `parse`, serde (the word, in every format), the key of an
//! [`EnumMap`], and through [`ClosedSet`] the decoder, the encoder and the
//! `OpenAPI` schema of `crate::wire`.
//!
//! Invariants: a word belongs to one member; words never change once a format with them is
//! released. Absent: members with data, and words that depend on anything but the member.
//!
//! # Design
//!
//! In a binary format serde writes an [`EnumMap`] as a list in the order of
//! declaration, so that one more member would make every stored snapshot unreadable, or worse,
//! shift its values. Tables that are stored therefore use `by_word`: a map by word, in which a
//! member may be missing. The small tables and bit sets inside an order stay lists, because there are
//! millions of them: their enums only ever get members at the end, and one more of those needs the
//! next version of the stored state.

use std::collections::BTreeMap;

use enum_map::{EnumArray, EnumMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enum that `closed_set!` declared.
pub trait ClosedSet: Copy + Eq + 'static {
    /// The name of the enum.
    const NAME: &'static str;
    /// The doc comment of the enum: the description in the published schema.
    const DOC: &'static str;
    /// Every member, in the order of declaration.
    const MEMBERS: &'static [Self];
    /// The words of [`Self::MEMBERS`], in the same order.
    const WORDS: &'static [&'static str];

    /// The word of this member.
    fn word(self) -> &'static str;

    /// The word in quotes: a JSON string, since no word needs an escape.
    fn quoted(self) -> &'static str;

    /// The member with this word.
    fn from_word(word: &str) -> Option<Self>;
}

/// The stored form of a table by members of a closed set: a map by word, in every format. A member
/// that a record does not name has the default value. For `#[serde(with = "by_word")]`.
pub(crate) mod by_word {
    use super::{BTreeMap, Deserialize, Deserializer, EnumArray, EnumMap, Serialize, Serializer};

    pub(crate) fn serialize<K, V, S>(
        table: &EnumMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        K: EnumArray<V> + Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_map(table)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<EnumMap<K, V>, D::Error>
    where
        K: EnumArray<V> + Deserialize<'de> + Ord,
        V: Deserialize<'de> + Default,
        D: Deserializer<'de>,
    {
        let mut table = EnumMap::default();
        table.extend(BTreeMap::<K, V>::deserialize(deserializer)?);
        Ok(table)
    }
}

/// [`by_word`] for a table of tables.
pub(crate) mod by_two_words {
    use super::{
        BTreeMap, Deserialize, Deserializer, EnumArray, EnumMap, Serialize, Serializer, by_word,
    };

    /// The inner table.
    #[derive(Serialize, Deserialize)]
    #[serde(
        transparent,
        bound(
            serialize = "K: EnumArray<V> + Serialize, V: Serialize",
            deserialize = "K: EnumArray<V> + Deserialize<'de> + Ord, V: Deserialize<'de> + Default"
        )
    )]
    struct Inner<K: EnumArray<V>, V>(#[serde(with = "by_word")] EnumMap<K, V>);

    pub(crate) fn serialize<K1, K2, V, S>(
        table: &EnumMap<K1, EnumMap<K2, V>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        K1: EnumArray<EnumMap<K2, V>> + Serialize,
        K2: EnumArray<V, Array: Copy> + Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_map(table.iter().map(|(key, inner)| (key, Inner(*inner))))
    }

    pub(crate) fn deserialize<'de, K1, K2, V, D>(
        deserializer: D,
    ) -> Result<EnumMap<K1, EnumMap<K2, V>>, D::Error>
    where
        K1: EnumArray<EnumMap<K2, V>> + Deserialize<'de> + Ord,
        K2: EnumArray<V> + Deserialize<'de> + Ord,
        V: Deserialize<'de> + Default,
        D: Deserializer<'de>,
    {
        let mut table = EnumMap::default();
        let stored = BTreeMap::<K1, Inner<K2, V>>::deserialize(deserializer)?;
        table.extend(stored.into_iter().map(|(key, Inner(inner))| (key, inner)));
        Ok(table)
    }
}

/// Declares an enum from the list of its members and their words. Give the enum and its members doc
/// comments as usual; other attributes are not accepted.
///
/// ```text
/// closed_set! {
///     /// How severe a drift is.
///     pub enum Severity {
///         /// Reconciled automatically.
///         Minor = "minor",
///     }
/// }
/// ```
macro_rules! closed_set {
    ($(#[doc = $doc:literal])* $vis:vis enum $name:ident {
        $($(#[doc = $about:literal])* $member:ident = $word:literal,)+
    }) => {
        $(#[doc = $doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            enum_map::Enum, serde::Serialize, serde::Deserialize,
        )]
        $vis enum $name {
            $($(#[doc = $about])* #[serde(rename = $word)] $member,)+
        }

        impl $name {
            /// Every member, in the order of declaration.
            $vis const ALL: [Self; <[&str]>::len(&[$($word),+])] = [$(Self::$member),+];

            /// The member's word on the wire, in labels and in stored records.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $word,)+
                }
            }
        }

        impl $crate::domain::closed_set::ClosedSet for $name {
            const NAME: &'static str = stringify!($name);
            const DOC: &'static str = concat!($($doc, "\n",)*).trim_ascii();
            const MEMBERS: &'static [Self] = &Self::ALL;
            const WORDS: &'static [&'static str] = &[$($word),+];

            #[inline]
            fn word(self) -> &'static str {
                self.as_str()
            }

            #[inline]
            fn quoted(self) -> &'static str {
                match self {
                    $(Self::$member => concat!("\"", $word, "\""),)+
                }
            }

            #[inline]
            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$member),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use closed_set;

#[cfg(test)]
mod tests {
    use enum_map::enum_map;

    use super::*;

    closed_set! {
        /// Where a lamp
        /// stands.
        enum Lamp {
            /// Not lit.
            Off = "off",
            /// Lit.
            On = "lit up",
        }
    }

    #[test]
    fn a_member_has_one_word_everywhere() -> Result<(), serde_json::Error> {
        assert_eq!(Lamp::ALL, [Lamp::Off, Lamp::On]);
        assert_eq!(Lamp::WORDS, ["off", "lit up"]);
        assert_eq!(Lamp::DOC, "Where a lamp\n stands.");
        assert_eq!(Lamp::NAME, "Lamp");
        for member in Lamp::ALL {
            assert_eq!(Lamp::from_word(member.as_str()), Some(member));
            let json = serde_json::to_string(&member)?;
            assert_eq!(json, format!("\"{}\"", member.as_str()));
            assert_eq!(json, member.quoted());
            assert_eq!(serde_json::from_str::<Lamp>(&json)?, member);
        }
        assert_eq!(Lamp::from_word("On"), None);
        Ok(())
    }

    #[test]
    fn a_member_is_a_key() {
        let mut counts: EnumMap<Lamp, u64> = EnumMap::default();
        counts[Lamp::On] += 2;
        assert_eq!(counts, enum_map! { Lamp::Off => 0, Lamp::On => 2 });
    }

    #[test]
    fn a_stored_table_may_lack_members_and_have_another_order()
    -> Result<(), Box<dyn std::error::Error>> {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Stored(#[serde(with = "by_word")] EnumMap<Lamp, u64>);

        closed_set! {
            /// A version before: other order, fewer members.
            enum OlderLamp {
                /// Lit.
                On = "lit up",
            }
        }

        #[derive(Serialize)]
        struct OlderStored(#[serde(with = "by_word")] EnumMap<OlderLamp, u64>);

        let older = OlderStored(enum_map! { OlderLamp::On => 7 });
        let stored: Stored = rmp_serde::from_slice(&rmp_serde::to_vec(&older)?)?;
        assert_eq!(stored, Stored(enum_map! { Lamp::Off => 0, Lamp::On => 7 }));
        let again: Stored = rmp_serde::from_slice(&rmp_serde::to_vec(&stored)?)?;
        assert_eq!(again, stored);
        Ok(())
    }
}
