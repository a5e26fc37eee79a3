//! Decimals for a stored state: the 16 bytes of their representation, so that scale and sign come
//! back as they were.
//!
//! For `#[serde(with = "exact")]` on fields. The crate's own form is text, which drops the sign of
//! a zero and costs ten times as much.

use std::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::ids::Currency;
use crate::domain::units::Decimal;

/// Writes a value that holds decimals.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<T: Exact, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.form().serialize(serializer)
}

/// Reads a value that holds decimals.
///
/// # Errors
/// Those of the deserializer.
pub(crate) fn deserialize<'de, T: Exact, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::Form::deserialize(deserializer).map(T::from_form)
}

/// A value that holds decimals, and its stored form.
pub(crate) trait Exact: Sized {
    /// The same with [`Stored`] in place of each decimal.
    type Form: Serialize + DeserializeOwned;

    /// To the stored form.
    fn form(&self) -> Self::Form;

    /// Back from it.
    fn from_form(form: Self::Form) -> Self;
}

impl Exact for Decimal {
    type Form = Stored;

    fn form(&self) -> Stored {
        Stored(*self)
    }

    fn from_form(form: Stored) -> Self {
        form.0
    }
}

impl Exact for Option<Decimal> {
    type Form = Option<Stored>;

    fn form(&self) -> Self::Form {
        self.map(Stored)
    }

    fn from_form(form: Self::Form) -> Self {
        form.map(|stored| stored.0)
    }
}

impl Exact for Option<(Decimal, Decimal)> {
    type Form = Option<(Stored, Stored)>;

    fn form(&self) -> Self::Form {
        self.map(|(a, b)| (Stored(a), Stored(b)))
    }

    fn from_form(form: Self::Form) -> Self {
        form.map(|(a, b)| (a.0, b.0))
    }
}

impl Exact for Option<(Decimal, Option<Currency>)> {
    type Form = Option<(Stored, Option<Currency>)>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(|(amount, currency)| (Stored(*amount), currency.clone()))
    }

    fn from_form(form: Self::Form) -> Self {
        form.map(|(amount, currency)| (amount.0, currency))
    }
}

/// A decimal as its 16 bytes.
pub(crate) struct Stored(Decimal);

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.serialize())
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(SixteenBytes)
    }
}

struct SixteenBytes;

impl Visitor<'_> for SixteenBytes {
    type Value = Stored;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the 16 bytes of a decimal")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Stored, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        let decimal = Decimal::deserialize(bytes);
        if decimal.scale() > Decimal::MAX_SCALE {
            return Err(E::custom("a decimal has too many places"));
        }
        Ok(Stored(decimal))
    }
}
