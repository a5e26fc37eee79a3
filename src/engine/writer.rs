//! The commit: a batch of requests becomes records, bytes in the log, and state.
//!
//! Input: submissions, and the time. Output: receipts and directives, or why nothing was taken.
//! Invariants: sequences have no gaps; receive times never go back; one append for each batch;
//! nothing is folded that is not in the log; after a failure of the log nothing is taken. Free of
//! threads, timers and clocks, so that a test drives it step by step.

mod decisions;

use std::sync::Arc;

use parking_lot::{RwLock, RwLockWriteGuard};

use crate::domain::directive::Directive;
use crate::domain::event::Body;
use crate::domain::ids::Account;
use crate::domain::limits;
use crate::domain::monitor::Monitor;
use crate::domain::record::{Entry, Record, Verdict};
use crate::domain::settings::Settings;
use crate::domain::time::Timestamp;
use crate::engine::codec::{CodecError, RecordCodec};
use crate::engine::submission::Submission;
use crate::engine::{EngineError, Receipt};
use crate::journal::{Batch, EventLog, LogError, Room};

/// The only one who writes: the log's owner, and the only one who locks the state for writing.
pub struct Writer {
    monitor: Arc<RwLock<Monitor>>,
    log: Box<dyn EventLog>,
    codec: RecordCodec,
    /// Receive time of the newest record: the next one is not earlier.
    received_at: Timestamp,
    failed: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// What became of a batch that is in the log.
#[derive(Debug)]
pub struct Committed {
    /// One receipt for each submission, in order.
    pub receipts: Vec<Receipt>,
    /// What is to be told, in order.
    pub directives: Vec<Directive>,
}

/// Why the state could not be rebuilt from the log.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log cannot be read.
    #[error("the journal cannot be replayed")]
    Log(#[from] LogError),
    /// A record of the log cannot be decoded.
    #[error("record {sequence} cannot be decoded")]
    Record {
        /// Its sequence.
        sequence: u64,
        /// Why.
        #[source]
        source: CodecError,
    },
}

/// A request on its way: none stands for an entry that is known already and is not written.
struct Planned {
    steps: Vec<Option<Record>>,
    accounts: Vec<Account>,
}

impl Writer {
    /// A writer that goes on where `monitor` and the log stand; see [`Writer::recover`].
    #[must_use]
    pub fn new(monitor: Arc<RwLock<Monitor>>, log: Box<dyn EventLog>, codec: RecordCodec) -> Self {
        let received_at = monitor.read().now();
        Self { monitor, log, codec, received_at, failed: false }
    }

    /// Folds the records that the log holds and the state does not know yet. Their directives were
    /// sent when they were written: they are dropped here. Readers get a turn after each batch.
    ///
    /// # Errors
    /// See [`RecoverError`]. The state is then incomplete, and the writer must not be used.
    pub fn recover(&mut self) -> Result<(), RecoverError> {
        let from = self.monitor.read().sequence() + 1;
        let mut broken: Option<RecoverError> = None;
        let result = self.log.replay(from, &mut |batch| {
            replay_batch(&self.codec, batch, &mut self.monitor.write()).map_err(|error| {
                let what = error.to_string();
                let place = format!("sequence {}", batch.first_sequence());
                broken = Some(error);
                LogError::Corrupt { place, what }
            })
        });
        self.received_at = self.monitor.read().now();
        result.map_err(|error| broken.unwrap_or(RecoverError::Log(error)))
    }

    /// Whether a record put these settings in force.
    #[must_use]
    pub fn is_under(&self, settings: &Settings) -> bool {
        let monitor = self.monitor.read();
        monitor.sequence() > 0 && **monitor.settings() == *settings
    }

    /// Commits the submissions as one batch received at `now`, or later if the clock went back.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] when the log has no room: nothing was taken, a later batch may be.
    /// [`EngineError::JournalFailed`] when the log failed, now or earlier.
    pub fn commit(
        &mut self,
        submissions: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Committed, EngineError> {
        if self.failed {
            return Err(EngineError::JournalFailed);
        }
        let received_at = self.received_at.max(now);
        let (batch, planned) = self.plan(submissions, received_at);
        if !batch.is_empty() {
            self.append(&batch)?;
            self.received_at = received_at;
        }
        let committed = fold(&mut self.monitor.write(), planned);
        self.record_decisions();
        Ok(committed)
    }

    /// Makes what was committed as durable as the log can.
    ///
    /// # Errors
    /// [`EngineError::JournalFailed`] when the log failed, now or earlier.
    pub fn sync(&mut self) -> Result<(), EngineError> {
        if self.failed {
            return Err(EngineError::JournalFailed);
        }
        self.log.sync().map_err(|error| self.fail(&error))
    }

    /// Stamps what is new, and makes the batch of it.
    fn plan(&self, submissions: Vec<Submission>, received_at: Timestamp) -> (Batch, Vec<Planned>) {
        let monitor = self.monitor.read();
        let reserve = submissions.iter().any(|s| s.room() == Room::Reserve);
        let room = if reserve { Room::Reserve } else { Room::Ordinary };
        let mut batch = Batch::new(monitor.sequence() + 1, received_at.as_nanos(), room);
        let mut planned = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let (entries, bytes, accounts) = submission.into_parts();
            let known: Vec<bool> = entries.iter().map(|(e, _)| is_known(&monitor, e)).collect();
            let mut left = known.iter().filter(|known| !**known).count();
            let mut start = 0;
            let mut steps = Vec::with_capacity(entries.len());
            for ((entry, end), known) in entries.into_iter().zip(known) {
                let encoded = bytes.get(start..end).unwrap_or_default();
                start = end;
                if known {
                    steps.push(None);
                    continue;
                }
                left -= 1;
                let more = left > 0;
                let sequence = batch.next_sequence();
                batch.push(|out| RecordCodec::frame(more, encoded, out));
                steps.push(Some(Record { sequence, received_at, more, entry }));
            }
            planned.push(Planned { steps, accounts });
        }
        (batch, planned)
    }

    /// One append for the whole batch. The failure is logged here, once.
    fn append(&mut self, batch: &Batch) -> Result<(), EngineError> {
        match self.log.append(batch) {
            Ok(()) => Ok(()),
            Err(LogError::Full) => Err(EngineError::DiskFull),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// The log failed: for good.
    fn fail(&mut self, error: &LogError) -> EngineError {
        self.failed = true;
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, source, "the journal failed: nothing more is taken");
        EngineError::JournalFailed
    }
}

/// Whether an entry need not be written.
fn is_known(monitor: &Monitor, entry: &Entry) -> bool {
    match entry {
        Entry::Event(event) => monitor.is_duplicate(event),
        Entry::Decision(decision) => monitor.is_decided(decision),
        Entry::Tick | Entry::Check(_) | Entry::Settings(_) | Entry::Control(_) => false,
    }
}

/// Folds the records and reads the states afterwards. Readers get a turn now and then, but none
/// sees a request between its first snapshot and the comparison after its last record.
fn fold(monitor: &mut RwLockWriteGuard<'_, Monitor>, planned: Vec<Planned>) -> Committed {
    let mut directives = Vec::new();
    let mut answers = Vec::with_capacity(planned.len());
    let mut since_turn = 0;
    for Planned { steps, accounts } in planned {
        let mut verdicts = Vec::with_capacity(steps.len());
        let mut compares = false;
        for step in steps {
            let Some(record) = step else {
                verdicts.push(Verdict::Duplicate);
                continue;
            };
            verdicts.push(monitor.apply(&record, &mut directives));
            since_turn += 1;
            compares = record.more && (compares || is_snapshot(&record.entry));
            if since_turn >= limits::FOLD_RECORDS_MAX && !compares {
                RwLockWriteGuard::bump(monitor);
                since_turn = 0;
            }
        }
        answers.push((verdicts, accounts));
    }
    let sequence = monitor.sequence();
    let state = |account: Account| {
        let state = monitor.permit(account.as_str()).state;
        (account, state)
    };
    let receipts = answers
        .into_iter()
        .map(|(verdicts, accounts)| {
            let states = accounts.into_iter().map(state).collect();
            Receipt { verdicts, sequence, states }
        })
        .collect();
    Committed { receipts, directives }
}

/// Folds a record of which nothing is to be told.
fn fold_record(monitor: &mut Monitor, record: &Record) {
    monitor.apply(record, &mut Vec::new());
}

/// Whether an entry sets a book, so that a comparison follows.
const fn is_snapshot(entry: &Entry) -> bool {
    match entry {
        Entry::Event(event) => matches!(event.body, Body::Positions(_)),
        Entry::Tick
        | Entry::Check(_)
        | Entry::Decision(_)
        | Entry::Settings(_)
        | Entry::Control(_) => false,
    }
}

/// Folds the records of a batch that the state does not know yet.
fn replay_batch(
    codec: &RecordCodec,
    batch: &Batch,
    monitor: &mut Monitor,
) -> Result<(), RecoverError> {
    let received_at = Timestamp::from_nanos(batch.received_at_nanos()).unwrap_or(monitor.now());
    let mut unsent = Vec::new();
    for (sequence, bytes) in (batch.first_sequence()..).zip(batch.records()) {
        if sequence <= monitor.sequence() {
            continue;
        }
        let decoded = codec.decode(bytes);
        let (more, entry) = decoded.map_err(|source| RecoverError::Record { sequence, source })?;
        monitor.apply(&Record { sequence, received_at, more, entry }, &mut unsent);
        unsent.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use parking_lot::Mutex;

    use crate::domain::event::{Event, Heartbeat};
    use crate::domain::ids::{Component, EventId};
    use crate::engine::codec::SettingsCodec;
    use crate::journal::{Durability, MemoryLog, Retention};

    const START: Timestamp = Timestamp::MIN;

    /// A log that the test can look into, and that fails when it is told to.
    #[derive(Clone)]
    struct TestLog(Arc<Mutex<Kept>>);

    struct Kept {
        log: MemoryLog,
        appends: usize,
        next_error: Option<LogError>,
    }

    impl TestLog {
        fn new() -> Self {
            let log = MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX);
            Self(Arc::new(Mutex::new(Kept { log, appends: 0, next_error: None })))
        }

        fn fail_next(&self, error: LogError) {
            self.0.lock().next_error = Some(error);
        }

        /// Sequence, receive time after the start, and `more` of each record kept.
        fn records(&self) -> Vec<(u64, Duration, bool)> {
            let mut records = Vec::new();
            let mut visit = |batch: &Batch| {
                let at = Timestamp::from_nanos(batch.received_at_nanos()).unwrap();
                for (sequence, bytes) in (batch.first_sequence()..).zip(batch.records()) {
                    let (more, _) = codec().decode(bytes).unwrap();
                    let since = u64::try_from(at.since(START)).unwrap();
                    records.push((sequence, Duration::from_nanos(since), more));
                }
                Ok(())
            };
            self.0.lock().log.replay(1, &mut visit).unwrap();
            records
        }
    }

    impl EventLog for TestLog {
        fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
            let mut kept = self.0.lock();
            kept.appends += 1;
            kept.next_error.take().map_or(Ok(()), Err)?;
            kept.log.append(batch)
        }

        fn replay(
            &self,
            from: u64,
            visit: &mut dyn FnMut(&Batch) -> Result<(), LogError>,
        ) -> Result<(), LogError> {
            self.0.lock().log.replay(from, visit)
        }

        fn sync(&mut self) -> Result<(), LogError> {
            Ok(())
        }

        fn first_sequence(&self) -> u64 {
            self.0.lock().log.first_sequence()
        }

        fn last_sequence(&self) -> u64 {
            self.0.lock().log.last_sequence()
        }

        fn drop_before(&mut self, sequence: u64) -> Result<(), LogError> {
            self.0.lock().log.drop_before(sequence)
        }

        fn due_before(&self, retention: &Retention) -> Result<u64, LogError> {
            self.0.lock().log.due_before(retention)
        }

        fn durability(&self) -> Durability {
            Durability::Memory
        }

        fn size_bytes(&self) -> u64 {
            self.0.lock().log.size_bytes()
        }
    }

    fn codec() -> RecordCodec {
        RecordCodec::new(SettingsCodec {
            encode: |_| Vec::new(),
            decode: |_| Ok(Settings::default()),
        })
    }

    fn writer(log: &TestLog) -> Writer {
        let monitor = Monitor::new(Arc::new(Settings::default()));
        Writer::new(Arc::new(RwLock::new(monitor)), Box::new(log.clone()), codec())
    }

    /// A heartbeat with that id.
    fn event(id: &str) -> Entry {
        Entry::Event(Event {
            account: Account::default(),
            time: None,
            event_id: EventId::new(id).ok(),
            session: None,
            strategy: None,
            venue: None,
            synthetic: false,
            body: Body::Heartbeat(Heartbeat {
                component: Component::new("engine").unwrap(),
                status: None,
                message: None,
                latency: None,
                interval: None,
            }),
        })
    }

    fn request(ids: &[&str]) -> Submission {
        let entries = ids.iter().map(|id| event(id)).collect();
        Submission::new(entries, vec![Account::default()], &codec())
    }

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn the_last_record_of_each_request_says_so() {
        let check = |requests: &[&[&str]], expect_more: &[bool]| {
            let log = TestLog::new();
            let submissions = requests.iter().map(|ids| request(ids)).collect();
            let committed = writer(&log).commit(submissions, START).unwrap();
            let records = log.records();
            let more: Vec<bool> = records.iter().map(|(_, _, more)| *more).collect();
            assert_eq!(more, expect_more, "{requests:?}");
            let sequences: Vec<u64> = records.iter().map(|(sequence, _, _)| *sequence).collect();
            assert_eq!(sequences, (1..=expect_more.len() as u64).collect::<Vec<_>>());
            for (receipt, ids) in committed.receipts.iter().zip(requests) {
                assert_eq!(receipt.verdicts.len(), ids.len());
                assert_eq!(receipt.sequence, expect_more.len() as u64);
                assert_eq!(receipt.states.len(), 1);
            }
            assert_eq!(committed.receipts.len(), requests.len());
        };
        check(&[], &[]);
        check(&[&[]], &[]);
        check(&[&["a"]], &[false]);
        check(&[&["a", "b", "c"]], &[true, true, false]);
        check(&[&["a", "b"], &[], &["c"], &["d", "e"]], &[true, false, false, true, false]);
    }

    #[test]
    fn what_is_known_is_not_written_again() {
        let log = TestLog::new();
        let mut writer = writer(&log);
        writer.commit(vec![request(&["a", "b"])], START).unwrap();
        let committed = writer.commit(vec![request(&["c", "b", "d", "a"])], START).unwrap();
        let (new, old) = (Verdict::Accepted, Verdict::Duplicate);
        let expect = [new.clone(), old.clone(), new, old.clone()];
        assert_eq!(committed.receipts[0].verdicts, expect);
        let more: Vec<bool> = log.records().into_iter().map(|(_, _, more)| more).collect();
        assert_eq!(more, [true, false, true, false], "the last that is written ends the request");
        let appends = log.0.lock().appends;
        let committed = writer.commit(vec![request(&["a", "d"])], START).unwrap();
        assert_eq!(committed.receipts[0].verdicts, [old.clone(), old.clone()]);
        assert_eq!(committed.receipts[0].sequence, 4);
        assert_eq!(log.0.lock().appends, appends, "nothing to sync");
        let committed = writer.commit(vec![request(&["e", "e"]), request(&["e"])], START).unwrap();
        assert_eq!(committed.receipts[0].verdicts, [Verdict::Accepted, old.clone()]);
        assert_eq!(committed.receipts[1].verdicts, [old], "found by the fold, within one batch");
    }

    #[test]
    fn receive_times_never_go_back() {
        let log = TestLog::new();
        let mut writer = writer(&log);
        for (id, now) in [("a", 10), ("b", 3), ("c", 11), ("d", 0)] {
            writer.commit(vec![request(&[id])], after(now)).unwrap();
        }
        let times: Vec<u64> = log.records().iter().map(|(_, at, _)| at.as_secs()).collect();
        assert_eq!(times, [10, 10, 11, 11]);
        assert_eq!(writer.monitor.read().now(), after(11));
    }

    #[test]
    fn a_full_log_takes_nothing_and_may_have_room_again() {
        let log = TestLog::new();
        let mut writer = writer(&log);
        writer.commit(vec![request(&["a"])], START).unwrap();
        log.fail_next(LogError::Full);
        let refused = writer.commit(vec![request(&["b"]), request(&["c"])], after(9));
        assert_eq!(refused.unwrap_err(), EngineError::DiskFull);
        assert_eq!(writer.monitor.read().sequence(), 1);
        let taken = writer.commit(vec![request(&["b"])], after(1)).unwrap();
        assert_eq!(taken.receipts[0].sequence, 2);
        let expect = [(1, Duration::ZERO, false), (2, Duration::from_secs(1), false)];
        assert_eq!(log.records(), expect);
    }

    #[test]
    fn after_a_failure_nothing_is_taken_and_nothing_is_tried() {
        let log = TestLog::new();
        let mut writer = writer(&log);
        writer.commit(vec![request(&["a"])], START).unwrap();
        let source = std::io::Error::other("EIO");
        log.fail_next(LogError::Failed { doing: "syncing", source });
        for ids in [["b"], ["c"], ["a"]] {
            let refused = writer.commit(vec![request(&ids)], START);
            assert_eq!(refused.unwrap_err(), EngineError::JournalFailed);
        }
        assert_eq!(log.0.lock().appends, 2);
        assert_eq!(writer.monitor.read().sequence(), 1);
    }

    #[test]
    fn decisions_may_use_the_reserve() {
        let decision = crate::domain::record::Decision::Halt {
            account: Account::all(),
            state: crate::domain::state::TradingState::Halted,
            reason: String::new(),
            actor: crate::domain::ids::Actor::new("op").unwrap(),
        };
        let decided = Submission::new(vec![Entry::Decision(decision)], Vec::new(), &codec());
        let writer = writer(&TestLog::new());
        assert_eq!(writer.plan(vec![decided], START).0.room(), Room::Reserve);
        assert_eq!(writer.plan(vec![request(&["a"])], START).0.room(), Room::Ordinary);
    }

    #[test]
    fn a_replay_reaches_the_same_state_whatever_the_batches_were() {
        let ids = ["a", "b", "a", "c", "d", "b", "e", "f"];
        let states: Vec<Vec<String>> = [1, 2, 3, 8]
            .into_iter()
            .map(|size| {
                let log = TestLog::new();
                let mut first = writer(&log);
                for chunk in ids.chunks(size) {
                    let requests = chunk.iter().map(|id| request(&[id])).collect();
                    first.commit(requests, after(1)).unwrap();
                }
                let mut second = writer(&log);
                second.recover().unwrap();
                let (live, replayed) = (first.monitor.read(), second.monitor.read());
                assert_eq!(format!("{live:?}"), format!("{replayed:?}"));
                assert_eq!(first.received_at, second.received_at);
                replayed.accounts().map(|a| format!("{a:?}")).collect()
            })
            .collect();
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{states:#?}");
    }

    #[test]
    fn a_record_that_cannot_be_read_stops_the_recovery() {
        let mut log = TestLog::new();
        let mut batch = Batch::new(1, START.as_nanos(), Room::Ordinary);
        batch.push(|out| out.extend_from_slice(b"\x01\x00T"));
        batch.push(|out| out.extend_from_slice(b"\x01\x00X"));
        log.append(&batch).unwrap();
        let error = writer(&log).recover().unwrap_err();
        assert!(matches!(error, RecoverError::Record { sequence: 2, .. }), "{error}");
    }
}
