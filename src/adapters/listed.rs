//! The positions of one side, from rows that somebody else has read.
//!
//! Input: rows with texts for numbers. Output: one complete list, checked by the decoder of the contract.

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::translation::{AdaptedBody, Translation};
use crate::adapters::{AdapterOptions, NothingKnown};
use crate::domain::event::Source;
use crate::wire::contract::error::BodyError;
use crate::wire::contract::field::Field;
use crate::wire::decode::DecodeLimits;

/// One position of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPosition {
    /// The instrument.
    pub symbol: String,
    /// The signed quantity.
    pub quantity: String,
    /// The average entry price.
    pub average_price: Option<String>,
    /// The current price.
    pub market_price: Option<String>,
}

/// The complete list of positions of a side: the broker's, unless the options name another one.
///
/// # Errors
/// See [`BodyError`]. A list with a row that is refused is refused as a whole.
pub fn position_list(
    rows: Vec<ListedPosition>,
    options: &AdapterOptions,
    limits: &DecodeLimits,
) -> Result<AdaptedBody, BodyError> {
    let mut out = Translation::new(options, &NothingKnown, limits);
    out.begin()?;
    let rows: Vec<DraftRow> = rows.into_iter().map(draft).collect();
    let draft = EventDraft::new("positions")
        .text(Field::Source, out.role(Source::Broker).as_str())
        .rows(&rows);
    out.emit(draft);
    out.finish()
}

fn draft(row: ListedPosition) -> DraftRow {
    let ListedPosition { symbol, quantity, average_price, market_price } = row;
    DraftRow { symbol, quantity, average_price, market_price }
}
