//! The bounded queue before the writer, and the thin loop of the writer.
//!
//! Input: requests of many tasks. Output: batches for the one writer. Invariants: requests and bytes in
//! the queue are bounded; a batch is bounded in events and bytes, and its requests use one room of the
//! log; a tick takes no place in the queue and is never lost, and several ticks that wait become one.
//! Deliberately absent: a linger timer. Batches form while the log is busy, and while the writer yields
//! (see `fairness`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::domain::clock::ClockReading;
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::domain::record::Entry;
use crate::engine::directive_feed::DirectiveFeed;
use crate::engine::encoded_request::EncodedRequest;
use crate::engine::fairness::Gather;
use crate::engine::handle::Handle;
use crate::engine::shared::{EnginePhase, EngineState, EngineStatus, QueuedRequest, WriterMessage};
use crate::engine::writer::{CommittedBatch, Writer};
use crate::engine::{EngineError, Receipt};
use crate::journal::{EventLog, Room};

/// Creates the two ends of the queue around a monitor: a handle for request tasks, and the inbox of the
/// one writer. At most `requests_max` requests wait; zero counts as one.
#[must_use]
pub fn channel(monitor: Monitor, requests_max: usize) -> (Handle, Inbox) {
    bounded(monitor, requests_max, limits::QUEUE_BYTES_MAX)
}

fn bounded(monitor: Monitor, requests_max: usize, bytes_max: usize) -> (Handle, Inbox) {
    let (sender, receiver) = mpsc::channel(requests_max.max(1));
    let shared = Arc::new(EngineState {
        monitor: Arc::new(RwLock::new(monitor)),
        sender,
        budget: Arc::new(Semaphore::new(bytes_max)),
        bytes_max,
        status: watch::Sender::new(EngineStatus::default()),
        feed: Arc::new(DirectiveFeed::new()),
        tick_due: AtomicBool::new(false),
        committed_at: Mutex::new(None),
        state_size: Arc::default(),
    });
    let gather = Gather::new(|| Duration::ZERO);
    (Handle::new_with(Arc::clone(&shared)), Inbox { receiver, held_back: None, gather, shared })
}

/// The writer's end of the queue.
pub struct Inbox {
    receiver: mpsc::Receiver<WriterMessage>,
    /// The request that did not fit into the last batch.
    held_back: Option<QueuedRequest>,
    /// Runs before a batch of a single request is closed.
    gather: Gather,
    shared: Arc<EngineState>,
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

    /// The writer of this queue's monitor, which records to `log` and refuses events once the state
    /// takes about `state_bytes_max` bytes.
    #[must_use]
    pub fn writer(&self, log: Box<dyn EventLog>, state_bytes_max: u64) -> Writer {
        let size = Arc::clone(&self.shared.state_size);
        Writer::new(self.monitor(), log).within(state_bytes_max, size)
    }

    /// An inbox whose writer yields its thread when a single request is queued. `yield_thread` returns
    /// how long the yield took.
    #[must_use]
    pub fn with_yield(mut self, yield_thread: fn() -> Duration) -> Self {
        self.gather = Gather::new(yield_thread);
        self
    }

    /// Accepts requests from now on: the state is caught up with the log.
    pub fn open(&self) {
        self.shared.feed.seed(self.shared.monitor.read().recent().cloned());
        self.shared.set_phase(EnginePhase::Open);
    }

    /// Commits requests until the handle says stop and the queue is empty. Blocks: run it on a thread
    /// of its own.
    pub fn run<R: Into<ClockReading>>(mut self, writer: &mut Writer, now: impl Fn() -> R) {
        while self.step(writer, &now) {}
        if let Err(error) = writer.sync() {
            self.shared.set_log_error(Some(&error));
        }
    }

    /// Waits for a batch and commits it. False: stopped, and the queue is empty.
    fn step<R: Into<ClockReading>>(&mut self, writer: &mut Writer, now: &impl Fn() -> R) -> bool {
        let batch = self.next_batch(writer);
        if batch.is_empty() {
            return false;
        }
        let room = batch.first().map_or(Room::Ordinary, |request| request.submission.room());
        let mut submissions = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for QueuedRequest { submission, answer, share } in batch {
            submissions.push(submission);
            waiting.push((answer, share));
        }
        let now = now().into();
        let committed = writer.commit(submissions, now);
        if let (Ok(_), Some(at)) = (&committed, now.monotonic) {
            *self.shared.committed_at.lock() = Some(at);
        }
        // A batch that fits into the reserve does not show that the disk has room again.
        if room == Room::Ordinary || committed.is_err() {
            self.shared.set_log_error(committed.as_ref().err());
        }
        // Publish before answering: a client that was answered finds the directives of its request.
        let answers: Vec<Result<Receipt, EngineError>> = match committed {
            Ok(CommittedBatch { receipts, directives }) => {
                self.shared.feed.publish(directives);
                receipts.into_iter().map(Ok).collect()
            }
            Err(error) => waiting.iter().map(|_| Err(error.clone())).collect(),
        };
        for ((answer, share), result) in waiting.into_iter().zip(answers) {
            // Release the budget first, so that the client's next request finds room.
            drop(share);
            // The client may be gone; its events are committed all the same.
            answer.map(|answer| answer.send(result).ok());
        }
        true
    }

    /// The requests of the next batch, waiting for the first; empty when stopped.
    fn next_batch(&mut self, writer: &mut Writer) -> Vec<QueuedRequest> {
        let Some(first) = self.first(writer) else { return Vec::new() };
        if self.receiver.is_empty() {
            self.gather.run(|| !self.receiver.is_empty());
        }
        let room = first.submission.room();
        let mut events = first.submission.len();
        let mut bytes = first.submission.size_bytes();
        let mut batch = vec![first];
        while let Some(next) = self.queued(writer) {
            events += next.submission.len();
            bytes += next.submission.size_bytes();
            let fits = events <= limits::BATCH_EVENTS_MAX && bytes <= limits::BATCH_BYTES_MAX;
            if !fits || next.submission.room() != room {
                self.held_back = Some(next);
                break;
            }
            batch.push(next);
        }
        batch
    }

    /// The first request of a batch: a tick that is due, the request held back, or the next message.
    fn first(&mut self, writer: &mut Writer) -> Option<QueuedRequest> {
        loop {
            if self.shared.tick_due.swap(false, Ordering::AcqRel) {
                let submission = EncodedRequest::new(vec![Entry::Tick], Vec::new());
                return Some(QueuedRequest { submission, answer: None, share: None });
            }
            if let Some(request) = self.held_back.take() {
                return Some(request);
            }
            let message = self.receiver.blocking_recv()?;
            if let Some(request) = self.handle(message, writer) {
                return Some(request);
            }
        }
    }

    /// The next request that is already queued.
    fn queued(&mut self, writer: &mut Writer) -> Option<QueuedRequest> {
        if let Some(request) = self.held_back.take() {
            return Some(request);
        }
        loop {
            let message = self.receiver.try_recv().ok()?;
            if let Some(request) = self.handle(message, writer) {
                return Some(request);
            }
        }
    }

    /// The request in a message, or None after doing what the message asks for.
    fn handle(&mut self, message: WriterMessage, writer: &mut Writer) -> Option<QueuedRequest> {
        match message {
            WriterMessage::Submit(request) => return Some(request),
            WriterMessage::Run(task) => task(writer.log()),
            WriterMessage::Wake => {}
            // Accepts nothing more; messages that are already queued are still received.
            WriterMessage::Stop => {
                self.shared.set_phase(EnginePhase::Closed);
                self.receiver.close();
            }
        }
        None
    }
}

impl Drop for Inbox {
    /// However the loop ended, also by a panic: no caller waits for a writer that is gone.
    fn drop(&mut self) {
        self.shared.set_phase(EnginePhase::Closed);
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
    use crate::domain::state::TradingState;
    use crate::domain::time::Timestamp;
    use crate::engine::handle::NotReady;
    use crate::journal::{Batch, Durability, LogError, MemoryLog, Retention};

    /// An engine whose writer runs one step at a time.
    struct Bench {
        tasks: Runtime,
        handle: Handle,
        inbox: Inbox,
        writer: Writer,
    }

    /// Capacity of the queue in bytes.
    const BYTES_MAX: usize = 1 << 20;

    type Pending = JoinHandle<Result<Receipt, EngineError>>;

    fn bench(log: impl EventLog + 'static, requests_max: usize) -> Bench {
        let monitor = Monitor::new(Arc::default());
        let (handle, inbox) = bounded(monitor, requests_max, BYTES_MAX);
        let writer = Writer::new(inbox.monitor(), Box::new(log));
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
        /// Submits a request and lets it reach the queue.
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
    fn a_waiting_request_is_visible() {
        let mut bench = bench(memory(), 10);
        assert!(!bench.handle.is_waited_for());
        let waiting = bench.submit(vec![Entry::Tick]);
        assert!(bench.handle.is_waited_for());
        assert!(bench.step());
        assert!(!bench.handle.is_waited_for());
        bench.answer(waiting).unwrap();
    }

    #[test]
    fn queued_bytes_are_bounded() {
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
            while bench.inbox.held_back.is_some() || bench.handle.queue().0 > 0 {
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
    fn the_writer_yields_for_a_single_request() {
        thread_local! {
            static YIELDS: Cell<usize> = const { Cell::new(0) };
        }
        let check = |requests: usize, expect: usize| {
            let mut bench = bench(memory(), 10);
            bench.inbox = bench.inbox.with_yield(|| {
                YIELDS.set(YIELDS.get() + 1);
                Duration::ZERO
            });
            YIELDS.set(0);
            let waiting: Vec<Pending> =
                (0..requests).map(|_| bench.submit(vec![Entry::Tick])).collect();
            assert!(bench.step());
            assert_eq!(YIELDS.get(), expect, "{requests}");
            for pending in waiting {
                bench.answer(pending).unwrap();
            }
        };
        check(1, 1);
        check(2, 0);
        check(3, 0);
    }

    #[test]
    fn ticks_take_no_place_in_the_queue_and_are_not_lost() {
        let mut bench = bench(memory(), 1);
        bench.handle.tick();
        bench.handle.tick();
        assert!(bench.step());
        assert_eq!(bench.handle.read(Monitor::sequence), 1, "two waiting ticks become one");
        let waiting = bench.submit(vec![Entry::Tick]);
        bench.handle.tick();
        assert!(bench.step());
        assert_eq!(bench.answer(waiting).unwrap().sequence, 3, "the queue was full");
    }

    #[test]
    fn log_tasks_run_between_batches() {
        let mut bench = bench(memory(), 10);
        let waiting = bench.submit(vec![Entry::Tick]);
        let handle = bench.handle.clone();
        let task = bench.tasks.spawn(async move {
            handle.with_log(|log| Ok((log.first_sequence(), log.last_sequence()))).await
        });
        bench.tasks.block_on(tokio::task::yield_now());
        assert!(bench.step());
        assert_eq!(bench.answer(waiting).unwrap().sequence, 1);
        assert_eq!(bench.tasks.block_on(task).unwrap().unwrap(), (1, 0), "it ran before the batch");
        bench.tasks.block_on(bench.handle.stop());
        while bench.step() {}
        let late = bench.tasks.block_on(bench.handle.with_log(|log| Ok(log.last_sequence())));
        assert!(late.is_err(), "{late:?}");
    }

    #[test]
    fn queued_requests_are_committed_before_the_end() {
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
    fn no_caller_waits_for_a_writer_that_is_gone() {
        let Bench { tasks, handle, inbox, writer } = bench(memory(), 10);
        let bench = Bench { tasks, handle, inbox, writer };
        let waiting = bench.submit(vec![Entry::Tick]);
        let Bench { tasks, handle, inbox, .. } = bench;
        drop(inbox);
        assert_eq!(tasks.block_on(waiting).unwrap(), Err(EngineError::Closed));
        tasks.block_on(handle.ended());
        assert_eq!(tasks.block_on(handle.submit(vec![], vec![])), Err(EngineError::Closed));
    }

    /// A log that returns these errors, last first, and then accepts everything.
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
        assert_eq!(bench.answer(halted).unwrap().sequence, 1, "the reserve accepted it");
        assert_eq!(bench.handle.readiness(), Err(NotReady::DiskFull), "and the disk is still full");
        bench.handle.tick();
        assert!(bench.step());
        assert!(bench.handle.is_ready(), "a tick was written");
        assert_eq!(
            bench.handle.read(Monitor::sequence),
            3,
            "the halt, its control record, the tick"
        );
    }

    #[test]
    fn a_failed_journal_refuses_everything() {
        let source = std::io::Error::other("EIO");
        let failure = LogError::Failed { doing: "syncing", source };
        let mut bench = bench(Failing(vec![failure], memory()), 10);
        let (first, second) = (bench.submit(vec![Entry::Tick]), bench.submit(vec![halt()]));
        while bench.handle.queue().0 > 0 || bench.inbox.held_back.is_some() {
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
