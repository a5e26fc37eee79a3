//! Time and memory of a replay of a journal, and the cost of a snapshot of the final state.
//!
//! `just bench-replay` (or `cargo bench --bench speed -- replay [EVENTS]`) writes a journal of EVENTS
//! events (5 million by default) below `target/`, replays it in a separate process, and prints the
//! peak memory of that process. Deliberately absent: a comparison; nothing else can replay it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use trading_exporter::clock;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::Entry;
use trading_exporter::domain::settings::Settings;
use trading_exporter::engine::{EncodedRequest, Replay, ReplaySettings, SnapshotStore, Writer};
use trading_exporter::journal::{
    DiskStorage, JournalReader, LocalLog, LocalOptions, Snapshots, Storage, SyncMode,
};
use trading_exporter::wire::decode::{DecodeLimits, decode_ndjson};

use crate::traffic::{BATCH_EVENTS, Engine, SYMBOLS};

/// Events by default.
const EVENTS: u64 = 5_000_000;
/// Rate of events in the time of the journal.
const EVENTS_PER_SECOND: u64 = 10_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Writes a journal, then replays it in one process and loads its snapshot in another.
pub(crate) fn measure(rest: &[&str]) {
    let events = rest.first().map_or(EVENTS, |n| n.parse().expect("a number of events"));
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-replay");
    std::fs::remove_dir_all(&directory).ok();
    eprintln!("writing a journal of {events} events to {}", directory.display());
    write(&directory, events);
    for mode in ["full", "snapshot"] {
        let this = std::env::current_exe().expect("the path of this program");
        let mut child = Command::new(this);
        child.args(["role", "replay", mode, &directory.display().to_string()]);
        let status = child.stderr(Stdio::inherit()).status().expect("a process that replays");
        assert!(status.success(), "{status}");
    }
    std::fs::remove_dir_all(&directory).expect("a removed directory");
}

/// Writes a journal of events, with a tick every second.
fn write(directory: &Path, events: u64) {
    let storage = Arc::new(DiskStorage::open_or_create(directory).expect("a directory"));
    let sync = SyncMode::Interval(Duration::from_hours(1));
    let options = LocalOptions { sync, ..LocalOptions::default() };
    let log = LocalLog::open(storage, options).expect("a log");
    let monitor = Monitor::new(Arc::default());
    let mut writer = Writer::new(Arc::new(RwLock::new(monitor)), Box::new(log));
    let mut now = clock::now();
    let mut commit = |entries: Vec<Entry>, now| {
        writer.commit(vec![EncodedRequest::new(entries, Vec::new())], now).expect("room");
    };
    commit(vec![Entry::Settings(Arc::new(Settings::default()))], now);
    let mut engine = Engine::new(0, SYMBOLS);
    let limits = DecodeLimits::default();
    for batch in 0..events.div_ceil(BATCH_EVENTS) {
        let mut body = Vec::new();
        engine.batch(&mut body);
        let decoded = decode_ndjson(&body, &limits).expect("lines").events.into_iter();
        commit(decoded.map(|(_, event)| Entry::Event(event)).collect(), now);
        if batch % (EVENTS_PER_SECOND / BATCH_EVENTS) == 0 {
            now = now.plus(Duration::from_secs(1));
            commit(vec![Entry::Tick], now);
        }
    }
    writer.log().sync().expect("a synced journal");
}

/// Replays the whole journal (`full`) or loads its newest snapshot (`snapshot`), and prints time and
/// memory.
pub(crate) fn report(mode: &str, directory: &str) {
    let directory = DiskStorage::open(Path::new(directory)).expect("a directory");
    let storage: Arc<dyn Storage> = Arc::new(directory);
    let mut states = SnapshotStore::new(Snapshots::new(Arc::clone(&storage)));
    if mode == "snapshot" {
        let began = clock::monotonic();
        let beginning = states.newest(&|_| true).expect("snapshots").state.expect("one");
        let took = seconds_since(began);
        println!(
            "a restart from the snapshot of record {}: {took:.2} s, peak memory {:.0} MiB",
            beginning.1.sequence,
            peak_bytes() / MIB
        );
        return;
    }
    let reader = JournalReader::open(storage).expect("a journal");
    let replay = Replay::new(ReplaySettings::AsRecorded);
    let (mut state, mut records, mut bytes) = (replay.initial_state(), 0_u64, 0_usize);
    let began = clock::monotonic();
    let walked = reader.replay(1, &mut |batch| {
        records += replay.apply(batch, &mut state).expect("records");
        bytes += batch.size_bytes();
        ControlFlow::<()>::Continue(())
    });
    assert!(walked.expect("an intact journal").is_continue());
    let took = seconds_since(began);
    println!(
        "{records} records ({:.0} MiB) replayed in {took:.1} s: {:.0} a second, peak memory {:.0} MiB",
        float(bytes as u64) / MIB,
        float(records) / took,
        peak_bytes() / MIB
    );
    let began = clock::monotonic();
    let copy = state.clone();
    let copied = seconds_since(began);
    let began = clock::monotonic();
    let info = states.keep(&copy).expect("a snapshot");
    println!(
        "snapshot of the state: copied in {copied:.3} s (blocks ingest), written and verified in \
         {:.2} s, {:.0} MiB compressed of {:.0}",
        seconds_since(began),
        float(info.stored_bytes) / MIB,
        float(info.state_bytes) / MIB
    );
}

fn seconds_since(began: std::time::Instant) -> f64 {
    clock::monotonic().saturating_duration_since(began).as_secs_f64()
}

/// Peak memory of this process in bytes.
fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    float(kib) * 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
