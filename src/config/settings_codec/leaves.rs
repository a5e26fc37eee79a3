//! How single values and scoped rules of the settings are written.
//!
//! Invariant: what is written reads back equal. One module for each kind, in the form that serde's
//! `with` takes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::settings::PerSeverity;
use crate::domain::units::Decimal;

/// A rule that has a shape of its own.
pub(super) trait Shaped: Sized {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// A rule between serde's derived code and its shape.
struct Through<T>(T);

impl<T: Shaped> Serialize for Through<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, T: Shaped> Deserialize<'de> for Through<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopedShape<R> {
    default: R,
    overrides: Vec<OverrideShape<R>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideShape<R> {
    account: String,
    symbol: String,
    rule: R,
}

/// A rule and its overrides.
pub(super) mod scoped {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{OverrideShape, ScopedShape, Shaped, Through};
    use crate::domain::pattern::Pattern;
    use crate::domain::settings::{Override, Scoped};

    pub(in super::super) fn serialize<T: Shaped, S: Serializer>(
        scoped: &Scoped<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let overrides = scoped.overrides.iter().map(|o| OverrideShape {
            account: o.account.as_str().to_owned(),
            symbol: o.symbol.as_str().to_owned(),
            rule: Through(&o.rule),
        });
        ScopedShape { default: Through(&scoped.default), overrides: overrides.collect() }
            .serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, T: Shaped, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Scoped<T>, D::Error> {
        let shape = ScopedShape::<Through<T>>::deserialize(deserializer)?;
        let overrides = shape.overrides.into_iter().map(|o| Override {
            account: Pattern::new(&o.account),
            symbol: Pattern::new(&o.symbol),
            rule: o.rule.0,
        });
        Ok(Scoped { default: shape.default.0, overrides: overrides.collect() })
    }
}

/// An exact decimal as text.
pub(super) mod decimal {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::units::Decimal;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Decimal,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Decimal, D::Error> {
        let text = String::deserialize(from)?;
        Decimal::from_str_exact(&text).map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecimalsShape {
    #[serde(with = "decimal")]
    minor: Decimal,
    #[serde(with = "decimal")]
    moderate: Decimal,
    #[serde(with = "decimal")]
    critical: Decimal,
}

impl From<&PerSeverity<Decimal>> for DecimalsShape {
    fn from(of: &PerSeverity<Decimal>) -> Self {
        Self { minor: of.minor, moderate: of.moderate, critical: of.critical }
    }
}

impl From<DecimalsShape> for PerSeverity<Decimal> {
    fn from(of: DecimalsShape) -> Self {
        Self { minor: of.minor, moderate: of.moderate, critical: of.critical }
    }
}

/// Thresholds as decimals.
pub(super) mod decimals {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::DecimalsShape;
    use crate::domain::settings::PerSeverity;
    use crate::domain::units::Decimal;

    pub(in super::super) fn serialize<S: Serializer>(
        of: &PerSeverity<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        DecimalsShape::from(of).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PerSeverity<Decimal>, D::Error> {
        DecimalsShape::deserialize(deserializer).map(Into::into)
    }
}

/// Thresholds that may be off.
pub(super) mod decimals_or_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::DecimalsShape;
    use crate::domain::settings::PerSeverity;
    use crate::domain::units::Decimal;

    #[expect(clippy::ref_option, reason = "serde hands in references")]
    pub(in super::super) fn serialize<S: Serializer>(
        of: &Option<PerSeverity<Decimal>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        of.as_ref().map(DecimalsShape::from).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PerSeverity<Decimal>>, D::Error> {
        Ok(Option::<DecimalsShape>::deserialize(deserializer)?.map(Into::into))
    }
}

/// A float as its shortest text that reads back to the same float.
pub(super) mod float {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
    pub(in super::super) fn serialize<S: Serializer>(
        value: &f64,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// A float that may be missing.
pub(super) mod float_or_none {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands in references")]
    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<f64>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|v| v.to_string()).serialize(out)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|t| t.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A currency code.
pub(super) mod currency {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::ids::Currency;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Currency,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Currency, D::Error> {
        Currency::new(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A currency code that may be missing.
pub(super) mod currency_or_none {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::ids::Currency;

    #[expect(clippy::ref_option, reason = "serde hands in references")]
    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<Currency>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Currency::as_str).serialize(out)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Currency>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|t| Currency::new(&t).map_err(D::Error::custom)).transpose()
    }
}

/// What quantities count, if a rule says it.
pub(super) mod unit {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::settings::Unit;

    const WORDS: [(&str, Unit); 2] = [("contract", Unit::Contract), ("coin", Unit::Coin)];

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands in references"
    )]
    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<Unit>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        let word =
            |unit: &Unit| WORDS.iter().find(|(_, known)| known == unit).map(|(word, _)| word);
        value.as_ref().and_then(word).serialize(out)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Unit>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let known = WORDS.iter().find(|(word, _)| *word == text).map(|(_, unit)| *unit);
        known.map(Some).ok_or_else(|| D::Error::custom("is no unit"))
    }
}
