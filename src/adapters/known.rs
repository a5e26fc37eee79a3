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

/// The most announced orders of one sender.
const ANNOUNCED_MAX: usize = 20_000;

/// The most bytes of the announced orders of one sender.
const ANNOUNCED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Orders that an engine has announced and not submitted yet, for formats in which the submission does
/// not repeat side and size.
///
/// # Design
///
/// An announced order has not left the engine: it may be denied or wait for a trigger, so it is no event,
/// and the journal does not hold it. It is kept in memory, the newest 20 000 of each token. A restart
/// between an announcement and its submission, which are usually one message apart, costs the size of
/// that order: its fills and its end are known, its quality figures are not.
#[derive(Debug, Default)]
pub struct AdapterMemory(Mutex<BTreeMap<String, AnnouncedOrders>>);

#[derive(Debug, Default)]
struct AnnouncedOrders {
    messages: BTreeMap<String, String>,
    /// The oldest first.
    queue: VecDeque<String>,
    bytes: usize,
}

impl AdapterMemory {
    /// Remembers an announcement of a sender: a token of the configuration, so there are few.
    pub(super) fn announce(&self, sender: &str, order: String, message: String) {
        let mut senders = self.0.lock();
        let announced = senders.entry(sender.to_owned()).or_default();
        announced.bytes += message.len();
        match announced.messages.insert(order.clone(), message) {
            None => announced.queue.push_back(order),
            Some(before) => announced.bytes = announced.bytes.saturating_sub(before.len()),
        }
        while announced.queue.len() > ANNOUNCED_MAX || announced.bytes > ANNOUNCED_BYTES_MAX {
            let Some(oldest) = announced.queue.pop_front() else { break };
            let gone = announced.messages.remove(&oldest).unwrap_or_default();
            announced.bytes = announced.bytes.saturating_sub(gone.len());
        }
    }

    /// A sender's announcement of an order. It stays, so that a submission that is sent again means the same.
    pub(super) fn announced(&self, sender: &str, order: &str) -> Option<String> {
        self.0.lock().get(sender)?.messages.get(order).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_bounded_for_each_sender() {
        let memory = AdapterMemory::default();
        memory.announce("b", "first".to_owned(), "b".to_owned());
        for n in 0..=ANNOUNCED_MAX {
            memory.announce("a", n.to_string(), "a".to_owned());
        }
        assert_eq!(memory.announced("a", "0"), None);
        assert_eq!(memory.announced("a", "1").as_deref(), Some("a"));
        memory.announce("a", "long".to_owned(), "x".repeat(ANNOUNCED_BYTES_MAX));
        assert_eq!(memory.announced("a", "1"), None);
        assert!(memory.announced("a", "long").is_some());
        memory.announce("a", "longer".to_owned(), "x".repeat(ANNOUNCED_BYTES_MAX + 1));
        assert_eq!(memory.announced("a", "longer"), None);
        memory.announce("a", "next".to_owned(), "x".to_owned());
        assert!(memory.announced("a", "next").is_some());
        assert_eq!(memory.announced("b", "first").as_deref(), Some("b"));
        assert_eq!(memory.announced("a", "first"), None);
    }
}
