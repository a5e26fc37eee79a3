//! Position reports of FIX: rows of the broker's list.
//!
//! Input: `PositionReport` (AP), `RequestForPositionsAck` (AO). Output: the list that the reports of one
//! body make. Invariants: only result 0 is a position and only result 2 is flat; every other one is a
//! failed query, which makes nothing flat. Absent: an average price. The report has a settlement price.
//!
//! # Design
//!
//! A list is one report for each position, and says in 727 how many there are. It is complete if all of
//! them are in one body and no symbol was asked for; else it speaks of its own symbols.

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::fix::message::{FixMessage, timestamp};
use crate::adapters::fix::symbol;
use crate::adapters::foreign::{decimal, is_zero};
use crate::adapters::translation::Translation;
use crate::domain::event::Source;
use crate::domain::units::Decimal;
use crate::wire::contract::error::{FieldCode, Flaw};
use crate::wire::contract::field::Field;

/// Position types (703) that are a whole, the most telling first.
const WHOLE: [&str; 3] = ["TOT", "FIN", "TQ"];

/// One report.
pub(super) fn report(message: &FixMessage<'_>, out: &mut Translation<'_>) {
    match message.get(728) {
        Some("0") => position(message, out),
        Some("2") => flat(message, out),
        other => failed(message, other, out),
    }
}

/// The answer to a query, before its reports.
pub(super) fn acknowledgement(message: &FixMessage<'_>, out: &mut Translation<'_>) {
    match message.get(728) {
        Some("0") => out.ignore("the reports of the query follow"),
        Some("2") => flat(message, out),
        other => failed(message, other, out),
    }
}

fn head(message: &FixMessage<'_>, out: &Translation<'_>) -> EventDraft {
    EventDraft::new("positions")
        .account(message.get(1))
        .text(Field::Source, out.role(Source::Broker).as_str())
        .optional(Field::Time, message.get(52).and_then(timestamp))
}

fn position(message: &FixMessage<'_>, out: &mut Translation<'_>) {
    let (Some(symbol), Some(quantity)) = (symbol(message), quantity(message)) else {
        let flaw =
            Flaw::of(Field::Positions, FieldCode::MissingField, "needs symbol and quantities");
        return out.refuse(flaw);
    };
    let row = DraftRow {
        symbol,
        quantity: quantity.normalize().to_string(),
        average_price: None,
        market_price: message.get(730).filter(|price| !is_zero(price)).map(str::to_owned),
    };
    let reports = message.get(727).and_then(|count| count.parse().ok());
    let request = message.get(710).unwrap_or_default().to_owned();
    let head = head(message, out);
    out.row(request, reports, (head, row));
}

/// No positions: of the symbol that was asked for, or of the account.
fn flat(message: &FixMessage<'_>, out: &mut Translation<'_>) {
    let rows: Vec<DraftRow> = symbol(message)
        .map(|symbol| DraftRow { symbol, quantity: String::from("0"), ..DraftRow::default() })
        .into_iter()
        .collect();
    let draft = head(message, out).complete(rows.is_empty()).rows(&rows);
    out.emit(draft);
}

fn failed(message: &FixMessage<'_>, result: Option<&str>, out: &mut Translation<'_>) {
    let why = message.get(58).map_or_else(
        || format!("the query of positions failed with the result {}", result.unwrap_or("(none)")),
        str::to_owned,
    );
    let text_max = out.text_max();
    let draft = head(message, out).text(Field::Status, "failed");
    out.emit(draft.prose(Field::Error, Some(why), text_max));
}

/// Long less short, of the position type that is a whole; of all types if none is.
fn quantity(message: &FixMessage<'_>) -> Option<Decimal> {
    let mut groups: Vec<(&str, Decimal)> = Vec::new();
    let mut any = false;
    for (tag, value) in message.fields() {
        match (tag, groups.last_mut()) {
            (703, _) => groups.push((value, Decimal::ZERO)),
            (704, Some((_, sum))) => {
                *sum = sum.saturating_add(decimal(value)?);
                any = true;
            }
            (705, Some((_, sum))) => {
                *sum = sum.saturating_sub(decimal(value)?);
                any = true;
            }
            _ => {}
        }
    }
    let whole = WHOLE.iter().find_map(|kind| {
        groups.iter().find(|(known, _)| known == kind).map(|(_, quantity)| *quantity)
    });
    let sum = || groups.iter().fold(Decimal::ZERO, |sum, (_, q)| sum.saturating_add(*q));
    any.then(|| whole.unwrap_or_else(sum))
}
