//! Names that engines give: accounts, symbols, orders, fills and others; and the ids of directives.
//!
//! Input: text from outside. Output: newtypes with checked constructors. Invariants: a name is
//! printable, has at most [`limits::ID_BYTES_MAX`] bytes, no character that is invisible or reorders
//! others, and no white space at either end. So a name is safe in a label, a log line and a message,
//! and two names that look alike are equal. Cloning shares the text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::limits;

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The name is empty.
    #[error("must not be empty")]
    Empty,
    /// The name is longer than [`limits::ID_BYTES_MAX`] bytes.
    #[error("is longer than {} bytes", limits::ID_BYTES_MAX)]
    TooLong,
    /// The name holds a control, bidi or default-ignorable character.
    #[error("holds a control, bidi or invisible character")]
    Unprintable,
    /// The name begins or ends with white space.
    #[error("begins or ends with white space")]
    Spaced,
}

/// Checks that `text` can be a name.
///
/// # Errors
/// See [`IdError`].
pub fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > limits::ID_BYTES_MAX {
        return Err(IdError::TooLong);
    }
    if is_plain(text.as_bytes()) {
        let has_space = text.starts_with(' ') || text.ends_with(' ');
        return if has_space { Err(IdError::Spaced) } else { Ok(()) };
    }
    check_rare(text)
}

/// Checks a text with other characters than printable ASCII.
#[inline(never)]
fn check_rare(text: &str) -> Result<(), IdError> {
    if text.chars().any(is_unprintable) {
        return Err(IdError::Unprintable);
    }
    if text.trim().len() < text.len() { Err(IdError::Spaced) } else { Ok(()) }
}

/// Whether all bytes are printable ASCII, checked eight at a time. The last eight bytes may overlap the
/// chunk before, which is cheaper than a loop over the rest.
///
/// Hot path: guarded by benches/instructions.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The high bit of a byte is set by itself, by one more than 0x7e, or below 0x20.
    let odd = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word | word.wrapping_add(ONES) | word.wrapping_sub(ONES * 0x20)
    };
    let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) else {
        return text.iter().all(|b| (0x20..0x7f).contains(b));
    };
    let ends = odd(first) | odd(last);
    let found = if text.len() <= 16 {
        ends
    } else {
        text.as_chunks().0.iter().fold(ends, |found, word| found | odd(word))
    };
    found & (ONES * 0x80) == 0
}

/// Control characters, and characters that reorder their neighbours or are invisible: line and paragraph
/// separators, interlinear annotation, and the `Default_Ignorable_Code_Point` of Unicode
/// (`DerivedCoreProperties.txt` of Unicode 16), tag characters and variation selectors among them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{034f}'
                | '\u{061c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

macro_rules! name_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq)]
        pub struct $name(Arc<str>);

        /// Equal names usually share their text, so compare pointers first.
        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) {
                    return Ordering::Equal;
                }
                self.0.cmp(&other.0)
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            /// See [`IdError`].
            pub fn new(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(NameVisitor).map(Self)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_newtype! {
    /// An account at a broker or exchange, or `*` for all of them.
    Account
}
name_newtype! {
    /// An instrument as the engine names it: `BRK.B.XNAS`, `BTC/USDT:USDT`.
    Symbol
}
name_newtype! {
    /// The engine's id of an order (FIX `ClOrdID`), unique within account and session.
    OrderId
}
name_newtype! {
    /// The id of one execution (FIX `ExecID`), unique within its order.
    FillId
}
name_newtype! {
    /// The idempotency key of an event within its account.
    EventId
}
name_newtype! {
    /// A run of an engine that reuses order ids.
    Session
}
name_newtype! {
    /// A strategy inside an engine.
    Strategy
}
name_newtype! {
    /// An execution venue.
    Venue
}
name_newtype! {
    /// A monitored component: `broker`, `data_feed`, `disk`, `memory`, `engine` or any name.
    Component
}
name_newtype! {
    /// A currency code, usually ISO 4217; crypto currencies are fine.
    Currency
}
name_newtype! {
    /// Who acted: an operator, a program, a rule.
    Actor
}

/// Reads and checks a name.
struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
        check(text).map_err(E::custom)?;
        Ok(Arc::from(text))
    }
}

impl Account {
    /// The account of events that do not name one.
    pub const DEFAULT: &'static str = "default";
    /// The name that stands for all accounts.
    pub const ALL: &'static str = "*";

    /// `*`: all accounts.
    #[must_use]
    pub fn all() -> Self {
        Self(Arc::from(Self::ALL))
    }

    /// Whether this is `*`.
    #[must_use]
    pub fn is_all(&self) -> bool {
        &*self.0 == Self::ALL
    }
}

impl Default for Account {
    fn default() -> Self {
        Self(Arc::from(Self::DEFAULT))
    }
}

impl Currency {
    /// `USD`, the currency of accounts and instruments that name none.
    #[must_use]
    pub fn usd() -> Self {
        Self(Arc::from("USD"))
    }
}

impl Actor {
    /// The exporter itself, by its rules.
    #[must_use]
    pub fn exporter() -> Self {
        Self(Arc::from("trading-exporter"))
    }

    /// The sender of a SIGHUP to the process.
    #[must_use]
    pub fn sighup() -> Self {
        Self(Arc::from("SIGHUP"))
    }
}

impl Symbol {
    /// The symbol into which symbols beyond the bound fold.
    pub const OTHER: &'static str = "__other__";

    /// `__other__`.
    #[must_use]
    pub fn other() -> Self {
        Self(Arc::from(Self::OTHER))
    }
}

/// The id of a directive: the sequence of its record, and its index among that record's directives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirectiveId {
    /// Sequence of the record.
    pub sequence: u64,
    /// 0, 1, 2 ... within the record.
    pub index: u32,
}

impl fmt::Display for DirectiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl DirectiveId {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, index) = text.split_once('-')?;
        let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        if !plain(sequence) || !plain(index) {
            return None;
        }
        Some(Self { sequence: sequence.parse().ok()?, index: index.parse().ok()? })
    }

    /// Reads an id as a receiver knows it: the id of the directive, of its event in a stream, or of its
    /// webhook. In the latter two, a suffix after `.` or `_` may make the id unique.
    #[must_use]
    pub fn parse_id(text: &str) -> Option<Self> {
        Self::parse(text.split(['.', '_']).next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directive_ids_are_read_as_receivers_know_them() {
        let check = |text: &str, expect: Option<(u64, u32)>| {
            let expect = expect.map(|(sequence, index)| DirectiveId { sequence, index });
            assert_eq!(DirectiveId::parse_id(text), expect, "{text}");
        };
        check("1234-0", Some((1_234, 0)));
        check("1234-10.5f3a9c01", Some((1_234, 10)));
        check("1234-0_18f21ff5d9a3c000", Some((1_234, 0)));
        check("1234", None);
        check("-1", None);
        check("+1-0", None);
        check("1-0-0", None);
        check("", None);
        check("99999999999999999999-0", None);
        assert_eq!(DirectiveId::parse("1-0.5"), None);
    }

    #[test]
    fn an_unprintable_byte_is_found_at_every_position() {
        for byte in 0..=u8::MAX {
            for len in [5, 11, 16, 27] {
                for place in 0..len {
                    let mut text = b"a ~zA0!_.:/a ~zA0!_.:/a ~zA0!_.:/"[..len].to_vec();
                    text[place] = byte;
                    assert_eq!(is_plain(&text), (0x20..0x7f).contains(&byte), "{byte} at {place}");
                }
            }
        }
    }

    #[test]
    fn names_are_printable_and_short() {
        let check = |text: &str, expect: Result<(), IdError>| {
            assert_eq!(Symbol::new(text).map(|_| ()), expect, "{text:?}");
        };
        check("BRK.B.XNAS", Ok(()));
        check("BTC/USDT:USDT", Ok(()));
        check("AAPL  261218C00200000", Ok(()));
        check("日経225", Ok(()));
        check("币安人生USDT", Ok(()));
        check("cafe\u{301}", Ok(()));
        for end in [" ", "\u{a0}", "\u{3000}"] {
            check(&format!("BTC{end}USDT"), Ok(()));
            check(&format!("BTCUSDT{end}"), Err(IdError::Spaced));
            check(&format!("{end}BTCUSDT"), Err(IdError::Spaced));
            check(end, Err(IdError::Spaced));
        }
        for hidden in [
            '\u{ad}',
            '\u{34f}',
            '\u{85}',
            '\u{180e}',
            '\u{200b}',
            '\u{2028}',
            '\u{202e}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{e0041}',
            '\u{e01ef}',
        ] {
            check(&format!("BTC{hidden}USDT"), Err(IdError::Unprintable));
        }
        check("quote\"back\\slash", Ok(()));
        check("", Err(IdError::Empty));
        check(&"x".repeat(128), Ok(()));
        check(&"x".repeat(129), Err(IdError::TooLong));
        check("new\nline", Err(IdError::Unprintable));
        check("nul\0", Err(IdError::Unprintable));
        check("del\u{7f}", Err(IdError::Unprintable));
        check("c1\u{85}", Err(IdError::Unprintable));
        check("bidi\u{202e}", Err(IdError::Unprintable));
    }
}
