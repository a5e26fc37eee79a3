//! What the API and the exposition read of the execution side.

use crate::domain::execution::anomaly::AnomalyView;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::execution::order::{Order, Submission};
use crate::domain::execution::orders::{Class, OrderKey};
use crate::domain::execution::{Execution, Scope};
use crate::domain::ids::{FillId, OrderId, Session, Strategy, Symbol, Venue};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, Side};

/// One order as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderView {
    /// The engine's id (the first of a replace chain).
    pub order_id: OrderId,
    /// Other ids of the same chain.
    pub aliases: Vec<OrderId>,
    /// The run of the engine.
    pub session: Option<Session>,
    /// The instrument, once known.
    pub symbol: Option<Symbol>,
    /// Buy or sell, once known.
    pub side: Option<Side>,
    /// The strategy, if broken down.
    pub strategy: Option<Strategy>,
    /// The venue, if broken down.
    pub venue: Option<Venue>,
    /// Q, once known.
    pub quantity: Option<Decimal>,
    /// F.
    pub filled_quantity: Decimal,
    /// P; none without a fill.
    pub average_price: Option<Decimal>,
    /// How it ended; none: open, or not known enough.
    pub outcome: Option<Outcome>,
    /// Whether it waits for its submission, and is not counted as open.
    pub is_unknown: bool,
    /// When it was submitted (event time); none: its submission did not arrive.
    pub submitted_at: Option<Timestamp>,
    /// When the venue accepted it (event time).
    pub accepted_at: Option<Timestamp>,
    /// When its outcome was reached (event time of the deciding fact).
    pub ended_at: Option<Timestamp>,
    /// When the last fact was received.
    pub received_at: Timestamp,
    /// Reference prices: expected, arrival, limit.
    pub references: [Option<Decimal>; 3],
    /// Slippage against them, in basis points, positive = worse.
    pub slippage_bps: [Option<f64>; 3],
    /// Executions that stand.
    pub fills: Vec<FillView>,
}

/// One execution as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct FillView {
    /// Its id, if it has one.
    pub fill_id: Option<FillId>,
    /// Event time.
    pub time: Timestamp,
    /// Quantity; none: what explicit fills leave of a quantity that is not known yet.
    pub quantity: Option<Decimal>,
    /// Price.
    pub price: Decimal,
    /// Made by the engine to set its books right.
    pub synthetic: bool,
}

impl Execution {
    /// The account as a whole.
    #[must_use]
    pub const fn whole(&self) -> &Scope {
        &self.whole
    }

    /// One symbol; none: nothing of it was seen on this side.
    #[must_use]
    pub fn symbol(&self, key: SymbolKey) -> Option<&Scope> {
        self.symbols.get(key.index())
    }

    /// A number that is another one when what is known of the symbol, or its open orders, may have
    /// changed.
    #[must_use]
    pub fn mark(&self, key: SymbolKey) -> u64 {
        self.symbols.mark(key) + self.open.mark(key)
    }

    /// Strategies by name, if broken down.
    pub fn strategies(&self) -> impl Iterator<Item = (&str, &Scope)> {
        self.strategies.iter()
    }

    /// Venues by name, if broken down.
    pub fn venues(&self) -> impl Iterator<Item = (&str, &Scope)> {
        self.venues.iter()
    }

    /// How many times a new strategy, and a new venue, was folded into `__other__`.
    #[must_use]
    pub const fn folded(&self) -> (u64, u64) {
        (self.strategies.folded(), self.venues.folded())
    }

    /// Open orders of one symbol.
    #[must_use]
    pub fn open_orders(&self, key: SymbolKey) -> u64 {
        self.open.get(key.index()).map_or(0, |open| open.orders)
    }

    /// Open orders of the account.
    #[must_use]
    pub const fn open_orders_total(&self) -> u64 {
        self.open_total
    }

    /// Submitted, nothing heard for too long.
    #[must_use]
    pub fn unacknowledged(&self, key: SymbolKey) -> u64 {
        self.open.get(key.index()).map_or(0, |open| open.unacknowledged)
    }

    /// Submission (or else acceptance) time of the order that has been open longest.
    #[must_use]
    pub fn oldest_open_at(&self) -> Option<Timestamp> {
        let (key, _) = self.orders.oldest(Class::Open)?;
        let order = self.orders.get(key)?;
        order.submission.as_ref().map(|s| s.at).or(order.accepted_at)
    }

    /// Rejections by `REJECT_REASONS`.
    #[must_use]
    pub const fn rejections(&self) -> &[u64; 11] {
        &self.rejections
    }

    /// The latest order rejected for each reason.
    #[must_use]
    pub fn rejection_exemplar(&self, reason: usize) -> Option<&Exemplar> {
        self.rejected.get(reason)?.as_ref()
    }

    /// Submission to acceptance, in seconds.
    #[must_use]
    pub const fn ack_histogram(&self) -> &Histogram {
        &self.ack
    }

    /// Submission to last fill of fully filled orders, in seconds.
    #[must_use]
    pub const fn fill_histogram(&self) -> &Histogram {
        &self.fill
    }

    /// Slippage of each fill, in basis points, by `Reference::ALL`.
    #[must_use]
    pub const fn slippage_histograms(&self) -> &[Histogram; 3] {
        &self.slippage
    }

    /// Anomalies that stand: the account's, then those of symbols in the order of their keys.
    #[must_use]
    pub fn anomalies(&self, symbols: &SymbolTable) -> Vec<AnomalyView> {
        let whole = std::iter::once((None, &self.whole));
        let each = symbols.iter().map(|(key, name)| (Some(name), self.symbols.get(key.index())));
        let each = each.filter_map(|(name, scope)| Some((name, scope?)));
        let mut views = Vec::new();
        for (symbol, scope) in whole.chain(each) {
            views.extend(scope.anomalies().iter().map(|standing| AnomalyView {
                symbol: symbol.cloned(),
                figure: standing.figure,
                level: standing.level,
                value: standing.value,
                threshold: standing.threshold,
                samples: standing.samples,
                since: standing.since,
            }));
        }
        views
    }

    /// Orders held with the numbers of their first facts, in that order, after number `after`.
    pub fn orders<'a>(
        &'a self,
        symbols: &'a SymbolTable,
        after: u64,
    ) -> impl Iterator<Item = (u64, OrderView)> + 'a {
        let listing = self.orders.listing(after);
        listing.filter_map(|(number, key)| Some((number, self.view(symbols, key)?)))
    }

    /// One order held, by any id of its chain.
    #[must_use]
    pub fn order(
        &self,
        symbols: &SymbolTable,
        session: Option<&str>,
        order_id: &str,
    ) -> Option<OrderView> {
        self.view(symbols, self.orders.find(session, order_id)?)
    }

    /// Orders dropped because a bound was reached: open ones, ones without a submission.
    #[must_use]
    pub const fn dropped(&self) -> (u64, u64) {
        (self.dropped_open, self.dropped_unknown)
    }

    fn view(&self, symbols: &SymbolTable, key: OrderKey) -> Option<OrderView> {
        let order = self.orders.get(key)?;
        let standing = order.standing();
        let strategy = order.strategy.and_then(|at| self.strategies.name(at.get()));
        let venue = order.venue.and_then(|at| self.venues.name(at.get()));
        Some(OrderView {
            order_id: order.order_id.clone(),
            aliases: order.aliases.to_vec(),
            session: order.session.clone(),
            symbol: order.symbol.and_then(|at| symbols.name(at)).cloned(),
            side: order.side,
            strategy: strategy.and_then(|name| Strategy::new(name).ok()),
            venue: venue.and_then(|name| Venue::new(name).ok()),
            quantity: standing.quantity,
            filled_quantity: standing.filled,
            average_price: standing.average_price(),
            outcome: standing.outcome,
            is_unknown: self.orders.class(key)? == Class::Unknown,
            submitted_at: order.submission.as_ref().map(|s: &Submission| s.at),
            accepted_at: order.accepted_at,
            ended_at: standing.ended_at,
            received_at: self.orders.received_at(key)?,
            references: order.references().map(|r| r.map(Price::get)),
            slippage_bps: order.slippage_bps(&standing),
            fills: fills_of(order),
        })
    }
}

/// The executions that stand.
fn fills_of(order: &Order) -> Vec<FillView> {
    let stands = |quantity: Option<Decimal>| quantity.is_none_or(|q| !q.is_zero());
    let fills = order.fills.all().iter().zip(order.resolved());
    let views = fills.filter(|(_, effective)| stands(effective.quantity));
    views
        .map(|(fill, effective)| FillView {
            fill_id: fill.id.clone(),
            time: fill.at,
            quantity: effective.quantity,
            price: effective.price,
            synthetic: fill.synthetic,
        })
        .collect()
}
