//! Tables of comma-separated values: statements of brokers, logs of engines.
//!
//! Input: a table with a header, and a [`CsvMapping`]. Output: an event for each row; rows about positions
//! become one list for each account. Invariants: a row that cannot be read is refused alone, and makes its
//! list incomplete; a table without rows says nothing, so an empty export is never flat. Absent: tables
//! without a header.
//!
//! # Design
//!
//! - *Event ids*, where no column has them, are digests of the row, and of its number among equal rows of
//!   the table: two equal fills of one second are two, and the same table sent again is a duplicate. A
//!   table that was cut between equal rows is not recognised, so map `fill_id` where there is one.
//! - *Rejected:* guessing columns from their names. A wrong guess is a wrong figure.

mod cell;
mod mapping;

use std::borrow::Cow;
use std::collections::BTreeMap;

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::foreign::number_token;
use crate::adapters::translation::Translation;
use crate::domain::digest::digest_of;
use crate::domain::event::Source;
use crate::domain::units::Side;
use crate::wire::contract::error::{BodyError, FieldCode, Flaw};
use crate::wire::contract::field::Field;

pub use mapping::{CsvField, CsvMapping, CsvRowType};

use mapping::CsvForm;

/// The type whose rows become one list.
const POSITIONS: &str = "positions";

/// The header of a table, as the mapping reads it.
struct CsvHeader {
    columns: usize,
    kind: Option<usize>,
    fields: Vec<(CsvField, usize)>,
}

/// Rows of a table so far.
struct CsvTable<'a> {
    mapping: &'a CsvMapping,
    header: CsvHeader,
    /// Whether the rows' own accounts do not count, because the request names one.
    has_account: bool,
    /// The number of rows of each list of positions, by the account that the rows name.
    list_rows: BTreeMap<String, usize>,
    /// The time of each list, as its first row has it.
    list_times: BTreeMap<String, String>,
    /// Rows that cannot be read: they may belong to any list.
    damaged: usize,
    /// How often each row occurred.
    occurrences: BTreeMap<u128, usize>,
}

/// Translates a table.
///
/// # Errors
/// [`BodyError::Table`] when the header does not fit the mapping.
pub(super) fn read(
    text: &str,
    mapping: &CsvMapping,
    out: &mut Translation<'_>,
) -> Result<(), BodyError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.match_indices('\n').nth(mapping.skip_lines.wrapping_sub(1));
    let text = match start {
        Some((end, _)) => text.get(end + 1..).unwrap_or_default(),
        None if mapping.skip_lines > 0 => "",
        None => text,
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(mapping.delimiter)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let names = reader.headers().map_err(|e| BodyError::Table(e.to_string()))?.clone();
    let header = header(&names, mapping)?;
    let rows: Vec<Result<StringRecord, csv::Error>> =
        reader.records().take(out.messages_max().saturating_add(1)).collect();
    let mut table = CsvTable {
        mapping,
        header,
        has_account: out.has_account(),
        list_rows: BTreeMap::new(),
        list_times: BTreeMap::new(),
        // A quote without its end swallows rows, and the last row of a table that was cut has lost its end.
        damaged: usize::from(text.matches('"').count() % 2 == 1 || !text.ends_with('\n')),
        occurrences: BTreeMap::new(),
    };
    for row in &rows {
        table.count(row.as_ref().ok());
    }
    for row in &rows {
        out.begin()?;
        let done = match row {
            Ok(row) => table.row(row, out),
            Err(error) => Err(Flaw::whole(FieldCode::InvalidEvent, error.to_string())),
        };
        if let Err(flaw) = done {
            out.refuse(flaw);
        }
    }
    Ok(())
}

fn contradiction() -> Flaw {
    let why = "has a sign that contradicts the side";
    Flaw::of(Field::Quantity, FieldCode::InvalidQuantity, why)
}

fn header(names: &StringRecord, mapping: &CsvMapping) -> Result<CsvHeader, BodyError> {
    let place = |column: &str| {
        let mut found =
            names.iter().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(column.trim()));
        match (found.next(), found.next()) {
            (Some((at, _)), None) => Ok(at),
            (None, _) => Err(BodyError::Table(format!("the header has no column {column:?}"))),
            _ => Err(BodyError::Table(format!("the header has the column {column:?} twice"))),
        }
    };
    let kind = match &mapping.rows {
        CsvRowType::Fixed(_) => None,
        CsvRowType::Column { column, .. } => Some(place(column)?),
    };
    let mut fields = Vec::new();
    if mapping.columns.is_empty() {
        for (at, name) in names.iter().enumerate() {
            if Some(at) == kind || name.starts_with("x_") {
                continue;
            }
            let field = CsvField::of(name).ok_or_else(|| {
                BodyError::Table(format!("the column {name:?} is no field of a table: map it"))
            })?;
            fields.push((field, place(name)?));
        }
    }
    for (field, column) in &mapping.columns {
        fields.push((*field, place(column)?));
    }
    Ok(CsvHeader { columns: names.len(), kind, fields })
}

impl CsvTable<'_> {
    /// The value of a field in a row; `None` if it is empty.
    fn value<'r>(&self, row: &'r StringRecord, field: Field) -> Option<&'r str> {
        let (_, at) = self.header.fields.iter().find(|(known, _)| known.field == field)?;
        row.get(*at).filter(|value| !value.is_empty())
    }

    /// The type of a row. `None`: the row says nothing here.
    fn kind(&self, row: &StringRecord) -> Result<Option<&'static str>, Flaw> {
        let CsvRowType::Column { words, .. } = &self.mapping.rows else {
            let CsvRowType::Fixed(kind) = self.mapping.rows else { return Ok(None) };
            return Ok(Some(kind));
        };
        let word = self.header.kind.and_then(|at| row.get(at)).unwrap_or_default();
        if words.is_empty() {
            let unknown =
                || Flaw::of(Field::Type, FieldCode::UnknownType, "is no type of an event");
            return CsvRowType::kind(word).map(Some).ok_or_else(unknown);
        }
        let known = words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        Ok(known.map(|(_, kind)| *kind))
    }

    /// Counts a row that belongs to a list, or may belong to one.
    fn count(&mut self, row: Option<&StringRecord>) {
        let Some(row) = row.filter(|row| row.len() == self.header.columns) else {
            self.damaged += 1;
            return;
        };
        match self.kind(row) {
            Ok(Some(POSITIONS)) => {
                let account = self.account(row).unwrap_or_default().to_owned();
                *self.list_rows.entry(account).or_default() += 1;
            }
            Ok(_) => {}
            Err(_) => self.damaged += 1,
        }
    }

    /// The account that a row names, where it counts.
    fn account<'r>(&self, row: &'r StringRecord) -> Option<&'r str> {
        self.value(row, Field::Account).filter(|_| !self.has_account)
    }

    /// Translates one row.
    fn row(&mut self, row: &StringRecord, out: &mut Translation<'_>) -> Result<(), Flaw> {
        if row.len() != self.header.columns {
            let why = format!("has {} columns, the header {}", row.len(), self.header.columns);
            return Err(Flaw::whole(FieldCode::InvalidEvent, why));
        }
        let Some(kind) = self.kind(row)? else {
            out.ignore("its word is no type of the mapping");
            return Ok(());
        };
        let mut draft = EventDraft::new(kind).account(self.account(row));
        if kind == POSITIONS {
            let position = self.position(row)?;
            let account = self.account(row).unwrap_or_default();
            let time = self.value(row, Field::Time).unwrap_or_default().to_owned();
            if *self.list_times.entry(account.to_owned()).or_insert_with(|| time.clone()) != time {
                let why = "differs from that of the first row: a list has one time";
                return Err(Flaw::of(Field::Time, FieldCode::InvalidTime, why));
            }
            let head = self.list_head(draft, row, out)?;
            let complete_at = self.list_rows.get(account).map(|rows| rows + self.damaged);
            out.row(String::from(POSITIONS), complete_at, (head, position));
            return Ok(());
        }
        let mut side = match self.value(row, Field::Side) {
            None => None,
            Some(word) => Some(self.side(word)?),
        };
        for (CsvField { field, form }, at) in &self.header.fields {
            let value = row.get(*at).unwrap_or_default();
            if value.is_empty() || matches!(field, Field::Account | Field::Side | Field::EventId) {
                continue;
            }
            draft = match form {
                CsvForm::Text => draft.text(*field, value),
                CsvForm::Flag => {
                    let wrong =
                        || Flaw::of(*field, FieldCode::InvalidValue, "is neither yes nor no");
                    draft.mark(*field, cell::flag(value).ok_or_else(wrong)?)
                }
                CsvForm::Time => self.time(draft, value)?,
                CsvForm::Number if *field == Field::Quantity && kind != "position_adjusted" => {
                    let number = self.number(*field, value)?;
                    let (quantity, signed) = self.quantity(&number, side)?;
                    side = signed;
                    draft.number(*field, Some(quantity))
                }
                CsvForm::Number => draft.number(*field, Some(self.number(*field, value)?)),
            };
        }
        let draft = draft.optional(Field::Side, side.map(Side::as_str));
        let id = self.event_id(row);
        out.emit(draft.text(Field::EventId, &id));
        Ok(())
    }

    /// The number in a cell, in the grammar of JSON.
    fn number<'c>(&self, field: Field, value: &'c str) -> Result<Cow<'c, str>, Flaw> {
        let number = cell::number(value, self.mapping.decimal_comma);
        number.filter(|number| number_token(number).is_some()).ok_or_else(|| {
            let why = "is no number with the separators of the mapping";
            Flaw::of(field, FieldCode::InvalidNumber, why)
        })
    }

    fn side(&self, word: &str) -> Result<Side, Flaw> {
        let wrong =
            || Flaw::of(Field::Side, FieldCode::InvalidValue, "is no word for a side: map it");
        cell::side(word, &self.mapping.sides).ok_or_else(wrong)
    }

    /// The amount and the side of a quantity that may have a sign.
    fn quantity<'n>(
        &self,
        number: &'n str,
        side: Option<Side>,
    ) -> Result<(&'n str, Option<Side>), Flaw> {
        let amount = number.strip_prefix('-');
        if !self.mapping.signed_quantity && amount.is_none() {
            return Ok((number, side));
        }
        let signed = if amount.is_some() { Side::Sell } else { Side::Buy };
        match side {
            Some(side) if side != signed => Err(contradiction()),
            None if !self.mapping.signed_quantity => Ok((number, None)),
            _ => Ok((amount.unwrap_or(number), Some(signed))),
        }
    }

    fn time(&self, draft: EventDraft, value: &str) -> Result<EventDraft, Flaw> {
        if !self.mapping.times.has_format()
            && let Some(number) = number_token(value)
        {
            return Ok(draft.number(Field::Time, Some(number)));
        }
        let time = self.mapping.times.read(value).ok_or_else(|| {
            let why = "has another format, or no time zone: map it";
            Flaw::of(Field::Time, FieldCode::InvalidTime, why)
        })?;
        Ok(draft.number(Field::TimeNs, Some(time.as_nanos().to_string())))
    }

    /// The envelope of a list of positions, made of its first row. It has no id: a list that is sent
    /// again says that nothing has changed since.
    fn list_head(
        &self,
        draft: EventDraft,
        row: &StringRecord,
        out: &Translation<'_>,
    ) -> Result<EventDraft, Flaw> {
        let draft = draft.text(Field::Source, out.role(Source::Broker).as_str());
        match self.value(row, Field::Time) {
            Some(time) => self.time(draft, time),
            None => Ok(draft),
        }
    }

    fn position(&self, row: &StringRecord) -> Result<DraftRow, Flaw> {
        let number = |field| {
            let value = self.value(row, field).map(|value| self.number(field, value));
            value.transpose().map(|number| number.map(Cow::into_owned))
        };
        let missing = |field| Flaw::of(field, FieldCode::MissingField, "is required");
        let quantity = number(Field::Quantity)?.ok_or_else(|| missing(Field::Quantity))?;
        let side = match self.value(row, Field::Side) {
            None => None,
            Some(word) if word.eq_ignore_ascii_case("long") => Some(Side::Buy),
            Some(word) if word.eq_ignore_ascii_case("short") => Some(Side::Sell),
            Some(word) => Some(self.side(word)?),
        };
        let quantity = match (side, quantity.starts_with('-')) {
            (Some(Side::Sell), false) => format!("-{quantity}"),
            (Some(Side::Buy), true) => return Err(contradiction()),
            _ => quantity,
        };
        let symbol = self.value(row, Field::Symbol).ok_or_else(|| missing(Field::Symbol))?;
        Ok(DraftRow {
            symbol: symbol.to_owned(),
            quantity,
            average_price: number(Field::AveragePrice)?,
            market_price: number(Field::MarketPrice)?,
        })
    }

    /// The id of a row's event.
    fn event_id(&mut self, row: &StringRecord) -> String {
        if let Some(id) = self.value(row, Field::EventId) {
            return id.to_owned();
        }
        let cells: Vec<&str> = row.iter().collect();
        let digest = digest_of(&(self.mapping.name.as_str(), cells));
        let number = self.occurrences.entry(digest).or_default();
        *number += 1;
        if *number == 1 {
            format!("csv:{digest:032x}")
        } else {
            format!("csv:{digest:032x}:{number}")
        }
    }
}
