//! A journal read without being written: for `journal verify`, `journal inspect` and `replay`.
//!
//! Input: a directory, also one that is in use. Output: batches in sequence, and what stands at the
//! end. Invariant: nothing is changed, and no lock is taken: where an exporter is writing at the
//! same time, its newest batch may be told as torn.

use std::sync::Arc;

use super::frame::FrameHeader;
use super::quarantine::torn_tail_files;
use super::segment::{ChainLink, Segment, SegmentScan};
use super::storage::Storage;
use super::tail::{Tail, judge};
use super::{Batch, LogError, failed};

/// How often the end is looked at before it is believed: somebody may be writing there.
const LOOKS: usize = 3;

/// A journal on the disk.
pub struct JournalReader {
    storage: Arc<dyn Storage>,
    segments: Vec<Segment>,
}

impl std::fmt::Debug for JournalReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalReader")
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}

/// What stands at the end of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailState {
    /// Nothing.
    Clean,
    /// A batch that was never acknowledged.
    Torn {
        /// File and offset.
        place: String,
    },
}

/// A journal that was read from the first to the last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Segments.
    pub segments: usize,
    /// Bytes of their files.
    pub size_bytes: u64,
    /// Batches.
    pub batches: u64,
    /// Sequence of the oldest record kept.
    pub first_sequence: u64,
    /// Sequence of the newest record, or of the one before the first.
    pub last_sequence: u64,
    /// When the oldest and the newest batch were received, in nanoseconds since the Unix epoch.
    pub received_at_nanos: Option<(i64, i64)>,
    /// What stands at the end.
    pub tail: TailState,
    /// Torn tails of earlier crashes, kept as files.
    pub torn_files: usize,
}

/// Where a walk over all segments came to.
pub(super) enum Walked {
    /// The end; the sequence that comes next.
    Ended { next_sequence: u64, tail: TailState },
    /// Something that is not what was written.
    Damaged(Damage),
}

/// The first thing that is not what was written.
pub(super) struct Damage {
    /// The number of the segment, from 0.
    pub(super) segment: usize,
    /// Where its last intact frame ends.
    pub(super) offset: u64,
    pub(super) error: LogError,
}

impl JournalReader {
    /// Finds the segments of a journal.
    ///
    /// # Errors
    /// [`LogError::Failed`] when the directory cannot be read; [`LogError::Corrupt`] when it holds
    /// no segment.
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self, LogError> {
        let segments = Segment::list(&*storage)?;
        if segments.is_empty() {
            let (place, what) = (storage.place(""), "there is no journal".into());
            return Err(LogError::Corrupt { place, what });
        }
        Ok(Self { storage, segments })
    }

    /// Sequence of the oldest record kept.
    #[must_use]
    pub fn first_sequence(&self) -> u64 {
        self.segments.first().map_or(1, |segment| segment.name.first_sequence)
    }

    /// Visits the batches that hold the records from sequence `from` on, as
    /// [`super::EventLog::replay`] does, and says what stands at the end. Where something is
    /// damaged, everything before it has been visited.
    ///
    /// # Errors
    /// As [`super::EventLog::replay`].
    pub fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
    ) -> Result<TailState, LogError> {
        let first = self.first_sequence();
        if from < first {
            return Err(LogError::Gone { first });
        }
        let wanted = self.segments.partition_point(|s| s.name.first_sequence <= from);
        let segments = self.segments.get(wanted.saturating_sub(1)..).unwrap_or_default();
        let mut visit = |_: &FrameHeader, batch: &Batch| {
            if batch.next_sequence() > from { visit(batch) } else { Ok(()) }
        };
        match walk(&*self.storage, segments, &mut visit)? {
            Walked::Ended { tail, .. } => Ok(tail),
            Walked::Damaged(damage) => Err(damage.error),
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] at the first thing that is not what was written.
    pub fn verify(&self) -> Result<Verified, LogError> {
        let (mut batches, mut received_at_nanos) = (0, None);
        let mut count = |_: &FrameHeader, batch: &Batch| {
            batches += 1;
            let newest = batch.received_at_nanos();
            received_at_nanos =
                Some((received_at_nanos.map_or(newest, |(oldest, _)| oldest), newest));
            Ok(())
        };
        let (next_sequence, tail) = match walk(&*self.storage, &self.segments, &mut count)? {
            Walked::Ended { next_sequence, tail } => (next_sequence, tail),
            Walked::Damaged(damage) => return Err(damage.error),
        };
        Ok(Verified {
            segments: self.segments.len(),
            size_bytes: self.segments.iter().map(|segment| segment.size_bytes).sum(),
            batches,
            first_sequence: self.first_sequence(),
            last_sequence: next_sequence - 1,
            received_at_nanos,
            tail,
            torn_files: torn_tail_files(&*self.storage)?.len(),
        })
    }
}

/// Walks over segments from the beginning of the first to the end of the last.
pub(super) fn walk(
    storage: &dyn Storage,
    segments: &[Segment],
    visit: &mut dyn FnMut(&FrameHeader, &Batch) -> Result<(), LogError>,
) -> Result<Walked, LogError> {
    let first = segments.first().map_or(1, |segment| segment.name.first_sequence);
    let mut link = ChainLink { next_sequence: first, digest: (first == 1).then_some([0; 32]) };
    let mut tail = TailState::Clean;
    for (number, segment) in segments.iter().enumerate() {
        let damaged = |offset: u64, error: LogError| {
            if matches!(error, LogError::Corrupt { .. }) {
                Ok(Walked::Damaged(Damage { segment: number, offset, error }))
            } else {
                Err(error)
            }
        };
        let mut scan = match SegmentScan::new(storage, segment, link) {
            Ok(scan) => scan,
            Err(error) => return damaged(0, error),
        };
        let next = segments.get(number + 1).map(|next| next.name.first_sequence);
        match walk_one(&mut scan, next, visit) {
            Ok(end) => tail = end,
            Err(Stopped::Visitor(error)) => return Err(error),
            Err(Stopped::Log(error)) => {
                return damaged(scan.offset, error);
            }
        }
        link = scan.link;
    }
    Ok(Walked::Ended { next_sequence: link.next_sequence, tail })
}

/// Who ended a walk.
enum Stopped {
    Visitor(LogError),
    Log(LogError),
}

/// Walks over one segment; the one after it begins with `next`, if there is one.
fn walk_one(
    scan: &mut SegmentScan,
    next: Option<u64>,
    visit: &mut dyn FnMut(&FrameHeader, &Batch) -> Result<(), LogError>,
) -> Result<TailState, Stopped> {
    let mut looks = 0;
    loop {
        while let Some((header, batch)) = scan.next().map_err(Stopped::Log)? {
            visit(&header, &batch).map_err(Stopped::Visitor)?;
            looks = 0;
        }
        let due = scan.link.next_sequence;
        match next {
            Some(next) if next == due => return Ok(TailState::Clean),
            Some(_) => {
                return Err(Stopped::Log(
                    scan.corrupt(format!("batch {due} is missing or damaged")),
                ));
            }
            None => {}
        }
        let tail = judge(&mut scan.window, scan.offset, due)
            .map_err(|error| Stopped::Log(failed("reading a segment")(error)))?;
        looks += 1;
        match tail {
            Tail::Clean => return Ok(TailState::Clean),
            _ if looks < LOOKS => scan.window.forget(),
            Tail::Torn { .. } => return Ok(TailState::Torn { place: scan.here() }),
            Tail::Corrupt { what } => return Err(Stopped::Log(scan.corrupt(what))),
        }
    }
}
