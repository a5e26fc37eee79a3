//! Opening a log: the lock, leftovers of a crash, the first segment, and where the log ends.
//!
//! Input: the segments of a locked directory. Output: the position of the next frame, or what is
//! damaged. Invariant: only the last segment is read, and the one before it if the last is empty.
//! Deliberately absent: any change of a segment (see [`super::quarantine`]).

use std::collections::VecDeque;
use std::io;

use super::frame::{Digest, FrameHeader, SECTOR};
use super::preallocate::TEMPORARY_SUFFIX;
use super::segment::{ChainLink, Segment, SegmentName, SegmentScan};
use super::storage::{Lock, Storage, create_durably, is_full};
use super::tail::{Tail, judge};
use super::{LogError, failed, file_names};

/// [`LogError::Full`] if the disk is full, a failure while `doing` otherwise. For `map_err`.
pub(super) fn full_or_failed(doing: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |error| if is_full(&error) { LogError::Full } else { failed(doing)(error) }
}

/// Locks the directory.
pub(super) fn take_lock(storage: &dyn Storage) -> Result<Lock, LogError> {
    storage.lock().map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            return LogError::InUse { place: storage.place("") };
        }
        failed("locking the directory")(error)
    })
}

/// Removes files that a crash left unfinished.
pub(super) fn remove_temporaries(storage: &dyn Storage) -> Result<(), LogError> {
    for name in file_names(storage)?.iter().filter(|name| is_temporary(name)) {
        storage.remove(name).map_err(failed("removing an unfinished file"))?;
    }
    Ok(())
}

/// Whether it is a temporary file of the log: the directory may also hold files of others.
fn is_temporary(name: &str) -> bool {
    let stem = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or_default();
    name == "large" || ["spare", "reserve", "large"].contains(&stem) || stem.starts_with("seg-")
}

/// Makes the first segment of a new journal.
pub(super) fn first_segment(storage: &dyn Storage, size_bytes: u64) -> Result<Segment, LogError> {
    let name = SegmentName { first_sequence: 1, reserve: false };
    let temporary = format!("{name}{TEMPORARY_SUFFIX}");
    create_durably(storage, &temporary, &name.to_string(), size_bytes)
        .map_err(full_or_failed("making the first segment"))?;
    Ok(Segment { name, size_bytes })
}

/// Receive time of the first batch of a segment.
pub(super) fn first_received_at(storage: &dyn Storage, segment: &Segment) -> Result<i64, LogError> {
    let reading = "reading a segment";
    let mut sector = [0; SECTOR];
    segment.open(storage, reading)?.read_at(&mut sector, 0).map_err(failed(reading))?;
    match FrameHeader::parse(&sector) {
        Ok(header) => Ok(header.received_at_nanos),
        Err(what) => Err(LogError::Corrupt { place: segment.place(storage), what }),
    }
}

/// Where a log ends.
pub(super) struct LogEnd {
    /// The last segment.
    pub(super) segment: Segment,
    /// Where the last frame ends in that segment.
    pub(super) offset: u64,
    /// Digest of the newest batch.
    pub(super) digest: Digest,
    pub(super) last_sequence: u64,
    /// Where the first frame begins that may be in the page cache alone: no later frame confirms
    /// that it was synced.
    pub(super) unconfirmed_from: u64,
    /// Where the torn tail ends; none if nothing is torn.
    pub(super) torn_until: Option<u64>,
}

/// Finds the end of a log that has at least one segment.
pub(super) fn find_end(storage: &dyn Storage, segments: &[Segment]) -> Result<LogEnd, LogError> {
    let Some((last, before)) = segments.split_last() else {
        impossible!("a log that is open has a segment");
        let (place, what) = (storage.place(""), "there is no segment".into());
        return Err(LogError::Corrupt { place, what });
    };
    let mut scan = SegmentScan::new(storage, last, ChainLink::before(last))?;
    let unconfirmed_from = scan_to_end(&mut scan)?;
    if scan.offset == 0
        && let Some(previous) = before.last()
    {
        scan.link = link_after(storage, previous, last.name.first_sequence)?;
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
    Ok(LogEnd { segment: *last, offset, digest, last_sequence, unconfirmed_from, torn_until })
}

/// Scans to the last intact frame. Returns where the first unconfirmed frame begins.
fn scan_to_end(scan: &mut SegmentScan) -> Result<u64, LogError> {
    let mut unconfirmed: VecDeque<(u64, u64)> = VecDeque::new();
    let mut begins = scan.offset;
    while let Some((header, _)) = scan.next()? {
        while unconfirmed.front().is_some_and(|(first, _)| *first <= header.synced_sequence) {
            unconfirmed.pop_front();
        }
        unconfirmed.push_back((header.first_sequence, begins));
        begins = scan.offset;
    }
    Ok(unconfirmed.front().map_or(begins, |(_, begins)| *begins))
}

/// The link from the last batch of a segment to `next`, the first sequence of the segment after it.
/// The log moved on to that one, so every batch before `next` was acknowledged and must be here.
fn link_after(storage: &dyn Storage, segment: &Segment, next: u64) -> Result<ChainLink, LogError> {
    let mut scan = SegmentScan::new(storage, segment, ChainLink::before(segment))?;
    while scan.link.next_sequence < next {
        if scan.next()?.is_none() {
            return Err(scan.missing_batch());
        }
    }
    if scan.link.next_sequence > next {
        let what = format!("it holds batch {next}, which another segment begins with");
        return Err(scan.corrupt(what));
    }
    Ok(scan.link)
}
