//! From an order's facts to counters, windows, open orders and positions.
//!
//! Input: an order whose facts changed. Output: the difference to what was made of it before.
//! Invariants: what was counted is never counted again; counters never go down, what is taken away
//! is counted apart; windows are amended in place. Everything waits until the order's symbol is known.

use crate::domain::compact::OneOrMany;
use crate::domain::execution::Execution;
use crate::domain::execution::anomaly::{self, Change, Figure, Observation};
use crate::domain::execution::context::Context;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::delta::{Delta, Turn};
use crate::domain::execution::fills::Effective;
use crate::domain::execution::order::{Order, Standing};
use crate::domain::execution::orders::{Class, OrderKey};
use crate::domain::execution::reason::REJECT_REASONS;
use crate::domain::execution::scope::{Place, Scope};
use crate::domain::execution::tally::{Tally, move_position};
use crate::domain::execution::window::{Entry, Packed};
use crate::domain::settings::{AnomalyRules, Instrument, Levels, Rate};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, latency, seconds};
use crate::domain::units::{Decimal, Price, Side, agree, exact_sum, to_f64};

impl Execution {
    /// Brings everything up to date with the facts of one order, which is lent.
    pub(super) fn settle(
        &mut self,
        key: OrderKey,
        order: &mut Order,
        context: &mut Context<'_, '_>,
    ) {
        let standing = order.standing();
        let class = class_of(order, &standing);
        self.orders.touch(key, class, context.now);
        if let Some(symbol) = order.symbol {
            self.settle_named((key, class), order, &standing, symbol, context);
        }
    }

    /// The same, of an order whose symbol is known.
    fn settle_named(
        &mut self,
        (key, class): (OrderKey, Class),
        order: &mut Order,
        standing: &Standing,
        symbol: SymbolKey,
        context: &mut Context<'_, '_>,
    ) {
        let settings = context.settings;
        let instrument = settings.instruments.at(self.instrument_of(symbol));
        let fills = order.unsettled();
        move_position(order, &fills, (symbol, instrument), &mut self.coin_fees, context);
        self.price_fills(order, &fills, symbol);
        // Beside the difference, not in it: it is long, and would be copied.
        let terms = (&self.terms, self.terms_of(symbol));
        let executed = (!fills.is_empty()).then(|| Tally::of(order, &fills, terms));
        let executed = executed.as_ref();
        let delta = Delta::of(order, standing);
        let row_ended = self.count(order, &delta, executed, settings.window.fills);
        if let Some(executed) = executed {
            self.observe_slippage(order, executed, context.now);
        }
        self.observe_times(order, standing, context);
        if delta.overfilled {
            self.note(Figure::Overfill, order.symbol, context);
        }
        if delta.turn.is_some_and(Turn::is_first_rejection) {
            let reason = order.reject_reason.map_or(REJECT_REASONS.len() - 1, usize::from);
            self.count_rejection(reason, &order.order_id, context.now);
        }
        self.track_open(order, standing, class == Class::Open);
        let entry = entry_of(order, standing, executed, instrument, context.now);
        let entered = self.enter_windows(key, order, (entry, instrument), context);
        if delta.turn.is_some() || entered || row_ended {
            self.judge(symbol, context);
        }
        // Without a side nothing moved yet. A submission that comes later is measured against, and
        // then all are looked at again.
        let is_whole = order.fills.is_plain() && order.side.is_some();
        let settled = if is_whole { order.fills.len() } else { 0 };
        order.done.settled = u32::try_from(settled).unwrap_or_default();
    }

    /// Remembers the price of the last execution of a symbol: it values a difference of the books.
    fn price_fills(
        &mut self,
        order: &Order,
        fills: &OneOrMany<(usize, Effective)>,
        symbol: SymbolKey,
    ) {
        let Some(quotes) = self.quotes.get_mut(symbol.index()) else { return };
        for (at, effective) in fills.iter() {
            let fill = order.fills.all().get(*at).filter(|fill| !fill.synthetic);
            if let Some(fill) = fill {
                quotes.fill(fill.at, Price::new(effective.price));
            }
        }
    }

    /// Counts what is new about an order in every scope that it belongs to. Whether an acceptance
    /// ended a row of rejections.
    pub(super) fn count(
        &mut self,
        order: &Order,
        delta: &Delta,
        executed: Option<&Tally>,
        window_fills_max: usize,
    ) -> bool {
        let mut row_ended = false;
        for place in Place::ALL {
            if let Some(scope) = self.scope_of(order, place) {
                row_ended |= delta.accepted && scope.rejections_in_row > 0;
                scope.count(delta, executed, window_fills_max);
            }
        }
        row_ended
    }

    /// Counts an outcome as left again by one order.
    pub(super) fn leave(&mut self, key: OrderKey, outcome: Outcome) {
        let Some(order) = self.orders.lend(key) else { return };
        for place in Place::ALL {
            if let Some(scope) = self.scope_of(&order, place) {
                *scope.counters.left.get_mut(outcome) += 1;
                scope.counters.outcome_changes += 1;
            }
        }
        self.orders.give_back(key, order);
    }

    /// Slippage of single executions into histograms.
    fn observe_slippage(&mut self, order: &Order, executed: &Tally, now: Timestamp) {
        for measured in executed.slippage.iter() {
            for (histogram, bps) in self.slippage.iter_mut().zip(measured.bps) {
                if let Some(bps) = bps {
                    histogram.observe(bps, Some(&order.order_id), now);
                }
            }
        }
    }

    /// Latencies into histograms, once for each order. A negative one is clock skew.
    fn observe_times(
        &mut self,
        order: &mut Order,
        standing: &Standing,
        context: &mut Context<'_, '_>,
    ) {
        let Some(submitted_at) = order.submission.as_ref().map(|s| s.at) else { return };
        if let Some(accepted_at) = order.accepted_at.filter(|_| !order.done.ack_observed) {
            order.done.ack_observed = true;
            match latency(submitted_at, accepted_at) {
                Some(nanos) => {
                    self.ack.observe(seconds(nanos), Some(&order.order_id), context.now);
                }
                None => self.note(Figure::ClockSkew, None, context),
            }
        }
        let between = order.accepted_at.zip(standing.first_fill_at);
        if let Some((accepted_at, filled_at)) =
            between.filter(|_| !standing.synthetic && !order.done.first_fill_observed)
        {
            order.done.first_fill_observed = true;
            if latency(accepted_at, filled_at).is_none() {
                self.note(Figure::ClockSkew, None, context);
            }
        }
        let is_filled = standing.outcome == Some(Outcome::Filled) && !standing.synthetic;
        if let Some(filled_at) =
            standing.last_fill_at.filter(|_| is_filled && !order.done.fill_observed)
        {
            order.done.fill_observed = true;
            match latency(submitted_at, filled_at) {
                Some(nanos) => {
                    self.fill.observe(seconds(nanos), Some(&order.order_id), context.now);
                }
                None => self.note(Figure::ClockSkew, None, context),
            }
        }
    }

    /// Open orders, their leaves, and whether they are acknowledged.
    fn track_open(&mut self, order: &mut Order, standing: &Standing, is_open: bool) {
        let Some(open) = order.symbol.and_then(|at| self.open.get_mut(at.index())) else { return };
        let is_heard = order.is_acknowledged() || !is_open;
        let done = &mut order.done;
        open.orders = open.orders + u64::from(is_open) - u64::from(done.open);
        self.open_total = self.open_total + u64::from(is_open) - u64::from(done.open);
        done.open = is_open;
        if done.unacknowledged && is_heard {
            done.unacknowledged = false;
            open.unacknowledged -= 1;
            self.unacknowledged_total -= 1;
        }
        let leaves = match standing.quantity {
            Some(quantity) if is_open => quantity.saturating_sub(standing.filled),
            Some(_) | None => Decimal::ZERO,
        };
        let side = match order.side {
            Some(Side::Buy) => &mut open.buy,
            Some(Side::Sell) => &mut open.sell,
            None => return,
        };
        let others = side.saturating_sub(done.leaves);
        if leaves.unpack() == done.leaves.unpack() && !others.is_zero() {
            return;
        }
        // Leaves that cannot be held exactly beside the others would leave a trace behind.
        let sum = exact_sum(others, leaves);
        *side = sum.unwrap_or(others);
        done.leaves = sum.map_or(Decimal::ZERO, |_| leaves);
    }

    /// Puts an order into its windows, amends it there, or takes it out. Whether any changed.
    fn enter_windows(
        &mut self,
        key: OrderKey,
        order: &mut Order,
        (entry, instrument): (Option<Entry>, &Instrument),
        context: &Context<'_, '_>,
    ) -> bool {
        let had = std::mem::replace(&mut order.done.entered, entry.is_some());
        if !had && entry.is_none() {
            return false;
        }
        // A symbol is weighed in its own currency, and needs no rate; all else in the account's.
        let packed = entry.map(Packed::from);
        let in_account = match instrument.rate {
            Rate::Same => packed,
            Rate::Fixed(rate) => entry.map(|entry| entry.converted(Some(to_f64(rate))).into()),
            Rate::Unknown => entry.map(|entry| entry.converted(None).into()),
        };
        let settings = &context.settings.window;
        let horizon = settings.age_max.map(|age| context.now.minus(age));
        for place in Place::ALL {
            let Some(scope) = self.scope_of(order, place) else { continue };
            let Some(at) = order.done.entries.get_mut(place.index()) else { continue };
            match (if place == Place::Symbol { &packed } else { &in_account }, *at) {
                (Some(entry), Some(known)) => scope.window.amend(known, *entry),
                (Some(entry), None) if !had => {
                    *at = Some(scope.window.push(*entry, key.get()));
                    let evict = |scope: &mut Scope| scope.window.evict(settings.orders, horizon);
                    while let Some(owner) = self.scope_of(order, place).and_then(evict) {
                        self.forget_entry(place, owner);
                    }
                }
                (None, Some(known)) => {
                    scope.window.remove(known);
                    *at = None;
                }
                (Some(_) | None, None) => {}
            }
        }
        true
    }

    /// Judges the windows of a symbol and of the account.
    pub(super) fn judge(&mut self, symbol: SymbolKey, context: &mut Context<'_, '_>) {
        let rules = &context.settings.anomaly;
        let whole = self.whole.judge(rules.at(self.whole.rule), InRow::Passed, context.now);
        let one = self.symbols.get_mut(symbol.index());
        let one = one.map(|scope| scope.judge(rules.at(scope.rule), InRow::Judged, context.now));
        for change in whole {
            context.tell(None, change);
        }
        for change in one.into_iter().flatten() {
            context.tell(Some(symbol), change);
        }
    }
}

/// What bounds an order now.
fn class_of(order: &Order, standing: &Standing) -> Class {
    let waits = order.submission.is_none();
    if waits && !order.fills.is_empty() {
        return Class::Unknown;
    }
    match standing.outcome {
        Some(_) => Class::Ended,
        None if waits && order.accepted_at.is_none() => Class::Unknown,
        None => Class::Open,
    }
}

/// Whether rejections in a row are judged: those of a symbol are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InRow {
    Judged,
    Passed,
}

impl Scope {
    /// Judges what its window says, and its rejections in a row. Returns what changed.
    fn judge(&mut self, rules: &AnomalyRules, in_row: InRow, now: Timestamp) -> Vec<Change> {
        let in_row = self.in_row(rules).filter(|_| in_row == InRow::Judged);
        // Mostly nothing stands and nothing comes: that takes a quarter of judging one by one.
        let figures = self.window.judged(rules.slippage_reference.index());
        let observations = anomaly::window_observations(&figures, rules);
        let is_in_row = in_row.is_some_and(|in_row| in_row.value.is_some());
        if !is_in_row && self.standings.is_quiet(&observations, rules) {
            return Vec::new();
        }
        self.judge_each(observations, in_row, rules, now)
    }

    #[inline(never)]
    fn judge_each(
        &mut self,
        observations: [Observation; 4],
        in_row: Option<Observation>,
        rules: &AnomalyRules,
        now: Timestamp,
    ) -> Vec<Change> {
        let observations = observations.into_iter().chain(in_row);
        observations.filter_map(|o| self.standings.judge(o, rules, now)).collect()
    }

    /// Rejections in a row, as they are judged.
    fn in_row(&self, rules: &AnomalyRules) -> Option<Observation> {
        let most = rules.consecutive_rejections?;
        let reached = self.rejections_in_row >= most;
        Some(Observation {
            figure: Figure::ConsecutiveRejections,
            value: reached.then(|| f64::from(self.rejections_in_row)),
            samples: self.rejections_in_row as usize,
            levels: Levels { warning: Some(f64::from(most)), critical: None },
        })
    }
}

/// min(F, Q), within dust. An order may be filled with less: the venue said that nothing is left.
fn filled_of(quantity: Decimal, standing: &Standing) -> Decimal {
    let filled = standing.filled;
    let is_whole = standing.outcome == Some(Outcome::Filled) && agree(filled, quantity);
    if filled >= quantity || is_whole { quantity } else { filled }
}

/// The window entry of an order, its notional in the instrument's currency; none while it does not
/// belong into a window: not ended, never at its venue, denied by the engine, partly made up by the
/// engine, or filled of a quantity that is not known yet.
fn entry_of(
    order: &Order,
    standing: &Standing,
    executed: Option<&Tally>,
    instrument: &Instrument,
    now: Timestamp,
) -> Option<Entry> {
    let outcome = standing.outcome.filter(|outcome| *outcome != Outcome::Denied)?;
    let is_filled = outcome == Outcome::Filled;
    let touched = !standing.filled.is_zero();
    let is_known = standing.quantity.is_some() || standing.by_notional;
    let waits = !order.fills.is_empty() && !is_known;
    if !order.reached() || waits || standing.synthetic {
        return None;
    }
    let submitted_at = order.submission.as_ref().map(|s| s.at);
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.zip(to).and_then(|(from, to)| latency(from, to))
    };
    let filled_at = standing.last_fill_at.filter(|_| is_filled);
    let notional = standing.notional.map(|n| n.abs().saturating_mul(instrument.multiplier));
    let measured = executed.and_then(|executed| executed.slippage_of_whole(standing));
    let quantity = standing.quantity.filter(|_| !standing.by_notional);
    Some(Entry {
        outcome,
        touched,
        user_cancelled: standing.user_cancelled,
        quantity: quantity.map(|q| (q, filled_of(q, standing))),
        slippage_bps: measured.unwrap_or_else(|| order.slippage_bps(standing)),
        notional: notional.map(to_f64),
        fill_nanos: between(submitted_at, filled_at),
        ack_nanos: between(submitted_at, order.accepted_at),
        first_fill_nanos: between(order.accepted_at, standing.first_fill_at),
        ended_at: now,
    })
}
