//! Values in the cells of a table, as people and brokers write them.
//!
//! Input: the text of a cell. Output: a number in the grammar of JSON, a side, a flag. Invariant: what
//! cannot be read for certain is `None`, or goes on unchanged to the decoder, which refuses it.

use std::borrow::Cow;

use crate::domain::units::Side;

/// Words for sides that need no mapping, in small letters.
const SIDES: &[(&str, Side)] = &[
    ("buy", Side::Buy),
    ("b", Side::Buy),
    ("bot", Side::Buy),
    ("bought", Side::Buy),
    ("sell", Side::Sell),
    ("s", Side::Sell),
    ("sld", Side::Sell),
    ("sold", Side::Sell),
];

/// A number with a point, without separators of thousands. `(5)` is -5, as accountants write it. `None`: it
/// has separators where no number has them.
pub(super) fn number(text: &str, decimal_comma: bool) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let (sign, inner) = match text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => ("-", inner.trim()),
        None => ("", text),
    };
    let plain =
        if decimal_comma { with_point(inner, '.', ',') } else { with_point(inner, ',', '.') };
    let plain = plain?;
    Some(if sign.is_empty() { plain } else { Cow::Owned(format!("{sign}{plain}")) })
}

/// `None`: the separators do not stand between groups of three digits.
fn with_point(text: &str, thousands: char, point: char) -> Option<Cow<'_, str>> {
    let (whole, places) = match text.split_once(point) {
        Some((whole, places)) => (whole, Some(places)),
        None => (text, None),
    };
    let has_groups = whole.contains(thousands);
    if has_groups {
        let unsigned = whole.trim_start_matches(['-', '+']);
        let mut groups = unsigned.split(thousands);
        let first = groups.next().unwrap_or_default().len();
        let is_group = |group: &str| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit());
        // 0,125 has no thousands.
        let begins = !unsigned.starts_with('0') && (1..=3).contains(&first);
        if !begins || !groups.all(is_group) {
            return None;
        }
    }
    if places.is_some_and(|places| places.contains([thousands, point])) {
        return None;
    }
    if !has_groups && point == '.' {
        return Some(Cow::Borrowed(text));
    }
    let whole = whole.replace(thousands, "");
    Some(Cow::Owned(places.map_or_else(|| whole.clone(), |places| format!("{whole}.{places}"))))
}

/// A side; `own` are the words of the mapping.
pub(super) fn side(text: &str, own: &[(String, Side)]) -> Option<Side> {
    let own = own.iter().map(|(word, side)| (word.as_str(), *side));
    let mut words = own.chain(SIDES.iter().copied());
    words.find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, side)| side)
}

/// A mark; `None`: neither yes nor no.
pub(super) fn flag(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["true", "yes", "y", "1", "x"]) {
        return Some(true);
    }
    is(&["false", "no", "n", "0"]).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_their_separators_and_keep_their_digits() {
        let check = |text: &str, decimal_comma: bool, expect: &str| {
            let expect = (!expect.is_empty()).then_some(expect);
            assert_eq!(number(text, decimal_comma).as_deref(), expect, "{text}");
        };
        check("1234.50", false, "1234.50");
        check("1,234,567.5", false, "1234567.5");
        check("-1,234", false, "-1234");
        check("(1,234.5)", false, "-1234.5");
        check("12,34", false, "");
        check("1,2345", false, "");
        check("1.5,000", false, "");
        check(",123", false, "");
        check("0,125", false, "");
        check("0.125", true, "");
        check("1.234,5", true, "1234.5");
        check("0,00000001", true, "0.00000001");
        check("-1.234", true, "-1234");
        check("1.5", true, "");
        check("(0,5)", true, "-0.5");
        check("1,2,3", true, "");
        check("9.61e-06", false, "9.61e-06");
    }

    #[test]
    fn sides_and_flags_are_words() {
        let own = [(String::from("Kauf"), Side::Buy), (String::from("b"), Side::Sell)];
        assert_eq!(side("KAUF", &own), Some(Side::Buy));
        assert_eq!(side("B", &own), Some(Side::Sell));
        assert_eq!(side("SLD", &[]), Some(Side::Sell));
        assert_eq!(side("long", &[]), None);
        assert_eq!((flag("Yes"), flag("0"), flag("maybe")), (Some(true), Some(false), None));
    }
}
