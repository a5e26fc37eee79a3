//! Damaged journals: a journal is never silently shorter, and a repair keeps all records before the
//! damage.

use std::sync::Arc;

use proptest::prelude::*;

use super::conformance::{batch, replayed};
use super::{
    Batch, EventLog, JournalReader, LocalLog, LocalOptions, LogError, SimStorage, Storage, repair,
};

/// Cases of the property test: flipped bits and truncations.
const DAMAGES: u32 = 500;

fn open(storage: &SimStorage) -> Result<LocalLog, LogError> {
    let options = LocalOptions { segment_bytes: 8 * 1024, ..LocalOptions::default() };
    LocalLog::open(Arc::new(storage.clone()), options)
}

fn segments(storage: &SimStorage) -> Vec<String> {
    let mut names = storage.names().unwrap();
    names.retain(|name| name.starts_with("seg-") && name.len() == 24);
    names.sort();
    names
}

/// A closed journal of 40 batches in several segments, all of them acknowledged.
fn written() -> (SimStorage, Vec<Batch>) {
    let storage = SimStorage::new(7);
    let mut log = open(&storage).unwrap();
    let batches: Vec<Batch> = (0..40_u64)
        .map(|n| {
            // No record has a sector of zeros, which a torn tail would have.
            let filler =
                vec![u8::try_from(n + 1).unwrap(); usize::try_from(n * 97 % 1_900).unwrap()];
            let next =
                batch(log.last_sequence() + 1, i64::try_from(n).unwrap(), &[&filler, b"end"]);
            log.append(&next).unwrap();
            next
        })
        .collect();
    assert!(segments(&storage).len() > 4);
    (storage, batches)
}

/// Opening and replaying gives every batch, or an error that names a segment. Returns whether it gave
/// every batch.
fn check_not_silently_shorter(storage: &SimStorage, batches: &[Batch], what: &str) -> bool {
    let read = open(storage).and_then(|log| replayed(&log, 1));
    match read {
        Ok(found) => {
            assert!(found == batches, "{what}: {} of {}", found.len(), batches.len());
            true
        }
        Err(LogError::Corrupt { place, .. }) => {
            assert!(place.starts_with("seg-"), "{what}: {place}");
            false
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

/// After a repair the journal holds a prefix of the batches, and accepts new ones.
fn check_repair(storage: &SimStorage, batches: &[Batch], what: &str) {
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    repair(&shared).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(repair(&shared).unwrap(), None, "{what}");
    let mut log = open(storage).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = replayed(&log, 1).unwrap();
    assert!(batches.starts_with(&found), "{what}");
    let next = batch(log.last_sequence() + 1, 99, &[b"after"]);
    log.append(&next).unwrap();
    drop(log);
    JournalReader::open(shared).unwrap().verify().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: DAMAGES, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_and_truncations_are_never_silent(
        segment: prop::sample::Index,
        place: prop::sample::Index,
        cut: bool,
    ) {
        let (storage, batches) = written();
        let names = segments(&storage);
        let name = segment.get(&names).clone();
        storage.damage(&name, |bytes| {
            if cut {
                bytes.truncate(place.index(bytes.len()));
            } else {
                let bit = place.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        });
        let what = format!("{} of {name} at {place:?}", if cut { "a cut" } else { "a flip" });
        if !check_not_silently_shorter(&storage, &batches, &what) {
            check_repair(&storage, &batches, &what);
        }
    }
}

/// No later frame proves that the last batch was synced, so its own bytes must show the damage.
#[test]
fn damage_in_the_last_batch_is_not_taken_for_a_torn_tail() {
    let (written, batches) = written();
    let name = segments(&written).pop().unwrap();
    let bytes = written.read(&name);
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let start = (0..used).step_by(512).rfind(|at| bytes[*at..].starts_with(b"TXJ")).unwrap();
    let mut refused = 0;
    for at in (start..used).step_by(3) {
        let storage = written.copy(0);
        storage.damage(&name, |bytes| bytes[at] ^= 0x10);
        let what = format!("byte {at} of {start} to {used}");
        refused += usize::from(!check_not_silently_shorter(&storage, &batches, &what));
    }
    assert_eq!(refused, (used - start).div_ceil(3));
}

#[test]
fn a_missing_segment_is_reported() {
    let (written, batches) = written();
    let names = segments(&written);
    for lost in &names[..names.len() - 1] {
        let storage = written.copy(0);
        storage.lose(lost);
        let read = open(&storage).and_then(|log| replayed(&log, 1));
        let reported = matches!(&read, Err(LogError::Corrupt { .. } | LogError::Gone { .. }));
        assert!(reported, "{lost}: {read:?}");
        if *lost != names[0] {
            check_repair(&storage, &batches, lost);
        }
    }
}

#[test]
fn batches_of_another_journal_are_rejected() {
    let (one, batches) = written();
    let other = {
        let storage = SimStorage::new(7);
        let mut log = open(&storage).unwrap();
        for n in 0..40_u64 {
            let filler = vec![0xee; usize::try_from(n * 97 % 1_900).unwrap()];
            let next = batch(log.last_sequence() + 1, 5, &[&filler, b"end"]);
            log.append(&next).unwrap();
        }
        storage
    };
    let names = segments(&one);
    assert_eq!(names, segments(&other));
    for name in &names[1..] {
        let storage = one.copy(0);
        let foreign = other.read(name);
        storage.damage(name, |bytes| *bytes = foreign);
        assert!(!check_not_silently_shorter(&storage, &batches, name));
        check_repair(&storage, &batches, name);
    }
}

/// A repair that a power cut interrupted can be run again.
#[test]
fn a_repair_can_be_interrupted() {
    let (written, batches) = written();
    let name = segments(&written)[2].clone();
    for at in 0..40 {
        let storage = written.copy(at);
        storage.damage(&name, |bytes| bytes[700] ^= 1);
        storage.fail_at(storage.operations() + at, super::StorageFault::PowerCut);
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        repair(&shared).ok();
        storage.cut_power();
        storage.reboot();
        check_repair(&storage, &batches, &format!("operation {at}"));
    }
}
