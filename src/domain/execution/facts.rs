//! One event into one order: checked against what is known, then added to its facts.
//!
//! Input: an event about an order. Output: the order that it changed, or why it did not. Invariant:
//! a duplicate or a refused event changes nothing. Deliberately absent: the checks (see `check`),
//! and what the facts lead to (see `settle`).

use std::sync::Arc;

use crate::domain::event::{
    self as event, FillBusted, FillCorrected, OrderFact, OrderFilled, OrderSubmitted,
};
use crate::domain::execution::check::{Novelty, check_fact, check_merge, check_names, content_of};
use crate::domain::execution::context::Context;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::delta::Delta;
use crate::domain::execution::fills::{Amendment, Correction, Fill, FillDone};
use crate::domain::execution::named::Named;
use crate::domain::execution::order::{ByNotional, End, Order, Ordered, Replace, Submission};
use crate::domain::execution::orders::OrderKey;
use crate::domain::execution::reason;
use crate::domain::execution::tally::{Tally, flow, freeze};
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::ids::OrderId;
use crate::domain::record::Refusal;
use crate::domain::symbols::SymbolKey;
use crate::domain::units::{Decimal, Price};

/// So much of its notional, in thousandths, fills an order that was given by it: prices move and
/// quantities come in steps, so that what is left buys nothing more.
const NOTIONAL_FILLED_PERMILLE: i64 = 995;

/// What became of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was added.
    Changed,
    /// It was known already.
    Duplicate,
}

impl Execution {
    /// Applies an event to the order that it is about.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when it contradicts what is known, [`Refusal::OrderTooLong`] when the
    /// order has as many facts as are kept, [`Refusal::OutOfRange`] when the notional cannot be
    /// held, [`Refusal::TooManyCurrencies`] when the symbol has as many as are kept.
    pub fn take(
        &mut self,
        report: &OrderReport<'_>,
        context: &mut Context<'_, '_>,
    ) -> Result<Taken, Refusal> {
        // Everything that can refuse the event is checked first: a refused event changes nothing.
        report.check_range()?;
        let (digest, reported) = (report.digest(), report.order);
        let known = self.find(digest, &reported.order_id, || Named::by(reported, context))?;
        let order = known.and_then(|key| self.orders.get(key));
        if let Some(order) = order {
            if let Err(refusal) = check_names(order, reported, context) {
                self.dispute(known, report, Named::by(reported, context));
                return Err(refusal);
            }
            if check_fact(order, report)? == Novelty::Known {
                return Ok(Taken::Duplicate);
            }
        }
        let other = self.find_joined(known, report, || Named::by(reported, context))?;
        let joined = other.and_then(|other| self.orders.get(other));
        check_merge(order, joined, reported, context)?;
        self.check_fees((order, joined), report, context)?;
        let key = known.unwrap_or_else(|| self.insert(digest, report, context));
        let Some(mut order) = self.orders.lend(key) else {
            impossible!("an order that was just found or inserted is missing");
            return Ok(Taken::Changed);
        };
        self.name(Arc::make_mut(&mut order), report, context);
        // The new id is joined before the fact is added: the replace is a fact of the joined order.
        if let Some(id) = report.new_order_id() {
            self.orders.give_back(key, order);
            self.merge(key, (other, id), context);
            let Some(merged) = self.orders.lend(key) else {
                impossible!("an order is missing after a merge");
                return Ok(Taken::Changed);
            };
            order = merged;
        }
        let changed = Arc::make_mut(&mut order);
        self.add(changed, report, context);
        if matches!(report.fact, OrderFact::Submitted(_)) {
            self.await_acknowledgement(key, context.now);
        }
        self.settle(key, changed, context);
        self.orders.give_back(key, order);
        Ok(Taken::Changed)
    }

    /// Notes that the id of an order was submitted for another symbol, too.
    fn dispute(&mut self, known: Option<OrderKey>, report: &OrderReport<'_>, named: Named) {
        let Some(order) = known.and_then(|key| self.orders.get_mut(key)) else { return };
        let is_other = order.symbol.is_some_and(|symbol| named != Named::Known(symbol));
        order.is_disputed |= is_other && matches!(report.fact, OrderFact::Submitted(_));
    }

    /// Adds the order that an event is about.
    fn insert(
        &mut self,
        digest: u128,
        report: &OrderReport<'_>,
        context: &mut Context<'_, '_>,
    ) -> OrderKey {
        let mut order = Order::new(report.order.order_id.clone(), report.session.cloned());
        if self.orders.find_digest(digest).is_some() {
            // Orders that share an id are told apart by their symbols from the beginning.
            self.name(&mut order, report, context);
        }
        self.orders.insert_digest(digest, order, context.now)
    }

    /// Whether the fees that an event brings to its symbol, or whose symbol it tells, have as few
    /// currencies as are kept. It is about the one order, and joins the other to it.
    fn check_fees(
        &self,
        (one, other): (Option<&Order>, Option<&Order>),
        report: &OrderReport<'_>,
        context: &Context<'_, '_>,
    ) -> Result<(), Refusal> {
        let orders = one.into_iter().chain(other);
        let waits = |order: &Order| order.symbol.is_none() && !order.fills.is_empty();
        if report.fee_currency().is_none() && !orders.clone().any(waits) {
            return Ok(());
        }
        let symbol = orders.clone().find_map(|order| order.symbol);
        let symbol = symbol.or_else(|| context.symbols.get(report.order.symbol.as_ref()?));
        // A new symbol past the bound is folded into that of the others.
        let other = || context.symbols.other().filter(|_| !context.may_grow);
        let symbol = symbol.or_else(other);
        let is_told = symbol.is_some() || report.order.symbol.is_some();
        let told = orders.filter(|order| is_told && order.symbol.is_none());
        self.check_currencies(symbol, told, report)
    }

    /// Notes symbol, side, strategy and venue, where they were not known. Breakdowns are a choice of
    /// the settings; the names are facts of the order in any case.
    fn name(&mut self, order: &mut Order, report: &OrderReport<'_>, context: &mut Context<'_, '_>) {
        // Checked to be the same, so there is nothing to look up; a folded one is counted.
        let is_known = order.symbol.is_some_and(|known| !context.symbols.is_other(known));
        let symbol =
            report.order.symbol.as_ref().filter(|_| !is_known).map(|symbol| context.intern(symbol));
        if let Some(symbol) = symbol {
            self.open_symbol(symbol, context);
        }
        let breakdowns = context.settings.breakdowns;
        let strategy = report.strategy.filter(|_| breakdowns.strategy);
        let strategy = strategy.map(|name| self.strategies.place(name.as_str()).into());
        let venue = report.venue.filter(|_| breakdowns.venue);
        let venue = venue.map(|name| self.venues.place(name.as_str()).into());
        order.symbol = order.symbol.or(symbol);
        order.side = order.side.or(report.order.side);
        order.strategy = order.strategy.or(strategy);
        order.venue = order.venue.or(venue);
        if let Some(name) = report.strategy.filter(|_| order.strategy_name.is_none()) {
            order.strategy_name = Some(self.words.place(name.as_str()));
        }
        if let Some(name) = report.venue.filter(|_| order.venue_name.is_none()) {
            order.venue_name = Some(self.words.place(name.as_str()));
        }
    }

    /// Makes `id` a further id of the order, and the facts of the other one facts of the order.
    fn merge(
        &mut self,
        key: OrderKey,
        (other, id): (Option<OrderKey>, &OrderId),
        context: &mut Context<'_, '_>,
    ) {
        if let Some(mut gone) = other.and_then(|other| self.take_out(other))
            && let Some(order) = self.orders.get_mut(key)
        {
            let both = order.done.outcome.and(gone.done.outcome);
            // One submission stands for both from here on, and its references.
            freeze(order, &self.terms);
            freeze(&mut gone, &self.terms);
            let doubles = absorb(order, &mut gone);
            // What both moved and counted under one fill id was moved and counted twice.
            for double in doubles {
                let back = -double.done.moved;
                if let Some((symbol, side)) = gone.symbol.zip(gone.side).filter(|_| !back.is_zero())
                {
                    context.flows.push((symbol, flow(side, &double, back)));
                }
                let twice = Tally::without(&double, &self.terms);
                self.count(&gone, &Delta::default(), Some(&twice), context.settings.window.fills);
            }
            if let Some(outcome) = both {
                self.leave(key, outcome);
            }
            let ids: Vec<OrderId> =
                std::iter::once(&gone.order_id).chain(&*gone.aliases).cloned().collect();
            for id in &ids {
                self.orders.alias(key, id);
            }
        }
        self.orders.alias(key, id);
    }

    /// Adds the fact of a checked event.
    fn add(&mut self, order: &mut Order, report: &OrderReport<'_>, context: &mut Context<'_, '_>) {
        let at = report.at;
        match report.fact {
            OrderFact::Submitted(e) => {
                let submission = self.submission(order, e, report, context);
                let known = order.submission.as_ref();
                if known.is_none_or(|known| precedes(&submission, known)) {
                    if known.is_some() {
                        freeze(order, &self.terms);
                    }
                    order.submission = Some(submission);
                    order.done.settled = 0;
                }
            }
            OrderFact::Accepted(e) => {
                order.accepted_at = Some(order.accepted_at.map_or(at, |known| known.min(at)));
                if order.venue_order_id.is_none() {
                    order.venue_order_id.clone_from(&e.venue_order_id);
                }
            }
            OrderFact::Filled(e) => self.add_fill(order, fill_of(e, report), context),
            OrderFact::Rejected(e) => {
                let reason = reason::classify(e.code.as_deref(), e.reason.as_deref());
                let reason = u8::try_from(reason).unwrap_or(u8::MAX);
                order.reject_reason.get_or_insert(reason);
                let (reason, code) = (e.reason.clone(), e.code.clone());
                end(order, End { reason, code, ..End::new(Outcome::Rejected, at) });
            }
            OrderFact::Denied(e) => {
                end(order, End { reason: e.reason.clone(), ..End::new(Outcome::Denied, at) });
            }
            OrderFact::Cancelled(e) => {
                let (initiator, reason) = (e.initiator, e.reason.clone());
                end(order, End { initiator, reason, ..End::new(Outcome::Cancelled, at) });
            }
            OrderFact::Expired(_) => end(order, End::new(Outcome::Expired, at)),
            OrderFact::Replaced(e) => {
                let replace = Replace { at, quantity: e.quantity, limit_price: e.limit_price };
                if !order.replaces.contains(&replace) {
                    order.replaces.push(replace);
                }
            }
            OrderFact::FillBusted(FillBusted { fill_id }) => {
                order.fills.amend(Amendment { fill_id: fill_id.clone(), at, corrected: None });
            }
            OrderFact::FillCorrected(e) => order.fills.amend(Amendment {
                fill_id: e.fill_id.clone(),
                at,
                corrected: Some(correction_of(e)),
            }),
        }
    }

    /// The submission that an event reports.
    fn submission(
        &mut self,
        order: &Order,
        submitted: &OrderSubmitted,
        report: &OrderReport<'_>,
        context: &Context<'_, '_>,
    ) -> Submission {
        let at = report.at;
        let quotes = order.symbol.and_then(|symbol| self.quotes.get(symbol.index()));
        let age_max = context.settings.orders.arrival_age_max;
        let told = submitted.arrival_price;
        let arrival = told.and_then(Price::known).or_else(|| quotes?.at(at, age_max)).or(told);
        let mut word = |word: &Option<Box<str>>| Some(self.words.place(word.as_deref()?));
        let order_type = word(&submitted.order_type);
        let time_in_force = word(&submitted.time_in_force);
        Submission {
            at,
            ordered: self.ordered(submitted.ordered, order.symbol, context),
            references: [submitted.expected_price, arrival, submitted.limit_price],
            decision_price: submitted.decision_price,
            order_type,
            time_in_force,
            reduce_only: submitted.reduce_only,
            content: content_of(submitted, report),
            of_first_id: report.order.order_id == order.order_id,
        }
    }

    /// How much was ordered. What is told of executions are prices, so that money is in units of the
    /// instrument: less its multiplier.
    fn ordered(
        &self,
        ordered: event::Ordered,
        symbol: Option<SymbolKey>,
        context: &Context<'_, '_>,
    ) -> Ordered {
        let notional = match ordered {
            event::Ordered::Quantity(quantity) => return Ordered::Quantity(quantity),
            event::Ordered::Notional(notional) => notional,
        };
        let index = symbol.map(|symbol| self.instrument_of(symbol)).unwrap_or_default();
        let multiplier = context.settings.instruments.at(index).multiplier;
        let enough = notional.get().saturating_mul(Decimal::new(NOTIONAL_FILLED_PERMILLE, 3));
        let enough = enough.checked_div(multiplier).unwrap_or(enough);
        Ordered::Notional(Box::new(ByNotional { notional, enough }))
    }

    /// Adds an execution, or what its second report tells and the first did not.
    fn add_fill(&self, order: &mut Order, mut fill: Fill, context: &mut Context<'_, '_>) {
        if let Some(symbol) = order.symbol {
            let instrument = context.settings.instruments.at(self.instrument_of(symbol));
            fill.share_currency(&instrument.currency);
        }
        let known = fill.id.as_ref().and_then(|id| order.fills.place(id));
        let Some(place) = known else { return order.fills.push(fill) };
        freeze(order, &self.terms);
        let names = order.symbol.zip(order.side);
        let known = order.fills.all_mut().get_mut(place);
        if let Some(known) = known.filter(|known| !known.is_dated && fill.is_dated) {
            // It moves the position at the time that is told now.
            let change = -std::mem::take(&mut known.done.moved);
            if let Some((symbol, side)) = names.filter(|_| !change.is_zero()) {
                context.flows.push((symbol, flow(side, known, change)));
            }
        }
        order.fills.complete(place, fill);
    }
}

/// Of two submissions in one chain that of the first id stands, then the earlier, and of two at
/// one instant the one with the lower digest: not the one that arrived first.
fn precedes(new: &Submission, known: &Submission) -> bool {
    let rank = |s: &Submission| (!s.of_first_id, s.at, s.content.digest);
    rank(new) < rank(known)
}

/// Adds a terminal fact; of equal ones the earliest time is kept, and the first reason.
fn end(order: &mut Order, end: End) {
    let same = |e: &&mut End| e.outcome == end.outcome && e.initiator == end.initiator;
    match order.ends.iter_mut().find(same) {
        Some(known) => {
            known.at = known.at.min(end.at);
            known.reason = known.reason.take().or(end.reason);
            known.code = known.code.take().or(end.code);
        }
        None => order.ends.push(end),
    }
}

/// Moves the facts of `gone` into `order`. A fill that both have under one id is kept once; the
/// other reports are returned.
fn absorb(order: &mut Order, gone: &mut Order) -> Vec<Fill> {
    if let Some(mut submission) = gone.submission.take() {
        submission.of_first_id = false;
        if order.submission.as_ref().is_none_or(|known| precedes(&submission, known)) {
            order.submission = Some(submission);
        }
    }
    order.accepted_at = [order.accepted_at, gone.accepted_at].into_iter().flatten().min();
    let doubles = order.fills.absorb(&mut gone.fills);
    order.replaces.append(&mut gone.replaces);
    for fact in &*gone.ends {
        end(order, fact.clone());
    }
    order.strategy_name = order.strategy_name.or(gone.strategy_name);
    order.venue_name = order.venue_name.or(gone.venue_name);
    order.venue_order_id = order.venue_order_id.take().or(gone.venue_order_id.take());
    order.symbol = order.symbol.or(gone.symbol);
    order.side = order.side.or(gone.side);
    order.strategy = order.strategy.or(gone.strategy);
    order.venue = order.venue.or(gone.venue);
    order.reject_reason = order.reject_reason.or(gone.reject_reason);
    order.is_disputed |= gone.is_disputed;
    order.done.absorb(&gone.done);
    doubles
}

/// The execution that an event reports.
pub(super) fn fill_of(filled: &OrderFilled, report: &OrderReport<'_>) -> Fill {
    Fill {
        id: filled.fill_id.clone(),
        at: report.at,
        is_dated: report.given_time.is_some(),
        quantity: filled.quantity,
        price: filled.price,
        side: report.order.side,
        fee: filled.fee.map(|fee| (fee.get(), filled.fee_currency.clone())),
        liquidity: filled.liquidity,
        synthetic: report.synthetic,
        is_final: filled.is_final,
        done: FillDone::default(),
    }
}

/// The terms that a correction puts in place of the reported ones.
pub(super) fn correction_of(event: &FillCorrected) -> Correction {
    let fee = event.fee.map(|fee| (fee.get(), event.fee_currency.clone()));
    Correction { quantity: event.quantity, price: event.price, fee }
}
