//! Segments made before they are needed: one spare, and the reserve.
//!
//! Input: requests of the log. Output: files of zeros, reported as ready only when they are durable
//! under their names. Invariants: at most one file is made at a time, under a temporary name; using
//! a file that is ready needs no more room on the disk. Files are made on the thread that runs the
//! [`Preallocator`]; without one, the log makes them itself when it needs them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use enum_map::{Enum, EnumMap};

use super::storage::{Storage, StoredFile, create_durably, is_full};

/// Suffix of a file that is not ready. A crash may leave such files; the next start removes them.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// A file made ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum PreallocatedKind {
    /// The next segment.
    Spare,
    /// The segment that only batches of the reserve may use.
    Reserve,
}

impl PreallocatedKind {
    /// Its name in the directory while it is ready.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Spare => "spare",
            Self::Reserve => "reserve",
        }
    }
}

enum PreallocationState {
    Missing,
    Requested,
    /// Open already: when it is needed, the process may have no descriptor left.
    Ready(Arc<dyn StoredFile>),
}

struct PreallocatedFile {
    size_bytes: u64,
    state: PreallocationState,
}

impl PreallocatedFile {
    const fn is_ready(&self) -> bool {
        matches!(self.state, PreallocationState::Ready(_))
    }

    const fn is_missing(&self) -> bool {
        matches!(self.state, PreallocationState::Missing)
    }
}

/// A durable file of zeros, open, that becomes a segment.
pub(super) struct ReadySegment {
    pub(super) name: &'static str,
    pub(super) size_bytes: u64,
    pub(super) is_reserve: bool,
    pub(super) file: Arc<dyn StoredFile>,
}

struct PreallocationJob {
    kind: PreallocatedKind,
    size_bytes: u64,
}

struct PreallocationResult {
    kind: PreallocatedKind,
    result: io::Result<Arc<dyn StoredFile>>,
}

/// Makes segments in the background: run it on a thread of its own.
pub struct Preallocator {
    storage: Arc<dyn Storage>,
    jobs: Receiver<PreallocationJob>,
    results: Sender<PreallocationResult>,
}

impl std::fmt::Debug for Preallocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preallocator").finish_non_exhaustive()
    }
}

impl Preallocator {
    /// Makes the files that the log requests, until the log is dropped. It blocks.
    pub fn run(self) {
        for PreallocationJob { kind, size_bytes } in self.jobs {
            let result = make(&*self.storage, kind, size_bytes);
            if self.results.send(PreallocationResult { kind, result }).is_err() {
                return;
            }
        }
    }
}

fn make(
    storage: &dyn Storage,
    kind: PreallocatedKind,
    size_bytes: u64,
) -> io::Result<Arc<dyn StoredFile>> {
    let name = kind.name();
    create_durably(storage, &format!("{name}{TEMPORARY_SUFFIX}"), name, size_bytes)
}

/// The log's side: which files are ready, and which were requested.
pub(super) struct Preallocation {
    storage: Arc<dyn Storage>,
    files: EnumMap<PreallocatedKind, PreallocatedFile>,
    background: Option<(Sender<PreallocationJob>, Receiver<PreallocationResult>)>,
}

impl Preallocation {
    /// Adopts the files that an earlier process left ready. A file of another size is removed.
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        names: &[String],
        segment_bytes: u64,
        reserve_bytes: u64,
    ) -> io::Result<Self> {
        let left = |kind: PreallocatedKind, size_bytes: u64| {
            let name = kind.name();
            let mut file = PreallocatedFile { size_bytes, state: PreallocationState::Missing };
            if names.iter().any(|n| n == name) {
                let found = storage.open(name)?;
                if found.size_bytes()? == size_bytes {
                    file.state = PreallocationState::Ready(found);
                } else {
                    storage.remove(name)?;
                }
            }
            Ok::<_, io::Error>(file)
        };
        let spare = left(PreallocatedKind::Spare, segment_bytes)?;
        let reserve = left(PreallocatedKind::Reserve, reserve_bytes)?;
        let files = EnumMap::from_array([spare, reserve]);
        Ok(Self { storage, files, background: None })
    }

    /// From now on files are made on the thread that runs the returned preallocator.
    pub(super) fn start_background(&mut self) -> Preallocator {
        let (job_sender, jobs) = channel();
        let (results, result_receiver) = channel();
        self.background = Some((job_sender, result_receiver));
        Preallocator { storage: Arc::clone(&self.storage), jobs, results }
    }

    /// Bytes of the files that are ready.
    pub(super) fn size_bytes(&self) -> u64 {
        let ready = self.files.values().filter(|file| file.is_ready());
        ready.map(|file| file.size_bytes).sum()
    }

    /// Bytes of a file of that kind, ready or not.
    pub(super) fn bytes_of(&self, kind: PreallocatedKind) -> u64 {
        self.files[kind].size_bytes
    }

    /// The files that are neither ready nor requested, the reserve first.
    pub(super) fn missing(&mut self) -> io::Result<Vec<PreallocatedKind>> {
        self.receive_results()?;
        let mut kinds = vec![PreallocatedKind::Reserve, PreallocatedKind::Spare];
        kinds.retain(|kind| self.files[*kind].is_missing());
        Ok(kinds)
    }

    /// Requests a missing file from the background thread. Does nothing if there is no such thread.
    pub(super) fn request(&mut self, kind: PreallocatedKind) {
        let Some((jobs, _)) = &self.background else { return };
        let file = &mut self.files[kind];
        let size_bytes = file.size_bytes;
        if file.is_missing() && jobs.send(PreallocationJob { kind, size_bytes }).is_ok() {
            file.state = PreallocationState::Requested;
        }
    }

    /// Waits for a file, or makes it here. Returns the name under which it is ready.
    ///
    /// # Errors
    /// The error of the operating system: the file is then missing.
    pub(super) fn get(&mut self, kind: PreallocatedKind) -> io::Result<&'static str> {
        self.request(kind);
        while matches!(self.files[kind].state, PreallocationState::Requested) {
            let received = self.background.as_ref().and_then(|(_, results)| results.recv().ok());
            match received {
                Some(result) if result.kind == kind => self.record(result)?,
                Some(other) => self.record_unawaited(other)?,
                // The background thread has ended, so this result will never arrive.
                None => self.files[kind].state = PreallocationState::Missing,
            }
        }
        if self.files[kind].is_missing() {
            let file = make(&*self.storage, kind, self.bytes_of(kind))?;
            self.files[kind].state = PreallocationState::Ready(file);
        }
        Ok(kind.name())
    }

    /// The name of the file if it is ready now.
    pub(super) fn ready(&self, kind: PreallocatedKind) -> Option<&'static str> {
        self.files[kind].is_ready().then_some(kind.name())
    }

    /// Takes the file if it is ready. The caller makes it a segment, or removes it.
    pub(super) fn take(&mut self, kind: PreallocatedKind) -> Option<ReadySegment> {
        let file = &mut self.files[kind];
        match std::mem::replace(&mut file.state, PreallocationState::Missing) {
            PreallocationState::Ready(open) => Some(ReadySegment {
                name: kind.name(),
                size_bytes: file.size_bytes,
                is_reserve: kind == PreallocatedKind::Reserve,
                file: open,
            }),
            other @ (PreallocationState::Missing | PreallocationState::Requested) => {
                file.state = other;
                None
            }
        }
    }

    fn receive_results(&mut self) -> io::Result<()> {
        while let Some(result) = self.background.as_ref().and_then(|(_, r)| r.try_recv().ok()) {
            self.record_unawaited(result)?;
        }
        Ok(())
    }

    /// Records a file that nobody waits for. A full disk is no error yet: [`Self::get`] reports it
    /// when the file is needed.
    fn record_unawaited(&mut self, result: PreallocationResult) -> io::Result<()> {
        self.record(result).or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })
    }

    fn record(
        &mut self,
        PreallocationResult { kind, result }: PreallocationResult,
    ) -> io::Result<()> {
        let (state, result) = match result {
            Ok(file) => (PreallocationState::Ready(file), Ok(())),
            Err(error) => (PreallocationState::Missing, Err(error)),
        };
        self.files[kind].state = state;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::conformance::{batch, replayed};
    use crate::journal::{Batch, DiskStorage, EventLog, LocalLog, LocalOptions};

    #[test]
    fn segments_are_preallocated_in_the_background() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let storage = Arc::new(DiskStorage::open(directory.path()).unwrap());
            let options = LocalOptions { segment_bytes: 4096, ..LocalOptions::default() };
            LocalLog::open(storage, options).unwrap()
        };
        let append_50 = |log: &mut LocalLog| -> Vec<Batch> {
            let from = log.last_sequence() + 1;
            let batches = (from..from + 50).map(|first| batch(first, 1, &[&[7; 1400]]));
            batches.inspect(|batch| log.append(batch).unwrap()).collect()
        };
        let mut log = open();
        let preallocator = log.preallocator();
        let mut batches = std::thread::scope(|scope| {
            scope.spawn(|| preallocator.run());
            let batches = append_50(&mut log);
            assert_eq!(replayed(&log, 1).unwrap(), batches);
            // Dropping the log ends the preallocator.
            drop(log);
            batches
        });
        let mut log = open();
        // Without its preallocator the log makes segments itself.
        drop(log.preallocator());
        batches.extend(append_50(&mut log));
        assert_eq!(replayed(&log, 1).unwrap(), batches);
    }
}
