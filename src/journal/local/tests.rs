//! The local log against crashes, power cuts, full disks and damage, on the simulated directory.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::journal::conformance::{batch, replayed};
use crate::journal::segment::digest_at;
use crate::journal::{JournalReader, SimStorage, StorageFault, StorageOperation, TailState};

/// Small enough that a few batches fill many segments.
const SEGMENT_BYTES: u64 = 4 * 1024;

fn options(sync: SyncMode) -> LocalOptions {
    LocalOptions { segment_bytes: SEGMENT_BYTES, sync, timer: None }
}

fn open(storage: &SimStorage, sync: SyncMode) -> Result<LocalLog, LogError> {
    LocalLog::open(Arc::new(storage.clone()), options(sync))
}

fn open_synced(storage: &SimStorage) -> LocalLog {
    open(storage, SyncMode::EveryBatch).unwrap()
}

/// Batch `n` of the test story: one to three records, some longer than a sector.
fn story(n: u64, first: u64) -> Batch {
    let records: Vec<Vec<u8>> = (0..=n % 3)
        .map(|k| {
            let length = usize::try_from((n * 7919 + k * 104_729) % 1_400).unwrap();
            (0..length).map(|i| u8::try_from(i % 251).unwrap() | 1).collect()
        })
        .collect();
    let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    batch(first, i64::try_from(n).unwrap(), &records)
}

/// Appends `count` batches of the story, or fewer if one fails. Returns the acknowledged batches, and
/// the one that failed.
fn append_story(log: &mut LocalLog, count: u64) -> (Vec<Batch>, Option<Batch>) {
    let mut acknowledged = Vec::new();
    for n in 0..count {
        let next = story(n, log.last_sequence() + 1);
        match log.append(&next) {
            Ok(()) => acknowledged.push(next),
            Err(_) => return (acknowledged, Some(next)),
        }
    }
    (acknowledged, None)
}

/// The storage of a log with 20 batches in several segments, and the batches.
fn story_log() -> (SimStorage, Vec<Batch>) {
    let storage = SimStorage::new(1);
    let (batches, failed) = append_story(&mut open_synced(&storage), 20);
    assert_eq!(failed, None);
    (storage, batches)
}

fn segments(storage: &SimStorage) -> Vec<String> {
    let names = storage.names().unwrap();
    names.into_iter().filter(|name| SegmentName::parse(name).is_some()).collect()
}

/// After a crash the log holds the acknowledged batches, and perhaps the complete batch that was
/// being appended. It accepts new batches.
fn check_recovered(storage: &SimStorage, acknowledged: &[Batch], tried: Option<&Batch>) {
    let mut log = open_synced(storage);
    let found = replayed(&log, 1).unwrap();
    let with_tried: Vec<Batch> = acknowledged.iter().chain(tried).cloned().collect();
    assert!(found == acknowledged || found == with_tried, "{} found", found.len());
    let next = batch(log.last_sequence() + 1, 99, &[b"after"]);
    log.append(&next).unwrap();
    drop(log);
    let again = replayed(&open_synced(storage), 1).unwrap();
    assert_eq!(again.split_last().unwrap(), (&next, found.as_slice()));
}

#[test]
fn a_reopened_log_continues() {
    let (storage, mut batches) = story_log();
    for n in 0..10 {
        let mut log = open_synced(&storage);
        assert_eq!(log.torn(), None);
        assert_eq!(replayed(&log, 1).unwrap(), batches);
        let next = story(n, log.last_sequence() + 1);
        log.append(&next).unwrap();
        batches.push(next);
    }
    assert!(segments(&storage).len() > 3, "{:?}", segments(&storage));
}

#[test]
fn a_directory_belongs_to_one_log() {
    let storage = SimStorage::new(1);
    let log = open_synced(&storage);
    assert!(matches!(open(&storage, SyncMode::EveryBatch), Err(LogError::InUse { .. })));
    drop(log);
    open_synced(&storage);

    let directory = tempfile::tempdir().unwrap();
    let disk = || Arc::new(crate::journal::DiskStorage::open(directory.path()).unwrap());
    let log = LocalLog::open(disk(), options(SyncMode::EveryBatch)).unwrap();
    let second = LocalLog::open(disk(), options(SyncMode::EveryBatch));
    assert!(matches!(second, Err(LogError::InUse { place }) if place.starts_with('/')));
    drop(log);
    LocalLog::open(disk(), options(SyncMode::EveryBatch)).unwrap();
}

/// Cuts the power at each operation of the story in turn, with four seeds each.
#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    let (all, _) = story_log();
    let operations = all.operations();
    let mut torn = 0;
    for at in 0..operations {
        for seed in 0..4 {
            let storage = SimStorage::new(seed);
            storage.fail_at(at, StorageFault::PowerCut);
            let written =
                open(&storage, SyncMode::EveryBatch).map(|mut log| append_story(&mut log, 20));
            let (acknowledged, tried) = written.unwrap_or_default();
            storage.reboot();
            check_recovered(&storage, &acknowledged, tried.as_ref());
            torn += quarantine::torn_tail_files(&storage).unwrap().len();
        }
    }
    assert!(torn > 20, "only {torn} torn tails in {operations} operations");
}

/// Cuts the power a second time, while the log recovers from the first power cut.
#[test]
fn a_power_cut_during_recovery_loses_nothing_acknowledged() {
    let mut quarantined = 0;
    for seed in 0..200 {
        let storage = SimStorage::new(seed);
        let mut log = open_synced(&storage);
        let (acknowledged, _) = append_story(&mut log, 3);
        let tried = batch(log.last_sequence() + 1, 9, &[&[1; 1400]]);
        storage.fail_at(storage.operations() + 1, StorageFault::PowerCut);
        log.append(&tried).unwrap_err();
        drop(log);
        storage.reboot();
        let at = storage.operations() + seed % 10;
        storage.fail_at(at, StorageFault::PowerCut);
        let again = open(&storage, SyncMode::EveryBatch);
        quarantined += usize::from(again.is_err());
        drop(again);
        storage.cut_power();
        storage.reboot();
        check_recovered(&storage, &acknowledged, Some(&tried));
    }
    assert!(quarantined > 20, "{quarantined}");
}

/// Each operation fails in turn: the log fails for good, and keeps all acknowledged batches.
#[test]
fn a_failure_is_final_and_loses_nothing_acknowledged() {
    let (all, _) = story_log();
    let mut failures = 0;
    for at in 0..all.operations() {
        let storage = SimStorage::new(at);
        storage.fail_at(at, StorageFault::Error);
        let (mut acknowledged, mut tried) = (Vec::new(), None);
        if let Ok(mut log) = open(&storage, SyncMode::EveryBatch) {
            (acknowledged, tried) = append_story(&mut log, 20);
            if tried.is_some() {
                failures += 1;
                let operations = storage.operations();
                for next in [story(1, log.last_sequence() + 1), story(1, 1)] {
                    let error = log.append(&next).unwrap_err();
                    assert!(matches!(error, LogError::Failed { .. }), "{error}");
                }
                assert!(matches!(log.sync(), Err(LogError::Failed { .. })));
                assert_eq!(storage.operations(), operations, "nothing is tried again");
            }
        }
        // Once as if only the process died, and once with a power cut, which loses the sectors that the
        // failed sync should have written.
        let process_died = storage.copy(at);
        check_recovered(&process_died, &acknowledged, tried.as_ref());
        storage.cut_power();
        storage.reboot();
        check_recovered(&storage, &acknowledged, tried.as_ref());
    }
    assert!(failures > 30, "{failures}");
}

/// After a failed sync the page cache has a batch that the disk does not have, and the kernel counts
/// its pages as clean. Recovery must write it again: later batches build on it and are acknowledged.
#[test]
fn recovery_writes_a_batch_again_whose_sync_failed() {
    for seed in 0..20 {
        let storage = SimStorage::new(seed);
        let mut log = open_synced(&storage);
        let (mut known, _) = append_story(&mut log, 3);
        storage.fail_at(storage.operations() + 1, StorageFault::Error);
        let (_, tried) = append_story(&mut log, 1);
        drop(log);
        storage.reboot();
        let mut log = open_synced(&storage);
        assert_eq!(
            log.last_sequence(),
            tried.as_ref().unwrap().next_sequence() - 1,
            "the page cache has the batch"
        );
        known.extend(tried);
        known.extend(append_story(&mut log, 2).0);
        storage.cut_power();
        storage.reboot();
        check_recovered(&storage, &known, None);
    }
}

/// Each batch takes one write and one sync, and at the end of a segment some operations on names.
#[test]
fn a_batch_takes_one_sync() {
    let storage = SimStorage::new(1);
    let mut log = open_synced(&storage);
    for n in 0..20 {
        let before = storage.history().len();
        let segments_before = segments(&storage).len();
        log.append(&story(n, log.last_sequence() + 1)).unwrap();
        let done = storage.history()[before..].to_vec();
        if segments(&storage).len() == segments_before {
            assert_eq!(done, [StorageOperation::Write, StorageOperation::Sync]);
        } else {
            use StorageOperation::{Create, Rename, Sync, SyncNames, Write};
            let made = [Create, Sync, Rename, SyncNames, Rename, SyncNames, Write, Sync];
            assert_eq!(done, made, "without a preallocator the segment is made first");
        }
    }
}

#[test]
fn a_batch_larger_than_a_segment_gets_its_own_segment() {
    let storage = SimStorage::new(1);
    let mut log = open_synced(&storage);
    let large = vec![7; 3 * usize::try_from(SEGMENT_BYTES).unwrap()];
    let batches = [
        batch(1, 1, &[&large]),
        batch(2, 1, &[b"small"]),
        batch(3, 1, &[&large, b"x"]),
        batch(5, 1, &[b"y"]),
    ];
    for batch in &batches {
        log.append(batch).unwrap();
    }
    assert_eq!(replayed(&log, 1).unwrap(), batches);
    drop(log);
    assert_eq!(replayed(&open_synced(&storage), 1).unwrap(), batches);
}

#[test]
fn a_full_disk_accepts_decisions_and_recovers_when_there_is_room() {
    let storage = SimStorage::new(1);
    let mut log = open_synced(&storage);
    let mut kept = vec![story(1, 1)];
    log.append(&kept[0]).unwrap();
    storage.set_capacity(Some(storage.used_bytes()));
    let large: &[u8] = &[9; 3_000];
    let next = |log: &mut LocalLog, room: Room, at: i64, kept: &mut Vec<Batch>| {
        let mut batch = Batch::new(log.last_sequence() + 1, at * 1_000_000_000, room);
        batch
            .push(|out| out.extend_from_slice(if room == Room::Reserve { b"halt" } else { large }));
        let result = log.append(&batch);
        if result.is_ok() {
            kept.push(batch);
        }
        result
    };
    let full = |result: Result<(), LogError>| assert!(matches!(result, Err(LogError::Full)));
    next(&mut log, Room::Ordinary, 1, &mut kept).ok();
    full(next(&mut log, Room::Ordinary, 2, &mut kept));
    let mut decisions = 0;
    while next(&mut log, Room::Reserve, 3, &mut kept).is_ok() {
        decisions += 1;
        assert!(decisions < 100);
        full(next(&mut log, Room::Ordinary, 3, &mut kept));
        // A restart on a full disk changes nothing.
        drop(log);
        log = open_synced(&storage);
    }
    assert!(decisions >= 8, "the reserve took {decisions}");
    full(next(&mut log, Room::Reserve, 4, &mut kept));
    assert_eq!(replayed(&log, 1).unwrap(), kept);

    storage.set_capacity(None);
    full(next(&mut log, Room::Ordinary, 4, &mut kept));
    next(&mut log, Room::Ordinary, 9, &mut kept).unwrap();
    next(&mut log, Room::Reserve, 9, &mut kept).unwrap();
    assert_eq!(replayed(&log, 1).unwrap(), kept);
    drop(log);
    let log = open_synced(&storage);
    assert_eq!(replayed(&log, 1).unwrap(), kept);
    assert!(storage.names().unwrap().contains(&"reserve".to_owned()), "the reserve was made again");
}

#[test]
fn a_first_start_on_a_full_disk_reports_it() {
    let storage = SimStorage::new(1);
    storage.set_capacity(Some(1));
    assert!(matches!(open(&storage, SyncMode::EveryBatch), Err(LogError::Full)));
}

/// Without a sync for each batch, a power cut loses the newest batches, and the log opens with the rest.
#[test]
fn a_relaxed_log_loses_only_the_newest_batches() {
    let every = Duration::from_secs(5);
    let (mut lost, mut quarantined) = (0, 0);
    for seed in 0..300 {
        let storage = SimStorage::new(seed);
        let mut log = open(&storage, SyncMode::Interval(every)).unwrap();
        assert_eq!(log.durability(), Durability::Relaxed);
        let (batches, _) = append_story(&mut log, 1 + seed % 20);
        drop(log);
        storage.cut_power();
        storage.reboot();
        let mut log = open(&storage, SyncMode::Interval(every)).unwrap();
        let found = replayed(&log, 1).unwrap();
        assert!(batches.starts_with(&found), "seed {seed}");
        lost += batches.len() - found.len();
        quarantined += usize::from(log.torn().is_some());
        assert!(batches.len() - found.len() <= 6, "at most the batches of five seconds are lost");
        log.append(&batch(log.last_sequence() + 1, 99, &[b"x"])).unwrap();
        log.sync().unwrap();
        drop(log);
        storage.cut_power();
        storage.reboot();
        let log = open_synced(&storage);
        assert_eq!(replayed(&log, 1).unwrap().len(), found.len() + 1, "`sync` made it durable");
    }
    assert!(lost > 100 && quarantined > 20, "{lost} lost, {quarantined} quarantined");
}

#[test]
fn a_sync_is_due_by_the_receive_times_of_batches() {
    let storage = SimStorage::new(1);
    let sync = SyncMode::Interval(Duration::from_secs(5));
    let options = LocalOptions { segment_bytes: 1 << 20, sync, timer: None };
    let mut log = LocalLog::open(Arc::new(storage.clone()), options).unwrap();
    let mut syncs = |at: i64| {
        let before = storage.history().len();
        log.append(&batch(log.last_sequence() + 1, at, &[b"x"])).unwrap();
        storage.history()[before..].contains(&StorageOperation::Sync)
    };
    let found: Vec<i64> = (10..30).filter(|second| syncs(*second)).collect();
    assert_eq!(found, [15, 20, 25]);
}

#[test]
fn segments_are_dropped_oldest_first_despite_faults() {
    let (written, batches) = story_log();
    let sequence = written.copy(0);
    let first = |storage: &SimStorage| open_synced(storage).first_sequence();
    let mut log = open_synced(&sequence);
    log.drop_before(log.last_sequence()).unwrap();
    assert_eq!(segments(&sequence).len(), 1);
    drop(log);
    let last_first = first(&sequence);
    for at in 0..12 {
        for fault in [StorageFault::Error, StorageFault::PowerCut] {
            let storage = written.copy(at);
            let mut log = open_synced(&storage);
            storage.fail_at(storage.operations() + at, fault);
            let last = log.last_sequence();
            log.drop_before(last).ok();
            drop(log);
            storage.cut_power();
            storage.reboot();
            let log = open_synced(&storage);
            let first = log.first_sequence();
            assert!(first <= last_first);
            let kept = batches.iter().filter(|b| b.first_sequence() >= first);
            assert_eq!(replayed(&log, first).unwrap(), kept.cloned().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_reader_takes_no_lock_and_changes_nothing() {
    let (storage, batches) = story_log();
    let log = open_synced(&storage);
    let operations = storage.operations();
    let reader = JournalReader::open(Arc::new(storage.clone())).unwrap();
    let mut found = Vec::new();
    let mut visit = |batch: &Batch| {
        found.push(batch.clone());
        ControlFlow::<()>::Continue(())
    };
    assert_eq!(reader.replay(1, &mut visit).unwrap(), ControlFlow::Continue(TailState::Clean));
    assert_eq!(found, batches);
    let verified = reader.verify().unwrap();
    assert_eq!(verified.batches, 20);
    assert_eq!((verified.first_sequence, verified.last_sequence), (1, log.last_sequence()));
    assert_eq!(verified.received_at_nanos, Some((0, 19_000_000_000)));
    assert_eq!((verified.tail, verified.torn_files), (TailState::Clean, 0));
    assert_eq!(storage.operations(), operations);
}

#[test]
fn the_digest_of_each_record_is_that_of_its_batch() {
    let storage = SimStorage::new(1);
    let mut log = open_synced(&storage);
    let mut digests = Vec::new();
    for n in 0..20 {
        let next = story(n, log.last_sequence() + 1);
        log.append(&next).unwrap();
        digests.extend(next.records().map(|_| log.digest));
    }
    assert!(segments(&storage).len() > 3);
    for (digest, sequence) in digests.iter().zip(1..) {
        assert_eq!(digest_at(&storage, sequence).unwrap().as_ref(), Some(digest), "{sequence}");
    }
    assert_eq!(digest_at(&storage, log.last_sequence() + 1).unwrap(), None);
    assert_eq!(digest_at(&storage, 0).unwrap(), None);
}

#[test]
fn a_reader_starts_at_the_oldest_kept_record_and_visits_no_earlier_batch() {
    let (storage, batches) = story_log();
    let mut log = open_synced(&storage);
    log.drop_before(batches[10].first_sequence()).unwrap();
    let first = log.first_sequence();
    assert!(first > 1);
    let reader = JournalReader::open(Arc::new(storage)).unwrap();
    assert_eq!(reader.first_sequence(), first);
    assert_eq!(reader.verify().unwrap().first_sequence, first);
    for from in first..=log.last_sequence() + 1 {
        let mut found = Vec::new();
        let mut visit = |batch: &Batch| {
            found.push(batch.clone());
            ControlFlow::<()>::Continue(())
        };
        let end = reader.replay(from, &mut visit).unwrap();
        assert_eq!(end, ControlFlow::Continue(TailState::Clean));
        let expected = batches.iter().filter(|b| b.next_sequence() > from);
        assert_eq!(found, expected.cloned().collect::<Vec<_>>(), "from {from}");
    }
    let gone = reader.replay(first - 1, &mut |_| ControlFlow::<()>::Continue(()));
    assert!(matches!(gone, Err(LogError::Gone { .. })), "{gone:?}");
}
