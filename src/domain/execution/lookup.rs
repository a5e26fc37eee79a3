//! Finds the order that an event is about. Orders of several symbols may share an id.
//!
//! Input: the id of an order, and the symbol that the event reports. Output: the order, if it is
//! known. Invariants: an event that could be about either of two orders is refused; where ids are
//! unique within an account, an id names one order, whatever its symbol (see `check`). The ids 0 and
//! -1 are never unique: brokers give them to every order that the engine did not send.

use crate::domain::event::{Body, Event, OrderEvent, OrderRef};
use crate::domain::execution::orders::{OrderKey, Orders};
use crate::domain::execution::{Execution, OrderReport};
use crate::domain::ids::{OrderId, Session};
use crate::domain::record::Refusal;
use crate::domain::settings::IdScope;
use crate::domain::step::Step;
use crate::domain::symbols::{SymbolKey, SymbolTable};

/// The symbol that an event reports for its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportedSymbol {
    /// None.
    Missing,
    /// A symbol that was never seen.
    New,
    /// A known symbol.
    Known(SymbolKey),
}

impl ReportedSymbol {
    /// Looks up the symbol that an event reports.
    pub(super) fn of(order: &OrderRef, step: &Step<'_, '_>) -> Self {
        let Some(symbol) = &order.symbol else { return Self::Missing };
        // A new symbol beyond the bound is folded into `__other__`.
        let folded = || step.symbols.other().filter(|_| !step.has_room());
        step.symbols.get(symbol).or_else(folded).map_or(Self::New, Self::Known)
    }
}

impl Execution {
    /// The order that has this id and, where ids are not unique, this symbol. The symbol is looked up
    /// only in that case. Hot path: every order event passes here.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the event reports no symbol and orders of several symbols have the id.
    #[inline]
    pub(super) fn find(
        &self,
        digest: u128,
        order_id: &OrderId,
        named: impl FnOnce() -> ReportedSymbol,
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
        named: ReportedSymbol,
    ) -> Result<Option<OrderKey>, Refusal> {
        if self.orders.twins(digest).is_some() {
            return match named {
                ReportedSymbol::Known(symbol) => Ok(self.orders.twin(digest, symbol)),
                ReportedSymbol::New => Ok(None),
                ReportedSymbol::Missing => Err(Refusal::Conflict),
            };
        }
        let known = self.orders.get(first).and_then(|order| order.symbol);
        let is_other = match (known, named) {
            (None, _) | (_, ReportedSymbol::Missing) => false,
            (Some(_), ReportedSymbol::New) => true,
            (Some(known), ReportedSymbol::Known(symbol)) => known != symbol,
        };
        Ok(Some(first).filter(|_| !is_other || self.are_ids_unique(order_id)))
    }

    /// The second order of a replace: the one that is known under the new id already.
    ///
    /// # Errors
    /// See [`Self::find`].
    pub(super) fn find_joined(
        &self,
        known: Option<OrderKey>,
        report: &OrderReport<'_>,
        named: impl FnOnce() -> ReportedSymbol,
    ) -> Result<Option<OrderKey>, Refusal> {
        let Some(id) = report.new_order_id() else { return Ok(None) };
        let symbol = known.and_then(|key| self.orders.get(key)).and_then(|order| order.symbol);
        let named = || symbol.map_or_else(named, ReportedSymbol::Known);
        Ok(self.find(report.digest_of(id), id, named)?.filter(|other| Some(*other) != known))
    }

    /// Explains a refused event that contradicts the symbol of its order; `None` for any other
    /// contradiction.
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
                "the order id {id} is shared by orders of {one} and {other}: report the symbol, \
                 since orders.id_scope tells them apart by it"
            ));
        }
        let order = self.orders.get(self.orders.find_digest(digest)?)?;
        let known = symbols.name(order.symbol?)?;
        if symbol.is_none() && order.is_disputed {
            return Some(format!(
                "the order id {id} belongs to an order of {known}, and was submitted for another \
                 symbol too: report the symbol, and set orders.id_scope to symbol"
            ));
        }
        let reported = symbol.as_ref().filter(|reported| *reported != known)?;
        Some(format!(
            "the order id {id} belongs to an order of {known}, and this event reports {reported}: \
             where a venue numbers the orders of each symbol separately, set orders.id_scope to \
             symbol"
        ))
    }

    /// Whether this id names one order, whatever its symbol.
    fn are_ids_unique(&self, order_id: &OrderId) -> bool {
        self.id_scope == IdScope::Account && !matches!(order_id.as_str(), "0" | "-1")
    }
}
