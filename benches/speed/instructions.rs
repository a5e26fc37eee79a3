//! Instructions per event, counted by callgrind. The count does not depend on the load of the machine,
//! so it shows regressions of a few percent.
//!
//! Each workload runs N times and 2 N times, in separate processes; the difference is the cost of N.
//! `check` compares with `benches/instructions.ARCH.txt` and exits with 1 if a workload exceeds its
//! limit. With the argument `accept` it rewrites the file.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};

use trading_exporter::metrics::{Format, encode, project};
use trading_exporter::wire::encode::encode_into;

use crate::fold::{Fold, decode};
use crate::scrape_rows;
use crate::traffic::{Engine, cycle};

/// The accepted counts for this architecture.
fn baseline_file() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    format!("{folder}/instructions.{}.txt", std::env::consts::ARCH)
}

/// Highest ratio of a count to its baseline.
const RATIO_MAX: f64 = 1.05;

struct Workload {
    name: &'static str,
    /// Enough for a stable count.
    rounds: u64,
    /// Events (or series) in one round.
    units: u64,
    run: fn(u64),
}

const WORKLOADS: &[Workload] = &[
    Workload { name: "decode-event", rounds: 2, units: 3_000, run: decode_events },
    Workload { name: "encode-event", rounds: 2, units: 3_000, run: encode_events },
    Workload { name: "apply-event-1-symbol", rounds: 2, units: 3_000, run: apply_1 },
    Workload { name: "apply-event-1000-symbols", rounds: 2, units: 3_000, run: apply_1000 },
    Workload { name: "scrape-series", rounds: 2, units: SCRAPE_SERIES, run: scrape },
];

const SCRAPE_SERIES: u64 = 10_000;

fn bodies() -> Vec<Vec<u8>> {
    cycle(Engine::new(1, 100))
}

fn decode_events(rounds: u64) {
    let bodies = bodies();
    for _ in 0..rounds {
        for body in &bodies {
            std::hint::black_box(decode(body));
        }
    }
}

fn encode_events(rounds: u64) {
    let events: Vec<_> = bodies().iter().flat_map(|body| decode(body)).collect();
    let mut out = Vec::new();
    for _ in 0..rounds {
        out.clear();
        for event in &events {
            encode_into(event, &mut out);
        }
        std::hint::black_box(&out);
    }
}

fn apply_1(rounds: u64) {
    apply(rounds, 1);
}

fn apply_1000(rounds: u64) {
    apply(rounds, 1_000);
}

/// Makes all records before it applies the first, so that making them costs the same for any `rounds`.
fn apply(rounds: u64, symbols: u64) {
    let mut fold = Fold::new(symbols, 1_000);
    fold.fill(2_000);
    let batches: Vec<_> = (0..12).map(|_| fold.next()).collect();
    for batch in batches.iter().take(usize::try_from(rounds * 3).expect("few")) {
        fold.apply(batch);
    }
}

fn scrape(rounds: u64) {
    let fold = scrape_rows::state(SCRAPE_SERIES);
    for _ in 0..rounds {
        std::hint::black_box(encode(&project(&fold.monitor), None, Format::Text));
    }
}

/// Runs one workload, for callgrind to count.
pub(crate) fn run(name: &str, rounds: &str) {
    let workload = WORKLOADS.iter().find(|w| w.name == name).expect("a workload of that name");
    (workload.run)(rounds.parse().expect("a number"));
}

/// The smallest of three counts. Where memory lies differs from run to run, and the count of a scrape by
/// a few percent with it.
fn recount(name: &str, first: u64) -> u64 {
    let workload = WORKLOADS.iter().find(|w| w.name == name).expect("a workload of that name");
    (0..2).map(|_| count(workload)).fold(first, u64::min)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn ratio(count: u64, known: u64) -> f64 {
    count as f64 / known as f64
}

/// Counts every workload and compares it with the baseline.
pub(crate) fn check(arguments: &[&str]) -> ExitCode {
    let counts: Vec<(&str, u64)> = WORKLOADS.iter().map(|w| (w.name, count(w))).collect();
    if arguments == ["accept"] {
        let lines: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
        fs::write(baseline_file(), format!("{HEAD}{}", lines.concat())).expect("the baseline");
    }
    let known = baseline();
    let mut exceeded = false;
    for (name, count) in &counts {
        let known = known.get(*name).copied().expect("a line in the baseline: run with `accept`");
        let count = if ratio(*count, known) > RATIO_MAX { recount(name, *count) } else { *count };
        let ratio = ratio(count, known);
        let verdict = if ratio > RATIO_MAX { "EXCEEDED" } else { "" };
        println!(
            "{name:28} {count:8} instructions, baseline {known:8}, ratio {ratio:.3} {verdict}"
        );
        exceeded |= ratio > RATIO_MAX;
    }
    if exceeded {
        println!(
            "More than {RATIO_MAX} times the baseline. If this is intended, see {}.",
            baseline_file()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The head of the baseline file.
const HEAD: &str = "\
# Instructions per event (or per series of a scrape), counted by callgrind for the release profile
# and the pinned toolchain, on a processor with AVX2 if it is an x86_64. `tests/run instructions`
# fails if a count rises by more than 5 %. To accept the new counts (explain why in the commit):
#   cargo bench --bench speed -- instructions accept
";

fn baseline() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(baseline_file()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs.map(|(name, count)| (name.to_owned(), count.parse().expect("a count"))).collect()
}

/// Instructions per unit of a workload.
fn count(workload: &Workload) -> u64 {
    let Workload { name, rounds, units, .. } = *workload;
    let [once, twice] = [rounds, rounds * 2].map(|rounds| callgrind(name, rounds));
    (twice - once) / (rounds * units)
}

/// Instructions of a process that runs a workload.
fn callgrind(workload: &str, rounds: u64) -> u64 {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["role", "instructions", workload, &rounds.to_string()])
        .output()
        .expect("valgrind (a Debian package)");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    assert!(line.is_some(), "callgrind counted nothing: {text}");
    line.map_or("", |(_, count)| count.trim()).parse().expect("a count")
}
