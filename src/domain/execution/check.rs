//! Whether an event may become a fact of its order.
//!
//! Input: an event about an order, and what is known of the order. Output: whether it is new, known
//! already, or why it is refused. Invariant: nothing is changed here.

use crate::domain::digest::digest_of;
use crate::domain::event::{OrderFact, OrderFilled, OrderRef, OrderSubmitted};
use crate::domain::execution::OrderReport;
use crate::domain::execution::context::Context;
use crate::domain::execution::facts::{correction_of, fill_of};
use crate::domain::execution::fills::Amendment;
use crate::domain::execution::order::{Order, SubmissionContent};
use crate::domain::limits;
use crate::domain::record::Refusal;

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
    reported: &OrderRef,
    context: &Context<'_, '_>,
) -> Result<(), Refusal> {
    let Some(other) = other else { return Ok(()) };
    // What the event says of the one holds for the other too.
    check_names(other, reported, context)?;
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
    reported: &OrderRef,
    context: &Context<'_, '_>,
) -> Result<(), Refusal> {
    let known = order.symbol.and_then(|key| context.symbols.name(key));
    let folded = order.symbol.is_some_and(|key| context.symbols.is_other(key));
    let symbols = known.zip(reported.symbol.as_ref()).is_some_and(|(a, b)| a != b && !folded);
    let sides = order.side.zip(reported.side).is_some_and(|(a, b)| a != b);
    let is_unclear = order.is_disputed && reported.symbol.is_none();
    if symbols || sides || is_unclear { Err(Refusal::Conflict) } else { Ok(()) }
}

/// Whether the event is a duplicate of a fact, contradicts one, or is one too many.
pub(super) fn check_fact(order: &Order, report: &OrderReport<'_>) -> Result<Novelty, Refusal> {
    let amendments = order.fills.amendments();
    let known_if = |is_known| if is_known { Novelty::Known } else { Novelty::New };
    let novelty = if let OrderFact::Submitted(submitted) = report.fact {
        check_submission(order, content_of(submitted, report), report)?
    } else if let OrderFact::Filled(filled) = report.fact {
        check_fill(order, filled, report)?
    } else if let OrderFact::FillBusted(bust) = report.fact {
        let is_bust = |a: &Amendment| a.fill_id == bust.fill_id && a.corrected.is_none();
        known_if(amendments.iter().any(is_bust))
    } else if let OrderFact::FillCorrected(corrected) = report.fact {
        let latest = amendments.iter().rfind(|a| a.fill_id == corrected.fill_id);
        known_if(latest.is_some_and(|a| a.corrected == Some(correction_of(corrected))))
    } else {
        Novelty::New
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
    report: &OrderReport<'_>,
) -> Result<Novelty, Refusal> {
    let is_first_id = order.order_id == report.order.order_id;
    let known = order.submission.as_ref().filter(|s| s.of_first_id && is_first_id);
    let Some(known) = known.map(|s| s.content) else { return Ok(Novelty::New) };
    let same_time = known.given_time.zip(content.given_time).is_none_or(|(a, b)| a == b);
    if known.digest == content.digest && same_time {
        return Ok(Novelty::Known);
    }
    Err(Refusal::Conflict)
}

/// Two reports of one fill id agree if side, quantity and price agree: then the first stands, and the
/// second may tell what it did not.
fn check_fill(
    order: &Order,
    fill: &OrderFilled,
    report: &OrderReport<'_>,
) -> Result<Novelty, Refusal> {
    let Some(id) = &fill.fill_id else { return Ok(Novelty::New) };
    let Some(known) = order.fills.find(id) else {
        return Ok(Novelty::New);
    };
    let sides = known.side.zip(report.order.side).is_none_or(|(a, b)| a == b);
    if !sides || known.quantity != fill.quantity || known.price != fill.price {
        return Err(Refusal::Conflict);
    }
    let tells_more = known.lacks(&fill_of(fill, report));
    Ok(if tells_more { Novelty::More } else { Novelty::Known })
}

/// Tells this submission from another of the same order. The digest covers the names too: a symbol
/// beyond the bound is folded, and then [`check_names`] does not compare it.
pub(super) fn content_of(
    submitted: &OrderSubmitted,
    report: &OrderReport<'_>,
) -> SubmissionContent {
    let digest = digest_of(&(report.order, submitted));
    SubmissionContent { digest, given_time: report.given_time }
}
