//! Values of fields: from the text of one JSON value, and back.
//!
//! Input: a raw JSON value that is known to be well-formed and not `null`. Output: checked domain
//! values, or why not. Invariants: exact (no floats; a number, but no string, of too many places is
//! rounded, and that is noted); nothing is allocated but the
//! value itself; what `encode` writes, `decode` reads as an equal value. Deliberately absent: the
//! field's name (see `object`).

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::event::{Initiator, Liquidity, Source};
use crate::domain::health::Health;
use crate::domain::ids::{
    self, Account, Actor, Component, Currency, EventId, FillId, IdError, OrderId, Session,
    Strategy, Symbol, Venue,
};
use crate::domain::limits;
use crate::domain::record::Adopt;
use crate::domain::state::TradingState;
use crate::domain::time::{NANOS_PER_SECOND, Timestamp};
use crate::domain::units::{
    Amount, Decimal, Notional, NumberError, Position, Price, Quantity, Side, from_digits,
    parse_decimal, rounded,
};
use crate::wire::contract::intern::Names;
use crate::wire::contract::spec::Shape;
use crate::wire::contract::time;
use crate::wire::contract::time::{LastMinute, TimeTextError};
use crate::wire::json::swar::{SevenBytes, number_of_seven};
use crate::wire::json::token::{Raw, Short};
use crate::wire::json::{swar, write};

/// Why a value was refused, as the end of a sentence that begins with the field's name.
pub(crate) type Why = Cow<'static, str>;

/// The longest duration that a heartbeat may state: 31 days.
pub(crate) const DURATION_MAX: Duration = Duration::from_hours(31 * 24);

/// Names that stand for something else on metrics and in requests, so nothing can be called so.
pub(crate) const RESERVED: [&str; 2] = [Account::ALL, Symbol::OTHER];

/// A value that a field can have. One impl for each type, used by the decoder, the encoder and the
/// published schema alike.
pub(crate) trait Value: Sized {
    /// What it looks like on the wire.
    const SHAPE: Shape;

    /// Reads a raw JSON value.
    fn decode(raw: Raw<'_>, context: &mut Context) -> Result<Self, Why>;

    /// Writes it as JSON.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What values are read within.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Bytes that a string which is not a name may have.
    pub(crate) text_bytes_max: usize,
    /// Whether a number was rounded since somebody last asked.
    pub(crate) has_rounded: bool,
    names: Names,
    minute: LastMinute,
}

impl Context {
    /// With that bound, and the names of the values before.
    pub(crate) fn new(text_bytes_max: usize, names: Names) -> Self {
        Self { text_bytes_max, has_rounded: false, names, minute: LastMinute::default() }
    }
}

/// The text of a JSON string, borrowed when it holds no escape. At most `bytes_max` bytes.
#[inline]
pub(crate) fn string(raw: Raw<'_>, bytes_max: usize) -> Result<Cow<'_, str>, Why> {
    match raw {
        Raw::Text(text) if text.len() <= bytes_max => Ok(Cow::Borrowed(text)),
        Raw::Text(_) => Err(too_long(bytes_max)),
        Raw::Json(json) => json_string(json, bytes_max),
        Raw::Number(_) | Raw::Null => Err(NO_STRING),
    }
}

const NO_STRING: Why = Cow::Borrowed("must be a string");

const NO_NUMBER: Why = Cow::Borrowed("must be a number or a decimal string");

fn json_string(raw: &str, bytes_max: usize) -> Result<Cow<'_, str>, Why> {
    let inner = match raw.as_bytes() {
        [b'"', .., b'"'] => raw.get(1..raw.len() - 1).unwrap_or_default(),
        _ => return Err(NO_STRING),
    };
    let text = if !swar::holds_backslash(inner.as_bytes()) {
        Cow::Borrowed(inner)
    } else if inner.len() / 6 > bytes_max {
        // The longest escape of one byte has six: no need to unpack it to know.
        return Err(too_long(bytes_max));
    } else {
        let text = serde_json::from_str::<String>(raw);
        Cow::Owned(text.map_err(|_| Cow::Borrowed("holds an escape that is no character"))?)
    };
    if text.len() > bytes_max {
        return Err(too_long(bytes_max));
    }
    Ok(text)
}

#[cold]
fn too_long(bytes_max: usize) -> Why {
    Cow::Owned(format!("is longer than {bytes_max} bytes"))
}

/// A number, or a text that should hold one.
enum Number<'a> {
    Short(Short),
    Text(Cow<'a, str>),
}

#[inline]
fn number(raw: Raw<'_>) -> Result<Number<'_>, Why> {
    match raw {
        Raw::Number(short) => Ok(Number::Short(short)),
        Raw::Text(_) => string(raw, limits::TEXT_BYTES_MAX).map(Number::Text),
        Raw::Json(json) => match json.as_bytes().first() {
            Some(b'"') => string(raw, limits::TEXT_BYTES_MAX).map(Number::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Number::Text(Cow::Borrowed(json))),
            _ => Err(NO_NUMBER),
        },
        Raw::Null => Err(NO_NUMBER),
    }
}

#[inline]
fn decimal(raw: Raw<'_>, context: &mut Context) -> Result<Decimal, Why> {
    if let Raw::Number(short) = raw { Ok(short.decimal()) } else { decimal_of_text(raw, context) }
}

#[inline(never)]
fn decimal_of_text(raw: Raw<'_>, context: &mut Context) -> Result<Decimal, Why> {
    if let Raw::Text(text) = raw
        && let Some(head) = swar::padded(text.as_bytes())
        && let Some(SevenBytes { digits, places, len }) = number_of_seven(head)
        && len == text.len()
    {
        return Ok(from_digits(digits.into(), places));
    }
    match raw {
        Raw::Json(json) if !raw.is_string() => decimal_of_number(json, context),
        Raw::Json(_) | Raw::Text(_) | Raw::Number(_) | Raw::Null => exact(raw),
    }
}

/// A JSON number, which to most senders is a binary float: one of too many places is rounded.
fn decimal_of_number(json: &str, context: &mut Context) -> Result<Decimal, Why> {
    if !json.starts_with(|sign: char| sign == '-' || sign.is_ascii_digit()) {
        return Err(NO_NUMBER);
    }
    let parsed = parse_decimal(json).or_else(|error| match error {
        NumberError::NotExact => rounded(json).inspect(|_| context.has_rounded = true),
        NumberError::NotANumber | NumberError::NotPositive => Err(error),
    });
    parsed.map_err(number_why)
}

/// A decimal as it is written, or why not.
fn exact(raw: Raw<'_>) -> Result<Decimal, Why> {
    match number(raw)? {
        Number::Short(short) => Ok(short.decimal()),
        Number::Text(text) => parse_decimal(&text).map_err(number_why),
    }
}

#[cold]
fn number_why(error: NumberError) -> Why {
    Cow::Owned(error.to_string())
}

/// What becomes a name.
#[inline]
fn identifier<T>(text: &str, make: impl FnOnce(&str) -> Result<T, IdError>) -> Result<T, Why> {
    make(text).map_err(id_why)
}

/// The same of a name that becomes a label, so none of the [`RESERVED`] ones.
#[inline]
fn label<T>(text: &str, make: impl FnOnce(&str) -> Result<T, IdError>) -> Result<T, Why> {
    if RESERVED.contains(&text) {
        return Err(Cow::Borrowed("is a reserved name"));
    }
    identifier(text, make)
}

#[cold]
fn id_why(error: IdError) -> Why {
    Cow::Owned(error.to_string())
}

/// Writes a JSON string.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    if !write::push_quoted(text.as_bytes(), out) {
        write_any_string(text, out);
    }
}

/// The same of one that is very short, or long, or holds what needs an escape.
#[inline(never)]
fn write_any_string(text: &str, out: &mut Vec<u8>) {
    if swar::plain_len(text.as_bytes()) < text.len() {
        return write_escaped(text, out);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn write_escaped(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((plain, tail)) = rest.split_at_checked(swar::plain_len(rest)) {
        out.extend_from_slice(plain);
        let Some((special, after)) = tail.split_first() else { break };
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = after;
    }
    out.push(b'"');
}

/// Writes a decimal as a string, so that no reader on the way makes a float of it.
fn write_decimal(value: Decimal, out: &mut Vec<u8>) {
    write::push_quoted_decimal(value, out);
}

macro_rules! names {
    ($shape:ident, $check:ident: $($name:ident $(in $known:ident)?),*) => {
        $(impl Value for $name {
            const SHAPE: Shape = Shape::$shape;

            #[inline]
            fn decode(raw: Raw<'_>, context: &mut Context) -> Result<Self, Why> {
                let text = string(raw, limits::ID_BYTES_MAX)?;
                let make = |text: &str| $check(text, $name::new);
                made!(&text, make, context $(, $known)?)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                write_string(self.as_str(), out);
            }
        })*
    };
}

/// Makes a name; one that comes again and again shares its text.
macro_rules! made {
    ($text:expr, $make:ident, $context:ident) => {{
        let _: &mut Context = $context;
        $make($text)
    }};
    ($text:expr, $make:ident, $context:ident, $known:ident) => {
        $context.names.$known.get($text, $make)
    };
}

names! { Identifier, identifier: OrderId, FillId, EventId, Currency in currencies, Actor }
names! {
    Label, label:
    Account in accounts, Symbol in symbols, Strategy in strategies, Venue in venues, Component
}

macro_rules! decimals {
    ($($name:ident: $shape:ident, $make:expr;)*) => {
        $(impl Value for $name {
            const SHAPE: Shape = Shape::$shape;

            #[inline]
            fn decode(raw: Raw<'_>, context: &mut Context) -> Result<Self, Why> {
                decimal(raw, context).and_then($make)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                write_decimal(self.get(), out);
            }
        })*
    };
}

decimals! {
    Price: Price, |d| Ok(Price::new(d));
    Quantity: Quantity, |d| Quantity::new(d).map_err(number_why);
    Notional: Notional, |d| Notional::new(d).map_err(number_why);
    Position: Position, |d| Ok(Position::new(d));
    Amount: Amount, |d| Ok(Amount::new(d));
}

macro_rules! choices {
    ($($name:ident { $($text:literal = $value:path),* })*) => {
        $(impl Value for $name {
            const SHAPE: Shape = Shape::Choice(&[$($text),*]);

            #[inline]
            fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
                match &*string(raw, limits::TEXT_BYTES_MAX)? {
                    $($text => Ok($value),)*
                    _ => Err(Cow::Borrowed(concat!("must be one of:", $(" ", $text),*))),
                }
            }

            fn encode(&self, out: &mut Vec<u8>) {
                $(if *self == $value {
                    return out.extend_from_slice(concat!("\"", $text, "\"").as_bytes());
                })*
            }
        })*
    };
}

/// Whether a snapshot of positions could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchStatus {
    /// It was taken.
    Ok,
    /// It could not be taken, and says nothing.
    Failed,
}

choices! {
    Side { "buy" = Side::Buy, "sell" = Side::Sell }
    Liquidity { "maker" = Liquidity::Maker, "taker" = Liquidity::Taker }
    Initiator { "user" = Initiator::User, "venue" = Initiator::Venue }
    Source { "local" = Source::Local, "broker" = Source::Broker }
    Health {
        "healthy" = Health::Healthy,
        "degraded" = Health::Degraded,
        "unhealthy" = Health::Unhealthy
    }
    FetchStatus { "ok" = FetchStatus::Ok, "failed" = FetchStatus::Failed }
    TradingState { "halted" = TradingState::Halted, "reducing" = TradingState::Reducing }
    Adopt { "broker" = Adopt::Broker, "local" = Adopt::Local }
}

/// A text for people: lines and tabs, but no other control characters. May be empty.
impl Value for Box<str> {
    const SHAPE: Shape = Shape::Text;

    fn decode(raw: Raw<'_>, context: &mut Context) -> Result<Self, Why> {
        let text = string(raw, context.text_bytes_max)?;
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Cow::Borrowed("holds a control character"));
        }
        Ok(Self::from(text))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write_string(self, out);
    }
}

/// An identifier that has no type of its own in the domain.
pub(crate) struct Identifier(pub(crate) Box<str>);

impl Value for Identifier {
    const SHAPE: Shape = Shape::Identifier;

    fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
        let text = string(raw, limits::ID_BYTES_MAX)?;
        identifier(&text, |text| ids::check(text).map(|()| Self(Box::from(text))))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write_string(&self.0, out);
    }
}

/// A session; `""` is the one without a name.
pub(crate) struct SessionName(pub(crate) Option<Session>);

impl Value for SessionName {
    const SHAPE: Shape = Shape::IdentifierOrEmpty;

    fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
        if raw == Raw::Text("") || raw == Raw::Json("\"\"") {
            Ok(Self(None))
        } else {
            let text = string(raw, limits::ID_BYTES_MAX)?;
            identifier(&text, Session::new).map(Some).map(Self)
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write_string(self.0.as_ref().map_or("", Session::as_str), out);
    }
}

/// An account, or `*` for all.
pub(crate) struct AccountOrAll(pub(crate) Account);

impl Value for AccountOrAll {
    const SHAPE: Shape = Shape::LabelOrAll;

    fn decode(raw: Raw<'_>, context: &mut Context) -> Result<Self, Why> {
        if raw == Raw::Text("*") || raw == Raw::Json("\"*\"") {
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

    fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
        match raw {
            Raw::Json("true") => Ok(true),
            Raw::Json("false") => Ok(false),
            Raw::Json(_) | Raw::Text(_) | Raw::Number(_) | Raw::Null => {
                Err(Cow::Borrowed("must be true or false"))
            }
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(if *self { "true" } else { "false" }.bytes());
    }
}

impl Value for u64 {
    const SHAPE: Shape = Shape::Integer;

    fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
        let value = exact(raw)?;
        let whole = if value.scale() == 0 { Self::try_from(value.mantissa()).ok() } else { None };
        whole.ok_or(Cow::Borrowed("must be an integer from 0"))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write::push_u64(*self, out);
    }
}

#[cold]
fn time_why(error: TimeTextError) -> Why {
    Cow::Owned(error.to_string())
}

/// The time of an event as `time` gives it.
pub(crate) struct TimeText(pub(crate) Timestamp);

impl Value for TimeText {
    const SHAPE: Shape = Shape::Time;

    #[inline]
    fn decode(raw: Raw<'_>, context: &mut Context) -> Result<Self, Why> {
        if let Raw::Text(text) = raw
            && text.len() <= limits::TEXT_BYTES_MAX
        {
            return context.minute.parse(text).map(Self).map_err(time_why);
        }
        if let Raw::Json(json) = raw
            && !matches!(json.as_bytes(), [b'"' | b'-' | b'0'..=b'9', ..])
        {
            return Err(time_why(TimeTextError::Form));
        }
        let time = match number(raw)? {
            Number::Short(seconds) => time::in_range(seconds.nanos()),
            Number::Text(text) => context.minute.parse(&text),
        };
        time.map(Self).map_err(time_why)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write_string(&time::rfc3339(self.0), out);
    }
}

/// The time of an event as `time_ns` gives it.
pub(crate) struct TimeNanos(pub(crate) Timestamp);

impl Value for TimeNanos {
    const SHAPE: Shape = Shape::TimeNs;

    fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
        let time = match number(raw)? {
            Number::Short(Short { digits, places: 0 }) => time::in_range(digits.into()),
            Number::Short(nanos) => time::from_decimal_nanos(nanos.decimal()),
            Number::Text(text) => time::from_unix_nanos(&text),
        };
        time.map(Self).map_err(time_why)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        write::push_i64(self.0.as_nanos(), out);
    }
}

/// Seconds, cut to nanoseconds: a measurement of a float clock has more digits than it knows.
impl Value for Duration {
    const SHAPE: Shape = Shape::Seconds;

    fn decode(raw: Raw<'_>, _: &mut Context) -> Result<Self, Why> {
        let nanos = match number(raw)? {
            Number::Short(seconds) => seconds.nanos(),
            Number::Text(text) => time::nanos_of_seconds(&text).map_err(number_why)?,
        };
        u64::try_from(nanos)
            .ok()
            .map(Self::from_nanos)
            .filter(|d| *d <= DURATION_MAX)
            .ok_or_else(|| Cow::Owned(format!("must be from 0 to {}", DURATION_MAX.as_secs())))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let nanos = i128::try_from(self.as_nanos()).unwrap_or(i128::MAX);
        let scale = NANOS_PER_SECOND.ilog10();
        // A duration of 2^64 seconds has 29 digits at most: it always fits a decimal.
        write_decimal(Decimal::try_from_i128_with_scale(nanos, scale).unwrap_or_default(), out);
    }
}
