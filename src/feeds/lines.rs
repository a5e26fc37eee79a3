//! Bytes of a growing file, split into lines.
//!
//! Input: the bytes after the position. Output: the lines that are complete, and how many bytes they and
//! what is left out take. Invariants: a line without its end waits; a line that is too long is left out,
//! once, however it is cut; a blank line is no message.

use std::ops::Range;

/// The lines of a piece.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LineSplit {
    /// The places of the lines in the piece, without their ends.
    pub(super) lines: Vec<Range<usize>>,
    /// The bytes up to the next position.
    pub(super) consumed: usize,
    /// Whether the next position is inside of a line that is left out.
    pub(super) is_skipping: bool,
    /// Lines that are too long, and were found to be so in this piece.
    pub(super) too_long: usize,
}

/// Splits a piece. Lines have at most `bytes_max` bytes, and at most `lines_max` are taken.
/// `is_skipping`: the piece begins inside of a line that is left out.
pub(super) fn split(
    piece: &[u8],
    mut is_skipping: bool,
    (bytes_max, lines_max): (usize, usize),
) -> LineSplit {
    let mut found = LineSplit::default();
    while found.lines.len() < lines_max {
        let rest = piece.get(found.consumed..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            if is_skipping || rest.len() > bytes_max {
                found.too_long += usize::from(!is_skipping);
                is_skipping = true;
                found.consumed = piece.len();
            }
            break;
        };
        let line = found.consumed..found.consumed + length;
        found.consumed += length + 1;
        if std::mem::take(&mut is_skipping) {
            continue;
        }
        if length > bytes_max {
            found.too_long += 1;
            continue;
        }
        let is_blank =
            piece.get(line.clone()).unwrap_or_default().iter().all(u8::is_ascii_whitespace);
        if !is_blank {
            found.lines.push(line);
        }
    }
    found.is_skipping = is_skipping;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The lines that are complete, and how many are too long.
    fn naive(text: &[u8], bytes_max: usize) -> (Vec<Vec<u8>>, usize) {
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let last = lines.pop().unwrap_or_default();
        let too_long = lines.iter().chain([&last]).filter(|line| line.len() > bytes_max).count();
        let kept = lines
            .into_iter()
            .filter(|line| line.len() <= bytes_max && !line.iter().all(u8::is_ascii_whitespace));
        (kept.map(<[u8]>::to_vec).collect(), too_long)
    }

    proptest! {
        /// However a file grows, and however many lines are taken at once.
        #[test]
        fn pieces_give_the_lines_of_the_whole(
            text in vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b'a'), Just(b'b')], 0..200),
            growth in vec(1_usize..20, 1..100),
            bytes_max in 1_usize..12,
            lines_max in 1_usize..5,
        ) {
            let (mut lines, mut too_long) = (Vec::new(), 0);
            let (mut position, mut skipping) = (0, false);
            let mut length = 0;
            for more in growth.into_iter().chain([usize::MAX]) {
                length = text.len().min(more.saturating_add(length));
                loop {
                    let piece = &text[position..length];
                    let found = split(piece, skipping, (bytes_max, lines_max));
                    lines.extend(found.lines.iter().map(|line| piece[line.clone()].to_vec()));
                    position += found.consumed;
                    too_long += found.too_long;
                    skipping = found.is_skipping;
                    if found.consumed == 0 || position == length {
                        break;
                    }
                }
            }
            prop_assert_eq!((lines, too_long), naive(&text, bytes_max));
        }
    }

    #[test]
    fn a_part_of_a_line_waits() {
        let found = split(b"a\nb\nc", false, (10, 10));
        let expect = LineSplit { lines: vec![0..1, 2..3], consumed: 4, ..LineSplit::default() };
        assert_eq!(found, expect);
    }
}
