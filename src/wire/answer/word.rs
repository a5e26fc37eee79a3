//! Closed sets of words: each is the domain's own spelling, listed once for the schema.

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::audit::AuditAction;
use crate::domain::drift::{Action, Attribution, DriftState, DriftType, Hint, LedgerBasis, Test};
use crate::domain::event::{Initiator, Liquidity, Source};
use crate::domain::evidence::Missing;
use crate::domain::execution::anomaly::{AnomalyLevel, Figure};
use crate::domain::execution::counters::Outcome;
use crate::domain::health::{Health, Witness};
use crate::domain::settings::{OnExpiry, Response, Severity};
use crate::domain::state::{CauseKind, TradingState};
use crate::domain::units::Side;
use crate::domain::warning::Warning;

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
    /// What an account may do. `halted`: no new orders; `reducing`: only orders that reduce a
    /// position; cancels are always allowed.
    TradingStateWord, TradingState,
    [TradingState::Active, TradingState::Reducing, TradingState::Halted]
}
word! {
    /// What kind of thing set a cause.
    CauseKindWord, CauseKind,
    [
        CauseKind::Drift,
        CauseKind::Operator,
        CauseKind::Alertmanager,
        CauseKind::Risk,
        CauseKind::Component,
        CauseKind::NotMonitored,
        CauseKind::MissingEvidence,
    ]
}
word! {
    /// What there is to say about an event that was taken.
    WarningWord, Warning,
    [
        Warning::Stale,
        Warning::ClockSkew,
        Warning::NotMonitored,
        Warning::Rounded,
        Warning::UnknownAccount,
    ]
}
word! {
    /// What was done or tried.
    AuditWord, AuditAction,
    [
        AuditAction::Halt,
        AuditAction::Release,
        AuditAction::ForcedRelease,
        AuditAction::Reconcile,
        AuditAction::ReconcileSent,
        AuditAction::ReconcileConfirmed,
        AuditAction::ReconcileEscalated,
        AuditAction::Retire,
        AuditAction::Configure,
    ]
}
word! {
    /// What an engine does when its permit runs out.
    OnExpiryWord, OnExpiry,
    [OnExpiry::ReduceOnly, OnExpiry::Halt, OnExpiry::Continue]
}
word! {
    /// The state of a component or of the system. `unknown` never counts as healthy.
    HealthStateWord, Health,
    [Health::Healthy, Health::Degraded, Health::Unknown, Health::Unhealthy]
}
word! {
    /// Who says how a component is: a probe of the exporter's own, the engine (local), the broker's
    /// side. The worst counts.
    WitnessWord, Witness,
    [Witness::Exporter, Witness::Local, Witness::Broker]
}
word! {
    /// Whose book it is: the engine's (local) or the broker's.
    SourceWord, Source,
    [Source::Local, Source::Broker]
}
word! {
    /// Evidence that is missing: the positions of one side never came, those that drift is judged by
    /// are too old, or nothing comes from the engine.
    MissingWord, Missing,
    [
        Missing::LocalBookNeverCame,
        Missing::BrokerBookNeverCame,
        Missing::BookStale,
        Missing::EngineSilent,
    ]
}
word! {
    /// What is done beside telling people: nothing, only reduce positions, halt.
    ResponseWord, Response,
    [Response::Alert, Response::Reduce, Response::Halt]
}
word! {
    /// How bad an anomaly is.
    LevelWord, AnomalyLevel,
    [AnomalyLevel::Warning, AnomalyLevel::Critical]
}
word! {
    /// What is judged.
    FigureWord, Figure,
    [
        Figure::FillRatio,
        Figure::SlippageBps,
        Figure::FillTimeSeconds,
        Figure::RejectionRatio,
        Figure::ConsecutiveRejections,
        Figure::Unacknowledged,
        Figure::Overfill,
        Figure::Conflict,
        Figure::ClockSkew,
        Figure::HaltOfUnknownAccount,
    ]
}
word! {
    /// How large a drift is.
    SeverityWord, Severity,
    [Severity::Minor, Severity::Moderate, Severity::Critical]
}
word! {
    /// How the books differ.
    DriftTypeWord, DriftType,
    [
        DriftType::QuantityMismatch,
        DriftType::PriceMismatch,
        DriftType::UnknownPosition,
        DriftType::GhostPosition,
    ]
}
word! {
    /// The state of a difference: in flight, seen, confirmed, a directive sent, gone; or never more
    /// than within tolerance, which is no drift.
    DriftStateWord, DriftState,
    [
        DriftState::Pending,
        DriftState::Unconfirmed,
        DriftState::Open,
        DriftState::Reconciling,
        DriftState::Cleared,
        DriftState::WithinTolerance,
    ]
}
word! {
    /// The test that made a drift as severe as it is: by quantity, by value, by fraction of the
    /// position; long against short; a value that cannot be told; a reconciliation that nobody
    /// confirmed; a symbol that was reconciled too often.
    TestWord, Test,
    [
        Test::Quantity,
        Test::Value,
        Test::Relative,
        Test::SignFlip,
        Test::ValueUnknown,
        Test::ReconcileFailed,
        Test::ReconcileBudget,
    ]
}
word! {
    /// What a drift looks like beside another one. `same_position_two_names`: a ghost and an unknown
    /// position of equal quantity appeared together, so perhaps the sides spell one symbol in two
    /// ways.
    HintWord, Hint,
    [Hint::SamePositionTwoNames]
}
word! {
    /// Which side is probably wrong, judged by the ledger.
    AttributionWord, Attribution,
    [
        Attribution::EngineMissedFill,
        Attribution::ExternalOrUnreportedTrade,
        Attribution::Unexplained,
    ]
}
word! {
    /// What is done about a drift.
    ActionWord, Action,
    [Action::None, Action::Reconcile, Action::Alert, Action::Halt]
}
word! {
    /// Where a ledger starts: at 0, or at a complete broker snapshot, a reconciliation or an
    /// adoption.
    LedgerBasisWord, LedgerBasis,
    [LedgerBasis::AssumedFlat, LedgerBasis::Anchored]
}
word! {
    /// Buy or sell.
    SideWord, Side,
    [Side::Buy, Side::Sell]
}
word! {
    /// Whether an execution added or took liquidity.
    LiquidityWord, Liquidity,
    [Liquidity::Maker, Liquidity::Taker]
}
word! {
    /// Who cancelled: the engine or its user, or the venue or broker.
    InitiatorWord, Initiator,
    [Initiator::User, Initiator::Venue]
}
word! {
    /// How an order ended.
    OutcomeWord, Outcome,
    [
        Outcome::Filled,
        Outcome::Rejected,
        Outcome::Cancelled,
        Outcome::Expired,
        Outcome::Denied,
    ]
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Submitted, and not ended.
    Open,
    /// Known from later facts alone: its submission has not arrived.
    Unknown,
    /// Ended.
    Ended(Outcome),
}

impl OrderStatus {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }
}

word! {
    /// Where an order stands. `open`: submitted and not ended; `unknown`: its submission has not
    /// arrived and nothing ended it; else how it ended.
    OrderStatusWord, OrderStatus,
    [
        OrderStatus::Open,
        OrderStatus::Unknown,
        OrderStatus::Ended(Outcome::Filled),
        OrderStatus::Ended(Outcome::Rejected),
        OrderStatus::Ended(Outcome::Cancelled),
        OrderStatus::Ended(Outcome::Expired),
        OrderStatus::Ended(Outcome::Denied),
    ]
}
