//! The crash matrix: the process is killed in its n-th system call of one kind, for each n.
//!
//! strace counts the calls of each thread separately, so a small n hits the start and the thread that
//! preallocates segments, and a larger one the writer.

use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Rounds;
use crate::exporter::{Ended, Exporter};
use crate::load::{ClientReport, Home, Load, Orders, Plan, orders};

/// The largest n.
const CALLS: u64 = 60;
/// Number of runs at one time.
const AT_ONCE: usize = 4;

pub(crate) fn fdatasync(rounds: &Rounds) -> String {
    Matrix { call: "fdatasync", segment_bytes: "64KiB", orders_per_request: 1 }.run(rounds)
}

pub(crate) fn pwrite64(rounds: &Rounds) -> String {
    Matrix { call: "pwrite64", segment_bytes: "64KiB", orders_per_request: 1 }.run(rounds)
}

/// Segments are small, so that there are many.
pub(crate) fn rename(rounds: &Rounds) -> String {
    Matrix { call: "rename", segment_bytes: "4KiB", orders_per_request: 10 }.run(rounds)
}

/// One kind of call.
struct Matrix<'a> {
    call: &'a str,
    segment_bytes: &'a str,
    orders_per_request: usize,
}

/// The result of a run.
#[derive(Default)]
struct Outcome {
    acknowledged: usize,
    unsure: usize,
    before_it_listened: usize,
}

impl Matrix<'_> {
    /// All n, several at a time: they wait for the disk most of the time.
    fn run(&self, rounds: &Rounds) -> String {
        let (calls, next) = (rounds.of(CALLS), AtomicU64::new(1));
        let outcome = Mutex::new(Outcome::default());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                    numbers.take_while(|n| *n <= calls).for_each(|n| self.kill_at(n, &outcome));
                });
            }
        });
        let Outcome { acknowledged, unsure, before_it_listened } = outcome.into_inner().unwrap();
        assert!(acknowledged > 0 && unsure > 0);
        format!(
            "killed in {} number 1 to {calls} ({before_it_listened} before it listened), \
             {acknowledged} orders acknowledged, {unsure} on their way; lost: nothing",
            self.call
        )
    }

    fn kill_at(&self, n: u64, outcome: &Mutex<Outcome>) {
        let call = self.call;
        let directory = tempfile::tempdir().unwrap();
        let storage = format!("  segment_bytes: {}\n", self.segment_bytes);
        let home = Home::in_directory(directory.path(), directory.path(), &storage);
        let inject = format!("inject={call}:signal=KILL:when={n}");
        // Without --seccomp-bpf, with which strace 6.1 does not kill.
        let trace = format!("trace={call}");
        let output = directory.path().join("strace").display().to_string();
        let strace = ["-o", &output, "-e", &trace, "-e", &inject];
        let mut before_it_listened = 0;
        let report = match Exporter::try_start(&home.config, &strace) {
            Ok(exporter) => {
                let orders_per_request = self.orders_per_request;
                let plan =
                    Plan { name: "m".into(), clients: 2, orders_per_request, requests_max: 2_000 };
                let report = Load::start(exporter.address, &plan).ended();
                check_killed(&exporter.ended(), call, n);
                report
            }
            Err(ended) => {
                check_killed(&ended, call, n);
                before_it_listened = 1;
                ClientReport::default()
            }
        };
        let exporter = Exporter::start(&home.config);
        let lost = home.check(&exporter, &report);
        assert!(lost.is_empty(), "{call} {n}: lost {lost:?}");
        // A restart continues where the process was killed.
        let more = Orders::from(["after".to_owned()]);
        let answer = exporter.client().send("POST", "/api/v1/events", &orders(&more)).unwrap();
        assert_eq!(answer.status, 200, "{call} {n}: {answer:?}");
        let mut outcome = outcome.lock().unwrap();
        outcome.acknowledged += report.acknowledged.len();
        outcome.unsure += report.unsure.len();
        outcome.before_it_listened += before_it_listened;
    }
}

fn check_killed(ended: &Ended, call: &str, n: u64) {
    assert_eq!(ended.status.signal(), Some(9), "{call} {n}: {}", ended.said);
}
