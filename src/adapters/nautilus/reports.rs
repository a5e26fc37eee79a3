//! Reports in which nautilus repeats what a venue said: positions, orders, fills.
//!
//! Input: one report. Output: rows of the broker's list, facts of the order. Invariants: the position
//! reports of one body and account are one list, and positions of one symbol add up in it; a list of
//! reports is never complete, since nautilus reports only what it asked for.

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::foreign::ForeignObject;
use crate::adapters::nautilus::{about, dated, execution, missing_order_id, side_of};
use crate::adapters::translation::Translation;
use crate::domain::event::Source;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// A row of the broker's list.
pub(super) fn position(report: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let signed = report.number("signed_decimal_qty").map(String::from);
    let quantity = signed.or_else(|| {
        let quantity = report.number("quantity")?;
        match report.text("position_side").as_deref() {
            Some("SHORT" | "Short") => Some(format!("-{quantity}")),
            Some("FLAT" | "Flat") => Some(String::from("0")),
            _ => Some(quantity.into_owned()),
        }
    });
    let (Some(symbol), Some(quantity)) = (report.text("instrument_id"), quantity) else {
        let flaw =
            Flaw::of(Field::Positions, FieldCode::MissingField, "needs instrument and quantity");
        return out.refuse(flaw);
    };
    let row = DraftRow {
        symbol: symbol.into_owned(),
        quantity,
        average_price: report.price("avg_px_open").map(Into::into),
        market_price: None,
    };
    let head = EventDraft::new("positions")
        .account(report.text("account_id").as_deref())
        .text(Field::Source, out.role(Source::Broker).as_str());
    // `ts_last` is the last change of the position, `ts_init` when the venue was asked.
    let name = if report.raw("ts_init").is_some() { "ts_init" } else { "ts_last" };
    out.row(String::new(), None, (dated(head, report, name), row));
}

/// The state of an order at the venue, as the fact that it shows.
pub(super) fn order(report: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = id_of(report) else { return out.refuse(missing_order_id()) };
    let status = report.text("order_status").unwrap_or_default();
    let (kind, time) = match &*status.to_ascii_uppercase() {
        "ACCEPTED" | "TRIGGERED" | "PENDING_UPDATE" | "PENDING_CANCEL" | "PARTIALLY_FILLED"
        | "PARTIALLYFILLED" => ("order_accepted", "ts_accepted"),
        "REJECTED" => ("order_rejected", "ts_last"),
        "CANCELED" => ("order_cancelled", "ts_last"),
        "EXPIRED" => ("order_expired", "ts_last"),
        _ => return out.ignore("the report of an order in this state says nothing new"),
    };
    let account = out.account(report.text("account_id").as_deref()).to_owned();
    let known = out.order(&account, &order_id);
    if kind == "order_accepted" && known.is_some_and(|order| order.is_submitted) {
        return out.ignore("the order is known to be open");
    }
    let text_max = out.text_max();
    let draft = EventDraft::new(kind)
        .account(report.text("account_id").as_deref())
        .text(Field::OrderId, &order_id)
        .optional(Field::EventId, report.text("report_id"))
        .optional(Field::Symbol, report.text("instrument_id"))
        .optional(Field::Side, side_of(report));
    let draft = match kind {
        "order_accepted" => draft.optional(Field::VenueOrderId, report.text("venue_order_id")),
        "order_expired" => draft,
        _ => draft.prose(Field::Reason, report.text("cancel_reason"), text_max),
    };
    out.emit(dated(draft, report, time));
}

/// An execution, as the venue reports it.
pub(super) fn fill(report: &ForeignObject<'_>, out: &mut Translation<'_>) {
    let Some(order_id) = id_of(report) else { return out.refuse(missing_order_id()) };
    let draft = about("order_filled", report).text(Field::OrderId, &order_id);
    out.emit(execution(draft, report));
}

/// The engine's id of the order; that of the venue if the engine did not send it.
fn id_of(report: &ForeignObject<'_>) -> Option<String> {
    let id = report.text("client_order_id").or_else(|| report.id("venue_order_id"));
    id.map(String::from)
}
