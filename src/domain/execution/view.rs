//! Read access to the execution side, for the API and the exposition.

use enum_map::EnumMap;

use crate::domain::compact::NonMaxU32;
use crate::domain::event::Liquidity;
use crate::domain::execution::anomaly::AnomalyView;
use crate::domain::execution::counters::Outcome;
use crate::domain::execution::fills::{EffectiveFill, Fill, FillStep};
use crate::domain::execution::histogram::{Exemplar, Histogram};
use crate::domain::execution::order::{Order, TerminalFact};
use crate::domain::execution::orders::{OrderClass, OrderKey, Orders};
use crate::domain::execution::reason::RejectReason;
use crate::domain::execution::{Execution, ExecutionScope};
use crate::domain::ids::{Currency, FillId, OrderId, Session, Symbol};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, Quantity, Side};

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
    /// The strategy, once reported.
    pub strategy: Option<String>,
    /// The venue, once reported.
    pub venue: Option<String>,
    /// The venue's id of it.
    pub venue_order_id: Option<OrderId>,
    /// `market`, `limit` and so on, as the engine said it.
    pub order_type: Option<String>,
    /// `day`, `gtc` and so on, as the engine said it.
    pub time_in_force: Option<String>,
    /// Whether it may only reduce a position.
    pub reduce_only: Option<bool>,
    /// The price when the strategy decided.
    pub decision_price: Option<Decimal>,
    /// The ordered amount of money, if no quantity was ordered.
    pub notional: Option<Decimal>,
    /// Q, once known.
    pub quantity: Option<Decimal>,
    /// F.
    pub filled_quantity: Decimal,
    /// P; `None` without a fill.
    pub average_price: Option<Decimal>,
    /// How it ended; `None` while it is open or unknown.
    pub outcome: Option<Outcome>,
    /// Whether it waits for its submission, and is not counted as open.
    pub is_unknown: bool,
    /// When it was submitted (event time); `None` before its submission arrived.
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
    /// Executions, busted ones too.
    pub fills: Vec<FillView>,
    /// Terminal facts, the one that decides first.
    pub ends: Vec<TerminalFact>,
    /// Why it was rejected; `None` if it was not.
    pub reject_reason: Option<RejectReason>,
}

/// One execution as the API shows it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "a view: each is one field of the answer")]
pub struct FillView {
    /// Its id, if it has one.
    pub fill_id: Option<FillId>,
    /// Event time.
    pub time: Timestamp,
    /// Quantity after amendments, 0 when busted; `None` while it depends on an ordered quantity that is
    /// not known yet.
    pub quantity: Option<Decimal>,
    /// Price after amendments.
    pub price: Decimal,
    /// Quantity as reported.
    pub reported_quantity: Option<Decimal>,
    /// Price as reported.
    pub reported_price: Decimal,
    /// Fee after amendments; negative is a rebate.
    pub fee: Option<Decimal>,
    /// The currency of the fee; `None` while the instrument is not known.
    pub fee_currency: Option<Currency>,
    /// Whether it added or took liquidity.
    pub liquidity: Option<Liquidity>,
    /// The venue said that nothing of the order is left after it.
    pub is_final: bool,
    /// Undone by the venue.
    pub busted: bool,
    /// Corrected by the venue.
    pub corrected: bool,
    /// Made by the engine to set its books right.
    pub synthetic: bool,
}

impl Execution {
    /// The account as a whole.
    #[must_use]
    pub const fn whole(&self) -> &ExecutionScope {
        &self.whole
    }

    /// One symbol; `None` before its first event about an order or a quote.
    #[must_use]
    pub fn symbol(&self, key: SymbolKey) -> Option<&ExecutionScope> {
        self.symbols.get(key.index())
    }

    /// Changes whenever the scope of the symbol or its open orders may have changed.
    #[must_use]
    pub fn version(&self, key: SymbolKey) -> u64 {
        self.symbols.version(key) + self.open.version(key)
    }

    /// Strategies by name, if broken down.
    pub fn strategies(&self) -> impl Iterator<Item = (&str, &ExecutionScope)> {
        self.strategies.iter()
    }

    /// Venues by name, if broken down.
    pub fn venues(&self) -> impl Iterator<Item = (&str, &ExecutionScope)> {
        self.venues.iter()
    }

    /// Number of times that a new strategy, and a new venue, was folded into `__other__`.
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

    /// Open orders of one symbol without any answer from the venue for too long.
    #[must_use]
    pub fn unacknowledged(&self, key: SymbolKey) -> u64 {
        self.open.get(key.index()).map_or(0, |open| open.unacknowledged)
    }

    /// Submission (or else acceptance) time of the order that has been open longest.
    #[must_use]
    pub fn oldest_open_at(&self) -> Option<Timestamp> {
        let (key, _) = self.orders.oldest(OrderClass::Open)?;
        let order = self.orders.get(key)?;
        order.submission.as_ref().map(|s| s.at).or(order.accepted_at)
    }

    /// Rejections by reason.
    #[must_use]
    pub const fn rejections(&self) -> &EnumMap<RejectReason, u64> {
        &self.rejections
    }

    /// The latest order rejected for each reason.
    #[must_use]
    pub const fn latest_rejections(&self) -> &EnumMap<RejectReason, Option<Exemplar>> {
        &self.latest_rejections
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

    /// Active anomalies: of the account, then of symbols in the order of their keys.
    #[must_use]
    pub fn anomalies(&self, symbols: &SymbolTable) -> Vec<AnomalyView> {
        let whole = std::iter::once((None, &self.whole));
        let each = symbols.iter().map(|(key, name)| (Some(name), self.symbols.get(key.index())));
        let each = each.filter_map(|(name, scope)| Some((name, scope?)));
        let mut views = Vec::new();
        for (symbol, scope) in whole.chain(each) {
            views.extend(scope.anomalies().iter().map(|active| AnomalyView {
                symbol: symbol.cloned(),
                figure: active.figure,
                level: active.level,
                value: active.value,
                threshold: active.threshold,
                samples: active.samples,
                since: active.since,
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

    /// One order, by any id of its chain. If orders of several symbols share the id, any of them.
    #[must_use]
    pub fn order(
        &self,
        symbols: &SymbolTable,
        session: Option<&str>,
        order_id: &str,
    ) -> Option<OrderView> {
        self.view(symbols, self.orders.find(session, order_id)?)
    }

    /// The symbols whose orders share this id; empty if at most one order has it.
    pub fn shared_by<'a>(
        &'a self,
        symbols: &'a SymbolTable,
        session: Option<&str>,
        order_id: &str,
    ) -> impl Iterator<Item = &'a Symbol> {
        let twins = self.orders.twins(Orders::digest(session, order_id));
        twins.into_iter().flat_map(|twins| twins.keys()).filter_map(|symbol| symbols.name(*symbol))
    }

    /// The order of this symbol and id.
    #[must_use]
    pub fn order_of(
        &self,
        symbols: &SymbolTable,
        session: Option<&str>,
        (order_id, symbol): (&str, &Symbol),
    ) -> Option<OrderView> {
        let symbol = symbols.get(symbol)?;
        let digest = Orders::digest(session, order_id);
        let twin = self.orders.twin(digest, symbol);
        let key = twin.or_else(|| self.orders.find_digest(digest))?;
        let order = self.orders.get(key)?;
        self.view(symbols, key).filter(|_| order.symbol == Some(symbol))
    }

    /// Orders dropped because a bound was reached: open orders, and orders without a submission.
    #[must_use]
    pub const fn dropped(&self) -> (u64, u64) {
        (self.dropped_open, self.dropped_unknown)
    }

    fn view(&self, symbols: &SymbolTable, key: OrderKey) -> Option<OrderView> {
        let order = self.orders.get(key)?;
        let state = order.state();
        let submission = order.submission.as_ref();
        let word = |place: Option<NonMaxU32>| self.words.get(place?).map(str::to_owned);
        Some(OrderView {
            order_id: order.order_id.clone(),
            aliases: order.aliases.to_vec(),
            session: order.session.clone(),
            symbol: order.symbol.and_then(|at| symbols.name(at)).cloned(),
            side: order.side,
            strategy: word(order.strategy_name),
            venue: word(order.venue_name),
            venue_order_id: order.venue_order_id.clone(),
            order_type: word(submission.and_then(|s| s.order_type)),
            time_in_force: word(submission.and_then(|s| s.time_in_force)),
            reduce_only: submission.and_then(|s| s.reduce_only),
            decision_price: submission.and_then(|s| s.decision_price).map(Price::get),
            notional: order.by_notional().map(|by| by.notional.get()),
            quantity: state.quantity,
            filled_quantity: state.filled,
            average_price: state.average_price(),
            outcome: state.outcome,
            is_unknown: self.orders.class(key)? == OrderClass::Unknown,
            submitted_at: submission.map(|s| s.at),
            accepted_at: order.accepted_at,
            ended_at: state.ended_at,
            received_at: self.orders.received_at(key)?,
            references: order.references().map(|r| r.map(Price::get)),
            slippage_bps: order.slippage_bps(&state),
            fills: self.fills_of(order),
            ends: ends_of(order),
            reject_reason: order.reject_reason,
        })
    }

    /// The executions of an order.
    fn fills_of(&self, order: &Order) -> Vec<FillView> {
        let amendments = order.fills.amendments();
        let view = |(fill, effective): (&Fill, EffectiveFill)| {
            let amended = order.fills.amended(fill.id.as_ref());
            let fee = amendments.fee(fill.fee.as_ref(), amended);
            let is_counted = fill.counted.steps.contains(FillStep::Counted);
            let terms = self.terms.get(fill.counted.terms).filter(|_| is_counted);
            let currency = fee.and_then(|(_, currency)| currency.as_ref());
            let currency = currency.or(terms.filter(|_| fee.is_some()).map(|t| &t.currency));
            FillView {
                fill_id: fill.id.clone(),
                time: fill.at,
                quantity: effective.quantity,
                price: effective.price,
                reported_quantity: fill.quantity.map(Quantity::get),
                reported_price: fill.price.get(),
                fee: fee.map(|(fee, _)| *fee),
                fee_currency: currency.cloned(),
                liquidity: fill.liquidity,
                is_final: fill.is_final,
                busted: amended.is_busted,
                corrected: amended.corrections > 0,
                synthetic: fill.synthetic,
            }
        };
        order.fills.all().iter().zip(order.resolved()).map(view).collect()
    }
}

/// The terminal facts of an order, the one that decides first.
fn ends_of(order: &Order) -> Vec<TerminalFact> {
    let mut ends = order.ends.to_vec();
    ends.sort_by_key(|end| (end.outcome, end.at));
    ends
}
