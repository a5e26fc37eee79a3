//! Applies the changed facts of one order to counters, windows, open orders and positions.
//!
//! Input: an order whose facts changed. Output: the difference to what was counted of it before.
//! Invariants: nothing is counted twice; counters never go down (reversals have counters of their
//! own); window entries are amended in place. Nothing is applied until the symbol of the order is
//! known.

use crate::domain::compact::OneOrMany;
use crate::domain::execution::Execution;
use crate::domain::execution::anomaly::Figure;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::delta::{OrderDelta, OutcomeChange};
use crate::domain::execution::fills::EffectiveFill;
use crate::domain::execution::histogram::Histogram;
use crate::domain::execution::order::{CountedOnce, Order, OrderState};
use crate::domain::execution::orders::{OrderClass, OrderKey};
use crate::domain::execution::reason::RejectReason;
use crate::domain::execution::scope::ScopeKind;
use crate::domain::execution::tally::{FillTally, move_position};
use crate::domain::execution::window::{PackedEntry, WindowEntry};
use crate::domain::settings::{Instrument, Rate};
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, latency, seconds};
use crate::domain::units::{Decimal, Price, Side, agree, compare, exact_sum, minus, times, to_f64};

impl Execution {
    /// Applies the facts of one order, which the caller took out of its slot.
    pub(super) fn apply(&mut self, key: OrderKey, order: &mut Order, step: &mut Step<'_, '_>) {
        let state = order.state();
        let class = class_of(order, &state);
        self.orders.touch(key, class, step.now);
        if let Some(symbol) = order.symbol {
            self.apply_to_symbol((key, class), order, &state, symbol, step);
        }
    }

    fn apply_to_symbol(
        &mut self,
        (key, class): (OrderKey, OrderClass),
        order: &mut Order,
        state: &OrderState,
        symbol: SymbolKey,
        step: &mut Step<'_, '_>,
    ) {
        let settings = step.settings;
        let instrument = settings.instruments.at(self.instrument_of(symbol));
        // Positions and last prices first: the tally marks these fills as counted.
        let fills = order.uncounted_fills();
        move_position(order, &fills, (symbol, instrument), &mut self.coin_fees, step);
        self.price_fills(order, &fills, symbol);
        // Kept beside the delta, not inside: the tally is large and would be copied.
        let terms = (&self.terms, self.terms_of(symbol));
        let executed = (!fills.is_empty()).then(|| FillTally::of(order, &fills, terms));
        let executed = executed.as_ref();
        let delta = OrderDelta::of(order, state);
        let row_ended = self.count(order, &delta, executed, settings.window.fills);
        if let Some(executed) = executed {
            self.observe_slippage(order, executed, step.now);
        }
        self.observe_latencies(order, state, step);
        if delta.overfilled {
            self.record_incident(Figure::Overfill, order.symbol, step);
        }
        if delta.outcome.is_some_and(OutcomeChange::is_first_rejection) {
            let reason = order.reject_reason.unwrap_or(RejectReason::Other);
            self.count_rejection(reason, &order.order_id, step.now);
        }
        self.track_open(order, state, class == OrderClass::Open);
        let entry = entry_of(order, state, executed, instrument, step.now);
        let entered = self.enter_windows(key, order, (entry, instrument), step);
        // Judged last, when counters and windows contain the event.
        if delta.outcome.is_some() || entered || row_ended {
            self.judge(symbol, step);
        }
        // Without a side no position moved yet. A later submission changes the references, and then
        // every fill is looked at again.
        let is_whole = order.fills.is_plain() && order.side.is_some();
        let counted = if is_whole { order.fills.len() } else { 0 };
        order.counted.fills = u32::try_from(counted).unwrap_or_default();
        order.fills.counted();
    }

    /// Keeps the price of the last fill of a symbol: it values a difference between the books.
    fn price_fills(
        &mut self,
        order: &Order,
        fills: &OneOrMany<(usize, EffectiveFill)>,
        symbol: SymbolKey,
    ) {
        let Some(quotes) = self.quotes.get_mut(symbol.index()) else {
            impossible!("the symbol of an order has no quotes");
            return;
        };
        for (at, effective) in fills.iter() {
            let fill = order.fills.all().get(*at).filter(|fill| !fill.synthetic);
            if let Some(fill) = fill {
                quotes.fill(fill.at, Price::new(effective.price));
            }
        }
    }

    /// Adds the change of an order to every scope that it belongs to. Returns whether an acceptance
    /// ended a row of rejections.
    pub(super) fn count(
        &mut self,
        order: &Order,
        delta: &OrderDelta,
        executed: Option<&FillTally>,
        window_fills_max: usize,
    ) -> bool {
        let mut row_ended = false;
        for kind in ScopeKind::ALL {
            if let Some(scope) = self.scope_of(order, kind) {
                row_ended |= delta.accepted && scope.rejections_in_row > 0;
                scope.count(delta, executed, window_fills_max);
            }
        }
        row_ended
    }

    /// Counts that one order left an outcome again.
    pub(super) fn leave(&mut self, key: OrderKey, outcome: Outcome) {
        let Some(order) = self.orders.take(key) else {
            impossible!("an order that was just merged is missing");
            return;
        };
        for kind in ScopeKind::ALL {
            if let Some(scope) = self.scope_of(&order, kind) {
                scope.counters.left[outcome] += 1;
                scope.counters.outcome_changes += 1;
            }
        }
        self.orders.put_back(key, order);
    }

    /// Observes the slippage of single fills.
    fn observe_slippage(&mut self, order: &Order, executed: &FillTally, now: Timestamp) {
        for measured in executed.slippage.iter() {
            for (histogram, bps) in self.slippage.iter_mut().zip(measured.bps) {
                if let Some(bps) = bps {
                    histogram.observe(bps, Some(&order.order_id), now);
                }
            }
        }
    }

    /// Observes each latency of an order once. A negative one is clock skew.
    fn observe_latencies(
        &mut self,
        order: &mut Order,
        state: &OrderState,
        step: &mut Step<'_, '_>,
    ) {
        let Some(submitted_at) = order.submission.as_ref().map(|s| s.at) else { return };
        let (accepted_at, first_fill_at) = (order.accepted_at, state.first_fill_at);
        let is_filled = state.outcome == Some(Outcome::Filled) && !state.synthetic;
        if let Some(accepted_at) = accepted_at
            && order.counted.once.insert(CountedOnce::AckLatency)
        {
            self.observe_latency(|e| Some(&mut e.ack), order, (submitted_at, accepted_at), step);
        }
        // No histogram: only whether the clocks agree is of interest.
        if let Some((accepted_at, filled_at)) = accepted_at.zip(first_fill_at)
            && !state.synthetic
            && order.counted.once.insert(CountedOnce::FirstFillLatency)
        {
            self.observe_latency(|_| None, order, (accepted_at, filled_at), step);
        }
        if let Some(filled_at) = state.last_fill_at.filter(|_| is_filled)
            && order.counted.once.insert(CountedOnce::FillLatency)
        {
            self.observe_latency(|e| Some(&mut e.fill), order, (submitted_at, filled_at), step);
        }
    }

    fn observe_latency(
        &mut self,
        histogram: impl FnOnce(&mut Self) -> Option<&mut Histogram>,
        order: &Order,
        (from, to): (Timestamp, Timestamp),
        step: &mut Step<'_, '_>,
    ) {
        let Some(nanos) = latency(from, to) else {
            return self.record_incident(Figure::ClockSkew, None, step);
        };
        if let Some(histogram) = histogram(self) {
            histogram.observe(seconds(nanos), Some(&order.order_id), step.now);
        }
    }

    /// Updates the open orders of a symbol: their number, their leaves, and how many of them are
    /// unacknowledged.
    fn track_open(&mut self, order: &mut Order, state: &OrderState, is_open: bool) {
        let Some(open) = order.symbol.and_then(|at| self.open.get_mut(at.index())) else {
            impossible!("the symbol of an order has no open orders");
            return;
        };
        let is_answered = order.is_acknowledged() || !is_open;
        let counted = &mut order.counted;
        open.orders = open.orders + u64::from(is_open) - u64::from(counted.open);
        self.open_total = self.open_total + u64::from(is_open) - u64::from(counted.open);
        counted.open = is_open;
        if counted.unacknowledged && is_answered {
            counted.unacknowledged = false;
            open.unacknowledged -= 1;
            self.unacknowledged_total -= 1;
        }
        let leaves = match state.quantity {
            Some(quantity) if is_open => minus(quantity, state.filled),
            Some(_) | None => Decimal::ZERO,
        };
        let side = match order.side {
            Some(Side::Buy) => &mut open.buy,
            Some(Side::Sell) => &mut open.sell,
            None => return,
        };
        let others = minus(*side, counted.leaves);
        if leaves.unpack() == counted.leaves.unpack() && !others.is_zero() {
            return;
        }
        // Leaves that the sum cannot hold exactly stay out of it: subtracting them later would leave
        // a remainder.
        let sum = exact_sum(others, leaves);
        *side = sum.unwrap_or(others);
        counted.leaves = sum.map_or(Decimal::ZERO, |_| leaves);
    }

    /// Adds an order to its windows, amends it there, or removes it. Returns whether a window
    /// changed.
    fn enter_windows(
        &mut self,
        key: OrderKey,
        order: &mut Order,
        (entry, instrument): (Option<WindowEntry>, &Instrument),
        step: &Step<'_, '_>,
    ) -> bool {
        let had = std::mem::replace(&mut order.counted.entered, entry.is_some());
        if !had && entry.is_none() {
            return false;
        }
        // A symbol weighs slippage in its own currency, all other scopes in that of the account.
        let in_symbol = entry.map(PackedEntry::from);
        let converted = match instrument.rate {
            Rate::Same => None,
            Rate::Fixed(rate) => Some(Some(to_f64(rate))),
            Rate::Unknown => Some(None),
        };
        let converted = converted.map(|rate| entry.map(|entry| entry.converted(rate).into()));
        let in_account = converted.as_ref().unwrap_or(&in_symbol);
        let settings = &step.settings.window;
        let horizon = settings.age_max.map(|age| step.now.minus(age));
        for kind in ScopeKind::ALL {
            let Some(scope) = self.scope_of(order, kind) else { continue };
            let at = &mut order.counted.entries[kind];
            match (if kind == ScopeKind::Symbol { &in_symbol } else { in_account }, *at) {
                (Some(entry), Some(known)) => scope.window.amend(known, *entry),
                (Some(entry), None) if !had => {
                    *at = Some(scope.window.push(*entry, key.get()));
                    let evict = || scope.window.evict(settings.orders, horizon);
                    let evicted: OneOrMany<u32> = std::iter::from_fn(evict).collect();
                    self.window_entries += 1;
                    for owner in evicted {
                        self.forget_entry(kind, owner);
                        self.window_entries -= 1;
                    }
                }
                (None, Some(known)) => {
                    scope.window.remove(known);
                    self.window_entries -= 1;
                    *at = None;
                }
                // Pushed out of the window before: it does not come back.
                (Some(_) | None, None) => {}
            }
        }
        true
    }

    /// Judges the windows of a symbol and of the account.
    pub(super) fn judge(&mut self, symbol: SymbolKey, step: &mut Step<'_, '_>) {
        let rules = &step.settings.anomaly;
        let whole = self.whole.judge(rules.at(self.whole.rule), ScopeKind::Whole, step.now);
        let one = self.symbols.get_mut(symbol.index());
        let one = one.map(|scope| scope.judge(rules.at(scope.rule), ScopeKind::Symbol, step.now));
        for change in whole {
            change.emit(None, step);
        }
        for change in one.into_iter().flatten() {
            change.emit(Some(symbol), step);
        }
    }
}

/// The class that bounds an order now.
fn class_of(order: &Order, state: &OrderState) -> OrderClass {
    let waits = order.submission.is_none();
    if waits && !order.fills.is_empty() {
        return OrderClass::Unknown;
    }
    match state.outcome {
        Some(_) => OrderClass::Ended,
        None if waits && order.accepted_at.is_none() => OrderClass::Unknown,
        None => OrderClass::Open,
    }
}

/// min(F, Q), within dust. A filled order may have less than Q: the venue said that nothing is left.
fn filled_of(quantity: Decimal, state: &OrderState) -> Decimal {
    let filled = state.filled;
    if compare(filled, quantity).is_ge() {
        return quantity;
    }
    let is_whole = state.outcome == Some(Outcome::Filled) && agree(filled, quantity);
    if is_whole { quantity } else { filled }
}

/// The window entry of an order, with its notional in the currency of the instrument. `None` while
/// the order does not belong into a window: it has not ended, never reached its venue, was denied by
/// the engine, has a synthetic fill, or has fills but no known quantity.
fn entry_of(
    order: &Order,
    state: &OrderState,
    executed: Option<&FillTally>,
    instrument: &Instrument,
    now: Timestamp,
) -> Option<WindowEntry> {
    let outcome = state.outcome.filter(|outcome| *outcome != Outcome::Denied)?;
    let is_filled = outcome == Outcome::Filled;
    let touched = !state.filled.is_zero();
    let is_known = state.quantity.is_some() || state.by_notional;
    let waits = !order.fills.is_empty() && !is_known;
    if !order.reached() || waits || state.synthetic {
        return None;
    }
    let submitted_at = order.submission.as_ref().map(|s| s.at);
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.zip(to).and_then(|(from, to)| latency(from, to))
    };
    let filled_at = state.last_fill_at.filter(|_| is_filled);
    let notional = state.notional.map(|n| times(n.abs(), instrument.multiplier));
    let measured = executed.and_then(|executed| executed.slippage_of_whole(state));
    let quantity = state.quantity.filter(|_| !state.by_notional);
    Some(WindowEntry {
        outcome,
        touched,
        user_cancelled: state.user_cancelled,
        quantity: quantity.map(|q| (q, filled_of(q, state))),
        slippage_bps: measured.unwrap_or_else(|| order.slippage_bps(state)),
        notional: notional.map(to_f64),
        fill_nanos: between(submitted_at, filled_at),
        ack_nanos: between(submitted_at, order.accepted_at),
        first_fill_nanos: between(order.accepted_at, state.first_fill_at),
        ended_at: now,
    })
}
