//! Closed sets of words: each is the domain's own spelling, listed once for the schema.

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::settings::{EvidenceResponse, OnExpiry};
use crate::domain::units::Side;

macro_rules! word {
    ($(#[doc = $doc:literal])* $name:ident, $domain:ty, [$($member:expr),* $(,)?]) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(&'static str);

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                Self(value.as_str())
            }
        }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [&'static str] = &[$($member.as_str()),*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(SchemaType::new(Type::String))
                    .description(Some(concat!($($doc, "\n"),*).trim()))
                    .enum_values(Some(Self::ALL.iter().copied()))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_end_matches("Word").into()
            }
        }
    };
}

word! {
    /// What an engine does when its permit runs out.
    OnExpiryWord, OnExpiry,
    [OnExpiry::ReduceOnly, OnExpiry::Halt, OnExpiry::Continue]
}
word! {
    /// What is done beside telling people: nothing, only reduce positions, halt.
    ResponseWord, EvidenceResponse,
    [EvidenceResponse::Alert, EvidenceResponse::Reduce, EvidenceResponse::Halt]
}
word! {
    /// Buy or sell.
    SideWord, Side,
    [Side::Buy, Side::Sell]
}
