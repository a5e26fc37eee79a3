//! Read-only access to a journal: for `journal verify`, `journal inspect` and `replay`.
//!
//! Input: a directory, which may be in use. Output: batches in sequence, and the state of the tail.
//! Invariant: nothing is changed and no lock is taken. If an exporter is writing at the same time, its
//! newest batch may be reported as torn.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::frame::FrameHeader;
use super::quarantine::torn_tail_files;
use super::segment::{ChainLink, Segment, SegmentScan, segments_from};
use super::storage::Storage;
use super::tail::{Tail, judge};
use super::{Batch, LogError, failed};

/// How often the tail is read before an unfinished batch is reported: an exporter may be writing it.
const ATTEMPTS: usize = 3;

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

/// The state of the bytes after the last intact batch of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailState {
    /// There are none.
    Clean,
    /// A batch that was not written completely, and never acknowledged.
    Torn {
        /// File and offset.
        place: String,
    },
}

/// The result of verifying every byte of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of segments.
    pub segments: usize,
    /// Bytes of all segments.
    pub size_bytes: u64,
    /// Number of batches.
    pub batches: u64,
    /// Sequence of the oldest record kept.
    pub first_sequence: u64,
    /// Sequence of the newest record. If there is none, `first_sequence` − 1.
    pub last_sequence: u64,
    /// Receive times of the oldest and the newest batch, in nanoseconds since the Unix epoch. `None`
    /// if there is no batch.
    pub received_at_nanos: Option<(i64, i64)>,
    /// The state of the bytes after the last batch.
    pub tail: TailState,
    /// Number of torn tails of earlier crashes that are kept as files.
    pub torn_files: usize,
}

/// How a walk over segments ended.
pub(super) enum Walked {
    /// At the end of the log. `next_sequence` is the sequence after the newest record.
    Ended { next_sequence: u64, tail: TailState },
    /// At a damage.
    Damaged(Damage),
}

/// The first damage of a log.
pub(super) struct Damage {
    /// Index of the segment.
    pub(super) segment: usize,
    /// Where its last intact frame ends.
    pub(super) offset: u64,
    pub(super) error: LogError,
}

impl JournalReader {
    /// Finds the segments of a journal.
    ///
    /// # Errors
    /// [`LogError::Failed`] if the directory cannot be read; [`LogError::Corrupt`] if it has no
    /// segment.
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

    /// Visits the batches that hold the records from sequence `from` on. Returns the break of the
    /// visitor, or else the state of the tail. If it fails because of a damage, everything before the
    /// damage was visited.
    ///
    /// # Errors
    /// [`LogError::Gone`] when the journal starts after `from`; any [`LogError`] of reading it.
    pub fn replay<B>(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, TailState>, LogError> {
        let segments = segments_from(&self.segments, from)?;
        let mut visit = |_: &FrameHeader, batch: &Batch| {
            if batch.next_sequence() > from { visit(batch) } else { ControlFlow::Continue(()) }
        };
        match walk(&*self.storage, segments, &mut visit)? {
            ControlFlow::Break(stop) => Ok(ControlFlow::Break(stop)),
            ControlFlow::Continue(Walked::Ended { tail, .. }) => Ok(ControlFlow::Continue(tail)),
            ControlFlow::Continue(Walked::Damaged(damage)) => Err(damage.error),
        }
    }

    /// Reads every byte and checks it.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] at the first damage.
    pub fn verify(&self) -> Result<Verified, LogError> {
        let (mut batches, mut received_at_nanos) = (0, None);
        let mut count = |_: &FrameHeader, batch: &Batch| {
            batches += 1;
            let newest = batch.received_at_nanos();
            received_at_nanos =
                Some((received_at_nanos.map_or(newest, |(oldest, _)| oldest), newest));
        };
        let (next_sequence, tail) = match walk_all(&*self.storage, &self.segments, &mut count)? {
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

/// Walks over all batches, with a visitor that never ends the walk.
pub(super) fn walk_all(
    storage: &dyn Storage,
    segments: &[Segment],
    visit: &mut dyn FnMut(&FrameHeader, &Batch),
) -> Result<Walked, LogError> {
    let mut visit = |header: &FrameHeader, batch: &Batch| {
        visit(header, batch);
        ControlFlow::<Infallible>::Continue(())
    };
    let ControlFlow::Continue(walked) = walk(storage, segments, &mut visit)?;
    Ok(walked)
}

/// Walks over segments from the start of the first to the end of the last, or to the visitor's break.
fn walk<B>(
    storage: &dyn Storage,
    segments: &[Segment],
    visit: &mut dyn FnMut(&FrameHeader, &Batch) -> ControlFlow<B>,
) -> Result<ControlFlow<B, Walked>, LogError> {
    let mut tail = TailState::Clean;
    let Some(mut link) = segments.first().map(ChainLink::before) else {
        return Ok(ControlFlow::Continue(Walked::Ended { next_sequence: 1, tail }));
    };
    for (number, segment) in segments.iter().enumerate() {
        let damaged = |offset: u64, error: LogError| {
            if matches!(error, LogError::Corrupt { .. }) {
                let damage = Damage { segment: number, offset, error };
                Ok(ControlFlow::Continue(Walked::Damaged(damage)))
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
            Err(Stopped::Visitor(stop)) => return Ok(ControlFlow::Break(stop)),
            Err(Stopped::Log(error)) => {
                return damaged(scan.offset, error);
            }
        }
        link = scan.link;
    }
    Ok(ControlFlow::Continue(Walked::Ended { next_sequence: link.next_sequence, tail }))
}

/// Who ended a walk.
enum Stopped<B> {
    Visitor(B),
    Log(LogError),
}

/// Walks over one segment; the one after it begins with `next`, if there is one.
fn walk_one<B>(
    scan: &mut SegmentScan,
    next: Option<u64>,
    visit: &mut dyn FnMut(&FrameHeader, &Batch) -> ControlFlow<B>,
) -> Result<TailState, Stopped<B>> {
    let mut attempts = 0;
    loop {
        while let Some((header, batch)) = scan.next().map_err(Stopped::Log)? {
            if let ControlFlow::Break(stop) = visit(&header, &batch) {
                return Err(Stopped::Visitor(stop));
            }
            attempts = 0;
        }
        let due = scan.link.next_sequence;
        match next {
            Some(next) if next == due => return Ok(TailState::Clean),
            Some(_) => return Err(Stopped::Log(scan.missing_batch())),
            None => {}
        }
        let tail = judge(&mut scan.window, scan.offset, due)
            .map_err(|error| Stopped::Log(failed("reading a segment")(error)))?;
        attempts += 1;
        match tail {
            Tail::Clean => return Ok(TailState::Clean),
            _ if attempts < ATTEMPTS => scan.window.discard(),
            Tail::Torn { .. } => return Ok(TailState::Torn { place: scan.position() }),
            Tail::Corrupt { what } => return Err(Stopped::Log(scan.corrupt(what))),
        }
    }
}
