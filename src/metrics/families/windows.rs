//! The rolling window of each symbol: sizes, samples, ratios.

use super::SYMBOL;
use crate::domain::execution::figures::Figures;
use crate::domain::settings::Reference;
use crate::metrics::family::{Family, SampleSource};
use crate::metrics::points::Points;

/// The sample count of the figure that only the window of a symbol has.
fn quantity_samples(figures: &Figures, points: &mut Points<'_>) {
    points.count(&["quantity_fill_ratio", ""], size(figures.quantity_samples));
}

/// The sample counts of the figures that every window has; `reference` is empty for figures without
/// one.
pub(super) fn samples(figures: &Figures, points: &mut Points<'_>) {
    let ended = figures.samples;
    let counts = [
        ("fill_ratio", ended),
        ("fill_ratio_ex_user_cancels", ended.saturating_sub(figures.untouched_user_cancels)),
        ("touch_ratio", ended),
        ("rejection_ratio", ended),
        ("fill_time_seconds", figures.fill_time.samples),
        ("ack_time_seconds", figures.ack_time.samples),
    ];
    for (figure, count) in counts {
        points.count(&[figure, ""], size(count));
    }
    for (reference, slippage) in Reference::ALL.iter().zip(&figures.slippage) {
        points.count(&["slippage_bps", reference.as_str()], size(slippage.samples));
    }
}

pub(super) fn size(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// Families about windows.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_window_orders",
        "Number of ended orders in the rolling window: the denominator of its ratios.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], size(s.figures.samples))),
    ),
    Family::gauge(
        "trading_window_fills",
        "Number of executions in the rolling window of executions, without busted ones.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], size(s.figures.fills))),
    ),
    Family::gauge(
        "trading_window_samples",
        "Number of orders that a figure of the rolling window is computed from; reference is empty for figures without one.",
        &["account", "symbol", "figure", "reference"],
        SampleSource::Symbol(|s, p| {
            samples(&s.figures, p);
            quantity_samples(&s.figures, p);
        }),
    ),
    Family::gauge(
        "trading_fill_ratio",
        "Share of the window's ended orders that were filled completely, 0 to 1.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.fill_ratio)),
    ),
    Family::gauge(
        "trading_fill_ratio_ex_user_cancels",
        "Fill ratio without orders that the user cancelled before any fill, 0 to 1.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.fill_ratio_ex_user_cancels)),
    ),
    Family::gauge(
        "trading_touch_ratio",
        "Share of the window's ended orders that had any fill, 0 to 1.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.touch_ratio)),
    ),
    Family::gauge(
        "trading_quantity_fill_ratio",
        "Share of the window's ordered quantity that was filled, 0 to 1.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.quantity_fill_ratio)),
    ),
    Family::gauge(
        "trading_rejection_ratio",
        "Share of the window's ended orders that the venue or broker rejected, 0 to 1.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.value(&[], s.figures.rejection_ratio)),
    ),
];
