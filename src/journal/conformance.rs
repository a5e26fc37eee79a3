//! One conformance suite for all implementations of [`EventLog`].

use super::{
    Batch, Durability, EventLog, LocalLog, LocalOptions, LogError, MemoryLog, Retention, Room,
    SimStorage,
};
use std::sync::Arc;

/// A batch with these records, received at second `at`.
pub(super) fn batch(first: u64, at: i64, records: &[&[u8]]) -> Batch {
    let mut batch = Batch::new(first, at * 1_000_000_000, Room::Ordinary);
    for record in records {
        batch.push(|out| out.extend_from_slice(record));
    }
    batch
}

/// The batches that a replay from sequence `from` visits.
pub(super) fn replayed(log: &dyn EventLog, from: u64) -> Result<Vec<Batch>, LogError> {
    let mut batches = Vec::new();
    log.replay(from, &mut |batch| {
        batches.push(batch.clone());
        Ok(())
    })?;
    Ok(batches)
}

/// A log that holds four batches: records 1 to 2, 3, 4 to 6, 7, received at seconds 1 to 4.
fn filled(mut log: Box<dyn EventLog>) -> (Box<dyn EventLog>, Vec<Batch>) {
    let mut batches = vec![
        batch(1, 1, &[b"a", b"b"]),
        batch(3, 2, &[b""]),
        batch(4, 3, &[b"d", b"e", &[0; 700]]),
        batch(7, 4, &[&[0xff; 1500]]),
    ];
    let last = &mut batches[3];
    *last = {
        let mut reserve = Batch::new(7, 4_000_000_000, Room::Reserve);
        reserve.push(|out| out.extend_from_slice(&[0xff; 1500]));
        reserve
    };
    for batch in &batches {
        log.append(batch).unwrap();
    }
    (log, batches)
}

fn an_empty_log_replays_nothing(log: &dyn EventLog) {
    assert_eq!((log.first_sequence(), log.last_sequence()), (1, 0));
    assert_eq!(replayed(log, 1).unwrap(), []);
    assert!(matches!(replayed(log, 0), Err(LogError::Gone { first: 1 })));
    assert_eq!(log.due_before(&Retention { bytes_max: Some(0), ..Default::default() }).unwrap(), 1);
}

fn batches_are_replayed_from_any_sequence(log: Box<dyn EventLog>) {
    let (log, batches) = filled(log);
    let check = |from: u64, expect: &[Batch]| {
        assert_eq!(replayed(&*log, from).unwrap(), expect, "from {from}");
    };
    check(1, &batches);
    check(2, &batches);
    check(3, &batches[1..]);
    check(6, &batches[2..]);
    check(7, &batches[3..]);
    check(8, &[]);
    check(99, &[]);
    assert_eq!((log.first_sequence(), log.last_sequence()), (1, 7));
}

fn gaps_and_repetitions_are_rejected_without_effect(log: Box<dyn EventLog>) {
    let (mut log, batches) = filled(log);
    for found in [0, 1, 7, 9] {
        let error = log.append(&batch(found, 9, &[b"x"])).unwrap_err();
        let expected = matches!(
            error, LogError::OutOfSequence { expected: 8, found: f } if f == found
        );
        assert!(expected, "{error}");
    }
    assert_eq!(replayed(&*log, 1).unwrap(), batches);
    log.append(&batch(8, 9, &[b"x"])).unwrap();
    assert_eq!(log.last_sequence(), 8);
}

fn an_empty_batch_is_ignored(mut log: Box<dyn EventLog>) {
    log.append(&batch(1, 1, &[])).unwrap();
    log.append(&batch(1, 1, &[b"a"])).unwrap();
    log.append(&batch(9, 1, &[])).unwrap();
    log.sync().unwrap();
    assert_eq!(replayed(&*log, 1).unwrap(), [batch(1, 1, &[b"a"])]);
}

fn an_error_of_the_visitor_ends_the_replay(log: Box<dyn EventLog>) {
    let (log, _) = filled(log);
    let mut seen = 0;
    let error = log.replay(1, &mut |_| {
        seen += 1;
        if seen == 2 { Err(LogError::Full) } else { Ok(()) }
    });
    assert!(matches!(error, Err(LogError::Full)));
    assert_eq!(seen, 2);
}

fn dropped_records_are_gone_and_the_newest_stays(log: Box<dyn EventLog>) {
    let (mut log, batches) = filled(log);
    for sequence in [0, 1, 5, 7, 8, 99] {
        let before = log.size_bytes();
        log.drop_before(sequence).unwrap();
        let first = log.first_sequence();
        assert!(first <= sequence.max(1), "{first} for {sequence}");
        assert!(log.size_bytes() <= before);
        let kept: Vec<Batch> =
            batches.iter().filter(|b| b.first_sequence() >= first).cloned().collect();
        assert_eq!(replayed(&*log, first).unwrap(), kept);
        assert_eq!(log.last_sequence(), 7, "the newest record stays");
        if first > 1 {
            let gone = replayed(&*log, first - 1);
            assert!(matches!(gone, Err(LogError::Gone { first: f }) if f == first));
        }
    }
    assert!(log.first_sequence() > 1, "something was dropped");
    log.append(&batch(8, 9, &[b"x"])).unwrap();
    assert_eq!(replayed(&*log, 8).unwrap(), [batch(8, 9, &[b"x"])]);
}

fn retention_is_computed_without_dropping_records(log: Box<dyn EventLog>) {
    let (mut log, _) = filled(log);
    let none = Retention::default();
    assert_eq!(log.due_before(&none).unwrap(), 1);
    let due = |log: &dyn EventLog, second: i64| {
        let received_after_nanos = Some(second * 1_000_000_000);
        log.due_before(&Retention { received_after_nanos, ..none }).unwrap()
    };
    assert_eq!(due(&*log, 1), 1, "nothing is older");
    let dues: Vec<u64> = (1..6).map(|second| due(&*log, second)).collect();
    assert!(dues.is_sorted() && *dues.last().unwrap() <= 7, "{dues:?}");
    assert!(dues[4] > 1, "some are older: {dues:?}");
    let all = log.size_bytes();
    assert_eq!(log.due_before(&Retention { bytes_max: Some(all), ..none }).unwrap(), 1);
    let half = Retention { bytes_max: Some(all / 2), ..none };
    let sequence = log.due_before(&half).unwrap();
    assert!(sequence > 1);
    assert_eq!(log.first_sequence(), 1);
    log.drop_before(sequence).unwrap();
    assert_eq!(log.first_sequence(), sequence, "retention returns the start of a segment");
}

/// Runs the suite. `make` returns a new empty log each time.
fn check_conformance(make: impl Fn() -> Box<dyn EventLog>, durability: Durability) {
    an_empty_log_replays_nothing(&*make());
    batches_are_replayed_from_any_sequence(make());
    gaps_and_repetitions_are_rejected_without_effect(make());
    an_empty_batch_is_ignored(make());
    an_error_of_the_visitor_ends_the_replay(make());
    dropped_records_are_gone_and_the_newest_stays(make());
    retention_is_computed_without_dropping_records(make());
    assert_eq!(make().durability(), durability);
}

#[test]
fn the_memory_log_conforms() {
    check_conformance(|| Box::new(MemoryLog::new(1 << 20)), Durability::Memory);
}

#[test]
fn the_local_log_conforms_with_segments_of_any_size() {
    for segment_bytes in [512, 1024, 2048] {
        let options = LocalOptions { segment_bytes, ..LocalOptions::default() };
        let make = || {
            let storage = Arc::new(SimStorage::new(1));
            let log = LocalLog::open(storage, options.clone()).unwrap();
            Box::new(log) as Box<dyn EventLog>
        };
        check_conformance(make, Durability::Synced);
    }
}

#[test]
fn the_local_log_conforms_on_a_disk() {
    let directories = std::cell::RefCell::new(Vec::new());
    let make = || {
        let directory = tempfile::tempdir().unwrap();
        let storage = super::DiskStorage::open_or_create(&directory.path().join("a/b")).unwrap();
        directories.borrow_mut().push(directory);
        let options = LocalOptions { segment_bytes: 1024, ..LocalOptions::default() };
        let log = LocalLog::open(Arc::new(storage), options).unwrap();
        Box::new(log) as Box<dyn EventLog>
    };
    check_conformance(make, Durability::Synced);
}
