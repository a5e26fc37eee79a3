//! The events that engines and brokers send: one file for each kind.
//!
//! Input: events decoded by `crate::wire`. Output: values for the fold. Invariants: every field is
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

use crate::domain::closed_set::closed_set;
use crate::domain::ids::{Account, EventId, OrderId, Session, Strategy, Symbol, Venue};
use crate::domain::time::Timestamp;
use crate::domain::units::Side;

pub use order_submitted::OrderSize;
pub use positions::PositionRow;

/// Every kind of event: the one list of them. A name is the `type` on the wire and the module of
/// its value, here and in `crate::wire::event`; the variant after it holds that value.
///
/// `for_each_kind!(callback)` calls the macro `callback!` with the list. The `order` kinds state a
/// fact about one order and become an [`OrderFact`]; the `other` kinds become a [`Body`] each.
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            order {
                order_submitted => Submitted(OrderSubmitted),
                order_accepted => Accepted(OrderAccepted),
                order_filled => Filled(OrderFilled),
                order_rejected => Rejected(OrderRejected),
                order_denied => Denied(OrderDenied),
                order_cancelled => Cancelled(OrderCancelled),
                order_expired => Expired(OrderExpired),
                order_replaced => Replaced(OrderReplaced),
                fill_busted => FillBusted(FillBusted),
                fill_corrected => FillCorrected(FillCorrected),
            }
            other {
                quote => Quote(Quote),
                positions => Positions(Positions),
                account_equity => AccountEquity(AccountEquity),
                heartbeat => Heartbeat(Heartbeat),
                position_adjusted => PositionAdjusted(PositionAdjusted),
                reconciled => Reconciled(Reconciled),
            }
        }
    };
}
pub(crate) use for_each_kind;

macro_rules! declare_kinds {
    (order { $($fact:ident => $Fact:ident($FactValue:ident),)+ }
     other { $($other:ident => $Other:ident($OtherValue:ident),)+ }) => {
        $(pub use $fact::$FactValue;)+
        $(pub use $other::$OtherValue;)+

        /// The `type` of every kind of event; also the label `type` of metrics.
        pub const KINDS: [&str; <[&str]>::len(&[$(stringify!($fact),)+ $(stringify!($other),)+])] =
            [$(stringify!($fact),)+ $(stringify!($other),)+];

        /// The content of an event.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Body {
            /// A fact about one order.
            Order(OrderEvent),
            $(#[doc = concat!("`", stringify!($other), "`")] $Other($OtherValue),)+
        }

        /// A fact about an order: one variant for each `type` of an order event.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum OrderFact {
            $(#[doc = concat!("`", stringify!($fact), "`")] $Fact($FactValue),)+
        }

        impl Body {
            /// The `type` on the wire: one of [`KINDS`].
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::Order(OrderEvent { fact: OrderFact::$Fact(_), .. }) => {
                        stringify!($fact)
                    })+
                    $(Self::$Other(_) => stringify!($other),)+
                }
            }

            /// The `type` in quotes: a JSON string, since no type needs an escape.
            pub(crate) const fn quoted_kind(&self) -> &'static str {
                match self {
                    $(Self::Order(OrderEvent { fact: OrderFact::$Fact(_), .. }) => {
                        concat!("\"", stringify!($fact), "\"")
                    })+
                    $(Self::$Other(_) => concat!("\"", stringify!($other), "\""),)+
                }
            }

            /// The side that sent the event; `None` if either may have.
            #[must_use]
            pub fn sender(&self) -> Option<Source> {
                match self {
                    Self::Order(_) => Some(Source::Local),
                    $(Self::$Other(body) => body.sender(),)+
                }
            }

            /// Visits every symbol that the event names.
            pub(crate) fn each_symbol(&mut self, visit: &mut dyn FnMut(&mut Symbol)) {
                match self {
                    Self::Order(event) => event.order.symbol.iter_mut().for_each(visit),
                    $(Self::$Other(body) => body.each_symbol(visit),)+
                }
            }
        }
    };
}
for_each_kind!(declare_kinds);

/// One event with its envelope. Equality and hash cover all that was decoded: two events are
/// duplicates of one another when they are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The account that it is about.
    pub account: Account,
    /// The sender's time; `None` for the time of receipt.
    pub time: Option<Timestamp>,
    /// The idempotency key within the account.
    pub event_id: Option<EventId>,
    /// The run of an engine that reuses order ids; `None` for the run without a name.
    pub session: Option<Session>,
    /// The strategy that caused it.
    pub strategy: Option<Strategy>,
    /// The execution venue.
    pub venue: Option<Venue>,
    /// Made by the engine to correct its books: moves positions, and is left out of quality figures.
    pub synthetic: bool,
    /// Its content.
    pub body: Body,
}

/// An event about one order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderEvent {
    /// The order.
    pub order: OrderRef,
    /// The fact that the event adds to it.
    pub fact: OrderFact,
}

/// The order that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRef {
    /// The engine's id of the order.
    pub order_id: OrderId,
    /// The instrument, if the event reports it.
    pub symbol: Option<Symbol>,
    /// The side, if the event reports it.
    pub side: Option<Side>,
}

/// The properties that every kind beside the order events has to state.
trait OtherKind {
    /// See [`Body::sender`]. An event of the engine shows that its earlier events have arrived too,
    /// provided that it reports in order. A quote or an adjustment shows nothing, because any process
    /// may send one.
    fn sender(&self) -> Option<Source>;

    /// See [`Body::each_symbol`].
    fn each_symbol(&mut self, visit: &mut dyn FnMut(&mut Symbol));
}

closed_set! {
    /// Whose positions a snapshot reports.
    pub enum Source {
        /// Those that the engine believes to hold.
        Local = "local",
        /// Those that the broker reports.
        Broker = "broker",
    }
}

closed_set! {
    /// Whether an execution added or took liquidity (FIX `LastLiquidityInd`).
    pub enum Liquidity {
        /// Added.
        Maker = "maker",
        /// Took.
        Taker = "taker",
    }
}

closed_set! {
    /// Who cancelled an order.
    pub enum Initiator {
        /// The engine or its user.
        User = "user",
        /// The venue or broker.
        Venue = "venue",
    }
}
