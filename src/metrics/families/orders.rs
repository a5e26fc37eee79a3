//! Orders: submissions, outcomes, and those that are open.

use super::{ACCOUNT, SYMBOL};
use crate::domain::execution::counters::Outcome;
use crate::metrics::family::{Family, SampleSource};

/// Families about orders.
pub const FAMILIES: &[Family] = &[
    Family::counter(
        "trading_orders_submitted_total",
        "Number of orders submitted.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.submitted)),
    ),
    Family::counter(
        "trading_orders_accepted_total",
        "Number of orders accepted by the venue.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.accepted)),
    ),
    Family::counter(
        "trading_orders_filled_total",
        "Number of orders filled completely.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Filled])),
    ),
    Family::counter(
        "trading_orders_cancelled_total",
        "Number of orders cancelled, with or without partial fills.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Cancelled])),
    ),
    Family::counter(
        "trading_orders_expired_total",
        "Number of orders expired, with or without partial fills.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Expired])),
    ),
    Family::counter(
        "trading_orders_denied_total",
        "Number of orders denied by the engine's own checks; they were never sent.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Denied])),
    ),
    Family::counter(
        "trading_orders_rejected_total",
        "Number of orders rejected by the venue or broker.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.outcomes[Outcome::Rejected])),
    ),
    Family::counter(
        "trading_rejections_by_reason_total",
        "Number of orders rejected by the venue or broker, by reason.",
        &["account", "reason"],
        SampleSource::Account(|a, p| {
            for (reason, count) in a.rejections {
                let latest = a.latest_rejections[reason].as_ref();
                p.count_with_exemplar(&[reason.as_str()], count, latest);
            }
        }),
    ),
    Family::counter(
        "trading_order_outcome_changes_total",
        "Number of times that an order changed its outcome, for example by a fill after a cancel.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.count(&[], a.counters.outcome_changes)),
    ),
    Family::gauge(
        "trading_orders_open",
        "Number of orders that have not ended.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.open)),
    )
    .summed(),
    Family::gauge(
        "trading_orders_unacknowledged",
        "Number of submitted orders not acknowledged within orders.unacknowledged_after.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.unacknowledged)),
    )
    .summed(),
    Family::gauge(
        "trading_oldest_open_order_timestamp_seconds",
        "Unix time in seconds at which the oldest open order was submitted; absent without open orders.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.time(&[], a.oldest_open_at)),
    ),
    Family::counter(
        "trading_orders_dropped_total",
        "Number of orders forgotten because a bound was reached, by kind: open, unknown (no submission seen).",
        &["account", "kind"],
        SampleSource::Account(|a, p| {
            let (open, unknown) = a.dropped;
            p.count(&["open"], open);
            p.count(&["unknown"], unknown);
        }),
    ),
];
