//! Enums whose members each have one word: on the wire, as a label value and in stored records.
//!
//! `closed_set!` declares such an enum from one list. Everything that depends on the list comes
//! from it: `ALL`, `as_str`, `parse`, serde (the word, in every format), the key of an
//! [`EnumMap`](enum_map::EnumMap), and through [`ClosedSet`] the decoder, the encoder and the
//! `OpenAPI` schema of `crate::wire`.
//!
//! Invariants: a word belongs to one member; words never change once a format with them is
//! released. Absent: members with data, and words that depend on anything but the member.

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

    /// The member with this word.
    fn from_word(word: &str) -> Option<Self> {
        Self::MEMBERS.iter().copied().find(|member| member.word() == word)
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

            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    };
}
pub(crate) use closed_set;

#[cfg(test)]
mod tests {
    use enum_map::{EnumMap, enum_map};

    use super::ClosedSet;

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
}
