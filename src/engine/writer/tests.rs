//! The commit, step by step, over a log that the test can read.

use super::*;

use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::event::{Body, Event, Heartbeat};
use crate::domain::ids::{Component, EventId};
use crate::domain::time::NANOS_PER_SECOND;
use crate::engine::decode_record;
use crate::journal::{Durability, MemoryLog, Retention};

const START: Timestamp = Timestamp::MIN;

/// A log whose records the test can read, and whose next append can be made to fail.
#[derive(Clone)]
struct TestLog(Arc<Mutex<TestLogState>>);

struct TestLogState {
    log: MemoryLog,
    appends: usize,
    next_error: Option<LogError>,
}

impl TestLog {
    fn new() -> Self {
        let log = MemoryLog::new(limits::MEMORY_LOG_BYTES_MAX);
        Self(Arc::new(Mutex::new(TestLogState { log, appends: 0, next_error: None })))
    }

    fn fail_next(&self, error: LogError) {
        self.0.lock().next_error = Some(error);
    }

    /// Sequence, receive time since the start, and `more` of each record.
    fn records(&self) -> Vec<(u64, Duration, bool)> {
        let mut records = Vec::new();
        let mut visit = |batch: &Batch| {
            let at = Timestamp::from_nanos(batch.received_at_nanos()).unwrap();
            for (sequence, bytes) in (batch.first_sequence()..).zip(batch.records()) {
                let (more, _) = decode_record(bytes).unwrap();
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

    fn check_in_place(&mut self) -> Result<(), LogError> {
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

fn writer(log: &TestLog) -> Writer {
    let monitor = Monitor::new(Arc::default());
    Writer::new(Arc::new(RwLock::new(monitor)), Box::new(log.clone()))
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
            source: None,
        }),
    })
}

fn request(ids: &[&str]) -> EncodedRequest {
    let entries = ids.iter().map(|id| event(id)).collect();
    EncodedRequest::new(entries, vec![Account::default()])
}

fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

#[test]
fn the_last_record_of_each_request_is_marked() {
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
fn a_duplicate_is_not_written_again() {
    let log = TestLog::new();
    let mut writer = writer(&log);
    writer.commit(vec![request(&["a", "b"])], START).unwrap();
    let committed = writer.commit(vec![request(&["c", "b", "d", "a"])], START).unwrap();
    let (new, old) = (Verdict::Accepted, Verdict::Duplicate);
    let expect = [new.clone(), old.clone(), new, old.clone()];
    assert_eq!(committed.receipts[0].verdicts, expect);
    let more: Vec<bool> = log.records().into_iter().map(|(_, _, more)| more).collect();
    assert_eq!(more, [true, false, true, false], "the last record written ends the request");
    let appends = log.0.lock().appends;
    let committed = writer.commit(vec![request(&["a", "d"])], START).unwrap();
    assert_eq!(committed.receipts[0].verdicts, [old.clone(), old.clone()]);
    assert_eq!(committed.receipts[0].sequence, 4);
    assert_eq!(log.0.lock().appends, appends, "nothing to sync");
    let committed = writer.commit(vec![request(&["e", "e"]), request(&["e"])], START).unwrap();
    assert_eq!(committed.receipts[0].verdicts, [Verdict::Accepted, old.clone()]);
    assert_eq!(
        committed.receipts[1].verdicts,
        [old],
        "a duplicate within one batch is found by the fold"
    );
}

#[test]
fn receive_times_never_go_back() {
    let log = TestLog::new();
    let mut writer = writer(&log);
    for (id, now) in [("a", 10), ("b", 5), ("c", 11), ("d", 7)] {
        writer.commit(vec![request(&[id])], after(now)).unwrap();
    }
    let times: Vec<u64> = log.records().iter().map(|(_, at, _)| at.as_secs()).collect();
    assert_eq!(times, [10, 10, 11, 11]);
    assert_eq!(writer.monitor.read().now(), after(11));
}

#[test]
fn a_delayed_clock_is_recorded_before_the_events_it_dates() {
    let log = TestLog::new();
    let mut first = writer(&log);
    let commit = |writer: &mut Writer, ids: &[&str], wall: u64, monotonic: u64| {
        let monotonic = Some(Duration::from_secs(monotonic));
        let now = ClockReading { wall: after(wall), monotonic };
        let committed = writer.commit(vec![request(ids)], now).unwrap();
        assert_eq!(committed.receipts.len(), 1);
        assert_eq!(committed.receipts[0].verdicts, vec![Verdict::Accepted; ids.len()]);
        let monitor = writer.monitor.read();
        (monitor.now().since(START) / NANOS_PER_SECOND, monitor.clock_behind().as_secs())
    };
    assert_eq!(commit(&mut first, &["a"], 600, 1), (600, 0));
    assert_eq!(commit(&mut first, &["b"], 2, 3), (602, 600), "the monotonic clock goes on");
    assert_eq!(commit(&mut first, &["c"], 3, 4), (603, 600));
    assert_eq!(log.records().len(), 4, "one of them is the clock record");

    let mut second = writer(&log);
    second.recover(&mut |_, _| ()).unwrap();
    assert_eq!(second.monitor.read().clock_behind().as_secs(), 600, "a restart knows it");
    assert_eq!(commit(&mut second, &["d"], 10, 0), (603, 593));
    assert_eq!(commit(&mut second, &["e"], 12, 2), (605, 593));
    assert_eq!(commit(&mut second, &["f"], 606, 3), (606, 0), "right again");
    let mut recorded = Vec::new();
    let mut visit = |batch: &Batch| {
        recorded.extend(batch.records().filter_map(
            |bytes| match decode_record(bytes).unwrap().1 {
                Entry::Clock { behind } => Some(behind.as_secs()),
                Entry::Event(_)
                | Entry::Opening(_)
                | Entry::Tick
                | Entry::Check(_)
                | Entry::Note(_)
                | Entry::Decision(_)
                | Entry::Settings(_)
                | Entry::Control(_) => None,
            },
        ));
        Ok(())
    };
    log.replay(1, &mut visit).unwrap();
    assert_eq!(recorded, [600, 593, 0]);
}

#[test]
fn the_share_of_a_token_survives_a_restart() {
    let log = TestLog::new();
    let mut settings = Settings::default();
    settings.accounts.per_token = 2;
    let settings = Arc::new(settings);
    let under_settings = || {
        let monitor = Monitor::new(Arc::clone(&settings));
        Writer::new(Arc::new(RwLock::new(monitor)), Box::new(log.clone()))
    };
    let commit = |writer: &mut Writer, token: &str, accounts: &[&str]| {
        let accounts: Vec<Account> =
            accounts.iter().map(|name| Account::new(name).unwrap()).collect();
        let entries = accounts.iter().map(|account| {
            let Entry::Event(event) = event("") else { panic!("an event") };
            Entry::Event(Event { account: account.clone(), ..event })
        });
        let request = EncodedRequest::new(entries.collect(), accounts.clone());
        let request = request.from_token(Some(token.into()));
        let committed = writer.commit(vec![request], START).unwrap();
        committed.receipts[0].verdicts.iter().map(|v| *v == Verdict::Accepted).collect::<Vec<_>>()
    };
    let mut first = under_settings();
    let none = EncodedRequest::new(vec![Entry::Settings(Arc::clone(&settings))], Vec::new());
    first.commit(vec![none], START).unwrap();
    assert_eq!(
        commit(&mut first, "dev", &["a", "a", "b", "c", "a"]),
        [true, true, true, false, true]
    );
    assert_eq!(commit(&mut first, "prod", &["c", "a", "d"]), [true, true, true]);
    let mut second = under_settings();
    second.recover(&mut |_, _| ()).unwrap();
    let states = [&first, &second].map(|writer| format!("{:?}", writer.monitor.read()));
    assert_eq!(states[0], states[1]);
    assert_eq!(commit(&mut second, "dev", &["e", "b", "c"]), [false, true, true]);
    assert_eq!(commit(&mut second, "prod", &["e", "d"]), [false, true]);
    assert_eq!(commit(&mut second, "other", &["e"]), [true]);
}

#[test]
fn a_full_log_refuses_a_batch_and_may_accept_a_later_one() {
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
fn after_a_failure_every_batch_is_refused_untried() {
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
        by: crate::domain::ids::Actor::new("op").unwrap().into(),
    };
    let decided = EncodedRequest::new(vec![Entry::Decision(decision)], Vec::new());
    let writer = writer(&TestLog::new());
    assert_eq!(writer.plan(vec![decided], START).0.room(), Room::Reserve);
    assert_eq!(writer.plan(vec![request(&["a"])], START).0.room(), Room::Ordinary);
}

#[test]
fn a_replay_does_not_depend_on_batch_boundaries() {
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
            second.recover(&mut |_, _| ()).unwrap();
            let (live, replayed) = (first.monitor.read(), second.monitor.read());
            assert_eq!(format!("{live:?}"), format!("{replayed:?}"));
            assert_eq!(first.clock.at(), second.clock.at());
            replayed.accounts().map(|a| format!("{a:?}")).collect()
        })
        .collect();
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{states:#?}");
}

#[test]
fn an_unreadable_record_stops_the_recovery() {
    let mut log = TestLog::new();
    let mut batch = Batch::new(1, START.as_nanos(), Room::Ordinary);
    batch.push(|out| out.extend_from_slice(b"\x01\x00T"));
    batch.push(|out| out.extend_from_slice(b"\x01\x00X"));
    log.append(&batch).unwrap();
    let error = writer(&log).recover(&mut |_, _| ()).unwrap_err();
    assert!(matches!(error, RecoverError::Record { sequence: 2, .. }), "{error}");
}
