//! Position events of nautilus, as changes of the local book of their symbol.
//!
//! Input: one position after a change. Output: the local quantity of the symbol. Invariant: several
//! positions of a symbol add up, although each event has only its own.
//!
//! # Design
//!
//! The change is that of the position: all of it when it opened; its last fill, against its direction, when
//! it closed. When it changed, the last fill added to it or reduced it, which the event does not say. It
//! was reduced if the fill is not smaller than what is left, and added to if the position never was larger
//! or was never reduced. Otherwise the reading counts that brings the book closer to the ledger, which has
//! had that fill. The book starts at the position of the first event of its symbol.
//!
//! *Assumption:* events of a symbol arrive in order and none is lost. A lost one shows as a drift, as a
//! lost report should, and stays until the engine's list comes by another way.

use crate::adapters::draft::DraftRow;
use crate::adapters::foreign::{ForeignObject, decimal};
use crate::adapters::known::HeldBook;
use crate::adapters::nautilus::head;
use crate::adapters::translation::Translation;
use crate::domain::event::Source;
use crate::domain::units::{Decimal, is_flat};
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// Translates one event.
pub(super) fn event(kind: &str, object: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let Some(symbol) = object.text("instrument_id") else {
        return out.refuse(Flaw::of(Field::Symbol, FieldCode::MissingField, "is required"));
    };
    let Some(own) = signed_quantity(object) else {
        return out.refuse(Flaw::of(Field::Quantity, FieldCode::MissingField, "is required"));
    };
    let account = out.account(object.text("account_id").as_deref()).to_owned();
    let event_id = object.text("event_id").or_else(|| object.text("id")).unwrap_or_default();
    if !event_id.is_empty() && out.has_event(&account, &event_id) {
        return out.known();
    }
    let book = out.book(&account, &symbol).unwrap_or_default();
    let before = book.local;
    let quantity = match before {
        None => own,
        Some(before) => before.saturating_add(change(kind, object, own, (before, book.ledger))),
    };
    let average = object.price("avg_px_open").filter(|_| quantity == own && !is_flat(own));
    let row = DraftRow {
        symbol: symbol.clone().into_owned(),
        quantity: quantity.normalize().to_string(),
        average_price: average.map(Into::into),
        market_price: None,
    };
    let role = out.role(Source::Local);
    let mut draft = head("positions", object);
    // A list is about the account.
    draft = draft.text(Field::Source, role.as_str()).complete(false).rows(&[row]);
    out.emit(draft);
    out.set_book(&account, &symbol, HeldBook { local: Some(quantity), ..book });
    out.set_event(&account, &event_id);
}

/// The quantity of the position after the event; short is negative.
fn signed_quantity(object: &ForeignObject<'_>) -> Option<Decimal> {
    // `signed_qty` is a float, `quantity` is exact.
    let exact = object.decimal("quantity");
    match object.text("side").as_deref() {
        Some("LONG" | "Long") => exact,
        Some("SHORT" | "Short") => exact.map(|quantity| -quantity),
        Some("FLAT" | "Flat") => Some(Decimal::ZERO),
        _ => object.decimal("signed_qty"),
    }
}

/// The change of the position.
fn change(
    kind: &str,
    object: &ForeignObject<'_>,
    own: Decimal,
    (before, ledger): (Decimal, Decimal),
) -> Decimal {
    let last = object.decimal("last_qty").unwrap_or_default();
    match kind {
        "PositionOpened" => own,
        "PositionClosed" => {
            let was_short = matches!(object.text("entry").as_deref(), Some("SELL" | "Sell"));
            if was_short { last } else { -last }
        }
        _ => {
            let added = if own.is_sign_negative() { -last } else { last };
            let is_reduction = last >= own.abs();
            let at_peak = object.decimal("peak_qty").is_some_and(|peak| peak <= own.abs());
            let never_reduced = object.number("avg_px_close").as_deref().and_then(decimal);
            if is_reduction {
                return -added;
            }
            if at_peak || never_reduced == Some(Decimal::ZERO) {
                return added;
            }
            let distance =
                |change: Decimal| before.saturating_add(change).saturating_sub(ledger).abs();
            if distance(added) <= distance(-added) { added } else { -added }
        }
    }
}
