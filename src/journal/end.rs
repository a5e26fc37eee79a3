//! Where a log ends, and what it begins with.
//!
//! Input: the segments of a directory that is locked. Output: the place of the next frame, or what is
//! damaged. Invariant: only the last segment is read, and the one before it if the last is empty.
//! Deliberately absent: any change of a segment (see [`super::quarantine`]).

use std::collections::VecDeque;
use std::io;

use super::frame::{Digest, FrameHeader, SECTOR};
use super::preallocate::TEMPORARY_SUFFIX;
use super::segment::{ChainLink, Segment, SegmentName, SegmentScan};
use super::storage::{Lock, Storage, create_durably, is_full};
use super::tail::{Tail, judge};
use super::{LogError, failed};

/// Want of room, or a failure while `doing`.
pub(super) fn full_or_failed(doing: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |error| if is_full(&error) { LogError::Full } else { failed(doing)(error) }
}

/// Takes the directory for oneself.
pub(super) fn take_lock(storage: &dyn Storage) -> Result<Lock, LogError> {
    storage.lock().map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            return LogError::InUse { place: storage.place("") };
        }
        failed("locking the directory")(error)
    })
}

/// Removes what a crash left half made.
pub(super) fn remove_temporaries(storage: &dyn Storage) -> Result<(), LogError> {
    let names = storage.names().map_err(failed("reading the directory"))?;
    for name in names.iter().filter(|name| is_temporary(name)) {
        storage.remove(name).map_err(failed("removing what was half made"))?;
    }
    Ok(())
}

/// Temporary files of ours alone: others may stand in the directory too.
fn is_temporary(name: &str) -> bool {
    let stem = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or_default();
    name == "large" || ["spare", "reserve", "large"].contains(&stem) || stem.starts_with("seg-")
}

/// Makes the segment that a journal begins with.
pub(super) fn first_segment(storage: &dyn Storage, size_bytes: u64) -> Result<Segment, LogError> {
    let name = SegmentName { first_sequence: 1, reserve: false };
    let temporary = format!("{name}{TEMPORARY_SUFFIX}");
    create_durably(storage, &temporary, &name.to_string(), size_bytes)
        .map_err(full_or_failed("making the first segment"))?;
    Ok(Segment { name, size_bytes })
}

/// Receive time of the first batch of a segment.
pub(super) fn first_received_at(storage: &dyn Storage, segment: &Segment) -> Result<i64, LogError> {
    let doing = "reading a segment";
    let mut sector = [0; SECTOR];
    let file = storage.open(&segment.name.to_string()).map_err(failed(doing))?;
    file.read_at(&mut sector, 0).map_err(failed(doing))?;
    let header = FrameHeader::parse(&sector);
    let place = || segment.place(storage);
    let header = header.map_err(|what| LogError::Corrupt { place: place(), what })?;
    Ok(header.received_at_nanos)
}

/// Where a log ends.
pub(super) struct LogEnd {
    /// The last segment.
    pub(super) segment: Segment,
    /// The end of its last frame.
    pub(super) offset: u64,
    pub(super) digest: Digest,
    pub(super) last_sequence: u64,
    /// From here on nobody knows whether what can be read is on the disk: frames that no later frame
    /// says to have been synced.
    pub(super) doubtful_from: u64,
    /// The end of what is torn, if something is.
    pub(super) torn_until: Option<u64>,
}

/// Finds the end of the log, reading its last segment; and the one before it if the last one is
/// empty. At least one segment exists.
pub(super) fn find_end(storage: &dyn Storage, segments: &[Segment]) -> Result<LogEnd, LogError> {
    let Some((last, before)) = segments.split_last() else {
        let (place, what) = (storage.place(""), "there is no segment".into());
        return Err(LogError::Corrupt { place, what });
    };
    let next_sequence = last.name.first_sequence;
    let unknown = ChainLink { next_sequence, digest: (next_sequence == 1).then_some([0; 32]) };
    let mut scan = SegmentScan::new(storage, last, unknown)?;
    let doubtful_from = walk(&mut scan)?;
    if scan.offset == 0
        && let Some(previous) = before.last()
    {
        scan.link = end_of_full(storage, previous, next_sequence)?;
    }
    let tail = judge(&mut scan.window, scan.offset, scan.link.next_sequence)
        .map_err(failed("reading a segment"))?;
    let torn_until = match tail {
        Tail::Clean => None,
        Tail::Torn { until } => Some(until),
        Tail::Corrupt { what } => return Err(scan.corrupt(what)),
    };
    let Some(digest) = scan.link.digest else {
        return Err(scan.corrupt("the batches before it are missing".into()));
    };
    let last_sequence = scan.link.next_sequence - 1;
    let offset = scan.offset;
    Ok(LogEnd { segment: *last, offset, digest, last_sequence, doubtful_from, torn_until })
}

/// Walks to the last intact frame. Returns where the first one begins that may not be on the disk.
fn walk(scan: &mut SegmentScan) -> Result<u64, LogError> {
    let mut doubtful: VecDeque<(u64, u64)> = VecDeque::new();
    let mut begins = scan.offset;
    while let Some((header, _)) = scan.next()? {
        while doubtful.front().is_some_and(|(first, _)| *first <= header.synced_sequence) {
            doubtful.pop_front();
        }
        doubtful.push_back((header.first_sequence, begins));
        begins = scan.offset;
    }
    Ok(doubtful.front().map_or(begins, |(_, begins)| *begins))
}

/// The link to what follows a segment that was left for another one, which begins at `next`: all
/// that was acknowledged before stands in it.
fn end_of_full(storage: &dyn Storage, segment: &Segment, next: u64) -> Result<ChainLink, LogError> {
    let next_sequence = segment.name.first_sequence;
    let digest = (next_sequence == 1).then_some([0; 32]);
    let mut scan = SegmentScan::new(storage, segment, ChainLink { next_sequence, digest })?;
    while scan.link.next_sequence < next {
        if scan.next()?.is_none() {
            let due = scan.link.next_sequence;
            return Err(scan.corrupt(format!("batch {due} is missing or damaged")));
        }
    }
    if scan.link.next_sequence > next {
        return Err(
            scan.corrupt(format!("it holds batch {next}, which another segment begins with"))
        );
    }
    Ok(scan.link)
}
