//! Orders: how many there were, how they ended, which are open.

use super::{ACCOUNT, SYMBOL};
use crate::domain::execution::counters::Outcome;
use crate::metrics::catalogue::{Family, Source};

/// Families about orders.
pub const FAMILIES: &[Family] = &[
    Family::counter(
        "trading_orders_submitted_total",
        "Number of orders submitted.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.submitted)),
    ),
    Family::counter(
        "trading_orders_accepted_total",
        "Number of orders that the venue accepted.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.accepted)),
    ),
    Family::counter(
        "trading_orders_filled_total",
        "Number of orders that were filled completely.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Filled])),
    ),
    Family::counter(
        "trading_orders_cancelled_total",
        "Number of orders that were cancelled, perhaps after partial fills.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Cancelled])),
    ),
    Family::counter(
        "trading_orders_expired_total",
        "Number of orders that expired, perhaps after partial fills.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Expired])),
    ),
    Family::counter(
        "trading_orders_denied_total",
        "Number of orders that the engine's own checks denied: they never left.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Denied])),
    ),
    Family::counter(
        "trading_orders_rejected_total",
        "Number of orders that the venue or broker rejected.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Rejected])),
    ),
    Family::counter(
        "trading_rejections_by_reason_total",
        "Number of orders that the venue or broker rejected, by a closed set of reasons.",
        &["account", "reason"],
        Source::Account(|a, p| {
            for (reason, count) in a.rejections {
                let latest = a.latest_rejections[reason].as_ref();
                p.count_with_exemplar(&[reason.as_str()], count, latest);
            }
        }),
    ),
    Family::counter(
        "trading_order_outcome_changes_total",
        "Number of times that an order changed its outcome, as by a fill after a cancel.",
        ACCOUNT,
        Source::Account(|a, p| p.count(&[], a.counters.outcome_changes)),
    ),
    Family::gauge(
        "trading_orders_open",
        "Number of orders that have not ended.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.open)),
    )
    .summed(),
    Family::gauge(
        "trading_orders_unacknowledged",
        "Number of orders submitted of which nothing was heard for too long.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.unacknowledged)),
    )
    .summed(),
    Family::gauge(
        "trading_oldest_open_order_timestamp_seconds",
        "Unix time in seconds at which the oldest open order was submitted; absent without one.",
        ACCOUNT,
        Source::Account(|a, p| p.time(&[], a.oldest_open_at)),
    ),
    Family::counter(
        "trading_orders_dropped_total",
        "Number of orders forgotten because as many are held as may be: open, or not submitted yet.",
        &["account", "kind"],
        Source::Account(|a, p| {
            let (open, unknown) = a.dropped;
            p.count(&["open"], open);
            p.count(&["unknown"], unknown);
        }),
    ),
];
