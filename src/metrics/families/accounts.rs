//! Each account as a whole: its own window, not the sum over its symbols.

use super::ACCOUNT;
use super::windows::{samples, size};
use crate::domain::settings::Reference;
use crate::metrics::family::{Family, SampleSource};

/// Families about accounts.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_account_window_orders",
        "Number of ended orders in the account's own window.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.count(&[], size(a.figures.samples))),
    ),
    Family::gauge(
        "trading_account_window_fills",
        "Number of executions in the account's own window of executions.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.count(&[], size(a.figures.fills))),
    ),
    Family::gauge(
        "trading_account_window_samples",
        "Number of orders that a figure of the account's window is computed from; reference is empty for figures without one.",
        &["account", "figure", "reference"],
        SampleSource::Account(|a, p| samples(&a.figures, p)),
    ),
    Family::gauge(
        "trading_account_fill_ratio",
        "Share of the account's ended orders that were filled completely, 0 to 1.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.value(&[], a.figures.fill_ratio)),
    ),
    Family::gauge(
        "trading_account_fill_ratio_ex_user_cancels",
        "Fill ratio of the account without orders that the user cancelled before any fill, 0 to 1.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.value(&[], a.figures.fill_ratio_ex_user_cancels)),
    ),
    Family::gauge(
        "trading_account_rejection_ratio",
        "Share of the account's ended orders that the venue or broker rejected, 0 to 1.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.value(&[], a.figures.rejection_ratio)),
    ),
    Family::gauge(
        "trading_account_fill_time_seconds_mean",
        "Mean time in seconds from submission to last fill of the account's filled orders.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.value(&[], a.figures.fill_time.seconds)),
    ),
    Family::gauge(
        "trading_account_slippage_bps",
        "Mean slippage of the account's orders in basis points, positive is worse.",
        &["account", "reference"],
        SampleSource::Account(|a, p| {
            for (reference, slippage) in Reference::ALL.iter().zip(&a.figures.slippage) {
                p.value(&[reference.as_str()], slippage.mean_bps);
            }
        }),
    ),
    Family::gauge(
        "trading_last_event_timestamp_seconds",
        "Unix time in seconds at which the last event of the account was received.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.time(&[], a.last_event_at)),
    ),
    Family::counter(
        "trading_not_monitored_total",
        "Number of events and position rows about symbols beyond symbols.max, which are not \
         monitored.",
        ACCOUNT,
        SampleSource::Account(|a, p| p.count(&[], a.not_monitored)),
    ),
];
