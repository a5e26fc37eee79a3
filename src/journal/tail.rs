//! The verdict on the bytes after the last intact frame: clean, torn or corrupt.
//!
//! Input: a segment and the end of its last intact frame. Output: a verdict. Deliberately absent: any
//! change of the segment.
//!
//! # Design
//!
//! We assume that a disk writes a sector whole or not at all, and that the room after the end was
//! zeros. A write that a crash interrupted then leaves sectors of the new frame and sectors of
//! zeros, and nothing else: that is a torn tail. It was never acknowledged, so it may be removed.
//! Everything else is corruption, because an acknowledged batch may have been there. In particular,
//! each frame says which record was synced when it was written, so a later intact frame can prove
//! that the damaged batch had been synced, and therefore acknowledged. We do not guess from the
//! length of the damage. `damage.rs` flips and cuts bytes everywhere and checks that no
//! acknowledged batch is taken for a torn tail; `local/tests.rs` cuts the power at every operation.

use std::io;

use super::frame::{FrameHeader, SECTOR_BYTES};
use super::segment::{FileWindow, read_frame};

/// Bytes searched at one time.
const STRIDE_BYTES: u64 = 64 << 10;

/// The verdict on the bytes after the last intact frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros.
    Clean,
    /// The remains of frames that were never synced.
    Torn {
        /// The end of the last sector that is not zeros.
        until: u64,
    },
    /// Anything else.
    Corrupt {
        /// Why it cannot be a torn tail.
        what: String,
    },
}

/// Judges the bytes from `end` on, where the frame of record `next_sequence` would begin.
pub(super) fn judge(window: &mut FileWindow, end: u64, next_sequence: u64) -> io::Result<Tail> {
    let Some(until) = used_until(window, end)? else { return Ok(Tail::Clean) };
    let corrupt = |what: String| Ok(Tail::Corrupt { what });
    if let Some((offset, sequence)) = later_synced_frame(window, end, until, next_sequence)? {
        return corrupt(format!(
            "batch {next_sequence} is damaged, and it had been synced before the intact batch \
             {sequence} at offset {offset} was written"
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
        // Most chunks are zeros, and `is_zero` is much faster at finding that than `rposition`.
        if !is_zero(bytes)
            && let Some(last) = bytes.iter().rposition(|byte| *byte != 0)
        {
            until = Some((offset + last as u64 + 1).next_multiple_of(SECTOR_BYTES));
        }
        offset += length;
    }
    Ok(until.map(|until| until.min(window.size_bytes())))
}

/// Offset and sequence of an intact frame after `end` which proves that record `next_sequence` had
/// been synced.
fn later_synced_frame(
    window: &mut FileWindow,
    end: u64,
    until: u64,
    next_sequence: u64,
) -> io::Result<Option<(u64, u64)>> {
    let mut offset = end + SECTOR_BYTES;
    while offset < until {
        if let Some(frame) = read_frame(window, offset)?
            && frame.header.synced_sequence >= next_sequence
        {
            return Ok(Some((offset, frame.header.first_sequence)));
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
