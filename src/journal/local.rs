//! The log on the local disk: segments in one directory.
//!
//! Input: batches. Output: one frame and one sync for each, into a file that was preallocated.
//! Invariants: a directory belongs to one log; only the last segment can have a torn tail, because a
//! new one begins only after the one before it is synced; no two batches share a sector; after a
//! failure the log does nothing more. Deliberately absent: threads and clocks. Spare segments are
//! made on the thread that runs the [`Preallocator`], and time is the receive time of batches.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::end::{find_end, first_received_at, first_segment, remove_temporaries, take_lock};
use super::frame::{self, Digest, FRAME_BYTES_MIN, FrameContext, SECTOR_BYTES};
use super::preallocate::{PreallocatedKind, Preallocation, Preallocator, ReadySegment};
use super::quarantine::{self, ByteSpan, TornTail};
use super::segment::{self, Segment, SegmentName};
use super::storage::{Lock, Storage, StoredFile, create_durably, is_full};
use super::{Batch, Durability, EventLog, LogError, Retention, Room, failed, file_names};

/// Bytes of the reserve: enough for thousands of halts and releases.
const RESERVE_BYTES_MAX: u64 = 4 << 20;
/// Capacity of the frame buffer that is kept between batches.
const BUFFER_BYTES_MAX: usize = 4 << 20;
/// How long to wait before making a file again after the disk was full. Measured by the receive times
/// of batches.
const RETRY_AFTER_NANOS: i64 = 1_000_000_000;

/// When a batch is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged.
    EveryBatch,
    /// With the first batch that is received this long after the last sync. A power cut loses the
    /// batches acknowledged since that sync.
    Interval(Duration),
}

/// Measures how long each sync takes. The caller passes the clock in, because the journal reads none.
#[derive(Clone)]
pub struct SyncTimer {
    /// A monotonic clock.
    pub now: fn() -> Instant,
    /// Receives the duration of each sync, failed ones included.
    pub observe: Arc<dyn Fn(Duration) + Send + Sync>,
}

/// Options of a [`LocalLog`].
#[derive(Clone)]
pub struct LocalOptions {
    /// Bytes of a segment; rounded up to whole sectors. A larger batch gets a segment of its own.
    pub segment_bytes: u64,
    /// When a batch is synced.
    pub sync: SyncMode,
    /// Measures the syncs.
    pub timer: Option<SyncTimer>,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, sync: SyncMode::EveryBatch, timer: None }
    }
}

/// A log in a directory of the local disk.
pub struct LocalLog {
    storage: Arc<dyn Storage>,
    options: LocalOptions,
    /// Oldest first. Never empty; the last one is active: batches are written to it.
    segments: Vec<Segment>,
    file: Arc<dyn StoredFile>,
    /// Offset of the next frame in the active segment.
    end: u64,
    /// Digest of the newest batch.
    digest: Digest,
    last_sequence: u64,
    /// Sequence of the newest synced record.
    synced_sequence: u64,
    /// Receive time of the batch that was synced last; before the first sync, of the first batch.
    synced_at_nanos: Option<i64>,
    preallocated: Preallocation,
    /// Receive time of the batch for which no segment could be made.
    missed_at_nanos: Option<i64>,
    /// Receive time of the batch at which missing files were last requested.
    requested_at_nanos: Option<i64>,
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
    /// Locks the directory, finds the end of the log and quarantines a torn tail. Only the last
    /// segment is read: earlier ones are checked when they are replayed.
    ///
    /// # Errors
    /// [`LogError::InUse`]; [`LogError::Corrupt`]: nothing was changed, see [`super::repair`];
    /// [`LogError::Full`] if there is no room for a first segment; [`LogError::Failed`].
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
        let names = file_names(&*storage)?;
        let preallocated =
            Preallocation::new(Arc::clone(&storage), &names, segment_bytes, reserve_bytes)
                .map_err(failed("opening a spare segment"))?;
        let file = end.segment.open(&*storage, "opening a segment")?;
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
            requested_at_nanos: None,
            buffer: Vec::new(),
            torn: None,
            failed: false,
            _lock: lock,
        };
        log.torn = log.quarantine_torn_tail(end.torn_until)?;
        // A process that died may have left frames in the page cache that are not on the disk. If its
        // last sync failed, the kernel counts those pages as clean and would never write them, so
        // write them again before the sync.
        let unconfirmed = ByteSpan { from: end.unconfirmed_from, until: end.offset };
        quarantine::rewrite(&*log.file, unconfirmed)
            .map_err(failed("writing the last batch again"))?;
        log.file.sync().map_err(failed("syncing the last segment"))?;
        log.storage.sync_names().map_err(failed("syncing the directory"))?;
        log.synced_sequence = log.last_sequence;
        log.make_reserve()?;
        Ok(log)
    }

    /// From now on segments are made on the thread that runs the returned preallocator.
    pub fn preallocator(&mut self) -> Preallocator {
        let preallocator = self.preallocated.start_background();
        self.preallocated.request(PreallocatedKind::Spare);
        preallocator
    }

    /// The torn tail that was quarantined when the log was opened.
    #[must_use]
    pub const fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Number of torn tails kept in the directory.
    ///
    /// # Errors
    /// [`LogError::Failed`] if the directory cannot be read.
    pub fn torn_tails(&self) -> Result<usize, LogError> {
        Ok(quarantine::torn_tail_files(&*self.storage)?.len())
    }

    /// Quarantines a torn tail, if there is one. On a full disk, removing the spare makes room for it.
    fn quarantine_torn_tail(&mut self, until: Option<u64>) -> Result<Option<TornTail>, LogError> {
        let Some(until) = until else { return Ok(None) };
        let segment = &self.active();
        let span = ByteSpan { from: self.end, until };
        match quarantine::quarantine_torn_tail(&*self.storage, segment, span) {
            Err(LogError::Full) if self.preallocated.ready(PreallocatedKind::Spare).is_some() => {
                let spare = PreallocatedKind::Spare.name();
                self.storage.remove(spare).map_err(failed("removing the spare segment"))?;
                drop(self.preallocated.take(PreallocatedKind::Spare));
                quarantine::quarantine_torn_tail(&*self.storage, segment, span).map(Some)
            }
            result => result.map(Some),
        }
    }

    /// Makes the reserve, if it is missing. The log also opens on a full disk, without a reserve.
    fn make_reserve(&mut self) -> Result<(), LogError> {
        match self.preallocated.get(PreallocatedKind::Reserve) {
            Err(error) if !is_full(&error) => Err(failed("making the reserve")(error)),
            _ => Ok(()),
        }
    }

    /// The segment that batches are written to.
    fn active(&self) -> Segment {
        let Some(active) = self.segments.last().copied() else {
            impossible!("`open` makes the first segment, and the last one is never dropped");
            let name = SegmentName { first_sequence: self.last_sequence + 1, reserve: false };
            return Segment { name, size_bytes: 0 };
        };
        active
    }

    fn append_frame(&mut self, batch: &Batch) -> Result<(), LogError> {
        self.make_room(batch)?;
        let relaxed = self.durability() == Durability::Relaxed;
        let context = FrameContext {
            relaxed,
            synced_sequence: self.synced_sequence,
            file_bytes: self.active().size_bytes,
            previous: self.digest,
        };
        let digest = frame::encode(batch, &context, &mut self.buffer)?;
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

    /// Makes sure that the active segment has room for the batch, and that the batch may use it.
    fn make_room(&mut self, batch: &Batch) -> Result<(), LogError> {
        let bytes = frame::frame_bytes(batch)?;
        let active = self.active();
        let allowed = !active.name.reserve || batch.room() == Room::Reserve;
        let fits = self.end.checked_add(bytes).is_some_and(|end| end <= active.size_bytes);
        if allowed && fits {
            return self.request_missing(batch.received_at_nanos());
        }
        match self.next_segment(bytes, batch.received_at_nanos()) {
            Ok(next) => self.roll(next),
            Err(error) if is_full(&error) => {
                let reserve_bytes = self.preallocated.bytes_of(PreallocatedKind::Reserve);
                let may_use = batch.room() == Room::Reserve && bytes <= reserve_bytes;
                let reserve =
                    may_use.then(|| self.preallocated.take(PreallocatedKind::Reserve)).flatten();
                reserve.map_or(Err(LogError::Full), |reserve| self.roll(reserve))
            }
            Err(error) => Err(failed("making a segment")(error)),
        }
    }

    /// A file for the next segment, of at least that many bytes.
    fn next_segment(&mut self, bytes: u64, now_nanos: i64) -> io::Result<ReadySegment> {
        if self.preallocated.ready(PreallocatedKind::Spare).is_none()
            && is_recent(self.missed_at_nanos, now_nanos)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let made = if bytes <= self.options.segment_bytes {
            let got = self.preallocated.get(PreallocatedKind::Spare);
            got.and_then(|_| {
                let spare = self.preallocated.take(PreallocatedKind::Spare);
                spare.ok_or_else(|| io::Error::other("the spare segment is not ready"))
            })
        } else {
            // The batch is larger than a spare.
            let (name, size_bytes, is_reserve) = ("large", bytes, false);
            create_durably(&*self.storage, "large.tmp", name, bytes).map(|file| ReadySegment {
                name,
                size_bytes,
                is_reserve,
                file,
            })
        };
        if made.is_err() {
            self.missed_at_nanos = Some(now_nanos);
        }
        made
    }

    /// Requests missing files in the background, so that they are ready when they are needed.
    fn request_missing(&mut self, now_nanos: i64) -> Result<(), LogError> {
        let missing = self.preallocated.missing().map_err(failed("making a segment"))?;
        if missing.is_empty() || is_recent(self.requested_at_nanos, now_nanos) {
            return Ok(());
        }
        self.requested_at_nanos = Some(now_nanos);
        for kind in missing {
            self.preallocated.request(kind);
        }
        Ok(())
    }

    /// Makes a file the active segment. The segment before it is synced first, so that only the last
    /// segment can have a torn tail.
    fn roll(&mut self, ready: ReadySegment) -> Result<(), LogError> {
        let ReadySegment { name, size_bytes, is_reserve: reserve, file } = ready;
        self.sync_batches()?;
        let next = SegmentName { first_sequence: self.last_sequence + 1, reserve };
        let doing = "beginning a segment";
        if self.active().name.first_sequence == next.first_sequence {
            // The active segment is empty, and its name may be the one that the new segment gets.
            self.remove_active()?;
        }
        self.storage.rename(name, &next.to_string()).map_err(failed(doing))?;
        self.storage.sync_names().map_err(failed(doing))?;
        self.file = file;
        self.segments.push(Segment { name: next, size_bytes });
        self.end = 0;
        self.missed_at_nanos = None;
        self.preallocated.request(PreallocatedKind::Spare);
        Ok(())
    }

    /// Removes the active segment, which must be empty.
    fn remove_active(&mut self) -> Result<(), LogError> {
        let Some(empty) = self.segments.pop() else {
            impossible!("a log always has an active segment");
            return Ok(());
        };
        let doing = "removing an empty segment";
        self.storage.remove(&empty.name.to_string()).map_err(failed(doing))?;
        self.storage.sync_names().map_err(failed(doing))
    }

    /// Runs an operation, unless an earlier one failed. A failure makes the log fail for good.
    fn unless_failed<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        if self.failed {
            let source = io::Error::other(
                "it failed before, and only a restart can tell what is on the disk",
            );
            return Err(LogError::Failed { doing: "accepting a batch", source });
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
        self.unless_failed(|log| {
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
        self.unless_failed(Self::sync_batches)
    }

    fn check_in_place(&mut self) -> Result<(), LogError> {
        let doing = "checking that the directory, its lock and the last segment are in place";
        self.unless_failed(|log| {
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
        self.unless_failed(|log| {
            // Drop a segment only if the one after it begins early enough and is not empty: the newest
            // batch must stay, because the next one holds its digest.
            let kept = sequence.min(log.last_sequence);
            let later = log.segments.iter().skip(1);
            let dropped = later.take_while(|s| s.name.first_sequence <= kept).count();
            // Oldest first, each durably, so that a crash in between leaves no gap.
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
            let [old, next] = pair else {
                impossible!("`windows(2)` yields pairs");
                break;
            };
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

/// Whether it is too early to try again.
fn is_recent(at_nanos: Option<i64>, now_nanos: i64) -> bool {
    at_nanos.is_some_and(|at| now_nanos.saturating_sub(at) < RETRY_AFTER_NANOS)
}

#[cfg(test)]
mod tests;
