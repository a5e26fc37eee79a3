//! Latencies of acknowledgements and fills.

use super::{ACCOUNT, SYMBOL};
use crate::metrics::family::{Family, SampleSource};

/// Families about latencies.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_fill_time_seconds_mean",
        "Mean time in seconds from submission to last fill of the window's filled orders.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.fill_time.seconds)),
    ),
    Family::gauge(
        "trading_ack_time_seconds_mean",
        "Mean time in seconds from submission to acceptance of the window's orders.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.ack_time.seconds)),
    ),
    Family::histogram(
        "trading_order_ack_duration_seconds",
        "Time in seconds from submission to acceptance.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.histogram(&[], &a.ack)),
    ),
    Family::histogram(
        "trading_order_fill_duration_seconds",
        "Time in seconds from submission to last fill of filled orders.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.histogram(&[], &a.fill)),
    ),
];
