//! SWAR helpers: check and parse eight ASCII bytes at once, packed in a `u64`.
//!
//! Invariant: the answers are those of a loop over the bytes (tests compare them).
//!
//! # Design
//!
//! The first byte of the text is the lowest byte of the word (little-endian), so "the first byte that
//! …" is the lowest one, which `trailing_zeros` finds. A predicate sets the high bit of each byte for
//! which it holds and leaves garbage in the other bits, which the caller masks off with `HIGHS`.
//!
//! Subtracting a constant from every byte at once may borrow from the next higher byte. A borrow
//! starts at a byte for which the predicate holds, so it can only corrupt bytes *after* the first
//! hit. That is why some predicates promise nothing after their first hit, and why callers use only
//! the first hit or ask whether there is any.
//!
//! Sums wrap on purpose: those of whole words need it, and the lengths and positions are bounded by
//! the text, so that a check for overflow would cost and never fail.

/// The text `00000000`.
pub(super) const ZEROS: u64 = ONES * b'0' as u64;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES * 0x80;

/// Sets the high bit of each byte that equals `byte`, which is ASCII; may set it in bytes after the
/// first hit and in bytes beyond ASCII too ("Hacker's Delight", section 6-1).
const fn matches(word: u64, byte: u8) -> u64 {
    (word ^ (ONES * byte as u64)).wrapping_sub(ONES)
}

/// Sets the high bit of each byte that a JSON string must escape (quote, backslash, control
/// character); may set it in bytes after the first hit too.
const fn specials(word: u64) -> u64 {
    // Flipping one bit turns the quote into 0x20. Then exactly it and the controls are below 0x21.
    let quotes_and_controls = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    (matches(word, b'\\') | quotes_and_controls) & !word & HIGHS
}

/// The position in bits of the first byte whose high bit is set; 64 if there is none.
const fn first_bits(highs: u64) -> u32 {
    highs.trailing_zeros() & !7
}

/// The byte at a position in bits.
const fn byte_at(word: u64, bits: u32) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is wanted")]
    let byte = (word >> bits) as u8;
    byte
}

/// Whether a JSON string holds this byte without an escape.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// [`is_plain`] for eight bytes.
pub(super) const fn is_plain_word(word: u64) -> bool {
    specials(word) == 0
}

/// [`is_plain`] for sixteen bytes.
pub(super) const fn are_plain_words(first: u64, last: u64) -> bool {
    specials(first) | specials(last) == 0
}

/// The number of bytes before the first quote, backslash or control character.
#[inline]
pub(super) fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    let mut len = 0_usize;
    for word in words {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return len.wrapping_add(found.trailing_zeros() as usize / 8);
        }
        len = len.wrapping_add(8);
    }
    len + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// Whether `text` contains a backslash. The last word overlaps the one before it, so that no byte is
/// checked alone.
pub(super) fn has_backslash(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else { return text.contains(&b'\\') };
    let (words, _) = text.as_chunks::<8>();
    let found = words
        .iter()
        .chain([last])
        .map(|word| u64::from_le_bytes(*word))
        .fold(0, |found, word| found | matches(word, b'\\') & !word);
    found & HIGHS != 0
}

/// A hash of a short text from its first and last eight bytes, where the ids of one sender differ.
/// Only the highest bits are good: they depend on all others.
#[inline]
pub(crate) fn hash_ends(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let word = if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>())
    {
        u64::from_le_bytes(*first).wrapping_mul(FACTOR) ^ u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        half(first) << 32 | half(last)
    } else {
        text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    word.wrapping_mul(FACTOR)
}

/// Sets the high bit of each byte that is not the value of a digit, 0 to 9. Exact for every byte.
const fn not_digits(values: u64) -> u64 {
    // Adding 0x76 to a value above 9 sets the high bit.
    (values | (values & !HIGHS).wrapping_add(ONES * 0x76)) & HIGHS
}

/// The number that eight digits make, given as their values, the first digit lowest.
///
/// Pairs of digits are joined, then pairs of pairs, all at once, so that three multiplications are
/// enough (Johnny Lee, "Fast numeric string to int").
const fn number(values: u64) -> u32 {
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let firsts = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let seconds = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    (firsts.wrapping_add(seconds) >> 32) as u32
}

/// The number that the first `bits / 8` digits make, of one to eight.
const fn number_of_first(values: u64, bits: u32) -> u32 {
    // Shifting puts zeros before them.
    number(values << 64_u32.wrapping_sub(bits))
}

/// The number that eight digits make; `None` if a byte is not a digit.
#[inline]
pub(super) const fn number_of_eight(text: [u8; 8]) -> Option<u32> {
    let values = u64::from_le_bytes(text) ^ ZEROS;
    if not_digits(values) == 0 { Some(number(values)) } else { None }
}

/// The number that the digits before the first other byte make, and how many they are.
#[inline]
pub(super) const fn leading_digits(text: [u8; 8]) -> (u32, usize) {
    let values = u64::from_le_bytes(text) ^ ZEROS;
    match first_bits(not_digits(values)) {
        0 => (0, 0),
        bits => (number_of_first(values, bits), bits as usize / 8),
    }
}

/// A text of at most seven bytes, filled up with spaces.
#[inline]
pub(super) fn padded(text: &[u8]) -> Option<[u8; 8]> {
    let mut eight = [b' '; 8];
    let (head, end) = eight.split_at_mut_checked(text.len())?;
    head.copy_from_slice(text);
    (!end.is_empty()).then_some(eight)
}

/// A JSON number without sign and exponent, of at most seven bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SevenBytes {
    /// All digits as one number.
    pub(super) digits: u32,
    /// How many of the digits follow the point.
    pub(super) places: u32,
    /// Bytes of the text.
    pub(super) len: usize,
}

/// The number at the start of eight bytes. `None`: not a number, not of this form, or it may continue
/// after the eight bytes.
#[expect(
    clippy::inline_always,
    reason = "a call is as long as the work, for each number of an event"
)]
#[inline(always)]
pub(super) const fn number_of_seven(text: [u8; 8]) -> Option<SevenBytes> {
    let word = u64::from_le_bytes(text);
    let values = word ^ ZEROS;
    let others = not_digits(values);
    let whole = first_bits(others);
    // No digit, no end, or a zero before other digits.
    if whole == 0 || whole == 64 || whole > 8 && byte_at(values, 0) == 0 {
        return None;
    }
    let (values, count, end) = if byte_at(word, whole) == b'.' {
        let end = first_bits(others & others.wrapping_sub(1));
        if end == 64 || end == whole.wrapping_add(8) {
            return None;
        }
        // Close the gap: the digits after the point move down by one byte.
        let before = (1_u64 << whole).wrapping_sub(1);
        (values & before | values >> 8 & !before, end.wrapping_sub(8), end)
    } else {
        (values, whole, whole)
    };
    if matches!(byte_at(word, end), b'e' | b'E') {
        return None;
    }
    let (places, len) = (count.wrapping_sub(whole) / 8, end as usize / 8);
    Some(SevenBytes { digits: number_of_first(values, count), places, len })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_special_byte_is_found_at_every_position() {
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
            assert!(!has_backslash(&text));
            for place in 0..len {
                text[place] = b'\\';
                assert!(has_backslash(&text), "{place} of {len}");
                text[place] = b'[';
            }
        }
        assert_eq!(plain_len("ÿ\u{80}0123456789".as_bytes()), 14);
    }

    #[test]
    fn every_byte_value_is_classified_at_every_position() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut text = [b'a'; 8];
                text[place] = byte;
                assert_eq!(is_plain_word(u64::from_le_bytes(text)), is_plain(byte), "{byte:#x}");
            }
        }
    }

    /// [`number_of_seven`], byte by byte.
    fn known_number(text: [u8; 8]) -> Option<SevenBytes> {
        // A second point ends the number; the text after it is the caller's.
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
    fn texts_of_up_to_seven_bytes_are_padded() {
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
        fn numbers_equal_those_parsed_byte_by_byte(text in prop_oneof![
            "[0-9]{0,3}[.]?[0-9]{0,4}[,}. eE]{8}",
            "[0-9.eE+,-]{8}",
        ]) {
            let text = *text.as_bytes().first_chunk().unwrap();
            prop_assert_eq!(number_of_seven(text), known_number(text), "{:?}", text);
        }

        #[test]
        fn leading_digits_are_found_in_any_bytes(text: [u8; 8], few in "[0-9]{0,8}") {
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
