//! The events that engines and brokers send: one file for each kind.
//!
//! Input: what `crate::wire` decoded. Output: values for the fold. Invariants: every field is
//! checked by its type. Deliberately absent: JSON, defaults that need a clock.

mod account_equity;
mod fill_busted;
mod fill_corrected;
mod heartbeat;
mod order_accepted;
mod order_cancelled;
mod order_denied;
mod order_expired;
mod order_filled;
mod order_rejected;
mod order_replaced;
mod order_submitted;
mod position_adjusted;
mod positions;
mod quote;
mod reconciled;

use serde::{Deserialize, Serialize};

use crate::domain::closed_set::closed_set;
use crate::domain::ids::{Account, EventId, OrderId, Session, Strategy, Symbol, Venue};
use crate::domain::time::Timestamp;
use crate::domain::units::Side;

pub use account_equity::AccountEquity;
pub use fill_busted::FillBusted;
pub use fill_corrected::FillCorrected;
pub use heartbeat::Heartbeat;
pub use order_accepted::OrderAccepted;
pub use order_cancelled::OrderCancelled;
pub use order_denied::OrderDenied;
pub use order_expired::OrderExpired;
pub use order_filled::OrderFilled;
pub use order_rejected::OrderRejected;
pub use order_replaced::OrderReplaced;
pub use order_submitted::{OrderSubmitted, Ordered};
pub use position_adjusted::PositionAdjusted;
pub use positions::{PositionRow, Positions};
pub use quote::Quote;
pub use reconciled::Reconciled;

/// One event with its envelope. Equality and hash cover all that was decoded: two events are
/// duplicates of one another when they are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The account it concerns.
    pub account: Account,
    /// The sender's time; missing: the time of receipt.
    pub time: Option<Timestamp>,
    /// The idempotency key within the account.
    pub event_id: Option<EventId>,
    /// The run of an engine that reuses order ids; missing: the one without a name.
    pub session: Option<Session>,
    /// The strategy behind it.
    pub strategy: Option<Strategy>,
    /// The execution venue.
    pub venue: Option<Venue>,
    /// Made by the engine to set its books right: moves positions, stays out of quality figures.
    pub synthetic: bool,
    /// What happened.
    pub body: Body,
}

impl Event {
    /// Whether the engine itself speaks: what it reported before is known by now, if it reports in
    /// order. Quotes and adjustments may come from anywhere.
    #[must_use]
    pub fn is_of_engine(&self) -> bool {
        match &self.body {
            Body::OrderSubmitted(_)
            | Body::OrderAccepted(_)
            | Body::OrderFilled(_)
            | Body::OrderRejected(_)
            | Body::OrderDenied(_)
            | Body::OrderCancelled(_)
            | Body::OrderExpired(_)
            | Body::OrderReplaced(_)
            | Body::FillBusted(_)
            | Body::FillCorrected(_)
            | Body::Reconciled(_) => true,
            Body::Positions(_) => !self.is_of_broker(),
            Body::Heartbeat(beat) => beat.component.as_str() == "engine" && !self.is_of_broker(),
            Body::Quote(_) | Body::AccountEquity(_) | Body::PositionAdjusted(_) => false,
        }
    }

    /// Whether the broker's side says so, and not the engine.
    #[must_use]
    pub fn is_of_broker(&self) -> bool {
        match &self.body {
            Body::Positions(positions) => positions.source == Source::Broker,
            Body::Heartbeat(heartbeat) => heartbeat.source == Some(Source::Broker),
            Body::OrderSubmitted(_)
            | Body::OrderAccepted(_)
            | Body::OrderFilled(_)
            | Body::OrderRejected(_)
            | Body::OrderDenied(_)
            | Body::OrderCancelled(_)
            | Body::OrderExpired(_)
            | Body::OrderReplaced(_)
            | Body::FillBusted(_)
            | Body::FillCorrected(_)
            | Body::Quote(_)
            | Body::AccountEquity(_)
            | Body::PositionAdjusted(_)
            | Body::Reconciled(_) => false,
        }
    }
}

/// What an `order_*` or `fill_*` event says of its order, beside the submission.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRef {
    /// The engine's id of the order.
    pub order_id: OrderId,
    /// The instrument, if the event says it.
    pub symbol: Option<Symbol>,
    /// The side, if the event says it.
    pub side: Option<Side>,
}

/// What happened: one variant for each `type` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// `order_submitted`
    OrderSubmitted(OrderSubmitted),
    /// `order_accepted`
    OrderAccepted(OrderAccepted),
    /// `order_filled`
    OrderFilled(OrderFilled),
    /// `order_rejected`
    OrderRejected(OrderRejected),
    /// `order_denied`
    OrderDenied(OrderDenied),
    /// `order_cancelled`
    OrderCancelled(OrderCancelled),
    /// `order_expired`
    OrderExpired(OrderExpired),
    /// `order_replaced`
    OrderReplaced(OrderReplaced),
    /// `fill_busted`
    FillBusted(FillBusted),
    /// `fill_corrected`
    FillCorrected(FillCorrected),
    /// `quote`
    Quote(Quote),
    /// `positions`
    Positions(Positions),
    /// `account_equity`
    AccountEquity(AccountEquity),
    /// `heartbeat`
    Heartbeat(Heartbeat),
    /// `position_adjusted`
    PositionAdjusted(PositionAdjusted),
    /// `reconciled`
    Reconciled(Reconciled),
}

/// The kinds of events, as `type` names them; also the label `type` of metrics.
pub const KINDS: [&str; 16] = [
    "order_submitted",
    "order_accepted",
    "order_filled",
    "order_rejected",
    "order_denied",
    "order_cancelled",
    "order_expired",
    "order_replaced",
    "fill_busted",
    "fill_corrected",
    "quote",
    "positions",
    "account_equity",
    "heartbeat",
    "position_adjusted",
    "reconciled",
];

impl Body {
    /// The `type` on the wire: one of [`KINDS`].
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OrderSubmitted(_) => "order_submitted",
            Self::OrderAccepted(_) => "order_accepted",
            Self::OrderFilled(_) => "order_filled",
            Self::OrderRejected(_) => "order_rejected",
            Self::OrderDenied(_) => "order_denied",
            Self::OrderCancelled(_) => "order_cancelled",
            Self::OrderExpired(_) => "order_expired",
            Self::OrderReplaced(_) => "order_replaced",
            Self::FillBusted(_) => "fill_busted",
            Self::FillCorrected(_) => "fill_corrected",
            Self::Quote(_) => "quote",
            Self::Positions(_) => "positions",
            Self::AccountEquity(_) => "account_equity",
            Self::Heartbeat(_) => "heartbeat",
            Self::PositionAdjusted(_) => "position_adjusted",
            Self::Reconciled(_) => "reconciled",
        }
    }
}

closed_set! {
    /// Whose positions a snapshot reports.
    pub enum Source {
        /// The engine's: what it believes it holds.
        Local = "local",
        /// The broker's: what it says is held.
        Broker = "broker",
    }
}

/// Whether an execution added or took liquidity (FIX `LastLiquidityInd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Liquidity {
    /// Added.
    Maker,
    /// Took.
    Taker,
}

impl Liquidity {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Taker => "taker",
        }
    }
}

/// Who cancelled an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Initiator {
    /// The engine or its user.
    User,
    /// The venue or broker.
    Venue,
}

impl Initiator {
    /// As on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Venue => "venue",
        }
    }
}
