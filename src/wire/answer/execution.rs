//! Execution quality of one account, symbol or strategy.

use enum_map::EnumMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::scalar::{Exact, Named};
use crate::domain::execution::counters::{MissingReferenceCount, Outcome};
use crate::domain::execution::figures::{Figures, Quantiles};
use crate::domain::execution::{ExecutionScope, RejectReason};
use crate::domain::settings::Reference;
use crate::domain::units::Decimal;

/// Execution quality: counters that only increase, and the figures of the rolling window.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Execution {
    /// The account.
    pub account: String,
    /// The instrument; null: the account as a whole.
    pub symbol: Option<String>,
    /// The strategy; null: all of them.
    pub strategy: Option<String>,
    /// Counts since the beginning of the journal.
    pub counters: Counters,
    /// Figures of the rolling window of ended orders.
    pub window: Window,
    /// The sum of the observed fills, signed; null without a symbol.
    pub ledger: Option<Exact>,
}

/// The inputs of an [`Execution`].
#[derive(Clone, Copy, Debug)]
pub struct ExecutionSource<'a> {
    /// The account.
    pub account: &'a str,
    /// The instrument, if it is about one.
    pub symbol: Option<&'a str>,
    /// The strategy, if it is about one.
    pub strategy: Option<&'a str>,
    /// Its counters and window.
    pub scope: &'a ExecutionScope,
    /// Open orders, where they are counted.
    pub open: Option<u64>,
    /// Unacknowledged orders, where they are counted.
    pub unacknowledged: Option<u64>,
    /// Rejections by reason, where they are counted.
    pub rejections: Option<&'a EnumMap<RejectReason, u64>>,
    /// The ledger of the symbol.
    pub ledger: Option<Decimal>,
}

/// Counts since the beginning of the journal. Only `open` and `unacknowledged` can decrease.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Counters {
    /// Orders submitted.
    pub submitted: u64,
    /// Orders that the venue accepted.
    pub accepted: u64,
    /// Orders that ended as `filled`.
    pub filled: u64,
    /// Orders that ended as `cancelled`.
    pub cancelled: u64,
    /// Orders that ended as `expired`.
    pub expired: u64,
    /// Orders that ended as `rejected`: refused by the venue or broker.
    pub rejected: u64,
    /// Orders that ended as `denied`: refused by the engine's own checks.
    pub denied: u64,
    /// Open orders now; null for a strategy.
    pub open: Option<u64>,
    /// Open orders without any fact since their submission; null for a strategy.
    pub unacknowledged: Option<u64>,
    /// Executions without synthetic ones.
    pub fills: u64,
    /// Executions busted.
    pub fills_busted: u64,
    /// Executions corrected.
    pub fills_corrected: u64,
    /// Orders that were filled beyond their quantity.
    pub overfills: u64,
    /// Changes of an order's outcome (a fill after a cancel, a bust).
    pub outcome_changes: u64,
    /// Orders that left each outcome again. The counter of an outcome less this one is the number of
    /// orders that have it now.
    pub left: Outcomes,
    /// Sum of the ordered quantities. Quantities of different symbols are never added: null without a
    /// symbol.
    pub ordered_quantity: Option<Exact>,
    /// Sum of the executed quantities; null without a symbol.
    pub filled_quantity: Option<Exact>,
    /// The part of `filled_quantity` that busts and corrections took back; null without a symbol.
    pub filled_quantity_reversed: Option<Exact>,
    /// Sums of money by currency; different currencies are never added.
    pub money: std::collections::BTreeMap<String, Money>,
    /// Orders with a fill whose slippage has no sample, by reference.
    #[schema(value_type = std::collections::BTreeMap<String, MissingReferences>)]
    pub missing_references: Named<MissingReferences>,
    /// Rejections by reason, a closed set; null but for an account as a whole.
    #[schema(value_type = Option<std::collections::BTreeMap<String, u64>>)]
    pub rejections_by_reason: Option<Named<u64>>,
}

/// One number per outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outcomes {
    /// Filled completely.
    pub filled: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Expired.
    pub expired: u64,
    /// Rejected by the venue or broker.
    pub rejected: u64,
    /// Denied by the engine.
    pub denied: u64,
}

impl From<EnumMap<Outcome, u64>> for Outcomes {
    fn from(by: EnumMap<Outcome, u64>) -> Self {
        let [filled, rejected, cancelled, expired, denied] = by.into_array();
        Self { filled, cancelled, expired, rejected, denied }
    }
}

/// Sums of money in one currency; all are at least 0 and only increase. The part that busts and
/// corrections took back is a sum of its own: the difference of the two is the current amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Money {
    /// Sum of abs(price) x quantity x multiplier.
    pub notional: Exact,
    /// The part of `notional` that was taken back.
    pub notional_reversed: Exact,
    /// Fees paid.
    pub fees: Exact,
    /// The part of `fees` that was taken back.
    pub fees_reversed: Exact,
    /// Rebates received, as a positive sum.
    pub rebates: Exact,
    /// The part of `rebates` that was taken back.
    pub rebates_reversed: Exact,
    /// The cost of fills that were worse than the expected price.
    pub slippage_cost: Exact,
    /// The part of `slippage_cost` that was taken back.
    pub slippage_cost_reversed: Exact,
    /// The gain of fills that were better than the expected price.
    pub price_improvement: Exact,
    /// The part of `price_improvement` that was taken back.
    pub price_improvement_reversed: Exact,
}

/// Why slippage samples are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MissingReferences {
    /// The reference price was not given.
    pub absent: u64,
    /// The reference price was 0, so there is no fraction of it.
    pub zero: u64,
}

impl From<MissingReferenceCount> for MissingReferences {
    fn from(missing: MissingReferenceCount) -> Self {
        Self { absent: missing.absent, zero: missing.zero }
    }
}

/// Figures of the rolling window of ended orders. A figure without a sample is null.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Window {
    /// Ended orders in the window: filled + cancelled + expired + rejected, the one denominator
    /// of every ratio.
    pub samples: usize,
    /// Of these, filled completely.
    pub filled: usize,
    /// Of these, rejected.
    pub rejected: usize,
    /// Of these, cancelled.
    pub cancelled: usize,
    /// Of these, expired.
    pub expired: usize,
    /// Of these, with at least one fill.
    pub touched: usize,
    /// Of these, cancelled by the user without a fill.
    pub untouched_user_cancels: usize,
    /// Fills in the window of fills, without busted ones.
    pub fills: usize,
    /// filled / samples, 0 to 1.
    pub fill_ratio: Option<f64>,
    /// filled / (samples - untouched user cancels), 0 to 1.
    pub fill_ratio_ex_user_cancels: Option<f64>,
    /// samples - untouched user cancels.
    pub fill_ratio_ex_user_cancels_samples: usize,
    /// touched / samples, 0 to 1.
    pub touch_ratio: Option<f64>,
    /// sum min(F, Q) / sum Q, 0 to 1; null without a symbol.
    pub quantity_fill_ratio: Option<f64>,
    /// Number of samples of `quantity_fill_ratio`: orders of known quantity; null without a symbol.
    pub quantity_samples: Option<usize>,
    /// rejected / samples, 0 to 1.
    pub rejection_ratio: Option<f64>,
    /// Number of samples of `slippage_bps` (reference `expected`).
    pub slippage_samples: usize,
    /// Mean slippage over orders against the expected price, in basis points; positive = worse.
    pub slippage_bps: Option<f64>,
    /// `slippage_bps` weighted by executed notional.
    pub slippage_weighted_bps: Option<f64>,
    /// Mean time from submission to the last fill of fully filled orders, in seconds.
    pub fill_time_seconds_mean: Option<f64>,
    /// Number of samples of `fill_time_seconds_mean`.
    pub fill_time_samples: usize,
    /// Mean time from submission to acceptance, in seconds.
    pub ack_time_seconds_mean: Option<f64>,
    /// Number of samples of `ack_time_seconds_mean`.
    pub ack_time_samples: usize,
    /// Mean time from acceptance to the first fill, in seconds.
    pub first_fill_time_seconds_mean: Option<f64>,
    /// Number of samples of `first_fill_time_seconds_mean`.
    pub first_fill_time_samples: usize,
    /// Slippage against each reference: `expected`, `arrival`, `limit`.
    #[schema(value_type = std::collections::BTreeMap<String, Slippage>)]
    pub slippage: Named<Slippage>,
}

/// Slippage of the window against one reference, in basis points; positive = worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Slippage {
    /// Orders with a fill and a usable reference.
    pub samples: usize,
    /// Plain mean over orders.
    pub mean_bps: Option<f64>,
    /// Mean weighted by executed notional.
    pub weighted_bps: Option<f64>,
    /// Median: half of the orders were at most this bad (nearest rank).
    pub p50_bps: Option<f64>,
    /// 95 % of the orders were at most this bad.
    pub p95_bps: Option<f64>,
    /// 99 % of the orders were at most this bad.
    pub p99_bps: Option<f64>,
    /// The worst order.
    pub worst_bps: Option<f64>,
}

impl Execution {
    /// The answer for one scope. Sorts the window once per reference.
    #[must_use]
    pub fn new(source: ExecutionSource<'_>) -> Self {
        Self {
            account: source.account.to_owned(),
            symbol: source.symbol.map(str::to_owned),
            strategy: source.strategy.map(str::to_owned),
            counters: counters(&source),
            window: window(&source),
            ledger: source.ledger.map(Exact),
        }
    }
}

fn counters(source: &ExecutionSource<'_>) -> Counters {
    let c = source.scope.counters();
    let one_symbol = source.symbol.is_some();
    let money = c.money.iter().map(|(currency, m)| {
        let money = Money {
            notional: Exact(m.notional.sum),
            notional_reversed: Exact(m.notional.reversed),
            fees: Exact(m.fees.sum),
            fees_reversed: Exact(m.fees.reversed),
            rebates: Exact(m.rebates.sum),
            rebates_reversed: Exact(m.rebates.reversed),
            slippage_cost: Exact(m.slippage_cost.sum),
            slippage_cost_reversed: Exact(m.slippage_cost.reversed),
            price_improvement: Exact(m.price_improvement.sum),
            price_improvement_reversed: Exact(m.price_improvement.reversed),
        };
        (currency.to_string(), money)
    });
    let missing = Reference::ALL.iter().zip(c.missing_references);
    Counters {
        submitted: c.submitted,
        accepted: c.accepted,
        filled: c.outcomes[Outcome::Filled],
        cancelled: c.outcomes[Outcome::Cancelled],
        expired: c.outcomes[Outcome::Expired],
        rejected: c.outcomes[Outcome::Rejected],
        denied: c.outcomes[Outcome::Denied],
        open: source.open,
        unacknowledged: source.unacknowledged,
        fills: c.fills,
        fills_busted: c.busted,
        fills_corrected: c.corrected,
        overfills: c.overfills,
        outcome_changes: c.outcome_changes,
        left: c.left.into(),
        ordered_quantity: one_symbol.then_some(Exact(c.ordered_quantity)),
        filled_quantity: one_symbol.then_some(Exact(c.filled_quantity.sum)),
        filled_quantity_reversed: one_symbol.then_some(Exact(c.filled_quantity.reversed)),
        money: money.collect(),
        missing_references: missing.map(|(r, m)| (r.as_str(), m.into())).collect(),
        rejections_by_reason: source
            .rejections
            .map(|counts| counts.iter().map(|(reason, n)| (reason.as_str(), *n)).collect()),
    }
}

fn window(source: &ExecutionSource<'_>) -> Window {
    let (scope, one_symbol) = (source.scope, source.symbol.is_some());
    let f: Figures = scope.figures();
    let slippage = Reference::ALL.iter().zip(&f.slippage).map(|(reference, s)| {
        let q: Option<Quantiles> = scope.quantiles(*reference);
        let slippage = Slippage {
            samples: s.samples,
            mean_bps: s.mean_bps,
            weighted_bps: s.weighted_bps,
            p50_bps: q.map(|q| q.p50),
            p95_bps: q.map(|q| q.p95),
            p99_bps: q.map(|q| q.p99),
            worst_bps: q.map(|q| q.worst),
        };
        (reference.as_str(), slippage)
    });
    let slippage: Named<Slippage> = slippage.collect();
    let expected = slippage.get(Reference::Expected.as_str()).copied().unwrap_or_default();
    Window {
        samples: f.samples,
        filled: f.filled,
        rejected: f.rejected,
        cancelled: f.cancelled,
        expired: f.expired,
        touched: f.touched,
        untouched_user_cancels: f.untouched_user_cancels,
        fills: f.fills,
        fill_ratio: f.fill_ratio,
        fill_ratio_ex_user_cancels: f.fill_ratio_ex_user_cancels,
        fill_ratio_ex_user_cancels_samples: f.samples.saturating_sub(f.untouched_user_cancels),
        touch_ratio: f.touch_ratio,
        quantity_fill_ratio: f.quantity_fill_ratio.filter(|_| one_symbol),
        quantity_samples: one_symbol.then_some(f.quantity_samples),
        rejection_ratio: f.rejection_ratio,
        slippage_samples: expected.samples,
        slippage_bps: expected.mean_bps,
        slippage_weighted_bps: expected.weighted_bps,
        fill_time_seconds_mean: f.fill_time.seconds,
        fill_time_samples: f.fill_time.samples,
        ack_time_seconds_mean: f.ack_time.seconds,
        ack_time_samples: f.ack_time.samples,
        first_fill_time_seconds_mean: f.first_fill_time.seconds,
        first_fill_time_samples: f.first_fill_time.samples,
        slippage,
    }
}
