//! Fills: count, quantity and money, and the amounts reversed by busts and corrections.

use super::SYMBOL;
use crate::domain::execution::counters::Counters;
use crate::domain::execution::counters::Money;
use crate::domain::units::Decimal;
use crate::metrics::family::{Family, SampleSource};
use crate::metrics::points::Points;

const MONEY: &[&str] = &["account", "symbol", "currency"];

/// One sample for each currency.
pub(super) fn money(counters: &Counters, points: &mut Points<'_>, read: fn(&Money) -> Decimal) {
    for (currency, money) in &counters.money {
        points.decimal(&[currency.as_str()], read(money));
    }
}

/// Families about fills.
pub const FAMILIES: &[Family] = &[
    Family::counter(
        "trading_fills_total",
        "Number of executions, without synthetic ones.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.fills)),
    ),
    Family::counter(
        "trading_fills_busted_total",
        "Number of executions busted.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.busted)),
    ),
    Family::counter(
        "trading_fills_corrected_total",
        "Number of executions corrected.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.corrected)),
    ),
    Family::counter(
        "trading_overfills_total",
        "Number of orders filled beyond their quantity.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.count(&[], s.counters.overfills)),
    ),
    Family::counter(
        "trading_ordered_quantity_total",
        "Quantity ordered, in units of the instrument.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.decimal(&[], s.counters.ordered_quantity)),
    ),
    Family::counter(
        "trading_filled_quantity_total",
        "Quantity executed, in units of the instrument.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.decimal(&[], s.counters.filled_quantity.sum)),
    ),
    Family::counter(
        "trading_filled_quantity_reversed_total",
        "Quantity reversed by busts and corrections, in units of the instrument.",
        SYMBOL,
        SampleSource::Symbol(|s, p| p.decimal(&[], s.counters.filled_quantity.reversed)),
    ),
    Family::counter(
        "trading_executed_notional_total",
        "Absolute price x quantity x multiplier of executions, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.notional.sum)),
    ),
    Family::counter(
        "trading_executed_notional_reversed_total",
        "Notional reversed by busts and corrections, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.notional.reversed)),
    ),
    Family::counter(
        "trading_fees_total",
        "Fees paid, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.fees.sum)),
    ),
    Family::counter(
        "trading_fees_reversed_total",
        "Fees reversed by busts and corrections, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.fees.reversed)),
    ),
    Family::counter(
        "trading_fee_rebates_total",
        "Rebates received as negative fees, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.rebates.sum)),
    ),
    Family::counter(
        "trading_fee_rebates_reversed_total",
        "Rebates reversed by busts and corrections, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.rebates.reversed)),
    ),
    Family::counter(
        "trading_slippage_cost_total",
        "Cost of fills at worse than the expected price, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.slippage_cost.sum)),
    ),
    Family::counter(
        "trading_slippage_cost_reversed_total",
        "Cost of slippage reversed by busts and corrections, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.slippage_cost.reversed)),
    ),
    Family::counter(
        "trading_price_improvement_total",
        "Savings of fills at better than the expected price, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.price_improvement.sum)),
    ),
    Family::counter(
        "trading_price_improvement_reversed_total",
        "Price improvement reversed by busts and corrections, in units of the currency.",
        MONEY,
        SampleSource::Symbol(|s, p| money(&s.counters, p, |m| m.price_improvement.reversed)),
    ),
];
