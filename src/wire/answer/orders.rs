//! Orders still held, with their facts.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Exact, Time};
use super::word::{
    InitiatorWord, LiquidityWord, OrderStatus, OrderStatusWord, OutcomeWord, SideWord,
};
use crate::domain::execution::{EndView, FillView, OrderView};
use crate::domain::units::Decimal;

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
    /// The venue's id of it, once known.
    pub venue_order_id: Option<String>,
    /// `market`, `limit` and so on, as the engine said it.
    pub order_type: Option<String>,
    /// `day`, `gtc`, `ioc` and so on, as the engine said it.
    pub time_in_force: Option<String>,
    /// Whether it may only reduce a position; null: not told.
    pub reduce_only: Option<bool>,
    /// The limit price, that of the last replace; null: none was told.
    pub limit_price: Option<Exact>,
    /// The price when the strategy decided.
    pub decision_price: Option<Exact>,
    /// Where it stands.
    pub status: OrderStatusWord,
    /// The ordered quantity, once known; null for an order by notional.
    pub quantity: Option<Exact>,
    /// The amount of the quote currency that was ordered for; null: the order has a quantity.
    pub notional: Option<Exact>,
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
    /// Why it was rejected, of a closed set: the label `reason` of metrics. Null: it was not.
    pub reject_reason: Option<&'static str>,
    /// Why it was rejected, denied or cancelled, in the words of who did: of the fact that decides.
    pub reason: Option<String>,
    /// Why it was rejected, as the venue's code.
    pub code: Option<String>,
    /// Who cancelled it.
    pub initiator: Option<InitiatorWord>,
    /// The rejections, cancellations and so on that were told of it, the one that decides first; an
    /// order that was filled all the same may have some, too.
    pub ends: Vec<End>,
    /// Fees less rebates by currency, of the executions that stand. Without those whose currency is
    /// that of an instrument that is not known yet.
    #[schema(value_type = BTreeMap<String, Exact>)]
    pub fees: BTreeMap<String, Exact>,
    /// The executions in the order of arrival, busted ones too.
    pub fills: Vec<Fill>,
}

/// One fact that ends an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct End {
    /// What it says.
    pub outcome: OutcomeWord,
    /// When (event time).
    pub time: Time,
    /// Who cancelled.
    pub initiator: Option<InitiatorWord>,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// Why it was rejected, as a code.
    pub code: Option<String>,
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
#[expect(clippy::struct_excessive_bools, reason = "each is one field of the answer")]
pub struct Fill {
    /// Its id, if it has one.
    pub fill_id: Option<String>,
    /// When (event time).
    pub time: Time,
    /// How much, as it stands: 0 when it was busted. Null: what explicit fills leave of a quantity
    /// that is not known yet.
    pub quantity: Option<Exact>,
    /// At what price, as it stands.
    pub price: Exact,
    /// How much, as it was reported; null: what explicit fills leave.
    pub reported_quantity: Option<Exact>,
    /// At what price, as it was reported.
    pub reported_price: Exact,
    /// The fee as it stands; negative is a rebate; null: none was told, or the execution was busted.
    pub fee: Option<Exact>,
    /// The currency of the fee; null: that of an instrument that is not known yet.
    pub fee_currency: Option<String>,
    /// Whether it added or took liquidity.
    pub liquidity: Option<LiquidityWord>,
    /// Whether the venue said that nothing of the order is left after it.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Undone by the venue.
    pub busted: bool,
    /// Corrected by the venue.
    pub corrected: bool,
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
        let limit_price = limit;
        let [expected, arrival, limit] = order.slippage_bps;
        let fees = fees(&order.fills);
        let end = order.ends.first().cloned();
        Self {
            account: account.to_owned(),
            order_id: order.order_id.to_string(),
            aliases: order.aliases.iter().map(ToString::to_string).collect(),
            session: order.session.map(|s| s.to_string()),
            symbol: order.symbol.map(|s| s.to_string()),
            side: order.side.map(Into::into),
            strategy: order.strategy,
            venue: order.venue,
            venue_order_id: order.venue_order_id.map(|id| id.to_string()),
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            reduce_only: order.reduce_only,
            limit_price,
            decision_price: order.decision_price.map(Exact),
            status,
            quantity: order.quantity.map(Exact),
            notional: order.notional.map(Exact),
            filled_quantity: Exact(order.filled_quantity),
            average_price: order.average_price.map(Exact),
            submitted_at: order.submitted_at.map(Time),
            accepted_at: order.accepted_at.map(Time),
            ended_at: order.ended_at.map(Time),
            received_at: Time(order.received_at),
            references,
            slippage_bps: ReferenceSlippage { expected, arrival, limit },
            reject_reason: order.reject_reason,
            reason: end.as_ref().and_then(|end| end.reason.clone()),
            code: end.as_ref().and_then(|end| end.code.clone()),
            initiator: end.and_then(|end| end.initiator).map(Into::into),
            ends: order.ends.into_iter().map(Into::into).collect(),
            fees,
            fills: order.fills.into_iter().map(Into::into).collect(),
        }
    }
}

/// Fees by currency.
fn fees(fills: &[FillView]) -> BTreeMap<String, Exact> {
    let mut fees = BTreeMap::new();
    for fill in fills {
        if let Some((fee, currency)) = fill.fee.zip(fill.fee_currency.as_ref()) {
            let sum = fees.entry(currency.to_string()).or_insert(Exact(Decimal::ZERO));
            sum.0 = sum.0.saturating_add(fee);
        }
    }
    fees
}

impl From<EndView> for End {
    fn from(end: EndView) -> Self {
        let EndView { outcome, time, initiator, reason, code } = end;
        let initiator = initiator.map(Into::into);
        Self { outcome: outcome.into(), time: Time(time), initiator, reason, code }
    }
}

impl From<FillView> for Fill {
    fn from(fill: FillView) -> Self {
        Self {
            fill_id: fill.fill_id.map(|id| id.to_string()),
            time: Time(fill.time),
            quantity: fill.quantity.map(Exact),
            price: Exact(fill.price),
            reported_quantity: fill.reported_quantity.map(Exact),
            reported_price: Exact(fill.reported_price),
            fee: fill.fee.map(Exact),
            fee_currency: fill.fee_currency.map(|currency| currency.to_string()),
            liquidity: fill.liquidity.map(Into::into),
            is_final: fill.is_final,
            busted: fill.busted,
            corrected: fill.corrected,
            synthetic: fill.synthetic,
        }
    }
}
