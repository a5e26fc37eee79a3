//! Repeated events change nothing, and neither do the boundaries of batches.

use std::sync::Arc;

use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::{Entry, Verdict};
use trading_exporter::engine::{EncodedRequest, Replay, ReplaySettings, StateDigest, digest_state};
use trading_exporter::journal::{Batch, EventLog, LogError, Room};

use crate::engines::entries;
use crate::random::Random;
use crate::world::World;

/// Number of simulated worlds.
const WORLDS: u64 = 25;

fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.index(at + 1));
    }
}

/// Any part of what was sent, in any order, in any number of requests.
#[test]
fn repeating_any_part_of_the_events_changes_nothing() {
    let mut resent = 0;
    for seed in 0..WORLDS {
        let mut world = World::new(seed);
        world.fill(8);
        let before = world.exporter.digest();
        for _ in 0..6 {
            let mut again: Vec<Entry> = Vec::new();
            for engine in &world.engines {
                let random = &mut world.random;
                let part = engine.sent().iter().filter(|_| random.chance(2));
                again.extend(entries(&part.cloned().collect::<Vec<_>>()));
            }
            shuffle(&mut world.random, &mut again);
            let size = 1 + world.random.index(again.len().max(1));
            let requests = again.chunks(size);
            let submissions = requests.map(|chunk| EncodedRequest::new(chunk.to_vec(), Vec::new()));
            let committed =
                world.exporter.writer.commit(submissions.collect(), world.clocks.reading());
            for receipt in committed.expect("a commit").receipts {
                resent += receipt.verdicts.len();
                assert!(receipt.verdicts.iter().all(|v| *v == Verdict::Duplicate), "seed {seed}");
            }
            assert_eq!(world.exporter.digest(), before, "seed {seed}");
        }
        world.check();
    }
    assert!(resent > 1_000, "only {resent}");
}

/// The records of a log in other batches: some are split, and some of equal time are merged.
fn rebatched(log: &dyn EventLog, random: &mut Random) -> Vec<Batch> {
    let mut records: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut visit = |batch: &Batch| -> Result<(), LogError> {
        let at = batch.received_at_nanos();
        records.extend(batch.records().map(|bytes| (at, bytes.to_vec())));
        Ok(())
    };
    log.replay(1, &mut visit).expect("the log");
    let mut batches: Vec<Batch> = Vec::new();
    for (sequence, (at, bytes)) in (1..).zip(records) {
        let fits = batches.last().is_some_and(|last| last.received_at_nanos() == at);
        if !fits || random.chance(3) {
            batches.push(Batch::new(sequence, at, Room::Ordinary));
        }
        let last = batches.last_mut().expect("one");
        last.push(|out| out.extend_from_slice(&bytes));
    }
    batches
}

#[test]
fn the_same_records_in_other_batches_give_the_same_state() {
    for seed in 0..WORLDS {
        let mut world = World::new(seed);
        for _ in 0..25 {
            world.step();
        }
        let digests: Vec<StateDigest> = (0..4)
            .map(|_| {
                let mut state = Monitor::new(Arc::default());
                let replay = Replay::new(ReplaySettings::AsRecorded);
                let log = world.reference.writer.log();
                for batch in rebatched(log, &mut world.random) {
                    replay.apply(&batch, &mut state).expect("records");
                }
                digest_state(&state)
            })
            .collect();
        let expected = world.reference.digest();
        assert!(digests.iter().all(|digest| *digest == expected), "seed {seed}: {digests:?}");
    }
}
