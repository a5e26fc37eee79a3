//! The writer's queue, driven one step at a time.

use super::*;

use std::cell::Cell;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::domain::ids::{Account, Actor};
use crate::domain::record::Decision;
use crate::domain::state::TradingState;
use crate::domain::time::Timestamp;
use crate::engine::handle::NotReady;
use crate::journal::{Batch, Durability, EventLog, LogError, MemoryLog, Retention};

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
    let change_of = |bytes: usize| {
        let (change, by) = ("x".repeat(bytes), Actor::new("op").unwrap().into());
        vec![Entry::Decision(Decision::Configure { change, is_refused: false, by })]
    };
    for bytes in [BYTES_MAX / 2, BYTES_MAX, 2 * BYTES_MAX] {
        let first = bench.submit(change_of(bytes));
        let second = bench.submit(change_of(bytes));
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
        while found.iter().sum::<usize>() < expect.iter().sum() {
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
    check(vec![ticks(1), ticks(max + 1), ticks(1)], &[1, max, 2]);
    check(vec![ticks(1), vec![halt()], vec![halt()], ticks(2)], &[2, 3]);
    let change = || {
        let (change, by) = (String::new(), Actor::new("op").unwrap().into());
        vec![Entry::Decision(Decision::Configure { change, is_refused: false, by })]
    };
    check(vec![ticks(1), change(), change(), ticks(2)], &[1, 2, 2]);
}

#[test]
fn a_decision_gets_in_between_the_parts_of_a_large_request() {
    let mut bench = bench(memory(), 10);
    bench.inbox.pace = FoldPace::of(1_000);
    let large = bench.submit(vec![Entry::Tick; 2_500]);
    let small = bench.submit(vec![Entry::Tick; 3]);
    assert!(bench.step());
    let first = bench.submit(vec![halt()]);
    let second = bench.submit(vec![halt()]);
    assert!(bench.step());
    assert_eq!(bench.answer(first).unwrap().sequence, 1_002);
    assert_eq!(bench.answer(second).unwrap().sequence, 1_002, "one batch");
    let third = bench.submit(vec![halt()]);
    assert!(bench.step());
    assert!(!third.is_finished(), "the others have their turn");
    assert!(bench.step());
    let third = bench.answer(third).unwrap().sequence;
    assert!((2_002..2_100).contains(&third), "{third}");
    assert!(bench.step());
    let receipt = bench.answer(large).unwrap();
    assert_eq!(receipt.verdicts.len(), 2_500);
    assert!(receipt.sequence > third + 500, "{}", receipt.sequence);
    assert_eq!(bench.answer(small).unwrap().sequence, receipt.sequence);
}

#[test]
fn a_full_queue_of_events_refuses_no_decision() {
    let mut bench = bench(memory(), 1);
    let events = bench.submit(vec![Entry::Tick]);
    let refused = bench.submit(vec![Entry::Tick]);
    let decision = bench.submit(vec![halt()]);
    assert_eq!(bench.answer(refused), Err(EngineError::Overloaded));
    assert!(bench.step() && bench.step());
    let decision = bench.answer(decision).unwrap().sequence;
    assert_eq!(decision, 1);
    assert!(bench.answer(events).unwrap().sequence > decision);
}

/// Bodies that are still being decoded hold all places: then the queue is full, and the writer sleeps.
#[test]
fn a_decision_wakes_the_writer_while_bodies_hold_all_places() {
    let mut bench = bench(memory(), 1);
    let place = bench.handle.reserve(1).unwrap();
    assert_eq!(bench.handle.reserve(1).unwrap_err(), EngineError::Overloaded);
    let decisions = [bench.submit(vec![halt()]), bench.submit(vec![halt()])];
    bench.handle.tick();
    assert_eq!(bench.inbox.receiver.len(), 1, "one message wakes it");
    assert!(bench.step());
    for decision in decisions {
        bench.answer(decision).unwrap();
    }
    assert!(bench.step(), "the tick");
    let receipt = place.submit_from(None, vec![Entry::Tick], vec![]).unwrap();
    assert_eq!(bench.handle.queue(), (1, 1));
    assert!(bench.step());
    assert_eq!(bench.tasks.block_on(receipt.received()).unwrap().verdicts.len(), 1);
    assert!(!bench.handle.is_waited_for());
    let dropped = bench.handle.reserve(BYTES_MAX).unwrap();
    assert!(bench.handle.is_waited_for());
    drop(dropped);
    assert_eq!((bench.handle.queue(), bench.handle.is_waited_for()), ((0, 1), false));
}

#[test]
fn a_part_that_is_refused_refuses_the_request() {
    let mut bench = bench(Failing(vec![LogError::Full], memory()), 10);
    bench.inbox.pace = FoldPace::of(100);
    let large = bench.submit(vec![Entry::Tick; 1_000]);
    let next = bench.submit(vec![Entry::Tick]);
    assert!(bench.step() && bench.step());
    assert_eq!(bench.answer(large), Err(EngineError::DiskFull));
    assert_eq!(bench.answer(next).unwrap().sequence, 1);
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
    assert_eq!(bench.handle.read(Monitor::sequence), 3, "the halt, its control record, the tick");
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
