//! Slippage: positive is worse for the trader.

use crate::domain::settings::Reference;
use crate::metrics::family::{Family, SampleSource};

const SYMBOL_REFERENCE: &[&str] = &["account", "symbol", "reference"];

/// Families about slippage.
pub const FAMILIES: &[Family] = &[
    Family::gauge(
        "trading_slippage_bps",
        "Mean slippage of the window's orders in basis points, positive is worse.",
        SYMBOL_REFERENCE,
        SampleSource::Symbol(|s, p| {
            for (reference, slippage) in Reference::ALL.iter().zip(&s.figures.slippage) {
                p.value(&[reference.as_str()], slippage.mean_bps);
            }
        }),
    ),
    Family::gauge(
        "trading_slippage_weighted_bps",
        "Slippage of the window's orders weighted by notional in basis points, positive is worse.",
        SYMBOL_REFERENCE,
        SampleSource::Symbol(|s, p| {
            for (reference, slippage) in Reference::ALL.iter().zip(&s.figures.slippage) {
                p.value(&[reference.as_str()], slippage.weighted_bps);
            }
        }),
    ),
    Family::gauge(
        "trading_slippage_quantile_bps",
        "Quantile q of the slippage of the window's orders in basis points; q 1 is the worst.",
        &["account", "reference", "q"],
        SampleSource::Account(|a, p| {
            for (reference, quantiles) in Reference::ALL.iter().zip(&a.quantiles) {
                let Some(quantiles) = quantiles else { continue };
                p.value(&[reference.as_str(), "0.5"], quantiles.p50);
                p.value(&[reference.as_str(), "0.95"], quantiles.p95);
                p.value(&[reference.as_str(), "0.99"], quantiles.p99);
                p.value(&[reference.as_str(), "1"], quantiles.worst);
            }
        }),
    ),
    Family::buckets(
        "trading_fill_slippage_bps",
        "Slippage of each execution in basis points, positive is worse; buckets only.",
        &["account", "reference"],
        SampleSource::Account(|a, p| {
            for (reference, histogram) in Reference::ALL.iter().zip(&a.slippage) {
                p.histogram(&[reference.as_str()], histogram);
            }
        }),
    ),
    Family::counter(
        "trading_missing_references_total",
        "Number of filled orders without slippage because their reference price is absent or zero.",
        &["account", "reference", "reason"],
        SampleSource::Account(|a, p| {
            for (reference, missing) in Reference::ALL.iter().zip(&a.counters.missing_references) {
                p.count(&[reference.as_str(), "absent"], missing.absent);
                p.count(&[reference.as_str(), "zero"], missing.zero);
            }
        }),
    ),
];
