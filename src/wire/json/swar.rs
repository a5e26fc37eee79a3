//! Eight bytes of text as one word: which of them are plain or digits, and what number they make.
//!
//! Input: bytes. Invariant: the same answers as byte by byte would give (tests hold that), in a third
//! of the instructions and less. The first byte is the lowest of a word, and what is told of a byte
//! is its high bit.

/// The text `00000000`.
pub(crate) const ZEROS: u64 = ONES * b'0' as u64;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES * 0x80;

/// Sets the high bit of each byte that is `byte`, which is ASCII, of none before the first of them,
/// and of bytes beyond ASCII; other bits mean nothing ("Hacker's Delight", section 6-1).
const fn matches(word: u64, byte: u8) -> u64 {
    (word ^ (ONES * byte as u64)).wrapping_sub(ONES)
}

/// Sets the high bit of each byte that does not stand for itself in a JSON string (a quote, a
/// backslash, a control character), and of none before the first of them.
const fn specials(word: u64) -> u64 {
    // With one bit turned, the quote is 0x20, and controls and it alone are below 0x21.
    let quotes_and_controls = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    (matches(word, b'\\') | quotes_and_controls) & !word & HIGHS
}

/// The place of the first byte whose high bit is set, in bits; 64 if there is none.
const fn first_bits(highs: u64) -> u32 {
    highs.trailing_zeros() & !7
}

/// The byte at that place, in bits.
const fn byte_at(word: u64, bits: u32) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is wanted")]
    let byte = (word >> bits) as u8;
    byte
}

/// Whether a byte stands for itself in a JSON string.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// Whether eight bytes stand for themselves in a JSON string.
pub(crate) const fn is_plain_word(word: u64) -> bool {
    specials(word) == 0
}

/// Whether two times eight bytes do.
pub(crate) const fn are_plain_words(first: u64, last: u64) -> bool {
    specials(first) | specials(last) == 0
}

/// How many bytes at the head of `text` stand for themselves in a JSON string: no quote, no
/// backslash, no control character.
#[inline]
pub(crate) fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    let mut len = 0;
    for word in words {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// Whether a backslash stands in `text`; the last eight bytes are looked at once more rather than
/// one by one.
pub(crate) fn holds_backslash(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else { return text.contains(&b'\\') };
    let (words, _) = text.as_chunks::<8>();
    let found = words
        .iter()
        .chain([last])
        .map(|word| u64::from_le_bytes(*word))
        .fold(0, |found, word| found | matches(word, b'\\') & !word);
    found & HIGHS != 0
}

/// Sets the high bit of each byte that is no digit; those that are became their value.
const fn no_digits(values: u64) -> u64 {
    // More than 9, and 0x76 more than that sets the high bit.
    (values | (values & !HIGHS).wrapping_add(ONES * 0x76)) & HIGHS
}

/// The number that eight digits make, given as their values.
///
/// Pairs, fours and eights are put together side by side, so that three multiplications do for all
/// (Johnny Lee, "Fast numeric string to int").
const fn number(values: u64) -> u32 {
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let firsts = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let seconds = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    (firsts.wrapping_add(seconds) >> 32) as u32
}

/// The number that the first `bits / 8` digits make, of one to eight.
const fn number_of_first(values: u64, bits: u32) -> u32 {
    // Zeros come before them.
    number(values << (64 - bits))
}

/// The number that eight digits make; none if one of them is no digit.
#[inline]
pub(crate) const fn number_of_eight(text: [u8; 8]) -> Option<u32> {
    let values = u64::from_le_bytes(text) ^ ZEROS;
    if no_digits(values) == 0 { Some(number(values)) } else { None }
}

/// The number that the digits at the head of eight bytes make, and how many they are.
#[inline]
pub(crate) const fn leading_digits(text: [u8; 8]) -> (u32, usize) {
    let values = u64::from_le_bytes(text) ^ ZEROS;
    match first_bits(no_digits(values)) {
        0 => (0, 0),
        bits => (number_of_first(values, bits), bits as usize / 8),
    }
}

/// A text of at most seven bytes, with spaces behind it.
#[inline]
pub(crate) fn padded(text: &[u8]) -> Option<[u8; 8]> {
    let mut eight = [b' '; 8];
    let (head, end) = eight.split_at_mut_checked(text.len())?;
    head.copy_from_slice(text);
    (!end.is_empty()).then_some(eight)
}

/// A JSON number without sign and exponent, of at most seven bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SevenBytes {
    /// All digits as one number.
    pub(crate) digits: u32,
    /// How many of them stand behind the point.
    pub(crate) places: u32,
    /// How many bytes the text has.
    pub(crate) len: usize,
}

/// The number at the head of eight bytes. None: it is none, or not of this form, or goes on behind
/// them.
#[inline]
pub(crate) const fn number_of_seven(text: [u8; 8]) -> Option<SevenBytes> {
    let word = u64::from_le_bytes(text);
    let values = word ^ ZEROS;
    let others = no_digits(values);
    let whole = first_bits(others);
    // No digit, no end, or a zero before other digits.
    if whole == 0 || whole == 64 || whole > 8 && byte_at(values, 0) == 0 {
        return None;
    }
    let (values, count, end) = if byte_at(word, whole) == b'.' {
        let end = first_bits(others & (others - 1));
        if end == 64 || end == whole + 8 {
            return None;
        }
        // Digits behind the point move to its place.
        let before = (1 << whole) - 1;
        (values & before | values >> 8 & !before, end - 8, end)
    } else {
        (values, whole, whole)
    };
    if matches!(byte_at(word, end), b'e' | b'E') {
        return None;
    }
    let (places, len) = ((count - whole) / 8, end as usize / 8);
    Some(SevenBytes { digits: number_of_first(values, count), places, len })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_byte_that_is_not_plain_is_found_at_every_place() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for place in 0..20 {
                let mut text = "aé!~\u{7f}ü# 0123456789zzzzzzzz".as_bytes().to_vec();
                let place = place + usize::from(text[place] & 0xc0 == 0x80);
                text[place] = special;
                text[place + 1..].iter_mut().step_by(3).for_each(|byte| *byte = b'"');
                assert_eq!(plain_len(&text), place, "{special} at {place}");
            }
        }
        for len in 0..20 {
            let mut text = vec![b']'; len];
            assert!(!holds_backslash(&text));
            for place in 0..len {
                text[place] = b'\\';
                assert!(holds_backslash(&text), "{place} of {len}");
                text[place] = b'[';
            }
        }
        assert_eq!(plain_len("ÿ\u{80}0123456789".as_bytes()), 14);
    }

    #[test]
    fn every_byte_is_plain_or_not_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut text = [b'a'; 8];
                text[place] = byte;
                assert_eq!(is_plain_word(u64::from_le_bytes(text)), is_plain(byte), "{byte:#x}");
            }
        }
    }

    /// The same, byte by byte.
    fn known_number(text: [u8; 8]) -> Option<SevenBytes> {
        // A second point ends it, and what comes behind is the caller's.
        let mut points = (0..8).filter(|at| text[*at] == b'.');
        let second = points.nth(1).unwrap_or(8);
        let is_part = |b: &&u8| b.is_ascii_digit() || **b == b'.';
        let len = text[..second].iter().take_while(is_part).count();
        let end = *text.get(len)?;
        let number = std::str::from_utf8(&text[..len]).ok()?;
        let (whole, places) = number.split_once('.').unwrap_or((number, ""));
        let places = u32::try_from(places.len()).unwrap();
        let is_json = serde_json::from_str::<serde_json::Number>(number).is_ok();
        if !is_json || whole.is_empty() || matches!(end, b'e' | b'E') {
            return None;
        }
        let digits = number.replace('.', "").parse().unwrap();
        Some(SevenBytes { digits, places, len })
    }

    #[test]
    fn texts_up_to_seven_bytes_are_padded() {
        for (text, expect) in [
            ("", Some(*b"        ")),
            ("0.30", Some(*b"0.30    ")),
            ("1234567", Some(*b"1234567 ")),
            ("12345678", None),
            ("123456789", None),
        ] {
            assert_eq!(padded(text.as_bytes()), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_their_bytes(text in prop_oneof![
            "[0-9]{0,3}[.]?[0-9]{0,4}[,}. eE]{8}",
            "[0-9.eE+,-]{8}",
        ]) {
            let text = *text.as_bytes().first_chunk().unwrap();
            prop_assert_eq!(number_of_seven(text), known_number(text), "{:?}", text);
        }

        #[test]
        fn any_bytes_have_the_digits_at_their_head(text: [u8; 8], few in "[0-9]{0,8}") {
            for head in [0, few.len()] {
                let mut text = text;
                text[..head].copy_from_slice(&few.as_bytes()[..head]);
                let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = std::str::from_utf8(&text[..len]).unwrap().parse().unwrap_or(0);
                prop_assert_eq!(leading_digits(text), (number, len));
                prop_assert_eq!(number_of_seven(text), known_number(text), "{:?}", text);
            }
        }
    }
}
