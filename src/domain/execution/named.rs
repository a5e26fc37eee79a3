//! Which order an event is about, where orders of several symbols have one id.
//!
//! Input: the id of an order, and what is told of its symbol. Output: the order, if it is known.
//! Invariants: an event that could be about either of two orders is about none; where ids are unique
//! within an account, an id stands for one order, whatever its symbol (see `check`). The ids 0 and -1
//! never are unique: brokers give them to every order that the engine did not send.

use crate::domain::event::{Body, Event, OrderEvent, OrderRef};
use crate::domain::execution::context::Context;
use crate::domain::execution::orders::{OrderKey, Orders};
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::ids::{OrderId, Session};
use crate::domain::record::Refusal;
use crate::domain::settings::IdScope;
use crate::domain::symbols::{SymbolKey, SymbolTable};

/// What is told of the symbol of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Nothing.
    Nothing,
    /// One that was never seen.
    New,
    /// This one.
    Known(SymbolKey),
}

impl Named {
    /// What an event tells.
    pub(super) fn by(order: &OrderRef, context: &Context<'_, '_>) -> Self {
        let Some(symbol) = &order.symbol else { return Self::Nothing };
        // A new one past the bound is folded into that of the others.
        let folded = || context.symbols.other().filter(|_| !context.may_grow);
        context.symbols.get(symbol).or_else(folded).map_or(Self::New, Self::Known)
    }
}

impl Execution {
    /// The order that has that id, and that symbol where ids are not unique. Which symbol is looked up
    /// there alone: every event of an order passes here.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the symbol is not told and orders of several have the id.
    #[inline]
    pub(super) fn find(
        &self,
        digest: u128,
        order_id: &OrderId,
        named: impl FnOnce() -> Named,
    ) -> Result<Option<OrderKey>, Refusal> {
        let Some(first) = self.orders.find_digest(digest) else { return Ok(None) };
        if self.are_ids_unique(order_id) && !self.orders.has_twins() {
            return Ok(Some(first));
        }
        self.find_named(first, digest, order_id, named())
    }

    #[inline(never)]
    fn find_named(
        &self,
        first: OrderKey,
        digest: u128,
        order_id: &OrderId,
        named: Named,
    ) -> Result<Option<OrderKey>, Refusal> {
        if self.orders.twins(digest).is_some() {
            return match named {
                Named::Known(symbol) => Ok(self.orders.twin(digest, symbol)),
                Named::New => Ok(None),
                Named::Nothing => Err(Refusal::Conflict),
            };
        }
        let known = self.orders.get(first).and_then(|order| order.symbol);
        let is_other = match (known, named) {
            (None, _) | (_, Named::Nothing) => false,
            (Some(_), Named::New) => true,
            (Some(known), Named::Known(symbol)) => known != symbol,
        };
        Ok(Some(first).filter(|_| !is_other || self.are_ids_unique(order_id)))
    }

    /// The order that an event joins to the one that it is about: a replace with a new id.
    ///
    /// # Errors
    /// See [`Self::find`].
    pub(super) fn find_joined(
        &self,
        known: Option<OrderKey>,
        report: &OrderReport<'_>,
        named: impl FnOnce() -> Named,
    ) -> Result<Option<OrderKey>, Refusal> {
        let Some(id) = report.new_order_id() else { return Ok(None) };
        let symbol = known.and_then(|key| self.orders.get(key)).and_then(|order| order.symbol);
        let named = || symbol.map_or_else(named, Named::Known);
        Ok(self.find(report.digest_of(id), id, named)?.filter(|other| Some(*other) != known))
    }

    /// What a refused event contradicts, where that is the symbol of its order; none: anything else.
    #[must_use]
    pub fn explain(&self, event: &Event, symbols: &SymbolTable) -> Option<String> {
        let Body::Order(OrderEvent { order: OrderRef { order_id: id, symbol, .. }, .. }) =
            &event.body
        else {
            return None;
        };
        let digest = Orders::digest(event.session.as_ref().map(Session::as_str), id.as_str());
        if let Some(twins) = self.orders.twins(digest).filter(|_| symbol.is_none()) {
            let mut names = twins.keys().filter_map(|key| symbols.name(*key));
            let (one, other) = (names.next()?, names.next()?);
            return Some(format!(
                "the order id {id} stands under {one} and {other}: say the symbol, for \
                 orders.id_scope tells them apart by it"
            ));
        }
        let order = self.orders.get(self.orders.find_digest(digest)?)?;
        let known = symbols.name(order.symbol?)?;
        if symbol.is_none() && order.is_disputed {
            return Some(format!(
                "the order id {id} stands under {known}, and was submitted for another symbol, too: \
                 say the symbol, and set orders.id_scope to symbol"
            ));
        }
        let told = symbol.as_ref().filter(|told| *told != known)?;
        Some(format!(
            "the order id {id} stands under {known}, and this says {told}: where a venue numbers the \
             orders of each symbol apart, set orders.id_scope to symbol"
        ))
    }

    /// Whether that id stands for one order, whatever its symbol.
    fn are_ids_unique(&self, order_id: &OrderId) -> bool {
        self.id_scope == IdScope::Account && !matches!(order_id.as_str(), "0" | "-1")
    }
}
