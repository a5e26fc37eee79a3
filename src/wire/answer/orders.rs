//! The orders in memory, with their facts.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::enums::OrderStatus;
use super::scalar::Exact;
use crate::domain::event::{Initiator, Liquidity};
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::order::TerminalFact;
use crate::domain::execution::{FillView, OrderView, RejectReason};
use crate::domain::units::{Decimal, Side};
use crate::wire::time::Rfc3339;

/// One order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Order {
    /// The account.
    pub account: String,
    /// The engine's id, the first of a replace chain.
    pub order_id: String,
    /// The other ids of that chain.
    pub aliases: Vec<String>,
    /// The run of the engine; null: the one without a name.
    pub session: Option<String>,
    /// The instrument, once known.
    pub symbol: Option<String>,
    /// Buy or sell, once known.
    pub side: Option<Side>,
    /// The strategy, once known.
    pub strategy: Option<String>,
    /// The venue, once known.
    pub venue: Option<String>,
    /// The venue's id of it, once known.
    pub venue_order_id: Option<String>,
    /// `market`, `limit` and so on, in the engine's words.
    pub order_type: Option<String>,
    /// `day`, `gtc`, `ioc` and so on, in the engine's words.
    pub time_in_force: Option<String>,
    /// Whether it may only reduce a position; null: not reported.
    pub reduce_only: Option<bool>,
    /// The limit price, that of the last replace; null: none was reported.
    pub limit_price: Option<Exact>,
    /// The price when the strategy decided.
    pub decision_price: Option<Exact>,
    /// Its status.
    pub status: OrderStatus,
    /// The ordered quantity, once known; null for an order by notional.
    pub quantity: Option<Exact>,
    /// The ordered amount of the quote currency; null: the order has a quantity.
    pub notional: Option<Exact>,
    /// The executed quantity.
    pub filled_quantity: Exact,
    /// The average fill price; null without a fill.
    pub average_price: Option<Exact>,
    /// When it was submitted (event time); null: the submission has not arrived.
    pub submitted_at: Option<Rfc3339>,
    /// When the venue accepted it (event time).
    pub accepted_at: Option<Rfc3339>,
    /// When it ended (event time of the deciding fact).
    pub ended_at: Option<Rfc3339>,
    /// When its last fact was received.
    pub received_at: Rfc3339,
    /// The reference prices of its slippage.
    pub references: ReferencePrices,
    /// Its slippage; positive = worse.
    pub slippage_bps: ReferenceSlippage,
    /// The class of its rejection, the label `reason` of metrics; null: it was not rejected.
    pub reject_reason: Option<&'static str>,
    /// The reason of its end, in the words of the side that rejected, denied or cancelled it.
    pub reason: Option<String>,
    /// The venue's code of its rejection.
    pub code: Option<String>,
    /// The side that cancelled it.
    pub initiator: Option<Initiator>,
    /// Its rejections, cancellations and so on, the deciding one first. A filled order may have some
    /// too.
    pub ends: Vec<End>,
    /// Fees less rebates by currency, without busted executions. A fee in the currency of an
    /// instrument that is not known yet is left out.
    #[schema(value_type = BTreeMap<String, Exact>)]
    pub fees: BTreeMap<String, Exact>,
    /// The executions in the order of arrival, including busted ones.
    pub fills: Vec<Fill>,
}

/// One fact that ends an order.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct End {
    /// The outcome that it reports.
    pub outcome: Outcome,
    /// When (event time).
    pub time: Rfc3339,
    /// The side that cancelled.
    pub initiator: Option<Initiator>,
    /// The reason, in the words of that side.
    pub reason: Option<String>,
    /// The code of the rejection.
    pub code: Option<String>,
}

/// The reference prices of slippage; null: not given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReferencePrices {
    /// `expected_price` of the submission.
    pub expected: Option<Exact>,
    /// `arrival_price` of the submission, or the latest mid at that time.
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
    pub time: Rfc3339,
    /// The current quantity: 0 if it was busted. Null: the rest of an order whose quantity is not known
    /// yet.
    pub quantity: Option<Exact>,
    /// The current price.
    pub price: Exact,
    /// The reported quantity; null: the rest of the order.
    pub reported_quantity: Option<Exact>,
    /// The reported price.
    pub reported_price: Exact,
    /// The current fee; negative is a rebate; null: none was reported, or the execution was busted.
    pub fee: Option<Exact>,
    /// The currency of the fee; null: that of an instrument that is not known yet.
    pub fee_currency: Option<String>,
    /// Whether it added or took liquidity.
    pub liquidity: Option<Liquidity>,
    /// Whether the venue reported that it fills the order completely.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Undone by the venue.
    pub busted: bool,
    /// Corrected by the venue.
    pub corrected: bool,
    /// The engine made it to correct its book: it is left out of every quality figure.
    pub synthetic: bool,
}

/// One page of a listing of orders.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OrderPage {
    /// The orders, by account and then in the order of their first fact. A page may have fewer than
    /// `limit` orders, even none, and not be the last one: the search for matching orders stops after a
    /// bounded number of steps.
    pub orders: Vec<Order>,
    /// The `cursor` of the next page; null: this is the last page.
    pub next_cursor: Option<String>,
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
            side: order.side,
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
            submitted_at: order.submitted_at.map(Rfc3339),
            accepted_at: order.accepted_at.map(Rfc3339),
            ended_at: order.ended_at.map(Rfc3339),
            received_at: Rfc3339(order.received_at),
            references,
            slippage_bps: ReferenceSlippage { expected, arrival, limit },
            reject_reason: order.reject_reason.map(RejectReason::as_str),
            reason: end.as_ref().and_then(|end| end.reason.clone()).map(String::from),
            code: end.as_ref().and_then(|end| end.code.clone()).map(String::from),
            initiator: end.and_then(|end| end.initiator),
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

impl From<TerminalFact> for End {
    fn from(end: TerminalFact) -> Self {
        Self {
            outcome: end.outcome,
            time: Rfc3339(end.at),
            initiator: end.initiator,
            reason: end.reason.map(String::from),
            code: end.code.map(String::from),
        }
    }
}

impl From<FillView> for Fill {
    fn from(fill: FillView) -> Self {
        Self {
            fill_id: fill.fill_id.map(|id| id.to_string()),
            time: Rfc3339(fill.time),
            quantity: fill.quantity.map(Exact),
            price: Exact(fill.price),
            reported_quantity: fill.reported_quantity.map(Exact),
            reported_price: Exact(fill.reported_price),
            fee: fill.fee.map(Exact),
            fee_currency: fill.fee_currency.map(|currency| currency.to_string()),
            liquidity: fill.liquidity,
            is_final: fill.is_final,
            busted: fill.busted,
            corrected: fill.corrected,
            synthetic: fill.synthetic,
        }
    }
}
