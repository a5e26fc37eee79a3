//! The bounded queue before the writer, and the thin loop behind it.
//!
//! Input: requests of many tasks. Output: batches for the one writer. Invariants: at most so many
//! requests and so many bytes wait; a batch is bounded in events and bytes, and its requests use
//! one room of the log; a tick takes no place in the queue and is never lost, several that wait
//! are one. Deliberately absent: a linger timer (batches form while the log is busy, and while the
//! writer lets others run).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::domain::clock::Reading;
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::engine::codec::RecordCodec;
use crate::engine::feed::Feed;
use crate::engine::handle::{Handle, Phase, Status};
use crate::engine::pause::Pause;
use crate::engine::submission::Submission;
use crate::engine::writer::{Committed, Writer};
use crate::engine::{EngineError, Receipt};
use crate::journal::EventLog;
use crate::journal::Room;

/// Makes the two ends of the queue around a monitor: a handle for everybody, and the inbox of the
/// one writer. At most `requests_max` requests wait; zero counts as one.
#[must_use]
pub fn channel(monitor: Monitor, codec: RecordCodec, requests_max: usize) -> (Handle, Inbox) {
    bounded(monitor, codec, requests_max, limits::QUEUE_BYTES_MAX)
}

fn bounded(
    monitor: Monitor,
    codec: RecordCodec,
    requests_max: usize,
    bytes_max: usize,
) -> (Handle, Inbox) {
    let (sender, receiver) = mpsc::channel(requests_max.max(1));
    let shared = Arc::new(Shared {
        monitor: Arc::new(RwLock::new(monitor)),
        codec,
        sender,
        budget: Arc::new(Semaphore::new(bytes_max)),
        bytes_max,
        status: watch::Sender::new(Status::default()),
        feed: Arc::new(Feed::new()),
        tick_due: AtomicBool::new(false),
        committed_at: Mutex::new(None),
    });
    (
        Handle::new_with(Arc::clone(&shared)),
        Inbox { receiver, held: None, pause: Pause::new(|| Duration::ZERO), shared },
    )
}

/// What both ends of the queue share.
pub(super) struct Shared {
    pub(super) monitor: Arc<RwLock<Monitor>>,
    pub(super) codec: RecordCodec,
    pub(super) sender: mpsc::Sender<Message>,
    /// Bytes that may still wait.
    pub(super) budget: Arc<Semaphore>,
    /// Bytes that may wait in all; one request that is larger waits alone.
    pub(super) bytes_max: usize,
    pub(super) status: watch::Sender<Status>,
    pub(super) feed: Arc<Feed>,
    /// A second passed, and no record says so yet.
    pub(super) tick_due: AtomicBool,
    /// When the newest batch was committed, by the monotonic clock.
    pub(super) committed_at: Mutex<Option<Duration>>,
}

/// What stands in the queue.
pub(super) enum Message {
    /// Commit this.
    Submit(Request),
    /// Do this with the log.
    Errand(Errand),
    /// A tick is due.
    Wake,
    /// Commit what waits, and end.
    Stop,
}

/// Something to be done with the log, between batches.
pub(super) type Errand = Box<dyn FnOnce(&mut dyn EventLog) + Send>;

/// One request, and who waits for its receipt.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) submission: Submission,
    /// None for ticks.
    pub(super) answer: Option<oneshot::Sender<Result<Receipt, EngineError>>>,
    /// Its share of the budget, given back when it is answered.
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// The writer's end of the queue.
pub struct Inbox {
    receiver: mpsc::Receiver<Message>,
    /// The request that did not fit into the batch before.
    held: Option<Request>,
    /// Before a batch is closed that has one request alone.
    pause: Pause,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// The monitor, for the writer.
    #[must_use]
    pub fn monitor(&self) -> Arc<RwLock<Monitor>> {
        Arc::clone(&self.shared.monitor)
    }

    /// The same inbox, whose writer lets others run by `give_way`, which says how long that took,
    /// when it was woken by one request and none waits behind it.
    #[must_use]
    pub fn with_pause(mut self, give_way: fn() -> Duration) -> Self {
        self.pause = Pause::new(give_way);
        self
    }

    /// Requests are taken from now on: the state is caught up with the log.
    pub fn open(&self) {
        self.shared.feed.seed(self.shared.monitor.read().recent().cloned());
        self.shared.set_phase(Phase::Open);
    }

    /// Commits what comes until the handle says stop and nothing waits. It blocks: give it a
    /// thread of its own.
    pub fn run<R: Into<Reading>>(mut self, writer: &mut Writer, now: impl Fn() -> R) {
        while self.step(writer, &now) {}
        let synced = writer.sync();
        if let Err(error) = synced {
            self.shared.note(Some(&error));
        }
    }

    /// Waits for a batch and commits it. False: stopped, and nothing waits any more.
    fn step<R: Into<Reading>>(&mut self, writer: &mut Writer, now: &impl Fn() -> R) -> bool {
        let batch = self.next_batch(writer);
        if batch.is_empty() {
            return false;
        }
        let room = batch.first().map_or(Room::Ordinary, |request| request.submission.room());
        let mut submissions = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Request { submission, answer, share } in batch {
            submissions.push(submission);
            waiting.push((answer, share));
        }
        let now = now().into();
        let committed = writer.commit(submissions, now);
        if let (Ok(_), Some(at)) = (&committed, now.monotonic) {
            *self.shared.committed_at.lock() = Some(at);
        }
        // That the reserve took something says nothing of the disk.
        if room == Room::Ordinary || committed.is_err() {
            self.shared.note(committed.as_ref().err());
        }
        let answers: Vec<Result<Receipt, EngineError>> = match committed {
            Ok(Committed { receipts, directives }) => {
                self.shared.feed.publish(directives);
                receipts.into_iter().map(Ok).collect()
            }
            Err(error) => waiting.iter().map(|_| Err(error.clone())).collect(),
        };
        for ((answer, share), result) in waiting.into_iter().zip(answers) {
            drop(share);
            // The client may be gone; the events are committed all the same.
            answer.map(|answer| answer.send(result).ok());
        }
        true
    }

    /// The requests of the next batch, waiting for the first; empty when stopped.
    fn next_batch(&mut self, writer: &mut Writer) -> Vec<Request> {
        let Some(first) = self.first(writer) else { return Vec::new() };
        if self.receiver.is_empty() {
            self.pause.take(|| !self.receiver.is_empty());
        }
        let room = first.submission.room();
        let mut events = first.submission.len();
        let mut bytes = first.submission.size_bytes();
        let mut batch = vec![first];
        while let Some(next) = self.waiting(writer) {
            events += next.submission.len();
            bytes += next.submission.size_bytes();
            let fits = events <= limits::BATCH_EVENTS_MAX && bytes <= limits::BATCH_BYTES_MAX;
            if !fits || next.submission.room() != room {
                self.held = Some(next);
                break;
            }
            batch.push(next);
        }
        batch
    }

    /// What comes first: a tick that is due, what was held back, or what is sent next.
    fn first(&mut self, writer: &mut Writer) -> Option<Request> {
        loop {
            if self.shared.tick_due.swap(false, Ordering::AcqRel) {
                return Some(self.tick());
            }
            if let Some(held) = self.held.take() {
                return Some(held);
            }
            match self.receiver.blocking_recv()? {
                Message::Submit(request) => return Some(request),
                Message::Errand(errand) => errand(writer.log()),
                Message::Wake => {}
                Message::Stop => self.close(),
            }
        }
    }

    /// The next request that waits already.
    fn waiting(&mut self, writer: &mut Writer) -> Option<Request> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            match self.receiver.try_recv().ok()? {
                Message::Submit(request) => return Some(request),
                Message::Errand(errand) => errand(writer.log()),
                Message::Wake => {}
                Message::Stop => self.close(),
            }
        }
    }

    /// Takes nothing more; what waits already still comes out.
    fn close(&mut self) {
        self.shared.set_phase(Phase::Closed);
        self.receiver.close();
    }

    fn tick(&self) -> Request {
        let submission = Submission::new(vec![Entry::Tick], Vec::new(), &self.shared.codec);
        Request { submission, answer: None, share: None }
    }
}

impl Drop for Inbox {
    /// However the loop ended: nobody waits for a writer that is gone.
    fn drop(&mut self) {
        self.shared.set_phase(Phase::Closed);
    }
}

impl Shared {
    pub(super) fn set_phase(&self, phase: Phase) {
        self.status.send_if_modified(|status| {
            let later = status.phase < phase;
            status.phase = status.phase.max(phase);
            later
        });
    }

    /// Notes how the log is after a batch.
    fn note(&self, error: Option<&EngineError>) {
        let log = error.cloned();
        self.status.send_if_modified(|status| {
            let changed = status.log != log;
            status.log = log;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::cell::Cell;

    use tokio::runtime::Runtime;
    use tokio::task::JoinHandle;

    use crate::domain::ids::{Account, Actor};
    use crate::domain::record::Decision;
    use crate::domain::settings::Settings;
    use crate::domain::state::TradingState;
    use crate::domain::time::Timestamp;
    use crate::engine::codec::SettingsCodec;
    use crate::engine::handle::NotReady;
    use crate::journal::{Batch, Durability, EventLog, LogError, MemoryLog, Retention};

    /// An engine whose writer moves only when the test says so.
    struct Bench {
        tasks: Runtime,
        handle: Handle,
        inbox: Inbox,
        writer: Writer,
    }

    /// Bytes that may wait: enough for all that is small here.
    const BYTES_MAX: usize = 1 << 20;

    type Pending = JoinHandle<Result<Receipt, EngineError>>;

    fn codec() -> RecordCodec {
        RecordCodec::new(SettingsCodec {
            encode: |_| Vec::new(),
            decode: |_| Ok(Settings::default()),
        })
    }

    fn bench(log: impl EventLog + 'static, requests_max: usize) -> Bench {
        let monitor = Monitor::new(Arc::new(Settings::default()));
        let (handle, inbox) = bounded(monitor, codec(), requests_max, BYTES_MAX);
        let writer = Writer::new(inbox.monitor(), Box::new(log), codec());
        let tasks = tokio::runtime::Builder::new_current_thread().build().unwrap();
        inbox.open();
        Bench { tasks, handle, inbox, writer }
    }

    fn memory() -> MemoryLog {
        MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX)
    }

    fn halt() -> Entry {
        Entry::Decision(Decision::Halt {
            account: Account::all(),
            state: TradingState::Halted,
            reason: String::new(),
            by: Actor::new("op").unwrap().into(),
        })
    }

    impl Bench {
        /// Submits, and lets the request get as far as the queue.
        fn submit(&self, entries: Vec<Entry>) -> Pending {
            let handle = self.handle.clone();
            let pending = self.tasks.spawn(async move { handle.submit(entries, vec![]).await });
            self.tasks.block_on(tokio::task::yield_now());
            pending
        }

        /// Commits the next batch.
        fn step(&mut self) -> bool {
            self.inbox.step(&mut self.writer, &|| Timestamp::MIN)
        }

        fn answer(&self, pending: Pending) -> Result<Receipt, EngineError> {
            self.tasks.block_on(pending).unwrap()
        }
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_is_not_ready() {
        let mut bench = bench(memory(), 2);
        let waiting = [bench.submit(vec![Entry::Tick]), bench.submit(vec![Entry::Tick])];
        assert_eq!(bench.handle.queue(), (2, 2));
        assert_eq!(bench.handle.readiness(), Err(NotReady::Overloaded));
        let refused = bench.submit(vec![Entry::Tick]);
        assert_eq!(bench.answer(refused), Err(EngineError::Overloaded));
        assert!(bench.step());
        for pending in waiting {
            assert_eq!(bench.answer(pending).unwrap().sequence, 2);
        }
        assert_eq!(bench.handle.queue(), (0, 2));
        assert!(bench.handle.is_ready());
    }

    #[test]
    fn it_is_known_whether_a_request_waits() {
        let mut bench = bench(memory(), 10);
        assert!(!bench.handle.is_waited_for());
        let waiting = bench.submit(vec![Entry::Tick]);
        assert!(bench.handle.is_waited_for());
        assert!(bench.step());
        assert!(!bench.handle.is_waited_for());
        bench.answer(waiting).unwrap();
    }

    #[test]
    fn bytes_that_wait_are_bounded_too() {
        let mut bench = bench(memory(), 100);
        let halt_of = |bytes: usize| {
            let reason = "x".repeat(bytes);
            let (account, by) = (Account::all(), Actor::new("op").unwrap().into());
            let state = TradingState::Halted;
            vec![Entry::Decision(Decision::Halt { account, state, reason, by })]
        };
        for bytes in [BYTES_MAX / 2, BYTES_MAX, 2 * BYTES_MAX] {
            let first = bench.submit(halt_of(bytes));
            let second = bench.submit(halt_of(bytes));
            assert_eq!(bench.answer(second), Err(EngineError::Overloaded), "{bytes}");
            assert!(bench.step());
            bench.answer(first).unwrap();
        }
    }

    #[test]
    fn batches_are_bounded_and_use_one_room() {
        let check = |requests: Vec<Vec<Entry>>, expect: &[usize]| {
            let mut bench = bench(memory(), 100);
            let pending: Vec<Pending> = requests.into_iter().map(|r| bench.submit(r)).collect();
            let mut found = Vec::new();
            while bench.inbox.held.is_some() || bench.handle.queue().0 > 0 {
                let batch = bench.inbox.next_batch(&mut bench.writer);
                found.push(batch.iter().map(|r| r.submission.len()).sum::<usize>());
            }
            assert_eq!(found, expect);
            drop(pending);
        };
        let ticks = |count: usize| vec![Entry::Tick; count];
        let max = limits::BATCH_EVENTS_MAX;
        check(vec![ticks(1), ticks(2), ticks(3)], &[6]);
        check(vec![ticks(max), ticks(1)], &[max, 1]);
        check(vec![ticks(max - 1), ticks(1), ticks(1)], &[max, 1]);
        check(vec![ticks(1), ticks(max + 1), ticks(1)], &[1, max + 1, 1]);
        check(vec![ticks(1), vec![halt()], vec![halt()], ticks(2)], &[1, 2, 2]);
    }

    #[test]
    fn the_writer_lets_others_run_when_one_request_is_alone() {
        thread_local! {
            static PAUSES: Cell<usize> = const { Cell::new(0) };
        }
        let check = |requests: usize, expect: usize| {
            let mut bench = bench(memory(), 10);
            bench.inbox = bench.inbox.with_pause(|| {
                PAUSES.set(PAUSES.get() + 1);
                Duration::ZERO
            });
            PAUSES.set(0);
            let waiting: Vec<Pending> =
                (0..requests).map(|_| bench.submit(vec![Entry::Tick])).collect();
            assert!(bench.step());
            assert_eq!(PAUSES.get(), expect, "{requests}");
            for pending in waiting {
                bench.answer(pending).unwrap();
            }
        };
        check(1, 1);
        check(2, 0);
        check(3, 0);
    }

    #[test]
    fn ticks_take_no_place_and_are_not_lost() {
        let mut bench = bench(memory(), 1);
        bench.handle.tick();
        bench.handle.tick();
        assert!(bench.step());
        assert_eq!(bench.handle.read(Monitor::sequence), 1, "two that wait are one");
        let waiting = bench.submit(vec![Entry::Tick]);
        bench.handle.tick();
        assert!(bench.step());
        assert_eq!(bench.answer(waiting).unwrap().sequence, 3, "the queue was full");
    }

    #[test]
    fn errands_are_done_between_batches() {
        let mut bench = bench(memory(), 10);
        let waiting = bench.submit(vec![Entry::Tick]);
        let handle = bench.handle.clone();
        let errand = bench.tasks.spawn(async move {
            handle.with_log(|log| Ok((log.first_sequence(), log.last_sequence()))).await
        });
        bench.tasks.block_on(tokio::task::yield_now());
        assert!(bench.step());
        assert_eq!(bench.answer(waiting).unwrap().sequence, 1);
        assert_eq!(bench.tasks.block_on(errand).unwrap().unwrap(), (1, 0), "it came meanwhile");
        bench.tasks.block_on(bench.handle.stop());
        while bench.step() {}
        let late = bench.tasks.block_on(bench.handle.with_log(|log| Ok(log.last_sequence())));
        assert!(late.is_err(), "{late:?}");
    }

    #[test]
    fn what_waits_is_committed_before_the_end() {
        let mut bench = bench(memory(), 10);
        let waiting = bench.submit(vec![Entry::Tick]);
        bench.handle.drain();
        assert_eq!(bench.handle.readiness(), Err(NotReady::Draining));
        let late = bench.submit(vec![Entry::Tick, halt()]);
        bench.tasks.block_on(bench.handle.stop());
        while bench.step() {}
        assert_eq!(bench.answer(waiting).unwrap().sequence, 1);
        assert_eq!(bench.answer(late).unwrap().sequence, 3);
        let refused = bench.submit(vec![Entry::Tick]);
        assert_eq!(bench.answer(refused), Err(EngineError::Closed));
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let Bench { tasks, handle, inbox, writer } = bench(memory(), 10);
        let bench = Bench { tasks, handle, inbox, writer };
        let waiting = bench.submit(vec![Entry::Tick]);
        let Bench { tasks, handle, inbox, .. } = bench;
        drop(inbox);
        assert_eq!(tasks.block_on(waiting).unwrap(), Err(EngineError::Closed));
        tasks.block_on(handle.ended());
        assert_eq!(tasks.block_on(handle.submit(vec![], vec![])), Err(EngineError::Closed));
    }

    /// A log that says each of these, and then takes everything.
    struct Failing(Vec<LogError>, MemoryLog);

    impl EventLog for Failing {
        fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
            self.0.pop().map_or(Ok(()), Err)?;
            self.1.append(batch)
        }

        fn replay(
            &self,
            from: u64,
            visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
        ) -> Result<(), LogError> {
            self.1.replay(from, visit)
        }

        fn sync(&mut self) -> Result<(), LogError> {
            self.1.sync()
        }

        fn check_in_place(&mut self) -> Result<(), LogError> {
            self.1.check_in_place()
        }

        fn first_sequence(&self) -> u64 {
            self.1.first_sequence()
        }

        fn last_sequence(&self) -> u64 {
            self.1.last_sequence()
        }

        fn drop_before(&mut self, sequence: u64) -> Result<(), LogError> {
            self.1.drop_before(sequence)
        }

        fn due_before(&self, retention: &Retention) -> Result<u64, LogError> {
            self.1.due_before(retention)
        }

        fn durability(&self) -> Durability {
            self.1.durability()
        }

        fn size_bytes(&self) -> u64 {
            self.1.size_bytes()
        }
    }

    #[test]
    fn a_full_disk_is_not_ready_until_there_is_room() {
        let mut bench = bench(Failing(vec![LogError::Full], memory()), 10);
        let refused = bench.submit(vec![Entry::Tick]);
        assert!(bench.step());
        assert_eq!(bench.answer(refused), Err(EngineError::DiskFull));
        assert_eq!(bench.handle.readiness(), Err(NotReady::DiskFull));
        let halted = bench.submit(vec![halt()]);
        assert!(bench.step());
        assert_eq!(bench.answer(halted).unwrap().sequence, 1, "the reserve took it");
        assert_eq!(bench.handle.readiness(), Err(NotReady::DiskFull), "and the disk is still full");
        bench.handle.tick();
        assert!(bench.step());
        assert!(bench.handle.is_ready(), "a tick found room");
        assert_eq!(bench.handle.read(Monitor::sequence), 3, "the halt, what it came to, the tick");
    }

    #[test]
    fn a_failed_journal_refuses_everything_and_is_told() {
        let source = std::io::Error::other("EIO");
        let failure = LogError::Failed { doing: "syncing", source };
        let mut bench = bench(Failing(vec![failure], memory()), 10);
        let (first, second) = (bench.submit(vec![Entry::Tick]), bench.submit(vec![halt()]));
        while bench.handle.queue().0 > 0 || bench.inbox.held.is_some() {
            assert!(bench.step());
        }
        assert_eq!(bench.answer(first), Err(EngineError::JournalFailed));
        assert_eq!(bench.answer(second), Err(EngineError::JournalFailed));
        bench.tasks.block_on(bench.handle.ended());
        assert_eq!(bench.handle.readiness(), Err(NotReady::JournalFailed));
        let later = bench.submit(vec![Entry::Tick]);
        assert_eq!(bench.answer(later), Err(EngineError::JournalFailed));
        assert_eq!(bench.handle.read(Monitor::sequence), 0);
    }
}
