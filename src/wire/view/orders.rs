//! Orders still held, with their facts.

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Exact, Time};
use super::word::{OrderStatus, OrderStatusWord, SideWord};
use crate::domain::execution::{FillView, OrderView};

/// One order and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Order {
    /// The account.
    pub account: String,
    /// The engine's id, the first of a replace chain.
    pub order_id: String,
    /// Other ids of the same chain.
    pub aliases: Vec<String>,
    /// The run of the engine; null: the one without a name.
    pub session: Option<String>,
    /// The instrument, once known.
    pub symbol: Option<String>,
    /// Buy or sell, once known.
    pub side: Option<SideWord>,
    /// The strategy, once known.
    pub strategy: Option<String>,
    /// The venue, once known.
    pub venue: Option<String>,
    /// Where it stands.
    pub status: OrderStatusWord,
    /// The ordered quantity, once known.
    pub quantity: Option<Exact>,
    /// The executed quantity.
    pub filled_quantity: Exact,
    /// The average fill price; null without a fill.
    pub average_price: Option<Exact>,
    /// When it was submitted (event time); null: the submission has not arrived.
    pub submitted_at: Option<Time>,
    /// When the venue accepted it (event time).
    pub accepted_at: Option<Time>,
    /// When it ended (event time of the deciding fact).
    pub ended_at: Option<Time>,
    /// When the last fact of it was received.
    pub received_at: Time,
    /// The prices that its slippage is measured against.
    pub references: ReferencePrices,
    /// Its slippage; positive = worse.
    pub slippage_bps: ReferenceSlippage,
    /// The executions that stand.
    pub fills: Vec<Fill>,
}

/// The prices that slippage is measured against; null: not given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReferencePrices {
    /// `expected_price` of the submission.
    pub expected: Option<Exact>,
    /// `arrival_price` of the submission, or the latest mid then.
    pub arrival: Option<Exact>,
    /// The limit price.
    pub limit: Option<Exact>,
}

/// Slippage in basis points; positive = worse; null without a fill or a usable reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReferenceSlippage {
    /// Against the expected price.
    pub expected: Option<f64>,
    /// Against the arrival price.
    pub arrival: Option<f64>,
    /// Against the limit price.
    pub limit: Option<f64>,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Fill {
    /// Its id, if it has one.
    pub fill_id: Option<String>,
    /// When (event time).
    pub time: Time,
    /// How much; null: what explicit fills leave of a quantity that is not known yet.
    pub quantity: Option<Exact>,
    /// At what price.
    pub price: Exact,
    /// Made by the engine to set its books right: outside every quality figure.
    pub synthetic: bool,
}

/// One page of a listing of orders.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OrderPage {
    /// The orders, by account and in the order of their first fact. A page may hold fewer than
    /// `limit`, even none, and not be the last: a filter that matches little is searched in
    /// bounded steps.
    pub orders: Vec<Order>,
    /// Asks for the next page as `cursor`; null: this is the last.
    pub next_cursor: Option<String>,
}

impl From<&OrderView> for OrderStatusWord {
    fn from(order: &OrderView) -> Self {
        match order.outcome {
            Some(outcome) => OrderStatus::Ended(outcome).into(),
            None if order.is_unknown => OrderStatus::Unknown.into(),
            None => OrderStatus::Open.into(),
        }
    }
}

impl Order {
    /// The answer for one order.
    #[must_use]
    pub fn new(account: &str, order: OrderView) -> Self {
        let status = (&order).into();
        let [expected, arrival, limit] = order.references.map(|price| price.map(Exact));
        let references = ReferencePrices { expected, arrival, limit };
        let [expected, arrival, limit] = order.slippage_bps;
        Self {
            account: account.to_owned(),
            order_id: order.order_id.to_string(),
            aliases: order.aliases.iter().map(ToString::to_string).collect(),
            session: order.session.map(|s| s.to_string()),
            symbol: order.symbol.map(|s| s.to_string()),
            side: order.side.map(Into::into),
            strategy: order.strategy.map(|s| s.to_string()),
            venue: order.venue.map(|v| v.to_string()),
            status,
            quantity: order.quantity.map(Exact),
            filled_quantity: Exact(order.filled_quantity),
            average_price: order.average_price.map(Exact),
            submitted_at: order.submitted_at.map(Time),
            accepted_at: order.accepted_at.map(Time),
            ended_at: order.ended_at.map(Time),
            received_at: Time(order.received_at),
            references,
            slippage_bps: ReferenceSlippage { expected, arrival, limit },
            fills: order.fills.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<FillView> for Fill {
    fn from(fill: FillView) -> Self {
        Self {
            fill_id: fill.fill_id.map(|id| id.to_string()),
            time: Time(fill.time),
            quantity: fill.quantity.map(Exact),
            price: Exact(fill.price),
            synthetic: fill.synthetic,
        }
    }
}
