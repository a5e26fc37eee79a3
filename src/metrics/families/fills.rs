//! Fills: how many, how much, for how much money; and what was taken away of it again.

use super::SYMBOL;
use crate::domain::execution::counters::Counters;
use crate::domain::execution::counters::Money;
use crate::domain::units::Decimal;
use crate::metrics::catalogue::{Family, Source};
use crate::metrics::encode::Points;

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
        Source::Symbol(|s, p| p.count(&[], s.counters.fills)),
    ),
    Family::counter(
        "trading_fills_busted_total",
        "Number of executions that were busted.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.busted)),
    ),
    Family::counter(
        "trading_fills_corrected_total",
        "Number of executions that were corrected.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.corrected)),
    ),
    Family::counter(
        "trading_overfills_total",
        "Number of orders of which more was filled than was ordered.",
        SYMBOL,
        Source::Symbol(|s, p| p.count(&[], s.counters.overfills)),
    ),
    Family::counter(
        "trading_ordered_quantity_total",
        "Quantity ordered, in units of the instrument.",
        SYMBOL,
        Source::Symbol(|s, p| p.decimal(&[], s.counters.ordered_quantity)),
    ),
    Family::counter(
        "trading_filled_quantity_total",
        "Quantity executed, in units of the instrument.",
        SYMBOL,
        Source::Symbol(|s, p| p.decimal(&[], s.counters.filled_quantity.sum)),
    ),
    Family::counter(
        "trading_filled_quantity_reversed_total",
        "Quantity that busts and corrections took away again, in units of the instrument.",
        SYMBOL,
        Source::Symbol(|s, p| p.decimal(&[], s.counters.filled_quantity.reversed)),
    ),
    Family::counter(
        "trading_executed_notional_total",
        "Absolute price x quantity x multiplier of executions, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.notional.sum)),
    ),
    Family::counter(
        "trading_executed_notional_reversed_total",
        "Notional that busts and corrections took away again, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.notional.reversed)),
    ),
    Family::counter(
        "trading_fees_total",
        "Fees paid, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.fees.sum)),
    ),
    Family::counter(
        "trading_fees_reversed_total",
        "Fees that busts and corrections took away again, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.fees.reversed)),
    ),
    Family::counter(
        "trading_fee_rebates_total",
        "Rebates received as negative fees, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.rebates.sum)),
    ),
    Family::counter(
        "trading_fee_rebates_reversed_total",
        "Rebates that busts and corrections took away again, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.rebates.reversed)),
    ),
    Family::counter(
        "trading_slippage_cost_total",
        "What fills worse than the expected price cost, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.slippage_cost.sum)),
    ),
    Family::counter(
        "trading_slippage_cost_reversed_total",
        "Cost of slippage that busts and corrections took away again, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.slippage_cost.reversed)),
    ),
    Family::counter(
        "trading_price_improvement_total",
        "What fills better than the expected price saved, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.price_improvement.sum)),
    ),
    Family::counter(
        "trading_price_improvement_reversed_total",
        "Price improvement that busts and corrections took away again, in units of the currency.",
        MONEY,
        Source::Symbol(|s, p| money(&s.counters, p, |m| m.price_improvement.reversed)),
    ),
];
