//! Values of fields: domain values from JSON, and back.
//!
//! Input: an unparsed JSON value that is well-formed and not `null`. Output: a checked value of the
//! domain, or why it was refused. Invariants: numbers are exact, never a float; only the value itself
//! is allocated; `decode` reads what `encode` wrote as an equal value. Absent: the field's name (see
//! `reader`).

mod number;

use std::borrow::Cow;

use crate::domain::closed_set::{ClosedSet, closed_set};
use crate::domain::health::Health;
use crate::domain::ids::{
    self, Account, Actor, Component, Currency, EventId, FillId, IdError, OrderId, Session,
    Strategy, Symbol, Venue,
};
use crate::domain::limits;
use crate::domain::state::TradingState;
use crate::wire::contract::intern::Interner;
use crate::wire::contract::shape::Shape;
use crate::wire::json::write::push_string;
use crate::wire::json::{RawJson, StringError};
use crate::wire::time::MinuteCache;

pub(crate) use number::{CAUSES_NAMED_MAX, CauseIds, DURATION_MAX, TimeNanos, TimeText};

/// Why a value was refused: the end of a sentence that begins with the field's name.
pub(crate) type ErrorText = Cow<'static, str>;

/// Names with a meaning of their own in metrics and requests: no account, symbol and so on can have
/// one of them.
pub(crate) const RESERVED: [&str; 2] = [Account::ALL, Symbol::OTHER];

/// A value that a field can have. Decoder, encoder and published schema use the same impl.
pub(crate) trait Value: Sized {
    /// The form on the wire.
    const SHAPE: Shape;

    /// Reads an unparsed value.
    fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText>;

    /// Appends the value as JSON.
    fn encode(&self, out: &mut Vec<u8>);
}

/// State that the values of one body share.
#[derive(Debug, Default)]
pub(crate) struct ValueContext {
    /// Bytes of a string that is not an identifier, at most.
    pub(crate) text_bytes_max: usize,
    /// Whether a number was rounded since `ObjectReader::take_rounded`.
    pub(crate) has_rounded: bool,
    interner: Interner,
    minute: MinuteCache,
}

impl ValueContext {
    /// A context that interns nothing.
    pub(crate) fn new(text_bytes_max: usize) -> Self {
        Self { text_bytes_max, ..Self::default() }
    }

    /// A context for about this many events.
    pub(crate) fn for_events(events: usize, text_bytes_max: usize) -> Self {
        Self { interner: Interner::for_events(events), ..Self::new(text_bytes_max) }
    }
}

/// The value of a JSON string of at most `bytes_max` bytes.
#[inline]
pub(crate) fn string(raw: RawJson<'_>, bytes_max: usize) -> Result<Cow<'_, str>, ErrorText> {
    raw.string(bytes_max).map_err(|error| string_error(error, bytes_max))
}

#[cold]
fn string_error(error: StringError, bytes_max: usize) -> ErrorText {
    match error {
        StringError::NotAString => Cow::Borrowed("must be a string"),
        StringError::TooLong => Cow::Owned(format!("is longer than {bytes_max} bytes")),
        StringError::BadEscape => Cow::Borrowed("holds an escape that is no character"),
    }
}

#[inline]
fn identifier<T>(
    text: &str,
    make: impl FnOnce(&str) -> Result<T, IdError>,
) -> Result<T, ErrorText> {
    make(text).map_err(id_error)
}

/// An identifier that becomes a label value, so not one of [`RESERVED`].
#[inline]
fn label<T>(text: &str, make: impl FnOnce(&str) -> Result<T, IdError>) -> Result<T, ErrorText> {
    if RESERVED.contains(&text) {
        return Err(Cow::Borrowed("is a reserved name"));
    }
    identifier(text, make)
}

#[cold]
fn id_error(error: IdError) -> ErrorText {
    Cow::Owned(error.to_string())
}

/// Implements [`Value`] for ids; `in` names the table that interns them.
macro_rules! ids {
    ($shape:ident, $check:ident: $($name:ident $(in $table:ident)?),*) => {
        $(impl Value for $name {
            const SHAPE: Shape = Shape::$shape;

            #[inline]
            fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
                let text = string(raw, limits::ID_BYTES_MAX)?;
                let make = |text: &str| $check(text, $name::new);
                ids!(@get &text, make, context $(, $table)?)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                push_string(self.as_str(), out);
            }
        })*
    };
    (@get $text:expr, $make:ident, $context:ident) => {{
        let _: &mut ValueContext = $context;
        $make($text)
    }};
    (@get $text:expr, $make:ident, $context:ident, $table:ident) => {
        $context.interner.$table.get($text, $make)
    };
}

ids! { Identifier, identifier: OrderId, FillId, EventId, Currency in currencies, Actor }
ids! {
    Label, label:
    Account in accounts, Symbol in symbols, Strategy in strategies, Venue in venues, Component
}

impl<E: ClosedSet> Value for E {
    const SHAPE: Shape = Shape::Choice(E::WORDS);

    #[inline]
    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        // Nearly always the word is written without escapes.
        if let RawJson::Text(text) = raw
            && let Some(member) = E::from_word(text)
        {
            return Ok(member);
        }
        one_of(raw, E::WORDS)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.quoted().as_bytes());
    }
}

/// The member of a closed set whose word is one of `words`.
#[inline(never)]
fn one_of<E: ClosedSet>(raw: RawJson<'_>, words: &[&str]) -> Result<E, ErrorText> {
    let text = string(raw, limits::TEXT_BYTES_MAX)?;
    E::from_word(&text)
        .filter(|_| words.len() == E::WORDS.len() || words.contains(&&*text))
        .ok_or_else(|| not_one_of(words))
}

#[cold]
fn not_one_of(words: &[&str]) -> ErrorText {
    Cow::Owned(format!("must be one of: {}", words.join(" ")))
}

/// Implements [`Value`] for a wrapper of a closed set that admits only some of its members.
macro_rules! subset {
    ($(#[doc = $doc:literal])* $name:ident($set:ident): $($member:ident),+) => {
        $(#[doc = $doc])*
        pub(crate) struct $name(pub(crate) $set);

        impl $name {
            const WORDS: &'static [&'static str] = &[$($set::$member.as_str()),+];
        }

        impl Value for $name {
            const SHAPE: Shape = Shape::Choice(Self::WORDS);

            fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
                one_of(raw, Self::WORDS).map(Self)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.0.quoted().as_bytes());
            }
        }
    };
}

subset! {
    /// A health that a component can report; `unknown` is what the exporter concludes from silence.
    ReportedHealth(Health): Healthy, Degraded, Unhealthy
}
subset! {
    /// A state that a halt can set.
    HaltState(TradingState): Halted, Reducing
}

closed_set! {
    /// Whether an engine could fetch the positions for a snapshot.
    pub(crate) enum FetchStatus {
        /// The snapshot holds them.
        Ok = "ok",
        /// It could not: the snapshot says nothing about any position.
        Failed = "failed",
    }
}

/// A text for people: may be empty, may contain line ends and tabs, but no other control characters.
impl Value for Box<str> {
    const SHAPE: Shape = Shape::Text;

    fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
        let text = string(raw, context.text_bytes_max)?;
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Cow::Borrowed("holds a control character"));
        }
        Ok(Self::from(text))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_string(self, out);
    }
}

/// A text that is not blank: the audit trail wants a reason.
pub(crate) struct Reason(pub(crate) Box<str>);

impl Value for Reason {
    const SHAPE: Shape = Shape::Reason;

    fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
        let text = Box::<str>::decode(raw, context)?;
        if text.trim().is_empty() {
            Err(Cow::Borrowed("must not be blank"))
        } else {
            Ok(Self(text))
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

/// An identifier without a type of its own in the domain.
pub(crate) struct Identifier(pub(crate) Box<str>);

impl Value for Identifier {
    const SHAPE: Shape = Shape::Identifier;

    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        let text = string(raw, limits::ID_BYTES_MAX)?;
        identifier(&text, |text| ids::check(text).map(|()| Self(Box::from(text))))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_string(&self.0, out);
    }
}

/// A session; `""` is the session without a name.
pub(crate) struct SessionName(pub(crate) Option<Session>);

impl Value for SessionName {
    const SHAPE: Shape = Shape::IdentifierOrEmpty;

    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        if raw == RawJson::Text("") || raw == RawJson::Other("\"\"") {
            Ok(Self(None))
        } else {
            let text = string(raw, limits::ID_BYTES_MAX)?;
            identifier(&text, Session::new).map(Some).map(Self)
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_string(self.0.as_ref().map_or("", Session::as_str), out);
    }
}

/// An account, or `*` for all.
pub(crate) struct AccountOrAll(pub(crate) Account);

impl Value for AccountOrAll {
    const SHAPE: Shape = Shape::LabelOrAll;

    fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
        if raw == RawJson::Text("*") || raw == RawJson::Other("\"*\"") {
            return Ok(Self(Account::all()));
        }
        Account::decode(raw, context).map(Self)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Value for bool {
    const SHAPE: Shape = Shape::Boolean;

    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        match raw {
            RawJson::Other("true") => Ok(true),
            RawJson::Other("false") => Ok(false),
            RawJson::Other(_) | RawJson::Text(_) | RawJson::Number(_) | RawJson::Null => {
                Err(Cow::Borrowed("must be true or false"))
            }
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(if *self { "true" } else { "false" }.bytes());
    }
}
