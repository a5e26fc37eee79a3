//! Rows about durability: the exporter with its journal, against the journal alone.
//!
//! The journal alone gets the same records as from the exporter, in four setups, each with one sync
//! for each batch, on the same disk. Batches as large as the number of waiting requests show the limit
//! of the disk. Writers that each wait for their own record, as threads or as tasks of one thread,
//! show the limit of a journal without HTTP, JSON and state. The same journal under an axum handler
//! leaves out only the state.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use trading_exporter::clock;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::engine::Writer;
use trading_exporter::journal::{Batch, EventLog, LocalLog, Room, SyncMode};
use trading_exporter::wire::encode::encode;

use crate::fold::decode;
use crate::folders::{disk_folder, open_journal};
use crate::http_rows::{
    BATCH_CONNECTIONS, CONNECTIONS, ROUND, busy, fill_up, fresh_engine, send_batches, send_events,
};
use crate::load::Round;
use crate::parse;
use crate::rounds::{median, median_ratio, rate, take_turns};
use crate::servers::{self, Server};
use crate::table::{Goal, Row, per_second};
use crate::traffic::{BATCH_EVENTS, Engine, SYMBOLS, cycle};

/// Events of the recovery row.
const RECOVERED: u64 = 5_000_000;
/// The head of an event's record, before its JSON: version, flags, tag.
const HEAD: &[u8] = b"\x01\x00E";

fn exporter(folder: &Path) -> Server {
    let path = format!("--storage.path={}", folder.join("data").display());
    servers::exporter(&["--storage.mode=journal", &path])
}

/// Events as records of the journal.
fn records() -> Vec<Vec<u8>> {
    let events = cycle(fresh_engine(SYMBOLS)).into_iter().flat_map(|body| decode(&body));
    events.map(|event| [HEAD, &encode(&event)].concat()).collect()
}

/// Appends batches of `batch_records` records for one round. Returns records per second.
fn append(log: &mut LocalLog, records: &[Vec<u8>], batch_records: u64) -> f64 {
    rate(ROUND, || {
        let mut batch =
            Batch::new(log.last_sequence() + 1, clock::now().as_nanos(), Room::Ordinary);
        for record in records.iter().cycle().take(usize::try_from(batch_records).expect("few")) {
            batch.push(|out| out.extend_from_slice(record));
        }
        log.append(&batch).expect("a batch that is accepted");
        batch_records
    })
}

/// A record, and a channel to notify its writer when it is on the disk.
type WaitingRecord<'a> = (&'a [u8], oneshot::Sender<()>);

/// Appends all waiting records as one batch and notifies their writers, until all writers are gone.
fn commit(log: &mut LocalLog, mut waiting: mpsc::UnboundedReceiver<WaitingRecord<'_>>) {
    while let Some(first) = waiting.blocking_recv() {
        let sequence = log.last_sequence() + 1;
        let mut batch = Batch::new(sequence, clock::now().as_nanos(), Room::Ordinary);
        let mut writers = Vec::new();
        let others = std::iter::from_fn(|| waiting.try_recv().ok());
        for (record, writer) in std::iter::once(first).chain(others) {
            batch.push(|out| out.extend_from_slice(record));
            writers.push(writer);
        }
        log.append(&batch).expect("a batch that is accepted");
        for writer in writers {
            writer.send(()).expect("a writer that waits");
        }
    }
}

/// Writers, a thread each, append records one by one and wait for each, for one round. Returns records
/// per second.
fn append_blocking(log: &mut LocalLog, records: &[Vec<u8>], writers: u64) -> f64 {
    let (written, started) = (AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::unbounded_channel();
        scope.spawn(move || commit(log, receiver));
        for _ in 0..writers {
            let (sender, written) = (sender.clone(), &written);
            scope.spawn(move || {
                for record in records.iter().cycle() {
                    if started.elapsed() >= ROUND {
                        return;
                    }
                    let (notify, notified) = oneshot::channel();
                    sender.send((record, notify)).expect("a thread that commits");
                    notified.blocking_recv().expect("a record that is on the disk");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let written = written.into_inner() as f64;
    written / started.elapsed().as_secs_f64()
}

/// Writers, tasks of one thread, append records one by one and wait for each, for one round. Returns
/// records per second.
fn append_waiting<'a>(log: &mut LocalLog, records: &'a [Vec<u8>], writers: u64) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::unbounded_channel();
        scope.spawn(move || commit(log, receiver));
        let (local, written, started) = (LocalSet::new(), Cell::new(0.0), Instant::now());
        let write = async |sender: mpsc::UnboundedSender<WaitingRecord<'a>>| {
            for record in records.iter().cycle() {
                if started.elapsed() >= ROUND {
                    return;
                }
                let (notify, notified) = oneshot::channel();
                sender.send((record, notify)).expect("a thread that commits");
                notified.await.expect("a record that is on the disk");
                written.set(written.get() + 1.0);
            }
        };
        let all = (0..writers).map(|_| write(sender.clone()));
        local.block_on(&runtime, futures_util::future::join_all(all));
        written.get() / started.elapsed().as_secs_f64()
    })
}

/// Single events and batches, each acknowledged after its sync.
pub(crate) fn durable() -> Vec<Row> {
    let records = records();
    let (ours, alone, kept) = (disk_folder(), disk_folder(), disk_folder());
    let server = exporter(ours.path());
    fill_up(&server);
    let minimal = servers::minimal_durable(kept.path());
    let mut log = open_journal(alone.path(), SyncMode::EveryBatch);
    let log = RefCell::new(&mut log);
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    let journal = |batch_records| append(&mut log.borrow_mut(), &records, batch_records);
    let [single, axum, threads, waiting, theirs] = take_turns([
        &mut || {
            singles.push(send_events(&server));
            singles.last().map_or(0.0, |round| round.rate)
        },
        &mut || send_events(&minimal).rate,
        &mut || append_blocking(&mut log.borrow_mut(), &records, CONNECTIONS),
        &mut || append_waiting(&mut log.borrow_mut(), &records, CONNECTIONS),
        &mut || journal(CONNECTIONS),
    ]);
    let batch_records = BATCH_CONNECTIONS * BATCH_EVENTS;
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let events = BATCH_EVENTS as f64;
    let [batch, batch_theirs] = take_turns([
        &mut || {
            batches.push(send_batches(&server));
            batches.last().map_or(0.0, |round| round.rate * events)
        },
        &mut || journal(batch_records),
    ]);
    let row =
        |what: &str, (ours, rounds): (&[f64], &[Round]), against: String, theirs: &[f64], goal| {
            Row {
                what: format!("{what}, every batch synced"),
                ours: per_second(median(ours.iter().copied())),
                against: format!("the journal alone, {against}"),
                theirs: per_second(median(theirs.iter().copied())),
                ratio: median_ratio(ours, theirs),
                goal,
                note: busy(rounds),
            }
        };
    let of_single = format!("single event, {CONNECTIONS} connections");
    let of_batch = format!("NDJSON, {BATCH_EVENTS} events per request");
    let blocking = format!("{CONNECTIONS} waiting threads");
    let writers = format!("{CONNECTIONS} waiting tasks of one thread");
    let in_sync = |records: u64| format!("{records} records per sync");
    let behind_axum = format!("{CONNECTIONS} connections to a minimal axum server");
    vec![
        row(&of_single, (&single, &singles), behind_axum, &axum, Goal::None),
        row(&of_single, (&single, &singles), blocking, &threads, Goal::AtLeast(0.5)),
        row(&of_single, (&single, &singles), writers, &waiting, Goal::None),
        row(&of_single, (&single, &singles), in_sync(CONNECTIONS), &theirs, Goal::None),
        row(
            &of_batch,
            (&batch, &batches),
            in_sync(batch_records),
            &batch_theirs,
            Goal::AtLeast(0.6),
        ),
    ]
}

/// Recovery of a long journal: its events are decoded and folded.
pub(crate) fn recovery() -> Vec<Row> {
    let folder = disk_folder();
    write_journal(folder.path());
    let recover = || {
        let log = open_journal(folder.path(), SyncMode::EveryBatch);
        let monitor = Arc::new(parking_lot::RwLock::new(Monitor::new(Arc::default())));
        let mut writer = Writer::new(Arc::clone(&monitor), Box::new(log));
        let started = Instant::now();
        writer.recover(&mut |_, _| {}).expect("an intact journal");
        let elapsed = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let events = monitor.read().sequence() as f64;
        events / elapsed
    };
    let parse = || {
        let log = open_journal(folder.path(), SyncMode::EveryBatch);
        let (mut spent, mut events) = (Duration::ZERO, 0_u64);
        log.replay(1, &mut |batch| {
            let started = Instant::now();
            let events_of = batch.records().filter_map(|record| record.strip_prefix(HEAD));
            events += events_of.map(parse::parse).sum::<u64>();
            spent += started.elapsed();
            Ok(())
        })
        .expect("an intact journal");
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let events = events as f64;
        events / spent.as_secs_f64()
    };
    let (parsed, recovered) = (parse(), recover());
    let parsed = median([parsed, parse(), parse()]);
    vec![Row {
        what: format!("recovery of {RECOVERED} events"),
        ours: per_second(recovered),
        against: "only parsing the same bytes (serde_json)".to_owned(),
        theirs: per_second(parsed),
        ratio: recovered / parsed,
        goal: Goal::AtLeast(0.4),
        note: String::new(),
    }]
}

/// Writes the events of an engine into a journal.
fn write_journal(folder: &Path) {
    let mut log = open_journal(folder, SyncMode::Interval(Duration::from_hours(1)));
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
        log.append(&batch).expect("a batch that is accepted");
    }
    log.sync().expect("a disk that syncs");
}
