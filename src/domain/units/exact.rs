//! Decimals in stored forms: text where people read it, 16 bytes where only programs do.
//!
//! For `#[serde(with = "exact")]` on fields. In a human-readable format (the JSON of the journal) a
//! decimal is text, so that no reader rounds it to a float. In a binary format (the `MessagePack` of a
//! snapshot) it is the 16 bytes of its representation, which keep its scale and the sign of a zero.
//! Invariant: the value that was written is read back. Rejected: the serde feature of the crate, which
//! writes text in both formats.

use std::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::ids::Currency;
use crate::domain::settings::PerSeverity;
use crate::domain::units::Decimal;

/// Writes a value that holds decimals.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<T: Exact, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.stored().serialize(serializer)
}

/// Reads a value that holds decimals.
///
/// # Errors
/// Those of the deserializer.
pub(crate) fn deserialize<'de, T: Exact, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::Stored::deserialize(deserializer).map(T::from_stored)
}

/// A value that holds decimals, and its stored form: the same type with [`StoredDecimal`] in place of
/// each decimal.
pub(crate) trait Exact: Sized {
    type Stored: Serialize + DeserializeOwned;

    fn stored(&self) -> Self::Stored;

    fn from_stored(stored: Self::Stored) -> Self;
}

impl Exact for Decimal {
    type Stored = StoredDecimal;

    fn stored(&self) -> StoredDecimal {
        StoredDecimal(*self)
    }

    fn from_stored(stored: StoredDecimal) -> Self {
        stored.0
    }
}

impl Exact for Currency {
    type Stored = Self;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn from_stored(stored: Self) -> Self {
        stored
    }
}

impl<T: Exact> Exact for Option<T> {
    type Stored = Option<T::Stored>;

    fn stored(&self) -> Self::Stored {
        self.as_ref().map(T::stored)
    }

    fn from_stored(stored: Self::Stored) -> Self {
        stored.map(T::from_stored)
    }
}

impl<A: Exact, B: Exact> Exact for (A, B) {
    type Stored = (A::Stored, B::Stored);

    fn stored(&self) -> Self::Stored {
        (self.0.stored(), self.1.stored())
    }

    fn from_stored((a, b): Self::Stored) -> Self {
        (A::from_stored(a), B::from_stored(b))
    }
}

impl<T: Exact> Exact for PerSeverity<T> {
    type Stored = PerSeverity<T::Stored>;

    fn stored(&self) -> Self::Stored {
        let Self { minor, moderate, critical } = self;
        PerSeverity {
            minor: minor.stored(),
            moderate: moderate.stored(),
            critical: critical.stored(),
        }
    }

    fn from_stored(stored: Self::Stored) -> Self {
        let PerSeverity { minor, moderate, critical } = stored;
        Self {
            minor: T::from_stored(minor),
            moderate: T::from_stored(moderate),
            critical: T::from_stored(critical),
        }
    }
}

/// A decimal as text or as its 16 bytes, see the module.
pub(crate) struct StoredDecimal(Decimal);

impl Serialize for StoredDecimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            serializer.serialize_bytes(&self.0.serialize())
        }
    }
}

impl<'de> Deserialize<'de> for StoredDecimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(StoredDecimalVisitor)
        } else {
            deserializer.deserialize_bytes(StoredDecimalVisitor)
        }
    }
}

struct StoredDecimalVisitor;

impl Visitor<'_> for StoredDecimalVisitor {
    type Value = StoredDecimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal, as text or as 16 bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StoredDecimal, E> {
        Decimal::from_str_exact(text).map(StoredDecimal).map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<StoredDecimal, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        let decimal = Decimal::deserialize(bytes);
        if decimal.scale() > Decimal::MAX_SCALE {
            return Err(E::custom("a decimal has too many places"));
        }
        Ok(StoredDecimal(decimal))
    }
}
