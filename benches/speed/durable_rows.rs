//! Rows of what survives a power cut: the exporter with its journal, against the journal alone.
//!
//! The journal alone is given what the exporter would give it: records of the same bytes, as many
//! in one batch as there are requests that wait. One sync for each batch, on the same disk.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use trading_exporter::clock;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::settings::Settings;
use trading_exporter::engine::{RecordCodec, SettingsCodec, Writer};
use trading_exporter::journal::{
    Batch, DiskStorage, EventLog, LocalLog, LocalOptions, Room, SyncMode,
};
use trading_exporter::wire::encode::encode;

use crate::fold::decode;
use crate::http_rows::{
    BATCH_CONNECTIONS, CONNECTIONS, ROUND, bodies, busy, send_batches, send_events,
};
use crate::load::Round;
use crate::parse;
use crate::rounds::{median, median_ratio, rate, take_turns};
use crate::servers::{self, Server};
use crate::table::{Goal, Row, per_second};
use crate::traffic::{BATCH_EVENTS, Engine, SYMBOLS};

/// Events of the row of recovery.
const RECOVERED: u64 = 5_000_000;
/// What stands before the JSON of an event in a record: version, flags, tag.
const HEAD: &[u8] = b"\x01\x00E";

/// A folder on the disk of this repository: what lies below the system's one may be memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).expect("a folder")
}

fn exporter(folder: &Path) -> Server {
    let path = format!("--storage.path={}", folder.join("data").display());
    servers::exporter(&["--storage.mode=journal", &path])
}

fn open(folder: &Path, sync: SyncMode) -> LocalLog {
    let storage = DiskStorage::open_or_create(folder).expect("a folder");
    let options = LocalOptions { sync, ..LocalOptions::default() };
    let mut log = LocalLog::open(Arc::new(storage), options).expect("a log");
    let preparer = log.preparer();
    // It ends with the log.
    thread::spawn(move || preparer.run());
    log
}

/// Events as the journal keeps them.
fn records() -> Vec<Vec<u8>> {
    let events = bodies().into_iter().flat_map(|body| decode(&body));
    events.map(|event| [HEAD, &encode(&event)].concat()).collect()
}

/// Appends batches of so many records for as long as a round. Records in a second.
fn append(log: &mut LocalLog, records: &[Vec<u8>], at_once: u64) -> f64 {
    rate(ROUND, || {
        let mut batch =
            Batch::new(log.last_sequence() + 1, clock::now().as_nanos(), Room::Ordinary);
        for record in records.iter().cycle().take(usize::try_from(at_once).expect("few")) {
            batch.push(|out| out.extend_from_slice(record));
        }
        log.append(&batch).expect("a log that takes it");
        at_once
    })
}

/// Single events and batches, each acknowledged after its sync.
pub(crate) fn durable() -> Vec<Row> {
    let records = records();
    let (ours, alone) = (folder(), folder());
    let server = exporter(ours.path());
    let mut log = open(alone.path(), SyncMode::EveryBatch);
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    let mut journal = |at_once: u64| append(&mut log, &records, at_once);
    let [single, theirs] = take_turns([
        &mut || {
            singles.push(send_events(&server));
            singles.last().map_or(0.0, |round| round.rate)
        },
        &mut || journal(CONNECTIONS),
    ]);
    let at_once = BATCH_CONNECTIONS * BATCH_EVENTS;
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let events = BATCH_EVENTS as f64;
    let [batch, batch_theirs] = take_turns([
        &mut || {
            batches.push(send_batches(&server));
            batches.last().map_or(0.0, |round| round.rate * events)
        },
        &mut || journal(at_once),
    ]);
    let row = |what: String, ours: &[f64], theirs: &[f64], rounds: &[Round], goal| Row {
        what,
        ours: per_second(median(ours.iter().copied())),
        against: "the journal alone, as many records in a sync".to_owned(),
        theirs: per_second(median(theirs.iter().copied())),
        ratio: median_ratio(ours, theirs),
        goal: Goal::AtLeast(goal),
        note: busy(rounds),
    };
    let of_single = format!("single event, every batch synced, {CONNECTIONS} connections");
    let of_batch = format!("NDJSON, {BATCH_EVENTS} events of as many orders, every batch synced");
    vec![
        row(of_single, &single, &theirs, &singles, 0.5),
        row(of_batch, &batch, &batch_theirs, &batches, 0.6),
    ]
}

/// A journal of many events, read and folded again.
pub(crate) fn recovery() -> Vec<Row> {
    let folder = folder();
    write_journal(folder.path());
    let settings = SettingsCodec { encode: |_| Vec::new(), decode: |_| Ok(Settings::default()) };
    let recover = || {
        let log = open(folder.path(), SyncMode::EveryBatch);
        let monitor = Arc::new(parking_lot::RwLock::new(Monitor::new(Arc::default())));
        let mut writer =
            Writer::new(Arc::clone(&monitor), Box::new(log), RecordCodec::new(settings));
        let started = Instant::now();
        writer.recover(&mut |_, _| {}).expect("a journal that is whole");
        let elapsed = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let events = monitor.read().sequence() as f64;
        events / elapsed
    };
    let parse = || {
        let log = open(folder.path(), SyncMode::EveryBatch);
        let (mut spent, mut events) = (Duration::ZERO, 0_u64);
        log.replay(1, &mut |batch| {
            let started = Instant::now();
            let events_of = batch.records().filter_map(|record| record.strip_prefix(HEAD));
            events += events_of.map(parse::parse).sum::<u64>();
            spent += started.elapsed();
            Ok(())
        })
        .expect("a journal that is whole");
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let events = events as f64;
        events / spent.as_secs_f64()
    };
    let (parsed, recovered) = (parse(), recover());
    let parsed = median([parsed, parse(), parse()]);
    vec![Row {
        what: format!("recovery of {RECOVERED} events"),
        ours: per_second(recovered),
        against: "parsing the same bytes, nothing else (serde_json)".to_owned(),
        theirs: per_second(parsed),
        ratio: recovered / parsed,
        goal: Goal::AtLeast(0.4),
        note: String::new(),
    }]
}

/// Writes the events of an engine into a journal.
fn write_journal(folder: &Path) {
    let mut log = open(folder, SyncMode::Interval(Duration::from_hours(1)));
    let mut engine = Engine::new(1, SYMBOLS);
    let mut body = Vec::new();
    for _ in 0..RECOVERED / BATCH_EVENTS {
        body.clear();
        engine.batch(&mut body);
        let first = log.last_sequence() + 1;
        let mut batch = Batch::new(first, clock::now().as_nanos(), Room::Ordinary);
        for event in decode(&body) {
            batch.push(|out| out.extend_from_slice(&[HEAD, &encode(&event)].concat()));
        }
        log.append(&batch).expect("a log that takes it");
    }
    log.sync().expect("a disk that syncs");
}
