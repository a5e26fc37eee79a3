//! Simulation: misbehaving engines and a faulty disk. After every step, the recovered state must be that
//! of the acknowledged events.
//!
//! Everything depends on a seed. Engines send events twice, late and out of order; a second tenant fills
//! every table that it can reach; the wall clock is set forward and back; the process dies, the
//! power is cut, writes fail, the disk fills up, snapshots are damaged. A reference writer over a log in
//! memory gets the acknowledged requests and nothing else. Seeds that once failed are in `seeds.txt`
//! and always run. `SIM_SEEDS=1000..2000` runs other seeds, and `SIM_TRACE=1` prints each step.

#![cfg(test)]

mod clocks;
mod engines;
mod neighbour;
mod random;
#[path = "../support/recount.rs"]
mod recount_all;
mod resent;
mod steps;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Lost, World};

/// Seeds of a run, divided among the tests.
const SEEDS: Range<u64> = 0..120;
/// Number of tests that share the seeds.
const SHARES: usize = 4;
/// Steps of one world.
const STEPS: usize = 30;

/// The seeds that the environment requests.
#[expect(clippy::disallowed_methods, reason = "a developer names the seeds to run again")]
fn asked_for(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn seeds() -> Vec<u64> {
    let wanted = asked_for("SIM_SEEDS").map(|text| {
        let (from, to) = text.split_once("..").expect("SIM_SEEDS is FROM..TO");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let kept = kept.map(|line| line.trim().parse().expect("a seed on each line"));
    kept.chain(wanted.unwrap_or(SEEDS)).collect()
}

fn run(share: usize) {
    let mut lost = Lost::default();
    for seed in seeds().into_iter().skip(share).step_by(SHARES) {
        let run = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
                world.check();
            }
            world.lost()
        }));
        assert!(run.is_ok(), "seed {seed} failed: add it to tests/sim/seeds.txt, and mend it");
        lost.add(&run.unwrap_or_default());
    }
    println!("{lost}");
    let few = asked_for("SIM_SEEDS").is_some();
    assert!(few || lost.happened(), "without faults the test proves nothing: {lost}");
}

#[test]
fn acknowledged_events_are_kept_after_every_step_1() {
    run(0);
}

#[test]
fn acknowledged_events_are_kept_after_every_step_2() {
    run(1);
}

#[test]
fn acknowledged_events_are_kept_after_every_step_3() {
    run(2);
}

#[test]
fn acknowledged_events_are_kept_after_every_step_4() {
    run(3);
}

/// A crash between every two operations of a snapshot and the retention after it.
#[test]
fn a_crash_at_any_operation_of_snapshot_and_retention_loses_nothing() {
    let mut operations = 0;
    for seed in 0..2 {
        let mut at = 0;
        loop {
            let mut world = World::new(seed);
            world.fill(10);
            let planned = world.snapshot_with_a_cut_after(at);
            world.restart();
            world.check();
            world.fill(3);
            world.check();
            if !planned {
                break;
            }
            at += 1;
        }
        assert!(at > 10, "only {at} operations");
        operations += at;
    }
    println!("{operations} power cuts in snapshots and retention, nothing lost");
}
