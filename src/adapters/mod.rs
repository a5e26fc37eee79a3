//! Adapters: messages of other systems, translated into events.
//!
//! Input: the body of a request, whole and in memory, in the format of the system that sent it; what the
//! state knows. Output: the events of the contract, the messages that say nothing here, and an error for
//! each message that cannot be translated. Invariants: pure; a message that cannot be translated costs no
//! other one its place; what a format does not tell is absent, never invented; no input panics. Absent:
//! HTTP, a clock, a second way to make events. An adapter writes the JSON of `crate::wire`, whose decoder
//! checks it like that of any other sender.
//!
//! # Design
//!
//! - *One file for each system*, and none imports another. What they share: `body` splits a body into
//!   messages, `foreign` reads one, `draft` writes an event, `translation` collects.
//! - *Duplicates* are recognised by the fold. So each event gets an id that is made from the message
//!   alone: an id of the system if there is one, else a digest of the text.
//! - *What the state knows* is an argument ([`KnownState`]), because some formats leave out what only an
//!   earlier message told. Events are resolved before they are journaled, so a replay needs no adapter.
//! - *Notes.* What an adapter must remember beside events (an order that was announced and not submitted
//!   yet) is a note: a record of the journal and a part of the state like any other.
//! - *Rejected:* a state of its own for each adapter. It would have to survive a restart with the same
//!   care as the journal.

mod body;
mod foreign;
mod draft;
mod known;
mod translation;
mod listed;
mod alpaca;
mod csv;
mod fix;
mod freqtrade;
mod hummingbot;
mod lean;
mod nautilus;
mod tradingview;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::closed_set::closed_set;
use crate::domain::event::Source;
use crate::domain::ids::Account;
use crate::wire::contract::error::BodyError;
use crate::wire::decode::DecodeLimits;

pub use csv::{CsvField, CsvMapping, CsvRowType};
pub use known::{HeldBook, HeldOrder, KnownState, NothingKnown};
pub use listed::{ListedPosition, position_list};
pub use translation::{AdaptedBody, IgnoredMessage};

use foreign::ForeignMessage;
use translation::Translation;

closed_set! {
    /// A system whose messages are accepted as they are.
    pub enum AdapterName {
        /// Alpaca: `trade_updates` of its stream, and the list of `/v2/positions`.
        Alpaca = "alpaca",
        /// Tables of comma-separated values, whose columns a [`CsvMapping`] explains.
        Csv = "csv",
        /// FIX 4.2 and 4.4: orders, execution reports, position reports.
        Fix = "fix",
        /// Freqtrade: its webhook, as JSON, URL-encoded fields or raw text.
        Freqtrade = "freqtrade",
        /// Hummingbot: payloads of its MQTT topics.
        Hummingbot = "hummingbot",
        /// LEAN: order events and holdings.
        Lean = "lean",
        /// NautilusTrader: order and position events, and reports of venues.
        Nautilus = "nautilus",
        /// `TradingView`: alerts of a strategy.
        Tradingview = "tradingview",
    }
}

/// The options of a request to an adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterOptions {
    /// The account of every event, instead of the one that a message names.
    pub account: Option<Account>,
    /// The side that reports the positions, instead of the usual one of the format.
    pub role: Option<Source>,
    /// The meaning of the columns of a table.
    pub csv: Arc<CsvMapping>,
}

/// The form of a body, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignForm {
    /// URL-encoded fields: `application/x-www-form-urlencoded`.
    Fields,
    /// Anything else. The text itself shows what it is.
    Text,
}

/// Translates a body.
///
/// # Errors
/// See [`BodyError`]. A message that cannot be translated is refused alone.
pub fn adapt(
    name: AdapterName,
    (body, form): (&[u8], ForeignForm),
    options: &AdapterOptions,
    state: &dyn KnownState,
    limits: &DecodeLimits,
) -> Result<AdaptedBody, BodyError> {
    let mut translation = Translation::new(options, state, limits);
    match reader(name) {
        Reader::Fix => fix::read(body::text_of(body)?, &mut translation)?,
        Reader::Csv => csv::read(body::text_of(body)?, &options.csv, &mut translation)?,
        Reader::Json { read, takes_lists } => {
            let text = body::text_of(body)?;
            let text = body::without_literals(&body::as_json(text, form)).into_owned();
            let messages = match body::json_messages(&text, takes_lists, limits) {
                Err(BodyError::Syntax(_) | BodyError::NotAnObject) if has_free_text(name) => {
                    translation.begin()?;
                    translation.ignore("a text that is not JSON");
                    Vec::new()
                }
                split => split?,
            };
            for message in messages {
                translation.begin()?;
                match message {
                    Ok(message) => read(&message, &mut translation),
                    Err(flaw) => translation.refuse(flaw),
                }
            }
        }
    }
    translation.finish()
}

/// Translates one JSON message.
type JsonReader = fn(&ForeignMessage<'_>, &mut Translation<'_>);

/// Whether the messages of a system are whatever its users write.
fn has_free_text(name: AdapterName) -> bool {
    name == AdapterName::Tradingview
}

/// How an adapter reads a body.
enum Reader {
    /// FIX messages, one after the other.
    Fix,
    /// A table.
    Csv,
    /// One JSON message after the other. `takes_lists`: whether an array may be one message.
    Json { read: JsonReader, takes_lists: fn(&str) -> bool },
}

fn reader(name: AdapterName) -> Reader {
    let (read, takes_lists): (JsonReader, fn(&str) -> bool) = match name {
        AdapterName::Csv => return Reader::Csv,
        AdapterName::Fix => return Reader::Fix,
        AdapterName::Alpaca => (alpaca::read, alpaca::is_position_list),
        AdapterName::Freqtrade => (freqtrade::read, never),
        AdapterName::Hummingbot => (hummingbot::read, never),
        AdapterName::Lean => (lean::read, never),
        AdapterName::Nautilus => (nautilus::read, never),
        AdapterName::Tradingview => (tradingview::read, never),
    };
    Reader::Json { read, takes_lists }
}

/// For formats in which an array is one message after the other.
fn never(_: &str) -> bool {
    false
}
