//! Rows of the journal alone, against what the disk can do at best.
//!
//! The limit is a file whose room was taken and filled with zeros before: the same bytes in one write
//! and one `fdatasync`, one after the other, round and round in it. The journal also makes its next
//! segments meanwhile, on a thread of its own, as in the exporter: at full speed that doubles the bytes
//! that the disk gets. So the second limit does that too: a log that only writes, into files that it
//! fills with zeros as fast as it needs them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trading_exporter::journal::{
    Batch, DiskStorage, EventLog, LocalLog, Room, Storage, StoredFile, SyncMode,
};

use crate::durable_rows::open;
use crate::rounds::{median, median_ratio, rate, take_turns};
use crate::table::{Goal, Row, per_second};

/// How long each side writes in a round.
const ROUND: Duration = Duration::from_millis(1_500);
/// Bytes of the file of the limit: those of a segment.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes of a record: an event as the journal keeps it.
const RECORD_BYTES: usize = 250;
/// Bytes that a frame has beside its records, and those that each record costs beside its own.
const FRAME_BYTES: usize = 100;
const LENGTH_BYTES: usize = 4;

/// One event for each sync, and as many as 64 connections send meanwhile.
pub(crate) fn journal() -> Vec<Row> {
    // Beside the build: what lies below the system's folder may be memory.
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"));
    let folder = folder.expect("a folder");
    let storage = |name: &str| {
        Arc::new(DiskStorage::open_or_create(&folder.path().join(name)).expect("a folder"))
    };
    let mut plain = Plain::new(storage("plain"), Files::One);
    let mut rolling = Plain::new(storage("rolling"), Files::Many);
    let mut log = open(&folder.path().join("journal"), SyncMode::EveryBatch);
    [1, 64]
        .into_iter()
        .flat_map(|records| rows(&mut plain, &mut rolling, &mut log, records))
        .collect()
}

fn rows(plain: &mut Plain, rolling: &mut Plain, log: &mut LocalLog, records: usize) -> [Row; 2] {
    let bytes = (records * (RECORD_BYTES + LENGTH_BYTES) + FRAME_BYTES).next_multiple_of(512);
    let frame = vec![0x55; bytes];
    let once = |write: &mut dyn FnMut()| {
        rate(ROUND, || {
            write();
            1
        })
    };
    let [ours, limit, log_limit] = take_turns([
        &mut || once(&mut || append(log, records)),
        &mut || once(&mut || plain.write(&frame)),
        &mut || once(&mut || rolling.write(&frame)),
    ]);
    let row = |against: String, theirs: &[f64], goal| Row {
        what: format!("the journal alone, {records} records in a batch"),
        ours: per_second(median(ours.iter().copied())),
        against,
        theirs: per_second(median(theirs.iter().copied())),
        ratio: median_ratio(&ours, theirs),
        goal,
        note: String::from("batches and syncs"),
    };
    let of_plain = format!("write and fdatasync of {bytes} bytes into a file made before");
    [
        row(of_plain, &limit, Goal::AtLeast(0.9)),
        row("the same, making the next file meanwhile".to_owned(), &log_limit, Goal::AtLeast(0.9)),
    ]
}

/// Into which files is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    /// One, round and round.
    One,
    /// One after the other; the next one is filled with zeros meanwhile.
    Many,
}

/// A log that only writes.
struct Plain {
    storage: Arc<DiskStorage>,
    files: Files,
    file: Arc<dyn StoredFile>,
    offset: u64,
    /// Number of the file that is written to.
    number: u64,
    next: Option<JoinHandle<Arc<dyn StoredFile>>>,
}

impl Plain {
    fn new(storage: Arc<DiskStorage>, files: Files) -> Self {
        let file = storage.create("0", FILE_BYTES).expect("a file");
        file.sync().expect("a sync");
        let mut plain = Self { storage, files, file, offset: 0, number: 0, next: None };
        plain.make_next();
        plain
    }

    fn make_next(&mut self) {
        if self.files == Files::One {
            return;
        }
        let (storage, name) = (Arc::clone(&self.storage), (self.number + 1).to_string());
        self.next = Some(thread::spawn(move || {
            let file = storage.create(&name, FILE_BYTES).expect("a file");
            file.sync().expect("a sync");
            file
        }));
    }

    fn write(&mut self, frame: &[u8]) {
        let bytes = u64::try_from(frame.len()).expect("a length");
        if self.offset + bytes > FILE_BYTES {
            self.offset = 0;
            if let Some(next) = self.next.take() {
                self.file = next.join().expect("a thread that ends");
                self.storage.remove(&self.number.to_string()).expect("a file that goes");
                self.storage.sync_names().expect("a sync");
                self.number += 1;
                self.make_next();
            }
        }
        self.file.write_at(frame, self.offset).expect("a write");
        self.file.sync().expect("a sync");
        self.offset += bytes;
    }
}

fn append(log: &mut LocalLog, records: usize) {
    let mut batch = Batch::new(log.last_sequence() + 1, 0, Room::Ordinary);
    for _ in 0..records {
        batch.push(|out| out.extend_from_slice(&[0x55; RECORD_BYTES]));
    }
    log.append(&batch).expect("a batch that is taken");
}
