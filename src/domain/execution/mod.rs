//! Execution quality: orders as sets of facts, windows, figures, anomalies.
//!
//! Input: events about orders and quotes. Output: figures to read, changes of positions,
//! anomalies. Invariants: any order of arrival leads to the same facts; a refused event changes
//! nothing. Deliberately absent: positions (see `drift`) and the trading state.

pub mod counters;
pub mod figures;
pub mod histogram;
pub mod sums;
pub mod window;
mod words;
mod coin_fees;
pub mod terms;
pub mod fills;
pub mod order;
pub mod orders;
pub mod reason;
pub mod quotes;
pub mod anomaly;
pub mod scope;
pub mod context;
mod named;
mod check;
mod report;
pub mod facts;
mod currencies;
mod tally;
mod delta;
mod slippage;
mod settle;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::drift::Market;
use crate::domain::execution::context::Context;
use crate::domain::ids::OrderId;
use crate::domain::settings::{IdScope, RuleIndex, Settings};
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, exact};
use crate::domain::versions::VersionedRows;

use anomaly::{Figure, Observation};
use coin_fees::CoinFees;
use histogram::{Exemplar, Histogram};
use order::Order;
use orders::{Class, OrderKey, Orders};
use quotes::Quotes;
use scope::Breakdown;
use terms::{TermsKey, TermsTable};
use window::Window;
use words::Words;

pub use reason::REJECT_REASONS;
pub use report::OrderReport;
pub use scope::{Place, Scope};
pub use view::{EndView, FillView, OrderView};

/// Bounds of the latency histograms, in seconds.
pub const LATENCY_BOUNDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bounds of the slippage histogram, in basis points, positive = worse.
pub const SLIPPAGE_BOUNDS: [f64; 13] =
    [-50.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

/// Orders, windows, figures and anomalies of one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Execution {
    orders: Orders,
    whole: Scope,
    symbols: VersionedRows<Scope>,
    open: VersionedRows<OpenOrders>,
    quotes: Vec<Quotes>,
    instruments: Vec<RuleIndex>,
    /// Within what the ids of its orders are unique.
    id_scope: IdScope,
    /// By symbol, with what its executions are counted.
    symbol_terms: Vec<TermsKey>,
    terms: TermsTable,
    words: Words,
    coin_fees: CoinFees,
    strategies: Breakdown,
    venues: Breakdown,
    ack: Histogram,
    fill: Histogram,
    slippage: [Histogram; 3],
    rejections: [u64; 11],
    rejected: [Option<Exemplar>; 11],
    open_total: u64,
    unacknowledged_total: u64,
    /// Submissions in the order of receipt, until they are old enough to be unacknowledged.
    awaited: VecDeque<Awaited>,
    /// Overfills, conflicts and clock skews: the last of each, with its symbol.
    noted: Vec<Noted>,
    dropped_open: u64,
    dropped_unknown: u64,
    /// The settings changed, and nothing was judged by them yet.
    reconfigured: bool,
}

/// Open orders of one symbol.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct OpenOrders {
    orders: u64,
    unacknowledged: u64,
    #[serde(with = "exact")]
    buy: Decimal,
    #[serde(with = "exact")]
    sell: Decimal,
}

/// A submission that nothing was heard of yet.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Awaited {
    key: OrderKey,
    number: u64,
    since: Timestamp,
}

/// Something that must not happen, and did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Noted {
    figure: Figure,
    symbol: Option<SymbolKey>,
    count: u32,
    last: Timestamp,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            orders: Orders::default(),
            whole: Scope::default(),
            symbols: VersionedRows::default(),
            open: VersionedRows::default(),
            quotes: Vec::new(),
            instruments: Vec::new(),
            id_scope: IdScope::Account,
            symbol_terms: Vec::new(),
            terms: TermsTable::default(),
            words: Words::default(),
            coin_fees: CoinFees::default(),
            strategies: Breakdown::default(),
            venues: Breakdown::default(),
            ack: Histogram::new(&LATENCY_BOUNDS),
            fill: Histogram::new(&LATENCY_BOUNDS),
            slippage: [(); 3].map(|()| Histogram::new(&SLIPPAGE_BOUNDS)),
            rejections: [0; 11],
            rejected: [(); 11].map(|()| None),
            open_total: 0,
            unacknowledged_total: 0,
            awaited: VecDeque::new(),
            noted: Vec::new(),
            dropped_open: 0,
            dropped_unknown: 0,
            reconfigured: false,
        }
    }
}

impl Execution {
    /// Takes a quote.
    pub fn quote(
        &mut self,
        symbol: SymbolKey,
        at: Timestamp,
        mid: Price,
        context: &Context<'_, '_>,
    ) {
        self.open_symbol(symbol, context);
        if let Some(quotes) = self.quotes.get_mut(symbol.index()) {
            quotes.push(at, mid);
        }
    }

    /// Makes room for a symbol.
    pub fn open_symbol(&mut self, symbol: SymbolKey, context: &Context<'_, '_>) {
        let first = self.symbols.len();
        let len = symbol.index() + 1;
        if len <= first {
            return;
        }
        self.symbols.grow(len, Scope::default);
        self.open.grow(len, OpenOrders::default);
        self.quotes.resize_with(len, Quotes::default);
        self.instruments.resize(len, RuleIndex::default());
        self.symbol_terms.resize(len, TermsKey::default());
        for at in context.symbols.iter_from(first) {
            self.choose_rules(at, context.account.as_str(), context.settings);
        }
    }

    /// Looks up the rules again, after the settings changed, and cuts windows to their length. What
    /// they mean for anomalies is judged by the next tick.
    pub fn configure(&mut self, account: &str, symbols: &SymbolTable, settings: &Settings) {
        self.whole.rule = settings.anomaly.index(account, "*");
        self.id_scope = *settings.orders.id_scope.for_account(account);
        for at in symbols.iter() {
            self.choose_rules(at, account, settings);
        }
        self.trim_windows(settings, None);
        self.reconfigured = true;
    }

    fn choose_rules(
        &mut self,
        (key, symbol): (SymbolKey, &crate::domain::ids::Symbol),
        account: &str,
        settings: &Settings,
    ) {
        if let Some(scope) = self.symbols.get_mut(key.index()) {
            scope.rule = settings.anomaly.index(account, symbol.as_str());
        }
        if let Some(instrument) = self.instruments.get_mut(key.index()) {
            *instrument = settings.instruments.index(account, symbol.as_str());
            if let Some(terms) = self.symbol_terms.get_mut(key.index()) {
                *terms = self.terms.key(settings.instruments.at(*instrument));
            }
        }
    }

    /// A second passed: orders grow old, anomalies of single events end.
    pub fn tick(&mut self, context: &mut Context<'_, '_>) {
        let settings = context.settings;
        self.find_unacknowledged(context);
        self.forget_old(context.now, settings);
        let mut changed = std::mem::take(&mut self.reconfigured);
        if let Some(age) = settings.window.age_max {
            changed |= self.trim_windows(settings, Some(context.now.minus(age)));
        }
        if changed {
            let symbols: Vec<SymbolKey> = context.symbols.iter().map(|(key, _)| key).collect();
            for symbol in symbols {
                self.judge(symbol, context);
            }
        }
        self.judge_noted(context);
    }

    /// Marks the open orders of which nothing was heard for too long.
    fn find_unacknowledged(&mut self, context: &mut Context<'_, '_>) {
        let after = context.settings.orders.unacknowledged_after;
        while let Some(awaited) = self.awaited.front().copied() {
            if !context.now.is_past(awaited.since, after) {
                break;
            }
            self.awaited.pop_front();
            if self.orders.number(awaited.key) != Some(awaited.number) {
                continue;
            }
            let Some(order) = self.orders.get_mut(awaited.key) else { continue };
            if order.is_acknowledged() || order.done.unacknowledged || !order.done.open {
                continue;
            }
            let Some(open) = order.symbol.and_then(|at| self.open.get_mut(at.index())) else {
                continue;
            };
            order.done.unacknowledged = true;
            open.unacknowledged += 1;
            self.unacknowledged_total += 1;
        }
        let rules = context.settings.anomaly.at(self.whole.rule);
        let count = u32::try_from(self.unacknowledged_total).unwrap_or(u32::MAX);
        let observation = Observation {
            figure: Figure::Unacknowledged,
            value: (count > 0).then(|| f64::from(count)),
            samples: count as usize,
            levels: rules.unacknowledged,
        };
        if let Some(change) = self.whole.standings.judge(observation, rules, context.now) {
            context.tell(None, change);
        }
    }

    /// Waits for the first word about a submission.
    fn await_acknowledgement(&mut self, key: OrderKey, now: Timestamp) {
        if let Some(number) = self.orders.number(key) {
            self.awaited.push_back(Awaited { key, number, since: now });
        }
    }

    /// Drops orders that waited too long for their submission, and ended ones past the horizon.
    fn forget_old(&mut self, now: Timestamp, settings: &Settings) {
        let is_old = |orders: &Orders, class, age| {
            orders.oldest(class).is_some_and(|(_, since)| now.is_past(since, age))
        };
        while is_old(&self.orders, Class::Unknown, settings.orders.unknown_age_max) {
            self.drop_oldest(Class::Unknown);
        }
        while is_old(&self.orders, Class::Ended, settings.ingest.horizon) {
            self.drop_oldest(Class::Ended);
        }
    }

    /// Number of orders held of a class.
    #[must_use]
    pub fn held(&self, class: Class) -> usize {
        self.orders.len(class)
    }

    /// Since when the oldest order of a class is in it (receive time).
    #[must_use]
    pub fn oldest(&self, class: Class) -> Option<Timestamp> {
        self.orders.oldest(class).map(|(_, since)| since)
    }

    /// Drops the oldest order of a class. Its later facts are those of an unknown order.
    pub fn drop_oldest(&mut self, class: Class) {
        let Some((key, _)) = self.orders.oldest(class) else { return };
        match class {
            Class::Open => self.dropped_open += 1,
            Class::Unknown => self.dropped_unknown += 1,
            Class::Ended => {
                // It ended long ago: its entries stand in the windows without it.
                self.release_entries(key);
                self.orders.remove(key);
                return;
            }
        }
        self.release_entries(key);
        self.close(key);
        self.orders.remove(key);
    }

    /// Leaves the window entries of an order without an owner.
    fn release_entries(&mut self, key: OrderKey) {
        let Some(order) = self.orders.lend(key) else { return };
        for place in Place::ALL {
            let entry = order.done.entries.get(place.index()).copied().flatten();
            if let (Some(entry), Some(scope)) = (entry, self.scope_of(&order, place)) {
                scope.window.set_owner(entry, OrderKey::NOBODY);
            }
        }
        self.orders.give_back(key, order);
    }

    /// Takes an order out because it became part of another: out of windows and open orders too.
    fn take_out(&mut self, key: OrderKey) -> Option<Order> {
        let mut order = self.orders.lend(key)?;
        for place in Place::ALL {
            let entries = &mut Arc::make_mut(&mut order).done.entries;
            let entry = entries.get_mut(place.index()).and_then(Option::take);
            if let (Some(entry), Some(scope)) = (entry, self.scope_of(&order, place)) {
                scope.window.remove(entry);
            }
        }
        self.orders.give_back(key, order);
        self.close(key);
        self.orders.remove(key).map(Arc::unwrap_or_clone)
    }

    /// Takes an order out of the open ones.
    fn close(&mut self, key: OrderKey) {
        let Some(order) = self.orders.get_mut(key) else { return };
        let done = &mut order.done;
        let Some(open) = order.symbol.and_then(|at| self.open.get_mut(at.index())) else { return };
        if std::mem::take(&mut done.open) {
            open.orders -= 1;
            self.open_total -= 1;
        }
        if std::mem::take(&mut done.unacknowledged) {
            open.unacknowledged -= 1;
            self.unacknowledged_total -= 1;
        }
        let leaves = std::mem::take(&mut done.leaves);
        match order.side {
            Some(crate::domain::units::Side::Buy) => open.buy = open.buy.saturating_sub(leaves),
            Some(crate::domain::units::Side::Sell) => open.sell = open.sell.saturating_sub(leaves),
            None => {}
        }
    }

    /// The scope of an order at one place.
    fn scope_of(&mut self, order: &Order, place: Place) -> Option<&mut Scope> {
        match place {
            Place::Whole => Some(&mut self.whole),
            Place::Symbol => self.symbols.get_mut(order.symbol?.index()),
            Place::Strategy => self.strategies.get_mut(order.strategy?.get()),
            Place::Venue => self.venues.get_mut(order.venue?.get()),
        }
    }

    /// Tells an order that one of its entries was pushed out of its window.
    fn forget_entry(&mut self, place: Place, owner: u32) {
        let order = OrderKey::from_owner(owner).and_then(|key| self.orders.get_mut(key));
        if let Some(entry) = order.and_then(|o| o.done.entries.get_mut(place.index())) {
            *entry = None;
        }
    }

    /// Cuts every window to its length and age. Whether any order left one.
    fn trim_windows(&mut self, settings: &Settings, horizon: Option<Timestamp>) -> bool {
        let max = settings.window.orders;
        let mut evicted = Vec::new();
        let whole = std::iter::once((Place::Whole, &mut self.whole));
        let symbols = self.symbols.iter_mut().map(|scope| (Place::Symbol, scope));
        let strategies = self.strategies.scopes_mut().map(|scope| (Place::Strategy, scope));
        let venues = self.venues.scopes_mut().map(|scope| (Place::Venue, scope));
        for (place, scope) in whole.chain(symbols).chain(strategies).chain(venues) {
            while let Some(owner) = scope.window.evict(max, horizon) {
                evicted.push((place, owner));
            }
            scope.window_fills = scope.window_fills.min(settings.window.fills);
        }
        let any = !evicted.is_empty();
        for (place, owner) in evicted {
            self.forget_entry(place, owner);
        }
        any
    }

    /// Forgets what was counted of a symbol that was retired.
    pub fn retire(&mut self, symbol: SymbolKey) {
        let scope = self.symbols.get_mut(symbol.index());
        let window = scope.map(|scope| std::mem::take(&mut scope.window));
        if let Some(quotes) = self.quotes.get_mut(symbol.index()) {
            *quotes = Quotes::default();
        }
        for owner in window.iter().flat_map(Window::owners) {
            self.forget_entry(Place::Symbol, owner);
        }
        self.noted.retain(|noted| noted.symbol != Some(symbol));
        self.coin_fees.retire(symbol);
    }

    /// Whether an adjustment of a position tells a fee, less than 0, that a fill told: then the
    /// position was moved by it.
    pub fn is_told(&mut self, symbol: SymbolKey, at: Timestamp, change: Decimal) -> bool {
        self.coin_fees.adjustment(symbol, at, -change)
    }

    /// Which instrument a symbol is.
    fn instrument_of(&self, symbol: SymbolKey) -> RuleIndex {
        self.instruments.get(symbol.index()).copied().unwrap_or_default()
    }

    /// With what the executions of a symbol are counted.
    fn terms_of(&self, symbol: SymbolKey) -> TermsKey {
        self.symbol_terms.get(symbol.index()).copied().unwrap_or_default()
    }

    fn count_rejection(&mut self, reason: usize, order_id: &OrderId, at: Timestamp) {
        if let (Some(count), Some(latest)) =
            (self.rejections.get_mut(reason), self.rejected.get_mut(reason))
        {
            *count += 1;
            *latest = Some(Exemplar { order_id: order_id.clone(), value: 1.0, at });
        }
    }

    /// Notes something that must not happen: an anomaly at once, and for a while.
    pub fn note(
        &mut self,
        figure: Figure,
        symbol: Option<SymbolKey>,
        context: &mut Context<'_, '_>,
    ) {
        let known = self.noted.iter_mut().find(|n| n.figure == figure && n.symbol == symbol);
        match known {
            Some(noted) => {
                noted.count = noted.count.saturating_add(1);
                noted.last = context.now;
            }
            None => self.noted.push(Noted { figure, symbol, count: 1, last: context.now }),
        }
        self.judge_noted(context);
    }

    /// Judges what was noted: it stands until nothing more was noted for long enough.
    fn judge_noted(&mut self, context: &mut Context<'_, '_>) {
        let mut changes = Vec::new();
        let (whole, symbols, now) = (&mut self.whole, &mut self.symbols, context.now);
        self.noted.retain(|noted| {
            let scope = match noted.symbol {
                None => Some(&mut *whole),
                Some(at) => symbols.get_mut(at.index()),
            };
            let Some(scope) = scope else { return false };
            let rules = context.settings.anomaly.at(scope.rule);
            let stands = !now.is_past(noted.last, rules.event_hold);
            let observation = Observation {
                figure: noted.figure,
                value: stands.then(|| f64::from(noted.count)),
                samples: noted.count as usize,
                levels: noted.figure.levels_of_events(),
            };
            let change = scope.standings.judge(observation, rules, now);
            changes.extend(change.map(|change| (noted.symbol, change)));
            stands
        });
        for (symbol, change) in changes {
            context.tell(symbol, change);
        }
    }

    /// Leaves of the open buy and sell orders of a symbol.
    #[must_use]
    pub fn open_leaves(&self, symbol: SymbolKey) -> (Decimal, Decimal) {
        let open = self.open.get(symbol.index()).copied().unwrap_or_default();
        (open.buy, open.sell)
    }

    /// What a comparison of positions asks of one symbol now; a mid older than `quote_age_max` is
    /// none.
    #[must_use]
    pub fn market(&self, symbol: SymbolKey, now: Timestamp, quote_age_max: Duration) -> Market {
        let (open_buy, open_sell) = self.open_leaves(symbol);
        let quotes = self.quotes.get(symbol.index());
        Market {
            open_buy,
            open_sell,
            mid: quotes.and_then(|quotes| quotes.mid(now, quote_age_max)),
            last_fill: quotes.and_then(Quotes::last_fill),
        }
    }
}
