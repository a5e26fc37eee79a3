//! Counters and ratios broken down by strategy or venue, where that is switched on.
//!
//! Deliberately absent: quantities, because those of different symbols cannot be added.

use super::fills::money;
use super::windows::size;
use crate::domain::execution::counters::Outcome;
use crate::metrics::family::{Family, SampleSource};

/// Declares the families of one kind of breakdown: by strategy or by venue.
macro_rules! broken_down {
    ($by:literal, $source:path) => {
        &[
            broken_down!(counter $by, $source, "orders_submitted", "Number of orders submitted",
                |b, p| p.count(&[], b.counters.submitted)),
            broken_down!(counter $by, $source, "orders_accepted", "Number of orders accepted",
                |b, p| p.count(&[], b.counters.accepted)),
            broken_down!(counter $by, $source, "orders_filled", "Number of orders filled completely",
                |b, p| p.count(&[], b.counters.outcomes[Outcome::Filled])),
            broken_down!(counter $by, $source, "orders_cancelled", "Number of orders cancelled",
                |b, p| p.count(&[], b.counters.outcomes[Outcome::Cancelled])),
            broken_down!(counter $by, $source, "orders_expired", "Number of orders expired",
                |b, p| p.count(&[], b.counters.outcomes[Outcome::Expired])),
            broken_down!(counter $by, $source, "orders_denied", "Number of orders denied",
                |b, p| p.count(&[], b.counters.outcomes[Outcome::Denied])),
            broken_down!(counter $by, $source, "orders_rejected", "Number of orders rejected",
                |b, p| p.count(&[], b.counters.outcomes[Outcome::Rejected])),
            broken_down!(counter $by, $source, "fills", "Number of executions",
                |b, p| p.count(&[], b.counters.fills)),
            broken_down!(counter $by, $source, "fills_busted", "Number of executions busted",
                |b, p| p.count(&[], b.counters.busted)),
            broken_down!(counter $by, $source, "fills_corrected", "Number of executions corrected",
                |b, p| p.count(&[], b.counters.corrected)),
            broken_down!(counter $by, $source, "overfills", "Number of orders overfilled",
                |b, p| p.count(&[], b.counters.overfills)),
            broken_down!(money $by, $source, "executed_notional", "Notional executed",
                |b, p| money(&b.counters, p, |m| m.notional.sum)),
            broken_down!(money $by, $source, "executed_notional_reversed",
                "Notional reversed by busts and corrections",
                |b, p| money(&b.counters, p, |m| m.notional.reversed)),
            broken_down!(money $by, $source, "fees", "Fees paid",
                |b, p| money(&b.counters, p, |m| m.fees.sum)),
            broken_down!(money $by, $source, "fees_reversed",
                "Fees reversed by busts and corrections",
                |b, p| money(&b.counters, p, |m| m.fees.reversed)),
            broken_down!(money $by, $source, "fee_rebates", "Rebates received",
                |b, p| money(&b.counters, p, |m| m.rebates.sum)),
            broken_down!(money $by, $source, "fee_rebates_reversed",
                "Rebates reversed by busts and corrections",
                |b, p| money(&b.counters, p, |m| m.rebates.reversed)),
            broken_down!(money $by, $source, "slippage_cost", "Cost of slippage",
                |b, p| money(&b.counters, p, |m| m.slippage_cost.sum)),
            broken_down!(money $by, $source, "slippage_cost_reversed",
                "Cost of slippage reversed by busts and corrections",
                |b, p| money(&b.counters, p, |m| m.slippage_cost.reversed)),
            broken_down!(money $by, $source, "price_improvement", "Price improvement",
                |b, p| money(&b.counters, p, |m| m.price_improvement.sum)),
            broken_down!(money $by, $source, "price_improvement_reversed",
                "Price improvement reversed by busts and corrections",
                |b, p| money(&b.counters, p, |m| m.price_improvement.reversed)),
            broken_down!(gauge $by, $source, "window_orders", "Number of ended orders in the window",
                |b, p| p.count(&[], size(b.figures.samples))),
            broken_down!(gauge $by, $source, "fill_ratio", "Fill ratio of the window, 0 to 1",
                |b, p| p.value(&[], b.figures.fill_ratio)),
            broken_down!(gauge $by, $source, "fill_ratio_ex_user_cancels",
                "Fill ratio of the window without untouched user cancels, 0 to 1",
                |b, p| p.value(&[], b.figures.fill_ratio_ex_user_cancels)),
            broken_down!(gauge $by, $source, "touch_ratio", "Touch ratio of the window, 0 to 1",
                |b, p| p.value(&[], b.figures.touch_ratio)),
            broken_down!(gauge $by, $source, "rejection_ratio",
                "Rejection ratio of the window, 0 to 1",
                |b, p| p.value(&[], b.figures.rejection_ratio)),
        ]
    };
    (counter $by:literal, $source:path, $stem:literal, $help:literal, $read:expr) => {
        Family::counter(
            concat!("trading_", $stem, "_by_", $by, "_total"),
            concat!($help, ", by ", $by, "."),
            &["account", $by],
            $source($read),
        )
    };
    (money $by:literal, $source:path, $stem:literal, $help:literal, $read:expr) => {
        Family::counter(
            concat!("trading_", $stem, "_by_", $by, "_total"),
            concat!($help, ", by ", $by, ", in units of the currency."),
            &["account", $by, "currency"],
            $source($read),
        )
    };
    (gauge $by:literal, $source:path, $stem:literal, $help:literal, $read:expr) => {
        Family::gauge(
            concat!("trading_", $stem, "_by_", $by),
            concat!($help, ", by ", $by, "."),
            &["account", $by],
            $source($read),
        )
    };
}

/// Families by strategy; without samples unless switched on.
pub const BY_STRATEGY: &[Family] = broken_down!("strategy", SampleSource::Strategy);
/// Families by venue; without samples unless switched on.
pub const BY_VENUE: &[Family] = broken_down!("venue", SampleSource::Venue);
