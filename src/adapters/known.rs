//! The knowledge of an adapter beside the message: the state, and a small memory.
//!
//! Input: names. Output: values. Invariant: an answer never changes what a message means, only which
//! order it is about and whether a fact was told before.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use crate::domain::units::{Decimal, Side};

/// The state, as far as adapters ask for it.
pub trait KnownState {
    /// An order that is held.
    fn order(&self, account: &str, order_id: &str) -> Option<HeldOrder>;

    /// Whether an event with this id was accepted, within the horizon of ids.
    fn has_event(&self, account: &str, event_id: &str) -> bool;

    /// The books of a symbol.
    fn book(&self, account: &str, symbol: &str) -> Option<HeldBook>;
}

/// An order that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldOrder {
    /// Whether its submission is known.
    pub is_submitted: bool,
    /// Whether it has ended.
    pub has_ended: bool,
    /// Buy or sell, once known.
    pub side: Option<Side>,
    /// The ordered quantity, once known.
    pub quantity: Option<Decimal>,
    /// The filled quantity.
    pub filled: Decimal,
    /// The average price of its fills.
    pub average_price: Option<Decimal>,
}

/// The books of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBook {
    /// The engine's word; `None`: it never said.
    pub local: Option<Decimal>,
    /// The sum of the fills seen.
    pub ledger: Decimal,
}

/// A state in which nothing happened yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKnown;

impl KnownState for NothingKnown {
    fn order(&self, _: &str, _: &str) -> Option<HeldOrder> {
        None
    }

    fn has_event(&self, _: &str, _: &str) -> bool {
        false
    }

    fn book(&self, _: &str, _: &str) -> Option<HeldBook> {
        None
    }
}

/// The most announced orders that wait for their submission.
const ANNOUNCED_MAX: usize = 100_000;

/// Orders that an engine has announced and not submitted yet, for formats in which the submission does
/// not repeat side and size.
///
/// # Design
///
/// An announced order has not left the engine: it may be denied or wait for a trigger, so it is no event,
/// and the journal does not hold it. It is kept in memory, the newest 100 000 of all accounts. A restart
/// between an announcement and its submission, which are usually one message apart, costs the size of
/// that order: its fills and its end are known, its quality figures are not.
#[derive(Debug, Default)]
pub struct AdapterMemory(Mutex<AnnouncedOrders>);

#[derive(Debug, Default)]
struct AnnouncedOrders {
    messages: BTreeMap<String, String>,
    /// The oldest first.
    queue: VecDeque<String>,
}

impl AdapterMemory {
    /// Remembers an announcement.
    pub(super) fn announce(&self, order: String, message: String) {
        let mut announced = self.0.lock();
        if announced.messages.insert(order.clone(), message).is_none() {
            announced.queue.push_back(order);
        }
        while announced.queue.len() > ANNOUNCED_MAX {
            if let Some(oldest) = announced.queue.pop_front() {
                announced.messages.remove(&oldest);
            }
        }
    }

    /// The announcement of an order. It stays, so that a submission that is sent again means the same.
    pub(super) fn announced(&self, order: &str) -> Option<String> {
        self.0.lock().messages.get(order).cloned()
    }
}
