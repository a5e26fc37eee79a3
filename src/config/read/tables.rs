//! `csv`: the meaning of tables of comma-separated values.
//!
//! Invariants: a mapping names only types and fields that exist; no two have the same name.

use std::sync::Arc;

use super::MAPPINGS_MAX;
use crate::adapters::{CsvField, CsvMapping, CsvRowType};
use crate::config::scalar::{ValueError, choice, count, flag, name, text};
use crate::config::section::{Section, SectionPlace};
use crate::config::yaml::YamlNode;
use crate::domain::ids::Symbol;

/// Words of one mapping, at most.
const WORDS_MAX: usize = 64;

/// Reads the list.
pub(super) fn read(root: &mut Section<'_>) -> Vec<Arc<CsvMapping>> {
    let mappings = root.list("csv", MAPPINGS_MAX, mapping);
    for (index, (mapping, place)) in mappings.iter().enumerate() {
        if mappings.iter().take(index).any(|(other, _)| other.name == mapping.name) {
            let message = "another mapping has the same name";
            root.report().add(&format!("{}.name", place.path), Some(place.line), message);
        }
    }
    mappings.into_iter().map(|(mapping, _)| Arc::new(mapping)).collect()
}

fn mapping(s: &mut Section<'_>) -> Option<(CsvMapping, SectionPlace)> {
    let own = s.require("name", |node| name(Symbol::new)(node).map(|n| n.as_str().to_owned()));
    let mut mapping = CsvMapping::default();
    s.set("delimiter", &mut mapping.delimiter, delimiter);
    s.set("skip_lines", &mut mapping.skip_lines, count(0..=1000));
    s.set("decimal_comma", &mut mapping.decimal_comma, flag);
    s.set("signed_quantity", &mut mapping.signed_quantity, flag);
    mapping.columns = s.named("columns", WORDS_MAX, |field, node| {
        let field = CsvField::of(field)
            .ok_or_else(|| ValueError(String::from("is no field that a table can have")))?;
        Ok((field, text(node)?.to_owned()))
    });
    mapping.sides = s.named("sides", WORDS_MAX, |word, node| Ok((word.to_owned(), choice(node)?)));
    let rows = rows(s);
    let (mut format, mut zone) = (None, None);
    s.set("time_format", &mut format, |node| Ok(Some(text(node)?.to_owned())));
    s.set("time_zone", &mut zone, |node| Ok(Some(text(node)?.to_owned())));
    if let Err(why) = mapping.set_times(format, zone.as_deref()) {
        s.wrong("time_zone", why);
    }
    Some((CsvMapping { name: own?, rows: rows?, ..mapping }, s.place()))
}

fn rows(s: &mut Section<'_>) -> Option<CsvRowType> {
    let (mut fixed, mut column) = (None, None);
    s.set("type", &mut fixed, |node| kind(node).map(Some));
    s.set("type_column", &mut column, |node| Ok(Some(text(node)?.to_owned())));
    let words = s.named("types", WORDS_MAX, |word, node| Ok((word.to_owned(), kind(node)?)));
    match (fixed, column) {
        (Some(kind), None) if words.is_empty() => Some(CsvRowType::Fixed(kind)),
        (None, Some(column)) => Some(CsvRowType::Column { column, words }),
        _ => {
            s.wrong_here("must have either type, or type_column and perhaps types");
            None
        }
    }
}

fn kind(node: &YamlNode) -> Result<&'static str, ValueError> {
    CsvRowType::kind(text(node)?).ok_or_else(|| ValueError::must("the type of an event"))
}

fn delimiter(node: &YamlNode) -> Result<u8, ValueError> {
    match text(node)?.as_bytes() {
        b"tab" => Ok(b'\t'),
        [one] if one.is_ascii_punctuation() || *one == b'\t' => Ok(*one),
        _ => Err(ValueError::must("one ASCII character of punctuation, or tab")),
    }
}
