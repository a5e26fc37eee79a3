//! Whether an event may become a fact of its order.
//!
//! Input: an event about an order, and what is known of the order. Output: whether it is new, known
//! already, or why it is refused. Invariant: nothing is changed here.

use crate::domain::digest::digest_of;
use crate::domain::event::{Body, Event, FillCorrected, OrderFilled, OrderSubmitted};
use crate::domain::execution::context::Context;
use crate::domain::execution::facts::{About, correction_of, fill_of};
use crate::domain::execution::order::{Order, SubmissionContent};
use crate::domain::ids::OrderId;
use crate::domain::limits;
use crate::domain::record::Refusal;
use crate::domain::time::Timestamp;

/// What an event is to the facts of its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// A fact of its own.
    New,
    /// It tells more of a fact that is known.
    More,
    /// Nothing of it is new.
    Known,
}

/// Whether a replace would join two orders that contradict one another.
pub(super) fn check_merge(
    one: Option<&Order>,
    other: Option<&Order>,
    about: &About<'_>,
    context: &Context<'_, '_>,
) -> Result<(), Refusal> {
    let Some(other) = other else { return Ok(()) };
    // What the event says of the one holds for the other too.
    check_names(other, about, context)?;
    let Some(one) = one else { return Ok(()) };
    let symbols = one.symbol.zip(other.symbol).is_some_and(|(a, b)| a != b);
    let sides = one.side.zip(other.side).is_some_and(|(a, b)| a != b);
    if symbols || sides {
        return Err(Refusal::Conflict);
    }
    if one.facts() + other.facts() >= limits::FACTS_PER_ORDER_MAX {
        return Err(Refusal::OrderTooLong);
    }
    Ok(())
}

/// Symbol and side may be told by any event of an order, but only one way. Where two symbols were
/// submitted under its id, the symbol must be told.
pub(super) fn check_names(
    order: &Order,
    about: &About<'_>,
    context: &Context<'_, '_>,
) -> Result<(), Refusal> {
    let known = order.symbol.and_then(|key| context.symbols.name(key));
    let folded = order.symbol.is_some_and(|key| context.symbols.is_other(key));
    let symbols = known.zip(about.symbol).is_some_and(|(a, b)| a != b && !folded);
    let sides = order.side.zip(about.side).is_some_and(|(a, b)| a != b);
    let is_unclear = order.is_disputed && about.symbol.is_none();
    if symbols || sides || is_unclear { Err(Refusal::Conflict) } else { Ok(()) }
}

/// Whether the event is a duplicate of a fact, contradicts one, or is one too many.
pub(super) fn check_fact(
    order: &Order,
    event: &Event,
    order_id: &OrderId,
    at: Timestamp,
) -> Result<Novelty, Refusal> {
    let novelty = match &event.body {
        Body::OrderSubmitted(e) => check_submission(order, content_of(e, event), order_id)?,
        Body::OrderFilled(e) => check_fill(order, event, e, at)?,
        Body::FillBusted(e) => {
            let known = order
                .fills
                .amendments()
                .iter()
                .any(|a| a.fill_id == e.fill_id && a.corrected.is_none());
            if known { Novelty::Known } else { Novelty::New }
        }
        Body::FillCorrected(e) => {
            let latest = order.fills.amendments().iter().rfind(|a| a.fill_id == e.fill_id);
            let known = latest.is_some_and(|a| a.corrected == Some(correction_of(e)));
            if known { Novelty::Known } else { Novelty::New }
        }
        Body::OrderAccepted(_)
        | Body::OrderRejected(_)
        | Body::OrderDenied(_)
        | Body::OrderCancelled(_)
        | Body::OrderExpired(_)
        | Body::OrderReplaced(_)
        | Body::Quote(_)
        | Body::Positions(_)
        | Body::AccountEquity(_)
        | Body::Heartbeat(_)
        | Body::PositionAdjusted(_)
        | Body::Reconciled(_) => Novelty::New,
    };
    if novelty == Novelty::New && order.facts() >= limits::FACTS_PER_ORDER_MAX {
        return Err(Refusal::OrderTooLong);
    }
    Ok(novelty)
}

/// A second submission of one order is a duplicate or a conflict; one under a later id of a
/// replace chain is a fact of its own.
fn check_submission(
    order: &Order,
    content: SubmissionContent,
    order_id: &OrderId,
) -> Result<Novelty, Refusal> {
    let known = order.submission.as_ref().filter(|s| s.of_first_id && order.order_id == *order_id);
    let Some(known) = known.map(|s| s.content) else { return Ok(Novelty::New) };
    let same_time = known.given_time.zip(content.given_time).is_none_or(|(a, b)| a == b);
    if known.digest == content.digest && same_time {
        return Ok(Novelty::Known);
    }
    Err(Refusal::Conflict)
}

/// The notional of an execution must be held exactly enough to add it up.
pub(super) fn check_range(body: &Body) -> Result<(), Refusal> {
    let (quantity, price) = match body {
        Body::OrderFilled(OrderFilled { quantity: Some(quantity), price, .. })
        | Body::FillCorrected(FillCorrected { quantity, price, .. }) => (quantity, price),
        Body::OrderSubmitted(_)
        | Body::OrderAccepted(_)
        | Body::OrderFilled(_)
        | Body::OrderRejected(_)
        | Body::OrderDenied(_)
        | Body::OrderCancelled(_)
        | Body::OrderExpired(_)
        | Body::OrderReplaced(_)
        | Body::FillBusted(_)
        | Body::Quote(_)
        | Body::Positions(_)
        | Body::AccountEquity(_)
        | Body::Heartbeat(_)
        | Body::PositionAdjusted(_)
        | Body::Reconciled(_) => return Ok(()),
    };
    quantity.get().checked_mul(price.get()).map(|_| ()).ok_or(Refusal::OutOfRange)
}

/// Two reports of one fill id agree if side, quantity and price agree: then the first stands, and the
/// second may tell what it did not.
fn check_fill(
    order: &Order,
    event: &Event,
    fill: &OrderFilled,
    at: Timestamp,
) -> Result<Novelty, Refusal> {
    let Some(id) = &fill.fill_id else { return Ok(Novelty::New) };
    let Some(known) = order.fills.find(id) else {
        return Ok(Novelty::New);
    };
    let sides = known.side.zip(fill.order.side).is_none_or(|(a, b)| a == b);
    if !sides || known.quantity != fill.quantity || known.price != fill.price {
        return Err(Refusal::Conflict);
    }
    let tells_more = known.lacks(&fill_of(fill, event, at));
    Ok(if tells_more { Novelty::More } else { Novelty::Known })
}

/// What tells this submission from another.
pub(super) fn content_of(submitted: &OrderSubmitted, event: &Event) -> SubmissionContent {
    SubmissionContent { digest: digest_of(submitted), given_time: event.time }
}
