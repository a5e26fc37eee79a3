//! Execution quality: orders as sets of facts, windows, figures, anomalies.
//!
//! Input: events about orders, and quotes. Output: figures to read, changes of positions, anomalies.
//! Invariants: any order of arrival leads to the same facts; a refused event changes nothing.
//! Deliberately absent: positions (see `drift`) and the trading state.
//!
//! # Reading order
//! The modules below are in the order in which an event passes them:
//! 1. `report` joins an order event with its envelope, `lookup` finds its order in `orders`, `check`
//!    and `currencies` accept or refuse it.
//! 2. `facts` adds the fact to the `order` and its `fills`, and `merge` joins the orders of a replace
//!    chain. An order knows its facts, the state that they add up to, and the part of them that is
//!    counted.
//! 3. `apply` works out the difference between the state and the counted part: `tally` for fills,
//!    money and positions, `delta` for the order.
//! 4. `scope` adds the difference to the `counters` and the `window` of each scope; a window gives
//!    `figures`.
//! 5. `anomaly` judges the figures.
//!
//! `view` reads all of it for the API and the exposition.

mod report;
mod lookup;
pub mod orders;
mod check;
mod currencies;
pub mod facts;
pub mod order;
pub mod replaces;
pub mod fills;
pub mod amendments;
mod fill_index;
mod resolve;
pub mod reason;
mod word_table;
mod price_history;
mod merge;
mod apply;
pub mod terms;
mod coin_fees;
mod slippage;
mod tally;
mod delta;
pub mod scope;
pub mod counters;
pub mod histogram;
mod sums;
pub mod window;
pub mod figures;
pub mod anomaly;
mod recount;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::by_word;
use crate::domain::drift::Market;
use crate::domain::event::{Body, Event};
use crate::domain::ids::{OrderId, Session, Symbol};
use crate::domain::settings::{IdScope, OrderSettings, RuleIndex, Settings};
use crate::domain::step::Step;
use crate::domain::symbols::{SymbolKey, SymbolTable};
use crate::domain::time::Timestamp;
use crate::domain::units::{Decimal, Price, Side, exact};
use crate::domain::versions::VersionedRows;
use crate::domain::visits;
use crate::domain::weight;

use anomaly::{Figure, Observation};
use coin_fees::CoinFees;
use histogram::{Exemplar, Histogram};
use order::Order;
use orders::{OrderClass, OrderKey, Orders};
use price_history::PriceHistory;
use scope::Breakdown;
use terms::{TermsKey, TermsTable};
use window::OrderWindow;
use word_table::WordTable;

pub use reason::RejectReason;
pub use report::OrderReport;
pub use scope::{ExecutionScope, ScopeKind};
pub use view::{FillView, OrderView};

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
    whole: ExecutionScope,
    symbols: VersionedRows<ExecutionScope>,
    open: VersionedRows<OpenOrders>,
    quotes: Vec<PriceHistory>,
    instruments: Vec<RuleIndex>,
    /// The scope within which ids of orders are unique.
    id_scope: IdScope,
    /// By symbol: the terms that its executions are counted with.
    symbol_terms: Vec<TermsKey>,
    terms: TermsTable,
    words: WordTable,
    coin_fees: CoinFees,
    strategies: Breakdown,
    venues: Breakdown,
    ack: Histogram,
    fill: Histogram,
    slippage: [Histogram; 3],
    #[serde(with = "by_word")]
    rejections: EnumMap<RejectReason, u64>,
    #[serde(with = "by_word")]
    latest_rejections: EnumMap<RejectReason, Option<Exemplar>>,
    open_total: u64,
    unacknowledged_total: u64,
    /// Submissions in the order of receipt, until they are old enough to be unacknowledged.
    pending_acks: VecDeque<PendingAck>,
    /// Overfills, conflicts and clock skews: one of each kind and symbol.
    incidents: BTreeMap<IncidentKey, Incident>,
    dropped_open: u64,
    dropped_unknown: u64,
    /// The settings changed, and the next tick judges every scope by them.
    reconfigured: bool,
    /// Entries in all windows.
    window_entries: usize,
    /// Mids in the histories of all symbols.
    mids: usize,
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

/// A submission whose first answer from the venue is pending.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct PendingAck {
    key: OrderKey,
    number: u64,
    since: Timestamp,
}

/// The symbol of an incident, none for the account as a whole; and its kind.
type IncidentKey = (Option<SymbolKey>, Figure);

/// Events of a kind that must not happen at all.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Incident {
    count: u32,
    last: Timestamp,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            orders: Orders::default(),
            whole: ExecutionScope::default(),
            symbols: VersionedRows::default(),
            open: VersionedRows::default(),
            quotes: Vec::new(),
            instruments: Vec::new(),
            id_scope: IdScope::Account,
            symbol_terms: Vec::new(),
            terms: TermsTable::default(),
            words: WordTable::default(),
            coin_fees: CoinFees::default(),
            strategies: Breakdown::default(),
            venues: Breakdown::default(),
            ack: Histogram::new(&LATENCY_BOUNDS),
            fill: Histogram::new(&LATENCY_BOUNDS),
            slippage: [(); 3].map(|()| Histogram::new(&SLIPPAGE_BOUNDS)),
            rejections: EnumMap::default(),
            latest_rejections: EnumMap::default(),
            open_total: 0,
            unacknowledged_total: 0,
            pending_acks: VecDeque::new(),
            incidents: BTreeMap::new(),
            dropped_open: 0,
            dropped_unknown: 0,
            reconfigured: false,
            window_entries: 0,
            mids: 0,
        }
    }
}

impl Execution {
    /// Adds a quote.
    pub fn quote(&mut self, symbol: SymbolKey, at: Timestamp, mid: Price, step: &Step<'_, '_>) {
        self.open_symbol(symbol, step);
        let Some(quotes) = self.quotes.get_mut(symbol.index()) else {
            impossible!("a symbol that was just opened has no quotes");
            return;
        };
        let before = quotes.len();
        quotes.push(at, mid);
        self.mids = self.mids + quotes.len() - before;
    }

    /// Makes room for a symbol, and for all symbols before it.
    pub fn open_symbol(&mut self, symbol: SymbolKey, step: &Step<'_, '_>) {
        let first = self.symbols.len();
        let len = symbol.index() + 1;
        if len <= first {
            return;
        }
        self.symbols.grow(len, ExecutionScope::default);
        self.open.grow(len, OpenOrders::default);
        self.quotes.resize_with(len, PriceHistory::default);
        self.instruments.resize(len, RuleIndex::default());
        self.symbol_terms.resize(len, TermsKey::default());
        for at in step.symbols.iter_from(first) {
            self.choose_rules(at, step.account.as_str(), step.settings);
        }
    }

    /// Applies changed settings: looks up the rules of every symbol and trims the windows. The next
    /// tick judges anomalies by them.
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
        (key, symbol): (SymbolKey, &Symbol),
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

    /// A second passed: finds unacknowledged and expired orders, and ends incidents.
    pub fn tick(&mut self, step: &mut Step<'_, '_>) {
        let settings = step.settings;
        self.find_unacknowledged(step);
        self.forget_old(step.now, settings);
        let mut changed = std::mem::take(&mut self.reconfigured);
        if let Some(age) = settings.window.age_max {
            changed |= self.trim_windows(settings, Some(step.now.minus(age)));
        }
        if changed {
            let symbols: Vec<SymbolKey> = step.symbols.iter().map(|(key, _)| key).collect();
            for symbol in symbols {
                self.judge(symbol, step);
            }
        }
        self.judge_incidents(step);
    }

    /// Counts open orders without an answer for too long as unacknowledged, and judges their number.
    fn find_unacknowledged(&mut self, step: &mut Step<'_, '_>) {
        let after = step.settings.orders.unacknowledged_after;
        while let Some(pending) = self.pending_acks.front().copied() {
            if !step.now.is_past(pending.since, after) {
                break;
            }
            self.pending_acks.pop_front();
            // The order may have been dropped, and another one may have its place.
            if self.orders.number(pending.key) != Some(pending.number) {
                continue;
            }
            let Some(order) = self.orders.get_mut(pending.key) else {
                impossible!("an order with a number is missing");
                continue;
            };
            if order.is_acknowledged() || order.counted.unacknowledged || !order.counted.open {
                continue;
            }
            let Some(open) = order.symbol.and_then(|at| self.open.get_mut(at.index())) else {
                impossible!("an order that is counted as open has no symbol");
                continue;
            };
            order.counted.unacknowledged = true;
            open.unacknowledged += 1;
            self.unacknowledged_total += 1;
        }
        let rules = step.settings.anomaly.at(self.whole.rule);
        let count = u32::try_from(self.unacknowledged_total).unwrap_or(u32::MAX);
        let observation = Observation {
            figure: Figure::Unacknowledged,
            value: (count > 0).then(|| f64::from(count)),
            samples: count as usize,
        };
        if let Some(change) = self.whole.anomalies.judge(observation, rules, step.now) {
            change.emit(None, step);
        }
    }

    /// Starts to wait for the first answer to a submission.
    fn await_acknowledgement(&mut self, key: OrderKey, now: Timestamp) {
        if let Some(number) = self.orders.number(key) {
            self.pending_acks.push_back(PendingAck { key, number, since: now });
        }
    }

    /// Drops orders that waited too long for their submission, and ended orders past the horizon.
    fn forget_old(&mut self, now: Timestamp, settings: &Settings) {
        let is_old = |orders: &Orders, class, age| {
            orders.oldest(class).is_some_and(|(_, since)| now.is_past(since, age))
        };
        while is_old(&self.orders, OrderClass::Unknown, settings.orders.unknown_age_max) {
            self.drop_oldest(OrderClass::Unknown);
        }
        while is_old(&self.orders, OrderClass::Ended, settings.ingest.horizon) {
            self.drop_oldest(OrderClass::Ended);
        }
    }

    /// Number of orders held of a class.
    #[must_use]
    pub fn held(&self, class: OrderClass) -> usize {
        self.orders.len(class)
    }

    /// Drops the oldest orders of each class while the account has more than the settings allow.
    pub fn enforce_bounds(&mut self, settings: &OrderSettings) {
        let bounds = [
            (OrderClass::Open, settings.open_max),
            (OrderClass::Unknown, settings.unknown_max),
            (OrderClass::Ended, settings.ended_max),
        ];
        for (class, max) in bounds {
            while self.orders.len(class) > max {
                self.drop_oldest(class);
            }
        }
    }

    /// Drops the oldest order of a class. Later facts about it start an unknown order.
    pub fn drop_oldest(&mut self, class: OrderClass) {
        let Some((key, _)) = self.orders.oldest(class) else { return };
        match class {
            OrderClass::Open => self.dropped_open += 1,
            OrderClass::Unknown => self.dropped_unknown += 1,
            OrderClass::Ended => {
                // Its window entries stay. Its ids are free for new orders.
                self.release_entries(key);
                self.orders.remove(key);
                return;
            }
        }
        self.release_entries(key);
        self.close(key);
        self.orders.remove(key);
    }

    /// Removes the owner of the window entries of an order.
    fn release_entries(&mut self, key: OrderKey) {
        let Some(order) = self.orders.take(key) else {
            impossible!("an order to drop is missing");
            return;
        };
        for (kind, entry) in order.counted.entries {
            if let (Some(entry), Some(scope)) = (entry, self.scope_of(&order, kind)) {
                scope.window.set_owner(entry, OrderKey::NOBODY);
            }
        }
        self.orders.put_back(key, order);
    }

    /// Takes out an order that is merged into another one, and removes it from windows and open orders.
    /// Its ids still name its place, until [`Orders::join`].
    fn take_out(&mut self, key: OrderKey) -> Option<Order> {
        let mut order = self.orders.take(key)?;
        let entries = std::mem::take(&mut Arc::make_mut(&mut order).counted.entries);
        for (kind, entry) in entries {
            if let (Some(entry), Some(scope)) = (entry, self.scope_of(&order, kind)) {
                scope.window.remove(entry);
                self.window_entries -= 1;
            }
        }
        self.orders.put_back(key, order);
        self.close(key);
        self.orders.take(key).map(Arc::unwrap_or_clone)
    }

    /// Removes an order from the open orders of its symbol.
    fn close(&mut self, key: OrderKey) {
        let Some(order) = self.orders.get_mut(key) else {
            impossible!("an order to close is missing");
            return;
        };
        let counted = &mut order.counted;
        let Some(open) = order.symbol.and_then(|at| self.open.get_mut(at.index())) else { return };
        if std::mem::take(&mut counted.open) {
            open.orders -= 1;
            self.open_total -= 1;
        }
        if std::mem::take(&mut counted.unacknowledged) {
            open.unacknowledged -= 1;
            self.unacknowledged_total -= 1;
        }
        let leaves = std::mem::take(&mut counted.leaves);
        match order.side {
            Some(Side::Buy) => open.buy = open.buy.saturating_sub(leaves),
            Some(Side::Sell) => open.sell = open.sell.saturating_sub(leaves),
            None => {}
        }
    }

    /// The scope of an order of this kind.
    fn scope_of(&mut self, order: &Order, kind: ScopeKind) -> Option<&mut ExecutionScope> {
        match kind {
            ScopeKind::Whole => Some(&mut self.whole),
            ScopeKind::Symbol => self.symbols.get_mut(order.symbol?.index()),
            ScopeKind::Strategy => self.strategies.get_mut(order.strategy?.get()),
            ScopeKind::Venue => self.venues.get_mut(order.venue?.get()),
        }
    }

    /// Forgets the entry of an order in a window that evicted it.
    fn forget_entry(&mut self, kind: ScopeKind, owner: u32) {
        let order = OrderKey::from_owner(owner).and_then(|key| self.orders.get_mut(key));
        if let Some(order) = order {
            order.counted.entries[kind] = None;
        }
    }

    /// Trims every window to its length and age. Returns whether an order left one.
    fn trim_windows(&mut self, settings: &Settings, horizon: Option<Timestamp>) -> bool {
        let max = settings.window.orders;
        let mut evicted = Vec::new();
        let whole = std::iter::once((ScopeKind::Whole, &mut self.whole));
        let symbols = self.symbols.iter_mut().map(|scope| (ScopeKind::Symbol, scope));
        let strategies = self.strategies.scopes_mut().map(|scope| (ScopeKind::Strategy, scope));
        let venues = self.venues.scopes_mut().map(|scope| (ScopeKind::Venue, scope));
        for (kind, scope) in whole.chain(symbols).chain(strategies).chain(venues) {
            while let Some(owner) = scope.window.evict(max, horizon) {
                evicted.push((kind, owner));
            }
            scope.window_fills = scope.window_fills.min(settings.window.fills);
        }
        let any = !evicted.is_empty();
        self.window_entries -= evicted.len();
        for (kind, owner) in evicted {
            self.forget_entry(kind, owner);
        }
        any
    }

    /// Forgets window, prices and incidents of a retired symbol.
    pub fn retire(&mut self, symbol: SymbolKey) {
        let scope = self.symbols.get_mut(symbol.index());
        let window = scope.map(|scope| std::mem::take(&mut scope.window));
        if let Some(quotes) = self.quotes.get_mut(symbol.index()) {
            self.mids -= std::mem::take(quotes).len();
        }
        self.window_entries -= window.as_ref().map_or(0, OrderWindow::len);
        for owner in window.iter().flat_map(OrderWindow::owners) {
            self.forget_entry(ScopeKind::Symbol, owner);
        }
        self.incidents.retain(|(of, _), _| *of != Some(symbol));
        self.coin_fees.retire(symbol);
    }

    /// Pairs an adjustment of a position by a fee (`change` below 0) with a fill. Returns whether a fill
    /// reported the fee before; then the position has moved already.
    pub fn pair_coin_fee(&mut self, symbol: SymbolKey, at: Timestamp, change: Decimal) -> bool {
        self.coin_fees.adjustment(symbol, at, -change)
    }

    fn instrument_of(&self, symbol: SymbolKey) -> RuleIndex {
        self.instruments.get(symbol.index()).copied().unwrap_or_default()
    }

    /// The terms that the executions of a symbol are counted with.
    fn terms_of(&self, symbol: SymbolKey) -> TermsKey {
        self.symbol_terms.get(symbol.index()).copied().unwrap_or_default()
    }

    fn count_rejection(&mut self, reason: RejectReason, order_id: &OrderId, at: Timestamp) {
        self.rejections[reason] += 1;
        let exemplar = Exemplar { order_id: order_id.clone(), value: 1.0, at };
        self.latest_rejections[reason] = Some(exemplar);
    }

    /// Records an incident: an anomaly at once, which stays active for `event_hold`.
    pub fn record_incident(
        &mut self,
        figure: Figure,
        symbol: Option<SymbolKey>,
        step: &mut Step<'_, '_>,
    ) {
        visits::search(self.incidents.len());
        let key = (symbol, figure);
        let new = Incident { count: 0, last: step.now };
        let incident = self.incidents.entry(key).or_insert(new);
        incident.count = incident.count.saturating_add(1);
        incident.last = step.now;
        let incident = *incident;
        self.judge_incident((key, incident), step);
    }

    /// Judges all incidents. One ends when it did not happen again for `event_hold`.
    fn judge_incidents(&mut self, step: &mut Step<'_, '_>) {
        for (key, incident) in std::mem::take(&mut self.incidents) {
            if self.judge_incident((key, incident), step) {
                self.incidents.insert(key, incident);
            }
        }
    }

    /// Judges one incident. Returns whether it is still active.
    fn judge_incident(
        &mut self,
        ((symbol, figure), incident): (IncidentKey, Incident),
        step: &mut Step<'_, '_>,
    ) -> bool {
        let scope = match symbol {
            None => Some(&mut self.whole),
            Some(at) => self.symbols.get_mut(at.index()),
        };
        let Some(scope) = scope else {
            impossible!("the symbol of an incident has no scope");
            return false;
        };
        let rules = step.settings.anomaly.at(scope.rule);
        let is_active = !step.now.is_past(incident.last, rules.event_hold);
        let observation = Observation {
            figure,
            value: is_active.then(|| f64::from(incident.count)),
            samples: incident.count as usize,
        };
        if let Some(change) = scope.anomalies.judge(observation, rules, step.now) {
            change.emit(symbol, step);
        }
        is_active
    }

    /// Leaves of the open buy and sell orders of a symbol.
    #[must_use]
    pub fn open_leaves(&self, symbol: SymbolKey) -> (Decimal, Decimal) {
        let open = self.open.get(symbol.index()).copied().unwrap_or_default();
        (open.buy, open.sell)
    }

    /// Whether an event is a fact of an order that is held.
    #[must_use]
    pub fn knows_order(&self, event: &Event) -> bool {
        let Body::Order(about) = &event.body else { return false };
        let session = event.session.as_ref().map(Session::as_str);
        self.orders.find(session, about.order.order_id.as_str()).is_some()
    }

    /// About the bytes of all of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let broken_down = self.strategies.len() + self.venues.len();
        self.orders.bytes()
            + self.window_entries * weight::WINDOW_ENTRY
            + self.mids * size_of::<(Timestamp, Price)>()
            + (self.symbols.len() + broken_down) * weight::SCOPE
            + self.words.len() * weight::WORD
            + self.coin_fees.bytes()
            + self.pending_acks.len() * size_of::<PendingAck>()
            + self.incidents.len() * size_of::<Incident>()
    }

    /// The market data of one symbol that a comparison of positions needs. A mid older than
    /// `quote_age_max` is left out.
    #[must_use]
    pub fn market(&self, symbol: SymbolKey, now: Timestamp, quote_age_max: Duration) -> Market {
        let (open_buy, open_sell) = self.open_leaves(symbol);
        let quotes = self.quotes.get(symbol.index());
        Market {
            open_buy,
            open_sell,
            mid: quotes.and_then(|quotes| quotes.mid(now, quote_age_max)),
            last_fill: quotes.and_then(PriceHistory::last_fill),
        }
    }
}
