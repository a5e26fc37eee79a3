//! Adds an event to the facts of its order.
//!
//! Input: an event about an order. Output: whether it changed the order, or why it was refused.
//! Invariant: a duplicate or a refused event changes nothing. Deliberately absent: the checks (see
//! `check`), and the effect of the facts on counters and windows (see `apply`).

use std::sync::Arc;

use crate::domain::event::{
    self as event, FillBusted, FillCorrected, OrderFact, OrderFilled, OrderSubmitted,
};
use crate::domain::execution::amendments::{Amendment, Correction};
use crate::domain::execution::check::{Novelty, check_fact, check_merge, check_names, content_of};
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::fills::{CountedFill, FEW_MAX, Fill};
use crate::domain::execution::lookup::ReportedSymbol;
use crate::domain::execution::order::{
    NotionalSize, Order, OrderSubmission, OrderedSize, TerminalFact,
};
use crate::domain::execution::orders::OrderKey;
use crate::domain::execution::reason;
use crate::domain::execution::replaces::AcceptedReplace;
use crate::domain::execution::tally::{flow, freeze_all, freeze_one};
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::record::Refusal;
use crate::domain::step::Step;
use crate::domain::symbols::SymbolKey;
use crate::domain::units::{Decimal, Price};

/// The part of its notional, in thousandths, at which an order by notional counts as filled: prices
/// move and quantities have steps, so that the rest does not buy another step.
const NOTIONAL_FILLED_PERMILLE: i64 = 995;

/// The effect of an order event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactEffect {
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
    /// order has as many facts as are kept, or its reference changed too often after many fills,
    /// [`Refusal::OutOfRange`] when the notional cannot be
    /// held, [`Refusal::TooManyCurrencies`] when the symbol has as many as are kept.
    pub fn take(
        &mut self,
        report: &OrderReport<'_>,
        step: &mut Step<'_, '_>,
    ) -> Result<FactEffect, Refusal> {
        // Everything that can refuse the event is checked first: a refused event changes nothing.
        report.check_range()?;
        let (digest, reported) = (report.digest(), report.order);
        let known = self.find(digest, &reported.order_id, || ReportedSymbol::of(reported, step))?;
        let order = known.and_then(|key| self.orders.get(key));
        if let Some(order) = order {
            if let Err(refusal) = check_names(order, reported, step) {
                self.dispute(known, report, ReportedSymbol::of(reported, step));
                return Err(refusal);
            }
            if check_fact(order, report)? == Novelty::Known {
                return Ok(FactEffect::Duplicate);
            }
        }
        let other = self.find_joined(known, report, || ReportedSymbol::of(reported, step))?;
        let joined = other.and_then(|other| self.orders.get(other));
        check_merge(order, joined, reported, step)?;
        self.check_fees((order, joined), report, step)?;
        let mut key = known.unwrap_or_else(|| self.insert(digest, report, step));
        let Some(mut order) = self.orders.take(key) else {
            impossible!("an order that was just found or inserted is missing");
            return Ok(FactEffect::Changed);
        };
        let mut changed = Arc::make_mut(&mut order);
        self.name(changed, report, step);
        // The new id is joined before the fact is added: the replace is a fact of the joined order.
        if let Some(id) = report.new_order_id() {
            self.orders.put_back(key, order);
            key = self.merge(key, (other, id), step);
            let Some(merged) = self.orders.take(key) else {
                impossible!("an order is missing after a merge");
                return Ok(FactEffect::Changed);
            };
            order = merged;
            changed = Arc::make_mut(&mut order);
        }
        self.add(changed, report, step);
        if matches!(report.fact, OrderFact::Submitted(_)) {
            self.await_acknowledgement(key, step.now);
        }
        self.apply(key, changed, step);
        self.orders.put_back(key, order);
        Ok(FactEffect::Changed)
    }

    /// Marks an order whose id was submitted for another symbol too.
    fn dispute(
        &mut self,
        known: Option<OrderKey>,
        report: &OrderReport<'_>,
        named: ReportedSymbol,
    ) {
        let Some(order) = known.and_then(|key| self.orders.get_mut(key)) else {
            impossible!("an order that was just found is missing");
            return;
        };
        let is_other = order.symbol.is_some_and(|symbol| named != ReportedSymbol::Known(symbol));
        order.is_disputed |= is_other && matches!(report.fact, OrderFact::Submitted(_));
    }

    /// Adds the order that an event is about.
    fn insert(
        &mut self,
        digest: u128,
        report: &OrderReport<'_>,
        step: &mut Step<'_, '_>,
    ) -> OrderKey {
        let mut order = Order::new(report.order.order_id.clone(), report.session.cloned());
        if self.orders.find_digest(digest).is_some() {
            // Orders that share an id are filed by symbol, so that the new one needs its symbol first.
            self.name(&mut order, report, step);
        }
        self.orders.insert_digest(digest, order, step.now)
    }

    /// Refuses an event that adds one currency of fees too many to its symbol: by its own fee, or by
    /// reporting the symbol of an order whose fees waited for it. A replace joins the `other` order.
    fn check_fees(
        &self,
        (one, other): (Option<&Order>, Option<&Order>),
        report: &OrderReport<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), Refusal> {
        let orders = one.into_iter().chain(other);
        let waits = |order: &Order| order.symbol.is_none() && !order.fills.is_empty();
        if report.fee_currency().is_none() && !orders.clone().any(waits) {
            return Ok(());
        }
        let symbol = orders.clone().find_map(|order| order.symbol);
        let symbol = symbol.or_else(|| step.symbols.get(report.order.symbol.as_ref()?));
        // A new symbol beyond the bound is folded into `__other__`.
        let other = || step.symbols.other().filter(|_| !step.has_room());
        let symbol = symbol.or_else(other);
        let is_reported = symbol.is_some() || report.order.symbol.is_some();
        let named = orders.filter(|order| is_reported && order.symbol.is_none());
        self.check_currencies(symbol, named, report)
    }

    /// Adds symbol, side, strategy and venue to an order that lacks them. The names of strategy and venue
    /// are kept even if the settings do not break figures down by them.
    fn name(&mut self, order: &mut Order, report: &OrderReport<'_>, step: &mut Step<'_, '_>) {
        // A known symbol was checked to be the same: no lookup. A folded one is interned to be counted.
        let is_known = order.symbol.is_some_and(|known| !step.symbols.is_other(known));
        let symbol =
            report.order.symbol.as_ref().filter(|_| !is_known).map(|symbol| step.intern(symbol));
        if let Some(symbol) = symbol {
            self.open_symbol(symbol, step);
        }
        let breakdowns = step.settings.breakdowns;
        let strategy = report.strategy.filter(|_| breakdowns.strategy);
        let strategy = strategy.map(|name| self.strategies.place(name.as_str()).into());
        let venue = report.venue.filter(|_| breakdowns.venue);
        let venue = venue.map(|name| self.venues.place(name.as_str()).into());
        let side = report.order.side;
        if (order.symbol.is_none() && symbol.is_some()) || (order.side.is_none() && side.is_some())
        {
            // Positions and figures of the fills so far waited for it.
            order.count_all_again();
        }
        order.symbol = order.symbol.or(symbol);
        order.side = order.side.or(side);
        order.strategy = order.strategy.or(strategy);
        order.venue = order.venue.or(venue);
        if let Some(name) = report.strategy.filter(|_| order.strategy_name.is_none()) {
            order.strategy_name = Some(self.words.place(name.as_str()));
        }
        if let Some(name) = report.venue.filter(|_| order.venue_name.is_none()) {
            order.venue_name = Some(self.words.place(name.as_str()));
        }
    }

    /// Adds the fact of a checked event.
    fn add(&mut self, order: &mut Order, report: &OrderReport<'_>, step: &mut Step<'_, '_>) {
        let at = report.at;
        match report.fact {
            OrderFact::Submitted(e) => {
                let submission = self.submission(order, e, report, step);
                match &order.submission {
                    None => order.count_all_again(),
                    Some(known) if known.rank() <= submission.rank() => return,
                    Some(known) if known.expected() == submission.expected() => {}
                    Some(_) => self.restate(order),
                }
                order.submission = Some(submission);
            }
            OrderFact::Accepted(e) => {
                order.accepted_at = Some(order.accepted_at.map_or(at, |known| known.min(at)));
                if order.venue_order_id.is_none() {
                    order.venue_order_id.clone_from(&e.venue_order_id);
                }
            }
            OrderFact::Filled(e) => self.add_fill(order, fill_of(e, report), step),
            OrderFact::Rejected(e) => {
                let reason = reason::classify(e.code.as_deref(), e.reason.as_deref());
                order.reject_reason.get_or_insert(reason);
                let (reason, code) = (e.reason.clone(), e.code.clone());
                end(
                    order,
                    TerminalFact { reason, code, ..TerminalFact::new(Outcome::Rejected, at) },
                );
            }
            OrderFact::Denied(e) => {
                end(
                    order,
                    TerminalFact {
                        reason: e.reason.clone(),
                        ..TerminalFact::new(Outcome::Denied, at)
                    },
                );
            }
            OrderFact::Cancelled(e) => {
                let (initiator, reason) = (e.initiator, e.reason.clone());
                end(
                    order,
                    TerminalFact { initiator, reason, ..TerminalFact::new(Outcome::Cancelled, at) },
                );
            }
            OrderFact::Expired(_) => end(order, TerminalFact::new(Outcome::Expired, at)),
            OrderFact::Replaced(e) => {
                let (quantity, limit_price) = (e.quantity, e.limit_price);
                order.add_replace(AcceptedReplace { at, quantity, limit_price });
            }
            OrderFact::FillBusted(FillBusted { fill_id }) => {
                order.amend_fill(Amendment { fill_id: fill_id.clone(), at, corrected: None });
            }
            OrderFact::FillCorrected(e) => order.amend_fill(Amendment {
                fill_id: e.fill_id.clone(),
                at,
                corrected: Some(correction_of(e)),
            }),
        }
    }

    /// Prepares the executions of an order for another reference.
    pub(super) fn restate(&self, order: &mut Order) {
        if order.fills.len() > FEW_MAX {
            order.counted.restated = order.counted.restated.saturating_add(1);
        }
        freeze_all(order, &self.terms);
    }

    /// The submission that an event reports.
    fn submission(
        &mut self,
        order: &Order,
        submitted: &OrderSubmitted,
        report: &OrderReport<'_>,
        step: &Step<'_, '_>,
    ) -> OrderSubmission {
        let at = report.at;
        let quotes = order.symbol.and_then(|symbol| self.quotes.get(symbol.index()));
        let age_max = step.settings.orders.arrival_age_max;
        let given = submitted.arrival_price;
        let arrival = given.and_then(Price::known).or_else(|| quotes?.at(at, age_max)).or(given);
        let mut word = |word: &Option<Box<str>>| Some(self.words.place(word.as_deref()?));
        let order_type = word(&submitted.order_type);
        let time_in_force = word(&submitted.time_in_force);
        OrderSubmission {
            at,
            ordered: self.ordered(submitted.ordered, order.symbol, step),
            references: [submitted.expected_price, arrival, submitted.limit_price],
            decision_price: submitted.decision_price,
            order_type,
            time_in_force,
            reduce_only: submitted.reduce_only,
            content: content_of(submitted, report),
            of_first_id: report.order.order_id == order.order_id,
        }
    }

    /// The ordered size. Executions are summed as quantity x price, without the multiplier of the
    /// instrument, so an amount of money is divided by it.
    fn ordered(
        &self,
        ordered: event::OrderSize,
        symbol: Option<SymbolKey>,
        step: &Step<'_, '_>,
    ) -> OrderedSize {
        let notional = match ordered {
            event::OrderSize::Quantity(quantity) => return OrderedSize::Quantity(quantity),
            event::OrderSize::Notional(notional) => notional,
        };
        let index = symbol.map(|symbol| self.instrument_of(symbol)).unwrap_or_default();
        let multiplier = step.settings.instruments.at(index).multiplier;
        let enough = notional.get().saturating_mul(Decimal::new(NOTIONAL_FILLED_PERMILLE, 3));
        let enough = enough.checked_div(multiplier).unwrap_or(enough);
        OrderedSize::Notional(Box::new(NotionalSize { notional, enough }))
    }

    /// Adds an execution, or the details that only a second report of it has.
    fn add_fill(&self, order: &mut Order, mut fill: Fill, step: &mut Step<'_, '_>) {
        if let Some(symbol) = order.symbol {
            let instrument = step.settings.instruments.at(self.instrument_of(symbol));
            fill.share_currency(&instrument.currency);
        }
        let known = fill.id.as_ref().and_then(|id| order.fills.place(id));
        let Some(place) = known else { return order.add_fill(fill) };
        freeze_one(order, place, &self.terms);
        let names = order.symbol.zip(order.side);
        let known = order.fills.all_mut().get_mut(place);
        if let Some(known) = known.filter(|known| !known.is_dated && fill.is_dated) {
            // It moves the position again, at the time that this report gives.
            let change = -std::mem::take(&mut known.counted.moved);
            if let Some((symbol, side)) = names.filter(|_| !change.is_zero()) {
                step.flows.push((symbol, flow(side, known, change)));
            }
        }
        order.fills.complete(place, fill);
    }
}

/// Adds a terminal fact. Of equal ones, the earliest time and the first reason are kept.
pub(super) fn end(order: &mut Order, end: TerminalFact) {
    let same = |e: &&mut TerminalFact| e.outcome == end.outcome && e.initiator == end.initiator;
    match order.ends.iter_mut().find(same) {
        Some(known) => {
            known.at = known.at.min(end.at);
            known.reason = known.reason.take().or(end.reason);
            known.code = known.code.take().or(end.code);
        }
        None => order.ends.push(end),
    }
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
        counted: CountedFill::default(),
    }
}

/// The terms that a correction puts in place of the reported ones.
pub(super) fn correction_of(event: &FillCorrected) -> Correction {
    let fee = event.fee.map(|fee| (fee.get(), event.fee_currency.clone()));
    Correction { quantity: event.quantity, price: event.price, fee }
}
