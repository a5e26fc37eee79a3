//! Crashes of the real binary: kill -9, power cuts, and disks that fail, fill up or are slow.
//!
//! Run by `tests/run crash`, as root and with strace: it traces the binary, mounts file systems, and
//! takes some minutes. Output: a line for each test with its rounds and losses. Invariants: everything
//! that a client recorded after a 2xx is there after every restart, exactly once; a test that cannot run
//! on this machine fails.
//!
//! `cargo test --test crash -- NAME...` runs only these tests; CRASH_ROUNDS=10 runs ten times as many
//! rounds.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and prints what it did"
)]

#[path = "../support/child.rs"]
mod child;
mod exporter;
mod load;
mod mount;
mod kill;
mod matrix;
mod power;
mod disk;

/// A test: its name, and a function that runs it and returns a summary.
type Test = (&'static str, fn(&Rounds) -> String);

/// All of them.
const TESTS: &[Test] = &[
    ("kill", kill::at_random_moments),
    ("halt", kill::right_after_a_halt),
    ("matrix-fdatasync", matrix::fdatasync),
    ("matrix-pwrite64", matrix::pwrite64),
    ("matrix-rename", matrix::rename),
    ("power", power::cut),
    ("power-control", power::control_without_sync),
    ("failed-sync", disk::failed_sync),
    ("failed-alert", disk::failed_sync_of_an_alert),
    ("full-disk", disk::full),
    ("slow-disk", disk::slow),
];

/// How many rounds a test makes.
struct Rounds {
    factor: u64,
}

impl Rounds {
    /// This many in CI, more when run manually.
    fn of(&self, rounds: u64) -> u64 {
        rounds * self.factor
    }
}

fn main() {
    let factor = std::env::var("CRASH_ROUNDS").map_or(1, |text| text.parse().expect("a number"));
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted =
        |name: &str| asked.is_empty() || asked.iter().any(|a| name.starts_with(a.as_str()));
    let tests: Vec<&Test> = TESTS.iter().filter(|(name, _)| wanted(name)).collect();
    assert!(!tests.is_empty(), "no test of that name");
    mount::require_root_and_tools();
    for (name, test) in tests {
        let began = trading_exporter::clock::monotonic();
        let did = test(&Rounds { factor });
        let took = trading_exporter::clock::monotonic() - began;
        println!("{name:<17} {did} ({:.0} s)", took.as_secs_f64());
    }
}
