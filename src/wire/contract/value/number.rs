//! Values that are numbers: decimals, integers, times, durations.
//!
//! A JSON number may be rounded, a decimal string may not: most senders write a binary float as a JSON
//! number, with digits that mean nothing, but nobody writes 20 decimal places into a string by
//! accident. [`ValueContext::has_rounded`] notes it.

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::limits;
use crate::domain::state::CauseKind;
use crate::domain::time::Timestamp;
use crate::domain::units::{
    Amount, Decimal, Notional, NumberError, Position, Price, Quantity, ShortDecimal, parse_decimal,
    rounded, truncated,
};
use crate::wire::contract::shape::Shape;
use crate::wire::contract::value::{ErrorText, Value, ValueContext, string};
use crate::wire::json::RawJson;
use crate::wire::json::general::read_elements;
use crate::wire::json::number::short_decimal;
use crate::wire::json::write::{push_array, push_decimal, push_i64, push_string, push_u64};
use crate::wire::time::{self, NANOS_DIGITS, TimeTextError};

/// The longest duration that an event may state: 31 days.
pub(crate) const DURATION_MAX: Duration = Duration::from_hours(31 * 24);

const NOT_A_NUMBER: ErrorText = Cow::Borrowed("must be a number or a decimal string");

/// A JSON number, or a string that should contain one.
enum NumberText<'a> {
    Short(ShortDecimal),
    Text(Cow<'a, str>),
}

#[inline]
fn number(raw: RawJson<'_>) -> Result<NumberText<'_>, ErrorText> {
    match raw {
        RawJson::Number(short) => Ok(NumberText::Short(short)),
        RawJson::Text(_) => string(raw, limits::TEXT_BYTES_MAX).map(NumberText::Text),
        RawJson::Other(json) => match json.as_bytes().first() {
            Some(b'"') => string(raw, limits::TEXT_BYTES_MAX).map(NumberText::Text),
            Some(b'-' | b'0'..=b'9') => Ok(NumberText::Text(Cow::Borrowed(json))),
            _ => Err(NOT_A_NUMBER),
        },
        RawJson::Null => Err(NOT_A_NUMBER),
    }
}

#[inline]
fn decimal(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Decimal, ErrorText> {
    if let RawJson::Number(short) = raw {
        Ok(short.decimal())
    } else {
        decimal_of_text(raw, context)
    }
}

#[inline(never)]
fn decimal_of_text(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Decimal, ErrorText> {
    if let RawJson::Text(text) = raw
        && let Some(value) = short_decimal(text)
    {
        return Ok(value);
    }
    match raw {
        RawJson::Other(json) if !raw.is_string() => decimal_of_number(json, context),
        RawJson::Other(_) | RawJson::Text(_) | RawJson::Number(_) | RawJson::Null => exact(raw),
    }
}

/// A JSON number; rounded if it has too many places.
fn decimal_of_number(json: &str, context: &mut ValueContext) -> Result<Decimal, ErrorText> {
    if !json.starts_with(|sign: char| sign == '-' || sign.is_ascii_digit()) {
        return Err(NOT_A_NUMBER);
    }
    let parsed = parse_decimal(json).or_else(|error| match error {
        NumberError::NotExact => rounded(json).inspect(|_| context.has_rounded = true),
        NumberError::NotANumber | NumberError::NotPositive => Err(error),
    });
    parsed.map_err(number_error)
}

/// A decimal exactly as it is written.
fn exact(raw: RawJson<'_>) -> Result<Decimal, ErrorText> {
    match number(raw)? {
        NumberText::Short(short) => Ok(short.decimal()),
        NumberText::Text(text) => parse_decimal(&text).map_err(number_error),
    }
}

#[cold]
fn number_error(error: NumberError) -> ErrorText {
    Cow::Owned(error.to_string())
}

macro_rules! decimals {
    ($($name:ident: $shape:ident, $make:expr;)*) => {
        $(impl Value for $name {
            const SHAPE: Shape = Shape::$shape;

            #[inline]
            fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
                decimal(raw, context).and_then($make)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                push_decimal(self.get(), out);
            }
        })*
    };
}

decimals! {
    Price: Price, |d| Ok(Price::new(d));
    Quantity: Quantity, |d| Quantity::new(d).map_err(number_error);
    Notional: Notional, |d| Notional::new(d).map_err(number_error);
    Position: Position, |d| Ok(Position::new(d));
    Amount: Amount, |d| Ok(Amount::new(d));
}

impl Value for u64 {
    const SHAPE: Shape = Shape::Integer;

    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        let value = exact(raw)?;
        let whole = if value.scale() == 0 { Self::try_from(value.mantissa()).ok() } else { None };
        whole.ok_or(Cow::Borrowed("must be an integer from 0"))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_u64(*self, out);
    }
}

/// The most causes that one release may name: as many as a latch can hold.
pub(crate) const CAUSES_NAMED_MAX: usize = limits::CAUSES_MAX + CauseKind::ALL.len();

/// Ids of causes, at most [`CAUSES_NAMED_MAX`].
pub(crate) struct CauseIds(pub(crate) Vec<u64>);

impl Value for CauseIds {
    const SHAPE: Shape = Shape::Integers;

    fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
        let not_array = Cow::Borrowed("must be an array of integers");
        let ids = read_elements(raw, not_array, |index, element| {
            let id = u64::decode(RawJson::Other(element), context)?;
            if index < CAUSES_NAMED_MAX { Ok(id) } else { Err(Cow::Borrowed("are too many")) }
        });
        ids.map(Self)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_array(&self.0, out, u64::encode);
    }
}

#[cold]
fn time_error(error: TimeTextError) -> ErrorText {
    Cow::Owned(error.to_string())
}

/// A time in the form of the field `time`.
pub(crate) struct TimeText(pub(crate) Timestamp);

impl Value for TimeText {
    const SHAPE: Shape = Shape::Time;

    #[inline]
    fn decode(raw: RawJson<'_>, context: &mut ValueContext) -> Result<Self, ErrorText> {
        if let RawJson::Text(text) = raw
            && text.len() <= limits::TEXT_BYTES_MAX
        {
            return context.minute.parse(text).map(Self).map_err(time_error);
        }
        if let RawJson::Other(json) = raw
            && !matches!(json.as_bytes(), [b'"' | b'-' | b'0'..=b'9', ..])
        {
            return Err(time_error(TimeTextError::Form));
        }
        let time = match number(raw)? {
            NumberText::Short(seconds) => time::in_range(seconds.nanos()),
            NumberText::Text(text) => context.minute.parse(&text),
        };
        time.map(Self).map_err(time_error)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_string(&time::rfc3339(self.0), out);
    }
}

/// A time in the form of the field `time_ns`.
pub(crate) struct TimeNanos(pub(crate) Timestamp);

impl Value for TimeNanos {
    const SHAPE: Shape = Shape::TimeNs;

    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        let time = match number(raw)? {
            NumberText::Short(ShortDecimal { digits, scale: 0 }) => time::in_range(digits.into()),
            NumberText::Short(nanos) => time::from_decimal_nanos(nanos.decimal()),
            NumberText::Text(text) => time::from_unix_nanos(&text),
        };
        time.map(Self).map_err(time_error)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push_i64(self.0.as_nanos(), out);
    }
}

/// Seconds, cut to nanoseconds: a float clock writes more digits than it can measure.
impl Value for Duration {
    const SHAPE: Shape = Shape::Seconds;

    fn decode(raw: RawJson<'_>, _: &mut ValueContext) -> Result<Self, ErrorText> {
        let nanos = match number(raw)? {
            NumberText::Short(seconds) => seconds.nanos(),
            NumberText::Text(text) => truncated(&text, NANOS_DIGITS).map_err(number_error)?,
        };
        u64::try_from(nanos)
            .ok()
            .map(Self::from_nanos)
            .filter(|d| *d <= DURATION_MAX)
            .ok_or_else(|| Cow::Owned(format!("must be from 0 to {}", DURATION_MAX.as_secs())))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // A decoded duration is at most `DURATION_MAX`, so its nanoseconds fit.
        let nanos = i64::try_from(self.as_nanos()).unwrap_or_else(|_| {
            impossible!("a duration has more nanoseconds than 64 bits hold");
            i64::MAX
        });
        push_decimal(Decimal::new(nanos, NANOS_DIGITS), out);
    }
}
