//! The value of an expression, as rows.
//!
//! Invariants: a row without a symbol or a quantity costs the whole list, because the symbol would look
//! flat; so does a field that is not known, because a price could be meant.

use std::fmt::Display;

use jaq_json::{Num, Val};

use super::ExpressionRow;

/// Rows of one list, at most.
const ROWS_MAX: usize = 50_000;
/// Bytes of a text that a message repeats.
const SHOWN_BYTES_MAX: usize = 200;
/// Digits that a floating-point number holds exactly. A decimal with more of them was rounded.
const DIGITS_EXACT: usize = 15;

/// The rows of an array of objects.
///
/// # Errors
/// The row and what is wrong with it.
pub(super) fn of(value: &Val) -> Result<Vec<ExpressionRow>, String> {
    let Val::Arr(items) = value else {
        return Err(format!("the expression gives {}, not an array", cut(value)));
    };
    if items.len() > ROWS_MAX {
        return Err(format!("the expression gives more than {ROWS_MAX} rows"));
    }
    let numbered = items.iter().enumerate();
    let rows = numbered.map(|(index, item)| row(item).map_err(|why| format!("row {index}: {why}")));
    rows.collect()
}

fn row(value: &Val) -> Result<ExpressionRow, String> {
    let Val::Obj(members) = value else {
        return Err(format!("{} is not an object", cut(value)));
    };
    let (mut symbol, mut quantity, mut average_price, mut market_price) = (None, None, None, None);
    for (name, value) in members.iter() {
        let name = text_of(name).unwrap_or_default();
        let of = |why: String| format!("{name}: {why}");
        match name.as_str() {
            "symbol" => {
                symbol = Some(text_of(value).ok_or_else(|| of(String::from("is no text")))?);
            }
            "quantity" => quantity = Some(number_of(value).map_err(of)?),
            "average_price" => average_price = price_of(value).map_err(of)?,
            "market_price" => market_price = price_of(value).map_err(of)?,
            _ => return Err(format!("{name} is not a field of a row")),
        }
    }
    let symbol = symbol.filter(|symbol| !symbol.is_empty()).ok_or("symbol is missing")?;
    let quantity = quantity.ok_or_else(|| format!("{symbol}: quantity is missing"))?;
    Ok(ExpressionRow { symbol, quantity, average_price, market_price })
}

/// A price; nothing for null, an empty text, and 0, with which APIs mean that there is none.
fn price_of(value: &Val) -> Result<Option<String>, String> {
    let is_empty = text_of(value).is_some_and(|text| text.trim().is_empty());
    if is_empty || matches!(value, Val::Null) {
        return Ok(None);
    }
    let number = number_of(value)?;
    Ok(number.contains(|c: char| matches!(c, '1'..='9')).then_some(number))
}

fn text_of(value: &Val) -> Option<String> {
    match value {
        Val::TStr(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::Arr(_) | Val::Obj(_) => None,
    }
}

/// The digits of a number, or of a text that is one.
///
/// # Errors
/// That it is none, or that it was rounded.
pub(super) fn number_of(value: &Val) -> Result<String, String> {
    match value {
        Val::Num(Num::Int(number)) => Ok(number.to_string()),
        Val::Num(Num::BigInt(number)) => Ok(number.to_string()),
        Val::Num(Num::Dec(text)) => Ok(text.to_string()),
        Val::Num(Num::Float(number)) => exact_float(*number),
        Val::TStr(bytes) => {
            let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
            let is_number = !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
                && text.bytes().any(|b| b.is_ascii_digit());
            is_number.then(|| text.to_owned()).ok_or_else(|| format!("{} is no number", cut(value)))
        }
        Val::Null | Val::Bool(_) | Val::BStr(_) | Val::Arr(_) | Val::Obj(_) => {
            Err(format!("{} is no number", cut(value)))
        }
    }
}

/// A result of arithmetic, if its digits show that nothing was rounded.
fn exact_float(number: f64) -> Result<String, String> {
    let text = number.to_string();
    let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|b| *b == b'0');
    let significant = text.trim_end_matches('0').len().min(digits.count());
    if !number.is_finite() || significant > DIGITS_EXACT {
        return Err(format!(
            "{text} was rounded: use negate and exact_sum, or the text of the number"
        ));
    }
    Ok(text)
}

/// A value for a message, not longer than people read.
pub(super) fn cut(value: &impl Display) -> String {
    let text: String = value.to_string().chars().filter(|c| !c.is_control()).collect();
    match text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)) {
        Some(short) if short.len() < text.len() => format!("{short}..."),
        _ => text,
    }
}
