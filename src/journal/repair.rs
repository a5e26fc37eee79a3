//! Repair: what a damaged journal holds before the damage is kept, all else is set aside.
//!
//! Input: a directory that nobody uses. Output: a journal that opens, files that hold what was
//! dropped, and a report. Invariants: no byte is lost, what is dropped stands in files whose names
//! end with `.dropped`; cut short at any step, it can be done again. Deliberately absent: any
//! guess of what damaged bytes said.

use std::sync::Arc;

use super::end::take_lock;
use super::frame::{FrameHeader, SECTOR, SECTOR_BYTES};
use super::quarantine::{ByteSpan, quarantine};
use super::reader::{Damage, Walked, walk};
use super::segment::{FileWindow, Segment};
use super::snapshots::set_newer_aside;
use super::storage::Storage;
use super::tail::used_until;
use super::{LogError, failed};

/// What names of files with dropped bytes end with.
const DROPPED_SUFFIX: &str = ".dropped";

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What was wrong, and where.
    pub damage: String,
    /// Sequence of the newest record kept, or of the one before the first.
    pub last_sequence: u64,
    /// The files that hold what was dropped.
    pub dropped: Vec<String>,
}

/// Repairs the journal of a directory; none when nothing is damaged.
///
/// # Errors
/// [`LogError::InUse`]; [`LogError::Full`] when there is no room for what is dropped;
/// [`LogError::Failed`].
pub fn repair(storage: &Arc<dyn Storage>) -> Result<Option<Repaired>, LogError> {
    let storage = &**storage;
    let _lock = take_lock(storage)?;
    let segments = Segment::list(storage)?;
    let Some(damage) = first_damage(storage, &segments)? else {
        let damage = "snapshots stand for records that the journal does not have";
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
    match walk(storage, segments, &mut |_, _| Ok(()))? {
        Walked::Ended { .. } => Ok(None),
        Walked::Damaged(damage) => Ok(Some(damage)),
    }
}

/// Sets snapshots aside that are newer than what is kept, and tells what was done.
fn report(
    storage: &dyn Storage,
    damage: String,
    mut dropped: Vec<String>,
) -> Result<Repaired, LogError> {
    let segments = Segment::list(storage)?;
    let last_sequence = match walk(storage, &segments, &mut |_, _| Ok(()))? {
        Walked::Ended { next_sequence, .. } => next_sequence - 1,
        Walked::Damaged(left) => return Err(left.error),
    };
    let newer = set_newer_aside(storage, last_sequence, DROPPED_SUFFIX)
        .map_err(failed("setting a snapshot aside"))?;
    dropped.extend(newer.iter().map(|name| storage.place(name)));
    Ok(Repaired { damage, last_sequence, dropped })
}

/// Gives a segment that was cut its length back, if its first frame says what that was. What was
/// cut off is gone; what is left can be read again.
fn lengthen(
    storage: &dyn Storage,
    segments: &[Segment],
    damage: &Damage,
) -> Result<bool, LogError> {
    let doing = "lengthening a segment";
    let Some(segment) = segments.get(damage.segment) else { return Ok(false) };
    if damage.offset != 0 || segment.size_bytes < SECTOR_BYTES {
        return Ok(false);
    }
    let file = storage.open(&segment.name.to_string()).map_err(failed(doing))?;
    let mut sector = [0; SECTOR];
    file.read_at(&mut sector, 0).map_err(failed(doing))?;
    let Ok(header) = FrameHeader::parse(&sector) else { return Ok(false) };
    let Some(missing) = header.file_bytes.checked_sub(segment.size_bytes).filter(|n| *n > 0) else {
        return Ok(false);
    };
    let missing = usize::try_from(missing).map_err(|e| failed(doing)(std::io::Error::other(e)))?;
    file.write_at(&vec![0; missing], segment.size_bytes)
        .and_then(|()| file.sync())
        .map_err(super::end::full_or_failed(doing))?;
    Ok(true)
}

/// Sets aside everything from the damage on: the rest of its segment, and the later segments.
fn drop_from(
    storage: &dyn Storage,
    segments: &[Segment],
    damage: &Damage,
) -> Result<Vec<String>, LogError> {
    let doing = "setting a segment aside";
    let mut dropped = Vec::new();
    // Newest first: cut short, what is left is still one journal.
    for (number, segment) in segments.iter().enumerate().skip(damage.segment).rev() {
        let name = segment.name.to_string();
        if number == damage.segment && damage.offset > 0 {
            if let Some(span) = used_after(storage, segment, damage.offset)? {
                dropped.push(quarantine(storage, segment.name, span, DROPPED_SUFFIX)?);
            }
            continue;
        }
        let aside = format!("{name}{DROPPED_SUFFIX}");
        storage.rename(&name, &aside).map_err(failed(doing))?;
        storage.sync_names().map_err(failed(doing))?;
        dropped.push(aside);
    }
    dropped.reverse();
    Ok(dropped.into_iter().map(|name| storage.place(&name)).collect())
}

/// What stands in a segment from `offset` on, without the zeros after it.
fn used_after(
    storage: &dyn Storage,
    segment: &Segment,
    offset: u64,
) -> Result<Option<ByteSpan>, LogError> {
    let doing = "reading a segment";
    let file = storage.open(&segment.name.to_string()).map_err(failed(doing))?;
    let mut window = FileWindow::new(file, segment.size_bytes);
    let until = used_until(&mut window, offset).map_err(failed(doing))?;
    Ok(until.map(|until| ByteSpan { from: offset, until }))
}
