//! Schemas of the domain's closed sets, which answers contain as their words.
//!
//! `closed_set!` makes the enums serialize as their words; here they get a name in the published
//! document. Invariant: the schema lists every word.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::audit::AuditAction;
use crate::domain::closed_set::{ClosedSet, closed_set};
use crate::domain::drift::{
    Attribution, DriftAction, DriftHint, DriftState, DriftType, LedgerBasis, SeverityTest,
};
use crate::domain::event::{Initiator, Liquidity, Source};
use crate::domain::evidence::EvidenceGap;
use crate::domain::execution::OrderView;
use crate::domain::execution::anomaly::{AnomalyLevel, Figure};
use crate::domain::execution::counters::Outcome;
use crate::domain::health::{Health, Witness};
use crate::domain::settings::{EvidenceResponse, OnExpiry, Severity};
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::units::Side;
use crate::domain::warning::Warning;

fn schema_of<E: ClosedSet>() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(E::DOC))
        .enum_values(Some(E::WORDS.iter().copied()))
        .into()
}

/// Gives closed sets their names in the published document.
macro_rules! schemas {
    ($($set:ident = $name:literal,)+) => {
        $(impl PartialSchema for $set {
            fn schema() -> RefOr<Schema> {
                schema_of::<Self>()
            }
        }

        impl ToSchema for $set {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        })+
    };
}

schemas! {
    DriftAction = "Action",
    AnomalyLevel = "Level",
    Attribution = "Attribution",
    AuditAction = "Audit",
    CauseKind = "CauseKind",
    DriftState = "DriftState",
    DriftType = "DriftType",
    Figure = "Figure",
    Health = "HealthState",
    DriftHint = "Hint",
    Initiator = "Initiator",
    LedgerBasis = "LedgerBasis",
    Liquidity = "Liquidity",
    EvidenceGap = "Missing",
    OnExpiry = "OnExpiry",
    OrderStatus = "OrderStatus",
    Outcome = "Outcome",
    EvidenceResponse = "Response",
    Severity = "Severity",
    Side = "Side",
    Source = "Source",
    SeverityTest = "Test",
    TradingState = "TradingState",
    Warning = "Warning",
    Witness = "Witness",
}

closed_set! {
    /// The status of an order: `open`, submitted and not ended; `unknown`, no submission and no end
    /// has arrived; else how it ended.
    pub enum OrderStatus {
        /// Submitted, and not ended.
        Open = "open",
        /// Known from later facts alone: its submission has not arrived.
        Unknown = "unknown",
        /// Completely filled.
        Filled = "filled",
        /// Refused by the venue or broker.
        Rejected = "rejected",
        /// Cancelled, perhaps after partial fills.
        Cancelled = "cancelled",
        /// Expired, perhaps after partial fills.
        Expired = "expired",
        /// Refused by the engine's own checks.
        Denied = "denied",
    }
}

impl From<&OrderView> for OrderStatus {
    fn from(order: &OrderView) -> Self {
        match order.outcome {
            Some(Outcome::Filled) => Self::Filled,
            Some(Outcome::Rejected) => Self::Rejected,
            Some(Outcome::Cancelled) => Self::Cancelled,
            Some(Outcome::Expired) => Self::Expired,
            Some(Outcome::Denied) => Self::Denied,
            None if order.is_unknown => Self::Unknown,
            None => Self::Open,
        }
    }
}
