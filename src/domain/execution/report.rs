//! One event about an order, as the execution side reads it.
//!
//! Input: an order event and the envelope around it. Output: borrowed parts. Absent: events about
//! anything but an order.

use crate::domain::event::{Event, FillCorrected, OrderEvent, OrderFact, OrderFilled, OrderRef};
use crate::domain::execution::orders::Orders;
use crate::domain::ids::{Currency, OrderId, Session, Strategy, Venue};
use crate::domain::record::Refusal;
use crate::domain::time::Timestamp;
use crate::domain::units::checked_times;

/// One event about an order. Borrowed, so that a step gets one argument.
#[derive(Clone, Copy, Debug)]
pub struct OrderReport<'a> {
    pub(super) order: &'a OrderRef,
    pub(super) fact: &'a OrderFact,
    pub(super) session: Option<&'a Session>,
    pub(super) strategy: Option<&'a Strategy>,
    pub(super) venue: Option<&'a Venue>,
    /// The time that the sender gave.
    pub(super) given_time: Option<Timestamp>,
    /// Event time: the sender's by the exporter's own clock, else the time of receipt.
    pub(super) at: Timestamp,
    pub(super) synthetic: bool,
}

impl<'a> OrderReport<'a> {
    /// Joins an order event with the envelope `event` that it arrived in. `at` is the event time.
    #[must_use]
    pub const fn new(event: &'a Event, order_event: &'a OrderEvent, at: Timestamp) -> Self {
        Self {
            order: &order_event.order,
            fact: &order_event.fact,
            session: event.session.as_ref(),
            strategy: event.strategy.as_ref(),
            venue: event.venue.as_ref(),
            given_time: event.time,
            at,
            synthetic: event.synthetic,
        }
    }

    /// The digest under which the order is filed.
    pub(super) fn digest(&self) -> u128 {
        self.digest_of(&self.order.order_id)
    }

    /// The digest under which an order of this id and session is filed.
    pub(super) fn digest_of(&self, order_id: &OrderId) -> u128 {
        Orders::digest(self.session.map(Session::as_str), order_id.as_str())
    }

    /// The id that a replace gives to the order.
    pub(super) fn new_order_id(&self) -> Option<&'a OrderId> {
        let OrderFact::Replaced(replaced) = self.fact else { return None };
        replaced.new_order_id.as_ref()
    }

    /// The currency of the fee that it reports; `None` without a fee, and for a fee in the currency
    /// of the instrument.
    pub(super) fn fee_currency(&self) -> Option<&'a Currency> {
        if let OrderFact::Filled(OrderFilled { fee: Some(_), fee_currency, .. })
        | OrderFact::FillCorrected(FillCorrected { fee: Some(_), fee_currency, .. }) = self.fact
        {
            return fee_currency.as_ref();
        }
        None
    }

    /// Checks that quantity x price of an execution is an exact decimal, so that it can be added up.
    pub(super) fn check_range(&self) -> Result<(), Refusal> {
        if let OrderFact::Filled(OrderFilled { quantity: Some(quantity), price, .. })
        | OrderFact::FillCorrected(FillCorrected { quantity, price, .. }) = self.fact
            && checked_times(quantity.get(), price.get()).is_none()
        {
            return Err(Refusal::OutOfRange);
        }
        Ok(())
    }
}
