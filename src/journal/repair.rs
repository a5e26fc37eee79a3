//! Repair: keeps the records before the first damage, and moves the rest out of the journal.
//!
//! Input: a directory that is not in use. Output: a journal that opens, files with the dropped bytes,
//! and a report. Invariants: no byte is lost, dropped bytes are kept in files whose names end with
//! `.dropped`; if it is interrupted at any step, it can be run again. Deliberately absent: any attempt
//! to reconstruct damaged bytes.

use std::sync::Arc;

use super::end::{full_or_failed, take_lock};
use super::frame::{FrameHeader, SECTOR, SECTOR_BYTES};
use super::quarantine::{ByteSpan, quarantine};
use super::reader::{Damage, Walked, walk_all};
use super::segment::{FileWindow, Segment};
use super::snapshots::rename_newer;
use super::storage::Storage;
use super::tail::used_until;
use super::{LogError, failed};

/// Suffix of files with dropped bytes.
const DROPPED_SUFFIX: &str = ".dropped";

/// The report of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The first damage, with its place.
    pub damage: String,
    /// Sequence of the newest record kept. If there is none, that of the record before the first.
    pub last_sequence: u64,
    /// Paths of the files that hold the dropped bytes.
    pub dropped: Vec<String>,
}

/// Repairs the journal of a directory. Returns `None` if nothing is damaged.
///
/// # Errors
/// [`LogError::InUse`]; [`LogError::Full`] if there is no room to copy the dropped bytes;
/// [`LogError::Failed`].
pub fn repair(storage: &Arc<dyn Storage>) -> Result<Option<Repaired>, LogError> {
    let storage = &**storage;
    let _lock = take_lock(storage)?;
    let segments = Segment::list(storage)?;
    let Some(damage) = first_damage(storage, &segments)? else {
        let damage = "snapshots include records that the journal does not have";
        let repaired = report(storage, damage.to_owned(), Vec::new())?;
        return Ok(Some(repaired).filter(|repaired| !repaired.dropped.is_empty()));
    };
    let dropped = if lengthen(storage, &segments, &damage)? {
        let segments = Segment::list(storage)?;
        let more = first_damage(storage, &segments)?;
        more.as_ref().map(|more| drop_from(storage, &segments, more)).transpose()?
    } else {
        Some(drop_from(storage, &segments, &damage)?)
    };
    report(storage, damage.error.to_string(), dropped.unwrap_or_default()).map(Some)
}

fn first_damage(storage: &dyn Storage, segments: &[Segment]) -> Result<Option<Damage>, LogError> {
    match walk_all(storage, segments, &mut |_, _| ())? {
        Walked::Ended { .. } => Ok(None),
        Walked::Damaged(damage) => Ok(Some(damage)),
    }
}

/// Renames snapshots that are newer than the newest record kept, and makes the report.
fn report(
    storage: &dyn Storage,
    damage: String,
    mut dropped: Vec<String>,
) -> Result<Repaired, LogError> {
    let segments = Segment::list(storage)?;
    let last_sequence = match walk_all(storage, &segments, &mut |_, _| ())? {
        Walked::Ended { next_sequence, .. } => next_sequence - 1,
        Walked::Damaged(left) => return Err(left.error),
    };
    let newer = rename_newer(storage, last_sequence, DROPPED_SUFFIX)
        .map_err(failed("renaming a snapshot"))?;
    dropped.extend(newer.iter().map(|name| storage.place(name)));
    Ok(Repaired { damage, last_sequence, dropped })
}

/// Extends a truncated segment with zeros to its original length, which its first frame holds. The
/// bytes that were cut off are lost, but the rest can be read again.
fn lengthen(
    storage: &dyn Storage,
    segments: &[Segment],
    damage: &Damage,
) -> Result<bool, LogError> {
    let doing = "lengthening a segment";
    let Some(segment) = segments.get(damage.segment) else {
        impossible!("the walk found the damage in one of these segments");
        return Ok(false);
    };
    if damage.offset != 0 || segment.size_bytes < SECTOR_BYTES {
        return Ok(false);
    }
    let file = segment.open(storage, doing)?;
    let mut sector = [0; SECTOR];
    file.read_at(&mut sector, 0).map_err(failed(doing))?;
    let Ok(header) = FrameHeader::parse(&sector) else { return Ok(false) };
    let Some(missing) = header.file_bytes.checked_sub(segment.size_bytes).filter(|n| *n > 0) else {
        return Ok(false);
    };
    let missing = usize::try_from(missing).map_err(|e| failed(doing)(std::io::Error::other(e)))?;
    file.write_at(&vec![0; missing], segment.size_bytes)
        .and_then(|()| file.sync())
        .map_err(full_or_failed(doing))?;
    Ok(true)
}

/// Moves everything from the damage on out of the journal: the rest of its segment, and the later
/// segments. Returns the paths of the files that hold it.
fn drop_from(
    storage: &dyn Storage,
    segments: &[Segment],
    damage: &Damage,
) -> Result<Vec<String>, LogError> {
    let doing = "renaming a segment";
    let mut dropped = Vec::new();
    // Newest first, so that what remains after an interruption is still one journal.
    for (number, segment) in segments.iter().enumerate().skip(damage.segment).rev() {
        let name = segment.name.to_string();
        if number == damage.segment && damage.offset > 0 {
            if let Some(span) = used_after(storage, segment, damage.offset)? {
                dropped.push(quarantine(storage, segment.name, span, DROPPED_SUFFIX)?);
            }
            continue;
        }
        let renamed = format!("{name}{DROPPED_SUFFIX}");
        storage.rename(&name, &renamed).map_err(failed(doing))?;
        storage.sync_names().map_err(failed(doing))?;
        dropped.push(renamed);
    }
    dropped.reverse();
    Ok(dropped.into_iter().map(|name| storage.place(&name)).collect())
}

/// The bytes of a segment from `offset` on, without the zeros at its end. `None` if all are zeros.
fn used_after(
    storage: &dyn Storage,
    segment: &Segment,
    offset: u64,
) -> Result<Option<ByteSpan>, LogError> {
    let doing = "reading a segment";
    let mut window = FileWindow::new(segment.open(storage, doing)?, segment.size_bytes);
    let until = used_until(&mut window, offset).map_err(failed(doing))?;
    Ok(until.map(|until| ByteSpan { from: offset, until }))
}
