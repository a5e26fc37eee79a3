//! From an order's facts to counters, windows, open orders and positions.
//!
//! Input: an order whose facts changed. Output: the difference to what was made of it before.
//! Invariants: what was counted is never counted again; counters never go down; windows are
//! amended in place. Everything waits until the order's symbol is known.

use crate::domain::execution::Execution;
use crate::domain::execution::anomaly::{self, Figure, Observation};
use crate::domain::execution::context::Context;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::order::{Order, Standing};
use crate::domain::execution::orders::{Class, OrderKey};
use crate::domain::execution::reason::REJECT_REASONS;
use crate::domain::execution::scope::{Place, Scope};
use crate::domain::execution::tally::{Tally, move_position, product};
use crate::domain::execution::window::Entry;
use crate::domain::settings::{AnomalyRules, Instrument, Levels, Rate};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::{Timestamp, seconds};
use crate::domain::units::{Decimal, Side, exact_sum, to_f64};

impl Execution {
    /// Brings everything up to date with the facts of one order.
    pub(super) fn settle(&mut self, key: OrderKey, context: &mut Context<'_, '_>) {
        let Some(mut order) = self.orders.lend(key) else { return };
        let standing = order.standing();
        self.orders.touch(key, class_of(&order, &standing), context.now);
        if let Some(symbol) = order.symbol {
            self.settle_named(key, &mut order, &standing, symbol, context);
        }
        self.orders.give_back(key, order);
    }

    /// The same, of an order whose symbol is known.
    fn settle_named(
        &mut self,
        key: OrderKey,
        order: &mut Order,
        standing: &Standing,
        symbol: SymbolKey,
        context: &mut Context<'_, '_>,
    ) {
        let settings = context.settings;
        let instrument = settings.instruments.at(self.instrument_of(symbol));
        let fills = order.unsettled();
        move_position(order, &fills, symbol, context);
        let tally = Tally::of(order, &fills, instrument);
        let row_ended = self.count_facts(order, standing);
        self.count_fills(order, &tally, context);
        self.observe_times(order, standing, context);
        let turned = self.count_outcome(order, standing, context);
        self.track_open(order, standing, symbol);
        let entry = entry_of(order, standing, instrument, context.now);
        let entered = self.enter_windows(key, order, (entry, instrument), context);
        if turned || entered || row_ended {
            self.judge(symbol, context);
        }
        // Without a submission nothing is measured yet, and without a side nothing moved.
        let is_whole = order.fills.is_plain() && order.submission.is_some();
        order.done.settled = if is_whole { order.fills.len() } else { 0 };
    }

    /// Applies a change to every scope that an order belongs to.
    fn each_scope(&mut self, order: &Order, mut change: impl FnMut(&mut Scope)) {
        for place in Place::ALL {
            if let Some(scope) = self.scope_of(order, place) {
                change(scope);
            }
        }
    }

    /// Counts an outcome as left again by one order.
    pub(super) fn leave(&mut self, key: OrderKey, outcome: Outcome) {
        let Some(order) = self.orders.lend(key) else { return };
        self.each_scope(&order, |scope| {
            *scope.counters.left.get_mut(outcome) += 1;
            scope.counters.outcome_changes += 1;
        });
        self.orders.give_back(key, order);
    }

    /// Submission, acceptance, ordered quantity, references. Whether an acceptance ended a row of
    /// rejections.
    fn count_facts(&mut self, order: &mut Order, standing: &Standing) -> bool {
        let done = &order.done;
        let submitted = order.submission.is_some() && !done.submitted;
        let accepted = order.accepted_at.is_some() && !done.accepted;
        let quantity = standing.quantity.unwrap_or_default();
        let raised = quantity.saturating_sub(done.ordered).max(Decimal::ZERO);
        let is_measurable = order.submission.is_some()
            && standing.outcome.is_some()
            && !standing.filled.is_zero()
            && !standing.synthetic;
        let missed = is_measurable && !done.references_missed;
        let references = order.references();
        let mut row_ended = false;
        self.each_scope(order, |scope| {
            let counters = &mut scope.counters;
            counters.submitted += u64::from(submitted);
            counters.accepted += u64::from(accepted);
            counters.ordered_quantity = counters.ordered_quantity.saturating_add(raised);
            if accepted {
                row_ended |= std::mem::take(&mut scope.rejections_in_row) > 0;
            }
            if missed {
                for (missing, reference) in counters.missing_references.iter_mut().zip(references) {
                    missing.absent += u64::from(reference.is_none());
                    missing.zero += u64::from(reference.is_some_and(|r| r.get().is_zero()));
                }
            }
        });
        let done = &mut order.done;
        done.submitted |= submitted;
        done.accepted |= accepted;
        done.ordered = done.ordered.max(quantity);
        done.references_missed |= missed;
        row_ended
    }

    /// Executions, their quantities, money and slippage.
    fn count_fills(&mut self, order: &Order, tally: &Tally, context: &Context<'_, '_>) {
        let fills_max = context.settings.window.fills;
        let fills = usize::try_from(tally.fills).unwrap_or(usize::MAX);
        self.each_scope(order, |scope| {
            let counters = &mut scope.counters;
            counters.fills += tally.fills;
            counters.busted += tally.busted;
            counters.corrected += tally.corrected;
            counters.filled_quantity = counters.filled_quantity.saturating_add(tally.quantity);
            for (currency, money) in tally.money() {
                counters.money.entry(currency.clone()).or_default().add(money);
            }
            scope.window_fills = scope.window_fills.saturating_add(fills).min(fills_max);
        });
        for (reference, bps) in &tally.slippage {
            if let Some(histogram) = self.slippage.get_mut(*reference) {
                histogram.observe(*bps, Some(&order.order_id), context.now);
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
            match accepted_at.since(submitted_at) {
                nanos @ 0.. => {
                    self.ack.observe(seconds(nanos), Some(&order.order_id), context.now);
                }
                _ => self.note(Figure::ClockSkew, None, context),
            }
        }
        let between = order.accepted_at.zip(standing.first_fill_at);
        if let Some((accepted_at, filled_at)) =
            between.filter(|_| !standing.synthetic && !order.done.first_fill_observed)
        {
            order.done.first_fill_observed = true;
            if filled_at < accepted_at {
                self.note(Figure::ClockSkew, None, context);
            }
        }
        let is_filled = standing.outcome == Some(Outcome::Filled) && !standing.synthetic;
        if let Some(filled_at) =
            standing.last_fill_at.filter(|_| is_filled && !order.done.fill_observed)
        {
            order.done.fill_observed = true;
            match filled_at.since(submitted_at) {
                nanos @ 0.. => {
                    self.fill.observe(seconds(nanos), Some(&order.order_id), context.now);
                }
                _ => self.note(Figure::ClockSkew, None, context),
            }
        }
    }

    /// Arrivals at outcomes, and what follows from them. Whether the outcome changed.
    fn count_outcome(
        &mut self,
        order: &mut Order,
        standing: &Standing,
        context: &mut Context<'_, '_>,
    ) -> bool {
        let overfilled =
            standing.quantity.is_some_and(|q| standing.filled > q) && !order.done.overfilled;
        if overfilled {
            order.done.overfilled = true;
            self.each_scope(order, |scope| scope.counters.overfills += 1);
            self.note(Figure::Overfill, order.symbol, context);
        }
        let (old, new) = (order.done.outcome, standing.outcome);
        if old == new {
            return false;
        }
        order.done.outcome = new;
        let seen = new.and_then(|new| order.done.arrived.get_mut(new.index()));
        let is_first = seen.is_some_and(|seen| !std::mem::replace(seen, true));
        let arrives = if is_first { Arrival::First } else { Arrival::Again };
        self.each_scope(order, |scope| scope.change_outcome(old, new, arrives));
        if is_first && new == Some(Outcome::Rejected) {
            let reason = order.reject_reason.unwrap_or(REJECT_REASONS.len() - 1);
            self.count_rejection(reason, &order.order_id, context.now);
        }
        true
    }

    /// Open orders, their leaves, and whether they are acknowledged.
    fn track_open(&mut self, order: &mut Order, standing: &Standing, symbol: SymbolKey) {
        let Some(open) = self.open.get_mut(symbol.index()) else { return };
        let is_open = class_of(order, standing) == Class::Open;
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
        // Leaves that cannot be held exactly beside the others would leave a trace behind.
        let others = side.saturating_sub(done.leaves);
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
        // A symbol is weighed in its own currency, and needs no rate; all else in the account's.
        let rate = rate_of(instrument).map(to_f64);
        let converted = entry.map(|entry| {
            let notional = entry.notional.zip(rate).map(|(notional, rate)| notional * rate);
            Entry { notional, ..entry }
        });
        let mut evicted = Vec::new();
        let settings = &context.settings.window;
        let horizon = settings.age_max.map(|age| context.now.minus(age));
        for place in Place::ALL {
            let Some(scope) = self.scope_of(order, place) else { continue };
            let Some(at) = order.done.entries.get_mut(place.index()) else { continue };
            match (if place == Place::Symbol { entry } else { converted }, *at) {
                (Some(entry), Some(known)) => scope.window.amend(known, entry),
                (Some(entry), None) if !had => {
                    *at = Some(scope.window.push(entry, key.get()));
                    while let Some(owner) = scope.window.evict(settings.orders, horizon) {
                        evicted.push((place, owner));
                    }
                }
                (None, Some(known)) => {
                    scope.window.remove(known);
                    *at = None;
                }
                (Some(_) | None, None) => {}
            }
        }
        for (place, owner) in evicted {
            self.forget_entry(place, owner);
        }
        had || entry.is_some()
    }

    /// Judges the windows of a symbol and of the account.
    pub(super) fn judge(&mut self, symbol: SymbolKey, context: &mut Context<'_, '_>) {
        let rules = &context.settings.anomaly;
        let whole = std::iter::once((None, &mut self.whole));
        let one = self.symbols.get_mut(symbol.index()).map(|scope| (Some(symbol), scope));
        let mut changes = Vec::new();
        for (symbol, scope) in whole.chain(one) {
            let rules = rules.at(scope.rule);
            let figures = scope.window.judged(rules.slippage_reference.index());
            for observation in anomaly::window_observations(&figures, rules) {
                let change = scope.standings.judge(observation, rules, context.now);
                changes.extend(change.map(|change| (symbol, change)));
            }
            let in_row = symbol.and_then(|_| scope.in_row(rules));
            let change = in_row.and_then(|o| scope.standings.judge(o, rules, context.now));
            changes.extend(change.map(|change| (symbol, change)));
        }
        for (symbol, change) in changes {
            context.tell(symbol, change);
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

impl Scope {
    /// Moves one order from an outcome to another.
    fn change_outcome(&mut self, old: Option<Outcome>, new: Option<Outcome>, arrives: Arrival) {
        let counters = &mut self.counters;
        if let Some(old) = old {
            *counters.left.get_mut(old) += 1;
            counters.outcome_changes += 1;
        }
        let Some(new) = new else { return };
        match arrives {
            Arrival::First => *counters.outcomes.get_mut(new) += 1,
            Arrival::Again => {
                let left = counters.left.get_mut(new);
                *left = left.saturating_sub(1);
            }
        }
        match new {
            Outcome::Rejected => self.rejections_in_row = self.rejections_in_row.saturating_add(1),
            Outcome::Filled | Outcome::Cancelled | Outcome::Expired => self.rejections_in_row = 0,
            Outcome::Denied => {}
        }
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

/// Whether an order was at an outcome before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    First,
    Again,
}

/// The window entry of an order, its notional in the instrument's currency; none while it does not belong into a window: not ended, never at
/// its venue, denied by the engine, partly made up by the engine, or filled of a quantity that is
/// not known yet.
fn entry_of(
    order: &Order,
    standing: &Standing,
    instrument: &Instrument,
    now: Timestamp,
) -> Option<Entry> {
    let outcome = standing.outcome.filter(|outcome| *outcome != Outcome::Denied)?;
    let touched = !standing.filled.is_zero();
    let waits = !order.fills.is_empty() && standing.quantity.is_none();
    if !order.reached() || waits || standing.synthetic {
        return None;
    }
    let submitted_at = order.submission.as_ref().map(|s| s.at);
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.zip(to).map(|(from, to)| to.since(from)).filter(|nanos| *nanos >= 0)
    };
    let filled_at = standing.last_fill_at.filter(|_| outcome == Outcome::Filled);
    let notional = standing.notional.map(|n| product([n.abs(), instrument.multiplier]));
    Some(Entry {
        outcome,
        touched,
        user_cancelled: standing.user_cancelled,
        quantity: standing.quantity.map(|q| (q, q.min(standing.filled))),
        slippage_bps: order.slippage_bps(standing),
        notional: notional.map(to_f64),
        fill_nanos: between(submitted_at, filled_at),
        ack_nanos: between(submitted_at, order.accepted_at),
        first_fill_nanos: between(order.accepted_at, standing.first_fill_at),
        ended_at: now,
    })
}

/// The rate to the account's currency; none when it is not known.
const fn rate_of(instrument: &Instrument) -> Option<Decimal> {
    match instrument.rate {
        Rate::Same => Some(Decimal::ONE),
        Rate::Fixed(rate) => Some(rate),
        Rate::Unknown => None,
    }
}
