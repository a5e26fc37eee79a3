//! What the bytes after the last intact frame mean: nothing, a tear, or corruption.
//!
//! Input: a segment and the end of its last intact frame. Output: a verdict. The reasoning: a
//! sector is written whole or not at all, and the room after the end was zeros, so a write that a
//! crash cut short leaves sectors of the new frame and sectors of zeros, and nothing else. Each
//! frame also says what was synced before it was written. Whatever cannot have come about in that
//! way is corruption, for an acknowledged batch may stand there.

use std::io;

use super::frame::{FrameHeader, SECTOR_BYTES};
use super::segment::{FileWindow, Found, read_frame};

/// Bytes looked at in one go.
const STRIDE_BYTES: u64 = 64 << 10;

/// What stands after the last intact frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros.
    Clean,
    /// What is left of frames that were never synced, up to this offset.
    Torn {
        /// The end of the last sector that is not zeros.
        until: u64,
    },
    /// Something else.
    Corrupt {
        /// Why it cannot be a tear.
        what: String,
    },
}

/// Judges what stands from `end` on, where the frame with `next_sequence` would begin.
pub(super) fn judge(window: &mut FileWindow, end: u64, next_sequence: u64) -> io::Result<Tail> {
    let Some(until) = used_until(window, end)? else { return Ok(Tail::Clean) };
    let corrupt = |what: String| Ok(Tail::Corrupt { what });
    if let Some((offset, sequence)) = later_synced_frame(window, end, until, next_sequence)? {
        return corrupt(format!(
            "batch {next_sequence} is damaged, and an intact batch that was written after it was \
             synced ({sequence}) stands at offset {offset}"
        ));
    }
    let sector = window.bytes(end, SECTOR_BYTES)?;
    if is_zero(sector) {
        return Ok(Tail::Torn { until });
    }
    let header = match FrameHeader::parse(sector) {
        Ok(header) => header,
        Err(what) => return corrupt(what),
    };
    if header.first_sequence != next_sequence {
        let found = header.first_sequence;
        return corrupt(format!("it begins at {found}, not at {next_sequence}"));
    }
    let extent = header.frame_bytes().and_then(|bytes| end.checked_add(bytes));
    let Some(extent) = extent.filter(|extent| *extent <= window.size_bytes()) else {
        return corrupt("it reaches past the end of its file".into());
    };
    if !has_zero_sector(window, end + SECTOR_BYTES, extent)? {
        return corrupt("its records are damaged, and no sector of it is missing".into());
    }
    if until > extent && !header.relaxed {
        return corrupt("it is damaged, and something was written after it".into());
    }
    Ok(Tail::Torn { until })
}

/// The end of the last sector from `end` on that is not zeros.
pub(super) fn used_until(window: &mut FileWindow, end: u64) -> io::Result<Option<u64>> {
    let mut until = None;
    let mut offset = end;
    while offset < window.size_bytes() {
        let length = STRIDE_BYTES.min(window.size_bytes() - offset);
        let bytes = window.bytes(offset, length)?;
        if !is_zero(bytes)
            && let Some(last) = bytes.iter().rposition(|byte| *byte != 0)
        {
            until = Some((offset + last as u64 + 1).next_multiple_of(SECTOR_BYTES));
        }
        offset += length;
    }
    Ok(until.map(|until| until.min(window.size_bytes())))
}

/// An intact frame after `end` that was written when the record that is missing there had been
/// synced: its offset and sequence.
fn later_synced_frame(
    window: &mut FileWindow,
    end: u64,
    until: u64,
    next_sequence: u64,
) -> io::Result<Option<(u64, u64)>> {
    let mut offset = end + SECTOR_BYTES;
    while offset < until {
        if let Found::Frame { header, .. } = read_frame(window, offset)?
            && header.synced_sequence >= next_sequence
        {
            return Ok(Some((offset, header.first_sequence)));
        }
        offset += SECTOR_BYTES;
    }
    Ok(None)
}

fn has_zero_sector(window: &mut FileWindow, from: u64, to: u64) -> io::Result<bool> {
    let mut offset = from;
    while offset < to {
        if is_zero(window.bytes(offset, SECTOR_BYTES)?) {
            return Ok(true);
        }
        offset += SECTOR_BYTES;
    }
    Ok(false)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
