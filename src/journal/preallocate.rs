//! Segments made ready: one spare ahead, and the reserve.
//!
//! Input: wishes of the log. Output: files of zeros, durable under their names before anybody is
//! told. Invariants: at most one file is made at a time, under a temporary name; a file that is
//! ready needs no more room. Made in the background by whoever runs the [`Preallocator`]; while nobody
//! does, the log makes them itself when it needs them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::storage::{Storage, create_durably, is_full};

/// The name of the segment made ready.
pub(super) const SPARE: &str = "spare";
/// The name of the segment that only the reserve may use.
pub(super) const RESERVE: &str = "reserve";
/// What a file is called until it is ready; what is left of it after a crash is removed.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// A file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PreallocatedKind {
    Spare,
    Reserve,
}

impl PreallocatedKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Spare => SPARE,
            Self::Reserve => RESERVE,
        }
    }
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PreallocationState {
    Missing,
    Asked,
    Ready,
}

struct PreallocationJob {
    kind: PreallocatedKind,
    size_bytes: u64,
}

struct PreallocationResult {
    kind: PreallocatedKind,
    result: io::Result<()>,
}

/// Makes segments ready in the background: run it on a thread of its own.
pub struct Preallocator {
    storage: Arc<dyn Storage>,
    jobs: Receiver<PreallocationJob>,
    done: Sender<PreallocationResult>,
}

impl std::fmt::Debug for Preallocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preallocator").finish_non_exhaustive()
    }
}

impl Preallocator {
    /// Makes what the log asks for, until the log is gone. It blocks.
    pub fn run(self) {
        for PreallocationJob { kind, size_bytes } in self.jobs {
            let result = make(&*self.storage, kind, size_bytes);
            if self.done.send(PreallocationResult { kind, result }).is_err() {
                return;
            }
        }
    }
}

fn make(storage: &dyn Storage, kind: PreallocatedKind, size_bytes: u64) -> io::Result<()> {
    let name = kind.name();
    create_durably(storage, &format!("{name}{TEMPORARY_SUFFIX}"), name, size_bytes)
}

/// The log's side: what is ready, and what was asked for.
pub(super) struct Preallocation {
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
    reserve_bytes: u64,
    spare: PreallocationState,
    reserve: PreallocationState,
    background: Option<(Sender<PreallocationJob>, Receiver<PreallocationResult>)>,
}

impl Preallocation {
    /// Takes over what earlier lives left ready, by their sizes; a file of another size is removed.
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        names: &[String],
        segment_bytes: u64,
        reserve_bytes: u64,
    ) -> io::Result<Self> {
        let left = |name: &str, size_bytes: u64| {
            if !names.iter().any(|n| n == name) {
                return Ok(PreallocationState::Missing);
            }
            if storage.open(name)?.size_bytes()? == size_bytes {
                return Ok(PreallocationState::Ready);
            }
            storage.remove(name)?;
            Ok::<_, io::Error>(PreallocationState::Missing)
        };
        let spare = left(SPARE, segment_bytes)?;
        let reserve = left(RESERVE, reserve_bytes)?;
        Ok(Self { storage, segment_bytes, reserve_bytes, spare, reserve, background: None })
    }

    /// From now on files are made by whoever runs the preallocator.
    pub(super) fn start_background(&mut self) -> Preallocator {
        let (jobs, wanted) = channel();
        let (told, done) = channel();
        self.background = Some((jobs, done));
        Preallocator { storage: Arc::clone(&self.storage), jobs: wanted, done: told }
    }

    /// Bytes of the files that are ready.
    pub(super) const fn size_bytes(&self) -> u64 {
        let spare =
            if matches!(self.spare, PreallocationState::Ready) { self.segment_bytes } else { 0 };
        let reserve =
            if matches!(self.reserve, PreallocationState::Ready) { self.reserve_bytes } else { 0 };
        spare + reserve
    }

    /// Bytes of a file of that kind.
    pub(super) const fn bytes_of(&self, kind: PreallocatedKind) -> u64 {
        match kind {
            PreallocatedKind::Spare => self.segment_bytes,
            PreallocatedKind::Reserve => self.reserve_bytes,
        }
    }

    /// What is neither there nor asked for.
    pub(super) fn missing(&mut self) -> io::Result<Vec<PreallocatedKind>> {
        self.receive_results()?;
        let mut kinds = vec![PreallocatedKind::Reserve, PreallocatedKind::Spare];
        kinds.retain(|kind| *self.state_of(*kind) == PreallocationState::Missing);
        Ok(kinds)
    }

    /// Asks for a file, to be had later; without a preallocator this does nothing.
    pub(super) fn request(&mut self, kind: PreallocatedKind) {
        let size_bytes = self.bytes_of(kind);
        let Some((jobs, _)) = &self.background else { return };
        if *self.state_of(kind) == PreallocationState::Missing
            && jobs.send(PreallocationJob { kind, size_bytes }).is_ok()
        {
            *self.state(kind) = PreallocationState::Asked;
        }
    }

    /// Waits for a file, or makes it. The name under which it is ready.
    ///
    /// # Errors
    /// As the system says: the file is then missing.
    pub(super) fn get(&mut self, kind: PreallocatedKind) -> io::Result<&'static str> {
        self.request(kind);
        while *self.state_of(kind) == PreallocationState::Asked {
            let Some((_, done)) = &self.background else { break };
            match done.recv() {
                Ok(done) if done.kind == kind => self.record(done)?,
                Ok(other) => self.record_unawaited(other)?,
                // The preallocator is gone, whatever it was doing.
                Err(_) => *self.state(kind) = PreallocationState::Missing,
            }
        }
        if *self.state_of(kind) == PreallocationState::Missing {
            make(&*self.storage, kind, self.bytes_of(kind))?;
            *self.state(kind) = PreallocationState::Ready;
        }
        Ok(kind.name())
    }

    /// The name of the file if it is ready now.
    pub(super) fn ready(&mut self, kind: PreallocatedKind) -> Option<&'static str> {
        (*self.state_of(kind) == PreallocationState::Ready).then_some(kind.name())
    }

    /// The file has become a segment.
    pub(super) fn mark_used(&mut self, kind: PreallocatedKind) {
        *self.state(kind) = PreallocationState::Missing;
    }

    /// Notes what was made meanwhile.
    fn receive_results(&mut self) -> io::Result<()> {
        while let Some(done) = self.background.as_ref().and_then(|(_, done)| done.try_recv().ok()) {
            self.record_unawaited(done)?;
        }
        Ok(())
    }

    /// Notes a file that nobody waits for: want of room is told when somebody does.
    fn record_unawaited(&mut self, done: PreallocationResult) -> io::Result<()> {
        self.record(done).or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })
    }

    fn record(&mut self, done: PreallocationResult) -> io::Result<()> {
        let ready = done.result.is_ok();
        *self.state(done.kind) =
            if ready { PreallocationState::Ready } else { PreallocationState::Missing };
        done.result
    }

    const fn state_of(&self, kind: PreallocatedKind) -> &PreallocationState {
        match kind {
            PreallocatedKind::Spare => &self.spare,
            PreallocatedKind::Reserve => &self.reserve,
        }
    }

    const fn state(&mut self, kind: PreallocatedKind) -> &mut PreallocationState {
        match kind {
            PreallocatedKind::Spare => &mut self.spare,
            PreallocatedKind::Reserve => &mut self.reserve,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::conformance::{batch, replayed};
    use crate::journal::{Batch, DiskStorage, EventLog, LocalLog, LocalOptions};

    #[test]
    fn spares_are_made_in_the_background() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let storage = Arc::new(DiskStorage::open(directory.path()).unwrap());
            let options = LocalOptions { segment_bytes: 4096, ..LocalOptions::default() };
            LocalLog::open(storage, options).unwrap()
        };
        let tell = |log: &mut LocalLog| -> Vec<Batch> {
            let from = log.last_sequence() + 1;
            let batches = (from..from + 50).map(|first| batch(first, 1, &[&[7; 1400]]));
            batches.inspect(|batch| log.append(batch).unwrap()).collect()
        };
        let mut log = open();
        let preallocator = log.preallocator();
        let mut batches = std::thread::scope(|scope| {
            scope.spawn(|| preallocator.run());
            let batches = tell(&mut log);
            assert_eq!(replayed(&log, 1).unwrap(), batches);
            // The preallocator ends when the log does.
            drop(log);
            batches
        });
        let mut log = open();
        // A preallocator that is gone is no reason to stop.
        drop(log.preallocator());
        batches.extend(tell(&mut log));
        assert_eq!(replayed(&log, 1).unwrap(), batches);
    }
}
