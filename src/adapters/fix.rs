//! FIX 4.2 and 4.4: orders, execution reports, position reports.
//!
//! Input: messages one after the other, with SOH or `|`. Output: facts of orders; lists of the broker.
//! Invariants: an order is known by its `ClOrdID` (11) and a replace is one order; an execution by its
//! `ExecID` (17); `CumQty` and `AvgPx` are not used. Absent: sessions, sequence numbers, requests that a
//! venue has not answered.
//!
//! # Design
//!
//! - *Version 4.2* says what a report does in `ExecTransType` (20): new, cancel, correct, status. Its
//!   executions have the `ExecType` 1 and 2; version 4.4 has F, G and H.
//! - *Cancels* come with the id of the request in 11 and that of the order in 41.
//! - *Interactive Brokers* gives a correction the id of the execution, with another number after the last
//!   dot (`0000e0d5.6578abcd.01.02`). So that number is cut off, and from 02 on it is a correction.
//! - *A submission* is the client's `NewOrderSingle`, or a report `PendingNew` of an order of which none is
//!   known. `New` is not: a submission dated at its acceptance would be a latency of nothing.
//! - *Reject reasons* come from `OrdRejReason` (103); the text (58) is for people.

mod message;
mod positions;

use std::fmt::Write as _;

use crate::adapters::draft::EventDraft;
use crate::adapters::foreign::{decimal, is_zero};
use crate::adapters::known::HeldOrder;
use crate::adapters::translation::Translation;
use crate::wire::contract::error::{BodyError, FieldCode, Flaw};
use crate::wire::contract::field::Field;

use message::{FixMessage, split, timestamp};

/// `OrdRejReason` as the reason that it is here.
const REJECT_REASONS: &[(&str, &str)] = &[
    ("1", "unknown_symbol"),
    ("2", "market_closed"),
    ("3", "risk_limit"),
    ("6", "duplicate_id"),
    ("13", "invalid_quantity"),
    ("14", "invalid_quantity"),
    ("16", "invalid_price"),
];

/// `OrdType` in words.
const ORDER_TYPES: &[(&str, &str)] =
    &[("1", "market"), ("2", "limit"), ("3", "stop"), ("4", "stop_limit"), ("P", "pegged")];

/// `TimeInForce` in words.
const TIMES_IN_FORCE: &[(&str, &str)] = &[
    ("0", "day"),
    ("1", "gtc"),
    ("2", "opg"),
    ("3", "ioc"),
    ("4", "fok"),
    ("6", "gtd"),
    ("7", "cls"),
];

/// Translates a body.
///
/// # Errors
/// [`BodyError::Syntax`] when it has no message.
pub(super) fn read(text: &str, out: &mut Translation<'_>) -> Result<(), BodyError> {
    let messages = split(text);
    if messages.is_empty() {
        return Err(BodyError::Syntax(String::from("no message begins with 8=FIX")));
    }
    for message in &messages {
        out.begin()?;
        if message.has_wrong_checksum() {
            out.refuse(Flaw::whole(FieldCode::InvalidEvent, "has a wrong checksum"));
            continue;
        }
        match message.get(35) {
            Some("D") => order_single(message, out),
            Some("8") => execution_report(message, out),
            Some("AP") => positions::report(message, out),
            Some("AO") => positions::acknowledgement(message, out),
            Some("0") => {
                let draft = EventDraft::new("heartbeat").text(Field::Component, "broker");
                out.emit(draft.optional(Field::Time, message.get(52).and_then(timestamp)));
            }
            Some("9") => out.ignore("a refused cancel or replace changes no order"),
            Some(kind) => out.ignore(format!("the type {kind} changes no order")),
            None => out.refuse(Flaw::whole(FieldCode::UnknownType, "has no MsgType (35)")),
        }
    }
    Ok(())
}

fn in_words<'w>(words: &[(&str, &'w str)], value: Option<&'w str>) -> Option<&'w str> {
    let value = value?;
    let found = words.iter().find(|(known, _)| *known == value);
    Some(found.map_or(value, |(_, word)| *word))
}

fn side(message: &FixMessage<'_>) -> Option<&'static str> {
    match message.get(54)? {
        "1" | "3" => Some("buy"),
        "2" | "4" | "5" | "6" => Some("sell"),
        _ => None,
    }
}

/// The instrument. An option or a future is named by its underlying in 55, so the rest is added.
fn symbol(message: &FixMessage<'_>) -> Option<String> {
    let root = message.get(55)?;
    let maturity = message.get(541).or_else(|| message.get(200));
    let Some(maturity) = maturity.filter(|_| !root.contains(' ')) else {
        return Some(root.to_owned());
    };
    let mut name = format!("{root} {maturity}{}", message.get(205).unwrap_or_default());
    if let Some(strike) = message.get(202) {
        let right = match message.get(201) {
            Some("0") => "P",
            Some("1") => "C",
            _ => "",
        };
        // Writing into a string cannot fail.
        write!(name, " {right}{strike}").ok();
    }
    Some(name)
}

/// Account, instrument, side and time.
fn about(kind: &'static str, message: &FixMessage<'_>) -> EventDraft {
    let time = message.get(60).or_else(|| message.get(52)).and_then(timestamp);
    EventDraft::new(kind)
        .account(message.get(1))
        .optional(Field::Symbol, symbol(message))
        .optional(Field::Side, side(message))
        .optional(Field::Venue, message.get(207))
        .optional(Field::Time, time)
}

fn order_single(message: &FixMessage<'_>, out: &mut Translation<'_>) {
    let Some(id) = message.get(11) else {
        return out.refuse(Flaw::of(Field::OrderId, FieldCode::MissingField, "is required"));
    };
    submission(message, id, out);
}

fn submission(message: &FixMessage<'_>, id: &str, out: &mut Translation<'_>) {
    let quantity = message.get(38).filter(|quantity| !is_zero(quantity));
    let draft = about("order_submitted", message)
        .text(Field::OrderId, id)
        .text(Field::EventId, &format!("{id}:submitted"))
        .number(Field::Quantity, quantity)
        .number(Field::Notional, message.get(152).filter(|_| quantity.is_none()))
        .optional(Field::OrderType, in_words(ORDER_TYPES, message.get(40)))
        .number(Field::LimitPrice, message.get(44).filter(|price| !is_zero(price)))
        .optional(Field::TimeInForce, in_words(TIMES_IN_FORCE, message.get(59)));
    out.emit(draft);
    let account = out.account(message.get(1)).to_owned();
    out.set_order(&account, id, HeldOrder { is_submitted: true, ..HeldOrder::default() });
}

fn execution_report(message: &FixMessage<'_>, out: &mut Translation<'_>) {
    let ids = (message.get(11), message.get(41), message.get(37));
    let (current, original) = match ids {
        (Some(current), original, _) => (current, original),
        (None, Some(original), _) => (original, None),
        // An order that the engine did not send.
        (None, None, Some(venue)) => (venue, None),
        (None, None, None) => {
            return out.refuse(Flaw::of(Field::OrderId, FieldCode::MissingField, "is required"));
        }
    };
    let report = ExecutionReport { message, current, original };
    match (message.get(20), message.get(150)) {
        (Some("3"), _) | (_, Some("I")) => out.ignore("a status changes no order"),
        (Some("1"), _) | (_, Some("H")) => report.busted(out),
        (Some("2"), _) | (_, Some("G")) => report.corrected(out),
        (_, Some("1" | "2" | "F")) => report.filled(out),
        (_, Some("A")) => report.pending(out),
        (_, Some("0")) => {
            let venue = message.get(37);
            out.emit(report.fact("order_accepted", current).optional(Field::VenueOrderId, venue));
        }
        (_, Some("4")) => report.cancelled(out),
        (_, Some("5")) => report.replaced(out),
        (_, Some("D")) => {
            let draft = report.fact("order_replaced", current);
            let draft = draft.number(Field::Quantity, message.get(38).filter(|q| !is_zero(q)));
            out.emit(draft.number(Field::LimitPrice, message.get(44).filter(|p| !is_zero(p))));
        }
        (_, Some("8")) => report.rejected(out),
        (_, Some("C")) => {
            out.emit(report.fact("order_expired", original.unwrap_or(current)));
        }
        (_, Some(other)) => out.ignore(format!("the ExecType {other} changes no order")),
        (_, None) => out.refuse(Flaw::whole(FieldCode::InvalidEvent, "has no ExecType (150)")),
    }
}

/// A report with the ids of its order: that of the last request, and the one before.
struct ExecutionReport<'t, 'o> {
    message: &'o FixMessage<'t>,
    current: &'o str,
    original: Option<&'o str>,
}

impl ExecutionReport<'_, '_> {
    fn fact(&self, kind: &'static str, order_id: &str) -> EventDraft {
        let draft = about(kind, self.message).text(Field::OrderId, order_id);
        // ExecID 0 is that of reports without an execution, in version 4.2.
        let id = self.message.get(17).filter(|id| *id != "0");
        draft.optional(Field::EventId, id)
    }

    fn pending(&self, out: &mut Translation<'_>) {
        let account = out.account(self.message.get(1)).to_owned();
        let known = out.order(&account, self.current);
        if self.original.is_some() || known.is_some_and(|order| order.is_submitted) {
            return out.ignore("the submission of the order is known");
        }
        submission(self.message, self.current, out);
    }

    fn filled(&self, out: &mut Translation<'_>) {
        let Some(id) = self.message.get(17) else {
            return out.refuse(Flaw::of(Field::FillId, FieldCode::MissingField, "is required"));
        };
        let (fill_id, revision) = interactive_brokers(id);
        if revision > 1 {
            return out.emit(self.amounts(self.fact("fill_corrected", self.current), fill_id));
        }
        let liquidity = match self.message.get(851) {
            Some("1") => Some("maker"),
            Some("2") => Some("taker"),
            _ => None,
        };
        let draft = self.amounts(self.fact("order_filled", self.current), fill_id);
        let is_final = self.message.get(39) == Some("2");
        out.emit(draft.optional(Field::Liquidity, liquidity).mark(Field::Final, is_final));
    }

    /// The members of an execution and of its correction.
    fn amounts(&self, draft: EventDraft, fill_id: &str) -> EventDraft {
        let fee = self.fee();
        draft
            .text(Field::FillId, fill_id)
            .number(Field::Quantity, self.message.get(32).or_else(|| self.message.get(38)))
            .number(Field::Price, self.message.get(31))
            .optional(Field::FeeCurrency, self.message.get(479).filter(|_| fee.is_some()))
            .number(Field::Fee, fee)
    }

    /// `Commission` (12): an amount, or one for each unit.
    fn fee(&self) -> Option<String> {
        let amount = self.message.get(12)?;
        match self.message.get(13) {
            None | Some("3") => Some(amount.to_owned()),
            Some("1") => {
                let fee = decimal(amount)?.checked_mul(decimal(self.message.get(32)?)?)?;
                Some(fee.normalize().to_string())
            }
            Some(_) => None,
        }
    }

    fn busted(&self, out: &mut Translation<'_>) {
        match self.message.get(19) {
            Some(id) => {
                let fact = self.fact("fill_busted", self.current);
                out.emit(fact.text(Field::FillId, interactive_brokers(id).0));
            }
            None => out.refuse(missing_reference()),
        }
    }

    fn corrected(&self, out: &mut Translation<'_>) {
        match self.message.get(19) {
            Some(id) => {
                let fact = self.fact("fill_corrected", self.current);
                out.emit(self.amounts(fact, interactive_brokers(id).0));
            }
            None => out.refuse(missing_reference()),
        }
    }

    fn cancelled(&self, out: &mut Translation<'_>) {
        // With the id of a request in 11, somebody asked for it.
        let (id, initiator) = match self.original {
            Some(original) => (original, "user"),
            None => (self.current, "venue"),
        };
        let text_max = out.text_max();
        let draft = self.fact("order_cancelled", id);
        let draft = draft.prose(Field::Reason, self.message.get(58), text_max);
        out.emit(draft.text(Field::Initiator, initiator));
    }

    fn replaced(&self, out: &mut Translation<'_>) {
        let draft = self.fact("order_replaced", self.original.unwrap_or(self.current));
        let new_id = self.original.map(|_| self.current);
        let draft = draft
            .optional(Field::NewOrderId, new_id)
            .number(Field::Quantity, self.message.get(38).filter(|q| !is_zero(q)))
            .number(Field::LimitPrice, self.message.get(44).filter(|p| !is_zero(p)));
        out.emit(draft);
    }

    fn rejected(&self, out: &mut Translation<'_>) {
        let code = self.message.get(103).and_then(|code| {
            REJECT_REASONS.iter().find(|(known, _)| *known == code).map(|(_, word)| *word)
        });
        let text_max = out.text_max();
        let draft = self.fact("order_rejected", self.current);
        let draft = draft.prose(Field::Reason, self.message.get(58), text_max);
        out.emit(draft.optional(Field::Code, code));
    }
}

fn missing_reference() -> Flaw {
    Flaw::of(Field::FillId, FieldCode::MissingField, "is required: ExecRefID (19)")
}

/// The id of an execution of Interactive Brokers without its revision, and that number. Another id is
/// whole, and its own first revision.
fn interactive_brokers(id: &str) -> (&str, u32) {
    let mut parts = id.split('.');
    let hex = |part: Option<&str>| {
        part.is_some_and(|p| p.len() == 8 && p.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let two = |part: Option<&str>| {
        part.is_some_and(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let has_form = hex(parts.next())
        && hex(parts.next())
        && two(parts.next())
        && two(parts.next())
        && parts.next().is_none();
    match id.rsplit_once('.').filter(|_| has_form) {
        Some((execution, revision)) => (execution, revision.parse().unwrap_or(1)),
        None => (id, 1),
    }
}
