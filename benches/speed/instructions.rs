//! How many instructions an event costs, counted by callgrind: it does not depend on the mood of
//! the machine, so a regression of a few percent shows.
//!
//! Each work is done N times and 2 N times, in a process each; the difference belongs to N. `check`
//! compares with `benches/instructions.ARCH.txt` and ends with 1 if one is dearer than allowed; with the
//! argument `accept` it writes the file anew.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};

use trading_exporter::metrics::{Format, encode, project};
use trading_exporter::wire::encode::encode_into;

use crate::fold::{Fold, decode};
use crate::scrape_rows;
use crate::traffic::Engine;

/// The counts that hold, for this architecture.
fn baseline_file() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    format!("{folder}/instructions.{}.txt", std::env::consts::ARCH)
}

/// How much dearer a work may be than in the baseline.
const DEARER_MAX: f64 = 1.05;

/// A kind of work: its name, and how many rounds of it make a number that means something.
struct Work {
    name: &'static str,
    rounds: u64,
    /// Events (or series) of one round.
    units: u64,
    run: fn(u64),
}

const WORKS: &[Work] = &[
    Work { name: "decode-event", rounds: 2, units: 3_000, run: decode_events },
    Work { name: "encode-event", rounds: 2, units: 3_000, run: encode_events },
    Work { name: "apply-event-1-symbol", rounds: 2, units: 3_000, run: apply_1 },
    Work { name: "apply-event-1000-symbols", rounds: 2, units: 3_000, run: apply_1000 },
    Work { name: "scrape-series", rounds: 2, units: SCRAPE_SERIES, run: scrape },
];

const SCRAPE_SERIES: u64 = 10_000;

fn cycle() -> Vec<Vec<u8>> {
    let mut engine = Engine::new(1, 100);
    let mut body = || {
        let mut body = Vec::new();
        engine.batch(&mut body);
        body
    };
    vec![body(), body(), body()]
}

fn decode_events(rounds: u64) {
    let bodies = cycle();
    for _ in 0..rounds {
        for body in &bodies {
            std::hint::black_box(decode(body));
        }
    }
}

fn encode_events(rounds: u64) {
    let events: Vec<_> = cycle().iter().flat_map(|body| decode(body)).collect();
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

/// All records are made before the first is applied, for any number of rounds.
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

/// Does one work, for callgrind to count.
pub(crate) fn work(name: &str, rounds: &str) {
    let work = WORKS.iter().find(|work| work.name == name).expect("a work of that name");
    (work.run)(rounds.parse().expect("a number"));
}

/// Counts every work and compares it with the baseline.
pub(crate) fn check(arguments: &[&str]) -> ExitCode {
    let counts: Vec<(&str, u64)> = WORKS.iter().map(|work| (work.name, count(work))).collect();
    if arguments == ["accept"] {
        let lines: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
        fs::write(baseline_file(), format!("{HEAD}{}", lines.concat())).expect("the baseline");
    }
    let known = baseline();
    let mut dearer = false;
    for (name, count) in &counts {
        let known = known.get(*name).copied().expect("a line in the baseline: run with `accept`");
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let ratio = *count as f64 / known as f64;
        let verdict = if ratio > DEARER_MAX { "DEARER" } else { "" };
        println!(
            "{name:28} {count:8} instructions, baseline {known:8}, ratio {ratio:.3} {verdict}"
        );
        dearer |= ratio > DEARER_MAX;
    }
    if dearer {
        println!(
            "More than {DEARER_MAX} times the baseline. If that is wanted, see {}.",
            baseline_file()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What stands above the numbers.
const HEAD: &str = "\
# Instructions of one event (or of one series of a scrape), counted by callgrind for the release
# profile and the pinned toolchain, on a processor with AVX2 if it is an x86_64. `tests/run
# instructions` fails when one is more than 5 % dearer. To accept what it counts (say why in the
# commit):
#   cargo bench --bench speed -- instructions accept
";

fn baseline() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(baseline_file()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs.map(|(name, count)| (name.to_owned(), count.parse().expect("a count"))).collect()
}

/// Instructions of one unit of a work.
fn count(work: &Work) -> u64 {
    let [once, twice] = [work.rounds, work.rounds * 2].map(|rounds| callgrind(work.name, rounds));
    (twice - once) / (work.rounds * work.units)
}

/// Instructions of a whole process.
fn callgrind(work: &str, rounds: u64) -> u64 {
    let this = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["role", "instructions", work, &rounds.to_string()])
        .output()
        .expect("valgrind (a Debian package)");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    assert!(line.is_some(), "callgrind counted nothing: {text}");
    line.map_or("", |(_, count)| count.trim()).parse().expect("a count")
}
