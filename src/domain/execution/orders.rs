//! The orders of one account: found by any id of their chain, listed by age in their class.
//!
//! Input: ids and orders. Output: [`OrderKey`]s that stay valid while the order is held.
//! Invariants: an order is in exactly one list; every operation is O(1) in the number of orders, apart
//! from the listing by age, which is O(log n), and O(log n) in that of the symbols whose orders share
//! an id. Deliberately absent: what an order means,
//! and which of several orders an event is about (see `lookup`).

mod chain;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use enum_map::EnumMap;
use serde::{Deserialize, Serialize};

use crate::domain::closed_set::{by_word, closed_set};
use crate::domain::digest::{ByDigest, digest_of_id, sorted};
use crate::domain::execution::fills::FEW_MAX;
use crate::domain::execution::order::Order;
use crate::domain::ids::{OrderId, Session};
use crate::domain::symbols::SymbolKey;
use crate::domain::time::Timestamp;
use crate::domain::visits;

pub(super) use chain::ChainIds;

/// The place of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderKey(u32);

/// Marks the end of a list; never a place.
const NONE: u32 = u32::MAX;

impl OrderKey {
    /// The owner of window entries whose order is not held any more.
    pub const NOBODY: u32 = NONE;

    /// The number that windows keep.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The key that a window kept, unless it is [`Self::NOBODY`].
    #[must_use]
    pub fn from_owner(owner: u32) -> Option<Self> {
        (owner != NONE).then_some(Self(owner))
    }
}

closed_set! {
    /// The class of an order. Each class has its own list and limit.
    pub enum OrderClass {
        /// Submitted or accepted, and not ended.
        Open = "open",
        /// Waiting for its submission.
        Unknown = "unknown",
        /// Ended.
        Ended = "ended",
    }
}

/// An order in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OrderSlot {
    /// `None` only while the order is taken. Behind a pointer, so that taking it moves the pointer
    /// alone, and a vector of slots that grows does not copy all orders. A copy of the state shares
    /// the orders, and either side copies one only when it changes it: ingest waits for the copy of a
    /// state, which may hold a million orders.
    order: Option<Arc<Order>>,
    class: OrderClass,
    /// Receive time of its last fact.
    received_at: Timestamp,
    /// Receive time of the fact that brought it into its class.
    since: Timestamp,
    /// Number of its first fact, for listings in a stable order.
    number: u64,
    older: u32,
    newer: u32,
    /// Bytes of it that are counted in those of all orders.
    bytes: usize,
}

/// A list of one class, oldest first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct ClassList {
    oldest: u32,
    newest: u32,
    len: usize,
}

/// The orders of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "StoredOrders")]
pub struct Orders {
    slots: Vec<Option<OrderSlot>>,
    free: Vec<u32>,
    #[serde(with = "sorted")]
    index: ByDigest<u32>,
    /// Orders of several symbols that share an id, by the digest of the id. Mostly empty.
    twins: BTreeMap<u128, BTreeMap<SymbolKey, u32>>,
    #[serde(with = "by_word")]
    lists: EnumMap<OrderClass, ClassList>,
    numbers: u64,
    /// The places by the numbers of first facts.
    #[serde(skip_serializing)]
    by_number: BTreeMap<u64, u32>,
    /// About the bytes of all orders.
    bytes: usize,
}

/// The stored form: listings and indexes follow from the rest.
#[derive(Deserialize)]
struct StoredOrders {
    slots: Vec<Option<OrderSlot>>,
    free: Vec<u32>,
    #[serde(with = "sorted")]
    index: ByDigest<u32>,
    twins: BTreeMap<u128, BTreeMap<SymbolKey, u32>>,
    #[serde(with = "by_word")]
    lists: EnumMap<OrderClass, ClassList>,
    numbers: u64,
    bytes: usize,
}

impl From<StoredOrders> for Orders {
    fn from(stored: StoredOrders) -> Self {
        let StoredOrders { mut slots, free, index, twins, lists, numbers, bytes } = stored;
        let orders = slots.iter_mut().flatten().filter_map(|slot| slot.order.as_mut());
        for order in orders.filter(|order| order.fills.facts() > FEW_MAX) {
            Arc::make_mut(order).restore_index();
        }
        let places = (0..).zip(&slots);
        let places = places.filter_map(|(at, slot)| Some((slot.as_ref()?.number, at)));
        let by_number = places.collect();
        Self { slots, free, index, twins, lists, numbers, by_number, bytes }
    }
}

impl Default for ClassList {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE, len: 0 }
    }
}

impl Orders {
    /// The order of that id.
    #[must_use]
    pub fn find(&self, session: Option<&str>, order_id: &str) -> Option<OrderKey> {
        self.find_digest(Self::digest(session, order_id))
    }

    /// The order filed under a [`Self::digest`].
    #[must_use]
    pub fn find_digest(&self, digest: u128) -> Option<OrderKey> {
        self.index.get(&digest).copied().map(OrderKey)
    }

    /// The digest under which an order is filed within its account.
    #[must_use]
    pub fn digest(session: Option<&str>, order_id: &str) -> u128 {
        digest_of_id(&(session.unwrap_or_default(), order_id))
    }

    /// The order at a place.
    #[must_use]
    pub fn get(&self, key: OrderKey) -> Option<&Order> {
        self.slot(key.0)?.order.as_deref()
    }

    /// The order at a place, to change it.
    #[must_use]
    pub fn get_mut(&mut self, key: OrderKey) -> Option<&mut Order> {
        self.slot_mut(key.0)?.order.as_mut().map(Arc::make_mut)
    }

    /// Takes an order out of its slot, so that it can be changed while the rest of the account is
    /// borrowed. Lookups do not find it until [`Self::put_back`].
    pub fn take(&mut self, key: OrderKey) -> Option<Arc<Order>> {
        self.slot_mut(key.0)?.order.take()
    }

    /// Puts an order back into its slot.
    pub fn put_back(&mut self, key: OrderKey, order: Arc<Order>) {
        let Some(slot) = self.slot_mut(key.0) else {
            impossible!("the slot of an order that was taken is gone");
            return;
        };
        let bytes = order.bytes();
        let before = std::mem::replace(&mut slot.bytes, bytes);
        slot.order = Some(order);
        self.bytes = (self.bytes + bytes).saturating_sub(before);
    }

    /// About the bytes of all orders and their ids.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of an order's first fact: another order in the same place has another.
    #[must_use]
    pub fn number(&self, key: OrderKey) -> Option<u64> {
        self.slot(key.0).map(|slot| slot.number)
    }

    /// The class of an order.
    #[must_use]
    pub fn class(&self, key: OrderKey) -> Option<OrderClass> {
        self.slot(key.0).map(|slot| slot.class)
    }

    /// When the last fact of an order was received.
    #[must_use]
    pub fn received_at(&self, key: OrderKey) -> Option<Timestamp> {
        self.slot(key.0).map(|slot| slot.received_at)
    }

    /// Adds an order as the newest of the unknown.
    pub fn insert(
        &mut self,
        order_id: OrderId,
        session: Option<Session>,
        now: Timestamp,
    ) -> OrderKey {
        let digest = Self::digest(session.as_ref().map(Session::as_str), order_id.as_str());
        self.insert_digest(digest, Order::new(order_id, session), now)
    }

    /// Adds an order under a [`Self::digest`], as the newest of the unknown.
    pub fn insert_digest(&mut self, digest: u128, order: Order, now: Timestamp) -> OrderKey {
        self.numbers += 1;
        let slot = OrderSlot {
            order: Some(Arc::new(order)),
            class: OrderClass::Unknown,
            received_at: now,
            since: now,
            number: self.numbers,
            older: NONE,
            newer: NONE,
            bytes: 0,
        };
        let at = if let Some(at) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(at as usize) {
                *place = Some(slot);
            } else {
                impossible!("a free place lies outside of the slots");
            }
            at
        } else {
            self.slots.push(Some(slot));
            invariant!(self.slots.len() <= NONE as usize, "more orders than a key can name");
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        self.by_number.insert(self.numbers, at);
        self.enter(digest, at);
        self.link(at, OrderClass::Unknown);
        OrderKey(at)
    }

    /// Files an order under an id. If an order of another symbol has the id, both keep it.
    fn enter(&mut self, digest: u128, at: u32) {
        let Some(first) = self.index.insert(digest, at).filter(|first| *first != at) else {
            return;
        };
        let symbol_of = |at: u32| self.slot(at)?.order.as_ref()?.symbol;
        let Some((one, other)) = symbol_of(first).zip(symbol_of(at)) else { return };
        if one != other {
            let twins = self.twins.entry(digest).or_default();
            twins.insert(one, first);
            twins.insert(other, at);
        }
    }

    /// Reverses [`Self::enter`].
    fn leave(&mut self, digest: u128, at: u32, symbol: Option<SymbolKey>) {
        let Some(twins) = self.twins.get_mut(&digest) else {
            if self.index.get(&digest) == Some(&at) {
                self.index.remove(&digest);
            }
            return;
        };
        if let Some(symbol) = symbol.filter(|symbol| twins.get(symbol) == Some(&at)) {
            twins.remove(&symbol);
        }
        if let Some(left) = twins.values().next() {
            self.index.insert(digest, *left);
        }
        if twins.len() < 2 {
            self.twins.remove(&digest);
        }
    }

    /// The orders of several symbols that share an id; `None` if at most one order has it.
    #[must_use]
    pub fn twins(&self, digest: u128) -> Option<&BTreeMap<SymbolKey, u32>> {
        self.twins.get(&digest)
    }

    /// Whether orders of several symbols share any id.
    #[must_use]
    pub fn has_twins(&self) -> bool {
        !self.twins.is_empty()
    }

    /// Of several orders that share an id, the one of this symbol.
    #[must_use]
    pub fn twin(&self, digest: u128, symbol: SymbolKey) -> Option<OrderKey> {
        self.twins.get(&digest)?.get(&symbol).copied().map(OrderKey)
    }

    /// Files an order under a further id. An order that had the id is no longer found by it.
    pub fn alias(&mut self, key: OrderKey, order_id: &OrderId) {
        let Some(order) = self.get(key) else { return };
        let digest = Self::digest(order.session.as_ref().map(Session::as_str), order_id.as_str());
        let is_known = if order.aliases.len() > FEW_MAX {
            let twin = order.symbol.and_then(|symbol| self.twin(digest, symbol));
            twin.or_else(|| self.find_digest(digest)) == Some(key)
        } else {
            visits::count(order.aliases.len());
            order.order_id == *order_id || order.aliases.contains(order_id)
        };
        if is_known {
            return;
        }
        if let Some(order) = self.get_mut(key) {
            order.aliases.push(order_id.clone());
        }
        self.enter(digest, key.0);
    }

    /// Notes a fact at `now`, and moves the order to the end of the list of `class` if its class
    /// changed. Within a class the list is in the order of arrival in it.
    pub fn touch(&mut self, key: OrderKey, class: OrderClass, now: Timestamp) {
        let Some(slot) = self.slot_mut(key.0) else { return };
        slot.received_at = now;
        if slot.class != class {
            slot.since = now;
            self.unlink(key.0);
            self.link(key.0, class);
        }
    }

    /// Takes an order out, with all its ids.
    pub fn remove(&mut self, key: OrderKey) -> Option<Arc<Order>> {
        self.unlink(key.0);
        let order = self.vacate(key.0)?.order?;
        self.free.push(key.0);
        let session = order.session.as_ref().map(Session::as_str);
        for id in std::iter::once(&order.order_id).chain(&*order.aliases) {
            self.leave(Self::digest(session, id.as_str()), key.0, order.symbol);
        }
        Some(order)
    }

    /// The order that has been in a class longest, and since when (receive time).
    #[must_use]
    pub fn oldest(&self, class: OrderClass) -> Option<(OrderKey, Timestamp)> {
        let oldest = self.lists[class].oldest;
        self.slot(oldest).map(|slot| (OrderKey(oldest), slot.since))
    }

    /// Number of orders of a class.
    #[must_use]
    pub fn len(&self, class: OrderClass) -> usize {
        self.lists[class].len
    }

    /// The orders of a class, the one that has been in it longest first.
    pub fn of_class(&self, class: OrderClass) -> impl Iterator<Item = &Order> {
        let first = self.slot(self.lists[class].oldest);
        let slots = std::iter::successors(first, |slot| self.slot(slot.newer));
        slots.filter_map(|slot| slot.order.as_deref())
    }

    /// All orders with the numbers of their first facts, in that order, after the one numbered
    /// `after`. The first one is found in O(log n).
    pub fn listing(&self, after: u64) -> impl Iterator<Item = (u64, OrderKey)> {
        visits::search(self.by_number.len());
        let after = (Bound::Excluded(after), Bound::Unbounded);
        let places = self.by_number.range(after);
        places.map(|(number, at)| {
            visits::count(1);
            (*number, OrderKey(*at))
        })
    }

    /// Empties a slot.
    fn vacate(&mut self, at: u32) -> Option<OrderSlot> {
        let slot = self.slots.get_mut(at as usize)?.take()?;
        self.by_number.remove(&slot.number);
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        Some(slot)
    }

    fn slot(&self, at: u32) -> Option<&OrderSlot> {
        self.slots.get(at as usize)?.as_ref()
    }

    fn slot_mut(&mut self, at: u32) -> Option<&mut OrderSlot> {
        self.slots.get_mut(at as usize)?.as_mut()
    }

    fn link(&mut self, at: u32, class: OrderClass) {
        let list = &mut self.lists[class];
        let newest = list.newest;
        list.newest = at;
        list.len += 1;
        if newest == NONE {
            list.oldest = at;
        } else if let Some(slot) = self.slot_mut(newest) {
            slot.newer = at;
        }
        if let Some(slot) = self.slot_mut(at) {
            slot.class = class;
            slot.older = newest;
            slot.newer = NONE;
        }
    }

    /// Lets the neighbours in a list, and its ends, name another place.
    fn relink(&mut self, (from, to): (u32, u32), class: OrderClass, (older, newer): (u32, u32)) {
        if let Some(slot) = self.slot_mut(older) {
            slot.newer = to;
        }
        if let Some(slot) = self.slot_mut(newer) {
            slot.older = to;
        }
        let list = &mut self.lists[class];
        for end in [&mut list.oldest, &mut list.newest] {
            if *end == from {
                *end = to;
            }
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some((class, older, newer)) = self.slot(at).map(|s| (s.class, s.older, s.newer)) else {
            impossible!("an order to unlink is missing");
            return;
        };
        if let Some(slot) = self.slot_mut(older) {
            slot.newer = newer;
        }
        if let Some(slot) = self.slot_mut(newer) {
            slot.older = older;
        }
        let list = &mut self.lists[class];
        list.len -= 1;
        if list.oldest == at {
            list.oldest = newer;
        }
        if list.newest == at {
            list.newest = older;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Symbol;
    use crate::domain::symbols::SymbolTable;

    fn id(text: &str) -> OrderId {
        OrderId::new(text).expect("an id")
    }

    #[test]
    fn orders_of_several_symbols_share_one_id() {
        let mut orders = Orders::default();
        let mut symbols = SymbolTable::default();
        let mut key =
            |name: &str| symbols.intern(&Symbol::new(name).expect("a symbol"), usize::MAX);
        let names = ["A", "B", "C"].map(&mut key);
        let digest = Orders::digest(None, "1");
        let placed = names.map(|symbol| {
            let order = Order { symbol: Some(symbol), ..Order::new(id("1"), None) };
            orders.insert_digest(digest, order, Timestamp::MIN)
        });
        assert_eq!(names.map(|symbol| orders.twin(digest, symbol)), placed.map(Some));
        let [first, second, third] = placed;
        orders.remove(third);
        assert_eq!(orders.twins(digest).map(BTreeMap::len), Some(2));
        orders.remove(first);
        assert_eq!((orders.twins(digest), orders.find(None, "1")), (None, Some(second)));
        orders.remove(second);
        assert_eq!((orders.find(None, "1"), orders.has_twins()), (None, false));
    }

    #[test]
    fn orders_are_found_by_every_id_and_leave_with_all() {
        let mut orders = Orders::default();
        let now = Timestamp::MIN;
        let first = orders.insert(id("A"), None, now);
        let second = orders.insert(id("B"), None, now);
        orders.alias(first, &id("A2"));
        assert_eq!(orders.find(None, "A2"), Some(first));
        assert_eq!(orders.find(Some("s"), "A"), None);
        assert_eq!(orders.oldest(OrderClass::Unknown).map(|o| o.0), Some(first));
        orders.touch(first, OrderClass::Open, now);
        assert_eq!(orders.oldest(OrderClass::Unknown).map(|o| o.0), Some(second));
        assert_eq!((orders.len(OrderClass::Open), orders.len(OrderClass::Unknown)), (1, 1));
        assert!(orders.remove(first).is_some());
        assert_eq!(orders.find(None, "A"), None);
        assert_eq!(orders.find(None, "A2"), None);
        assert_eq!(orders.oldest(OrderClass::Open), None);
        let again = orders.insert(id("C"), None, now);
        assert_eq!(orders.get(again).map(|o| o.order_id.as_str()), Some("C"));
        assert_eq!(orders.listing(0).count(), 2);
    }
}
