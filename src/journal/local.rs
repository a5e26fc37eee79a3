//! The log on the local disk: segments in one directory.
//!
//! Input: batches. Output: one frame and one sync for each, into room that was made before.
//! Invariants: one log has the directory; only the last segment can end in a tear, for a new one
//! begins when the one before it is synced; a batch is written to no sector of another one; after
//! a failure nothing is tried. Deliberately absent: threads and clocks. The spare is made by whoever
//! runs the [`Preallocator`], and times are those of the batches.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::end::{find_end, first_received_at, first_segment, remove_temporaries, take_lock};
use super::frame::{self, Digest, FRAME_BYTES_MIN, FrameContext, SECTOR_BYTES};
use super::preallocate::{PreallocatedKind, Preallocation, Preallocator, SPARE};
use super::quarantine::{self, ByteSpan, TornTail};
use super::segment::{self, Segment, SegmentName};
use super::storage::{Lock, Storage, StoredFile, create_durably, is_full};
use super::{Batch, Durability, EventLog, LogError, Retention, Room, failed};

/// Bytes of the reserve: room for thousands of halts and releases.
const RESERVE_BYTES_MAX: u64 = 4 << 20;
/// Bytes of the frame buffer that are kept between batches.
const BUFFER_BYTES_MAX: usize = 4 << 20;
/// A file that could not be made is tried again after this, by the times of batches.
const RETRY_AFTER_NANOS: i64 = 1_000_000_000;

/// When a batch is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged.
    EveryBatch,
    /// With the first batch received so long after the last sync: what is acknowledged meanwhile is
    /// lost in a power cut.
    Interval(Duration),
}

/// Tells how long each sync of a batch took. The clock is handed in: nothing here reads one.
#[derive(Clone)]
pub struct SyncTimer {
    /// A clock that does not go back.
    pub now: fn() -> Instant,
    /// Is told the duration of each sync, also of one that failed.
    pub observe: Arc<dyn Fn(Duration) + Send + Sync>,
}

/// How a log is kept.
#[derive(Clone)]
pub struct LocalOptions {
    /// Bytes of a segment; rounded up to whole sectors. A larger batch gets one of its own.
    pub segment_bytes: u64,
    /// When a batch is synced.
    pub sync: SyncMode,
    /// Who is told how long that takes.
    pub timer: Option<SyncTimer>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, sync: SyncMode::EveryBatch, timer: None }
    }
}

/// The log on the local disk.
pub struct LocalLog {
    storage: Arc<dyn Storage>,
    options: LocalOptions,
    /// Oldest first; the last one is written to.
    segments: Vec<Segment>,
    file: Arc<dyn StoredFile>,
    /// Where the next frame goes.
    end: u64,
    /// Digest of the newest batch.
    digest: Digest,
    last_sequence: u64,
    /// Sequence of the newest record that is synced.
    synced_sequence: u64,
    /// Receive time of the batch that was synced last, or that came first.
    synced_at_nanos: Option<i64>,
    preallocated: Preallocation,
    /// Receive time of the batch at which there was no room for a file.
    missed_at_nanos: Option<i64>,
    /// Receive time of the batch at which missing files were asked for last.
    asked_at_nanos: Option<i64>,
    buffer: Vec<u8>,
    torn: Option<TornTail>,
    failed: bool,
    _lock: Lock,
}

impl std::fmt::Debug for LocalLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalLog")
            .field("last_sequence", &self.last_sequence)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl LocalLog {
    /// Takes the directory, finds the end of the log, and sets a torn tail aside. Only the last
    /// segment is read: what stands before it is checked when it is replayed.
    ///
    /// # Errors
    /// [`LogError::InUse`]; [`LogError::Corrupt`]: nothing was changed, see [`super::repair`];
    /// [`LogError::Full`] when there is no room for a first segment; [`LogError::Failed`].
    pub fn open(storage: Arc<dyn Storage>, options: LocalOptions) -> Result<Self, LogError> {
        let lock = take_lock(&*storage)?;
        remove_temporaries(&*storage)?;
        let segment_bytes =
            options.segment_bytes.max(FRAME_BYTES_MIN).next_multiple_of(SECTOR_BYTES);
        let reserve_bytes = segment_bytes.min(RESERVE_BYTES_MAX);
        let options = LocalOptions { segment_bytes, ..options };
        let mut segments = Segment::list(&*storage)?;
        if segments.is_empty() {
            segments.push(first_segment(&*storage, segment_bytes)?);
        }
        let end = find_end(&*storage, &segments)?;
        let names = storage.names().map_err(failed("reading the directory"))?;
        let preallocated =
            Preallocation::new(Arc::clone(&storage), &names, segment_bytes, reserve_bytes)
                .map_err(failed("opening a spare segment"))?;
        let last = end.segment;
        let file = storage.open(&last.name.to_string()).map_err(failed("opening a segment"))?;
        let mut log = Self {
            storage,
            options,
            segments,
            file,
            end: end.offset,
            digest: end.digest,
            last_sequence: end.last_sequence,
            synced_sequence: 0,
            synced_at_nanos: None,
            preallocated,
            missed_at_nanos: None,
            asked_at_nanos: None,
            buffer: Vec::new(),
            torn: None,
            failed: false,
            _lock: lock,
        };
        log.torn = log.quarantine_torn_tail(end.torn_until)?;
        // A process that ended may have left pages that the disk does not have yet, and one whose sync
        // failed pages that it never gets by itself.
        let doubtful = ByteSpan { from: end.doubtful_from, until: end.offset };
        quarantine::rewrite(&*log.file, doubtful)
            .map_err(failed("writing the last batch again"))?;
        log.file.sync().map_err(failed("syncing the last segment"))?;
        log.storage.sync_names().map_err(failed("syncing the directory"))?;
        log.synced_sequence = log.last_sequence;
        log.make_ready()?;
        Ok(log)
    }

    /// From now on spare segments are made by whoever runs the preallocator, on a thread of its own.
    pub fn preallocator(&mut self) -> Preallocator {
        let preallocator = self.preallocated.start_background();
        self.preallocated.request(PreallocatedKind::Spare);
        preallocator
    }

    /// The torn tail that was set aside when the log was opened.
    #[must_use]
    pub const fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// How many torn tails are kept in the directory.
    ///
    /// # Errors
    /// [`LogError::Failed`] when the directory cannot be read.
    pub fn torn_tails(&self) -> Result<usize, LogError> {
        Ok(quarantine::torn_tail_files(&*self.storage)?.len())
    }

    /// Sets a torn tail aside, if there is one. On a full disk the spare makes room for it.
    fn quarantine_torn_tail(&mut self, until: Option<u64>) -> Result<Option<TornTail>, LogError> {
        let (Some(until), Some(segment)) = (until, self.segments.last()) else { return Ok(None) };
        let span = ByteSpan { from: self.end, until };
        match quarantine::quarantine_torn_tail(&*self.storage, segment, span) {
            Err(LogError::Full) if self.preallocated.ready(PreallocatedKind::Spare).is_some() => {
                self.storage.remove(SPARE).map_err(failed("removing the spare segment"))?;
                self.preallocated.mark_used(PreallocatedKind::Spare);
                quarantine::quarantine_torn_tail(&*self.storage, segment, span).map(Some)
            }
            result => result.map(Some),
        }
    }

    /// Makes the reserve, if it is missing. A full disk is no reason not to start.
    fn make_ready(&mut self) -> Result<(), LogError> {
        match self.preallocated.get(PreallocatedKind::Reserve) {
            Err(error) if !is_full(&error) => Err(failed("making the reserve")(error)),
            _ => Ok(()),
        }
    }

    /// The segment that is written to.
    fn active(&self) -> Segment {
        // There is always one: `open` makes the first, and none but the oldest are dropped.
        let none = SegmentName { first_sequence: self.last_sequence + 1, reserve: false };
        self.segments.last().copied().unwrap_or(Segment { name: none, size_bytes: 0 })
    }

    fn append_frame(&mut self, batch: &Batch) -> Result<(), LogError> {
        self.make_room(batch)?;
        let relaxed = self.durability() == Durability::Relaxed;
        let place = FrameContext {
            relaxed,
            synced_sequence: self.synced_sequence,
            file_bytes: self.active().size_bytes,
            previous: self.digest,
        };
        let digest = frame::encode(batch, &place, &mut self.buffer)?;
        self.file.write_at(&self.buffer, self.end).map_err(failed("writing a batch"))?;
        self.end += self.buffer.len() as u64;
        self.digest = digest;
        self.last_sequence = batch.next_sequence() - 1;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        if self.is_sync_due(batch.received_at_nanos()) {
            self.sync_batches()?;
            self.synced_at_nanos = Some(batch.received_at_nanos());
        }
        Ok(())
    }

    fn is_sync_due(&mut self, now_nanos: i64) -> bool {
        let SyncMode::Interval(interval) = self.options.sync else { return true };
        let since = *self.synced_at_nanos.get_or_insert(now_nanos);
        i128::from(now_nanos) - i128::from(since) >= interval.as_nanos().cast_signed()
    }

    fn sync_batches(&mut self) -> Result<(), LogError> {
        if self.synced_sequence == self.last_sequence {
            return Ok(());
        }
        let began = self.options.timer.as_ref().map(|timer| (timer.now)());
        let result = self.file.sync();
        if let (Some(timer), Some(began)) = (&self.options.timer, began) {
            (timer.observe)((timer.now)().saturating_duration_since(began));
        }
        result.map_err(failed("syncing a batch"))?;
        self.synced_sequence = self.last_sequence;
        Ok(())
    }

    /// Sees to it that the active segment has room for the batch, and that the batch may use it.
    fn make_room(&mut self, batch: &Batch) -> Result<(), LogError> {
        let bytes = frame::frame_bytes(batch)?;
        let active = self.active();
        let may = !active.name.reserve || batch.room() == Room::Reserve;
        let fits = self.end.checked_add(bytes).is_some_and(|end| end <= active.size_bytes);
        if may && fits {
            return self.look_ahead(batch.received_at_nanos());
        }
        let made = self.spare_of(bytes, batch.received_at_nanos());
        match made {
            Ok((name, size_bytes)) => self.roll(name, size_bytes, PreallocatedKind::Spare),
            Err(error) if is_full(&error) => {
                let reserve_bytes = self.preallocated.bytes_of(PreallocatedKind::Reserve);
                match self.preallocated.ready(PreallocatedKind::Reserve) {
                    Some(name) if batch.room() == Room::Reserve && bytes <= reserve_bytes => {
                        self.roll(name, reserve_bytes, PreallocatedKind::Reserve)
                    }
                    _ => Err(LogError::Full),
                }
            }
            Err(error) => Err(failed("making a segment")(error)),
        }
    }

    /// A new segment of at least that many bytes: its name until now, and its bytes.
    fn spare_of(&mut self, bytes: u64, now_nanos: i64) -> io::Result<(&'static str, u64)> {
        if self.preallocated.ready(PreallocatedKind::Spare).is_none()
            && is_recent(self.missed_at_nanos, now_nanos)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let made = if bytes <= self.options.segment_bytes {
            let segment_bytes = self.options.segment_bytes;
            self.preallocated.get(PreallocatedKind::Spare).map(|name| (name, segment_bytes))
        } else {
            // Larger than any spare.
            create_durably(&*self.storage, "large.tmp", "large", bytes).map(|()| ("large", bytes))
        };
        if made.is_err() {
            self.missed_at_nanos = Some(now_nanos);
        }
        made
    }

    /// Asks for what is missing, in the background, so that it is there when it is needed.
    fn look_ahead(&mut self, now_nanos: i64) -> Result<(), LogError> {
        let missing = self.preallocated.missing().map_err(failed("making a segment"))?;
        if missing.is_empty() || is_recent(self.asked_at_nanos, now_nanos) {
            return Ok(());
        }
        self.asked_at_nanos = Some(now_nanos);
        for kind in missing {
            self.preallocated.request(kind);
        }
        Ok(())
    }

    /// Goes on in another segment. What stands in the one before is synced first, so that only the
    /// last segment can be torn.
    fn roll(
        &mut self,
        name: &str,
        size_bytes: u64,
        kind: PreallocatedKind,
    ) -> Result<(), LogError> {
        self.sync_batches()?;
        let reserve = kind == PreallocatedKind::Reserve;
        let next = SegmentName { first_sequence: self.last_sequence + 1, reserve };
        let doing = "beginning a segment";
        if self.active().name.first_sequence == next.first_sequence {
            // Nothing was written into it: the name of the reserve may be in the way of its own.
            self.discard_active()?;
        }
        self.storage.rename(name, &next.to_string()).map_err(failed(doing))?;
        self.storage.sync_names().map_err(failed(doing))?;
        self.file = self.storage.open(&next.to_string()).map_err(failed(doing))?;
        self.segments.push(Segment { name: next, size_bytes });
        self.end = 0;
        self.preallocated.mark_used(kind);
        self.missed_at_nanos = None;
        self.preallocated.request(PreallocatedKind::Spare);
        Ok(())
    }

    /// Removes the active segment, which is empty.
    fn discard_active(&mut self) -> Result<(), LogError> {
        let Some(empty) = self.segments.pop() else { return Ok(()) };
        let doing = "removing an empty segment";
        self.storage.remove(&empty.name.to_string()).map_err(failed(doing))?;
        self.storage.sync_names().map_err(failed(doing))
    }

    /// Runs what may fail for good, and remembers that it did.
    fn finally<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        if self.failed {
            let source =
                io::Error::other("it failed before, and only a restart tells what is kept");
            return Err(LogError::Failed { doing: "taking a batch", source });
        }
        let result = run(self);
        self.failed = matches!(
            &result,
            Err(LogError::Failed { .. } | LogError::Corrupt { .. } | LogError::InUse { .. })
        );
        result
    }
}

impl EventLog for LocalLog {
    fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        self.finally(|log| {
            let expected = log.last_sequence + 1;
            if batch.is_empty() {
                return Ok(());
            }
            if batch.first_sequence() != expected {
                return Err(LogError::OutOfSequence { expected, found: batch.first_sequence() });
            }
            log.append_frame(batch)
        })
    }

    fn sync(&mut self) -> Result<(), LogError> {
        self.finally(Self::sync_batches)
    }

    fn check_in_place(&mut self) -> Result<(), LogError> {
        let doing = "looking whether the directory, its lock and the last segment are in place";
        self.finally(|log| {
            let name = log.active().name.to_string();
            if log.storage.is_in_place(&name, &*log.file).map_err(failed(doing))? {
                return Ok(());
            }
            let source = io::Error::other("another file has its name");
            Err(LogError::Failed { doing, source })
        })
    }

    fn replay(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        segment::replay(&*self.storage, &self.segments, self.last_sequence, from, visit)
    }

    fn first_sequence(&self) -> u64 {
        self.segments.first().map_or(1, |segment| segment.name.first_sequence)
    }

    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn drop_before(&mut self, sequence: u64) -> Result<(), LogError> {
        self.finally(|log| {
            // A segment goes when the one after it begins early enough, and holds something: the
            // newest batch is what the next one is chained to.
            let kept = sequence.min(log.last_sequence);
            let later = log.segments.iter().skip(1);
            let dropped = later.take_while(|s| s.name.first_sequence <= kept).count();
            // Oldest first, each for good: a crash in between leaves no gap.
            for segment in log.segments.drain(..dropped) {
                let name = segment.name.to_string();
                log.storage.remove(&name).map_err(failed("dropping a segment"))?;
                log.storage.sync_names().map_err(failed("dropping a segment"))?;
            }
            Ok(())
        })
    }

    fn due_before(&self, retention: &Retention) -> Result<u64, LogError> {
        let mut bytes = self.size_bytes();
        let mut due = self.first_sequence();
        for pair in self.segments.windows(2) {
            let [old, next] = pair else { break };
            let next_sequence = next.name.first_sequence;
            if next_sequence > self.last_sequence {
                break;
            }
            let too_large = retention.bytes_max.is_some_and(|max| bytes > max);
            let too_old = match retention.received_after_nanos {
                Some(after) => first_received_at(&*self.storage, next)? < after,
                None => false,
            };
            if !too_large && !too_old {
                break;
            }
            bytes -= old.size_bytes;
            due = next_sequence;
        }
        Ok(due)
    }

    fn size_bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.size_bytes).sum();
        segments + self.preallocated.size_bytes()
    }

    fn durability(&self) -> Durability {
        match self.options.sync {
            SyncMode::EveryBatch => Durability::Synced,
            SyncMode::Interval(_) => Durability::Relaxed,
        }
    }
}

/// Whether that was too short a time ago to try again.
fn is_recent(at_nanos: Option<i64>, now_nanos: i64) -> bool {
    at_nanos.is_some_and(|at| now_nanos.saturating_sub(at) < RETRY_AFTER_NANOS)
}

#[cfg(test)]
mod tests;
