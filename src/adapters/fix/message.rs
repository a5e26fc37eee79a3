//! FIX messages in tag=value form, as text.
//!
//! Input: messages one after the other, with SOH or `|` between fields, and whatever a log has around
//! them. Output: the fields of each. Invariants: a text field keeps a `|` that no tag follows; a checksum
//! that is there must be right.
//!
//! # Design
//!
//! Lengths (tags 9 and 95) are not used: a log that writes `|` for SOH may also have cut or padded lines,
//! and a message ends where the next one begins. A checksum is that of the message with SOH, whatever the
//! text has instead. A message without one is accepted: copies often end before it.

use std::borrow::Cow;

/// The separator of the standard.
const SOH: char = '\u{1}';

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FixMessage<'t> {
    fields: Vec<(u32, Cow<'t, str>)>,
    has_wrong_checksum: bool,
}

impl FixMessage<'_> {
    /// The first field with this tag; `None` if it is empty, too.
    pub(super) fn get(&self, tag: u32) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| *known == tag)?;
        (!value.is_empty()).then_some(&**value)
    }

    /// Every field, in order: for repeating groups.
    pub(super) fn fields(&self) -> impl Iterator<Item = (u32, &str)> {
        self.fields.iter().map(|(tag, value)| (*tag, &**value))
    }

    /// Whether its checksum (tag 10) is another than that of its fields.
    pub(super) const fn has_wrong_checksum(&self) -> bool {
        self.has_wrong_checksum
    }
}

/// Splits a text into messages. Text before the first one is left out.
pub(super) fn split(text: &str) -> Vec<FixMessage<'_>> {
    let separator = if text.contains(SOH) { SOH } else { '|' };
    let mut messages: Vec<FixMessage<'_>> = Vec::new();
    for piece in text.split(separator) {
        // A line of a log may have its own words before the message.
        let begin = piece.find("8=FIX").filter(|at| {
            let before = piece.get(..*at).unwrap_or_default();
            before.is_empty()
                || before.ends_with(|c: char| c.is_whitespace() || "[(\"'".contains(c))
        });
        if let Some(begin) = begin {
            messages.push(FixMessage::default());
            add(&mut messages, piece.get(begin..).unwrap_or_default());
        } else if !messages.is_empty() {
            add(&mut messages, piece);
        }
    }
    for message in &mut messages {
        message.has_wrong_checksum = wrong_checksum(&message.fields);
    }
    messages
}

fn add<'t>(messages: &mut [FixMessage<'t>], piece: &'t str) {
    let Some(message) = messages.last_mut() else { return };
    // Nothing follows the checksum but what a log adds.
    if message.fields.last().is_some_and(|(tag, _)| *tag == 10) {
        return;
    }
    let split = piece.split_once('=');
    let field = split.and_then(|(tag, value)| Some((tag.trim().parse::<u32>().ok()?, value)));
    match (field, message.fields.last_mut()) {
        (Some((tag, value)), _) => {
            // The text after a checksum may be the rest of its line.
            let value = if tag == 10 { value.get(..3).unwrap_or(value) } else { value };
            message.fields.push((tag, Cow::Borrowed(value)));
        }
        (None, Some((_, text))) if !piece.trim().is_empty() => {
            // In place: a long text may have as many separators as bytes.
            let text = text.to_mut();
            text.push('|');
            text.push_str(piece);
        }
        (None, _) => {}
    }
}

fn wrong_checksum(fields: &[(u32, Cow<'_, str>)]) -> bool {
    let Some(((10, stated), body)) = fields.split_last() else { return false };
    let Ok(stated) = stated.trim().parse::<u8>() else { return true };
    let mut sum = 0_u8;
    for (tag, value) in body {
        let field = format!("{tag}={value}{SOH}");
        sum = field.bytes().fold(sum, u8::wrapping_add);
    }
    sum != stated
}

/// A UTC timestamp of FIX, `YYYYMMDD-HH:MM:SS[.fraction]`, in RFC 3339.
pub(super) fn timestamp(text: &str) -> Option<String> {
    let (date, time) = text.split_once('-')?;
    let digits = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    digits.then(|| format!("{year}-{month}-{day}T{}Z", time.trim_end_matches('Z')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Vec<(u32, String)>> {
        let messages = split(text);
        messages.iter().map(|m| m.fields().map(|(t, v)| (t, v.to_owned())).collect()).collect()
    }

    #[test]
    fn messages_follow_one_another() {
        let one = vec![(8, "FIX.4.4".to_owned()), (35, "8".to_owned()), (58, "a".to_owned())];
        let check = |text: &str, expect: &[Vec<(u32, String)>]| {
            assert_eq!(fields(text), expect, "{text:?}");
        };
        check("8=FIX.4.4\u{1}35=8\u{1}58=a\u{1}", std::slice::from_ref(&one));
        check("8=FIX.4.4|35=8|58=a|", std::slice::from_ref(&one));
        check("8=FIX.4.4|35=8|58=a|\n8=FIX.4.4|35=8|58=a", &[one.clone(), one.clone()]);
        check("12:00:01 in: 8=FIX.4.4|35=8|58=a|8=FIX.4.4|35=8|58=a", &[one.clone(), one]);
        check("nothing|of=it", &[]);
        let text = vec![(8, "FIX.4.4".to_owned()), (58, "a|b c=d".to_owned())];
        check("8=FIX.4.4|58=a|b c=d|", &[text]);
    }

    #[test]
    fn a_checksum_that_is_there_is_right() {
        let check = |text: &str, expect: bool| {
            assert_eq!(split(text)[0].has_wrong_checksum(), expect, "{text}");
        };
        check("8=FIX.4.4|35=0|", false);
        check("8=FIX.4.4|9=5|35=0|10=163|", false);
        check("8=FIX.4.4\u{1}9=5\u{1}35=0\u{1}10=163\u{1}\n", false);
        check("8=FIX.4.4|9=5|35=0|10=164|", true);
        check("8=FIX.4.4|9=5|35=0|10=abc|", true);
    }

    #[test]
    fn times_are_written_in_rfc_3339() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(timestamp(text).as_deref(), expect, "{text}");
        };
        check("20240304-14:30:22.288", Some("2024-03-04T14:30:22.288Z"));
        check("20240304-14:30:22", Some("2024-03-04T14:30:22Z"));
        check("20240304", None);
        check("2024030é-14:30:22", None);
    }
}
