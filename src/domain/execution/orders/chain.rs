//! Joins the ids of two orders of one replace chain.
//!
//! Input: an order that another one was merged into, and the ids of that one. Output: one order under
//! all of the ids. Invariant: only the ids of the order with fewer are filed again, so that a chain
//! costs O(log n) for each of its ids, in whatever order its replaces arrive. Deliberately absent: the
//! facts (see `merge`).

use std::sync::Arc;

use super::{OrderKey, Orders};
use crate::domain::compact::ThinVec;
use crate::domain::execution::fills::FEW_MAX;
use crate::domain::execution::order::Order;
use crate::domain::ids::{OrderId, Session};
use crate::domain::symbols::SymbolKey;
use crate::domain::visits;

/// The ids of an order that is merged into another one.
#[derive(Debug)]
pub(in crate::domain::execution) struct ChainIds {
    order_id: OrderId,
    aliases: ThinVec<OrderId>,
    session: Option<Session>,
    symbol: Option<SymbolKey>,
}

impl ChainIds {
    /// Takes the ids of an order.
    pub(in crate::domain::execution) fn of(gone: &mut Order) -> Self {
        Self {
            order_id: gone.order_id.clone(),
            aliases: std::mem::take(&mut gone.aliases),
            session: gone.session.clone(),
            symbol: gone.symbol,
        }
    }

    fn all(&self) -> impl Iterator<Item = &OrderId> {
        std::iter::once(&self.order_id).chain(&*self.aliases)
    }

    fn len(&self) -> usize {
        self.aliases.len() + 1
    }

    fn digest(&self, id: &OrderId) -> u128 {
        Orders::digest(self.session.as_ref().map(Session::as_str), id.as_str())
    }
}

impl Orders {
    /// Files an order under the ids of another one, which was taken out and merged into it. Returns the
    /// place of the order from then on: that of the one with more ids.
    pub(in crate::domain::execution) fn join(
        &mut self,
        key: OrderKey,
        (other, ids): (OrderKey, ChainIds),
    ) -> OrderKey {
        let known = self.get(key).map_or(0, |order| order.aliases.len() + 1);
        self.unlink(other.0);
        self.vacate(other.0);
        visits::count(ids.len().min(known));
        if ids.len() > known.max(FEW_MAX) {
            self.move_to(key, (other, ids));
            return other;
        }
        self.free.push(other.0);
        for id in ids.all() {
            self.leave(ids.digest(id), other.0, ids.symbol);
        }
        for id in ids.all() {
            self.alias(key, id);
        }
        key
    }

    /// Moves an order to the empty place of another one, whose ids it takes over.
    fn move_to(&mut self, key: OrderKey, (other, mut ids): (OrderKey, ChainIds)) {
        let Some(mut slot) = self.vacate(key.0) else {
            impossible!("an order that another one was merged into is missing");
            return;
        };
        self.free.push(key.0);
        let (number, class, neighbours) = (slot.number, slot.class, (slot.older, slot.newer));
        let Some(order) = slot.order.as_mut().map(Arc::make_mut) else {
            impossible!("an order that another one was merged into was taken");
            return;
        };
        let own = std::iter::once(order.order_id.clone()).chain(std::mem::take(&mut order.aliases));
        let own: Vec<OrderId> = own.collect();
        let symbol = order.symbol;
        // With a symbol that became known, ids may be shared with orders of other symbols.
        let is_named = ids.symbol.is_none() && symbol.is_some();
        let again: Vec<u128> =
            ids.all().take_while(|_| is_named).map(|id| ids.digest(id)).collect();
        order.aliases = std::mem::take(&mut ids.aliases);
        order.aliases.push(ids.order_id.clone());
        own.iter().skip(1).for_each(|id| order.aliases.push(id.clone()));
        let bytes = order.bytes();
        slot.bytes = bytes;
        self.bytes += bytes;
        if let Some(place) = self.slots.get_mut(other.0 as usize) {
            *place = Some(slot);
        }
        self.by_number.insert(number, other.0);
        self.relink((key.0, other.0), class, neighbours);
        for id in &own {
            self.leave(ids.digest(id), key.0, symbol);
            self.enter(ids.digest(id), other.0);
        }
        for digest in again {
            self.enter(digest, other.0);
        }
    }
}
