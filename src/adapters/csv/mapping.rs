//! The meaning of the columns of a table.
//!
//! Input: names of columns, words, formats, from the configuration. Output: [`CsvMapping`]. Invariant: a
//! mapping names only types and fields that exist, and fields that a table can have.

use crate::domain::event::KINDS;
use crate::domain::units::Side;
use crate::wire::contract::field::Field;
use crate::wire::local_time::LocalTimeReader;

/// The meaning of the columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvMapping {
    /// Its name.
    pub name: String,
    /// Between columns: one ASCII character.
    pub delimiter: u8,
    /// Lines before the header.
    pub skip_lines: usize,
    /// The type of each row.
    pub rows: CsvRowType,
    /// Fields, and the columns that hold them. Empty: each column is named like its field.
    pub columns: Vec<(CsvField, String)>,
    /// Words for sides, beside the usual ones, without regard to case.
    pub sides: Vec<(String, Side)>,
    /// Whether the sign of a quantity is the side: negative sells.
    pub signed_quantity: bool,
    /// Whether numbers are written as `1.234,5`.
    pub decimal_comma: bool,
    /// Reads the times.
    pub times: LocalTimeReader,
}

/// The type of the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvRowType {
    /// All rows have this type: one of [`KINDS`].
    Fixed(&'static str),
    /// A column has a word for it.
    Column {
        /// The name of the column.
        column: String,
        /// Words and types, without regard to case. Rows with another word say nothing here. Empty: the
        /// words are the types.
        words: Vec<(String, &'static str)>,
    },
}

/// A field that a table can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvField {
    pub(super) field: Field,
    pub(super) form: CsvForm,
}

/// How the value of a field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CsvForm {
    Text,
    Number,
    Flag,
    Time,
}

impl CsvField {
    /// The field with this name. `None`: there is none, or a table cannot hold it.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let field = Field::of(name)?;
        let form = match field {
            Field::Type
            | Field::Source
            | Field::Positions
            | Field::Complete
            | Field::Status
            | Field::Error
            | Field::DirectiveId
            | Field::State
            | Field::Actor
            | Field::Epoch
            | Field::Causes
            | Field::Force
            | Field::Adopt => return None,
            Field::Time => CsvForm::Time,
            Field::Synthetic | Field::Final | Field::ReduceOnly => CsvForm::Flag,
            Field::Quantity
            | Field::Notional
            | Field::Price
            | Field::Fee
            | Field::ExpectedPrice
            | Field::DecisionPrice
            | Field::ArrivalPrice
            | Field::LimitPrice
            | Field::Bid
            | Field::Ask
            | Field::AveragePrice
            | Field::MarketPrice
            | Field::Equity
            | Field::Cash
            | Field::LatencySeconds
            | Field::IntervalSeconds => CsvForm::Number,
            Field::Account
            | Field::TimeNs
            | Field::EventId
            | Field::Session
            | Field::Strategy
            | Field::Venue
            | Field::OrderId
            | Field::Symbol
            | Field::Side
            | Field::FillId
            | Field::FeeCurrency
            | Field::Liquidity
            | Field::OrderType
            | Field::TimeInForce
            | Field::VenueOrderId
            | Field::NewOrderId
            | Field::Reason
            | Field::Code
            | Field::Initiator
            | Field::Currency
            | Field::Component
            | Field::Message => CsvForm::Text,
        };
        Some(Self { field, form })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.field.name()
    }
}

impl CsvRowType {
    /// The type of this name, with the lifetime of the list of types.
    #[must_use]
    pub fn kind(name: &str) -> Option<&'static str> {
        KINDS.into_iter().find(|kind| *kind == name)
    }
}

impl CsvMapping {
    /// Sets the format of times, in the manner of `strftime`, and the zone of those that name none.
    ///
    /// # Errors
    /// A sentence about a zone that does not exist.
    pub fn set_times(&mut self, format: Option<String>, zone: Option<&str>) -> Result<(), String> {
        self.times = LocalTimeReader::new(format, zone)?;
        Ok(())
    }
}

impl Default for CsvMapping {
    /// The header has the names of the contract, and a column `type`.
    fn default() -> Self {
        Self {
            name: String::new(),
            delimiter: b',',
            skip_lines: 0,
            rows: CsvRowType::Column { column: String::from("type"), words: Vec::new() },
            columns: Vec::new(),
            sides: Vec::new(),
            signed_quantity: false,
            decimal_comma: false,
            times: LocalTimeReader::default(),
        }
    }
}
