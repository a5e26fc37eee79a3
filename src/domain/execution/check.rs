//! Checks whether an event may become a fact of its order.
//!
//! Input: an event about an order, and the known facts of the order. Output: whether it is new, known
//! already, or why it is refused. Invariant: nothing is changed here.

use crate::domain::digest::digest_of;
use crate::domain::event::{OrderFact, OrderFilled, OrderRef, OrderSubmitted};
use crate::domain::execution::OrderReport;
use crate::domain::execution::facts::{correction_of, fill_of};
use crate::domain::execution::fills::FEW_MAX;
use crate::domain::execution::order::{Order, OrderSubmission, SubmissionDigest, SubmissionRank};
use crate::domain::limits;
use crate::domain::record::Refusal;
use crate::domain::step::Step;

/// How much of an event is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It is a new fact.
    New,
    /// It adds details to a known fact.
    More,
    /// Nothing.
    Known,
}

/// Refuses a replace that would join two orders which contradict one another.
pub(super) fn check_merge(
    one: Option<&Order>,
    other: Option<&Order>,
    reported: &OrderRef,
    step: &Step<'_, '_>,
) -> Result<(), Refusal> {
    let Some(other) = other else { return Ok(()) };
    // The names that the event reports apply to both orders.
    check_names(other, reported, step)?;
    let Some(one) = one else { return Ok(()) };
    let symbols = one.symbol.zip(other.symbol).is_some_and(|(a, b)| a != b);
    let sides = one.side.zip(other.side).is_some_and(|(a, b)| a != b);
    if symbols || sides {
        return Err(Refusal::Conflict);
    }
    if one.facts() + other.facts() >= limits::FACTS_PER_ORDER_MAX {
        return Err(Refusal::OrderTooLong);
    }
    let (first, second) = (one.submission.as_ref(), other.submission.as_ref());
    if first.zip(second).is_some_and(|(a, b)| a.expected() != b.expected()) {
        check_restated(one, &[other])?;
    }
    Ok(())
}

/// Refuses an event whose symbol or side contradicts the order. Any event may report them. If two
/// symbols were submitted under the id, the event must report the symbol.
pub(super) fn check_names(
    order: &Order,
    reported: &OrderRef,
    step: &Step<'_, '_>,
) -> Result<(), Refusal> {
    let known = order.symbol.and_then(|key| step.symbols.name(key));
    let folded = order.symbol.is_some_and(|key| step.symbols.is_other(key));
    let symbols = known.zip(reported.symbol.as_ref()).is_some_and(|(a, b)| a != b && !folded);
    let sides = order.side.zip(reported.side).is_some_and(|(a, b)| a != b);
    let is_ambiguous = order.is_disputed && reported.symbol.is_none();
    if symbols || sides || is_ambiguous { Err(Refusal::Conflict) } else { Ok(()) }
}

/// Compares the event with the facts of its order. Refuses a contradiction, and one fact too many.
pub(super) fn check_fact(order: &Order, report: &OrderReport<'_>) -> Result<Novelty, Refusal> {
    let known_if = |is_known| if is_known { Novelty::Known } else { Novelty::New };
    let novelty = if let OrderFact::Submitted(submitted) = report.fact {
        check_submission(order, (submitted, content_of(submitted, report)), report)?
    } else if let OrderFact::Filled(filled) = report.fact {
        check_fill(order, filled, report)?
    } else if let OrderFact::FillBusted(bust) = report.fact {
        known_if(order.fills.amended(Some(&bust.fill_id)).is_busted)
    } else if let OrderFact::FillCorrected(corrected) = report.fact {
        let amended = order.fills.amended(Some(&corrected.fill_id));
        let latest = order.fills.amendments().last(amended);
        known_if(latest.is_some_and(|a| a.corrected == Some(correction_of(corrected))))
    } else {
        Novelty::New
    };
    if novelty == Novelty::New && order.facts() >= limits::FACTS_PER_ORDER_MAX {
        return Err(Refusal::OrderTooLong);
    }
    Ok(novelty)
}

/// A second submission of one order is a duplicate or a conflict. A submission under a later id of a
/// replace chain is a new fact.
fn check_submission(
    order: &Order,
    (submitted, content): (&OrderSubmitted, SubmissionDigest),
    report: &OrderReport<'_>,
) -> Result<Novelty, Refusal> {
    let is_first_id = order.order_id == report.order.order_id;
    let first = order.submission.as_ref().filter(|s| s.of_first_id && is_first_id);
    let Some(known) = first.map(|s| s.content) else {
        let rank =
            SubmissionRank { of_later_id: !is_first_id, at: report.at, digest: content.digest };
        let replaces = |known: &&OrderSubmission| {
            rank < known.rank() && known.expected() != submitted.expected_price
        };
        if order.submission.as_ref().is_some_and(|known| replaces(&known)) {
            check_restated(order, &[])?;
        }
        return Ok(Novelty::New);
    };
    let same_time = known.given_time.zip(content.given_time).is_none_or(|(a, b)| a == b);
    if known.digest == content.digest && same_time {
        return Ok(Novelty::Known);
    }
    Err(Refusal::Conflict)
}

/// Refuses to change the reference of many counted fills once too often: each time, all of them are
/// counted again. `joined` are the orders that are merged into the `order`.
pub(super) fn check_restated(order: &Order, joined: &[&Order]) -> Result<(), Refusal> {
    let all = || std::iter::once(order).chain(joined.iter().copied());
    let restated: usize = all().map(|order| usize::from(order.counted.restated)).sum();
    let is_large = all().any(|order| order.fills.len() > FEW_MAX);
    if is_large && restated >= limits::RESTATED_MAX {
        return Err(Refusal::OrderTooLong);
    }
    Ok(())
}

/// Two reports of one fill id agree if side, quantity and price agree. The first one is kept, and the
/// second may add details.
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
    let has_more = known.lacks(&fill_of(fill, report));
    Ok(if has_more { Novelty::More } else { Novelty::Known })
}

/// Tells this submission from another of the same order. The digest covers the names too: a symbol
/// beyond the bound is folded, and then [`check_names`] does not compare it.
pub(super) fn content_of(submitted: &OrderSubmitted, report: &OrderReport<'_>) -> SubmissionDigest {
    let digest = digest_of(&(report.order, submitted));
    SubmissionDigest { digest, given_time: report.given_time }
}
